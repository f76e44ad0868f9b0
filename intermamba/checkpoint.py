"""Trained denoisers as self-contained safetensors: weights, normalisation, and how to rebuild the network."""

import json
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from intermamba import files
from intermamba.errors import DataError
from intermamba.models import Denoiser, build

_PREFIX = "model."


@dataclass(frozen=True)
class Trained:
    """A denoiser with the normalisation it was trained under."""

    model: Denoiser
    mean: Float[Tensor, " F"]
    std: Float[Tensor, " F"]
    variant: str
    dataset: str
    origin: str
    """``synthetic`` or ``official``: the data it was trained on."""


def save(path: str | Path, trained: Trained) -> None:
    """Write weights and everything :func:`load` needs; equal weights give equal bytes."""
    tensors = {_PREFIX + name: value for name, value in trained.model.state_dict().items()}
    metadata = {
        "variant": trained.variant,
        "dataset": trained.dataset,
        "origin": trained.origin,
        "build": json.dumps(trained.model.recipe(), sort_keys=True),
    }
    files.write_tensors(path, tensors | {"mean": trained.mean, "std": trained.std}, metadata)


def load(path: str | Path) -> Trained:
    """Rebuild a trained denoiser, in evaluation mode on the CPU.

    Raises:
        StateError: the file does not exist.
        DataError: the file is not one of ours, or its weights do not fit the network it names.
    """
    tensors, metadata = files.read_tensors(files.require(path, "train"))
    if missing := {"variant", "dataset", "origin", "build"} - metadata.keys():
        raise DataError(f"{path}: not a denoiser of this project (no {', '.join(sorted(missing))} in its metadata).")
    model = build(metadata["variant"], **json.loads(metadata["build"]))
    weights = {name.removeprefix(_PREFIX): value for name, value in tensors.items() if name.startswith(_PREFIX)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"{path}: its weights do not fit {metadata['variant']!r} as built today: {error}") from error
    return Trained(
        model.eval().requires_grad_(False),
        tensors["mean"],
        tensors["std"],
        metadata["variant"],
        metadata["dataset"],
        metadata["origin"],
    )
