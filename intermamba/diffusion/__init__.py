"""The diffusion process of InterGen (Section 3.1, 5.1): cosine schedule, clean motion predicted, guided sampling."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn

from intermamba.config import DiffusionConfig, Sampler
from intermamba.diffusion.graph import captured
from intermamba.diffusion.solvers import alpha_bar, plan, shifted
from intermamba.errors import ConfigError
from intermamba.methods.method import Process
from intermamba.models.network import Network

MOTION = Process()
"""Cosine schedule, clean motion predicted."""


class Diffusion:
    """Forward noising and guided sampling; holds no weights.

    Betas follow the squared-cosine schedule capped at 0.999, or are given by ``process``. DDIM takes every
    ``steps // sampling_steps``-th step down to 0 (for 50 of 1000: 980, 960, ..., 0); with ``eta`` 1 and all steps it is
    DDPM's ancestral sampling. DPM-Solver++ is the second-order multistep solver with diffusers' steps, evenly spaced
    from the last towards the first. ``sampling_shift`` gives either other steps. Nothing is clipped, and the last step
    returns the prediction itself.

    ``sampler`` decides how a GPU runs a step (:class:`~intermamba.config.RuntimeConfig`).

    Raises:
        ConfigError: more sampling steps than diffusion steps.
    """

    def __init__(self, config: DiffusionConfig, sampler: Sampler = "plain", process: Process = MOTION) -> None:
        if config.sampling_steps > config.steps:
            raise ConfigError(
                f"diffusion.sampling_steps {config.sampling_steps} exceeds diffusion.steps {config.steps}"
            )
        self.config, self.sampler = config, sampler
        self.process = process
        self.alpha_bar, self.plan = alpha_bar(config.steps, process.schedule), plan(config, process.schedule)
        self._graph: tuple[Any, Callable[..., Tensor]] | None = None

    def add_noise(
        self, x0: Float[Tensor, "B T P F"], noise: Float[Tensor, "B T P F"], timestep: Int[Tensor, " B"]
    ) -> Float[Tensor, "B T P F"]:
        """``sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise`` (Eq. 1)."""
        self.alpha_bar = self.alpha_bar.to(x0.device)  # moved once
        kept = self.alpha_bar.to(x0.dtype)[timestep].reshape(-1, 1, 1, 1)
        return kept**0.5 * x0 + (1 - kept) ** 0.5 * noise

    @property
    def steps(self) -> list[int]:
        """Diffusion steps at which the denoiser is evaluated, from the noisiest down."""
        return self.plan.steps.tolist()

    def draw_steps(self, count: int, shift: float, generator: Generator) -> Int[Tensor, " B"]:
        """Diffusion steps at which to train, on the generator's device (:class:`~intermamba.config.TrainingConfig`)."""
        steps = torch.randint(self.config.steps, (count,), generator=generator, device=generator.device)
        if shift == 1.0:
            return steps
        return (self.config.steps * shifted((steps + 0.5) / self.config.steps, shift)).long()

    @torch.no_grad()
    def sample(
        self,
        model: Network,
        cond: Float[Tensor, "B G *condition"],
        mask: Bool[Tensor, "B T"],
        noise: Float[Tensor, "B T P F"],
        generator: Generator | list[Generator] | None = None,
    ) -> Float[Tensor, "B T P F"]:
        """Normalised motion for each condition, from the given noise; the model is in eval mode during sampling.

        A clip's result depends neither on its batch neighbours (up to rounding) nor on the noise in padded frames;
        padded frames of the result are undefined. With ``eta`` above zero the sampler draws noise at every step: give
        one generator per clip to keep clips independent.

        Raises:
            ConfigError: ``eta`` above zero without a generator.
        """
        if self.config.eta > 0 and generator is None:
            raise ConfigError(f"diffusion.eta is {self.config.eta}: sampling draws noise and needs a generator")
        # All inputs of the loop are on the device before it starts, so host and device never wait for each other in it.
        passes = model.guidance(self.config.guidance)
        sees = cond.new_tensor([one.sees for one in passes])
        sees = sees.reshape(len(passes), 1, -1, *[1] * (cond.ndim - 2))
        fixed = (
            (sees * cond).flatten(0, 1),
            mask.repeat(len(passes), 1),
            cond.new_tensor([one.weight for one in passes]),
        )
        factors = self.plan.factors.to(noise)
        if self.process.predicts == "noise":
            factors = torch.cat((factors, self.plan.clean.to(noise)), dim=1)
        timesteps = self.plan.steps.to(noise.device)
        state = torch.stack((noise, torch.zeros_like(noise)))
        with _evaluating(model):
            advance = self._advance(model, state, timesteps[0], factors[0], *fixed)
            for index in range(len(timesteps)):
                state = advance(state, timesteps[index], factors[index], *fixed)
                if self.plan.spread[index] > 0:
                    state[0] += self.plan.spread[index] * _drawn(noise, generator)
        # A graph's output is overwritten by its next use.
        return state[0].clone()

    def _advance(self, model: Network, *examples: Tensor) -> Callable[..., Tensor]:
        """A step of the sampler for arguments of the examples' shapes; the last graph is kept for more of them."""
        on_gpu = examples[0].device.type == "cuda"
        half = on_gpu and self.config.sampling_precision == "bfloat16"
        step = partial(_guided_step, model, half)
        if not (on_gpu and self.sampler == "graph"):
            return step
        key = (model, [(example.shape, example.dtype) for example in examples])
        if self._graph is None or self._graph[0] != key:
            self._graph = None  # free its memory before the next capture
            self._graph = key, captured(step, *examples)
        return self._graph[1]


