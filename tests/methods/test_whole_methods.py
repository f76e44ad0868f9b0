"""TEMOS, T2M and InterMask through the stages, and what training steps of baselines must have in common."""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from batches import batch_of
from micro import MICRO, begin
from towers import UNTRAINED

from intermamba import api, config
from intermamba.config import Config, merged
from intermamba.job import values
from intermamba.methods.t2m.training import GeneratorModule
from intermamba.models import build_for, find
from intermamba.paths import path
from intermamba.reading.documents import read_json
from intermamba.representation import representation
from intermamba.training.module import TrainingModule
from workflow.graph.stages import table

STAGES = ("encode-own-text", "train-part", "train", "evaluate", "gallery")
"""From the first of their own on."""
TRAININGS = [
    *(("rig", None), ("temos", None), ("intermask", "tokenizer"), ("intermask", None)),
    *(("t2m", "movements"), ("t2m", "generator"), ("t2m", None)),
]
WIDE = {"methods": {"rig": {"model": {"width": 336}}}}
"""At least as wide as a person of Inter-X has features."""
DRAWLESS = (("t2m", "movements"), ("t2m", None))
"""Their losses draw nothing."""
SMALL = {
    "temos": {"sizes": {"width": 16, "heads": 2, "feedforward": 16, "layers": 1}},
    "t2m": {
        "sizes": {"movement": 8, "text": 8, "hidden": 8, "attended": 8, "latent": 4, "length": 8, "window": 12},
        "parts": {"movements": {"batch": 4}},
    },
    "intermask": {
        "sizes": {
            "tokenizer": {"width": 8, "code": 8, "codes": 16, "depth": 1, "window": 16},
            "transformer": {
                "width": 16,
                "heads": 2,
                "layers": 1,
                "feedforward": 16,
                "text_layers": 1,
                "text_heads": 2,
                "text_feedforward": 16,
            },
        }
    },
}


