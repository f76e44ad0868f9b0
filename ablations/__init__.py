"""The rows of the tables, the paper's and this project's: one YAML file per variant, a short difference from a base.

To add a row, add a file here and its name under ``runs`` in params.yaml. Another package adds rows with an entry point
of group ``intermamba.variants`` of its own.
"""

import os
from functools import lru_cache
from pathlib import Path

from intermamba.errors import ConfigError
from intermamba.methods.variant import Variant
from intermamba.reading.documents import checked, read_yaml

FOLDER = Path(__file__).parent
OWN = Path("ablations")
"""Folder of further variants, beside the params.yaml of the working directory."""


def load() -> dict[str, Variant]:
    """Every variant of this package and of the working directory, by name; the working directory has precedence.

    Raises:
        ConfigError: as :func:`read`.
    """
    return read(FOLDER) | read(OWN)


def read(folder: Path) -> dict[str, Variant]:
    """Every variant of ``folder``, by name.

    Raises:
        ConfigError: a file is not a valid variant, or its ``name`` differs from the file's; the message names the file.
    """
    if not folder.is_dir():
        return {}
    whole = folder.absolute()
    with os.scandir(folder) as entries:  # the graph reads the folder for each row, and pathlib is slow
        states = {entry.name: _state(entry) for entry in entries if entry.name.endswith(".yaml")}
    found = {}
    for name, state in sorted(states.items()):
        variant = _variant(f"{whole}/{name}", f"{folder}/{name}", state)
        found[variant.name] = variant
    return found


def _state(entry: "os.DirEntry[str]") -> tuple[int, ...]:
    """Values that change when a file does; empty if there is none."""
    try:
        found = entry.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=256)
def _variant(path: str, name: str, state: tuple[int, ...]) -> Variant:  # noqa: ARG001 (read again in another state)
    written = read_yaml(name)
    try:
        variant: Variant = checked(Variant, written, name, error=ConfigError)
    except ConfigError as error:
        named = str(error).startswith(f"{name}: ")
        raise (error if named else ConfigError(f"{name}: {error}")) from error.__cause__
    if variant.name != Path(path).stem:
        raise ConfigError(f"{name}: its name is {variant.name!r}; name and file must agree.")
    return variant.model_copy(update={"file": path})
