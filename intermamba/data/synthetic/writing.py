"""A whole folder appears at once or not at all, and says that it is synthetic."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from intermamba.data import SYNTHETIC_MARKER

_TEXT = """\
Generated choreographies in the owners' raw layout: no recorded person is in here.
Results made from this folder are labelled synthetic because this file is present.
"""


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file of ``lines``, one a line."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty sibling to fill; on success it takes the place of ``folder``, on failure it is removed.

    What a killed run left behind is removed by the next one.
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
