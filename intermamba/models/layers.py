"""Small layers shared by the denoisers."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from intermamba.ssm.conv import causal_conv_silu
from intermamba.ssm.norm import masked_norm, norm_of_product
from intermamba.ssm.threads import compiles


class AdaLN(nn.Module):
    """Layer normalisation whose scale and shift come from the condition; zero-initialised to the plain one."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.modulation = zeroed(nn.Linear(condition, 2 * width))
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)

    def forward(self, h: Float[Tensor, "B T D"], emb: Float[Tensor, "B M"]) -> Float[Tensor, "B T D"]:
        scale, shift = self.modulated(emb)
        return torch.addcmul(shift.unsqueeze(1), self.norm(h), 1 + scale.unsqueeze(1))

    def modulated(self, emb: Float[Tensor, "B M"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """The condition's addition to a scale of one, and the shift."""
        scale, shift = self.modulation(functional.silu(emb)).chunk(2, dim=-1)
        return scale, shift


class UnconditionalNorm(nn.Module):
    """Plain layer normalisation with :class:`AdaLN`'s signature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Float[Tensor, "B T D"], emb: Float[Tensor, "B M"]) -> Float[Tensor, "B T D"]:  # noqa: ARG002
        normal: Tensor = self.norm(h)
        return normal


class ChannelLinear(nn.Linear):
    """Linear map of the channels of (B, E, L), without its bias, which the following convolution adds.

    Channels of the input that are not ``real`` count as zero. Built for the largest number of channels; for fewer, the
    leading weights are used, which equals padding the input with zero channels and cropping the output.
    """

    def forward(
        self, x: Float[Tensor, "B E L"], channels_out: int | None = None, real: Bool[Tensor, "B E"] | None = None
    ) -> Float[Tensor, "B G L"]:
        weight = leading(self.weight, channels_out)
        if x.shape[1] < weight.shape[1]:
            weight = weight[:, : x.shape[1]]
        if real is None and x.stride(1) == 1:  # channels are contiguous: the output's too
            return functional.linear(x.mT, weight).mT
        # One product per sequence; a single one for all would need a transpose. The weight is smaller than x.
        return torch.bmm(weight.expand(x.shape[0], -1, -1) if real is None else weight * real.unsqueeze(1), x)


class ChannelConv(nn.Conv1d):
    """Causal depthwise convolution along L of (B, E, L), and SiLU; fewer channels use the leading filters.

    The output is zero on channels that are not ``real``.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, groups=channels)

    def forward(
        self,
        x: Float[Tensor, "B E L"],
        real: Bool[Tensor, "B E"] | None = None,
        shift: Float[Tensor, " E"] | None = None,
    ) -> Float[Tensor, "B E L"]:
        """``shift`` is added to ``x`` first."""
        channels = x.shape[1]
        assert self.bias is not None
        filters = leading(self.weight.flatten(1), channels)
        return causal_conv_silu(x, filters, leading(self.bias, channels), real, shift)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (B, E, L), with statistics over the real channels only.

    Where channels are frames, padded ones must not count in the statistics; the output on them is undefined.
    """

    def forward(self, x: Float[Tensor, "B E L"], real: Bool[Tensor, "B E"] | None = None) -> Float[Tensor, "B E L"]:
        if real is None:
            return super().forward(x.mT).mT
        channels = x.shape[1]
        return masked_norm(x, leading(self.weight, channels), leading(self.bias, channels), real, self.eps)

    def of_product(
        self, linear: ChannelLinear, low: Float[Tensor, "B R L"], channels: int, real: Bool[Tensor, "B E"] | None
    ) -> Float[Tensor, "B E L"]:
        """``linear`` of ``low``, normalised, without this layer's bias."""
        wide, weight = leading(linear.weight, channels), leading(self.weight, channels)
        if real is None and not compiles(low, wide, weight):
            x = linear(low, channels_out=channels)
            return functional.layer_norm(x.mT, (channels,), weight, None, self.eps).mT
        return norm_of_product(wide, low, weight, real, self.eps)

    def factors(
        self, linear: ChannelLinear, low: Float[Tensor, "B R L"], channels: int, real: Bool[Tensor, "B E"] | None
    ) -> tuple[Float[Tensor, "*B E R"], Float[Tensor, "B R L"]]:
        """Two matrices whose product is :meth:`of_product`, without computing the linear map's output; for sampling.

        Its mean over channels is the mean row of the weight times ``low``, and its variance an R by R quadratic form in
        ``low``. With both merged into weight and ``low``, no pass over E by L remains.
        """
        dtype = torch.promote_types(linear.weight.dtype, torch.float32)
        wide, short = linear.weight[:channels].to(dtype), low.to(dtype)
        if real is None:
            centred = wide - wide.mean(0)
            spread = centred.T @ centred / channels
        else:
            share = (real / real.sum(1, keepdim=True)).to(dtype)
            centred = wide - (share @ wide).unsqueeze(1)
            spread = centred.mT @ (centred * share.unsqueeze(2))
        variance = (short * (spread @ short)).sum(1, keepdim=True)
        return centred * self.weight[:channels, None], short * torch.rsqrt(variance + self.eps)


def leading(weight: Shaped[Tensor, "E ..."], count: int | None) -> Shaped[Tensor, "G ..."]:
    """The first ``count`` rows; the tensor itself if these are all, since a view costs time in the backward pass."""
    return weight if count in (None, weight.shape[0]) else weight[:count]


def added(h: Float[Tensor, "B T D"], linear: nn.Linear, x: Float[Tensor, "B T E"]) -> Float[Tensor, "B T D"]:
    """``h`` plus the linear map of ``x``, with one pass over ``h`` less when sampling on a CPU."""
    same = h.dtype == x.dtype == linear.weight.dtype
    if torch.is_grad_enabled() or h.device.type != "cpu" or not same:
        return h + linear(x)
    y = (h + linear.bias).flatten(0, 1)
    return torch.addmm(y, x.flatten(0, 1), linear.weight.T, out=y).view_as(h)


def zeroed(linear: nn.Linear) -> nn.Linear:
    """Set weight and bias to zero in place, for a residual branch or an output that starts at zero."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def transformer(width: int, heads: int, feedforward: int, layers: int, dropout: float) -> nn.TransformerEncoder:
    """A post-norm transformer encoder with GELU, for (B, L, D); nested tensors, a prototype, are off."""
    layer = nn.TransformerEncoderLayer(width, heads, feedforward, dropout, activation="gelu", batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
