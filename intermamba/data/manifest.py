"""The manifest of a dataset: its folder, every raw file with size and hash, and the clips of each split."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from intermamba import files
from intermamba.config import Dataset
from intermamba.reading.documents import checked


class Entry(BaseModel):
    """A raw file."""

    model_config = ConfigDict(strict=True)

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """The files that ``fetch`` found."""

    model_config = ConfigDict(frozen=True, strict=True)

    dataset: Dataset
    origin: Literal["synthetic", "official"]
    format: str
    """Format of the motions: ``npy``, ``npz`` or ``hdf5``."""
    skeleton: str | None
    root: str
    """Folder of the raw files."""
    fps: int
    counts: dict[str, int]
    clips: dict[str, list[str]]
    """Usable ids of each split, in order."""
    ignored: list[str]
    missing_allowed: list[str]
    files: dict[str, Entry]
    """Files by their names relative to ``root``."""


def write(path: Path, manifest: Manifest) -> None:
    """Write the manifest as JSON, atomically."""
    files.write_json(path, manifest.model_dump())


def read(path: Path) -> Manifest:
    """The manifest at ``path``.

    Raises:
        DataError: it is another kind of file.
    """
    remedy = "Delete it and run `intermamba fetch` again."
    found: Manifest = checked(Manifest, files.read_json(path), str(path), remedy)
    return found
