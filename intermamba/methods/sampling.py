"""Shared parts of samplers."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from intermamba.models.network import Network


class GivenLengths:
    """A sampler that generates motions of the requested lengths; part of :class:`intermamba.generate.MotionSampler`."""

    def lengths(
        self,
        network: Network,  # noqa: ARG002
        cond: Float[Tensor, "B G *condition"],  # noqa: ARG002
        length: Int[Tensor, " B"],
        frames: int,  # noqa: ARG002
        seeds: Sequence[int],  # noqa: ARG002
    ) -> Int[Tensor, " B"]:
        """The requested lengths."""
        return length
