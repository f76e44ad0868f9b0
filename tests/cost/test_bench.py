"""The bench at tiny sizes: what it writes and shows, the sides it compares, how it fits growth. No time is asserted."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from counted import Counted
from places import ROOT

from intermamba.config import Config, load
from intermamba.cost import bench, models, scans, timing
from intermamba.errors import StateError
from intermamba.paths import path, record_of
from workflow.publish import gpu as gpu_report
from workflow.publish import speed as report

STANDIN = '''
import causal_conv1d_cuda  # as the package: not to be had here


def selective_scan_ref(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
    """The recurrence, step by step."""
    delta = F.softplus(delta + delta_bias[..., None].float())
    x = A.new_zeros((u.shape[0], *A.shape))
    ys = []
    for i in range(u.shape[2]):
        gain = delta[:, :, i, None] * rearrange(B[:, :, i], "b n -> b 1 n") * u[:, :, i, None]
        x = torch.exp(delta[:, :, i, None] * A) * x + gain
        ys.append((x * C[:, None, :, i]).sum(2))
    return torch.stack(ys, 2) + u * D[:, None]
'''


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The smoke profile with two models of a few thousand weights, in an empty folder."""
    config = load("smoke")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    small = {"width": 16, "heads": 2, "feedforward": 16, "text_heads": 2, "text_feedforward": 16}
    data = config.datasets["interhuman"].model_copy(update={"max_frames": 12})
    measured = {"shapes": {"temporal": (1, 6, 9, 2)}, "frames": (8, 16), "batch": (1, 2), "repeats": 2}
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=small),
            "datasets": {**config.datasets, "interhuman": data},
            "training": config.training.model_copy(update={"batch": 2}),
            "diffusion": config.diffusion.model_copy(update={"sampling_steps": 2}),
            "complexity": config.complexity.model_copy(update={"frames": 12}),
            "bench": config.bench.model_copy(update=measured),
            "runs": {"interhuman": {"intermamba": (0,), "in2in": (0,)}},
        }
    )


@pytest.fixture
def standin(tmp_path: Path) -> Path:
    """A folder like the source of mamba_ssm, which cannot be imported."""
    pytest.importorskip("einops")
    file = tmp_path / "source/mamba_ssm/ops/selective_scan_interface.py"
    file.parent.mkdir(parents=True)
    file.write_text(STANDIN)
    return tmp_path / "source"


def test_everything_is_measured_or_says_why_not(tiny: Config, standin: Path) -> None:
    done = Counted()
    bench.run(tiny, standin, done)
    assert [total for total, *_ in done.parts] == [len(done.steps)]
    found = {name: pd.read_csv(path("bench", profile="smoke", table=name, format="csv")) for name in bench.TABLES}
    for name in ("scan", "models", "growth"):
        here = found[name]["device"] == "cpu"
        measured = found[name]["runs"] > 0
        assert (found[name].loc[~here, "note"] == "not measured: ran on cpu").sum() >= 1
        assert not measured[~here].any()
        assert found[name].loc[~measured, "note"].str.startswith("not measured").all()
        assert (found[name].loc[measured, "seconds_q1"] <= found[name].loc[measured, "seconds_q3"]).all()
    scan = found["scan"].query("device == 'cpu'").set_index(["pass", "side"])
    assert scan.loc[("forward", "cpu"), "ratio"] == 1
    assert {"reference", "cpu", scans.OFFICIAL, scans.MAMBAPY} == set(scan.index.get_level_values("side"))
    costs = found["models"].query("device == 'cpu'")
    assert set(costs.query("what == 'training'")["way"]) == set(models.SCANS)
    assert (costs["memory"] > 0).all()
    assert len(found["exponents"]) == 2 * 2  # models, axes
    record = json.loads(record_of(path("bench", profile="smoke", table="scan", format="csv")).read_text())
    assert record["stage"] == "bench"
    assert record["notes"]["threads"] == {"scan": 2, "models": 1} or record["notes"]["threads"]["scan"] == 1
    assert set(record["notes"]["compared"]) == {scans.OFFICIAL}

    text = report.write("smoke")
    assert "| temporal (1 x 6 x 9 x 2) | forward | cpu (cpu) |" in text
    assert "| all | all (cuda) | not measured: ran on cpu |" in text
    assert report.summary() == ""
    shutil.copytree("results/smoke/bench", report.FOLDER)
    shown = report.summary()
    assert "| 1 x 6 x 9 x 2, forward + backward |" in shown
    assert "training step, 2 clips, 12 frames (ms)" in shown
    assert (Path("results/smoke/bench") / "bench.md").read_text() == text


