"""Inputs that once ended in a traceback, a hang or nonsense, one by one: each is one short message."""

import bz2
import json
import os
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import official_files
import pytest
import torch
import workflow_study
from data_folders import config_for, dump, smplx, write_interhuman, write_interx
from places import ROOT
from stages import run as run_stage
from towers import untrained_tower

import ablations
from evaluators import folder as motions
from evaluators import protocol
from evaluators.results import REAL
from intermamba import files
from intermamba.checkpoints import official, recipe, trained
from intermamba.config import TextConfig, load
from intermamba.data import manifest
from intermamba.data.fetch import inspect
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.errors import ConfigError, DataError, InterMambaError
from intermamba.models import build
from intermamba.prompts import Prompt, check_prompts, read_prompts
from intermamba.representation import representation
from intermamba.text import cache, tower
from workflow.evaluation import gallery

pytestmark = pytest.mark.timeout(60)

LONGEST = 800
"""Letters of a message, without the path."""


def refused(
    read: Callable[[Path], Any], path: Path, message: str | None = None, kind: type[InterMambaError] = DataError
) -> None:
    """Reading ``path`` is one short error that names the file."""
    with pytest.raises(kind, match=message) as found:
        read(path)
    said = str(found.value)
    assert path.name in said
    assert len(said.replace(str(path), "")) < LONGEST


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 11)
)
DOCUMENTS: Mapping[str, bytes] = {
    "billion laughs": LAUGHS.encode(),
    "billion laughs as a value": LAUGHS.encode() + b"base: *a10\nprofiles: *a10\nhypothesis: *a10\ninterhuman: *a10\n",
    "an alias inside itself": b"base: &b {x: *b}\nprofiles: {smoke: *b}\ninterhuman: *b\n",
    "100,000 digits": b"base: " + b"9" * 100_000,
    "20,000 lists": b"[" * 20_000,
    "20,000 closed lists": b"base: " + b"[" * 20_000 + b"]" * 20_000,
    "a text": b"interhuman",
    "a list": b"- base\n- profiles\n",
    "a list of lists": b"profiles: [[smoke]]\nbase: [[a]]\ninterhuman: [[a]]\nbase_model: [[a]]\n",
    "a text for a mapping": b"base: x\nprofiles: x\nprofile: [a]\ninterhuman: x\nchanges: x\n",
    "keys of numbers": b"1: 2\nbase: {1: 2}\nprofiles: {smoke: {1: 2}}\nprofile: smoke\ninterhuman: {1: 2}\n",
    "Latin-1": "base: café".encode("latin-1"),
    "UTF-16": "base: {}\n".encode("utf-16"),
    "control characters": b"base: \x01\x07\n",
    "not YAML": b"a: b: c\n\t- [",
    "empty": b"",
    "null": b"null\n",
}
YAML_READERS: Mapping[str, tuple[str, Callable[[Path], Any]]] = {
    "params.yaml": ("params.yaml", lambda path: load(None, path)),
    "params.yaml of a named profile": ("params.yaml", lambda path: load("smoke", path)),
    "ablation": ("mine.yaml", lambda path: ablations.read(path.parent)),
    "protocols.yaml": ("protocols.yaml", protocol.read),
}


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("reader", YAML_READERS)
def test_yaml(tmp_path: Path, reader: str, document: str) -> None:
    name, read = YAML_READERS[reader]
    (tmp_path / name).write_bytes(DOCUMENTS[document])
    refused(read, tmp_path / name, kind=ConfigError)


@pytest.mark.parametrize(
    "value", ["[[1]]", "{a: {b: 1}}", "[" * 40 + "]" * 40, "x" * 50_000, "2020-01-01", "~", ".nan"]
)
@pytest.mark.parametrize("knob", ["weight_decay: 2.0e-5", "modules: 2", "geometric_until: 700", "min_frames: 15"])
def test_values_of_another_kind_in_params(tmp_path: Path, knob: str, value: str) -> None:
    written, name = (ROOT / "params.yaml").read_text(), knob.partition(":")[0]
    assert knob in written
    path = tmp_path / "params.yaml"
    path.write_text(written.replace(knob, f"{name}: {value}", 1))
    refused(lambda path: load("smoke", path), path, name, ConfigError)


def link(name: str, target: str) -> Callable[[Path], object]:
    def make(root: Path) -> None:
        (root / name).unlink()
        (root / name).symlink_to(target)

    return make


def pipe(name: str) -> Callable[[Path], object]:
    def make(root: Path) -> None:
        (root / name).unlink()
        os.mkfifo(root / name)

    return make