def _guided_step(
    model: Network,
    half: bool,
    state: Float[Tensor, "2 B T P F"],
    timestep: Int[Tensor, ""],
    factors: Float[Tensor, " N"],
    cond: Float[Tensor, "GB G *condition"],
    mask: Bool[Tensor, "GB T"],
    weights: Float[Tensor, " passes"],
) -> Float[Tensor, "2 B T P F"]:
    """One step of the sampler, without the host. Guidance: the model's passes as one batch, weighted and summed.

    The state is the noisy motion and the last prediction of the clean one. ``factors`` are the plan's; if the model
    predicts noise, they are followed by the factors that give the clean motion.
    ``cond`` and ``mask`` are those of the passes, one after the other; with ``half`` matrix products are in bfloat16.
    """
    x, last = state
    # A graph must not use weights that autocast cached outside of it.
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
        if model.independent:
            out = model(x.repeat(len(weights), 1, 1, 1), timestep.expand(len(cond)), cond, mask)
        else:
            passes = zip(cond.chunk(len(weights)), mask.chunk(len(weights)), strict=True)
            out = torch.cat([model(x, timestep.expand(len(x)), *one) for one in passes])
    clean = torch.tensordot(weights, out.to(x.dtype).unflatten(0, (len(weights), -1)), 1)
    if len(factors) > 3:
        clean = factors[3] * x + factors[4] * clean
    return torch.stack((factors[0] * x + factors[1] * clean + factors[2] * last, clean))


def _drawn(like: Float[Tensor, "B T P F"], generator: Generator | list[Generator] | None) -> Float[Tensor, "B T P F"]:
    """Gaussian noise from one generator, or from one per clip, on any device."""
    each = generator if isinstance(generator, list) else [generator]
    pieces = [
        torch.randn(part.shape, generator=one, dtype=like.dtype, device="cpu" if one is None else one.device)
        for part, one in zip(like.chunk(len(each)), each, strict=True)
    ]
    return torch.cat(pieces).to(like.device)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    if not any(part.training for part in model.modules()):  # switching hundreds of modules takes milliseconds
        yield
        return
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