class _Said:
    """Token features that depend on the caption."""

    tower = "test"
    reduction = None

    def __init__(self, width: int) -> None:
        self.width = width

    def features(self, captions: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [torch.Generator().manual_seed(len(caption) + ord(caption[-1])) for caption in captions]
        return torch.stack([torch.randn(6, self.width, generator=row) for row in rows]), torch.full((len(captions),), 4)


def _module(name: str, part: str | None, dataset: str = "interhuman") -> TrainingModule:
    loaded: Config = config.load("smoke", changes=WIDE)
    variant, body = find(name), representation(dataset)
    torch.manual_seed(0)
    model = build_for(loaded, name, features=body.features, max_frames=40, part=part)
    training = variant.method.training(part) if part else variant.method.row
    statistics = torch.zeros(body.features), torch.ones(body.features)
    said, own = _Said(model.text_width), loaded.of(name, part)
    made: TrainingModule = resolve_name(training.module)(model, variant, body, *statistics, said, own, 0)
    return made


@pytest.mark.parametrize("dataset", ["interhuman", "interx"])
@pytest.mark.parametrize(("name", "part"), TRAININGS)
def test_every_trained_weight_learns_and_draws_are_the_steps(name: str, part: str | None, dataset: str) -> None:
    module, batch = _module(name, part, dataset), batch_of(dataset)
    with torch.no_grad():  # what starts as nothing hides what is behind it
        for value in module.parameters():
            value.add_(0.02 * torch.randn_like(value))
    if part in ("tokenizer", "movements"):  # its windows are equally long
        batch = replace(batch, motion=batch.motion[:, :24], length=torch.full((4,), 24))
    losses = module.losses(batch, 7)
    losses["total"].backward()
    silent = [key for key, value in module.named_parameters() if value.requires_grad and value.grad is None]
    assert not silent
    assert sum(value.item() for value in losses.values()) == pytest.approx(2 * losses["total"].item(), rel=1e-5)
    if part != "tokenizer":  # whose codebook has moved
        assert torch.equal(module.losses(batch, 7)["total"], losses["total"])
    if (name, part) not in DRAWLESS:
        assert not torch.equal(module.losses(batch, 8)["total"], losses["total"])


@pytest.mark.parametrize(
    ("losses", "asked"),
    [
        ([1.0, 1.0, 1.05, 1.0], 4),
        ([1.0, 1.0, 1.05, 1.0, 1.0], 5),  # the fourth that is no better
        ([1.0, 1.0, 1.0, 1.0, 0.9, 0.9, 0.9, 0.9], 4),  # one that is better starts the count anew
        ([1.0, 1.1], 5),  # a rise by a tenth
        ([1.0, 1.1, 5.0, 4.9], 5),  # longer motions have a smallest loss of their own
        ([1.0 - 0.01 * place for place in range(49)], 4),
        ([1.0 - 0.01 * place for place in range(50)], 5),  # fifty in any case
        ([0.1, 0.3] * 6, 10),  # the whole motion
    ],
)
def test_the_curriculum_asks_for_more(losses: list[float], asked: int) -> None:
    """By the rules of Inter-X's trainer; when the whole motion is learned, training ends."""
    module = _module("t2m", "generator")
    assert isinstance(module, GeneratorModule)
    assert module.units == min(module.model.sizes.first, 10)
    module.units.fill_(4)
    module.trainer = trainer = SimpleNamespace(should_stop=False)  # type: ignore[assignment]
    for loss in losses:
        module.follow(loss)
    assert module.units == asked
    assert not trainer.should_stop
    if asked == 10:
        module.follow(0.1)
        module.follow(0.3)
        assert trainer.should_stop


def test_weights_of_the_tokenizer_are_those_of_its_training() -> None:
    made = _module("intermask", "tokenizer").model.state_dict()
    loaded, variant, body = config.load("smoke"), find("intermask"), representation("interhuman")
    model = build_for(loaded, "intermask", features=262, max_frames=40)
    statistics = torch.zeros(262), torch.ones(262)
    resolve_name(variant.method.row.module)(
        model, variant, body, *statistics, _Said(64), loaded.of("intermask"), 0, parts={"tokenizer": made}
    )
    assert all(torch.equal(value, made[key]) for key, value in model.tokenizer.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["interhuman", "interx"])
def test_methods_run_through_every_stage(study: Path, complete: Path, dataset: str) -> None:
    begin(study, complete)
    document = yaml.safe_load(Path("params.yaml").read_text())
    smoke = merged(document["profiles"]["smoke"], MICRO | {"text": MICRO["text"] | UNTRAINED})
    document["profiles"]["smoke"] = merged(smoke, {"methods": SMALL}) | {"runs": {}}
    document["base"]["runs"] = {dataset: {"temos": [0], "intermask": [0], "t2m": [0], "t2m_given": [0]}}
    Path("params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    loaded = config.load()
    for name in STAGES:
        for job in table(loaded)[name].jobs():
            job.run(loaded)
            assert read_json(job.record)["config"] == values(loaded, job.knobs), job.command
    for variant in ("temos", "intermask", "t2m", "t2m_given"):
        where = {"profile": "smoke", "dataset": dataset, "variant": variant, "seed": 0}
        metrics = pd.read_csv(path("run_metrics", **where))
        assert set(metrics["method"]) == {variant}
        assert metrics["value"].notna().all()
        frames = {"interhuman": 20, "interx": 24}[dataset]  # Inter-X's shortest, which is also the longest here
        motion = api.load(path("weights", **where), device="cpu").generate("They bow.", frames=frames)
        assert motion.joints.shape == (frames, 2, 22, 3)
    if dataset == "interhuman":  # for which models are counted, whatever runs
        table(loaded)["complexity"].job().run(loaded)
        counted = pd.read_csv(path("complexity", profile="smoke")).set_index(["method", "sizes"])
        assert counted.loc[("temos", "paper"), "parameters"] == 16_264_716
        assert counted.loc[("intermask", "paper"), "parameters"] == 54_272_896
