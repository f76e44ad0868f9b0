"""Motion from captions: a trained network, its method's sampler, and denormalisation."""

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from intermamba.checkpoints.trained import Trained
from intermamba.config import DiffusionConfig, Sampler
from intermamba.errors import ConfigError
from intermamba.methods.variant import Variant
from intermamba.models.conditions import TokenFeatures, conditions
from intermamba.models.network import Network


@runtime_checkable
class MotionSampler(Protocol):
    """The sampler of a method, created by ``sampler(variant, config, how)``.

    Up to rounding, a clip depends only on its condition, its length and its own seed, if its network is
    :attr:`~intermamba.models.network.Network.independent`.
    """

    def lengths(
        self,
        network: Network,
        cond: Float[Tensor, "B G *condition"],
        length: Int[Tensor, " B"],
        frames: int,
        seeds: Sequence[int],
    ) -> Int[Tensor, " B"]:
        """Frames of each motion, at most ``frames``: the requested ones, unless the method draws them."""
        ...

    def sample(
        self, network: Network, cond: Float[Tensor, "B G *condition"], mask: Bool[Tensor, "B T"], seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        """Normalised motion of two persons; padded frames are undefined."""
        ...


def sampler_of(variant: Variant, config: DiffusionConfig, how: Sampler = "plain") -> MotionSampler:
    """The sampler of a variant's method."""
    made: MotionSampler = resolve_name(variant.method.sampler)(variant, config, how)
    return made


class MotionGenerator:
    """Generates motion of two people for captions.

    The noise of a clip depends only on its own seed, so a clip is the same in any batch, up to rounding, unless the
    network mixes the clips of a batch (MDM with a GRU, as released).

    Raises:
        ConfigError: text tower or noise schedule differ from those of the denoiser's training.
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
                f"the checkpoint of {trained.variant!r} reads features of {trained.tower} with another reduction "
                "than those of its captions. Encode captions and train with the same data."
            )
        if config.steps != (known := trained.recipe.diffusion.steps):
            raise ConfigError(
                f"diffusion.steps: {config.steps}, but the checkpoint of {trained.variant!r} was trained with "
                f"{known}. Use the profile it was trained with."
            )
        self.model = trained.model.to(device).eval()
        self.mean, self.std = trained.mean.to(device), trained.std.to(device)
        self.tokens, self.device = tokens, torch.device(device)
        self.sampler = sampler_of(trained.recipe.variant, config, sampler)

    def __call__(
        self,
        captions: Sequence[str],
        length: Int[Tensor, " B"],
        frames: int,
        seeds: Sequence[int],
        individual: Sequence[tuple[str, str]] = (),
    ) -> Float[Tensor, "B T P F"]:
        """Un-normalised motion, zero after each clip's length; T = ``frames``.

        ``individual`` holds a caption for each person, for models that read them.
        """
        return self.generate(self.encode(captions, individual), length, frames, seeds)

    @torch.inference_mode()
    def encode(
        self, captions: Sequence[str], individual: Sequence[tuple[str, str]] = ()
    ) -> Float[Tensor, "B G *condition"]:
        """Conditions of captions; each distinct caption passes through tower and text encoder once."""
        return conditions(self.model, self.tokens, captions, individual)

    @torch.inference_mode()
    def generate(
        self, cond: Float[Tensor, "B G *condition"], length: Int[Tensor, " B"], frames: int, seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        """Like the call, from conditions."""
        mask = torch.arange(frames, device=self.device) < length.to(self.device)[:, None]
        motion = self.sampler.sample(self.model, cond, mask, seeds)
        return (motion * self.std + self.mean) * mask[:, :, None, None]

    @torch.inference_mode()
    def lengths(
        self, cond: Float[Tensor, "B G *condition"], length: Int[Tensor, " B"], frames: int, seeds: Sequence[int]
    ) -> Int[Tensor, " B"]:
        """Frames of each motion for :meth:`generate`: the requested ones, unless the method draws them."""
        return self.sampler.lengths(self.model, cond, length, frames, seeds).to(length.device)
