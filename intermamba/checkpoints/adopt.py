"""Stage ``adopt``: a checkpoint that its authors released becomes one of ours, from there on like any other."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from intermamba import paths, provenance
from intermamba.checkpoints import official, recipe
from intermamba.checkpoints.trained import Trained, save
from intermamba.config import Config, Dataset, OfficialConfig
from intermamba.data.raw import read_array
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.representation import representation
from intermamba.text.names import tower_name

STATISTICS = (("global_mean.npy", "global_std.npy"), ("interhuman_mean.npy", "interhuman_std.npy"))
"""Files of mean and standard deviation in a folder, as InterGen ships them and as in2IN does."""

DIFFUSION_STEPS = 1000
"""Of the noise schedule that both were trained with."""


def run(config: Config, dataset: Dataset, variant: str) -> None:
    """Adopt the checkpoint that the profile names for a model on a dataset.

    Raises:
        ConfigError: it names none.
        DataError: as :func:`adopt`.
    """
    named = {f"{data}.{model}": config.official[data][model] for data, model in config.adopted()}
    if (place := f"{dataset}.{variant}") not in named:
        raise ConfigError(
            unknown("official checkpoint", place, named, f"official of profile {config.profile!r} in params.yaml")
        )
    output = paths.path("official_weights", profile=config.profile, dataset=dataset, variant=variant)
    adopt(config, dataset, variant, named[place], output)


def adopt(config: Config, dataset: Dataset, variant: str, source: OfficialConfig, output: Path) -> None:
    """Write an official checkpoint as a file that :func:`intermamba.checkpoints.trained.load` reads.

    Raises:
        ConfigError: a model without an official layout, or one that reads another text tower than the profile's.
        DataError: a file is missing, broken, or not what its place promises.
    """
    if variant not in official.LAYOUTS:
        raise ConfigError(unknown("official model", variant, official.LAYOUTS, "--variant"))
    checkpoint, statistics = Path(source.checkpoint), _statistics(Path(source.normalisation))
    if not checkpoint.is_file():
        raise DataError(f"{checkpoint}: no such checkpoint. See docs/howto/official-checkpoint.md.")
    knobs = {"official": source.model_dump(), "text": config.section("text")}
    with provenance.recorded("adopt", [output], [checkpoint, *statistics], knobs) as notes:
        model = official.load(checkpoint, official.LAYOUTS[variant])
        text_width, features = model.embed_text.in_features, model.out.out_features
        if text_width != config.text.width:
            raise ConfigError(
                f"{checkpoint}: reads a text tower {text_width} wide; that of profile {config.profile!r} is "
                f"{config.text.width} wide. Use a profile with the tower it was trained with (CLIP ViT-L/14: 768)."
            )
        if features != (known := representation(dataset).features):
            raise DataError(f"{checkpoint}: makes {features} features per person; {dataset} has {known}.")
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
        save(output, adopted)
        notes.update(
            origin=adopted.origin,
            tower=adopted.tower,
            parameters=sum(map(torch.Tensor.numel, model.parameters())),
        )


def _statistics(folder: Path) -> tuple[Path, Path]:
    for mean, std in STATISTICS:
        if (folder / mean).is_file() and (folder / std).is_file():
            return folder / mean, folder / std
    known = " nor ".join(f"{mean} with {std}" for mean, std in STATISTICS)
    raise DataError(
        f"{folder}: neither {known} in it. They come with the model's code (docs/howto/official-checkpoint.md)."
    )


def _read(path: Path, features: int) -> Float32[np.ndarray, " F"]:
    """Statistics of one person's features."""
    values = read_array(path)
    if values.shape != (features,) or not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{path}: {values.dtype} of shape {values.shape}; needs {features} floating-point numbers.")
    if not np.isfinite(values).all():
        raise DataError(f"{path}: NaN or infinite values.")
    return np.array(values, dtype=np.float32)
