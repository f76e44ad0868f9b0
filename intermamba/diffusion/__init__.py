"""The diffusion process of InterGen (Section 3.1, 5.1): cosine schedule, prediction of clean motion, guided DDIM.

Schedule and update rule are diffusers'; only guidance and the batch's shape are ours.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn

from intermamba.config import DiffusionConfig
from intermamba.errors import ConfigError
from intermamba.models.denoiser import Denoiser

Progress = Callable[[Iterable[Any]], Iterable[Any]]
"""Wraps the loop over diffusion steps, for example ``tqdm``."""


class Diffusion:
    """Forward noising and guided sampling; holds no weights.

    Betas follow the squared-cosine schedule capped at 0.999; DDIM takes every ``steps // sampling_steps``-th step down
    to 0 (for 50 of 1000: 980, 960, ..., 0), nothing is clipped, and the last step returns the prediction itself.

    Raises:
        ConfigError: more sampling steps than steps.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        if config.sampling_steps > config.steps:
            raise ConfigError(
                f"diffusion.sampling_steps {config.sampling_steps} exceeds diffusion.steps {config.steps}"
            )
        self.config = config
        self.scheduler = DDIMScheduler(
            num_train_timesteps=config.steps,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="sample",
            clip_sample=False,
            set_alpha_to_one=True,
            timestep_spacing="leading",
        )
        self.scheduler.set_timesteps(config.sampling_steps)

    def add_noise(
        self, x0: Float[Tensor, "B T P F"], noise: Float[Tensor, "B T P F"], timestep: Int[Tensor, " B"]
    ) -> Float[Tensor, "B T P F"]:
        """``sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise`` (Eq. 1)."""
        noisy: Tensor = self.scheduler.add_noise(x0, noise, timestep)
        return noisy

    @torch.no_grad()
    def sample(
        self,
        model: Denoiser,
        cond: Float[Tensor, "B G W"],
        mask: Bool[Tensor, "B T"],
        noise: Float[Tensor, "B T P F"],
        progress: Progress | None = None,
        generator: Generator | list[Generator] | None = None,
    ) -> Float[Tensor, "B T P F"]:
        """Normalised motion for each condition, from the given noise; the model is in eval mode meanwhile.

        A clip's result depends neither on its batch neighbours (up to rounding) nor on the noise in padded frames; what
        padded frames of the result hold means nothing. With ``eta`` above zero the sampler draws noise at every step:
        give one generator a clip to keep clips independent. ``progress`` wraps the iterable of steps.

        Raises:
            ConfigError: ``eta`` above zero without a generator.
        """
        if self.config.eta > 0 and generator is None:
            raise ConfigError(f"diffusion.eta is {self.config.eta}: sampling draws noise and needs a generator")
        steps: Iterable[Any] = self.scheduler.timesteps.tolist()
        x = noise
        with _evaluating(model):
            for step in progress(steps) if progress else steps:
                clean = self._guided(model, x, torch.full((len(x),), step, device=x.device), cond, mask)
                x = self.scheduler.step(clean, step, x, eta=self.config.eta, generator=generator).prev_sample
        return x

    def _guided(
        self,
        model: Denoiser,
        x: Float[Tensor, "B T P F"],
        timestep: Int[Tensor, " B"],
        cond: Float[Tensor, "B G W"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T P F"]:
        """Classifier-free guidance: the model's passes as one batch, weighted and summed."""
        passes = model.guidance(self.config.guidance)
        sees = cond.new_tensor([one.sees for one in passes])[:, None, :, None]
        repeated = (torch.cat([part] * len(passes)) for part in (x, timestep, mask))
        noisy, timesteps, masks = repeated
        out = model(noisy, timesteps, (sees * cond).flatten(0, 1), masks).chunk(len(passes))
        return sum(one.weight * prediction for one, prediction in zip(passes, out, strict=True))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
