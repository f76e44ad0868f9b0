"""Provenance: one record per stage run, beside the stage's main artefact.

A record holds everything needed to trace a number back: command, resolved configuration, code revision and whether the
tree was dirty, hashes of inputs and outputs, seeds, versions, device, vector instructions, wall time. Records are the
only artefacts that differ between two runs of the same stage (they hold times), so nothing downstream depends on one.
"""

import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict  # of Python itself, pydantic takes it from 3.12 on

from intermamba import files, processes
from intermamba.errors import StateError
from intermamba.paths import COMMITTED, record_of
from intermamba.reading.documents import checked

PACKAGES = (
    "torch",
    "lightning",
    "open_clip_torch",
    "numba",
    "numpy",
    "scipy",
    "pandas",
    "safetensors",
    "h5py",
)


def code_revision() -> dict[str, Any]:
    """Git commit of the working directory and whether tracked files differ from it; ``None`` outside a checkout.

    Committed results do not count, since regenerating them does not change the code.
    """

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    revision = git("rev-parse", "HEAD")
    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", f":!results/{COMMITTED}", f":!data/{COMMITTED}"
    )
    return {"revision": revision, "dirty": None if changed is None else bool(changed)}


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the packages, by default those that affect results, where installed."""
    found = {package: version for package in packages if (version := _version(package))}
    return {"python": platform.python_version(), **found}


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


WIDEST = {"avx512f": "AVX-512", "avx2": "AVX2", "sve": "SVE", "asimd": "NEON"}
"""Vector instructions by the flag of a processor that has them, the widest first."""
NARROWED_BY = (
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
"""Variables that keep libraries from using some of them; docs/howto/trace-a-number.md."""


def instructions() -> dict[str, str]:
    """The widest vector instructions of the processor, where the system tells, and the variables set to use others:
    they decide how numbers are rounded.
    """
    flags = {word for line in _cpuinfo() if line.startswith(("flags", "Features")) for word in line.split()}
    found = next((name for flag, name in WIDEST.items() if flag in flags), None)
    narrowed = {name: os.environ[name] for name in NARROWED_BY if name in os.environ}
    return {"processor": found or "unknown", **narrowed}


def device() -> str:
    """The accelerator, if this process has used it, else the :func:`processor`."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return str(torch.cuda.get_device_name())
    return processor()


def processor() -> str:
    """The processor's model name, where the system gives it, and its architecture."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()} CPU)" if names else f"{platform.machine()} CPU"


def _cpuinfo() -> list[str]:
    place = Path("/proc/cpuinfo")
    return place.read_text(encoding="utf-8").splitlines() if place.exists() else []


def peak_memory() -> int:
    """Peak memory of this process in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Code(TypedDict):
    """The code of a run."""

    revision: str | None
    dirty: bool | None


class Record(TypedDict):
    """What readers of a record rely on; the file holds more."""

    config: dict[str, Any]
    code: Code
    inputs: dict[str, str]
    """Hashes of files by their paths."""
    outputs: dict[str, str]
    started: str
    wall_seconds: float
    notes: dict[str, Any]


def read(path: str | Path) -> Record:
    """The record at ``path``.

    Raises:
        DataError: it cannot be read, or lacks something.
    """
    found: Record = checked(Record, files.read_json(path), str(path))
    return found


@contextmanager
def recorded(
    stage: str,
    outputs: Iterable[str | Path],
    inputs: Iterable[str | Path] = (),
    config: Mapping[str, Any] | None = None,
    seeds: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Run a stage and, if it succeeds, write its record beside the first of ``outputs``.

    Yields a dictionary for the stage's own notes (counts, origins of data and weights), which becomes ``notes``. Two
    runs that would write the same record never overlap: the second waits, for instance for a job that survived a killed
    pipeline.

    Raises:
        StateError: an input has changed during the work.
    """
    written = [Path(path) for path in outputs]
    if not processes.first():
        yield {}
        return
    notes: dict[str, Any] = {}
    with files.alone(written[0]):
        started, clock = datetime.now(UTC), time.perf_counter()
        code = code_revision()  # before the work: the tree may change while it runs
        stamps = {path: files.stamp(path) for path in map(Path, inputs)}
        hashes = {str(path): files.sha256(path) for path in stamps}
        yield notes
        for path, stamp in stamps.items():
            if files.stamp(path) != stamp and (not path.exists() or files.sha256(path) != hashes[str(path)]):
                raise StateError(
                    f"{path} changed while `{stage}` read it, so what it wrote does not count. Run the same command "
                    "again."
                )
        files.write_json(
            record_of(written[0]),
            {
                "stage": stage,
                "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
                "config": dict(config or {}),
                "code": code,
                "inputs": hashes,
                "outputs": {str(path): files.sha256(path) for path in written},
                "seeds": dict(seeds or {}),
                "versions": versions(),
                "device": device(),
                "instructions": instructions(),
                "threads": sys.modules["torch"].get_num_threads() if "torch" in sys.modules else 1,
                "started": started.isoformat(timespec="seconds"),
                "wall_seconds": round(time.perf_counter() - clock, 3),
                "peak_memory_mib": peak_memory() // 2**20,
                "notes": notes,
            },
        )
