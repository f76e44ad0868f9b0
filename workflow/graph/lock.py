"""One pipeline tool per working tree.

Snakemake and DVC treat outputs in incompatible ways: DVC deletes a stage's outputs before it runs, does not
keep modification times, and may replace files by links. The first tool to run a profile owns its results here; the
other is refused before it touches anything.
"""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from intermamba import files
from intermamba.errors import StateError

RUNNER = "INTERMAMBA_RUNNER"
"""Environment variable in which the Snakefile names the tool; DVC sets its own ``DVC_STAGE``."""


def runner() -> str | None:
    """The tool that started this process: ``snakemake``, ``dvc``, or ``None`` for a person."""
    if "DVC_STAGE" in os.environ:
        return "dvc"
    return os.environ.get(RUNNER)


def check(profile: str, tool: str | None) -> None:
    """Refuse ``tool`` if the other one owns a profile's results.

    Raises:
        StateError: the other tool owns them.
    """
    mark = _mark(profile)
    owner = mark.read_text(encoding="utf-8").strip() if mark.exists() else tool
    if tool is not None and owner != tool:
        raise StateError(
            f"{mark}: the results of profile {profile!r} in this working tree belong to {owner}, and {tool} must not "
            f"use them (it would delete or relink files that {owner} tracks). Continue with {owner}, or use {tool} in "
            f"a fresh clone, or run `make clean PROFILE={profile}` to start over."
        )


def take(profile: str, tool: str | None) -> None:
    """Check, and take ownership of a profile's results for ``tool``; a person's own commands own nothing."""
    check(profile, tool)
    if tool is not None and not _mark(profile).exists():
        files.write_text(_mark(profile), tool + "\n")


_HELD: list[FileLock] = []
"""Locks of this process, kept because a lock without a reference is released."""


def exclusive(profile: str) -> None:
    """Refuse a second pipeline of a profile while this process lives.

    Unlike Snakemake's own lock, it ends with the process, so a killed run can simply be started again.

    Raises:
        StateError: another pipeline is running.
    """
    folder = _mark(profile).parent
    _hold(folder / ".pipeline.lock", f"{folder}: another pipeline is running this profile.")


def exclusive_slurm() -> None:
    """Refuse a second pipeline through Slurm in this working tree, whatever its profile, while this process lives:
    names of Slurm's jobs contain the tree, not the profile.

    Raises:
        StateError: another one is running.
    """
    _hold(
        Path("results/.slurm.lock"),
        "another pipeline runs through Slurm in this folder. A second clone can run beside it.",
    )


def _hold(path: Path, taken: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StateError(f"{taken} Wait for it, or stop it first.") from None
    _HELD.append(lock)


def _mark(profile: str) -> Path:
    return Path("results") / profile / ".owner"
