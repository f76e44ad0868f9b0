"""Sinusoidal positions (Vaswani et al. 2017)."""

import math

import torch
from jaxtyping import Float, Num
from torch import Tensor


def sinusoids(position: Num[Tensor, " S"], width: int) -> Float[Tensor, "S D"]:
    """Sinusoidal embedding of positions: sines in the even columns, cosines in the odd ones."""
    rate = torch.exp(torch.arange(0, width, 2, device=position.device) * (-math.log(10000.0) / width))
    angle = position.unsqueeze(1) * rate
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)
