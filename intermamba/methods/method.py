"""What a method is: what it trains, how it samples, its options and defaults. Imports no torch.

A method is a folder (or a package elsewhere) that offers one :class:`Method`. Training, sampling, evaluation, tables
and the command line know it only through this description and the classes it names, given as ``module:name`` so that
nothing heavy is imported before it is used. docs/howto/own-method.md adds one step by step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from intermamba.config import Dataset, ModelConfig, Section


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Options(Frozen):
    """Choices of a method that are not sizes, each with its reason; a variant changes some of them."""


class Process(Frozen):
    """The diffusion that a denoiser was made for; part of the method, not a knob."""

    schedule: Literal["cosine", "linear"] = "cosine"
    """Betas over diffusion steps: the squared cosine, or from 1e-4 to 0.02 (scaled to the number of steps)."""
    predicts: Literal["motion", "noise"] = "motion"
    """What the network returns: the clean motion, or the noise in the noisy one."""


MOST_NEEDED = 2
ROW = "row"


@dataclass(frozen=True)
class Error:
    """What a learning curve shows: how far off a training's predictions of held-out clips are."""

    term: str
    """Its column of ``training.csv``: a term of the loss, or ``total``."""
    meaning: str
    """What is measured, in words. Curves of one meaning share an axis."""


TOTAL = Error("total", "all terms of the loss")
CLEAN_MOTION = Error("simple", "clean motion, mean square of normalised features")


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of a method."""

    name: str
    """Of the network that it gives; ``row`` for the last, whose weights are the row's."""
    module: str
    """Its :class:`intermamba.training.module.TrainingModule`."""
    network: str = ""
    """Class of what it trains; none: the method's network."""
    error: Error = TOTAL
    """What its learning curve shows."""
    needs: tuple[str, ...] = ()
    """Names of trainings before it whose weights it reads; at most :data:`MOST_NEEDED`."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields of :class:`~intermamba.config.TrainingConfig` that its authors set otherwise than for the row."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method. ``network`` is a class made by ``network(features, max_frames, text_width, sizes, options)``."""

    name: str
    network: str
    """Its :class:`intermamba.models.network.Network`: everything that sampling needs, as one module."""
    options: type[Options] = Options
    sizes: type[Section] = ModelConfig
    """Class of its sizes: that set by ``model`` in params.yaml, or one of its own, with the official values as
    defaults and largest values as bounds, set by ``methods.<name>.sizes``."""
    trainings: tuple[Training, ...] = (
        Training(name=ROW, module="intermamba.training.module:DenoisingModule", error=CLEAN_MOTION),
    )
    """In order; the last is the row's. Each other one is trained once for all rows of the method and training seed."""
    sampler: str = "intermamba.diffusion.sampler:DiffusionSampler"
    """Its :class:`intermamba.generate.MotionSampler`."""
    process: Process = field(default_factory=Process)
    """Of a method that samples by diffusion."""
    individual: bool = False
    """Whether it reads a caption of each person besides the pair's, or in place of it."""
    guided: Literal["scale", "own", "no"] = "scale"
    """Whether a sample takes a guidance scale; ``own``: its guidance weights are options."""
    stepwise: bool = True
    """Whether a sample takes a number of steps."""
    text: str = "CLIP ViT-L/14@336, token features"
    """What text features it officially reads. ``defaults.text`` asks for that tower where the profile has CLIP; a
    stand-in takes its place elsewhere, and the paper's profile refuses stand-ins."""
    length: Literal["given", "drawn"] = "given"
    """Whether it is told how long a motion is, officially."""
    normalised: tuple[Dataset, ...] = ("interhuman", "interx")
    """Datasets whose features it sees with mean zero and deviation one; elsewhere its statistics are zero and one."""
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Its authors' values where they differ from ``base`` in params.yaml, by section: ``text``, ``model``,
    ``diffusion``, ``losses``, ``training``. What a profile sets for all methods goes over them."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where the defaults come from, by section."""
    layout: str = ""
    """``module:name`` of what reads official checkpoints (docs/howto/own-method.md), if there is something."""

    @property
    def row(self) -> Training:
        """The training whose weights are the row's."""
        return self.trainings[-1]

    @property
    def parts(self) -> tuple[Training, ...]:
        """The trainings before the row's."""
        return self.trainings[:-1]

    def needed(self, training: Training) -> tuple[Training, ...]:
        """The trainings whose weights ``training`` reads, in the order in which it names them."""
        return tuple(self.training(name) for name in training.needs)

    def training(self, name: str) -> Training:
        """Raises:
        KeyError: it has no training of that name.
        """
        return {one.name: one for one in self.trainings}[name]


def load(place: str) -> Any:
    """The object at ``module:name``."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
