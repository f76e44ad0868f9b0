"""Adaptive spatio-temporal Mamba, ASTM (Section 4.1), and its block: Self-ASTM (4.2) and Cross-ASTM (4.4).

The two branches are "identical in structure" (Eq. 8): both work on (B, E, L), channels by steps. In the temporal one,
channels are features and steps are frames; in the spatial one, channels are frames and steps are features, so it sees
the whole window at once and, unless bidirectional, is causal along the features.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from intermamba.models.layers import AdaLN, ChannelConv, ChannelLinear, ChannelNorm, UnconditionalNorm, added, leading
from intermamba.models.options import AstmOptions
from intermamba.ssm import Discretisation, fuse, selective_scan

SMALLEST_STEP, LARGEST_STEP = 1e-3, 1e-1
"""Range of the initial step sizes, log-uniform [Mamba]."""


class ScanSizes(NamedTuple):
    """Sizes of a branch that do not depend on its channels and steps."""

    state: int
    """N, states of a channel."""
    rank: int
    """R, rank of the step-size projection."""
    kernel: int
    """Taps of the causal convolution."""


class Scan(nn.Module):
    """The parameters that do not depend on the input: A, skip D and step offset P (Eq. 4-6)."""

    def __init__(self, channels: int, state: int, discretisation: Discretisation) -> None:
        super().__init__()
        self.discretisation, self.backend = discretisation, "auto"
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
        offset: Float[Tensor, " E"],
    ) -> Float[Tensor, "B E L"]:
        """``offset`` is added to ``delta`` before the softplus: P plus the bias of delta's normalisation."""
        return selective_scan(
            u,
            delta,
            self.rates(u.shape[1]),
            b,
            c,
            leading(self.skip, u.shape[1]),
            delta_bias=offset,
            delta_softplus=True,
            backend=self.backend,
            discretisation=self.discretisation,
        )

    def rates(self, channels: int) -> Float[Tensor, "E N"]:
        """Rates A of the first ``channels``, all negative [Mamba]."""
        return -leading(self.log_rate, channels).exp()

    def fuses(self, *tensors: Shaped[Tensor, "..."]) -> bool:
        """Whether :meth:`of_product` takes such an input: sampling's pass has this discretisation only."""
        return self.backend == "auto" and self.discretisation == "mamba" and fuse.samples(*tensors)

    def of_product(
        self,
        u: Float[Tensor, "B E L"],
        weight: Float[Tensor, "*B E R"],
        low: Float[Tensor, "B R L"],
        b: Float[Tensor, "B N L"],
        c: Float[Tensor, "B N L"],
        offset: Float[Tensor, " E"],
    ) -> Float[Tensor, "B E L"]:
        """:meth:`forward` with ``weight @ low`` for ``delta``."""
        channels = u.shape[1]
        weight = weight.expand(len(u), -1, -1)
        return fuse.scan_of_product(u, weight, low, self.rates(channels), b, c, leading(self.skip, channels), offset)


