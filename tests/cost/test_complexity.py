"""Table 3's counts against closed forms, and the artefacts of the stage."""

import json
from functools import cache, partial

import pandas as pd
import pytest
import torch
from counted import Counted

import ablations
from intermamba.config import load
from intermamba.cost import bench, complexity, training
from intermamba.errors import ConfigError
from intermamba.job import Job
from intermamba.methods import methods
from intermamba.models import build
from intermamba.paths import path
from workflow.graph import stages

VARIANTS = ablations.load()


@cache
def at_paper_size(name: str) -> dict[str, int]:
    return complexity.count(name, complexity.Sizes.paper(name))


def macs(name: str, frames: int, **sizes) -> dict[str, int]:
    with torch.device("meta"):
        return complexity.count_macs(build(VARIANTS[name], **sizes).eval(), frames)


def test_intergen_at_paper_size():
    counts = macs("intergen", 300)
    assert counts["macs_dense"] / 1e9 == pytest.approx(60.86, abs=0.01)
    # 8 blocks, self and cross, 2 persons, 2 products; one zero key is added to each
    assert counts["macs_attention"] == 8 * 2 * 2 * 2 * 300 * 301 * 1024
    assert counts["macs_scan"] == 0


def test_intermamba_at_paper_size():
    counts = macs("intermamba", 300)
    assert counts["macs_dense"] / 1e9 == pytest.approx(34.93, abs=0.01)
    # 8 blocks, 2 persons, self and cross, temporal and spatial
    assert counts["macs_scan"] == 8 * 2 * 2 * 2 * (300 * 1024 * 16 * 9 // 2 + 300 * 1024)
    assert counts["macs_attention"] == 0


def test_cost_grows_linearly_in_frames_but_for_the_frame_mixing_map():
    sizes = {"width": 32, "heads": 2, "max_frames": 200, "modules": 1, "blocks_per_module": 1, "state": 2, "rank": 2}
    short, middle, long = (macs("without_spatial", frames, **sizes) for frames in (50, 100, 150))
    assert long["macs_dense"] - middle["macs_dense"] == middle["macs_dense"] - short["macs_dense"]


def test_a_sampling_is_its_passes_and_the_text_encoder():
    found = at_paper_size("intermamba_light")
    tokens, width, hidden = 77, 768, 2048
    layer = tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
    assert found["macs_text"] == 2 * layer
    one_pass = found["macs_dense"] + found["macs_attention"] + found["macs_scan"]
    assert found["passes"] == 2
    assert found["macs_sampling"] == 50 * 2 * one_pass + 2 * layer


def test_in2in_takes_intergens_pass_four_times_and_reads_three_captions():
    in2in, intergen = map(at_paper_size, ("in2in", "intergen"))
    assert (in2in["passes"], intergen["passes"]) == (4, 2)
    assert in2in["macs_attention"] == intergen["macs_attention"]
    assert in2in["macs_text"] == 3 * intergen["macs_text"]
    # besides, only its two further conditions' embedding
    assert in2in["macs_dense"] - intergen["macs_dense"] >= 2 * 768 * 1024


@pytest.mark.parametrize(
    ("name", "millions"),
    [("intergen", 182.38), ("self_astm_only", 175.67), ("without_liia", 118.60), ("intermamba", 118.60)],
)
def test_every_profile_counts_at_the_papers_sizes(name, millions):
    """Table 5's rows, by the reading of docs/explanation/deviations.md; the paper prints 182, 180, 117 and 117."""
    found = at_paper_size(name)
    assert found["parameters"] / 1e6 == pytest.approx(millions, abs=0.005)
    assert (found["frames"], found["sampling_steps"]) == (300, 50)


def test_a_layer_that_only_the_authors_train_is_counted():
    """RIG's output for the relative initial pose, frozen here; docs/paper/complexity.csv."""
    assert at_paper_size("rig")["parameters"] == 112_548_620


def test_without_interhuman_costs_say_what_they_need(tmp_path, monkeypatch):
    config = load("smoke")
    alone = {"datasets": {"interx": config.datasets["interx"]}, "runs": {"interx": {"intergen": (0,)}}}
    config = config.model_copy(update=alone)
    output = path("complexity", profile="smoke")
    job = Job("complexity", "", {}, {}, {"complexity": output, "complexity_time": output.with_suffix(".time")})
    monkeypatch.chdir(tmp_path)
    for run in (
        partial(complexity.run, config, job),
        partial(bench.run, config),
        partial(training.run, config, ["intergen"], steps=1, warmup=0),
        partial(complexity.untrained, "intergen", config, 8, "meta"),
    ):
        with pytest.raises(ConfigError, match=r"datasets\.interhuman: missing.*Add the section"):
            run()
    assert not list(tmp_path.iterdir())


def test_the_papers_sizes_are_those_of_its_profile():
    for name in methods():
        assert complexity.Sizes.of(load("paper"), name) == complexity.Sizes.paper(name)


def test_counting_leaves_the_model_as_it_was():
    sizes = {"width": 16, "heads": 2, "max_frames": 8, "modules": 1, "blocks_per_module": 1, "state": 2, "rank": 2}
    model = build(VARIANTS["intermamba"], **sizes, text_width=16, text_heads=2).eval()
    torch.nn.init.ones_(model.out.weight)
    inputs = (
        torch.randn(1, 8, 2, 262),
        torch.zeros(1).long(),
        torch.randn(1, 1, 16),
        torch.ones(1, 8, dtype=torch.bool),
    )
    with torch.no_grad():
        before = model(*inputs)
        counts = complexity.count_macs(model, 8)
        after = model(*inputs)
    assert torch.equal(before, after)
    assert counts["macs_scan"] == 2 * 2 * 2 * (8 * 16 * 2 * 9 // 2 + 8 * 16)  # persons, modules, branches


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The smoke profile with networks of a few thousand weights, in an empty folder."""
    config = load("smoke")
    monkeypatch.chdir(tmp_path)
    sizes = {"width": 16, "heads": 2, "feedforward": 16, "text_heads": 2, "text_feedforward": 16}
    # Counts at the paper's sizes have tests of their own.
    monkeypatch.setattr(complexity, "PAPER", config.model.model_copy(update=sizes | {"width": 32}))
    monkeypatch.setattr(complexity, "FRAMES", 8)
    measured = {"frames": 8, "warmup_steps": 1, "repeats": config.complexity.repeats.model_copy(update={"cpu": 3})}
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=sizes),
            "complexity": config.complexity.model_copy(update=measured),
            "diffusion": config.diffusion.model_copy(update={"sampling_steps": 2}),
            "runs": {"interhuman": {"intermamba": (0,), "without_liia": (0,), "intergen": (0,)}},
        }
    )


def test_stage_writes_counts_and_times_apart(tiny):
    done = Counted()
    stages.job(tiny, "complexity").run(tiny, progress=done)
    counts, times = path("complexity", profile="smoke"), path("complexity_time", profile="smoke")
    first = counts.read_bytes()
    table = pd.read_csv(counts)
    assert table["method"].unique().tolist() == ["intermamba", "without_liia", "intergen"]
    assert table["sizes"].tolist() == ["profile", "paper"] * 3
    wide = table.pivot(index="method", columns="sizes", values="parameters")
    assert (wide["paper"] > wide["profile"]).all()
    assert (table[["parameters", "macs_dense", "macs_text", "macs_sampling"]] > 0).all(axis=None)
    seconds = pd.read_csv(times)
    # an ablation of the paper is counted and not timed; the others take turns
    assert seconds["method"].tolist() == ["intermamba", "intergen"] * 3
    assert seconds["repeat"].tolist() == [0, 0, 1, 1, 2, 2]
    assert (seconds["seconds"] > 0).all()
    assert (done.parts, len(done.steps)) == ([(len(seconds), 0, "")], len(seconds))
    record = json.loads(counts.with_name("complexity.csv.prov.json").read_text())
    assert len(record["outputs"]) == 2
    stages.job(tiny, "complexity").run(tiny, timed=False)
    assert counts.read_bytes() == first


@pytest.fixture
def single(tiny):
    """The same with one row: counting one at the paper's sizes takes a second."""
    return tiny.model_copy(update={"runs": {"interhuman": {"intergen": (0,)}}})


def test_fewer_timed_steps_stand_for_a_whole_sampling(single, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(complexity.time, "perf_counter", lambda: float(next(clock)))  # every sampling takes a second
    stages.job(single, "complexity").run(single, steps=1)
    times = pd.read_csv(path("complexity_time", profile="smoke"))
    assert times[["sampling_steps", "timed_steps"]].to_numpy().tolist() == [[2, 1]] * 3
    assert times["seconds"].tolist() == [2.0] * 3


def test_counting_alone_writes_no_times(single):
    stages.job(single, "complexity").run(single, timed=False)
    assert path("complexity", profile="smoke").exists()
    assert not path("complexity_time", profile="smoke").exists()


def test_what_was_timed_before_an_interruption_is_kept(single):
    class Stop(Counted):
        def __call__(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.job(single, "complexity").run(single, progress=Stop())
    assert len(pd.read_csv(path("complexity_time", profile="smoke"))) == 1
    assert not path("complexity", profile="smoke").with_name("complexity.csv.prov.json").exists()
