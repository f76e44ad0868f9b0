"""Split files hold the processed clips, statistics are those of what training sees, and two runs give equal bytes."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_folders import (
    CAPTIONS,
    body_model,
    config_for,
    dancer,
    rest_pose,
    smplx,
    to_hdf5,
    write_interhuman,
    write_interx,
)
from stages import run as run_stage

from intermamba import files, paths
from intermamba.config import Config
from intermamba.data import interhuman, interx, preprocess
from intermamba.data.layouts import layout
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.datasets import DATASETS
from intermamba.errors import DataError, StateError
from intermamba.skeleton import PARENTS

WRITE = {"interhuman": write_interhuman, "interx": write_interx}


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prepare(dataset: str, root: Path, **changes: object) -> Config:
    config = config_for(dataset, root, **changes)
    run_stage("fetch", config, dataset)
    run_stage("preprocess", config, dataset)
    return config


def split_path(dataset: str, split: str) -> Path:
    return paths.path("split", profile="smoke", dataset=dataset, split=split)


def stats(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    tensors, _ = files.read_tensors(paths.path("stats", profile="smoke", dataset=dataset))
    return tensors["mean"].numpy(), tensors["std"].numpy()


def test_interhuman_split_holds_the_raw_columns(tmp_path: Path) -> None:
    prepare("interhuman", write_interhuman(tmp_path / "raw"))
    split = SplitFile(split_path("interhuman", "train"))
    assert (split.dataset, split.split, split.origin, split.skeleton) == ("interhuman", "train", "official", None)
    assert split.ids == ("11", "12", "13")
    assert len(split) == 3
    assert split.captions(1) == tuple(text for text in CAPTIONS if text.strip())
    assert split.tokens(1) == ()
    assert split.frames(1) == 41
    clip = split.clip(1)
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip[:, 1], dancer(41, 0.6 + 1, 2.0, phase=3).astype(np.float32))
    np.testing.assert_array_equal(split.clip(1, 30, 100), clip[30:])  # never runs into the next clip
    np.testing.assert_array_equal(split.clip(1, 5, 7), clip[5:12])


def test_interx_split_holds_every_fourth_frame(tmp_path: Path) -> None:
    prepare("interx", write_interx(tmp_path / "raw"))
    split = SplitFile(split_path("interx", "train"))
    assert split.skeleton == "neutral"
    persons = [
        interx.person_pose(
            **{key: array[::4] for key, array in smplx(164, phase=1.0 + person, x=float(person)).items()}
        )
        for person in (1, 2)
    ]
    np.testing.assert_array_equal(split.clip(1), interx.pair(*persons))
    assert split.tokens(1)[1] == ("They/NOUN", "greet/NOUN", "each/NOUN", "other/NOUN")
    assert split.captions(1)[1] == "They greet each other."


def test_processed_files_become_the_same_split_as_raw_ones(tmp_path: Path) -> None:
    """What the owners' scripts would have made of the raw files goes in as HDF5; only their floor is theirs."""
    root = write_interx(tmp_path / "raw")
    prepare("interx", root, order="official")
    raw = {split: SplitFile(split_path("interx", split)) for split in paths.SPLITS}
    recorded = {}
    place = layout("interx", root, config_for("interx", root).datasets["interx"])
    for name in (name for split in raw.values() for name in split.ids):
        motion = place.read(name).motion.reshape(-1, 2, 56, 3)
        recorded[name] = np.concatenate([motion[:, 0], motion[:, 1]], axis=-1)
    expected = {split: [file.clip(index) for index in range(len(file))] for split, file in raw.items()}
    prepare("interx", to_hdf5(root, recorded), order="official")
    for split, clips in expected.items():
        processed = SplitFile(split_path("interx", split))
        assert processed.skeleton == "neutral, floor by the owners"
        for index, clip in enumerate(clips):
            np.testing.assert_array_equal(processed.clip(index), clip)


