"""Sampling from T2M: a length, unless it is given, then movements one after the other."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from intermamba.config import DiffusionConfig, Sampler
from intermamba.methods.t2m.network import T2M
from intermamba.methods.t2m.options import UNIT, T2MOptions
from intermamba.methods.variant import Variant
from intermamba.seeds import derive


class T2MSampler:
    """Draws each clip's latent noise from a random generator of its own.

    The motion is generated in whole movements and then cut to its length.
    """

    def __init__(self, variant: Variant, config: DiffusionConfig, how: Sampler = "plain") -> None:  # noqa: ARG002
        self.options = variant.options_as(T2MOptions)

    def lengths(
        self,
        network: T2M,
        cond: Float[Tensor, "B G *condition"],
        length: Int[Tensor, " B"],
        frames: int,
        seeds: Sequence[int],
    ) -> Int[Tensor, " B"]:
        """The given lengths, or lengths drawn for the captions: whole movements, at most ``frames``."""
        if self.options.lengths == "given":
            return length
        likely = network.lengths(cond[:, 0]).double().softmax(1).cpu()
        most = min(frames // UNIT, likely.shape[1] - 1)
        units = torch.arange(likely.shape[1])
        allowed = (units >= min(self.options.shortest, most)) & (units <= most)
        drawn = [
            torch.multinomial(row, 1, generator=torch.Generator().manual_seed(derive(seed, "length")))
            for row, seed in zip(likely * allowed, seeds, strict=True)
        ]
        return torch.cat(drawn) * UNIT

    def sample(
        self, network: T2M, cond: Float[Tensor, "B G *condition"], mask: Bool[Tensor, "B T"], seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        """Normalised motion of two persons."""
        frames = mask.shape[1]
        units, most = -(-mask.sum(1) // UNIT), -(-network.max_frames // UNIT)
        # Always noise for the longest motion: a smaller tensor would not hold the same first values.
        shape = max(most, -(-frames // UNIT)), network.sizes.latent
        noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        motion: Tensor = network(cond[:, 0], units, noise[:, : -(-frames // UNIT)].to(cond))
        return motion[:, :frames]
