"""Small layers shared by the denoisers."""

import math

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor, nn
from torch.nn import functional


def sinusoids(position: Num[Tensor, " S"], width: int) -> Float[Tensor, "S D"]:
    """Sinusoidal embedding of positions: sines in the even columns, cosines in the odd ones."""
    rate = torch.exp(torch.arange(0, width, 2, device=position.device) * (-math.log(10000.0) / width))
    angle = position.unsqueeze(1) * rate
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


class AdaLN(nn.Module):
    """Layer normalisation whose scale and shift come from the condition; starts as the plain one (zero-initialised)."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.modulation = zeroed(nn.Linear(condition, 2 * width))
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)

    def forward(self, h: Float[Tensor, "B T D"], emb: Float[Tensor, "B M"]) -> Float[Tensor, "B T D"]:
        scale, shift = self.modulation(functional.silu(emb)).unsqueeze(1).chunk(2, dim=-1)
        return torch.addcmul(shift, self.norm(h), 1 + scale)


class UnconditionalNorm(nn.Module):
    """Plain layer normalisation with :class:`AdaLN`'s signature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Float[Tensor, "B T D"], emb: Float[Tensor, "B M"]) -> Float[Tensor, "B T D"]:  # noqa: ARG002
        normal: Tensor = self.norm(h)
        return normal


class ChannelLinear(nn.Linear):
    """Linear map of the channels of (B, E, L).

    Built for the largest number of channels. For fewer, the leading weights are used: exactly what padding the input
    with zero channels and cropping the output gives, without the work.
    """

    def forward(self, x: Float[Tensor, "B E L"], channels_out: int | None = None) -> Float[Tensor, "B G L"]:
        y = self.weight[:channels_out, : x.shape[1]] @ x
        return y if self.bias is None else y + self.bias[:channels_out, None]


class ChannelConv(nn.Conv1d):
    """Causal depthwise convolution along L of (B, E, L); fewer channels than built for use the leading filters."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, groups=channels)

    def forward(self, x: Float[Tensor, "B E L"]) -> Float[Tensor, "B E L"]:
        channels, length = x.shape[1:]
        past = functional.pad(x, (self.kernel_size[0] - 1, 0))
        assert self.bias is not None
        # Shifted multiply-adds: on a CPU half the time of a grouped convolution and its gradient.
        y = self.bias[:channels, None]
        for shift, weight in enumerate(self.weight[:channels].unbind(2)):
            y = torch.addcmul(y, past[..., shift : shift + length], weight)
        return y


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (B, E, L), with statistics over the real channels only.

    Where channels are frames, padded ones must not count in the statistics; what comes out on them means nothing.
    """

    def forward(self, x: Float[Tensor, "B E L"], real: Bool[Tensor, "B E"] | None = None) -> Float[Tensor, "B E L"]:
        if real is None:
            return super().forward(x.mT).mT
        channels = x.shape[1]
        share = (real / real.sum(1, keepdim=True)).to(x.dtype).unsqueeze(2)  # a sum of products with it is a mean
        centred = x - (x * share).sum(1, keepdim=True)
        scale = torch.rsqrt((centred.square() * share).sum(1, keepdim=True) + self.eps)
        return torch.addcmul(self.bias[:channels, None], centred * scale, self.weight[:channels, None])


def zeroed(linear: nn.Linear) -> nn.Linear:
    """Set weight and bias to zero, in place: a residual branch or an output that starts as nothing."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
