"""``intermamba init``: copies the files that a study needs from the package to a folder.

``workflow/starter`` links to the files in the repository's top folder; an installed package holds copies.
"""

import os
from importlib import resources
from pathlib import Path

from intermamba import files
from intermamba.errors import StateError, listed


def sources() -> dict[Path, Path]:
    """Every file of a study, by its path in the study's folder, in order."""
    starter = Path(str(resources.files("workflow"))) / "starter"
    found = (Path(folder) / name for folder, _, names in os.walk(starter, followlinks=True) for name in names)
    return {path.relative_to(starter): path for path in sorted(found)}


def write(folder: str | Path = ".") -> list[Path]:
    """Put the files of a study into ``folder``; returns them in order.

    Raises:
        StateError: a file exists already, or cannot be written; none is overwritten.
    """
    targets = {Path(folder) / place: source for place, source in sources().items()}
    if there := [path for path in targets if path.exists()]:
        exist = "exists" if len(there) == 1 else "exist"
        raise StateError(
            f"{listed(there, 1)} {exist} already; init overwrites nothing. Use this study, or choose another folder."
        )
    try:
        for target, source in targets.items():
            files.copy(source, target)
    except OSError as error:
        raise StateError(f"{folder}: cannot be written ({error.strerror}). Choose another folder.") from error
    return list(targets)
