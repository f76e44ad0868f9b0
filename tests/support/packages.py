"""Packages of other projects, as an installer leaves them."""

import sys
from pathlib import Path

import pytest


def install(folder: Path, patch: pytest.MonkeyPatch, module: str, source: str, **points: dict[str, str]) -> None:
    """Put a module with entry points on the path.

    Args:
        folder: where it goes.
        patch: takes it off the path again.
        module: its name.
        source: its text.
        points: by group (with ``_`` for ``.``): names, and what they stand for.
    """
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [
        line
        for group, names in points.items()
        for line in (f"[{group.replace('_', '.')}]", *(f"{name} = {what}" for name, what in names.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    patch.delitem(sys.modules, module, raising=False)
    patch.syspath_prepend(folder)
