"""Copies of training clips: which clip is copied, and that a copy is its motion at the asked length."""

from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import dancer, smplx
from places import ROOT

from evaluators import protocol as protocols
from evaluators.copying import CopiedSource, HeldSplit
from evaluators.sources import RealSource
from intermamba.config import DatasetConfig, load
from intermamba.data import interhuman, interx
from intermamba.data.splits import Clip, SplitFile, write_split

LONGEST = 40
SETTINGS = {"max_frames": LONGEST, "individual": False, "mirror": False}
LETTERS = "abcdefgh"
TRAINING = {"train0": ("aa", "ab"), "train1": ("ba",), "train2": ("ba", "bb"), "left": ("left",)}
FRAMES = {"train0": 24, "train1": 60, "train2": 30, "left": 44}


def features(captions: list[str] | tuple[str, ...]) -> torch.Tensor:
    """How often each letter occurs, and where."""
    return torch.tensor([[float(sum(2**-k for k, c in enumerate(one) if c == x)) for x in LETTERS] for one in captions])


def motion(dataset: str, frames: int, phase: float) -> np.ndarray:
    if dataset == "interx":
        return interx.pair(*(interx.person_pose(**smplx(frames, phase + who, float(who))) for who in (0, 1)))
    people = (dancer(frames, 0.1, phase=phase), dancer(frames, 3.0, 0.2, 0.9, phase=2 * phase))
    return np.stack([person.astype(np.float32) for person in people], axis=1)


def settings_of(dataset: str, **changes: object) -> DatasetConfig:
    return load("smoke", ROOT / "params.yaml").datasets[dataset].model_copy(update={**SETTINGS, **changes})


@pytest.fixture(scope="module", params=["interhuman", "interx"])
def splits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, SplitFile]:
    """A training split, and a test split of captions that are near known ones."""
    folder, dataset = tmp_path_factory.mktemp("splits"), request.param
    tokens = lambda said: tuple((f"{text}/NOUN",) for text in said) if dataset == "interx" else ()  # noqa: E731
    training = [
        Clip(name, motion(dataset, FRAMES[name], index), said, tokens(said))
        for index, (name, said) in enumerate(TRAINING.items())
    ]
    tests = [Clip(f"t{n}", motion(dataset, 28 + n, 9.0), ("bac",), tokens(("bac",))) for n in range(16)]
    for split, clips in (("train", training), ("test", tests)):
        write_split(folder / f"{split}.safetensors", clips, dataset=dataset, split=split, origin="synthetic")
    return dataset, folder / "train.safetensors", SplitFile(folder / "test.safetensors")


def copies(splits: tuple[str, Path, SplitFile], said=features, **changes: object) -> CopiedSource:
    dataset, training, test = splits
    protocol = protocols.load(f"{dataset}-tiny").model_copy(update={"batch": 8, "diversity_pairs": 12})
    settings = settings_of(dataset, **changes)
    return CopiedSource(RealSource(test, settings, protocol), training, settings, said)


def test_every_clip_with_the_nearest_caption_is_a_candidate(splits) -> None:
    source = copies(splits)
    assert source.nearest(["aa", "abe", "ba", "bac", "bb"]) == [[0], [0], [1, 2], [1, 2], [2]]
    assert source.nearest(["aaaaaaaa"]) == [[0]]


def test_of_captions_at_equal_distance_the_first_one_wins(splits) -> None:
    assert copies(splits, lambda said: torch.ones(len(said), 3)).nearest(["anything"]) == [[0]]


def test_mirrored_copies_are_candidates_by_their_own_captions(splits) -> None:
    if splits[0] == "interhuman":
        source = copies(splits, mirror=True)
        assert source.nearest(["left", "right"]) == [[3], [7]]
        drawn = source._clips[0, 7].motion
        raw = interhuman.mirror(SplitFile(splits[1]).clip(3, 0, LONGEST))
        assert np.array_equal(drawn, interhuman.pair_features(raw[:, 0], raw[:, 1]))


def test_a_copy_is_a_training_clip_cut_or_held_to_the_length_of_the_real_clip(splits) -> None:
    dataset, training, _ = splits
    whole, source = SplitFile(training), copies(splits)
    expected = {}
    for index in (1, 2):
        raw = whole.clip(index)
        held = raw[np.minimum(np.arange(max(LONGEST, len(raw))), len(raw) - 1)][:LONGEST]
        expected[index] = (
            interx.features(held) if dataset == "interx" else interhuman.pair_features(held[:, 0], held[:, 1])
        )
    real = list(source._real.batches(3))
    seen = set()
    for batch, copied in zip(real, source.batches(3), strict=True):
        assert (copied.clip, copied.caption, copied.tokens) == (batch.clip, batch.caption, batch.tokens)
        assert torch.equal(copied.length, batch.length)
        for row, length in zip(copied.motion.numpy(), copied.length.tolist(), strict=True):
            (found,) = [index for index, one in expected.items() if np.array_equal(row[:length], one[:length])]
            assert not row[length:].any()
            seen.add(found)
    assert seen == {1, 2}  # both clips with the nearest caption are drawn


def test_copies_depend_on_the_seed_alone(splits) -> None:
    one, again, other = ([batch.motion for batch in copies(splits).batches(seed)] for seed in (1, 1, 2))
    assert all(map(torch.equal, one, again))
    assert not all(map(torch.equal, one, other))


def test_there_is_one_copy_of_each_caption(splits) -> None:
    assert copies(splits).variations(0, 4, 4) is None


def test_a_held_split_keeps_longer_clips(splits) -> None:
    whole, held = SplitFile(splits[1]), HeldSplit(splits[1], LONGEST)
    assert [held.frames(index) for index in range(4)] == [max(LONGEST, whole.frames(index)) for index in range(4)]
    assert np.array_equal(held.clip(1), whole.clip(1))
    assert np.array_equal(held.clip(1, 5, 7), whole.clip(1, 5, 7))
    assert np.array_equal(held.clip(0)[whole.frames(0) :], np.repeat(whole.clip(0)[-1:], LONGEST - whole.frames(0), 0))
