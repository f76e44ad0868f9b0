"""The recipe of a checkpoint: all settings of its training that sampling needs.

It is JSON in the metadata of the safetensors file, beside the format's number. It is read without torch, and fully
checked, sizes against stated bounds, before anything is built or allocated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import SerializeAsAny, field_validator, model_validator

from intermamba import datasets, files
from intermamba.config import Config, Count, Dataset, DiffusionConfig, ModelConfig, Positive, Section, TextConfig
from intermamba.errors import ConfigError, DataError
from intermamba.methods.variant import Variant
from intermamba.models import check_sizes, find, sizes_of
from intermamba.reading.documents import explaining

FORMAT = "2"
"""Version of the metadata; earlier files held no text tower and no sampling settings."""

BOUNDS = {
    "width": 8192, "heads": 256, "feedforward": 65536, "modules": 64, "blocks_per_module": 64, "state": 1024,
    "rank": 8192, "kernel": 64, "transformer_blocks": 128, "text_layers": 64, "text_heads": 256,
    "text_feedforward": 65536,
}  # fmt: skip
"""Largest size of each kind, at least eight times that of the paper's largest model."""
BLOCKS = 128
"""Maximum number of blocks over all modules [paper 8]."""
FRAMES = 10_000
"""Longest motion, frames [paper 300]."""
LONGEST_SCHEDULE = 100_000
"""Longest noise schedule [paper 1000]."""
GUIDANCE = 1e6
"""Largest guidance scale [paper 3.5]."""
TEXT_BOUNDS = {"width": 8192, "heads": 256, "layers": 128, "context": 1024}
EXAMPLE = "One person greets another person with a deep bow once, and the other bows back."
"""A sentence of the synthetic data."""
TOWER_WEIGHTS = 1 << 28
"""Maximum number of weights of an untrained text tower's layers [CLIP ViT-L/14: 85 million]."""


class Recipe(Section):
    """How to rebuild a trained denoiser, and how to sample from it."""

    variant: Variant
    """Name, base and changes; hypothesis, paper rows and note are left out."""
    dataset: Dataset
    origin: Literal["synthetic", "official"]
    """Origin of its training data."""
    sizes: SerializeAsAny[Section]
    """Sizes, of the class of its method."""
    min_frames: Positive
    """Frames of the shortest clips it was trained on."""
    max_frames: Positive
    """Frames of the longest motion that it generates."""
    tower: str
    """Name of the text tower whose features it reads (:func:`intermamba.text.names.tower_name`)."""
    text: TextConfig
    """Settings of that tower."""
    diffusion: DiffusionConfig
    """The noise schedule of its training; solver, steps, guidance and precision are defaults for sampling."""
    seed: Count
    """Root of the seeds of sampling noise."""

    @field_validator("sizes", mode="before")
    @classmethod
    def _of_method(cls, sizes: Any, info: Any) -> Any:  # ValidationInfo, which no type check takes at run time
        """Sizes in the class of the variant's method; the variant's own field reports its errors."""
        variant: Variant | None = info.data.get("variant")
        if variant is None or isinstance(sizes, Section):
            return sizes
        return variant.method.sizes.model_validate(sizes)

    @model_validator(mode="after")
    def _plausible(self) -> "Recipe":
        if problems := list(self._problems()):
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        options = self.variant.options()
        sizes = self.sizes.model_dump()
        found: dict[str, tuple[float, float]] = {}
        if isinstance(self.sizes, ModelConfig):
            modules = getattr(options, "modules", None) or self.sizes.modules
            found |= {f"sizes.{name}": (sizes[name], most) for name, most in BOUNDS.items()}
            found["modules"] = (modules, BOUNDS["modules"])
            found["blocks over all modules"] = (modules * self.sizes.blocks_per_module, BLOCKS)
        found |= {f"text.{name}": (getattr(self.text, name), most) for name, most in TEXT_BOUNDS.items()}
        found["max_frames"] = (self.max_frames, FRAMES)
        found["diffusion.steps"] = (self.diffusion.steps, LONGEST_SCHEDULE)
        found["diffusion.guidance"] = (self.diffusion.guidance, GUIDANCE)
        found["min_frames"] = (self.min_frames, self.max_frames)
        if self.text.tower == "untrained":
            found["weights of the untrained text tower"] = (12 * self.text.width**2 * self.text.layers, TOWER_WEIGHTS)
            if self.text.width % self.text.heads:
                yield f"text.width {self.text.width} is not a multiple of its {self.text.heads} heads"
        for name, (value, most) in found.items():
            if value > most:
                yield f"{name}: {value}, at most {most}"
        try:
            if isinstance(self.sizes, ModelConfig):
                check_sizes(self.sizes, self.text.width)
        except ConfigError as error:
            yield str(error)

    @property
    def individual(self) -> bool:
        """Whether it reads a caption for each person besides the pair's, and has its own guidance weights."""
        return self.variant.individual

    @property
    def longest(self) -> int:
        """Frames of the longest motion that its training can have shown.

        A window of ``max_frames`` raw frames of InterHuman has one feature frame less, and weights of the last frame of
        the network are never trained.
        """
        return self.max_frames - datasets.dataset(self.dataset).lost

    @property
    def reduced(self) -> bool:
        """Whether the tower's features are reduced before they are read, as its name indicates."""
        return self.tower.endswith(f"-pca{self.text.width}")

    @property
    def caveats(self) -> list[str]:
        """Limits of the motions that it generates, for the user."""
        found = []
        if self.origin == "synthetic":
            found.append(
                "trained on synthetic data: the motions show how the model works, not how well it does on real data."
            )
        if self.text.tower == "untrained":
            found.append(
                "the text tower is untrained: the model follows only sentences like those of its training data, for "
                f"example {EXAMPLE!r}"
            )
        elif self.text.tower != "clip":
            found.append(f"the text tower is {self.tower}, not the paper's CLIP.")
        return found


