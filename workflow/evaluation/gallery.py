"""Motions of a few test prompts, reference or generated, for figures and the report, which read them without torch.

The stages ``gallery-reference`` and ``gallery`` (:mod:`workflow.evaluation.gallery_motions`) write the file. Joints are
16-bit integers, each motion with its own scale: 4 m from the origin, that rounds to a tenth of a millimetre.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Float32, Int16
from pydantic import BaseModel, Field, Json

from intermamba import files
from intermamba.config import Dataset, Positive
from intermamba.errors import DataError, StateError
from intermamba.reading.documents import checked

_LARGEST = 32767
"""Largest 16-bit integer."""


class _Metadata(BaseModel):
    """The metadata of a gallery file."""

    dataset: Dataset
    method: str
    origin: Literal["synthetic", "official"]
    tower: str
    fps: Positive
    clips: Json[Annotated[tuple[str, ...], Field(min_length=1)]]
    captions: Json[tuple[str, ...]]
    individual: Json[tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Gallery:
    """Motions of one method for the chosen prompts of a dataset."""

    dataset: str
    method: str
    """A variant, or ``real``."""
    origin: str
    """``synthetic`` or ``official``: origin of the data; of a model, that of its training data."""
    tower: str
    """Text tower that read the captions; empty for real motions."""
    fps: int
    clips: tuple[str, ...]
    captions: tuple[str, ...]
    individual: tuple[tuple[str, str], ...]
    """Captions of person a and person b for each clip, where the data have them; else empty."""
    joints: tuple[Float32[np.ndarray, "_ 2 22 3"], ...]
    """Global positions, metres, y up; one array per clip, with all its frames."""
    floor: tuple[float, ...]
    """Height of each clip's floor, metres."""


def write(path: str | Path, gallery: Gallery) -> None:
    """Write ``gallery``; positions are rounded to 1/32767 of the largest coordinate of their motion.

    Raises:
        StateError: a motion is not finite.
    """
    for clip, joints in zip(gallery.clips, gallery.joints, strict=True):
        if not np.isfinite(joints).all():
            raise StateError(f"{gallery.method} on {gallery.dataset}, clip {clip}: the motion is not finite.")
    integers, scale = zip(*map(rounded, gallery.joints), strict=True)
    arrays = {
        "joints": np.concatenate(integers),
        "start": np.array([0, *np.cumsum([len(joints) for joints in gallery.joints])], np.int64),
        "scale": np.array(scale, np.float64),
        "floor": np.array(gallery.floor, np.float64),
    }
    values = {name: getattr(gallery, name) for name in _Metadata.model_fields}
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    files.write_arrays(path, arrays, text)


def rounded(joints: Float[np.ndarray, "*axes"]) -> tuple[Int16[np.ndarray, "*axes"], float]:
    """Positions as 16-bit integers, and metres per unit: 1/32767 of the largest coordinate."""
    scale = max(float(np.abs(joints).max()), 1e-6) / _LARGEST
    return np.rint(joints / scale).astype(np.int16), scale


def read(path: str | Path) -> Gallery:
    """Read a file of :func:`write`.

    Raises:
        DataError: it is another kind of file.
    """
    arrays, metadata = files.read_arrays(path)
    remedy = "Run `intermamba gallery` again."
    if missing := {"joints", "start", "scale", "floor"} - set(arrays):
        raise DataError(f"{path}: not a gallery of motions (no {', '.join(sorted(missing))}). {remedy}")
    about: _Metadata = checked(_Metadata, metadata, str(path), remedy)
    count, joints, start = len(about.clips), arrays["joints"], arrays["start"]
    sound = (
        joints.dtype == np.int16
        and joints.ndim == 4
        and start.dtype == np.int64
        and len(about.captions) == count
        and len(about.individual) in (0, count)
        and start.shape == (count + 1,)
        and start[0] == 0
        and start[-1] == len(joints)
        and (np.diff(start) > 0).all()
        and all(arrays[name].shape == (count,) and np.isfinite(arrays[name]).all() for name in ("scale", "floor"))
    )
    if not sound:
        raise DataError(f"{path}: shapes or values of its arrays do not fit {count} motions. {remedy}")
    pieces = [joints[first:last] for first, last in pairwise(start.tolist())]
    return Gallery(
        **dict(about),
        joints=tuple(
            (one * scale).astype(np.float32) for one, scale in zip(pieces, arrays["scale"].tolist(), strict=True)
        ),
        floor=tuple(arrays["floor"].tolist()),
    )