def ids(name: str, *clips: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text("\n".join(clips))


def large(value: float, dtype: Any) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = root / "motions_processed/person1/12.npy"
        values = np.load(path).astype(dtype)
        values[3, 0] = value
        np.save(path, values)

    return change


P1 = "motions/12/P1.npz"


def person(**changes: np.ndarray) -> Callable[[Path], object]:
    return lambda root: np.savez(root / P1, **smplx(164) | changes)


def two_members(root: Path) -> None:
    """A large ``root_orient.npy`` beside a harmless ``root_orient``: names told apart by nothing but the ending."""
    with zipfile.ZipFile(root / P1, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("root_orient", "pose_body", "pose_lhand", "pose_rhand", "trans"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                for _ in range(8 if name == "root_orient" else 1):
                    member.write(bytes(1 << 20))
        archive.writestr("root_orient", b"x")


def lying_size(root: Path) -> None:
    """64 MiB of zeros in some bytes of bzip2, of which the table of contents says that they unpack to 100."""
    squeezed = bz2.BZ2Compressor()
    packed = b"".join(squeezed.compress(bytes(1 << 24)) for _ in range(4)) + squeezed.flush()
    with zipfile.ZipFile(root / P1, "w") as archive:
        for name in ("root_orient", "pose_body", "pose_lhand", "pose_rhand", "trans"):
            archive.writestr(f"{name}.npy", packed)
    stored = bytearray((root / P1).read_bytes())
    for mark, method, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        at = stored.find(mark)
        while at >= 0:
            stored[at + method : at + method + 2] = struct.pack("<H", zipfile.ZIP_BZIP2)
            stored[at + size : at + size + 4] = struct.pack("<I", 100)
            at = stored.find(mark, at + 4)
    (root / P1).write_bytes(bytes(stored))


MEMORY = b"\x80\x02K\x01r" + struct.pack("<I", 1 << 27) + b"."
"""A pickle that puts a number into place 2**27 of its memory."""


def shared(depth: int) -> tuple:
    """A tuple of two tuples of two tuples, of few bytes because they are the same ones."""
    value: tuple = ()
    for _ in range(depth):
        value = (value, value)
    return value


RAW: Mapping[str, tuple[str, Callable[[Path], object], str]] = {
    "float64 above 3.4e38": ("interhuman", large(1e39, np.float64), r"12\.npy: values beyond 1e\+06 in frame 3"),
    "above 1e10": ("interhuman", large(2e10, np.float32), r"12\.npy: values beyond 1e\+06 in frame 3"),
    "an id of 300 letters": ("interhuman", ids("split/val.txt", "a" * 300), r"val\.txt: 'a+\.\.\.a+' is not a clip id"),
    "an id of 100 wide letters": ("interhuman", ids("split/val.txt", "é" * 150), r"val\.txt: .* is not a clip id"),
    "a list that never ends": ("interhuman", link("split/train.txt", "/dev/zero"), r"train\.txt: a device"),
    "a list that is a pipe": ("interhuman", pipe("split/train.txt"), r"train\.txt: a named pipe"),
    "an ignore list that is a pipe": ("interhuman", pipe("split/ignore_list.txt"), r"ignore_list\.txt: a named pipe"),
    "captions that never end": ("interhuman", link("annots/12.txt", "/dev/zero"), r"12\.txt: (a device|missing)"),
    "a motion that never ends": (
        "interhuman", link("motions_processed/person1/12.npy", "/dev/zero"), r"12\.npy: (a device|missing)",
    ),
    "a caption of one word of 1 MB": (
        "interhuman", lambda root: (root / "annots/12.txt").write_text("a" * 10**6), r"12\.txt: a caption of 1,000,000",
    ),
    "a word of 5,000 letters": (
        "interhuman", lambda root: (root / "annots/12.txt").write_text("a" * 5000),
        r"12\.txt: a word of 5,000 characters",
    ),
    "pose_body of 1e30": (
        "interx", person(pose_body=np.full((164, 21, 3), 1e30)), r"P1\.npz: pose_body: values beyond 1e\+06 in frame 0",
    ),
    "two members of one name": ("interx", two_members, r"P1\.npz: root_orient\.npy unpacks to more than 4,194,304"),
    "a false size": ("interx", lying_size, r"P1\.npz: root_orient\.npy is packed by method 12"),
    "a memory of 2**27": (
        "interx",
        lambda root: (root / "glove/hhi_vab_words.pkl").write_bytes(MEMORY),
        r"words\.pkl: .*memory 134217728 in",
    ),
    "shared tuples as an order": (
        "interx",
        lambda root: dump(root / "annots/interaction_order.pkl", {"12": shared(60)}), r"order\.pkl: .*a tuple",
    ),
    "shared tuples as a row": (
        "interx", lambda root: dump(root / "glove/hhi_vab_idx.pkl", {"sos": shared(60)}), r"idx\.pkl: .*a tuple",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RAW)
def test_raw_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.setattr("intermamba.reading.arrays.MEMBER_LIMIT", 1 << 22)
    dataset, damage, message = RAW[case]
    root = {"interhuman": write_interhuman, "interx": write_interx}[dataset](tmp_path / "raw")
    damage(root)
    found = inspect(root, dataset, config_for(dataset, root).datasets[dataset]).problems
    assert any(re.search(message, problem) for problem in found), found
    assert all(len(problem.replace(str(root), "")) < LONGEST for problem in found)


@pytest.mark.parametrize("value", [2e10, 1e39, np.nan])
def test_motions_of_other_projects(tmp_path: Path, value: float) -> None:
    path = tmp_path / "motion.npz"
    wanted = np.zeros((9, 2, 262))
    wanted[4, 1, 7] = value
    about = {"clip": "31", "caption": "They greet each other.", "repeat": 0}
    np.savez(path, motion=wanted, **about)
    refused(lambda path: motions.read(path, "interhuman"), path, r"(NaN|values beyond 1e\+06).* in frame 4")


def split_with(folder: Path, tensors: Mapping[str, Any] = {}, **metadata: str | None) -> Path:
    """A split file of three clips with other tensors or metadata; ``None`` leaves an entry out."""
    path = folder / "test.safetensors"
    clips = [Clip(f"c{number}", np.ones((9, 2, 192), np.float32), ("One bows.", "Two wave.")) for number in range(3)]
    write_split(path, clips, dataset="interhuman", split="test", origin="synthetic")
    held, about = files.read_tensors(path)
    held = {name: value for name, value in {**held, **tensors}.items() if value is not None}
    files.write_tensors(path, held, {name: value for name, value in {**about, **metadata}.items() if value is not None})
    return path


def test_an_unchanged_split_is_read(tmp_path: Path) -> None:
    assert SplitFile(split_with(tmp_path)).ids == ("c0", "c1", "c2")


@pytest.mark.parametrize(
    "start",
    [[0, 9, 18], [0, 9, 18, 27, 27], [1, 9, 18, 27], [0, 18, 9, 27], [0, 9, 9, 27], [0, 9, 18, 28], [0, 9, 18, 26],
     [0, 9, 2**62, 27], [-1, 9, 18, 27], [0], [], [[0, 9, 18, 27]]],
    ids=str,
)  # fmt: skip
def test_start_that_does_not_fit(tmp_path: Path, start: list) -> None:
    refused(SplitFile, split_with(tmp_path, {"start": torch.tensor(start, dtype=torch.int64)}), "start (is|does not)")


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.bool], ids=str)
def test_start_of_another_type(tmp_path: Path, dtype: torch.dtype) -> None:
    refused(SplitFile, split_with(tmp_path, {"start": torch.tensor([0, 9, 18, 27]).to(dtype)}), "start is")


@pytest.mark.parametrize("shape", [(27, 2, 191), (27, 192), (27, 3, 192), (26, 2, 192), (0, 2, 192)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64], ids=str)
def test_motion_that_does_not_fit(tmp_path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    refused(SplitFile, split_with(tmp_path, {"motion": torch.zeros(shape, dtype=dtype)}), "motion is|start does not")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("clips", json.dumps(value)) for value in (1, "abc", [1, 2, 3], ["a", "b"], ["a", "a", "b"], [[]] * 3, None)),
        *(("captions", json.dumps(value)) for value in (1, [1, 2, 3], [["a"], ["b"], [3]], [["a"]], [[]] * 3, "abc")),
        *(("tokens", json.dumps(value)) for value in (1, [1, 2, 3], [["a"], ["b"], ["c"]], [[["a"]]])),
        *(("individual", json.dumps(value)) for value in (1, [[1]], [[["a"]]])),
        ("unseen", "[1]"), ("clips", "[" * 100_000), ("clips", "9" * 5000), ("clips", None), ("captions", None),
        ("dataset", None), ("dataset", "interhumam"), ("dataset", "null"), ("split", "tests"), ("origin", "made up"),
    ],
)  # fmt: skip
def test_metadata_of_a_split(tmp_path: Path, key: str, value: str | None) -> None:
    refused(SplitFile, split_with(tmp_path, **{key: value}), key)


