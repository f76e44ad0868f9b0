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
_METADATA = ("variant", "dataset", "origin", "build", "tower", "min_frames", "diffusion_steps")


@dataclass(frozen=True)
class Trained:
    """A denoiser with all that sampling from it must repeat of its training."""

    model: Denoiser
    mean: Float[Tensor, " F"]
    std: Float[Tensor, " F"]
    variant: str
    dataset: str
    origin: str
    """``synthetic`` or ``official``: the data it was trained on."""
    tower: str
    """Name of the text tower (:attr:`intermamba.text.tower.Tower.name`) whose features it takes."""
    min_frames: int
    """Frames of the shortest clips it was trained on; ``model.max_frames`` has the longest."""
    diffusion_steps: int
    """Steps of the noise schedule it was trained with."""


def save(path: str | Path, trained: Trained) -> None:
    """Write weights and everything :func:`load` needs; equal weights give equal bytes."""
    tensors = {_PREFIX + name: value for name, value in trained.model.state_dict().items()}
    metadata = {
        "variant": trained.variant,
        "dataset": trained.dataset,
        "origin": trained.origin,
        "build": json.dumps(trained.model.recipe(), sort_keys=True),
        "tower": trained.tower,
        "min_frames": str(trained.min_frames),
        "diffusion_steps": str(trained.diffusion_steps),
    }
    files.write_tensors(path, tensors | {"mean": trained.mean, "std": trained.std}, metadata)


def load(path: str | Path) -> Trained:
    """Rebuild a trained denoiser, in evaluation mode on the CPU.

    Raises:
        StateError: the file does not exist.
        DataError: the file is not one of ours, or its weights do not fit the network it names.
    """
    try:
        tensors, metadata = files.read_tensors(files.require(path, "train"))
    except DataError as error:
        raise DataError(f"{error} An official checkpoint becomes one of ours by `intermamba adopt`.") from error
    if missing := [key for key in _METADATA if key not in metadata]:
        raise DataError(
            f"{path}: not a denoiser of this project, or one of an earlier version (no {', '.join(missing)} in its "
            "metadata). Give the weights.safetensors of a trained row, or train it again."
        )
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
        variant=metadata["variant"],
        dataset=metadata["dataset"],
        origin=metadata["origin"],
        tower=metadata["tower"],
        min_frames=int(metadata["min_frames"]),
        diffusion_steps=int(metadata["diffusion_steps"]),
    )
