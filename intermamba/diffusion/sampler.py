"""The sampler of methods that sample by diffusion: noise from seeds, then guided steps."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from intermamba.config import DiffusionConfig, Sampler
from intermamba.diffusion import Diffusion
from intermamba.methods.sampling import GivenLengths
from intermamba.methods.variant import Variant
from intermamba.models.network import Network


class DiffusionSampler(GivenLengths):
    """Draws each clip's noise, at the start and in later steps, from its own generator.

    Raises:
        ConfigError: more sampling steps than diffusion steps.
    """

    def __init__(self, variant: Variant, config: DiffusionConfig, how: Sampler = "plain") -> None:
        self.diffusion = Diffusion(config, how, variant.method.process)

    def sample(
        self, network: Network, cond: Float[Tensor, "B G *condition"], mask: Bool[Tensor, "B T"], seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        """Normalised motion of two persons."""
        generators = [Generator().manual_seed(seed) for seed in seeds]
        shape = (mask.shape[1], 2, network.features)
        noise = torch.stack([torch.randn(shape, generator=one) for one in generators]).to(mask.device)
        return self.diffusion.sample(network, cond, mask, noise, generator=generators)