SMALL = TextConfig(
    tower="untrained", weights=None, architecture="-", width=32, heads=2, layers=1, context=16, seed=0,
    precision="float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.safetensors"
    cache.write(path, tower.load(SMALL), ["One bows.", "Two wave."], torch.float32)
    return path


@pytest.mark.parametrize("key", ["tower", "trained", "captions"])
@pytest.mark.parametrize("value", [None, "", "null", "3", "[3]"])
def test_text_caches_without_their_metadata(tmp_path: Path, encoded: Path, key: str, value: str | None) -> None:
    tensors, metadata = files.read_tensors(encoded)
    del metadata[key]
    path = tmp_path / encoded.name
    files.write_tensors(path, tensors, metadata if value is None else metadata | {key: value})
    if key == "tower" and value is not None:
        cache.TextCache(path)  # a tower may have any name
    else:
        refused(cache.TextCache, path, f"{key}.* Delete it and run `intermamba encode-text` again")


@pytest.mark.parametrize(
    "entry", [{"sha256": "0" * 64}, {"bytes": 1}, {}, 3, None, "x", [1], {"bytes": -1, "sha256": "0" * 64},
              {"bytes": "1", "sha256": "0" * 64}, {"bytes": 1, "sha256": "0"}], ids=str,
)  # fmt: skip
def test_manifests_without_bytes(tmp_path: Path, entry: Any) -> None:
    path = tmp_path / "manifest.json"
    whole = manifest.Entry(bytes=1, sha256="0" * 64)
    manifest.write(
        path,
        manifest.Manifest(
            dataset="interx", origin="official", format="npz", skeleton=None, root="raw", fps=120, counts={"test": 1},
            clips={"test": ["a"]}, ignored=[], missing_allowed=[], files={"a.npz": whole},
        ),
    )  # fmt: skip
    content = json.loads(path.read_text())
    content["files"]["a.npz"] = entry
    path.write_text(json.dumps(content))
    refused(manifest.read, path, r"files\.a\.npz.*Delete it and run `intermamba fetch` again")


def test_a_manifest_without_files_and_of_another_kind(tmp_path: Path) -> None:
    for content in ("[]", "null", "{}", "3", '"x"', "[" * 100_000):
        (tmp_path / "manifest.json").write_text(content)
        refused(manifest.read, tmp_path / "manifest.json")


@pytest.mark.parametrize("key", ["dataset", "fps", "clips", "captions", "individual"])
@pytest.mark.parametrize("value", [None, "null", "x", "[[3]]"])
def test_shown_motions_without_their_metadata(tmp_path: Path, key: str, value: str | None) -> None:
    path = tmp_path / "gallery.safetensors"
    gallery.write(path, workflow_study.performed("interhuman", REAL))
    arrays, metadata = files.read_arrays(path)
    del metadata[key]
    files.write_arrays(path, arrays, metadata if value is None else metadata | {key: value})
    refused(gallery.read, path, key)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = untrained_tower(load("smoke", ROOT / "params.yaml"))
    told = recipe.describe(config, "interhuman", "intermamba", origin="synthetic", tower="untrained-64x2-seed0")
    features = representation("interhuman").features
    sizes = {"features": features, "max_frames": told.max_frames, "text_width": 64}
    model = build("intermamba", **sizes, **config.model.model_dump())
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    trained.save(path, trained.Trained(model, torch.zeros(features), torch.ones(features), told, None))
    return path


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("variant", "changes", "modules"), 10**7), (("sizes", "modules"), 10**7), (("sizes", "width"), 2**20),
        (("sizes", "blocks_per_module"), 10**7), (("sizes", "state"), 2**40), (("sizes", "width"), -64),
        (("dataset",), "interhumam"), (("dataset",), None), (("min_frames",), 0), (("min_frames",), -5),
        (("min_frames",), None), (("min_frames",), "null"), (("max_frames",), 2**40), (("sizes",), None),
        (("variant",), None), (("text",), None), (("diffusion",), None), (("diffusion", "steps"), None),
        (("seed",), "null"), (("tower",), None),
    ],
    ids=str,
)  # fmt: skip
def test_our_weights_with_impossible_sizes(tmp_path: Path, weights: Path, place: tuple[str, ...], value: Any) -> None:
    tensors, metadata = files.read_tensors(weights)
    content = json.loads(metadata["recipe"])
    within = content
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = value
    path = tmp_path / weights.name
    files.write_tensors(path, tensors, metadata | {"recipe": json.dumps(content)})
    refused(trained.load, path, place[-1])


