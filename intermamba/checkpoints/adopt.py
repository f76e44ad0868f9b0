"""Stage ``adopt``: import a released checkpoint into this project's format."""

from pathlib import Path
from pkgutil import resolve_name
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float32

from intermamba.checkpoints import recipe
from intermamba.checkpoints.layout import Reader, Released
from intermamba.checkpoints.trained import Trained, save
from intermamba.config import Config, OfficialModel
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.job import Job
from intermamba.models import find
from intermamba.reading.arrays import read_array
from intermamba.representation import representation
from intermamba.text.names import tower_name

DIFFUSION_STEPS = 1000
"""Steps of the noise schedule with which all official models were trained that have one."""


def run(config: Config, job: Job) -> None:
    """Convert an official checkpoint to a file that :func:`intermamba.checkpoints.trained.load` reads.

    Raises:
        ConfigError: the model has no official layout, or reads another text tower than the profile's.
        DataError: a file is missing, broken, or of another kind.
    """
    dataset, variant = job.dataset, find(job.variant)
    method, text = variant.method, variant.configured(config).text
    if variant.name not in (known := get_args(OfficialModel)):
        raise ConfigError(unknown("official model", variant.name, known, "--variant"))
    reader: Reader = resolve_name(method.layout)
    kind = method.defaults.get("text", {}).get("tower", "clip")
    if text.tower not in (kind, "untrained"):
        raise ConfigError(
            f"text.tower: {text.tower}, but official checkpoints read {method.text}. Use a profile with the tower they "
            f"were trained with (`text.tower: {kind}`)."
        )
    where = f"official.{dataset}.{variant.name}"
    _check_given(job, where, "beside", reader.beside, f"{reader.title} is one file")
    statistics = "the folder of its mean and standard deviation" if method.normalises(dataset) else ""
    _check_given(
        job, where, "mean", statistics, f"{reader.title} sees features of {dataset} as they are", "normalisation"
    )
    for file in job.reads:
        if not file.is_file():
            raise DataError(f"{file}: no such file. See docs/howto/official-checkpoint.md.")
    with job.recorded(config) as notes:
        body, checkpoint = representation(dataset), job["checkpoint"]
        beside = job["beside"] if reader.beside else None
        frames = config.datasets[dataset].max_frames
        found = reader.read(Released(variant, dataset, frames, checkpoint, beside))
        model = found.model
        if model.text_width != text.width:
            raise ConfigError(
                f"{checkpoint}: reads a text tower {model.text_width} wide; that of profile {config.profile!r} is "
                f"{text.width} wide. Use a profile with the tower it was trained with ({method.text})."
            )
        if model.features != body.features:
            raise DataError(
                f"{checkpoint}: generates {model.features} features per person; {dataset} has {body.features}."
            )
        mean, std = torch.zeros(body.features), torch.ones(body.features)
        if statistics:
            mean, std = (torch.from_numpy(_read(job[name], body.features)) for name in ("mean", "std"))
        if not (std > 0).all():
            raise DataError(f"{job['std']}: a standard deviation that is not positive.")
        described = recipe.describe(config, dataset, variant.name, origin="official", tower=tower_name(text))
        own = {
            "sizes": found.sizes,
            "max_frames": found.max_frames,
            "diffusion": described.diffusion.model_copy(update={"steps": DIFFUSION_STEPS}),
        }
        adopted = Trained(model, mean, std, described.model_copy(update=own))
        save(job["weights"], adopted)
        notes.update(
            origin=adopted.origin,
            tower=adopted.tower,
            parameters=sum(map(torch.Tensor.numel, model.parameters())),
        )


def _check_given(job: Job, where: str, name: str, needed: str, why_not: str, knob: str | None = None) -> None:
    """Check that the input ``name`` is given where it is ``needed``, and only there.

    Raises:
        ConfigError: it is not.
    """
    place = f"{where}.{knob or name}"
    if needed and not job.inputs.get(name):
        raise ConfigError(f"{place}: missing; give {needed}. See docs/howto/official-checkpoint.md.")
    if not needed and job.inputs.get(name):
        raise ConfigError(f"{place}: given, but {why_not}. Take it out.")


def _read(path: Path, features: int) -> Float32[np.ndarray, " F"]:
    """Statistics of one person's features."""
    values = read_array(path)
    if values.shape != (features,) or not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{path}: {values.dtype} of shape {values.shape}; needs {features} floating-point numbers.")
    if not np.isfinite(values).all():
        raise DataError(f"{path}: NaN or infinite values.")
    return np.array(values, dtype=np.float32)
