"""Atomic files and deterministic bytes."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from filelock import FileLock

from intermamba import files, provenance
from intermamba.errors import DataError, StateError
from intermamba.paths import TEMPLATES, path, record_of, template
from intermamba.seeds import derive


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail() -> None:
        with files.atomic(target) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_writer_never_shows_a_half_file(tmp_path: Path) -> None:
    target = tmp_path / "big.json"
    code = (
        "import os, signal\nfrom intermamba import files\n"
        f"with files.atomic({str(target)!r}) as part:\n"
        "    part.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": "."}, check=False)
    assert done.returncode < 0
    assert not target.exists()


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    frame = pd.DataFrame({"value": [0.1 + 0.2, 1 / 3, 1e-300]})
    files.write_csv(tmp_path / "a.csv", frame)
    assert pd.read_csv(tmp_path / "a.csv")["value"].tolist() == frame["value"].tolist()


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    one = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(3, dtype=torch.int64)}
    meta = {f"key{i}": "ä" * i for i in range(20)}
    files.write_tensors(tmp_path / "1.safetensors", one, meta)
    files.write_tensors(tmp_path / "2.safetensors", dict(reversed(one.items())), dict(reversed(meta.items())))
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    tensors, metadata = files.read_tensors(tmp_path / "1.safetensors")
    assert metadata == meta
    assert torch.equal(tensors["b"], one["b"])
    assert torch.equal(tensors["a"], one["a"])


def test_broken_files_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "x.safetensors"
    broken.write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(DataError, match=r"x\.safetensors.*run the stage again"):
        files.read_tensors(broken)
    with pytest.raises(DataError, match=r"none\.json"):
        files.read_json(tmp_path / "none.json")
    with pytest.raises(StateError, match="intermamba train"):
        files.require(tmp_path / "weights", "train")


def test_templates_fill_and_leave_wildcards() -> None:
    assert template("split", profile="smoke") == "data/smoke/{dataset}/{split}.safetensors"
    assert path("manifest", profile="smoke", dataset="interx") == Path("data/smoke/interx/manifest.json")
    assert len(set(TEMPLATES.values())) == len(TEMPLATES)


def test_a_record_tells_what_was_read_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("input")
    with provenance.recorded("stage", ["out.txt"], ["in.txt"], {"knob": 1}, {"seed": 2}) as notes:
        files.write_text("out.txt", "output")
        notes["origin"] = "synthetic"
    record = json.loads(record_of("out.txt").read_text())
    assert record["inputs"] == {"in.txt": files.sha256("in.txt")}
    assert record["outputs"] == {"out.txt": files.sha256("out.txt")}
    assert (record["config"], record["seeds"], record["notes"]) == ({"knob": 1}, {"seed": 2}, {"origin": "synthetic"})
    assert {"code", "versions", "device", "wall_seconds", "command", "started"} <= record.keys()
    assert record["instructions"] == provenance.instructions()


def test_a_record_tells_vector_instructions_and_what_keeps_libraries_from_them(monkeypatch):
    lines = ["model name : Some", "flags : fpu avx avx2 avx512f"]
    monkeypatch.setattr(provenance, "_cpuinfo", lambda: lines)
    for name in provenance.NARROWED_BY:
        monkeypatch.delenv(name, raising=False)
    assert provenance.instructions() == {"processor": "AVX-512"}
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert provenance.instructions() == {"processor": "AVX-512", "ATEN_CPU_CAPABILITY": "avx2"}
    lines[1] = "flags : fpu sse2"
    assert provenance.instructions()["processor"] == "unknown"


def test_a_failed_stage_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), provenance.recorded("stage", [tmp_path / "results" / "out.txt"]):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_only_runs_of_the_same_record_wait_for_each_other(tmp_path: Path) -> None:
    """An evaluation and another measurement of one run write into one folder."""
    running, waiting = threading.Event(), threading.Event()

    def run(name: str) -> None:
        with provenance.recorded(name, [tmp_path / f"{name}.csv"]):
            files.write_text(tmp_path / f"{name}.csv", "")
            running.set()
            waiting.wait(60)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(run, "metrics")
        assert running.wait(60)
        with provenance.recorded("steps", [tmp_path / "steps.csv"]):
            files.write_text(tmp_path / "steps.csv", "")
        second = pool.submit(run, "metrics")
        with pytest.raises(TimeoutError), FileLock(files.lock_of(tmp_path / "metrics.csv"), timeout=0):
            raise AssertionError
        assert not second.done()
        waiting.set()
        first.result(60)
        second.result(60)
    assert {file.name for file in tmp_path.iterdir() if file.name[0] != "."} == {
        "metrics.csv", "metrics.csv.prov.json", "steps.csv", "steps.csv.prov.json",
    }  # fmt: skip


def test_failed_stages_of_one_folder_leave_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "results"

    def fail(name: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        with provenance.recorded(name, [folder / f"{name}.csv"]):
            meanwhile()
            raise RuntimeError(name)

    def another() -> None:
        with pytest.raises(RuntimeError, match="steps"):
            fail("steps")
        assert [*folder.iterdir()] == [files.lock_of(folder / "metrics.csv")]

    with pytest.raises(RuntimeError, match="metrics"):
        fail("metrics", another)
    assert not list(tmp_path.iterdir())


def test_seeds_are_fixed_forever_and_distinct() -> None:
    """A change here would change every result of the study."""
    assert derive(0, "train", "interhuman", "intermamba", 0) == 7066476490075532322
    assert len({derive(0, "step", step) for step in range(1000)}) == 1000
    assert 0 <= derive(1, "x") < 2**63
