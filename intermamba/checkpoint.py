"""Trained denoisers as self-contained safetensors: weights, normalisation, and how to rebuild the network."""

import json
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from intermamba import files
from intermamba.config import Config, Dataset
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


def save(
    path: str | Path,
    model: Denoiser,
    stats: dict[str, Tensor],
    *,
    variant: str,
    dataset: Dataset,
    origin: str,
    config: Config,
    text_width: int,
) -> None:
    """Write weights and everything :func:`load` needs; equal weights give equal bytes."""
    tensors = {_PREFIX + name: value for name, value in model.state_dict().items()}
    build_with = {
        "features": stats["mean"].numel(),
        "max_frames": config.datasets[dataset].max_frames,
        "text_width": text_width,
        **config.model.model_dump(),
    }
    metadata = {
        "variant": variant,
        "dataset": dataset,
        "origin": origin,
        "build": json.dumps(build_with, sort_keys=True),
    }
    files.write_tensors(path, tensors | {"mean": stats["mean"], "std": stats["std"]}, metadata)


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
