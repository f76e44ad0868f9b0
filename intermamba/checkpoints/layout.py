"""How the checkpoints of a method's authors are read: what each method's reader offers, and what readers share.

A reader knows the official names of its weights. It reads sizes off their shapes, builds the network, and puts every
weight in its place: an unknown, missing or misshapen one is an error that names it as in the file.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from intermamba.checkpoints.reading import check_fit, read_checkpoint, state_dict
from intermamba.config import Dataset, Section
from intermamba.errors import ConfigError, DataError
from intermamba.methods.variant import Variant
from intermamba.models import build
from intermamba.models.network import Network
from intermamba.positions import sinusoids
from intermamba.reading.documents import explaining

S = TypeVar("S", bound=Section)

BLOCKS = 128
"""Most blocks of a kind that are built."""


@dataclass(frozen=True)
class Released:
    """What is to be read."""

    variant: Variant
    dataset: Dataset
    max_frames: int
    """Longest motion of the dataset, where the weights do not say."""
    checkpoint: Path
    beside: Path | None = None
    """The second file, of a method whose networks are in two."""


class Adopted(NamedTuple):
    """What was read: a network with float32 weights in evaluation mode, and how it is built."""

    model: Network
    sizes: Section
    max_frames: int


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads the official checkpoints of a method."""

    title: str
    read: Callable[[Released], Adopted]
    """The conversion.

    Raises:
        DataError: a file cannot be read safely, is of another model, or its weights do not fit.
    """
    beside: str = ""
    """What the second file holds; none: there is one file only."""


@dataclass
class Weights:
    """Official weights by name, with the file that they are from."""

    path: Path
    title: str
    """Name of the model, for messages."""
    named: dict[str, Tensor]

    @classmethod
    def of(cls, path: Path, title: str, keys: Mapping[str, str]) -> "Weights":
        """The weights of a file with several state dicts; ``keys`` has the key of each by the prefix of its names here.

        Raises:
            DataError: one is missing, or the file cannot be read safely.
        """
        content = read_checkpoint(path)
        if missing := [key for key in keys.values() if key not in content]:
            raise DataError(
                f"{path}: holds no {', '.join(map(repr, missing))}; expected {title}. It has: "
                f"{', '.join(sorted(map(str, content)))[:200]}."
            )
        parts = {prefix: state_dict(path, content[key]) for prefix, key in keys.items()}
        named = {f"{prefix}{name}": value for prefix, part in parts.items() for name, value in part.items()}
        return cls(path, title, named)

    def drop(self, *beginnings: str) -> None:
        """Set aside frozen weights of another model."""
        self.named = {name: value for name, value in self.named.items() if not name.startswith(beginnings)}

    def drop_positions(self, *names: str, width: int | None = None) -> None:
        """Set aside tables of sinusoids, of ``width`` features if given, after a comparison with this project's.

        Raises:
            DataError: one is no such table.
        """
        for name in names:
            if (table := self.named.pop(name, None)) is None:
                continue
            # Angles of thousands of radians in float32: rounding of the rates shows in the third decimal.
            rows = table.flatten(0, -2) if table.ndim > 1 else table
            own = sinusoids(torch.arange(len(rows)), width or rows.shape[-1]) if rows.ndim == 2 else torch.empty(0)
            if rows.shape != own.shape or not torch.allclose(rows.float(), own, rtol=0, atol=5e-3):
                what = f"the table of sinusoids for {width} features" if width else "a table of sinusoids"
                raise DataError(f"{self.path}: {name} is not {what}.")

    def shape(self, name: str) -> torch.Size:
        """Shape of a weight from which sizes are derived.

        Raises:
            DataError: it is not there.
        """
        if name not in self.named:
            raise DataError(f"{self.path}: missing {name}, which gives a size; expected a checkpoint of {self.title}.")
        return self.named[name].shape

    def matrix(self, name: str) -> tuple[int, int]:
        """Rows and columns of a weight from which sizes are derived.

        Raises:
            DataError: it is not there, or no matrix.
        """
        if len(shape := self.shape(name)) != 2:
            raise DataError(f"{self.path}: {name} is {tuple(shape)}, expected a matrix.")
        return shape[0], shape[1]

    def depth(self, prefix: str) -> int:
        """How many numbered modules there are under ``prefix``.

        Raises:
            DataError: more than are built.
        """
        found = len({name.removeprefix(prefix).split(".")[0] for name in self.named if name.startswith(prefix)})
        if found > BLOCKS:
            raise DataError(f"{self.path}: {found:,} blocks under {prefix}; at most {BLOCKS} are built.")
        return found


def renamed(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    """``name`` with the first matching prefix of ``pairs`` replaced by its partner; unchanged if none matches."""
    return next((there + name.removeprefix(here) for here, there in pairs if name.startswith(here)), name)


def sized(kind: type[S], weights: Weights, **found: int) -> S:
    """Sizes of that kind, as they were ``found``.

    Raises:
        DataError: one that is out of range.
    """
    with explaining(f"{weights.path}: cannot be built"):
        return kind(**found)


def empty(released: Released, weights: Weights, **sizes: Any) -> Network:
    """The network of these sizes on the device ``meta``: names and shapes alone, nothing is allocated or drawn.

    Raises:
        DataError: a size that is out of range.
    """
    try:
        with torch.device("meta"):
            return build(released.variant, **sizes)
    except ConfigError as error:
        raise DataError(f"{weights.path}: cannot be built: {error}") from error


def fill(model: Network, *files: tuple[Weights, Mapping[str, str]]) -> Network:
    """``model``, built on the device ``meta``, with the weights of files, each with official names by this project's.

    Raises:
        DataError: a weight is missing, unknown or misshapen.
    """
    own: dict[str, Tensor] = {}
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    for weights, names in files:
        expected = {there: shapes[here] for here, there in names.items()}
        check_fit(weights.path, weights.named, expected, weights.title)
        own |= {here: weights.named[there].to(torch.float32, copy=True) for here, there in names.items()}
    model.load_state_dict(own, assign=True)
    return model.eval().requires_grad_(False)
