"""Files that are not what they seem: each ends in one short error, at once and in little memory."""

import io
import os
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from intermamba import files
from intermamba.data import normalisation
from intermamba.errors import ConfigError, DataError, quoted, system_problem
from intermamba.reading import content, lines, text
from intermamba.reading.arrays import LARGEST, check_numbers, read_members
from intermamba.reading.documents import read_csv, read_json, read_yaml
from intermamba.reading.pickles import read_pickle

ALLOWED = 256
"""Mebibytes that refusing a file may take."""


@pytest.fixture(autouse=True)
def _in_little_memory() -> "object":
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ALLOWED * 1024


def refused(read: Callable[[Path], object], path: Path, message: str, error: type[Exception] = DataError) -> None:
    with pytest.raises(error, match=message) as found:
        read(path)
    assert str(path) in str(found.value)
    assert len(str(found.value)) < len(str(path)) + 400


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name, kind in (("pipe", "a named pipe"), ("endless", "a device"), (".", "a folder")):
        with pytest.raises(DataError, match=f"{kind}; needs a regular file"):
            lines(tmp_path / name)
    with pytest.raises(DataError, match="missing"):
        lines(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be opened"):
        lines(tmp_path / ("a" * 300))


def test_size_and_encoding_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"12345")
    assert content(path, 5) == b"12345"
    refused(lambda path: content(path, 4), path, "5 bytes; at most 4 are read")
    path.write_bytes(b"caf\xe9")
    refused(text, path, "not UTF-8 text .byte 0xe9 at 3")
    path.write_text("ä\n\n b ", encoding="utf-8-sig")
    assert lines(path) == ["ä", "b"]


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (LAUGHS, "more than 50,000 values"),
        ("base: &b {x: *b}", "an alias inside its own anchor"),
        ("[" * 20_000, "more than 50 levels deep"),
        ("a: " + "9" * 5000, "a number of more than 100 digits"),
        ("a: " + ":".join(["1"] * 30_000), "a number of more than 100 digits"),
        ("a: 1\nb: 2\na: 3", "the key 'a' appears twice"),
        ("a: \x01", "(special|control) characters"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: 2020-99-99", "not valid YAML"),
        ("a: b: c", "mapping values are not allowed"),
    ],
)
def test_yaml_has_limits(tmp_path: Path, written: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(written)
    refused(read_yaml, path, message, ConfigError)


def test_yaml_with_aliases_and_merged_keys_is_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {x: 1, y: [2, 3]}\nb: {<<: *a, x: 4}\nc: *a\n")
    assert read_yaml(path) == {"a": {"x": 1, "y": [2, 3]}, "b": {"x": 4, "y": [2, 3]}, "c": {"x": 1, "y": [2, 3]}}


def test_json_and_csv_have_limits(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for written in ("[" * 100_000, "9" * 5000, "{", "\udcff"):
        path.write_bytes(written.encode("utf-8", "surrogateescape"))
        refused(read_json, path, "cannot be read as JSON|not UTF-8")
    for stored in (b"", b'"', b"a,b\n1,2,3\n1,2,3,4\n", b"a\n\xff\n"):
        path.write_bytes(stored)
        refused(read_csv, path, "cannot be read as CSV")


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, size: int | None = None) -> Path:
    """An archive; with ``size`` its table of contents claims that every member unpacks to so many bytes."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, stored in members.items():
            archive.writestr(name, stored)
    if size is not None:
        stored = bytearray(path.read_bytes())
        at = stored.find(b"PK\x01\x02")
        while at >= 0:
            stored[at + 24 : at + 28] = struct.pack("<I", size)
            at = stored.find(b"PK\x01\x02", at + 4)
        path.write_bytes(bytes(stored))
    return path


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def test_what_an_archive_claims_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intermamba.reading.arrays.MEMBER_LIMIT", 1 << 20)
    large = npy(np.zeros(1 << 19, np.float32))
    for members, size in (
        ({"motion.npy": large}, None),
        ({"motion.npy": large, "motion": b"x"}, None),  # told apart by their ending alone
    ):
        path = packed(tmp_path / "a.npz", members, size=size)
        refused(lambda path: read_members(path, ("motion",)), path, "unpacks to more than 1,048,576 bytes")
    path = packed(tmp_path / "lie.npz", {"motion.npy": large}, size=100)
    refused(lambda path: read_members(path, ("motion",)), path, "truncated or")
    path = packed(tmp_path / "b.npz", {"motion.npy": large}, zipfile.ZIP_BZIP2, size=100)
    refused(lambda path: read_members(path, ("motion",)), path, "is packed by method 12")
    path = packed(tmp_path / "c.npz", {f"{number}": b"" for number in range(30_000)})
    refused(lambda path: read_members(path, ("motion",)), path, "a table of contents of more than")


def test_what_a_pickle_claims_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    nested: tuple = ()
    for _ in range(60):
        nested = (nested, nested)
    attacks = {
        b"\x80\x02K\x01r" + struct.pack("<I", 1 << 27) + b".": "memory 134217728 in",
        pickle.dumps([nested]): "a tuple as a value",
        pickle.dumps(frozenset([1])): "the instruction FROZENSET",
        pickle.dumps(np.zeros(3)): "truncated or not a pickle",
        pickle.dumps(os.system): "posix.system is not allowed",
    }
    for stored, message in attacks.items():
        path.write_bytes(stored)
        refused(read_pickle, path, message)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_read(tmp_path: Path, protocol: int) -> None:
    value = {"a": 0, "b": np.int64(1), "c": np.float32(0.5), "d": ["e", 2.5, None, True, b"f"]}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_pickle(tmp_path / "a.pkl") == value


def test_numbers_beyond_any_motion_are_refused() -> None:
    path = Path("a.npy")
    check_numbers(path, np.array([[LARGEST], [-LARGEST]]))
    for value, message in ((1e39, "beyond 1e"), (-1e10, "beyond 1e"), (np.nan, "NaN"), (-np.inf, "infinite")):
        with pytest.raises(DataError, match=rf"{message}.* in frame 1 \(1 of 3\)"):
            check_numbers(path, np.array([[0.0], [value], [1.0]]))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e37])
def test_statistics_that_nothing_can_be_divided_by_are_refused(tmp_path: Path, value: float) -> None:
    mean, std = torch.zeros(3), torch.ones(3)
    normalisation.write(tmp_path / "stats.safetensors", mean, std)
    for where in (mean, std):
        where[1] = value
        files.write_tensors(tmp_path / "stats.safetensors", {"mean": mean, "std": std})
        refused(lambda path: normalisation.read(path, 3), tmp_path / "stats.safetensors", "NaN or infinite values, or")
        where[1] = 1.0


def test_values_in_messages_are_cut() -> None:
    nested: list = []
    for _ in range(60):
        nested = [nested, nested]
    for value in (nested, "a" * 10**6, 10**5000, {"a": {"b": {"c": {"d": {}}}}}, list(range(10**5))):
        assert len(quoted(value)) < 400


def test_what_the_system_refuses_is_one_line() -> None:
    assert system_problem(OSError(28, "No space left on device", "results/a.csv")) == (
        "results/a.csv: No space left on device. Free some space and run the same command again."
    )
    assert "ulimit -n" in str(system_problem(OSError(24, "Too many open files")))
    assert "another folder" in str(system_problem(PermissionError(13, "Permission denied", "a")))
    assert "out of memory" in str(system_problem(MemoryError()))
    assert system_problem(RuntimeError("something else")) is None
