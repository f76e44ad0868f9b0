"""Real motions as the protocol draws them: both modes by name, and what is made from a draw."""

import numpy as np
import pytest
import torch
from data_folders import dancer
from places import ROOT

from evaluators import protocol as protocols
from evaluators.sources import RealSource, ShuffledSource
from intermamba.config import load
from intermamba.data import interhuman
from intermamba.data.dataset import Batch
from intermamba.data.splits import Clip, SplitFile, write_split

CLIPS, LONGEST = 24, 30


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> SplitFile:
    path = tmp_path_factory.mktemp("split") / "test.safetensors"
    clips = []
    for number in range(CLIPS):
        people = (dancer(40 + number, 0.1, phase=number), dancer(40 + number, 3.0, 0.2, 0.9, phase=2 * number))
        motion = np.stack([person.astype(np.float32) for person in people], axis=1)
        clips.append(Clip(f"c{number}", motion, (f"first {number}", f"second {number}")))
    write_split(path, clips, dataset="interhuman", split="test", origin="synthetic")
    return SplitFile(path)


def source(split: SplitFile, name: str = "interhuman-tiny") -> RealSource:
    settings = load("smoke", ROOT / "params.yaml").datasets["interhuman"]
    small = {"batch": 8, "diversity_pairs": 12}
    protocol = protocols.load(name).model_copy(update=small)
    return RealSource(split, settings.model_copy(update={"max_frames": LONGEST, "individual": False}), protocol)


def drawn(batches: list[Batch]) -> list[tuple[str, str, bytes]]:
    return [
        (clip, caption, motion.numpy().tobytes())
        for batch in batches
        for clip, caption, motion in zip(batch.clip, batch.caption, batch.motion, strict=True)
    ]


def test_official_draws_everything_by_seed(split: SplitFile) -> None:
    real = source(split)
    one, again, other = (drawn(list(real.batches(seed))) for seed in (1, 1, 2))
    assert one == again
    assert [clip for clip, *_ in one] != [clip for clip, *_ in other]  # order of clips
    by_clip = [{clip: rest for clip, *rest in draw} for draw in (one, other)]
    changed = [[by_clip[0][clip][what] != by_clip[1][clip][what] for clip in by_clip[0]] for what in (0, 1)]
    assert 0 < sum(changed[0]) < CLIPS  # captions: some clips get the other one
    assert sum(changed[1]) > CLIPS / 2  # windows and persons


def test_fixed_draws_nothing(split: SplitFile) -> None:
    real = source(split, "interhuman-tiny-fixed")
    one, other = (drawn(list(real.batches(seed))) for seed in (1, 2))
    assert one == other
    for clip, caption, motion in one:
        index = split.ids.index(clip)
        raw = split.clip(index, 0, LONGEST)
        expected = np.zeros((LONGEST, 2, 262), np.float32)
        expected[: LONGEST - 1] = interhuman.pair_features(raw[:, 0], raw[:, 1])  # first window, persons as recorded
        assert caption == f"first {index}"
        assert motion == expected.tobytes()


def test_shuffled_captions_leave_motions_alone(split: SplitFile) -> None:
    pairs = zip(ShuffledSource(source(split)).batches(4), source(split).batches(4), strict=True)
    for batch, real in pairs:
        assert torch.equal(batch.motion, real.motion)
        assert batch.clip == real.clip
        assert sorted(batch.caption) == sorted(real.caption)
        assert batch.caption != real.caption
