"""Stage ``adopt``: import a released checkpoint into this project's format."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from intermamba.checkpoints import official, recipe
from intermamba.checkpoints.trained import Trained, save
from intermamba.config import Config
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.job import Job
from intermamba.reading.arrays import read_array
from intermamba.representation import representation
from intermamba.text.names import tower_name

DIFFUSION_STEPS = 1000
"""Steps of the noise schedule with which both official models were trained."""


def run(config: Config, job: Job) -> None:
    """Convert an official checkpoint to a file that :func:`intermamba.checkpoints.trained.load` reads.

    Raises:
        ConfigError: the model has no official layout, or reads another text tower than the profile's.
        DataError: a file is missing, broken, or of another kind.
    """
    dataset, variant = job.dataset, job.variant
    if variant not in official.LAYOUTS:
        raise ConfigError(unknown("official model", variant, official.LAYOUTS, "--variant"))
    if config.text.tower in ("sentence", "huggingface"):
        raise ConfigError(
            f"text.tower: {config.text.tower}, but official checkpoints read CLIP. Use a profile with the tower they "
            "were trained with (`text.tower: clip`, ViT-L/14, 768 wide)."
        )
    checkpoint, statistics = job["checkpoint"], [job["mean"], job["std"]]
    for file in (checkpoint, *statistics):
        if not file.is_file():
            raise DataError(f"{file}: no such file. See docs/howto/official-checkpoint.md.")
    with job.recorded(config) as notes:
        model = official.load(checkpoint, official.LAYOUTS[variant])
        text_width, features = model.embed_text.in_features, model.out.out_features
        if text_width != config.text.width:
            raise ConfigError(
                f"{checkpoint}: reads a text tower {text_width} wide; that of profile {config.profile!r} is "
                f"{config.text.width} wide. Use a profile with the tower it was trained with (CLIP ViT-L/14: 768)."
            )
        if features != (known := representation(dataset).features):
            raise DataError(f"{checkpoint}: generates {features} features per person; {dataset} has {known}.")
        mean, std = (torch.from_numpy(_read(file, features)) for file in statistics)
        if not (std > 0).all():
            raise DataError(f"{statistics[1]}: a standard deviation that is not positive.")
        described = recipe.describe(config, dataset, variant, origin="official", tower=tower_name(config.text))
        own = {
            "sizes": model.sizes,
            "max_frames": model.max_frames,
            "diffusion": config.diffusion.model_copy(update={"steps": DIFFUSION_STEPS}),
        }
        adopted = Trained(model, mean, std, described.model_copy(update=own))
        save(job["weights"], adopted)
        notes.update(
            origin=adopted.origin,
            tower=adopted.tower,
            parameters=sum(map(torch.Tensor.numel, model.parameters())),
        )


def _read(path: Path, features: int) -> Float32[np.ndarray, " F"]:
    """Statistics of one person's features."""
    values = read_array(path)
    if values.shape != (features,) or not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{path}: {values.dtype} of shape {values.shape}; needs {features} floating-point numbers.")
    if not np.isfinite(values).all():
        raise DataError(f"{path}: NaN or infinite values.")
    return np.array(values, dtype=np.float32)