def test_users_body_gives_floor_and_bones(tmp_path: Path) -> None:
    root, model = write_interx(tmp_path / "raw"), tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(model, **body_model())
    prepare("interx", root)
    neutral = SplitFile(split_path("interx", "train"))
    np.testing.assert_array_equal(neutral.offsets, interx.NEUTRAL)
    before = neutral.clip(0)
    prepare("interx", root, skeleton=str(model))
    split = SplitFile(split_path("interx", "train"))
    assert split.skeleton == f"smplx-{files.sha256(model)[:12]}"
    expected = rest_pose()
    expected[1:] -= rest_pose()[list(PARENTS[1:])]
    np.testing.assert_allclose(split.offsets, expected, atol=1e-12)
    # The same bones hang from a pelvis 0.35 m lower: both people rise by that, relative to each other nothing changes.
    np.testing.assert_allclose(split.clip(0), before, atol=1e-6)
    alone = interx.person_pose(**{key: array[::4] for key, array in smplx(160, phase=1.0, x=1.0).items()})
    risen = interx.person_pose(
        **{key: array[::4] for key, array in smplx(160, phase=1.0, x=1.0).items()}, offsets=split.offsets
    )
    np.testing.assert_allclose(risen[:, 55, 1] - alone[:, 55, 1], 0.35, atol=1e-6)
    record = files.read_json(paths.record_of(split_path("interx", "train")))
    assert record["notes"]["skeleton"] == split.skeleton


def test_split_file_travels_to_other_processes(tmp_path: Path) -> None:
    prepare("interhuman", write_interhuman(tmp_path / "raw"))
    split = SplitFile(split_path("interhuman", "val"))
    copy = pickle.loads(pickle.dumps(split))
    np.testing.assert_array_equal(copy.clip(0), split.clip(0))


@pytest.mark.parametrize("dataset", WRITE)
def test_two_runs_give_equal_bytes(tmp_path: Path, dataset: str) -> None:
    root = WRITE[dataset](tmp_path / "raw")
    prepare(dataset, root)
    artefacts = [path for path in (tmp_path / "data").rglob("*") if path.suffix == ".safetensors"]
    assert len(artefacts) == 4
    first = {path: path.read_bytes() for path in artefacts}
    prepare(dataset, root)
    assert {path: path.read_bytes() for path in artefacts} == first


@pytest.mark.parametrize("mirror", [False, True])
def test_interhuman_statistics_are_those_of_all_items(tmp_path: Path, mirror: bool) -> None:
    root = write_interhuman(tmp_path / "raw", frames=70)
    prepare("interhuman", root, max_frames=64, mirror=mirror)
    split = SplitFile(split_path("interhuman", "train"))
    items = []
    for index in range(3):
        raw = split.clip(index).astype(np.float64)
        for window in (raw[:64], raw[64:]):
            for copy in (window, interhuman.mirror(window)) if mirror else (window,):
                items.append(interhuman.pair_features(copy[:, 0], copy[:, 1]))
                items.append(interhuman.pair_features(copy[:, 1], copy[:, 0]))
    everything = np.concatenate(items).reshape(-1, 262)
    mean, std = stats("interhuman")
    np.testing.assert_allclose(mean, everything.mean(0), atol=1e-5)
    np.testing.assert_allclose(std, np.maximum(everything.std(0), preprocess.STD_FLOOR), atol=1e-4)
    if mirror:
        np.testing.assert_allclose(mean[[258, 259]], mean[[260, 261]])  # left and right are the same
        np.testing.assert_allclose(mean[0], 0, atol=1e-6)


