"""TEMOS' sampler: one latent vector per clip, one pass of the decoder."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from intermamba.config import DiffusionConfig, Sampler
from intermamba.methods.sampling import GivenLengths
from intermamba.methods.temos.network import Temos
from intermamba.methods.variant import Variant


class TemosSampler(GivenLengths):
    """Draws the latent vector of each clip from its own generator."""

    def __init__(self, variant: Variant, config: DiffusionConfig, how: Sampler = "plain") -> None:
        """There are no sampling settings."""

    def sample(
        self, network: Temos, cond: Float[Tensor, "B G Z"], mask: Bool[Tensor, "B T"], seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        """Normalised motion of two persons."""
        width = network.sizes.width
        noise = torch.stack([torch.randn(width, generator=Generator().manual_seed(seed)) for seed in seeds])
        motion: Tensor = network(network.latent(cond).draw(noise.to(cond)), mask)
        return motion