def test_what_a_gpu_gave_is_shown_beside_the_paper(tiny: Config) -> None:
    bench.run(tiny)
    gpu = Path("gpu")  # what `make gpu` writes: the same tables, outcomes of tests, and a row a repeat and precision
    shutil.copytree("results/smoke/bench", gpu)
    shutil.copytree(ROOT / "results/paper/reported", "results/paper/reported")
    (gpu / "tests.csv").write_text("outcome,tests\npassed,24\nfailures,0\n")
    values = [("float32", 0, 1.0), ("float32", 1, 3.0), ("bfloat16", 0, 1.5), ("bfloat16", 1, 3.7)]
    rows = [{"method": method, "repeat": repeat, "metric": "fid", "value": value} for method, repeat, value in values]
    pd.DataFrame(rows).to_csv(gpu / "precision.csv", index=False)
    times = {"wall_q1": 0.12, "wall_median": 0.125, "wall_q3": 0.13}
    layers = [{"side": side, "steps": 64, "memory_mib": 2.0, **times} for side in ("attention", "Mamba-1")]
    pd.DataFrame(layers).to_csv(gpu / "crossover.csv", index=False)
    shown = gpu_report.render(gpu)
    assert "Tests on the GPU: 24 passed." in shown
    assert re.search(r"\| InterMamba \| [\d.]+ \| 0.567 \|", shown)  # beside the paper's seconds
    assert "| FID | 2.000 | +0.600 | 1.271 |" in shown  # 0.1 * 12.706, Student's t with one degree of freedom
    assert "| 64 | 0.125 (0.120–0.130) | 0.125 (0.120–0.130) | 2.00 | 2.00 |" in shown
    assert gpu_report.summary() == gpu_report.NOTHING


def test_sides_compute_the_same(standin: Path) -> None:
    pytest.importorskip("mambapy")
    values = scans.arguments(2, 6, 9, 3)
    sides = {name: scan(**values) for name, scan in scans.sides("cpu", standin).items() if not isinstance(scan, str)}
    assert len(sides) == 4
    for y in sides.values():
        torch.testing.assert_close(y, sides["reference"], rtol=1e-4, atol=1e-5)


def test_what_is_not_installed_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans.importlib.util, "find_spec", lambda _: None)
    found = scans.sides("cuda")
    assert [name for name, scan in found.items() if isinstance(scan, str)] == [
        "mamba_ssm", scans.OFFICIAL, scans.MAMBAPY,
    ]  # fmt: skip


def test_a_folder_without_the_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="selective_scan_interface"):
        scans.mamba_ssm_reference(tmp_path)


def test_sides_take_turns_until_their_time_is_up() -> None:
    calls: list[str] = []
    sides = {name: lambda name=name: calls.append(name) for name in "ab"}
    taken = timing.interleaved(sides, 3, 60.0, "cpu")
    assert "".join(calls) == "ab" * 4  # one call of each to warm up
    assert [len(series) for series in taken.values()] == [3, 3]
    assert timing.interleaved(sides, 3, 0.0, "cpu") == {"a": [], "b": []}


def test_what_does_not_fit_into_memory_has_no_time() -> None:
    def too_large() -> None:
        raise torch.OutOfMemoryError

    assert timing.interleaved({"a": too_large, "b": lambda: None}, 1, 1.0, "cpu")["a"] == []


def test_growth_is_fitted() -> None:
    sizes = [64, 128, 256, 512]
    slope, error = timing.exponent(sizes, [3e-6 * size**1.25 for size in sizes])
    assert slope == pytest.approx(1.25)
    assert error == pytest.approx(0, abs=1e-9)
    noisy = [1.0, 2.2, 3.7, 8.5]
    slope, error = timing.exponent(sizes, noisy)
    x, y = np.log(sizes), np.log(noisy)
    fit, covariance = np.polyfit(x, y, 1, cov=True)
    assert (slope, error) == pytest.approx((fit[0], covariance[0, 0] ** 0.5))


def test_memory_is_the_most_held_at_once() -> None:
    def call() -> None:
        for _ in range(3):
            first = torch.ones(1 << 18)
            second = first + 1
            del first, second

    assert timing.peak(call, "cpu") == pytest.approx(2 << 20, rel=0.01)
