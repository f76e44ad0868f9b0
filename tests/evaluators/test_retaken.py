"""Test clips performed again: the same clips in other performances."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stages import run as run_stage

from evaluators import protocol as protocols
from evaluators.sources import RealSource, RetakenSource
from intermamba.config import load
from intermamba.data.retaken import retaken
from intermamba.data.splits import SplitFile
from intermamba.data.synthetic.plan import performed_again, plan
from intermamba.paths import path


def test_only_the_seeds_of_test_clips_change():
    clips = plan(20, 5, 30, (1.5, 1.6), 0)
    again = performed_again(clips)
    kept = [one for one in clips if one.split == "test"]
    assert [(one.number, one.kind, one.parameters, one.seconds) for one in again] == [
        (one.number, one.kind, one.parameters, one.seconds) for one in kept
    ]
    assert not {one.seed for one in again} & {one.seed for one in clips}


@pytest.mark.parametrize("dataset", ["interhuman", "interx"])
def test_a_caption_gets_another_performance_of_its_clip(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    synthetic = {"train": 4, "val": 2, "test": 33}
    config = load("smoke", Path(__file__).parents[2] / "params.yaml", {"datasets": {dataset: {"synthetic": synthetic}}})
    for stage in ("fetch", "preprocess"):
        run_stage(stage, config, dataset)
    split = SplitFile(path("split", profile="smoke", dataset=dataset, split="test"))
    settings = config.datasets[dataset]
    other = retaken(split, settings, tmp_path / "again")
    assert other.ids == split.ids
    protocol = protocols.load(config.protocol[dataset])
    real, source = RealSource(split, settings, protocol), RealSource(other, settings, protocol)
    for before, after in zip(real.batches(1), RetakenSource(real, source).batches(1), strict=True):
        assert (before.clip, before.caption, before.tokens) == (after.clip, after.caption, after.tokens)
        torch.testing.assert_close(before.length, after.length)
        apart = (before.motion - after.motion).square().mean(dim=(1, 2, 3)).sqrt()
        assert (apart > 0.01).all()
        assert np.isfinite(after.motion.numpy()).all()
