"""Training of both evaluators on a handful of clips, from split files to evaluated motion."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stages
import torch
from data_folders import dancer
from places import ROOT

from evaluators import evaluator as evaluators
from evaluators import phases, training
from evaluators import protocol as protocols
from evaluators.evaluation import evaluate
from evaluators.evaluator import InterClipEvaluator, InterXEvaluator
from evaluators.interclip import InterCLIP
from evaluators.interx import UNIT, MovementConvEncoder, TextMotionMatcher, contrastive_shift
from evaluators.sources import RealSource, ShuffledSource
from intermamba import files, paths
from intermamba.config import Config, InterClipConfig, InterXMatcherConfig, load
from intermamba.data import interx
from intermamba.data.dataset import ClipDataset, WindowDataset, all_captions, collate, loader
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.errors import ConfigError, DataError
from intermamba.text import cache, tower
from intermamba.text.names import tower_name

KINDS = ("bow", "hug", "kick", "push", "walk", "wave", "shake", "dance")
SIZES = {"train": 96, "val": 32, "test": 64}
EPOCHS = 16


def clip(dataset: str, number: int) -> Clip:
    """A clip whose kind decides a pose, which its captions name; held together by nothing but formulas."""
    kind, frames = number % len(KINDS), 24 + number % 5
    if dataset == "interhuman":
        pose = np.zeros(66)
        pose[27:] = 0.5 * np.cos(np.arange(39) * (kind + 1))  # from the chest up; hips and feet stay
        both = [dancer(frames, phase=number)[:, :66], dancer(frames, yaw=np.pi, y=0.8)[:, :66]]
        columns = np.stack([np.concatenate([p + pose, np.zeros((frames, 126))], axis=1) for p in both], axis=1)
    else:
        columns = np.broadcast_to(0.5 * np.cos(np.arange(168) * (kind + 1)), (frames, 2, 168))
        columns = columns + 0.05 * np.sin(0.2 * np.arange(frames)[:, None, None] + number)
    captions = (f"they {KINDS[kind]}", f"the two {KINDS[kind]} once")
    tokens = tuple(tuple(f"{word}/NOUN" for word in text.split()) for text in captions) if dataset == "interx" else ()
    return Clip(f"{dataset}{number:03d}", columns.astype(np.float32), captions, tokens)


@pytest.fixture(scope="module", params=["interhuman", "interx"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, str]:
    """Split files and the text cache of one dataset, in a folder that becomes the working directory."""
    dataset, folder = request.param, tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = small(load("smoke", ROOT / "params.yaml"), dataset)
        where = {"profile": "smoke", "dataset": dataset}
        first = 0
        for split, size in SIZES.items():
            clips = (clip(dataset, number) for number in range(first, first + size))
            path = paths.path("split", split=split, **where)
            write_split(path, clips, dataset=dataset, split=split, origin="synthetic")
            first += size
        splits = [SplitFile(paths.path("split", split=split, **where)) for split in SIZES]
        captions = all_captions(splits, config.datasets[dataset])
        words = ["unk", "sos", "eos", "they", "the", "two", "once", *KINDS] if dataset == "interx" else []
        vectors = np.cos(np.outer(np.arange(len(words)) + 1.0, np.arange(300) + 1.0)) if words else None
        path = paths.path("text", **where)
        reduced = {"width": config.text.width, "fitted": captions}
        cache.write(path, tower.load(config.text), captions, torch.float32, words, vectors, **reduced)
        yield config, dataset


def small(config: Config, dataset: str) -> Config:
    rate = {"interhuman": 1.5e-3, "interx": 5e-3}[dataset]
    settings = config.evaluator.training[dataset].model_copy(
        update={"epochs": EPOCHS, "batch": 16, "learning_rate": rate}
    )
    evaluator = config.evaluator.model_copy(
        update={
            "interclip": InterClipConfig(
                width=32, layers=1, heads=2, feedforward=32, dropout=0.0, embedding=16,
                text_layers=1, text_heads=2, text_feedforward=32,
            ),
            "interx": InterXMatcherConfig(movement=24, hidden=24, text_hidden=24, embedding=16, dropout=0.0),
            "training": {**config.evaluator.training, dataset: settings},
        }
    )  # fmt: skip
    return config.model_copy(update={"evaluator": evaluator})


@pytest.fixture(scope="module")
def trained(study: tuple[Config, str]) -> Path:
    config, dataset = study
    stages.run("train-evaluator", config, dataset)
    return paths.path("evaluator", profile="smoke", dataset=dataset)


def test_artefacts(study: tuple[Config, str], trained: Path) -> None:
    config, dataset = study
    _, metadata = files.read_tensors(trained)
    assert metadata.pop("tower") == tower_name(config.text)
    assert metadata == {"dataset": dataset, "origin": "synthetic", "weights": "trained"}
    record = json.loads(paths.record_of(trained).read_text())
    assert record["notes"]["parameters"] > 0
    curve = pd.read_csv(paths.path("evaluator_log", profile="smoke", dataset=dataset))
    assert list(curve.columns) == training.CURVE
    phases = ["matching"] if dataset == "interhuman" else ["movement", "matching"]
    assert list(curve["phase"].unique()) == phases
    assert len(curve) == 2 * (EPOCHS if dataset == "interhuman" else EPOCHS + math.ceil(EPOCHS / 4))
    for phase in phases:
        losses = curve[(curve["phase"] == phase) & (curve["split"] == "train")]["loss"]
        assert losses.iloc[-1] < losses.iloc[0]
    assert {*trained.parent.glob(".*")} <= {files.lock_of(trained)}


def test_learns_what_it_is_told(study: tuple[Config, str], trained: Path) -> None:
    config, dataset = study
    protocol = protocols.load(config.protocol[dataset]).model_copy(update={"repeats": 5})
    split = SplitFile(paths.path("split", split="test", profile="smoke", dataset=dataset))
    real = RealSource(split, config.datasets[dataset], protocol)
    measured = [
        evaluate(stages.evaluator_of(config, dataset), protocol, real, {"": source}, seed=0)
        .groupby("metric")["value"]
        .mean()
        for source in (real, ShuffledSource(real))
    ]
    # Eight kinds tell 32 clips apart by four: a perfect evaluator of kinds has 3/4, chance is 3/32.
    assert measured[0]["top3"] > 0.45
    assert measured[1]["top3"] == pytest.approx(protocol.chance(3), abs=0.05)
    assert measured[0]["mm_dist"] < measured[1]["mm_dist"]


def test_embeddings_do_not_depend_on_the_batch(study: tuple[Config, str], trained: Path) -> None:
    config, dataset = study
    evaluator = stages.evaluator_of(config, dataset)
    split = SplitFile(paths.path("split", split="test", profile="smoke", dataset=dataset))
    clips = ClipDataset(split, config.datasets[dataset], "fixed", 0)
    embedded = []
    with torch.inference_mode():
        for batch, frames in ((64, 64), (7, 32)):
            pieces = list(loader(clips, batch, frames, shuffle=False, drop_last=False))
            embedded.append([torch.cat(list(map(f, pieces))) for f in (evaluator.embed_text, evaluator.embed_motion)])
    for one, other in zip(*embedded, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone(study: tuple[Config, str]) -> None:
    config, dataset = study
    settings = config.evaluator.training[dataset].model_copy(update={"epochs": 1})
    evaluator = config.evaluator.model_copy(update={"training": {dataset: settings}})
    config = config.model_copy(update={"evaluator": evaluator})
    where = {"profile": "smoke", "dataset": dataset}
    splits = [SplitFile(paths.path("split", split="val", **where))] * 2
    states = []
    for global_seed, seed in ((1, 5), (2, 5), (2, 6)):
        torch.manual_seed(global_seed)
        expected = torch.rand(1, generator=torch.Generator().manual_seed(global_seed))
        evaluator, _ = training.fit(config, dataset, cache.TextCache(paths.path("text", **where)), *splits, seed=seed)
        assert torch.rand(1) == expected
        states.append(evaluator.network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_weights_of_other_sizes_are_refused(study: tuple[Config, str], trained: Path) -> None:
    config, dataset = study
    sizes = {
        "interclip": config.evaluator.interclip.model_copy(update={"embedding": 8}),
        "interx": config.evaluator.interx.model_copy(update={"embedding": 8}),
    }
    other = config.model_copy(update={"evaluator": config.evaluator.model_copy(update=sizes)})
    with pytest.raises(DataError, match="expected"):
        stages.evaluator_of(other, dataset)


def test_an_official_checkpoint_evaluates_at_its_own_sizes(
    study: tuple[Config, str], tmp_path: Path, monkeypatch
) -> None:
    config, dataset = study
    where = {"profile": "smoke", "dataset": dataset}
    text = cache.TextCache(paths.path("text", **where))
    if dataset == "interhuman":  # other sizes than the profile's, and 8 heads as the official network
        sizes = config.evaluator.interclip.model_copy(update={"width": 48, "heads": 8, "text_heads": 8})
        network = InterCLIP(sizes, 262, text.width)
        content = {"state_dict": {f"model.{name}": value for name, value in network.state_dict().items()}}
        own = InterClipEvaluator(network.eval(), text)
    else:
        network = TextMotionMatcher(config.evaluator.interx.model_copy(update={"hidden": 40}), 336)
        parts = ("movement_encoder", "text_encoder", "motion_encoder")
        content = {part: getattr(network, part).state_dict() for part in parts}
        own = InterXEvaluator(network.eval(), text, config.datasets[dataset].max_frames)
    checkpoint = tmp_path / "official.tar"
    torch.save(content, checkpoint)
    for split in SIZES:
        source = paths.path("split", split=split, **where)
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_bytes(source.read_bytes())
    (tmp_path / paths.path("text", **where)).write_bytes(paths.path("text", **where).read_bytes())
    monkeypatch.chdir(tmp_path)

    evaluator = config.evaluator.model_copy(update={"checkpoint": {dataset: str(checkpoint)}})
    config = config.model_copy(update={"evaluator": evaluator})
    stages.run("train-evaluator", config, dataset)
    evaluator = stages.evaluator_of(config, dataset)
    split = SplitFile(paths.path("split", split="test", **where))
    batch = next(iter(loader(ClipDataset(split, config.datasets[dataset], "fixed", 0), 8, 32, False, False)))
    with torch.inference_mode():
        assert torch.equal(evaluator.embed_motion(batch), own.embed_motion(batch))
        assert torch.equal(evaluator.embed_text(batch), own.embed_text(batch))
    weights = paths.path("evaluator", **where)
    assert files.read_tensors(weights)[1]["weights"] == "official"
    assert str(checkpoint) in json.loads(paths.record_of(weights).read_text())["inputs"]


def test_an_official_checkpoint_that_does_not_fit_stops_before_anything(
    study: tuple[Config, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, dataset = study
    (tmp_path / "broken.tar").write_text("nothing")
    evaluator = config.evaluator.model_copy(update={"checkpoint": {dataset: str(tmp_path / "broken.tar")}})
    monkeypatch.setattr("intermamba.provenance.recorded", None)
    with pytest.raises(DataError, match=r"broken\.tar"):
        stages.run("train-evaluator", config.model_copy(update={"evaluator": evaluator}), dataset)


def test_without_weights_the_command_that_trains_them_is_named(study: tuple[Config, str]) -> None:
    config, dataset = study
    job = stages.job(config, "evaluate-reference", dataset=dataset)
    assert f"Run `intermamba train-evaluator --profile smoke --dataset {dataset}` first" in job.remedy(job["evaluator"])


def test_a_validation_split_smaller_than_a_batch(study: tuple[Config, str]) -> None:
    config, dataset = study
    where = {"profile": "smoke", "dataset": dataset}
    splits = [SplitFile(paths.path("split", split=split, **where)) for split in ("train", "val")]
    config = config.model_copy(update={"protocol": {dataset: "interhuman"}})
    with pytest.raises(ConfigError, match="32 clips do not fill one batch of 96"):
        training.fit(config, dataset, cache.TextCache(paths.path("text", **where)), *splits, seed=0)


@pytest.mark.parametrize("study", ["interx"], indirect=True)
def test_a_validation_split_smaller_than_an_official_batch_is_refused_at_once(
    study: tuple[Config, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "trainer", None)
    message = r"32 clips do not fill one batch of 33 \(evaluator\.training\.interx\.official\.batch\).*smaller batch"
    with pytest.raises(ConfigError, match=message):
        fitted(officially(study[0], batch=33))


def officially(config: Config, **changes: object) -> Config:
    """The configuration with Inter-X's own recipe, made small by ``changes``."""
    settings = config.evaluator.training["interx"]
    recipe = settings.official.model_copy(
        update={"window": 16, "movement_epochs": 1, "movement_batch": 64, "batch": 4, "epochs": 1} | changes
    )
    settings = settings.model_copy(update={"recipe": "official", "official": recipe})
    evaluator = config.evaluator.model_copy(update={"training": {"interx": settings}})
    return config.model_copy(update={"evaluator": evaluator})


