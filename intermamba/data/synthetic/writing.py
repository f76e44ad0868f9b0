"""Atomic writing of a whole folder, marked as synthetic."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from intermamba.data import HELD_OUT_CLIPS, SYNTHETIC_MARKER, UNSEEN_CAPTIONS
from intermamba.data.synthetic.plan import Planned
from intermamba.progress import Progress

_TEXT = """\
Generated choreographies in the owners' raw layout: this folder holds no recorded motion.
Results made from this folder are labelled synthetic because this file is present.
"""


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file of ``lines``."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_clips(
    folder: Path,
    clips: Sequence[Planned],
    name: Callable[[Planned], str],
    write: Callable[[Path, Planned], Iterable[str]],
    progress: Progress,
) -> None:
    """Write every clip; then the captions in phrasings that are absent from training, which ``write`` returns, and the
    clips of combinations that are absent from it.
    """
    progress.start(len(clips))
    unseen: set[str] = set()
    for planned in clips:
        unseen.update(write(folder, planned))
        progress()
    write_lines(folder / UNSEEN_CAPTIONS, sorted(unseen))
    write_lines(folder / HELD_OUT_CLIPS, sorted(name(planned) for planned in clips if planned.held_out))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty sibling to fill; on success it replaces ``folder``, on failure it is removed.

    Leftovers of a killed run are removed by the next one.
    """
    folder = Path(folder)
    part, old = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        (part / SYNTHETIC_MARKER).write_text(_TEXT, encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
