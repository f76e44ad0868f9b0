"""Table 3's counts against closed forms, and the artefacts of the stage."""

import json

import pandas as pd
import pytest
import torch

import ablations
from intermamba import complexity
from intermamba.config import load
from intermamba.models import build
from intermamba.paths import path

VARIANTS = ablations.load()


def macs(name: str, frames: int, **sizes) -> dict[str, int]:
    with torch.device("meta"):
        return complexity.count_macs(build(VARIANTS[name], **sizes).eval(), frames)


def test_intergen_at_paper_size():
    counts = macs("intergen", 300)
    assert counts["macs_dense"] / 1e9 == pytest.approx(60.86, abs=0.01)
    # 8 blocks, self and cross, 2 persons, 2 products; one zero key is added to each
    assert counts["macs_attention"] == 8 * 2 * 2 * 2 * 300 * 301 * 1024
    assert counts["macs_scan"] == 0


def test_intermamba_at_paper_width_one_block_after_another():
    """A block's cost is the difference of two depths; eight and the rest make the whole model."""
    one, two = (macs("intermamba", 300, modules=1, blocks_per_module=blocks) for blocks in (1, 2))
    dense, scan = (two[key] - one[key] for key in ("macs_dense", "macs_scan"))
    assert (one["macs_dense"] + 7 * dense) / 1e9 == pytest.approx(34.93, abs=0.01)
    assert (one["macs_scan"] + 7 * scan) / 1e9 == pytest.approx(1.435, abs=0.001)
    assert scan == 2 * 2 * (300 * 1024 * 16 * 9 // 2 + 300 * 1024) * 2  # persons, modules, branches
    assert one["macs_attention"] == 0


def test_cost_grows_linearly_in_frames_but_for_the_frame_mixing_map():
    sizes = {"width": 32, "heads": 2, "max_frames": 200, "modules": 1, "blocks_per_module": 1, "state": 2, "rank": 2}
    short, middle, long = (macs("without_spatial", frames, **sizes) for frames in (50, 100, 150))
    assert long["macs_dense"] - middle["macs_dense"] == middle["macs_dense"] - short["macs_dense"]


def test_stage_writes_counts_and_times_apart(tmp_path, monkeypatch):
    config = load("smoke")
    monkeypatch.chdir(tmp_path)
    tiny = {"width": 16, "heads": 2, "feedforward": 16, "text_heads": 2, "text_feedforward": 16}
    runs = {"interhuman": {"intermamba": (0,), "intergen": (0,)}}
    config = config.model_copy(
        update={
            "model": config.model.model_copy(update=tiny),
            "complexity": config.complexity.model_copy(update={"frames": 8, "repeats": 3}),
            "diffusion": config.diffusion.model_copy(update={"sampling_steps": 2}),
            "runs": runs,
        }
    )
    complexity.run(config)
    counts = path("complexity", profile="smoke")
    first = counts.read_bytes()
    table = pd.read_csv(counts)
    assert table["method"].tolist() == ["intermamba", "intergen"]
    assert (table[["parameters", "macs_dense"]] > 0).all(axis=None)
    times = pd.read_csv(path("complexity_time", profile="smoke"))
    assert times["method"].tolist() == ["intermamba", "intergen"]
    assert (times["seconds_q1"] <= times["seconds_median"]).all()
    assert (times["seconds_median"] <= times["seconds_q3"]).all()
    record = json.loads(counts.with_name("complexity.csv.prov.json").read_text())
    assert len(record["outputs"]) == 2
    complexity.run(config)
    assert counts.read_bytes() == first
