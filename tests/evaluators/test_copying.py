"""Copies of training clips: which clip is copied, and at which length; and how near motions are to training clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import dancer, smplx
from places import ROOT

from evaluators import copying
from evaluators import protocol as protocols
from evaluators.copying import STRIDE, CopiedSource, HeldSplit, TrainingClips, write_index
from evaluators.sources import RealSource
from intermamba.config import DatasetConfig, load
from intermamba.data import interhuman, interx
from intermamba.data.dataset import Batch, ClipDataset, collate
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.errors import DataError
from intermamba.files import write_arrays
from intermamba.representation import representation

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
    least = LONGEST + interx.UNIT
    assert [held.frames(index) for index in range(4)] == [max(least, whole.frames(index)) for index in range(4)]
    assert np.array_equal(held.clip(1), whole.clip(1))
    assert np.array_equal(held.clip(1, 5, 7), whole.clip(1, 5, 7))
    assert np.array_equal(held.clip(0)[whole.frames(0) :], np.repeat(whole.clip(0)[-1:], least - whole.frames(0), 0))


class Sums:
    """An evaluator whose space is a few sums of features."""

    def embed_text(self, batch: Batch) -> torch.Tensor:
        raise NotImplementedError

    def embed_motion(self, batch: Batch) -> torch.Tensor:
        return batch.motion.sum(dim=(1, 2))[:, :5]


@pytest.fixture
def known(splits, tmp_path: Path) -> TrainingClips:
    dataset, training, _ = splits
    path = tmp_path / "known.safetensors"
    assert write_index(path, training, settings_of(dataset), Sums(), representation(dataset)) == len(TRAINING)
    return TrainingClips(path)


def nearness(splits, known: TrainingClips, batch: Batch) -> dict[str, np.ndarray]:
    joints = representation(splits[0]).joints(batch.motion.double()).numpy()
    return known.nearness(Sums().embed_motion(batch).numpy(), joints, batch.mask.numpy())


def training_batch(splits, **changes: object) -> Batch:
    settings = settings_of(splits[0], **changes)
    clips = ClipDataset(SplitFile(splits[1]), settings, "fixed", seed=0)
    return collate([clips[0, index] for index in range(len(clips))], LONGEST)


def test_training_clips_are_at_distance_zero(splits, known: TrainingClips) -> None:
    found = nearness(splits, known, training_batch(splits))
    assert found["nearest_embedding"] == pytest.approx(np.zeros(len(TRAINING)), abs=1e-6)
    assert found["nearest_joints"] == pytest.approx(np.zeros(len(TRAINING)), abs=1e-4)


def test_the_frame_and_the_order_of_the_persons_do_not_matter(splits, known: TrainingClips) -> None:
    batch = training_batch(splits)
    swapped = replace(batch, motion=batch.motion.flip(2))
    assert nearness(splits, known, swapped)["nearest_joints"] == pytest.approx(np.zeros(len(TRAINING)), abs=1e-4)


def test_the_nearest_clip_is_found_as_by_comparing_each(splits, known: TrainingClips, monkeypatch) -> None:
    monkeypatch.setattr(copying, "_CHUNK", 3)
    dataset, training, test = splits
    clips = ClipDataset(test, settings_of(dataset), "fixed", seed=0)
    batch = collate([clips[0, index] for index in range(6)], LONGEST)
    found = nearness(splits, known, batch)["nearest_joints"]
    body, held = representation(dataset), ClipDataset(HeldSplit(training, LONGEST), settings_of(dataset), "fixed", 0)
    for row, length in enumerate(batch.length.tolist()):
        motion = body.joints(batch.motion[row, :length].double()).numpy()
        errors = []
        for index in range(len(TRAINING)):
            known_joints = body.joints(torch.from_numpy(held[0, index].motion).double()).numpy()[:LONGEST]
            for order in ((0, 1), (1, 0)):
                own = put(motion[:, list(order)])[::STRIDE]
                other = put(known_joints)[: len(motion) : STRIDE][: len(own)]
                errors.append(100 * np.sqrt(((own - other) ** 2).sum(-1).mean()))
        assert found[row] == pytest.approx(min(errors), rel=1e-4)


def put(joints: np.ndarray) -> np.ndarray:
    """The frame, one motion at a time: by a complex number on the floor."""
    floor = joints[..., 0] + 1j * joints[..., 2]
    hips = floor[0, 0, 1] - floor[0, 0, 2]
    turned = (floor - floor[0, 0, 0]) * np.conj(hips) / abs(hips)
    return np.stack([turned.real, joints[..., 1] - joints[0, 0, 0, 1], turned.imag], axis=-1)


def test_noise_is_as_far_as_it_is_large(splits, known: TrainingClips) -> None:
    if splits[0] == "interhuman":
        batch = training_batch(splits)
        joints = batch.motion[..., :66].unflatten(-1, (22, 3))
        far = [0.02, 0.2]
        found = [
            nearness(splits, known, replace(batch, motion=torch.cat([moved(joints, by), batch.motion[..., 66:]], -1)))
            for by in far
        ]
        near, further = (one["nearest_joints"].mean() for one in found)
        assert near == pytest.approx(100 * far[0] / np.sqrt(2), rel=0.02)  # the second person alone is moved
        assert near < further <= 100 * far[1] / np.sqrt(2) + 1e-3


def moved(joints: torch.Tensor, by: float) -> torch.Tensor:
    joints = joints.clone()
    joints[:, :, 1, :, 0] += by
    return joints.flatten(-2)


def test_another_file_is_no_index(tmp_path: Path) -> None:
    write_arrays(tmp_path / "x.safetensors", {"embedding": np.zeros((2, 3), np.float32)}, {})
    with pytest.raises(DataError, match=r"not an index of training clips\. Run `intermamba index-training`"):
        TrainingClips(tmp_path / "x.safetensors")