@pytest.mark.parametrize("metadata", ["null", "3", "[]", '"x"', '{"format": null}', '{"format": 2, "recipe": {}}'])
def test_our_weights_with_metadata_of_another_kind(tmp_path: Path, weights: Path, metadata: str) -> None:
    """The header of a safetensors file, written by hand: the library would not."""
    stored = weights.read_bytes()
    size = int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8 : 8 + size])
    header["__metadata__"] = json.loads(metadata)
    text = json.dumps(header).encode()
    path = tmp_path / weights.name
    path.write_bytes(len(text).to_bytes(8, "little") + text + stored[8 + size :])
    refused(trained.load, path)
    refused(files.read_tensors, path) if metadata not in ("null",) else files.read_tensors(path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_our_weights_that_are_no_numbers(tmp_path: Path, weights: Path, value: float) -> None:
    tensors, metadata = files.read_tensors(weights)
    for name in ("model.out.weight", "mean", "std"):
        changed = tensors[name].clone()
        changed.view(-1)[0] = value
        files.write_tensors(tmp_path / weights.name, tensors | {name: changed}, metadata)
        refused(trained.load, tmp_path / weights.name, f"{name} holds values that are not finite")


OUT = "decoder.net.out.linear.weight"
KINDS: Mapping[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "float8": (lambda value: value.to(torch.float8_e4m3fn), f"{OUT} holds torch.float8_e4m3fn, expected floating"),
    "integers": (lambda value: value.long(), f"{OUT} holds torch.int64, expected floating"),
    "complex": (lambda value: value.to(torch.complex64), f"{OUT} holds torch.complex64, expected floating"),
    "meta": (lambda value: value.to("meta"), f"{OUT} is strided on meta; needs plain numbers"),
    "sparse": (lambda value: value.to_sparse(), f"{OUT} is sparse_coo on cpu; needs plain numbers"),
    "CSR": (lambda value: value.to_sparse_csr(), f"{OUT} is sparse_csr on cpu; needs plain numbers"),
    "quantised": (
        lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), "weights|plain numbers|not opened",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def official_state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    model = build("intergen", text_width=64, features=262, text_layers=1, **official_files.SIZES)
    return {name: value.detach() for name, value in official_files.state_dict(model).items()}


@pytest.mark.filterwarnings("ignore:.*[Ss]parse", "ignore:TypedStorage", "ignore:.*quantiz")
@pytest.mark.parametrize("kind", KINDS)
def test_official_weights_of_other_kinds(tmp_path: Path, official_state: dict, kind: str) -> None:
    change, message = KINDS[kind]
    path = tmp_path / "official.ckpt"
    torch.save({"state_dict": official_state | {OUT: change(official_state[OUT])}}, path)
    refused(lambda path: official.load(path, official.INTERGEN), path, message)


@pytest.mark.parametrize("part", ["decoder.net.blocks", "clipTransEncoder.layers"])
def test_official_weights_that_claim_2000_blocks(tmp_path: Path, official_state: dict, part: str) -> None:
    path = tmp_path / "official.ckpt"
    one = torch.zeros(1)
    torch.save(official_state | {f"{part}.{number}.claimed": one for number in range(2000)}, path)
    refused(lambda path: official.load(path, official.INTERGEN), path, f"2,000 blocks under {part}.; at most 128")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("They bow. " * 100_000 + "Yes", "1000003 characters; at most 2000"),
        ("a" * 10**6, "1000000 characters; at most 2000"),
    ],
)
def test_prompts_of_a_megabyte(tmp_path: Path, text: str, message: str) -> None:
    for prompt in (Prompt(text), Prompt("They bow.", ("Bows.", text))):
        with pytest.raises(ConfigError, match=message) as found:
            check_prompts([prompt])
        assert len(str(found.value)) < LONGEST
    (tmp_path / "prompts.txt").write_text(text)
    with pytest.raises(ConfigError, match=message):
        check_prompts([Prompt(caption) for caption in read_prompts(tmp_path / "prompts.txt")])


def test_the_longest_prompt_is_encoded_in_little_time() -> None:
    tower.load(SMALL).encode(["a" * 2000, "a b " * 500, "\U0001f91d" * 500])


def test_prepared_data_have_statistics_that_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever passes the checks of a raw file, statistics that are not finite are not written."""
    monkeypatch.chdir(tmp_path)
    root = write_interx(tmp_path / "raw")
    config = config_for("interx", root, min_frames=1)
    run_stage("fetch", config, "interx")
    monkeypatch.setattr("intermamba.data.preprocess.STD_FLOOR", np.nan)
    with pytest.raises(DataError, match="statistics of the training split: NaN or infinite values"):
        run_stage("preprocess", config, "interx")
    assert not list((tmp_path / "data").rglob("*.safetensors"))
