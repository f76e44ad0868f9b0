"""Motion from captions: a trained denoiser, the sampler, and the normalisation undone."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from intermamba.checkpoints.trained import Trained
from intermamba.config import DiffusionConfig, Sampler
from intermamba.diffusion import Diffusion
from intermamba.errors import ConfigError
from intermamba.models.conditions import TokenFeatures, conditions


class MotionGenerator:
    """Generates motion of two people for captions.

    The noise of a clip depends only on its own seed, so a clip comes out the same whatever batch it is in, up to
    rounding.

    Raises:
        ConfigError: another text tower or noise schedule than the denoiser was trained with.
    """

    def __init__(
        self,
        trained: Trained,
        tokens: TokenFeatures,
        config: DiffusionConfig,
        device: str | torch.device,
        sampler: Sampler = "plain",
    ) -> None:
        if tokens.tower != trained.tower:
            raise ConfigError(
                f"the checkpoint of {trained.variant!r} was trained with the text tower {trained.tower!r}, but its "
                f"captions come from {tokens.tower!r}. Use the profile it was trained with, or its `text` knobs."
            )
        if (own := trained.reduction) is not tokens.reduction and not (own and own.same(tokens.reduction)):
            raise ConfigError(
                f"the checkpoint of {trained.variant!r} reads features of {trained.tower} that were reduced in another "
                "way than those of its captions. Encode captions and train with the same data."
            )
        if config.steps != (known := trained.recipe.diffusion.steps):
            raise ConfigError(
                f"diffusion.steps: {config.steps}, but the checkpoint of {trained.variant!r} was trained with "
                f"{known}. Use the profile it was trained with."
            )
        self.model = trained.model.to(device).eval()
        self.mean, self.std = trained.mean.to(device), trained.std.to(device)
        self.tokens, self.diffusion, self.device = tokens, Diffusion(config, sampler), torch.device(device)

    def __call__(
        self,
        captions: Sequence[str],
        length: Int[Tensor, " B"],
        frames: int,
        seeds: Sequence[int],
        individual: Sequence[tuple[str, str]] = (),
    ) -> Float[Tensor, "B T P F"]:
        """Un-normalised motion, zero after each clip's length; T = ``frames``.

        ``individual`` has a caption of each person, for models that read them.
        """
        return self.generate(self.encode(captions, individual), length, frames, seeds)

    @torch.inference_mode()
    def encode(self, captions: Sequence[str], individual: Sequence[tuple[str, str]] = ()) -> Float[Tensor, "B G W"]:
        """Conditions of captions, each different one through tower and text encoder once."""
        return conditions(self.model, self.tokens, captions, individual)

    @torch.inference_mode()
    def generate(
        self, cond: Float[Tensor, "B G W"], length: Int[Tensor, " B"], frames: int, seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        """As the call, from conditions."""
        noise = torch.stack([self._noise(seed, frames) for seed in seeds]).to(self.device)
        mask = torch.arange(frames, device=self.device) < length.to(self.device)[:, None]
        motion = self.diffusion.sample(self.model, cond, mask, noise)
        return (motion * self.std + self.mean) * mask[:, :, None, None]

    def _noise(self, seed: int, frames: int) -> Float[Tensor, "T P F"]:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(frames, 2, len(self.mean), generator=generator)
