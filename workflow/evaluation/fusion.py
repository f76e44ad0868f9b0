"""Stage ``fusion``: quality of a run when its fusion weights, alpha and beta, are changed after training.

The weights are constants of a network, so where along the diffusion they act is measured by exchanging them in a part
of its steps only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from evaluators.evaluation import Source
from evaluators.sources import SingleSource
from intermamba import files
from intermamba.config import Config
from intermamba.errors import ConfigError
from intermamba.generate import MotionGenerator
from intermamba.job import Job
from intermamba.models.network import AdaptiveWeight, Network
from intermamba.progress import SILENT, Progress
from intermamba.text.cache import features_of
from workflow.evaluation.generated import GeneratedSource, load
from workflow.evaluation.setup import EvaluationSetup

Change = Callable[[Sequence[AdaptiveWeight]], list[float]]
"""New values of a network's fusion weights, in their order."""


def learned(weights: Sequence[AdaptiveWeight]) -> list[float]:
    """The weights as they are."""
    return [one.value.item() for one in weights]


def mean(weights: Sequence[AdaptiveWeight]) -> list[float]:
    """Every alpha at the mean of all alphas of the network, every beta at that of all betas."""
    values = {branch: [one.value.item() for one in weights if one.branch == branch] for branch in BRANCHES}
    return [float(np.mean(values[one.branch])) for one in weights]


def swapped(weights: Sequence[AdaptiveWeight]) -> list[float]:
    """Alpha and beta of each module exchanged; that of a single branch stays."""
    of_module: dict[tuple[int, str], dict[str, float]] = {}
    for one in weights:
        of_module.setdefault((one.block, one.module), {})[one.branch] = one.value.item()
    other = {"temporal": "spatial", "spatial": "temporal"}
    return [of_module[one.block, one.module].get(other[one.branch], one.value.item()) for one in weights]


def ones(weights: Sequence[AdaptiveWeight]) -> list[float]:
    """Every weight at one, where training starts."""
    return [1.0] * len(weights)


BRANCHES = ("temporal", "spatial")
CHANGES: Mapping[str, Change] = MappingProxyType({"learned": learned, "mean": mean, "swapped": swapped, "one": ones})
"""Changes by name, the unchanged weights first."""
ALONG = "swapped"
"""The change that is also made in ranges of diffusion steps."""


@contextmanager
def changed(network: Network, change: Change, steps: range) -> Iterator[None]:
    """Give ``network`` other fusion weights in those of its passes whose diffusion step is in ``steps``."""
    weights = network.adaptive_weights()
    own, new = learned(weights), change(weights)

    def put(values: Sequence[float]) -> None:
        for one, value in zip(weights, values, strict=True):
            one.value.data.fill_(value)

    def before(_network: nn.Module, given: tuple[Tensor, ...]) -> None:
        put(new if int(given[1].flatten()[0]) in steps else own)

    hook = network.register_forward_pre_hook(before)
    try:
        yield
    finally:
        hook.remove()
        put(own)


class ChangedGenerator(MotionGenerator):
    """A generator whose network has other fusion weights while it samples.

    Runs kernel by kernel on a GPU too, since the weights may depend on the diffusion step.
    """

    def __init__(self, *given: Any, change: Change, steps: range) -> None:
        super().__init__(*given)
        self.change, self.steps = change, steps

    def generate(
        self, cond: Float[Tensor, "B G *condition"], length: Int[Tensor, " B"], frames: int, seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        with torch.inference_mode(), changed(self.model, self.change, self.steps):
            return super().generate(cond, length, frames, seeds)


def ranges(steps: int, bins: int) -> list[range]:
    """``bins`` ranges of nearly the same length that cover the diffusion steps, the least noisy first."""
    edges = np.linspace(0, steps, bins + 1).round().astype(int).tolist()
    return [range(first, last) for first, last in pairwise(edges)]


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate a row with every change of its fusion weights, on the same clips, captions and noise.

    Raises:
        StateError: a stage before this one has not run.
        ConfigError: the row has no fusion weights.
    """
    setup = EvaluationSetup(config, job, config.fusion.repeats)
    trained = load(config, job)
    if not trained.model.adaptive_weights():
        raise ConfigError(
            f"fusion.variants.{job.dataset}: {job.variant} has no fusion weights. Remove it from the list."
        )
    diffusion = trained.recipe.variant.configured(config).diffusion
    whole = range(diffusion.steps)
    cases = [(name, whole) for name in CHANGES]
    cases += [(ALONG, part) for part in ranges(diffusion.steps, config.fusion.bins)]
    with job.recorded(config, setup.seeds) as notes:
        given = (trained, features_of(job), diffusion, setup.device)
        sources: dict[tuple[str, int, int], Source] = {}
        for name, steps in cases:
            generator = ChangedGenerator(*given, change=CHANGES[name], steps=steps)
            source = GeneratedSource(generator, setup.real, config.runtime.sampling_batch)
            sources[name, steps.start, steps.stop - 1] = SingleSource(source)
        columns = ("weights", "first_step", "last_step")
        files.write_csv(job["metrics"], setup.measure_settings(columns, sources, job, progress))
        notes.update(setup.notes)
