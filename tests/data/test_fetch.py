"""Every malformed input stops the run with one message that names file and remedy, and nothing is written."""

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from counted import Counted
from data_folders import body_model, config_for, dump, smplx, to_hdf5, write_interhuman, write_interx
from scipy.sparse import csc_array
from stages import run as run_stage

from intermamba import files, paths
from intermamba.data import SYNTHETIC_MARKER, fetch
from intermamba.data.dataset import ClipDataset
from intermamba.data.splits import SplitFile
from intermamba.errors import ConfigError, DataError, StateError

P1, P2 = "motions_processed/person1/12.npy", "motions_processed/person2/12.npy"
X1, X2 = "motions/12/P1.npz", "motions/12/P2.npz"
BODY = "SMPLX_NEUTRAL.npz"
WRITE = {"interhuman": write_interhuman, "interx": write_interx}

Break = Callable[[Path], object]


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def artefacts(tmp_path: Path) -> list[Path]:
    """Files that a stage has written, finished or not; a lock is neither."""
    return [path for path in (tmp_path / "data").rglob("*") if path.is_file() and "lock" not in path.name]


def remove(name: str) -> Break:
    return lambda root: (root / name).unlink()


def text(name: str, content: str) -> Break:
    return lambda root: (root / name).write_text(content)


def cut(name: str, size: int) -> Break:
    return lambda root: os.truncate(root / name, size)