def describe(config: Config, dataset: Dataset, variant: str, *, origin: str, tower: str) -> Recipe:
    """The recipe of a network trained with this configuration, its method's own values included.

    ``origin`` is that of its data, ``synthetic`` or ``official``; ``tower`` names the source of its token features.

    Raises:
        ConfigError: an unknown variant, or a size out of bounds.
    """
    config = find(variant).configured(config)
    data = config.datasets[dataset]
    with explaining(f"profile {config.profile!r}", ConfigError):
        return Recipe(
            variant=find(variant).model_copy(update={"hypothesis": "", "paper": (), "note": ""}),
            dataset=dataset,
            origin=origin,
            sizes=sizes_of(config, find(variant).base),
            min_frames=data.min_frames,
            max_frames=data.max_frames,
            tower=tower,
            text=config.text,
            diffusion=config.diffusion,
            seed=config.seed,
        )


def write(recipe: Recipe) -> dict[str, str]:
    """The metadata of a checkpoint."""
    return {"format": FORMAT, "recipe": recipe.model_dump_json()}


def read(path: str | Path) -> Recipe:
    """The recipe of a checkpoint, from the file's header alone.

    Raises:
        StateError: no such file.
        DataError: it is not a checkpoint of this project, is of another version, or has an invalid recipe.
    """
    try:
        metadata = files.read_metadata(path)
    except DataError as error:
        raise DataError(f"{error} `intermamba adopt` converts an official checkpoint.") from error
    if "recipe" not in metadata or "format" not in metadata:
        raise DataError(
            f"{path}: not a denoiser of this project, or one of an earlier version (no format and recipe in its "
            "metadata). Give the weights.safetensors of a training, or train again."
        )
    if metadata["format"] != FORMAT:
        raise DataError(
            f"{path}: checkpoint format {metadata['format'][:20]!r}; this version of intermamba reads {FORMAT!r}."
        )
    broken = f"{path}: broken recipe in its metadata"
    try:
        with explaining(broken):
            return Recipe.model_validate_json(metadata["recipe"])
    except ConfigError as error:
        raise DataError(f"{broken}: {error}") from error
