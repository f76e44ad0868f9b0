"""Adaptive spatio-temporal Mamba, ASTM (Section 4.1), and its block: Self-ASTM (4.2) and Cross-ASTM (4.4).

The two branches are "identical in structure" (Eq. 8): both work on (B, E, L), channels by steps. For the temporal one
channels are features and steps are frames; for the spatial one channels are frames and steps are features, so it sees
the whole window at once and is causal along the features.
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from intermamba.models.layers import AdaLN, ChannelConv, ChannelLinear, ChannelNorm, UnconditionalNorm
from intermamba.models.options import AstmOptions
from intermamba.ssm import Discretisation, selective_scan

SMALLEST_STEP, LARGEST_STEP = 1e-3, 1e-1
"""Range of the initial step sizes, log-uniform [Mamba]."""


class Scan(nn.Module):
    """The parameters that do not depend on the input: A, skip D and step offset P (Eq. 4-6)."""

    def __init__(self, channels: int, state: int, discretisation: Discretisation, backend: str = "auto") -> None:
        super().__init__()
        self.discretisation, self.backend = discretisation, backend
        self.log_rate = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))
        low, high = math.log(SMALLEST_STEP), math.log(LARGEST_STEP)
        step = torch.exp(low + (high - low) * torch.rand(channels))
        self.step_offset = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # inverse of softplus

    def forward(
        self,
        u: Float[Tensor, "B E L"],
        delta: Float[Tensor, "B E L"],
        b: Float[Tensor, "B N L"],
        c: Float[Tensor, "B N L"],
    ) -> Float[Tensor, "B E L"]:
        channels = u.shape[1]
        return selective_scan(
            u,
            delta,
            -self.log_rate[:channels].exp(),
            b,
            c,
            self.skip[:channels],
            self.step_offset[:channels],
            delta_softplus=True,
            backend=self.backend,
            discretisation=self.discretisation,
        )


class MixedSSM(nn.Module):
    """Selective state space model whose B, C and Delta come from ``source`` (Eq. 6; Section 4.4's MSSM).

    With ``source`` the input itself it is the plain SSM. Delta is ``softplus(P + LayerNorm(W_up W_down x))``: rank 1,
    as Eq. 6 prints, would leave only a sign after the normalisation.
    """

    def __init__(self, channels: int, state: int, rank: int, discretisation: Discretisation) -> None:
        super().__init__()
        self.sizes = (state, state, rank)
        self.project = ChannelLinear(channels, sum(self.sizes), bias=False)
        self.widen = ChannelLinear(rank, channels, bias=False)
        self.norm = ChannelNorm(channels)
        self.scan = Scan(channels, state, discretisation)

    def forward(
        self, u: Float[Tensor, "B E L"], source: Float[Tensor, "B E L"], real: Bool[Tensor, "B E"] | None
    ) -> Float[Tensor, "B E L"]:
        b, c, low = self.project(source).split(self.sizes, dim=1)
        delta = self.norm(self.widen(low, channels_out=u.shape[1]), real)
        return self.scan(u, delta, b, c)


class Branch(nn.Module):
    """Linear, causal depthwise convolution, SiLU, scan, normalisation (Eq. 7, 8 and 13) on (B, E, L)."""

    def __init__(self, channels: int, state: int, rank: int, kernel: int, discretisation: Discretisation) -> None:
        super().__init__()
        self.linear = ChannelLinear(channels, channels)
        self.conv = ChannelConv(channels, kernel)
        self.ssm = MixedSSM(channels, state, rank, discretisation)
        self.norm = ChannelNorm(channels)

    def forward(
        self,
        x: Float[Tensor, "B E L"],
        source: Float[Tensor, "B E L"] | None = None,
        real: Bool[Tensor, "B E"] | None = None,
    ) -> Float[Tensor, "B E L"]:
        """``source`` (default: the input after convolution) gives B, C and Delta; ``real`` marks channels that count.

        The linear maps of the branch and of its SSM mix channels, so padded ones are zeroed before each of them; the
        convolution and the scan keep channels apart.
        """
        keep = None if real is None else real.unsqueeze(2)
        u = self.linear(x if keep is None else x * keep, channels_out=x.shape[1])
        u = functional.silu(self.conv(u))
        u = u if keep is None else u * keep
        return self.norm(self.ssm(u, u if source is None else source, real), real)


class Astm(nn.Module):
    """``alpha * temporal + beta * spatial`` with two learned scalars (Eq. 9 and 13)."""

    def __init__(self, width: int, frames: int, state: int, rank: int, kernel: int, options: AstmOptions) -> None:
        super().__init__()
        shared = (state, rank, kernel, options.discretisation)
        self.temporal = Branch(width, *shared) if options.temporal else None
        self.spatial = Branch(frames, *shared) if options.spatial else None
        self.alpha = _weight(options.initial_alpha, options.adaptive) if options.temporal else None
        self.beta = _weight(options.initial_beta, options.adaptive) if options.spatial else None

    def forward(
        self, h: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"], source: Float[Tensor, "B T D"] | None = None
    ) -> Float[Tensor, "B T D"]:
        fused = torch.zeros_like(h)
        if self.temporal is not None:
            fused = self.alpha * self.temporal(h.mT, None if source is None else source.mT).mT
        if self.spatial is not None:
            fused = fused + self.beta * self.spatial(h, source, mask)
        return fused

    def weights(self) -> Iterator[tuple[Literal["temporal", "spatial"], nn.Parameter]]:
        """Name of each branch and its fusion weight."""
        if self.alpha is not None:
            yield "temporal", self.alpha
        if self.beta is not None:
            yield "spatial", self.beta


class AstmBlock(nn.Module):
    """Gated residual block around ASTM (Eq. 10 and 12).

    Self-ASTM is conditioned through AdaLN (see :class:`AstmOptions` for why) and reads itself; Cross-ASTM has a plain
    normalisation and reads B, C and Delta from the pair's features ``source``, which must be zero on padded frames.
    """

    def __init__(
        self, width: int, frames: int, state: int, rank: int, kernel: int, options: AstmOptions, *, cross: bool = False
    ) -> None:
        super().__init__()
        conditioned = options.normalisation == "adaln" and not cross
        self.norm: nn.Module = AdaLN(width, width) if conditioned else UnconditionalNorm(width)
        self.astm = Astm(width, frames, state, rank, kernel, options)
        self.gate = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        h: Float[Tensor, "B T D"],
        emb: Float[Tensor, "B D"],
        mask: Bool[Tensor, "B T"],
        source: Float[Tensor, "B T D"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        normal = self.norm(h, emb)
        return h + self.out(self.astm(normal, mask, source) * functional.silu(self.gate(normal)))


def _weight(value: float, learned: bool) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value), requires_grad=learned)