def npy(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Break:
    return lambda root: np.save(root / name, change(np.load(root / name)))


def npz(name: str, **changes: np.ndarray | None) -> Break:
    def write(root: Path) -> None:
        arrays = smplx(164) | changes
        np.savez(root / name, **{key: value for key, value in arrays.items() if value is not None})

    return write


def h5(change: Callable[[h5py.File], object]) -> Break:
    def write(root: Path) -> None:
        with h5py.File(root / "motions/train.h5", "a") as file:
            if "12" in file:
                del file["12"]
            change(file)

    return write


def clip_of(data: np.ndarray) -> Break:
    return h5(lambda file: file.create_dataset("12", data=data))


def outside(file: h5py.File) -> None:
    """Values in another file, which HDF5 would read as if they were its own."""
    secret = Path(file.filename).parent.parent / "secret"
    secret.write_bytes(bytes(40 * 56 * 6 * 4))
    file.create_dataset("12", (40, 56, 6), "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((40, 56, 6), "f4")
    layout[:] = h5py.VirtualSource("val.h5", "21", (40, 56, 6))
    file.create_virtual_dataset("12", layout)


def body(**changes: np.ndarray | None) -> Break:
    def write(root: Path) -> None:
        arrays = body_model() | changes
        np.savez(root / BODY, **{key: value for key, value in arrays.items() if value is not None})

    return write


def changed(name: str, entry: tuple[int, ...], value: float) -> Break:
    array = body_model()[name]
    array[entry] = value
    return body(**{name: array})


def write_with_body(root: Path) -> Path:
    write_interx(root)
    body()(root)
    return root


def lying(root: Path) -> None:
    """An archive whose member's header claims more than the member holds."""
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (164, 3), }".ljust(117)
    with zipfile.ZipFile(root / X1, "w") as archive:
        archive.writestr("root_orient.npy", header + b"\n" + bytes(100))
        for key in ("pose_body", "pose_lhand", "pose_rhand", "trans"):
            archive.writestr(f"{key}.npy", b"")


def with_nan(array: np.ndarray) -> np.ndarray:
    array[7, 100] = np.nan
    return array


def hips_together(array: np.ndarray) -> np.ndarray:
    array[5, 3:6] = array[5, 6:9]
    return array


class Payload:
    """What a hostile pickle would hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def without_mark(root: Path) -> None:
    words = ["sos", "eos", "wave", "left"]
    dump(root / "glove/hhi_vab_words.pkl", words)
    dump(root / "glove/hhi_vab_idx.pkl", {word: index for index, word in enumerate(words)})


INTERHUMAN = {
    "no train split": (remove("split/train.txt"), "split/train.txt: missing"),
    "no test split": (remove("split/test.txt"), "split/test.txt: missing"),
    "no ignore list": (remove("split/ignore_list.txt"), "ignore_list.txt: missing"),
    "empty split": (text("split/val.txt", "\n\n"), "split/val.txt: no clip id"),
    "split not text": (lambda root: (root / "split/val.txt").write_bytes(b"\xff\xfe\x00"), "split/val.txt: .*UTF-8"),
    "id twice": (text("split/train.txt", "11\n12\n11\n"), "train.txt: 11 appears 2 times"),
    "id in two splits": (text("split/val.txt", "21\n12\n"), "val.txt: 12 is in train.txt"),
    "id leaves the folder": (
        text("split/val.txt", "../../etc/passwd\n"),
        "val.txt: '../../etc/passwd' is not a clip id",
    ),
    "id without motion": (text("split/val.txt", "21\n99\n"), "person1/99.npy: missing"),
    "one person missing": (remove(P2), f"{P2}: missing"),
    "no captions file": (remove("annots/12.txt"), "annots/12.txt: missing"),
    "blank captions": (text("annots/12.txt", " \n\n"), "annots/12.txt: no caption"),
    "captions not text": (lambda root: (root / "annots/12.txt").write_bytes(b"\xff\xff"), "annots/12.txt: .*UTF-8"),
    "no captions of a person": (remove("annots_individual/person2/12.txt"), "person2/12.txt: missing"),
    "blank captions of a person": (text("annots_individual/person1/12.txt", "\n"), "person1/12.txt: no caption"),
    "captions of a person not text": (
        lambda root: (root / "annots_individual/person1/12.txt").write_bytes(b"\xff\xff"),
        "person1/12.txt: .*UTF-8",
    ),
    "ignore list not text": (
        lambda root: (root / "split/ignore_list.txt").write_bytes(b"\xff"),
        "ignore_list.txt: .*UTF-8",
    ),
    "longer than it says": (lambda root: (root / P1).open("ab").write(b"12345678"), f"{P1}: truncated or damaged"),
    "empty file": (cut(P1, 0), f"{P1}: truncated"),
    "cut header": (cut(P1, 40), f"{P1}: truncated"),
    "cut frames": (cut(P1, 5000), f"{P1}: truncated"),
    "not npy": (text(P1, "version https://git-lfs.github.com/spec/v1"), f"{P1}: truncated or not a .npy"),
    "wrong columns": (npy(P1, lambda a: a[:, :263]), rf"{P1}: shape \(41, 263\); needs \(frames, 492\)"),
    "wrong axes": (npy(P1, lambda a: a[None]), rf"{P1}: shape \(1, 41, 492\)"),
    "no frame": (npy(P1, lambda a: a[:0]), f"{P1}: "),
    "integers": (npy(P1, lambda a: a.astype(int)), f"{P1}: type int64"),
    "objects": (lambda root: np.save(root / P1, np.array([{}]), allow_pickle=True), f"{P1}: .*[Oo]bject"),
    "NaN": (npy(P1, with_nan), rf"{P1}: NaN or infinite values in frame 7 \(1 of 41"),
    "infinite": (npy(P1, lambda a: np.full_like(a, np.inf)), rf"{P1}: NaN or infinite values in frame 0 \(41 of 41"),
    "hips together": (npy(P1, hips_together), rf"{P1}: both hips at the same position in frame 5 \(1 of 41"),
    "unequal lengths": (npy(P2, lambda a: a[:-3]), f"{P2}: 38 frames, but 12.npy of the other person has 41"),
}
INTERX = {
    "no split": (remove("splits/test.txt"), "splits/test.txt: missing"),
    "no person": (remove(X2), f"{X2}: missing"),
    "no texts": (remove("texts/12.txt"), "texts/12.txt: missing"),
    "blank texts": (text("texts/12.txt", "\n"), "texts/12.txt: no caption"),
    "no processed texts": (remove("texts_processed/12.txt"), "texts_processed/12.txt: missing"),
    "three fields": (text("texts_processed/12.txt", "A#a/DET#0.0\n"), "texts_processed/12.txt: line 1 is not"),
    "no tokens": (text("texts_processed/12.txt", "A##0.0#0.0\n"), "texts_processed/12.txt: line 1 is not"),
    "bad token": (text("texts_processed/12.txt", "A#a/DET#0.0#0.0\nB#b#0.0#0.0"), "12.txt: line 2 is not"),
    "part of a clip": (text("texts_processed/12.txt", "A#a/DET#1.0#2.0\n"), "12.txt: line 1 describes a part"),
    "cut archive": (cut(X1, 3000), f"{X1}: truncated"),
    "not an archive": (text(X1, "nothing"), f"{X1}: truncated or not an .npz"),
    "key absent": (npz(X1, trans=None), f"{X1}: trans not in the archive"),
    "wrong joints": (npz(X1, pose_body=np.zeros((164, 63))), rf"{X1}: pose_body has shape \(164, 63\); needs"),
    "integers": (npz(X1, trans=np.zeros((164, 3), int)), f"{X1}: trans: type int64"),
    "objects": (npz(X1, trans=np.full((164, 3), None)), f"{X1}: .*[Oo]bject"),
    "NaN": (npz(X1, trans=np.full((164, 3), np.nan)), f"{X1}: trans: NaN or infinite values in frame 0"),
    "arrays of unequal length": (npz(X1, trans=np.zeros((160, 3))), f"{X1}: numbers of frames differ"),
    "no frame": (npz(X1, **{k: v[:0] for k, v in smplx(4).items()}), f"{X1}: numbers of frames differ or are zero"),
    "wrong hips": (npz(X1, root_orient=np.zeros((164, 1, 3))), rf"{X1}: root_orient has shape \(164, 1, 3\); needs"),
    "wrong left hand": (npz(X1, pose_lhand=np.zeros((164, 45))), rf"{X1}: pose_lhand has shape \(164, 45\); needs"),
    "wrong right hand": (npz(X1, pose_rhand=np.zeros((164, 12, 3))), rf"{X1}: pose_rhand has shape \(164, 12, 3\)"),
    "NaN in a hand": (npz(X1, pose_rhand=np.full((164, 15, 3), np.nan)), f"{X1}: pose_rhand: NaN or infinite"),
    "infinite body": (npz(X1, pose_body=np.full((164, 21, 3), np.inf)), f"{X1}: pose_body: NaN or infinite"),
    "header without its numbers": (lying, f"{X1}: root_orient: truncated or damaged"),
    "empty member": (
        lambda root: zipfile.ZipFile(root / X1, "w").writestr("trans.npy", b""),
        f"{X1}: root_orient, pose_body, pose_lhand, pose_rhand not in the archive, which holds trans",
    ),
    "rate of words": (npz(X1, fps=np.array("120 Hz")), f"{X1}: not recorded at 120"),
    "two rates": (npz(X1, fps=np.array([120.0, 60.0])), f"{X1}: not recorded at 120"),
    "wrong rate": (npz(X1, mocap_frame_rate=np.array(60.0)), f"{X1}: not recorded at 120"),
    "unequal lengths": (npz(X2, **smplx(120)), f"{X2}: 30 frames, but P1.npz of the other person has 41"),
    "hostile pickle": (
        lambda root: dump(root / "annots/interaction_order.pkl", Payload()),
        "interaction_order.pkl: .*(posix|nt).system is not allowed",
    ),
    "order of another kind": (
        lambda root: dump(root / "annots/interaction_order.pkl", [1]),
        "_order.pkl: needs a dict",
    ),
    "order out of range": (lambda root: dump(root / "annots/interaction_order.pkl", {"12": 2}), "12 has 2; needs 0"),
    "no vectors": (remove("glove/hhi_vab_data.npy"), "hhi_vab_data.npy: missing"),
    "vectors of another width": (npy("glove/hhi_vab_data.npy", lambda a: a[:, :50]), r"shape \(5, 50\)"),
    "too few vectors": (npy("glove/hhi_vab_data.npy", lambda a: a[:3]), "the row of 'wave' is 3"),
    "NaN in vectors": (
        npy("glove/hhi_vab_data.npy", lambda a: a * np.nan),
        "data.npy: NaN or infinite values in frame 0",
    ),
    "vectors of integers": (npy("glove/hhi_vab_data.npy", lambda a: a.astype(int)), "hhi_vab_data.npy: type int64"),
    "vectors of objects": (
        lambda root: np.save(root / "glove/hhi_vab_data.npy", np.array([{}]), allow_pickle=True),
        "hhi_vab_data.npy: Python objects, which are never unpickled",
    ),
    "hostile words": (
        lambda root: dump(root / "glove/hhi_vab_words.pkl", Payload()),
        "hhi_vab_words.pkl: .*(posix|nt).system is not allowed",
    ),
    "words of another kind": (lambda root: dump(root / "glove/hhi_vab_words.pkl", [1, 2]), "words.pkl: needs a list"),
    "no mark": (without_mark, "hhi_vab_words.pkl: the marks unk are absent"),
    "row of another kind": (
        lambda root: dump(root / "glove/hhi_vab_idx.pkl", dict.fromkeys(("sos", "eos", "unk", "wave", "left"), "0")),
        "idx.pkl: the row of 'sos' is '0'",
    ),
    "words not a list": (lambda root: dump(root / "glove/hhi_vab_words.pkl", {"a": 1}), "words.pkl: needs a list"),
    "words and rows differ": (lambda root: dump(root / "glove/hhi_vab_idx.pkl", {"sos": 0}), "idx.pkl: needs a dict"),
    "cut pickle": (cut("glove/hhi_vab_idx.pkl", 9), "hhi_vab_idx.pkl: truncated or not a pickle"),
}
ORDER = {
    "no order": (remove("annots/interaction_order.pkl"), "interaction_order.pkl: missing"),
    "no entry": (
        lambda root: dump(root / "annots/interaction_order.pkl", {"11": 0}),
        "interaction_order.pkl: no entry for 12, which datasets.interx.order needs",
    ),
}
HDF5 = {
    "no file of a split": (remove("motions/val.h5"), "motions/val.h5: missing"),
    "not HDF5": (text("motions/train.h5", "nothing"), "train.h5: truncated or not an HDF5 file"),
    "cut file": (cut("motions/train.h5", 3000), "train.h5: truncated or not an HDF5 file"),
    "empty file": (cut("motions/train.h5", 0), "train.h5: truncated or not an HDF5 file"),
    "clip absent": (h5(lambda _: None), "train.h5: no dataset 12"),
    "group": (h5(lambda file: file.create_group("12")), "train.h5: 12: a group; needs a dataset"),
    "link": (h5(lambda file: file.update({"12": h5py.SoftLink("/11")})), "train.h5: 12: a link, and links are not"),
    "link to another file": (
        h5(lambda file: file.update({"12": h5py.ExternalLink("val.h5", "21")})),
        "train.h5: 12: a link, and links are not followed",
    ),
    "values in another file": (h5(outside), "train.h5: 12: keeps its values in other files"),
    "values of another dataset": (h5(virtual), "train.h5: 12: keeps its values in other files"),
    "wrong joints": (clip_of(np.zeros((40, 55, 6))), r"train.h5: 12: shape \(40, 55, 6\); needs \(frames, 56, 6\)"),
    "one person": (clip_of(np.zeros((40, 56, 3))), r"train.h5: 12: shape \(40, 56, 3\)"),
    "wrong axes": (clip_of(np.zeros((40, 336))), r"train.h5: 12: shape \(40, 336\)"),
    "no frame": (clip_of(np.zeros((0, 56, 6))), r"train.h5: 12: shape \(0, 56, 6\)"),
    "integers": (clip_of(np.zeros((40, 56, 6), int)), "train.h5: 12: type int64"),
    "words": (clip_of(np.full((40, 56, 6), b"a")), "train.h5: 12: type .*; needs floating-point"),
    "NaN": (clip_of(np.full((40, 56, 6), np.nan)), r"train.h5: 12: NaN or infinite values in frame 0 \(40 of 40\)"),
    "huge claim": (
        h5(lambda file: file.create_dataset("12", (10**7, 56, 6), "f4", chunks=(1, 56, 6))),
        r"train.h5: 12: unpacks to 13440000000 bytes; at most \d+ are read",
    ),
    "huge chunk": (
        h5(lambda file: file.create_dataset("12", (40, 56, 6), "f4", chunks=(400_000, 56, 6), maxshape=(None, 56, 6))),
        r"train.h5: 12: unpacks to 537600000 bytes",
    ),
    "both forms": (lambda root: (root / "motions/12").mkdir(), "motions: holds train.h5 and the clip folder 12"),
    "no processed texts": (remove("texts_processed/12.txt"), "texts_processed/12.txt: missing"),
}
MODEL = {
    "no file": (remove(BODY), f"{BODY}: missing"),
    "not an archive": (text(BODY, "nothing"), f"{BODY}: truncated or not an .npz"),
    "cut archive": (cut(BODY, 3000), f"{BODY}: truncated"),
    "no template": (body(v_template=None), f"{BODY}: v_template not in the archive"),
    "no regressor": (body(J_regressor=None), f"{BODY}: J_regressor not in the archive"),
    "no tree": (body(kintree_table=None), f"{BODY}: kintree_table not in the archive"),
    "sparse regressor": (
        body(J_regressor=np.array(csc_array(np.eye(55)), dtype=object)),
        f"{BODY}: J_regressor: Python objects, which are never unpickled",
    ),
    "hostile template": (body(v_template=np.array([Payload()], dtype=object)), f"{BODY}: v_template: Python objects"),
    "flat template": (body(v_template=np.zeros(330)), rf"{BODY}: v_template has shape \(330,\)"),
    "no vertex": (body(v_template=np.zeros((0, 3))), rf"{BODY}: v_template has shape \(0, 3\)"),
    "regressor of SMPL": (
        body(J_regressor=np.zeros((24, 110))),
        rf"{BODY}: J_regressor has shape \(24, 110\); needs \(55",
    ),
    "other vertices": (body(v_template=np.zeros((99, 3))), rf"{BODY}: J_regressor has shape .*; needs \(55, 99\)"),
    "NaN in template": (
        changed("v_template", (3, 1), np.nan),
        f"{BODY}: v_template: NaN or infinite values in vertex 3",
    ),
    "NaN in regressor": (
        changed("J_regressor", (7, 1), np.inf),
        f"{BODY}: J_regressor: NaN or infinite values in joint 7",
    ),
    "template of integers": (body(v_template=np.zeros((110, 3), int)), f"{BODY}: v_template: type int64"),
    "tree of SMPL": (body(kintree_table=np.zeros((2, 24))), f"{BODY}: kintree_table is not SMPL-X's tree"),
    "other tree": (changed("kintree_table", (0, 20), 17), f"{BODY}: kintree_table is not SMPL-X's tree"),
    "millimetres": (
        body(v_template=1000 * body_model()["v_template"]),
        f"{BODY}: joints span .* in height; needs 1 to 3",
    ),
    "lying down": (body(v_template=body_model()["v_template"][:, [0, 2, 1]]), f"{BODY}: joints span .* in height"),
}
FORMS = {
    "interhuman": (write_interhuman, {}, INTERHUMAN),
    "interx": (write_interx, {}, INTERX),
    "interx, HDF5": (lambda root: to_hdf5(write_interx(root)), {}, HDF5),
    "interx, SMPL-X": (write_with_body, {"skeleton": f"raw/{BODY}"}, MODEL),
    "interx, order": (write_interx, {"order": "actor_first"}, ORDER),
}


@pytest.mark.parametrize(("form", "name"), [(form, name) for form, (*_, cases) in FORMS.items() for name in cases])
def test_malformed_input_names_file_and_remedy(tmp_path: Path, form: str, name: str) -> None:
    write, changes, cases = FORMS[form]
    damage, message = cases[name]
    dataset = form.partition(",")[0]
    root = write(tmp_path / "raw")
    damage(root)
    with pytest.raises(DataError, match=message) as error:
        run_stage("fetch", config_for(dataset, root, **changes), dataset)
    assert "Remedy: restore these files" in str(error.value)
    assert f"datasets.{dataset}.allow_missing" in str(error.value)
    assert not artefacts(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_huge_claims_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_interx(tmp_path / "raw")
    monkeypatch.setattr("intermamba.reading.arrays.MEMBER_LIMIT", 1000)
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        run_stage("fetch", config_for("interx", root), "interx")
    monkeypatch.undo()
    for limit, file in (("TEXT_LIMIT", "train.txt"), ("pickles.PICKLE_LIMIT", "interaction_order.pkl")):
        with monkeypatch.context() as small:
            small.setattr(f"intermamba.reading.{limit}", 5)
            with pytest.raises(DataError, match=rf"{file}: \d+ bytes; at most 5 are read"):
                run_stage("fetch", config_for("interx", root), "interx")
    header = (
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 492), }".ljust(117)
    )
    (root / "claim.npy").write_bytes(header + b"\n")
    from intermamba.reading.arrays import read_array

    with pytest.raises(DataError, match=r"claim.npy: truncated"):
        read_array(root / "claim.npy")


def test_all_problems_come_at_once_and_the_list_is_bounded(tmp_path: Path) -> None:
    root = write_interhuman(tmp_path / "raw")
    (root / "split/val.txt").write_text("\n".join(f"9{number:02}" for number in range(30)))
    with pytest.raises(DataError) as error:
        run_stage("fetch", config_for("interhuman", root), "interhuman")
    message = str(error.value)
    assert "150 problem(s)" in message  # two motions, the captions, and those of each person
    assert message.count(": missing.") == 20
    assert "... and 130 more." in message
    assert len(fetch.inspect(root, "interhuman", config_for("interhuman", root).datasets["interhuman"]).problems) == 150


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        run_stage("fetch", config_for("interhuman", tmp_path / "nowhere"), "interhuman")


@pytest.mark.parametrize("dataset", WRITE)
def test_manifest_lists_every_file(tmp_path: Path, dataset: str) -> None:
    root = WRITE[dataset](tmp_path / "raw")
    done = Counted()
    run_stage("fetch", config_for(dataset, root), dataset, done)
    path = paths.path("manifest", profile="smoke", dataset=dataset)
    manifest = json.loads(path.read_text())
    assert manifest["dataset"] == dataset
    assert manifest["origin"] == "official"
    assert manifest["root"] == str(root)
    assert manifest["fps"] == {"interhuman": 30, "interx": 120}[dataset]
    assert manifest["counts"] == {"train": 3, "val": 1, "test": 2}
    assert sum(done.steps) == done.parts[0][0] == 6
    on_disk = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == on_disk
    for name, entry in manifest["files"].items():
        assert entry == {"bytes": (root / name).stat().st_size, "sha256": files.sha256(root / name)}
    assert paths.record_of(path).exists()


def test_captions_of_the_persons_are_wanted_only_where_asked_for(tmp_path: Path) -> None:
    root = write_interhuman(tmp_path / "raw")
    shutil.rmtree(root / "annots_individual")
    run_stage("fetch", config_for("interhuman", root, individual=False), "interhuman")
    config = config_for("interx", write_interx(tmp_path / "interx"), individual=True)
    with pytest.raises(ConfigError, match=r"datasets\.interx\.individual is true, but"):
        run_stage("fetch", config, "interx")


def test_split_files_may_lie_at_the_top(tmp_path: Path) -> None:
    root = write_interhuman(tmp_path / "raw")
    for path in (root / "split").iterdir():
        path.rename(root / path.name)
    (root / "split").rmdir()
    run_stage("fetch", config_for("interhuman", root), "interhuman")


def test_ignored_and_allowed_clips_are_left_out_and_told(tmp_path: Path) -> None:
    root = write_interhuman(tmp_path / "raw")
    (root / "split/ignore_list.txt").write_text("32\n777\n")
    (root / P1).unlink()
    config = config_for("interhuman", root, allow_missing=("12", "13"))
    run_stage("fetch", config, "interhuman")
    manifest = files.read_json(paths.path("manifest", profile="smoke", dataset="interhuman"))
    assert manifest["clips"] == {"train": ["11", "13"], "val": ["21"], "test": ["31"]}
    assert manifest["ignored"] == ["32"]
    assert manifest["missing_allowed"] == ["12"]
    run_stage("preprocess", config, "interhuman")


def test_numpy_integers_in_the_order_are_fine(tmp_path: Path) -> None:
    root = write_interx(tmp_path / "raw")
    order = {name: np.int64(1) for name in ("11", "12", "13", "21", "31", "32")}
    (root / "annots/interaction_order.pkl").write_bytes(pickle.dumps(order))
    run_stage("fetch", config_for("interx", root, order="official"), "interx")


def test_order_needs_every_clip(tmp_path: Path) -> None:
    root = write_interx(tmp_path / "raw")
    dump(root / "annots/interaction_order.pkl", {"11": 0})
    run_stage("fetch", config_for("interx", root), "interx")  # not needed as recorded
    with pytest.raises(DataError, match=r"interaction_order.pkl: no entry for 12"):
        run_stage("fetch", config_for("interx", root, order="actor_first"), "interx")


def test_unneeded_keys_of_an_archive_are_not_read(tmp_path: Path) -> None:
    root = write_interx(tmp_path / "raw")
    with zipfile.ZipFile(root / X1, "a") as archive:
        archive.writestr("gender2.npy", pickle.dumps(Payload()))
    run_stage("fetch", config_for("interx", root), "interx")
    assert not (tmp_path / "executed").exists()


def test_interx_without_an_order_is_as_recorded(tmp_path: Path) -> None:
    root = write_interx(tmp_path / "raw")
    (root / "annots/interaction_order.pkl").unlink()
    run_stage("fetch", config_for("interx", root), "interx")


def test_processed_clips_that_are_allowed_to_be_missing(tmp_path: Path) -> None:
    root = to_hdf5(write_interx(tmp_path / "raw"))
    h5(lambda _: None)(root)
    run_stage("fetch", config_for("interx", root, allow_missing=("12",)), "interx")
    manifest = files.read_json(paths.path("manifest", profile="smoke", dataset="interx"))
    assert manifest["missing_allowed"] == ["12"]
    assert manifest["clips"]["train"] == ["11", "13"]
    assert {name for name in manifest["files"] if "motions" in name} == {f"motions/{s}.h5" for s in paths.SPLITS}


@pytest.mark.parametrize(
    ("form", "expected"),
    [("interhuman", ("npy", 30, None)), ("interx", ("npz", 120, "neutral")),
     ("interx, HDF5", ("hdf5", 30, "neutral, floor by the owners"))],
)  # fmt: skip
def test_manifest_says_what_was_found(tmp_path: Path, form: str, expected: tuple[str, int, str | None]) -> None:
    dataset = form.partition(",")[0]
    run_stage("fetch", config_for(dataset, FORMS[form][0](tmp_path / "raw")), dataset)
    manifest = files.read_json(paths.path("manifest", profile="smoke", dataset=dataset))
    assert (manifest["format"], manifest["fps"], manifest["skeleton"]) == expected


def test_manifest_names_the_users_body(tmp_path: Path) -> None:
    """A model file may lie anywhere; a change of it is noticed like that of any other file."""
    root = write_interx(tmp_path / "raw")
    model = tmp_path / "elsewhere.npz"
    np.savez(model, **body_model(), joint2num=np.array({"pelvis": 0}, dtype=object))  # not needed, so not looked at
    config = config_for("interx", root, skeleton=str(model))
    run_stage("fetch", config, "interx")
    manifest = files.read_json(paths.path("manifest", profile="smoke", dataset="interx"))
    assert manifest["skeleton"] == f"smplx-{files.sha256(model)[:12]}"
    assert manifest["files"][str(model)]["sha256"] == files.sha256(model)
    model.write_bytes(model.read_bytes() + b"more")
    with pytest.raises(DataError, match=r"1 file\(s\) have changed or disappeared since fetch: .*elsewhere.npz"):
        run_stage("preprocess", config, "interx")


def test_nothing_is_ever_unpacked_into_a_folder(tmp_path: Path) -> None:
    """Archives are read member by member in memory: a name that points elsewhere is just an unknown key."""
    root = write_interx(tmp_path / "raw")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with zipfile.ZipFile(root / X1, "a") as archive:
        for name in ("../../../outside.npy", "/outside.npy", "motions/../../outside.npy"):
            archive.writestr(name, b"1")
    before[root / X1] = (root / X1).read_bytes()
    fetch.inspect(root, "interx", config_for("interx", root).datasets["interx"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_preprocess_needs_fetch(tmp_path: Path) -> None:
    root = write_interhuman(tmp_path / "raw")
    config = config_for("interhuman", root)
    with pytest.raises(StateError, match=r"manifest.json does not exist. Run `intermamba fetch"):
        run_stage("preprocess", config, "interhuman")
    run_stage("fetch", config, "interhuman")
    other = config_for("interhuman", write_interhuman(tmp_path / "other"))
    with pytest.raises(StateError, match=r"is about .*raw, not .*other"):
        run_stage("preprocess", other, "interhuman")
    np.save(root / P1, np.zeros((99, 492), np.float32))
    with pytest.raises(DataError, match=rf"1 file\(s\) have changed or disappeared since fetch: {P1}"):
        run_stage("preprocess", config, "interhuman")
    assert not list((tmp_path / "data").rglob("*.safetensors"))


@pytest.mark.parametrize("dataset", WRITE)
def test_embedded_data_pass_the_same_checks(tmp_path: Path, dataset: str) -> None:
    config = config_for(dataset, "synthetic")
    settings = config.datasets[dataset]
    sizes = settings.synthetic.model_copy(update={"train": 6, "val": 2, "test": 2})
    config = config_for(dataset, "synthetic", synthetic=sizes)
    run_stage("fetch", config, dataset)
    manifest = files.read_json(paths.path("manifest", profile="smoke", dataset=dataset))
    assert manifest["origin"] == "synthetic"
    assert manifest["root"] == f"data/smoke/raw/{dataset}"
    assert manifest["counts"] == {"train": 6, "val": 2, "test": 2}
    run_stage("preprocess", config, dataset)
    for split in paths.SPLITS:
        clips = SplitFile(paths.path("split", profile="smoke", dataset=dataset, split=split))
        assert clips.origin == "synthetic"
        items = ClipDataset(clips, settings, "official", seed=0)
        assert all(np.isfinite(items[0, index].motion).all() for index in range(len(items)))


def test_a_generated_folder_stays_synthetic_wherever_it_lies(tmp_path: Path) -> None:
    """Naming it as a source, as if it were the owners' data, must not turn its results into official ones."""
    root = write_interhuman(tmp_path / "raw")
    (root / SYNTHETIC_MARKER).write_text("")
    run_stage("fetch", config_for("interhuman", root), "interhuman")
    assert files.read_json(paths.path("manifest", profile="smoke", dataset="interhuman"))["origin"] == "synthetic"
