"""The description of a method: its trainings, sampler, options and defaults. Imports no torch.

A method is a folder (or another package) that defines one :class:`Method`. Training, sampling, evaluation, tables and
the command line know it only through this description and the classes it names, given as ``module:name`` so that
nothing heavy is imported before use. docs/howto/own-method.md adds one step by step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from intermamba.config import Dataset, ModelConfig, Section
from intermamba.datasets import family


class Options(Section):
    """Choices of a method that are not sizes, each with its reason; a variant changes some of them."""


class Process(Section):
    """The diffusion process of a denoiser; part of the method, not a knob."""

    schedule: Literal["cosine", "linear"] = "cosine"
    """Betas over diffusion steps: the squared cosine, or from 1e-4 to 0.02 (scaled to the number of steps)."""
    predicts: Literal["motion", "noise"] = "motion"
    """Output of the network: the clean motion, or the noise in the noisy one."""


MOST_NEEDED = 2
"""Trainings that one training may build on."""
ROW = "row"
"""Name of the training whose weights are a row's checkpoint."""


@dataclass(frozen=True)
class Error:
    """The error on held-out clips that a learning curve shows."""

    term: str
    """Its column of ``training.csv``: a term of the loss, or ``total``."""
    meaning: str
    """The measured quantity, in words. Curves of one meaning share an axis."""


TOTAL = Error("total", "all terms of the loss")
CLEAN_MOTION = Error("simple", "clean motion, mean square of normalised features")


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of a method."""

    name: str
    """Name of the trained network; ``row`` for the last, whose weights are the row's."""
    module: str
    """Its :class:`intermamba.training.module.TrainingModule`."""
    network: str = ""
    """Class of the trained network; empty: the method's network."""
    error: Error = TOTAL
    """Error of its learning curve."""
    needs: tuple[str, ...] = ()
    """Names of earlier trainings whose weights it reads; at most :data:`MOST_NEEDED`."""
    options: tuple[str, ...] = ()
    """The method's options that a training before the row's reads. All rows of the method share that training, so no
    variant can change them."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields of :class:`~intermamba.config.TrainingConfig` for which its authors set other values than for the row."""
    devices: Literal["one", "any"] = "one"
    """``any``: its step does not depend on how a batch is divided (:class:`intermamba.training.module.Share`).
    ``one``: it is trained in whole steps on one device, whatever ``runtime`` says."""


DIFFUSION = "intermamba.diffusion.sampler:DiffusionSampler"
"""Sampler of methods whose motions begin as noise."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method; ``network(features, max_frames, text_width, sizes, options)`` creates its network."""

    name: str
    network: str
    """Its :class:`intermamba.models.network.Network`: one module with everything that sampling needs."""
    options: type[Options] = Options
    sizes: type[Section] = ModelConfig
    """Class of its sizes: ``ModelConfig``, set by ``model`` in params.yaml, or its own class with the official values
    as defaults and upper bounds, set by ``methods.<name>.sizes``."""
    trainings: tuple[Training, ...] = (
        Training(name=ROW, module="intermamba.training.module:DenoisingModule", error=CLEAN_MOTION, devices="any"),
    )
    """Its trainings in order; the last is the row's. Each other one is trained once for all rows of a training seed."""
    sampler: str = DIFFUSION
    """Its :class:`intermamba.generate.MotionSampler`."""
    process: Process = field(default_factory=Process)
    """Diffusion process of a method that samples by diffusion."""
    individual: bool = False
    """Whether it reads a caption for each person, besides the pair's or instead of it."""
    guided: Literal["scale", "own", "no"] = "scale"
    """Whether sampling has a guidance scale; ``own``: its guidance weights are options."""
    stepwise: bool = True
    """Whether sampling has a number of steps."""
    text: str = "CLIP ViT-L/14@336, token features"
    """Text features that it officially reads. ``defaults.text`` selects that tower where the profile has CLIP; other
    profiles use a stand-in, which the ``paper`` profile refuses."""
    length: Literal["given", "drawn"] = "given"
    """Whether its official sampler gets the length of a motion or draws it."""
    normalised: tuple[str, ...] = ("interhuman", "interx")
    """Families of features (:class:`~intermamba.datasets.DatasetSpec`) that are normalised for it; for others, its mean
    is zero and its standard deviation one."""
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Its authors' values where they differ from ``base`` in params.yaml, by section: ``text``, ``model``,
    ``diffusion``, ``losses``, ``training``. Values that a profile sets for all methods override them."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Sources of the defaults, by section."""
    layout: str = ""
    """``module:name`` of the :class:`intermamba.checkpoints.layout.Reader` of its authors' checkpoints, if any."""

    @property
    def diffuses(self) -> bool:
        """Whether it is trained on, and sampled through, levels of noise."""
        return self.sampler == DIFFUSION

    @property
    def row(self) -> Training:
        """The training whose weights are the row's."""
        return self.trainings[-1]

    @property
    def parts(self) -> tuple[Training, ...]:
        """The trainings before the row's."""
        return self.trainings[:-1]

    def normalises(self, dataset: Dataset) -> bool:
        """Whether it sees the features of ``dataset`` normalised.

        Raises:
            ConfigError: no such dataset.
        """
        return family(dataset) in self.normalised

    def needed(self, training: Training) -> tuple[Training, ...]:
        """The trainings whose weights ``training`` reads, in the order of its names."""
        return tuple(self.training(name) for name in training.needs)

    def training(self, name: str) -> Training:
        """The training of that name.

        Raises:
            KeyError: it has none.
        """
        return {one.name: one for one in self.trainings}[name]