def test_interx_statistics_and_constant_features(tmp_path: Path) -> None:
    prepare("interx", write_interx(tmp_path / "raw"))
    split = SplitFile(split_path("interx", "train"))
    everything = np.concatenate([interx.features(split.clip(index)) for index in range(3)]).reshape(-1, 336)
    mean, std = stats("interx")
    np.testing.assert_allclose(mean, everything.mean(0), atol=1e-5)
    assert (std >= np.float32(preprocess.STD_FLOOR)).all()
    normalised = (everything - mean) / std
    assert np.abs(normalised).max() < 50
    padding = slice(333, 336)
    np.testing.assert_array_equal(mean[padding], 0)
    np.testing.assert_array_equal(std[padding], np.float32(preprocess.STD_FLOOR))


def test_short_and_overlong_clips_are_dropped_and_told(tmp_path: Path) -> None:
    ids = {"train": ("11", "12"), "val": ("21", "22"), "test": ("31", "32")}
    prepare("interhuman", write_interhuman(tmp_path / "raw", ids), min_frames=41)
    assert SplitFile(split_path("interhuman", "train")).ids == ("12",)
    record = files.read_json(paths.record_of(split_path("interhuman", "train")))
    assert record["notes"]["dropped"] == {"train": {"11": 40}, "val": {"21": 40}, "test": {"31": 40}}


def test_overlong_interx_clips_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "interx", replace(DATASETS["interx"], longest=41))
    prepare("interx", write_interx(tmp_path / "raw"))
    assert SplitFile(split_path("interx", "train")).ids == ("11",)


def test_split_without_clips_stops_before_any_file_appears(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"interhuman: no clip of split 'val' is left.*min_frames"):
        prepare("interhuman", write_interhuman(tmp_path / "raw"), min_frames=41)
    assert not list((tmp_path / "data").rglob("*.safetensors"))


def test_a_file_that_breaks_on_the_way_leaves_the_old_artefacts(tmp_path: Path) -> None:
    root = write_interhuman(tmp_path / "raw")
    config = prepare("interhuman", root)
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.safetensors")}
    motion = root / "motions_processed/person1/32.npy"  # read last
    motion.write_bytes(b"\x00" * motion.stat().st_size)
    with pytest.raises(DataError, match=r"person1/32.npy: truncated"):
        run_stage("preprocess", config, "interhuman")
    assert {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.safetensors")} == before


def test_not_a_split_file(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"none.safetensors does not exist. Run `snakemake"):
        SplitFile(tmp_path / "none.safetensors")
    path = tmp_path / "split.safetensors"
    motion = np.zeros((3, 2, 192), np.float32)
    write_split(path, [Clip("a", motion, ("A.",))], dataset="interhuman", split="val", origin="official")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"split.safetensors: not a split file.*preprocess` again"):
        SplitFile(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not a split file"):
        SplitFile(path)


class TestUnits:
    def raw(self, root: Path, change) -> Path:
        write_interhuman(root)
        for file in (root / "motions_processed").rglob("*.npy"):
            columns = np.load(file)
            columns[:, :66] = change(columns[:, :66].reshape(-1, 22, 3)).reshape(-1, 66)
            np.save(file, columns)
        return root

    def test_centimetres_are_refused_and_nothing_is_written(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"test split of interhuman: bones .*looks like centimetres: divide by 100"):
            prepare("interhuman", self.raw(tmp_path / "raw", lambda joints: 100 * joints))
        assert not split_path("interhuman", "test").exists()

    def test_y_up_is_warned_of_and_recorded(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """InterHuman's files have z up: joints with y up lie on their backs."""
        prepare("interhuman", self.raw(tmp_path / "raw", lambda joints: joints[..., [0, 2, 1]] * [1, 1, -1]))
        (sentence,) = files.read_json(paths.record_of(split_path("interhuman", "train")))["notes"]["warnings"]
        assert "y is not up" in sentence
        assert f"warning: {sentence}" in capsys.readouterr().err


def test_the_registry_and_the_processing_count_alike() -> None:
    for name, module in (("interhuman", interhuman), ("interx", interx)):
        assert (DATASETS[name].features, DATASETS[name].columns) == (module.FEATURES, module.RAW)
