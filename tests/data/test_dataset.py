"""Items are functions of (seed, epoch, index) alone; windows, orders and captions follow the official loaders."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import config_for, dancer

from intermamba.config import DatasetConfig
from intermamba.data import dataset as data
from intermamba.data import interhuman, interx
from intermamba.data.dataset import ClipDataset, EpochSampler, Item, WindowDataset, all_captions, collate, loader
from intermamba.data.mirrored_captions import exchange_sides
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.datasets import DATASETS
from intermamba.errors import ConfigError

CAPTIONS = ("The left one waves.", "They turn counterclockwise.", "Both bow.")
LENGTHS = (30, 90, 64)


def settings_for(dataset: str, **changes: object) -> DatasetConfig:
    return config_for(dataset, "synthetic", **changes).datasets[dataset]


@pytest.fixture
def interhuman_split(tmp_path: Path) -> SplitFile:
    clips = [
        Clip(
            f"c{number}",
            np.stack([dancer(frames, 0.4), dancer(frames, 2.0, 1.0, 0.5, number)], axis=1).astype(np.float32),
            tuple(f"{caption} ({number})" for caption in CAPTIONS),
            individual=(("The first steps left.", "The first waits."), ("The second steps left.",)),
        )
        for number, frames in enumerate(LENGTHS)
    ]
    write_split(tmp_path / "ih.safetensors", clips, dataset="interhuman", split="train", origin="synthetic")
    return SplitFile(tmp_path / "ih.safetensors")


@pytest.fixture
def interx_split(tmp_path: Path) -> SplitFile:
    def ramp(frames: int) -> np.ndarray:
        """Translation x tells the frame, so a window can be told from its motion."""
        motion = np.zeros((frames, 2, 168), np.float32)
        motion[..., 165] = np.arange(frames)[:, None]
        return motion

    clips = [
        Clip(f"x{number}", ramp(frames), CAPTIONS, tuple((f"word{i}/NOUN",) for i in range(3)))
        for number, frames in enumerate(LENGTHS)
    ]
    write_split(
        tmp_path / "ix.safetensors", clips, dataset="interx", split="test", origin="synthetic", skeleton="neutral"
    )
    return SplitFile(tmp_path / "ix.safetensors")


def same(one: Item, other: Item) -> bool:
    return np.array_equal(one.motion, other.motion) and (one.caption, one.clip) == (other.caption, other.clip)


def test_an_item_depends_on_seed_epoch_and_index_only(interhuman_split: SplitFile) -> None:
    settings = settings_for("interhuman")
    forth = ClipDataset(interhuman_split, settings, "train", seed=3)
    back = ClipDataset(interhuman_split, settings, "train", seed=3)
    keys = [(epoch, index) for epoch in range(3) for index in range(len(forth))]
    expected = {key: forth[key] for key in keys}
    assert all(same(back[key], expected[key]) for key in reversed(keys))
    other = ClipDataset(interhuman_split, settings, "train", seed=4)
    assert not all(same(other[key], expected[key]) for key in keys)
    assert not all(same(expected[0, index], expected[1, index]) for index in range(len(forth)))


def test_fixed_items_are_first_caption_first_window_recorded_order(interhuman_split: SplitFile) -> None:
    fixed = ClipDataset(interhuman_split, settings_for("interhuman", max_frames=64), "fixed", seed=0)
    assert len(fixed) == 3
    item = fixed[5, 1]
    raw = interhuman_split.clip(1, 0, 64)
    assert item.caption == "The left one waves. (1)"
    assert item.clip == "c1"
    assert item.tokens == ()
    assert item.motion.shape == (63, 2, 262)
    np.testing.assert_array_equal(item.motion, interhuman.pair_features(raw[:, 0], raw[:, 1]))


def test_training_doubles_with_mirrored_clips(interhuman_split: SplitFile) -> None:
    settings = settings_for("interhuman")
    train = ClipDataset(interhuman_split, settings, "train", seed=0)
    assert len(train) == 6
    assert len(ClipDataset(interhuman_split, settings, "official", seed=0)) == 3
    assert len(ClipDataset(interhuman_split, settings_for("interhuman", mirror=False), "train", seed=0)) == 3
    captions = {exchange_sides(f"{caption} (0)") for caption in CAPTIONS}
    raw = interhuman.mirror(interhuman_split.clip(0))
    pairs = [interhuman.pair_features(raw[:, one], raw[:, 1 - one])[:, ::turn] for one in (0, 1) for turn in (1, -1)]
    seen = set()
    for epoch in range(40):
        item = train[epoch, 3]
        assert item.clip == "c0_mirrored"
        assert item.caption in captions
        matches = [number for number, pair in enumerate(pairs) if np.array_equal(item.motion, pair)]
        assert len(matches) == 1
        seen |= {(matches[0], item.caption)}
    assert len({order for order, _ in seen}) == 4  # who is the origin, and who comes first
    assert len({caption for _, caption in seen}) == 3


def test_windows_of_long_interhuman_clips(interhuman_split: SplitFile) -> None:
    settings = settings_for("interhuman", max_frames=64)
    clips = ClipDataset(interhuman_split, settings, "official", seed=0)
    frames = [{person.tobytes() for person in frame} for frame in interhuman_split.clip(1)[:, :, 66:]]
    starts = set()
    for epoch in range(200):
        motion = clips[epoch, 1].motion
        assert len(motion) == 63
        starts.add(frames.index({person.tobytes() for person in motion[0, :, interhuman.ROTATIONS]}))
    assert min(starts) == 0
    assert max(starts) == 90 - 64 - 1  # as officially, the last window is never drawn
    assert len(clips[0, 2].motion) == 63  # exactly max_frames: no window to draw


def test_windows_of_interx_are_whole_units(interx_split: SplitFile) -> None:
    clips = ClipDataset(interx_split, settings_for("interx", max_frames=64), "official", seed=0)
    drawn = [clips[epoch, 0].motion[:, 0, 330] for epoch in range(300)]
    lengths = {len(motion) for motion in drawn}
    assert lengths == {28, 24}  # of 30 frames: 7 units, or one fewer
    assert 0.2 < np.mean([len(motion) == 24 for motion in drawn]) < 0.45
    assert {int(motion[0]) for motion in drawn if len(motion) == 28} == {0, 1, 2}
    assert {int(motion[0]) for motion in drawn if len(motion) == 24} == set(range(7))
    long = [clips[epoch, 1].motion[:, 0, 330] for epoch in range(100)]
    assert {len(motion) for motion in long} == {64}
    assert max(int(motion[0]) for motion in long) <= 6  # long clips start in their first frames, as officially
    assert {clips[epoch, 0].tokens for epoch in range(30)} == {(f"word{i}/NOUN",) for i in range(3)}


def test_fixed_interx_items(interx_split: SplitFile) -> None:
    fixed = ClipDataset(interx_split, settings_for("interx", max_frames=64), "fixed", seed=0)
    np.testing.assert_array_equal(fixed[0, 0].motion, interx.features(interx_split.clip(0)[:28]))
    np.testing.assert_array_equal(fixed[0, 1].motion, interx.features(interx_split.clip(1)[:64]))
    assert fixed[0, 0].tokens == ("word0/NOUN",)


def test_interx_is_not_mirrored(interx_split: SplitFile) -> None:
    with pytest.raises(ConfigError, match=r"datasets.interx.mirror is true.*Set it to false"):
        ClipDataset(interx_split, settings_for("interx", mirror=True), "train", seed=0)


def test_captions_of_the_persons_follow_the_persons(interhuman_split: SplitFile) -> None:
    """Officially they stay in file order while the persons are exchanged; here each goes with its motion."""
    clips = ClipDataset(interhuman_split, settings_for("interhuman", max_frames=300), "train", seed=3)
    raw = interhuman_split.clip(1)
    orders = set()
    for epoch in range(12):
        for index, recorded in ((1, raw), (1 + len(LENGTHS), interhuman.mirror(raw))):
            item = clips[epoch, index]
            first = 0 if np.array_equal(item.motion[:, 0, 132:258], recorded[:-1, 0, 66:]) else 1
            assert item.individual is not None
            assert np.array_equal(item.motion[:, 1 - first, 132:258], recorded[:-1, 1, 66:])
            assert "first" in item.individual[first]
            assert "second" in item.individual[1 - first]
            # Sides of mirrored clips are exchanged.
            assert ("right" in item.individual[1 - first]) == (index > 1)
            orders.add(first)
    assert orders == {0, 1}


def test_captions_of_the_persons_when_nothing_is_drawn(interhuman_split: SplitFile) -> None:
    clips = ClipDataset(interhuman_split, settings_for("interhuman"), "fixed", seed=3)
    assert clips[0, 0].individual == ("The first steps left.", "The second steps left.")
    batch = collate([clips[0, 0], clips[0, 1]], 100)
    assert batch.individual == (("The first steps left.", "The second steps left."),) * 2


def test_epochs_are_permutations_of_their_own() -> None:
    sampler = EpochSampler(50, seed=1)
    first = list(sampler)
    assert sorted(first) == [(0, index) for index in range(50)]
    assert first == list(EpochSampler(50, seed=1))
    sampler.set_epoch(3)
    assert {epoch for epoch, _ in sampler} == {3}
    assert [index for _, index in sampler] != [index for _, index in first]
    assert list(EpochSampler(3, seed=1, shuffle=False)) == [(0, 0), (0, 1), (0, 2)]


def test_processes_share_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(EpochSampler(11, seed=1))
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(data, "_rank_and_world", lambda rank=rank: (rank, 2))
        sampler = EpochSampler(11, seed=1, shared=True)
        parts.append(list(sampler))
        assert len(sampler) == 5
        assert list(EpochSampler(11, seed=1)) == whole
    assert [key for pair in zip(*parts, strict=True) for key in pair] == whole[:10]


def test_batches_are_padded_and_masked(interhuman_split: SplitFile) -> None:
    fixed = ClipDataset(interhuman_split, settings_for("interhuman", max_frames=64), "fixed", seed=0)
    batch = collate([fixed[0, 0], fixed[0, 1]], frames=70)
    assert batch.motion.shape == (2, 70, 2, 262)
    assert batch.length.tolist() == [29, 63]
    assert batch.mask.sum(1).tolist() == [29, 63]
    assert batch.mask[:, :29].all()
    assert not batch.motion[~batch.mask].any()
    assert batch.clip == ("c0", "c1")
    moved = batch.to("cpu")
    assert torch.equal(moved.motion, batch.motion)
    assert moved.caption == batch.caption


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_processes_and_global_seeds_change_nothing(interhuman_split: SplitFile, workers: int) -> None:
    clips = ClipDataset(interhuman_split, settings_for("interhuman", max_frames=64), "train", seed=0)
    state = torch.get_rng_state()
    made = loader(clips, 2, 64, shuffle=True, drop_last=True, workers=workers)
    made.sampler.set_epoch(1)
    batches = list(made)
    assert torch.equal(torch.get_rng_state(), state)
    keys = list(EpochSampler(6, seed=0, epoch=1))
    assert len(batches) == 3
    for batch, pair in zip(batches, (keys[0:2], keys[2:4], keys[4:6]), strict=True):
        expected = collate([clips[key] for key in pair], 64)
        assert torch.equal(batch.motion, expected.motion)
        assert batch.caption == expected.caption


def test_epoch_moves_on_through_the_sampler(interhuman_split: SplitFile) -> None:
    clips = ClipDataset(interhuman_split, settings_for("interhuman"), "train", seed=0)
    batches = loader(clips, 4, 64, shuffle=True, drop_last=False)
    first = [batch.clip for batch in batches]
    assert [len(clip) for clip in first] == [4, 2]
    batches.sampler.set_epoch(1)
    assert [batch.clip for batch in batches] != first


@pytest.mark.parametrize("name", ["interhuman", "interx"])
def test_windows_of_another_dataset_are_those_of_its_family(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = request.getfixturevalue(f"{name}_split")
    monkeypatch.setitem(DATASETS, "another", replace(DATASETS[name], name="another"))
    place = tmp_path / "another.safetensors"
    write_split(place, [Clip("a", split.clip(1), ("They bow.",))], dataset="another", split="train", origin="synthetic")
    own, other = (WindowDataset(one, 20, seed=0) for one in (split, SplitFile(place)))
    first = sum(max(frames - DATASETS[name].lost - 20, 0) for frames in LENGTHS[:1])
    np.testing.assert_array_equal(other[0, 5].motion, own[0, first + 5].motion)


@pytest.mark.parametrize("rule", ["corrected", "official"])
def test_all_captions_hold_everything_an_item_can_carry(interhuman_split: SplitFile, rule: str) -> None:
    settings = settings_for("interhuman", caption_swap=rule)
    captions = all_captions([interhuman_split], settings)
    assert captions == sorted(set(captions))
    clips = ClipDataset(interhuman_split, settings, "train", seed=0)
    items = [clips[epoch, index] for epoch in range(30) for index in range(len(clips))]
    assert {item.caption for item in items} | {said for item in items for said in item.individual} == set(captions)
    plain = all_captions([interhuman_split], settings_for("interhuman", mirror=False))
    of_persons = {"The first steps left.", "The first waits.", "The second steps left."}
    assert set(plain) == of_persons | {f"{caption} ({number})" for caption in CAPTIONS for number in range(3)}