class MixedSSM(nn.Module):
    """Selective state space model whose B, C and Delta come from ``source`` (Eq. 6; Section 4.4's MSSM).

    If ``source`` is the input itself, it is the plain SSM. Delta is ``softplus(P + LayerNorm(W_up W_down x))``: with
    rank 1, as printed in Eq. 6, only a sign would remain after the normalisation.
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
        channels = u.shape[1]
        offset = leading(self.scan.step_offset, channels) + leading(self.norm.bias, channels)
        if self.scan.fuses(u, low):
            return self.scan.of_product(u, *self.norm.factors(self.widen, low, channels, real), b, c, offset)
        return self.scan(u, self.norm.of_product(self.widen, low, channels, real), b, c, offset)


class Direction(nn.Module):
    """Causal depthwise convolution, SiLU, scan: in one direction along the steps of (B, E, L).

    With ``project``, the source of B, C and Delta has its own convolution and SiLU.
    """

    def __init__(self, channels: int, sizes: ScanSizes, discretisation: Discretisation, *, project: bool) -> None:
        super().__init__()
        self.conv = ChannelConv(channels, sizes.kernel)
        self.ssm = MixedSSM(channels, sizes.state, sizes.rank, discretisation)
        self.conv_source = ChannelConv(channels, sizes.kernel) if project else None

    def forward(
        self,
        x: Float[Tensor, "B E L"],
        source: Float[Tensor, "B E L"] | None,
        real: Bool[Tensor, "B E"] | None,
        shifts: tuple[Float[Tensor, " G"], Float[Tensor, " G"] | None],
    ) -> Float[Tensor, "B E L"]:
        """``shifts`` are added to ``x`` and ``source`` before the convolutions."""
        u = self.conv(x, real, shift=shifts[0])
        if source is None:
            source = u
        elif self.conv_source is not None:
            source = self.conv_source(source, real, shift=shifts[1])
        return self.ssm(u, source, real)


class Branch(nn.Module):
    """Linear, causal depthwise convolution, SiLU, scan, normalisation (Eq. 7, 8 and 13) on (B, E, L).

    A bidirectional one has a second convolution and scan, from the last step to the first: both read the same linear
    map, and their sum is normalised, as in Vision Mamba. With ``project``, the source of B, C and Delta first passes
    through its own linear map and convolutions.
    """

    def __init__(self, channels: int, sizes: ScanSizes, options: AstmOptions, *, project: bool = False) -> None:
        super().__init__()
        if options.rank == "mamba":
            sizes = sizes._replace(rank=math.ceil(channels / 16))
        one_way = partial(Direction, channels, sizes, options.discretisation, project=project)
        self.linear = ChannelLinear(channels, channels)
        self.ahead = one_way()
        self.back = one_way() if options.bidirectional else None
        self.norm = ChannelNorm(channels)
        self.linear_source = ChannelLinear(channels, channels) if project else None

    def forward(
        self,
        x: Float[Tensor, "B E L"],
        source: Float[Tensor, "B E L"] | None = None,
        *,
        real: Bool[Tensor, "B E"] | None = None,
        steps: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B E L"]:
        """:meth:`scanned`, normalised."""
        return self.norm(self.scanned(x, source, real=real, steps=steps), real)

    def scanned(
        self,
        x: Float[Tensor, "B E L"],
        source: Float[Tensor, "B E L"] | None = None,
        *,
        real: Bool[Tensor, "B E"] | None = None,
        steps: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B E L"]:
        """``source`` (default: the input after convolution) gives B, C and Delta; it must be zero where padded.

        ``real`` marks the channels that count, ``steps`` the steps. The linear maps of the branch and of its SSM mix
        channels, so padded ones count as zero in each of them; the convolution and the scan work per channel. Padded
        steps follow the real ones in either direction, so their content has no effect.
        """
        channels = x.shape[1]
        x, shift_source = self.linear(x, channels, real), None
        if source is not None and self.linear_source is not None:
            source, shift_source = self.linear_source(source, channels), leading(self.linear_source.bias, channels)
        shifts = (leading(self.linear.bias, channels), shift_source)
        y = self.ahead(x, source, real, shifts=shifts)
        if self.back is not None:
            source = None if source is None else reverse(source, steps)
            y = y + reverse(self.back(reverse(x, steps), source, real, shifts=shifts), steps)
        return y


class Astm(nn.Module):
    """``alpha * temporal + beta * spatial`` with two learned scalars (Eq. 9 and 13)."""

    def __init__(
        self, width: int, frames: int, sizes: ScanSizes, options: AstmOptions, *, project: bool = False
    ) -> None:
        super().__init__()
        self.temporal = Branch(width, sizes, options, project=project) if options.temporal else None
        self.spatial = Branch(frames, sizes, options, project=project) if options.spatial else None
        self.alpha = _weight(options.initial_alpha, options.adaptive) if options.temporal else None
        self.beta = _weight(options.initial_beta, options.adaptive) if options.spatial else None

    def forward(
        self, h: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"], source: Float[Tensor, "B T D"] | None = None
    ) -> Float[Tensor, "B T D"]:
        parts = []
        if self.temporal is not None:
            parts.append(self.alpha * self.temporal(h.mT, None if source is None else source.mT, steps=mask).mT)
        if self.spatial is not None:
            parts.append(self.beta * self.spatial(h, source, real=mask))
        return sum(parts[1:], start=parts[0])

    def gated(
        self,
        h: Float[Tensor, "B T D"],
        gate: nn.Linear,
        mask: Bool[Tensor, "B T"],
        source: Float[Tensor, "B T D"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The sum times ``silu(gate(h))``, in one fused pass where possible."""
        if self.temporal is None or self.spatial is None or not fuse.takes(h, gate.weight):
            return self(h, mask, source) * functional.silu(gate(h))
        assert self.alpha is not None
        assert self.beta is not None
        temporal = self.temporal.scanned(h.mT, None if source is None else source.mT, steps=mask).mT
        spatial = self.spatial.scanned(h, source, real=mask)
        along, across, frames = self.temporal.norm, self.spatial.norm, h.shape[1]
        weights = (along.weight, along.bias, leading(across.weight, frames), leading(across.bias, frames))
        raw = functional.linear(h, gate.weight)
        return fuse.gated_sum(temporal, spatial, raw, gate.bias, weights, self.alpha, self.beta, mask, across.eps)

    def weights(self) -> Iterator[tuple[Literal["temporal", "spatial"], nn.Parameter]]:
        """Name of each branch and its fusion weight."""
        if self.alpha is not None:
            yield "temporal", self.alpha
        if self.beta is not None:
            yield "spatial", self.beta


class AstmBlock(nn.Module):
    """Gated residual block around ASTM (Eq. 10 and 12).

    Self-ASTM is conditioned through AdaLN (for the reason see :class:`AstmOptions`) and computes B, C and Delta from
    its own input; Cross-ASTM has a plain normalisation and computes them from the pair's features ``source``, which
    must be zero on padded frames, in the way of ``cross`` (see :class:`InterMambaOptions`).
    """

    def __init__(
        self,
        width: int,
        frames: int,
        sizes: ScanSizes,
        options: AstmOptions,
        *,
        cross: Literal["direct", "projected"] | None = None,
    ) -> None:
        super().__init__()
        conditioned = options.normalisation == "adaln" and cross is None
        self.norm: nn.Module = AdaLN(width, width) if conditioned else UnconditionalNorm(width)
        self.astm = Astm(width, frames, sizes, options, project=cross == "projected")
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
        return added(h, self.out, self.astm.gated(normal, self.gate, mask, source))


def reverse(x: Float[Tensor, "B E L"], steps: Bool[Tensor, "B L"] | None = None) -> Float[Tensor, "B E L"]:
    """Reverse each sequence's real steps, which come first; padded ones stay at the end."""
    if steps is None:
        return x.flip(2)
    place = torch.arange(x.shape[2], device=x.device)
    order = torch.where(steps, steps.sum(1, keepdim=True) - 1 - place, place)
    return x.gather(2, order.unsqueeze(1).expand_as(x))


def _weight(value: float, learned: bool) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value), requires_grad=learned)
