"""RIG's denoiser: equal to the official class on equal weights."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from intermamba.config import ModelConfig
from intermamba.methods.rig import RigOptions
from intermamba.models.denoiser import both, partner
from intermamba.models.layers import transformer, zeroed
from intermamba.models.network import Network, PassArguments

STEP_WIDTHS = 4
"""Width of the conditioning vector, in widths of a frame [RIG 2048 of 512]."""
POSE = 4
"""Features of the relative initial pose, officially the first token of the sequence."""
_MASKED = -1e6


class Stylisation(nn.Module):
    """Layer normalisation modulated by the condition, and a zero-initialised linear map."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.modulation = nn.Linear(STEP_WIDTHS * width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.out = zeroed(nn.Linear(width, width))

    def forward(self, h: Float[Tensor, "Q L D"], emb: Float[Tensor, "Q M"]) -> Float[Tensor, "Q L D"]:
        scale, shift = self.modulation(functional.silu(emb)).unsqueeze(1).chunk(2, dim=-1)
        return self.out(self.dropout(functional.silu(self.norm(h) * (1 + scale) + shift)))


class LinearAttention(nn.Module):
    """Softmax of queries over features and of keys over time, so that the cost is linear in time.

    ``reads`` is the width of the source of keys and values: the person's own frames, a caption's tokens, or the
    partner's frames.
    """

    def __init__(self, width: int, reads: int, heads: int, dropout: float, *, text: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.norm_text = nn.LayerNorm(reads) if text else None
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(reads, width), nn.Linear(reads, width)
        self.style = Stylisation(width, dropout)

    def forward(
        self,
        h: Float[Tensor, "Q L D"],
        source: Float[Tensor, "Q S R"],
        emb: Float[Tensor, "Q M"],
        real: Float[Tensor, "Q S 1"] | None = None,
        *,
        mask_values: bool = False,
    ) -> Float[Tensor, "Q L D"]:
        read = (self.norm if self.norm_text is None else self.norm_text)(source)
        key, value = self.key(read), self.value(read)
        if real is not None:
            key = key + (1 - real) * _MASKED
            value = value * real if mask_values else value
        query, key, value = (each.unflatten(-1, (self.heads, -1)) for each in (self.query(self.norm(h)), key, value))
        context = torch.einsum("qshd,qshl->qhdl", key.softmax(1), value)
        mixed = torch.einsum("qthd,qhdl->qthl", query.softmax(-1), context).flatten(2)
        return h + self.style(mixed, emb)


class Block(nn.Module):
    """Own frames, own caption, partner's frames, feed-forward; both persons share the weights."""

    def __init__(self, sizes: ModelConfig, text_width: int) -> None:
        super().__init__()
        width, each = sizes.width, (sizes.heads, sizes.dropout)
        self.own = LinearAttention(width, width, *each)
        self.caption = LinearAttention(width, text_width, *each, text=True)
        self.other = LinearAttention(width, width, *each)
        self.up = nn.Linear(width, sizes.feedforward)
        self.down = zeroed(nn.Linear(sizes.feedforward, width))
        self.dropout = nn.Dropout(sizes.dropout)
        self.style = Stylisation(width, sizes.dropout)

    def forward(
        self,
        h: Float[Tensor, "Q L D"],
        tokens: Float[Tensor, "Q S X"],
        emb: Float[Tensor, "Q M"],
        real: Float[Tensor, "Q L 1"],
    ) -> Float[Tensor, "Q L D"]:
        h = self.own(h, h, emb, real, mask_values=True)
        h = self.caption(h, tokens, emb)
        h = self.other(h, partner(h), emb, real)
        return h + self.style(self.down(self.dropout(functional.gelu(self.up(h)))), emb)


class Rig(Network):
    """Predicts the noise; 112,548,620 parameters on InterHuman.

    Officially, the first token holds the relative initial pose of the persons, and its noise is predicted as well.
    Features with global positions contain it already: here this token holds zeros, and the layer of its output,
    ``out_pose``, is drawn and counted but never trained.
    """

    groups = 2

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: ModelConfig, options: RigOptions
    ) -> None:
        super().__init__(features, max_frames, text_width)
        width, inner = sizes.width, options.text_width
        self.width, self.sizes, self.inner = width, sizes, inner
        self.reduce = nn.Linear(text_width, inner)
        self.text = transformer(inner, sizes.text_heads, sizes.text_feedforward, sizes.text_layers, sizes.dropout)
        self.norm = nn.LayerNorm(inner)
        self.embed_text = nn.Linear(inner, STEP_WIDTHS * width)
        self.embed_step = nn.Sequential(
            nn.Linear(width, STEP_WIDTHS * width), nn.SiLU(), nn.Linear(STEP_WIDTHS * width, STEP_WIDTHS * width)
        )
        self.positions = nn.Parameter(torch.randn(max_frames + 1, width))
        self.embed_motion = nn.Linear(features, width)
        self.embed_pose = nn.Linear(POSE, width)
        self.blocks = nn.ModuleList(Block(sizes, inner) for _ in range(sizes.transformer_blocks))
        self.out = zeroed(nn.Linear(width, features))
        # Frozen, since DDP refuses weights to train that a step does not use.
        self.out_pose = zeroed(nn.Linear(width, features)).requires_grad_(False)

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B C"]:
        """A caption's tokens for attention, flattened, followed by the feature of the whole caption."""
        encoded = self.norm(self.text(self.reduce(tokens.to(self.norm.weight.dtype))))
        whole = self.embed_text(encoded[torch.arange(len(end), device=end.device), end])
        return torch.cat((encoded.flatten(1), whole), dim=1)

    def forward(
        self,
        x: Float[Tensor, "B T P F"],
        timestep: Int[Tensor, " B"],
        cond: Float[Tensor, "B 2 C"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T P F"]:
        """Normalised noisy motion to the noise in it. The content of padded frames never affects real ones.

        Raises:
            DataError: more frames than ``max_frames``.
        """
        frames = x.shape[1]
        self.check_length(frames)
        cond = torch.cat(cond.unbind(1))  # (2B, C): as the persons
        tokens, whole = cond.tensor_split([cond.shape[1] - STEP_WIDTHS * self.width], dim=1)
        emb = both(self.embed_step(steps(timestep, self.width).to(cond.dtype))) + whole
        h = self.embed_motion(torch.cat(x.unbind(2))) + self.positions[:frames]
        pose = self.embed_pose(h.new_zeros(len(h), 1, POSE))
        real = both(torch.cat((torch.ones_like(mask[:, :1]), mask), dim=1)).unsqueeze(-1).to(h.dtype)
        h = torch.cat((pose, h), dim=1)
        for block in self.blocks:
            h = block(h, tokens.unflatten(1, (-1, self.inner)), emb, real)
        return torch.stack(self.out(h[:, 1:]).chunk(2), dim=2)

    def parameter_count(self) -> int:
        """As in its code, where the layer of the pose's noise is trained too."""
        return super().parameter_count() + sum(value.numel() for value in self.out_pose.parameters())

    def example(self, frames: int, batch: int = 1) -> PassArguments:
        return self.example_step(frames, batch, self.groups, TOKENS * self.inner + STEP_WIDTHS * self.width)


TOKENS = 77
"""Tokens of a caption in an example [CLIP]."""


def steps(timestep: Int[Tensor, " B"], width: int) -> Float[Tensor, "B D"]:
    """Sinusoids of the diffusion step, all cosines before all sines [MotionDiffuse]."""
    half = width // 2
    rate = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float32) / half)
    angle = timestep[:, None].float() * rate.to(timestep.device)
    return torch.cat((angle.cos(), angle.sin()), dim=1)
