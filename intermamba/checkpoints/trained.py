"""Trained denoisers as self-contained safetensors: weights, normalisation and recipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from intermamba import files
from intermamba.checkpoints import recipe as recipes
from intermamba.checkpoints.reading import check_fit
from intermamba.checkpoints.recipe import Recipe
from intermamba.data.interx import NEUTRAL
from intermamba.errors import DataError
from intermamba.models import Network, build
from intermamba.representation import Representation, representation
from intermamba.text.reduction import Reduction

_PREFIX, _TEXT = "model.", "text."


@dataclass(frozen=True)
class Trained:
    """A denoiser with everything that sampling needs."""

    model: Network
    mean: Float[Tensor, " F"]
    std: Float[Tensor, " F"]
    recipe: Recipe
    offsets: Float[np.ndarray, "55 3"] | None = None
    """Inter-X: bones of the body it was trained with, metres; none: the project's neutral skeleton."""
    reduction: Reduction | None = None
    """Reduction of the text tower's features; none: they are read unchanged."""

    @property
    def variant(self) -> str:
        """Name of its row."""
        return self.recipe.variant.name

    @property
    def dataset(self) -> str:
        """Dataset it was trained on."""
        return self.recipe.dataset

    @property
    def origin(self) -> str:
        """Where its training data come from."""
        return self.recipe.origin

    @property
    def tower(self) -> str:
        """Name of the text tower whose features it reads."""
        return self.recipe.tower

    @property
    def body(self) -> Representation:
        """The representation of its features."""
        return representation(self.dataset, self.offsets)


def save(path: str | Path, trained: Trained) -> None:
    """Write weights and everything :func:`load` needs; equal contents give equal bytes."""
    tensors = {_PREFIX + name: value for name, value in trained.model.state_dict().items()}
    tensors |= {"mean": trained.mean, "std": trained.std}
    if trained.offsets is not None and not np.array_equal(trained.offsets, NEUTRAL):
        tensors["offsets"] = torch.from_numpy(trained.offsets)
    if trained.reduction is not None:
        tensors |= {_TEXT + "mean": trained.reduction.mean, _TEXT + "basis": trained.reduction.basis}
    files.write_tensors(path, tensors, recipes.write(trained.recipe))


def load(path: str | Path) -> Trained:
    """Rebuild a trained denoiser, in evaluation mode on the CPU.

    Raises:
        StateError: the file does not exist.
        DataError: it is not a checkpoint of this project, is of another version, or its weights do not fit its recipe.
    """
    recipe = recipes.read(path)
    tensors, _ = files.read_tensors(path)
    features = representation(recipe.dataset).features
    with torch.device("meta"):  # names and shapes alone: nothing is allocated before the file is known to fit
        model = build(recipe.variant, **_inputs(recipe, features))
    expected = {_PREFIX + name: value.shape for name, value in model.state_dict().items()}
    expected |= {"mean": torch.Size([features]), "std": torch.Size([features])}
    if "offsets" in tensors:
        expected["offsets"] = torch.Size(NEUTRAL.shape)
    if recipe.reduced:
        inputs = tensors[_TEXT + "mean"].numel() if _TEXT + "mean" in tensors else recipe.text.width
        expected |= {_TEXT + "mean": torch.Size([inputs]), _TEXT + "basis": torch.Size([inputs, recipe.text.width])}
    check_fit(path, tensors, expected, f"{recipe.variant.name!r} on {recipe.dataset}")
    if not (tensors["std"] > 0).all():
        raise DataError(f"{path}: std holds a standard deviation that is not positive.")
    model.to_empty(device="cpu")
    model.load_state_dict({name: tensors[_PREFIX + name] for name in model.state_dict()})
    offsets = tensors["offsets"].numpy() if "offsets" in tensors else None
    reduction = Reduction(tensors[_TEXT + "mean"], tensors[_TEXT + "basis"]) if recipe.reduced else None
    return Trained(model.eval().requires_grad_(False), tensors["mean"], tensors["std"], recipe, offsets, reduction)


def _inputs(recipe: Recipe, features: int) -> dict[str, Any]:
    return {
        "features": features,
        "max_frames": recipe.max_frames,
        "text_width": recipe.text.width,
        **recipe.sizes.model_dump(),
    }