def fitted(config: Config, seed: int = 3) -> tuple[evaluators.InterXEvaluator, pd.DataFrame]:
    where = {"profile": "smoke", "dataset": "interx"}
    splits = [SplitFile(paths.path("split", split=split, **where)) for split in ("train", "val")]
    return training.fit(config, "interx", cache.TextCache(paths.path("text", **where)), *splits, seed=seed)


only_interx = pytest.mark.parametrize("study", ["interx"], indirect=True)


@pytest.mark.parametrize("shift", [0, 1, 6])
def test_the_official_loss_is_the_official_formula(shift: int) -> None:
    """``(1 - y) d^2 + y max(margin - d, 0)^2``, once with pairs and y = 0, once with shifted pairs and y = 1."""
    generator = np.random.default_rng(shift)
    text, motion = generator.normal(size=(2, 8, 16))

    def contrastive(one: np.ndarray, other: np.ndarray, label: float, margin: float) -> float:
        distance = np.sqrt(((one - other + 1e-6) ** 2).sum(axis=1))  # torch's pairwise_distance adds its eps
        return np.mean((1 - label) * distance**2 + label * np.clip(margin - distance, 0, None) ** 2)

    shifted = motion[np.arange(shift, 8 + shift) % 8]
    expected = contrastive(text, motion, 0, 7.0) + contrastive(text, shifted, 1, 7.0)
    found = contrastive_shift(torch.from_numpy(text), torch.from_numpy(motion), margin=7.0, shift=shift)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_a_shift_of_zero_pushes_pairs_from_themselves() -> None:
    same = torch.randn(8, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert contrastive_shift(same, same, margin=10.0, shift=0).item() == pytest.approx(100, rel=1e-5)
    assert contrastive_shift(same, same, margin=1.0, shift=1).item() == pytest.approx(0, abs=1e-9)


@only_interx
def test_windows_are_all_but_the_last_at_a_stride_of_one(study: tuple[Config, str]) -> None:
    split = SplitFile(paths.path("split", split="val", profile="smoke", dataset="interx"))
    lengths = [split.frames(index) for index in range(len(split))]
    windows = WindowDataset(split, 26, seed=0)
    assert min(lengths) < 26 < max(lengths)
    starts = [(name, first) for name, frames in enumerate(lengths) for first in range(frames - 26)]
    assert len(windows) == len(starts)
    for index, (number, first) in enumerate(starts):
        item = windows[0, index]
        assert item.clip == split.ids[number]
        assert np.array_equal(item.motion, interx.features(split.clip(number, first, 26)))


def test_movements_of_a_window_see_nothing_behind_it() -> None:
    encoder = MovementConvEncoder(6, 8, dropout=0.0)
    frames = torch.randn(1, 24, 6)
    assert encoder.movements(frames).shape[1] == 24 // UNIT
    behind = torch.cat([frames, torch.zeros(1, UNIT, 6)], dim=1)
    assert torch.equal(encoder(frames), encoder.movements(behind))
    assert not torch.allclose(encoder(frames)[:, 5], encoder.movements(frames)[:, 5])


@only_interx
def test_the_official_recipe_keeps_the_epoch_of_the_lowest_validation_loss(
    study: tuple[Config, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, after = iter([3.0, 1.0, 2.0, 1.0]), []

    def loss(self: phases.ShiftMatching, split: str, **_: float) -> float:
        if split == "train":
            return 0.0
        after.append({name: value.clone() for name, value in self.evaluator.network.state_dict().items()})
        return next(losses)

    monkeypatch.setattr(phases.ShiftMatching, "_close", loss)
    evaluator, _ = fitted(officially(study[0], epochs=4, batch=32))
    weights = evaluator.network.state_dict()
    kept = [all(torch.equal(weights[name], value) for name, value in epoch.items()) for epoch in after]
    assert kept == [False, True, False, False]  # the first of two equal ones, as officially


@only_interx
def test_official_negatives_are_one_random_shift_of_a_batch_ordered_by_length(
    study: tuple[Config, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifts: list[int] = []
    lengths: list[list[int]] = []

    def loss(text, motion, margin, shift):
        shifts.append(shift)
        return contrastive_shift(text, motion, margin, shift)

    embed = evaluators.InterXEvaluator.embed_motion
    monkeypatch.setattr(phases, "contrastive_shift", loss)
    monkeypatch.setattr(
        evaluators.InterXEvaluator,
        "embed_motion",
        lambda self, batch: lengths.append(batch.length.tolist()) or embed(self, batch),
    )
    fitted(officially(study[0], epochs=1))
    steps = (SIZES["train"] + SIZES["val"]) // 4
    assert len(shifts) == len(lengths) == steps
    assert set(shifts) == {0, 1, 2}  # of four pairs; never B - 1, as officially
    assert all(order == sorted(order, reverse=True) for order in lengths)


@only_interx
def test_the_official_recipe_clips_each_encoder_apart_and_never_the_autoencoder(study: tuple[Config, str]) -> None:
    config = officially(study[0])
    text = cache.TextCache(paths.path("text", profile="smoke", dataset="interx"))
    evaluator = evaluators.build(config, "interx", text)
    recipe = config.evaluator.training["interx"].official
    phase = phases.ShiftMatching(evaluator, recipe, pool=32, seed=0)
    encoders = (evaluator.network.text_encoder, evaluator.network.motion_encoder)
    for factor, encoder in zip((1.0, 100.0), encoders, strict=True):
        for weight in encoder.parameters():
            weight.grad = torch.full_like(weight, factor)
    phase.configure_gradient_clipping(None)
    for encoder in encoders:
        norm = torch.cat([weight.grad.flatten() for weight in encoder.parameters()]).norm()
        assert norm.item() == pytest.approx(recipe.gradient_clip, rel=1e-4)
    assert phases.WindowAutoencoder.gradient_clip is None


@only_interx
def test_the_official_recipe_is_adam_at_a_constant_rate_and_its_values_are_the_papers(
    study: tuple[Config, str],
) -> None:
    recipe = load("paper", ROOT / "params.yaml").evaluator.training["interx"].official
    assert recipe.model_dump() == {
        "window": 24, "movement_epochs": 270, "movement_batch": 128, "epochs": 300, "batch": 8,
        "learning_rate": 1e-4, "gradient_clip": 0.5, "margin": 10.0,
    }  # fmt: skip
    evaluator = evaluators.build(
        study[0], "interx", cache.TextCache(paths.path("text", profile="smoke", dataset="interx"))
    )
    network = evaluator.network
    autoencoder = phases.WindowAutoencoder(network.movement_encoder, torch.nn.Linear(1, 1), recipe, 0)
    for phase in (autoencoder, phases.ShiftMatching(evaluator, recipe, 32, 0)):
        optimizer = phase.configure_optimizers()
        assert type(optimizer) is torch.optim.Adam
        assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (1e-4, 0)


@only_interx
def test_weights_of_the_official_recipe_say_so(study: tuple[Config, str], tmp_path: Path, monkeypatch) -> None:
    config, dataset = study
    where = {"profile": "smoke", "dataset": dataset}
    for source in (*(paths.path("split", split=split, **where) for split in SIZES), paths.path("text", **where)):
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    stages.run("train-evaluator", officially(config), dataset)
    weights = paths.path("evaluator", **where)
    assert files.read_tensors(weights)[1] | {"tower": ""} == {
        "dataset": "interx", "origin": "synthetic", "weights": "trained", "recipe": "official", "tower": "",
    }  # fmt: skip
    split = SplitFile(paths.path("split", split="test", **where))
    clips = ClipDataset(split, config.datasets[dataset], "fixed", seed=0)
    found = stages.evaluator_of(config, dataset).embed_motion(collate([clips[0, 0], clips[0, 1]], 48))
    assert found.isfinite().all()


@only_interx
def test_a_split_with_too_few_windows_for_a_step_is_refused(study: tuple[Config, str]) -> None:
    with pytest.raises(ConfigError, match="one batch of 4096 of the movement phase"):
        fitted(officially(study[0], movement_batch=4096))
