"""InterGen (Liang et al. 2024), the attention baseline: equal to the official code on equal weights.

With ``self_mixer="astm"`` its self-attention is replaced by Self-ASTM and nothing else changes (Table 5, row 2).
"""

from collections.abc import Iterable
from typing import cast

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from intermamba.config import ModelConfig
from intermamba.methods.intergen import InterGenOptions
from intermamba.models.astm import AstmBlock, ScanSizes
from intermamba.models.denoiser import AdaptiveWeight, Denoiser, both, partner
from intermamba.models.layers import AdaLN, zeroed


class Attention(nn.Module):
    """Attention after AdaLN; across persons if ``cross``, else over the person's own frames.

    A zero key and value are always attended to (``add_zero_attn``), so that no row is without a key.
    """

    def __init__(self, sizes: ModelConfig, *, cross: bool) -> None:
        super().__init__()
        self.norm = AdaLN(sizes.width, sizes.width)
        self.norm_other = AdaLN(sizes.width, sizes.width) if cross else None
        self.attention = nn.MultiheadAttention(
            sizes.width, sizes.heads, sizes.dropout, batch_first=True, add_zero_attn=True
        )

    def forward(
        self,
        h: Float[Tensor, "Q T D"],
        other: Float[Tensor, "Q T D"],
        emb: Float[Tensor, "Q D"],
        mask: Bool[Tensor, "Q T"],
    ) -> Float[Tensor, "Q T D"]:
        query = self.norm(h, emb)
        key = query if self.norm_other is None else self.norm_other(other, emb)
        return h + self.attention(query, key, key, key_padding_mask=~mask, need_weights=False)[0]


class FeedForward(nn.Module):
    """Two linear layers with GELU after AdaLN; its output is zero-initialised."""

    def __init__(self, sizes: ModelConfig) -> None:
        super().__init__()
        self.norm = AdaLN(sizes.width, sizes.width)
        self.up = nn.Linear(sizes.width, sizes.feedforward)
        self.down = zeroed(nn.Linear(sizes.feedforward, sizes.width))
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, h: Float[Tensor, "Q T D"], emb: Float[Tensor, "Q D"]) -> Float[Tensor, "Q T D"]:
        return h + self.down(self.dropout(functional.gelu(self.up(self.norm(h, emb)))))


class Block(nn.Module):
    """Self-attention (or Self-ASTM), cross-attention to the partner's previous state, feed-forward."""

    def __init__(self, frames: int, sizes: ModelConfig, options: InterGenOptions) -> None:
        super().__init__()
        attention = options.self_mixer == "attention"
        self.self_attention = Attention(sizes, cross=False) if attention else None
        scan = ScanSizes(sizes.state, sizes.rank, sizes.kernel)
        self.self_astm = None if attention else AstmBlock(sizes.width, frames, scan, options)
        self.cross_attention = Attention(sizes, cross=True)
        self.feedforward = FeedForward(sizes)

    def forward(
        self,
        h: Float[Tensor, "Q T D"],
        own: Float[Tensor, "Q D"],
        pair: Float[Tensor, "Q D"],
        mask: Bool[Tensor, "Q T"],
    ) -> Float[Tensor, "Q T D"]:
        """``own`` conditions each person's self-attention and feed-forward, ``pair`` the cross-attention."""
        other = partner(h)
        if self.self_attention is not None:
            h = self.self_attention(h, h, own, mask)
        if self.self_astm is not None:
            h = self.self_astm(h, own, mask)
        h = self.cross_attention(h, other, pair, mask)
        return self.feedforward(h, own)


class InterGen(Denoiser):
    """The official denoiser; 182.38 M parameters at its sizes (Table 3: 182)."""

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: ModelConfig, options: InterGenOptions
    ) -> None:
        super().__init__(features, max_frames, text_width, sizes)
        self.blocks = nn.ModuleList(Block(max_frames, sizes, options) for _ in range(sizes.transformer_blocks))

    def mix(
        self, h: Float[Tensor, "Q T D"], emb: Float[Tensor, "B G D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "Q T D"]:
        own, pair, mask = self.conditions(emb), both(emb[:, 0]), both(mask)
        for block in self.blocks:
            h = block(h, own, pair, mask)
        return h

    def conditions(self, emb: Float[Tensor, "B G D"]) -> Float[Tensor, "Q D"]:
        """Condition of each person's own part of a block: here the caption of the pair."""
        return both(emb[:, 0])

    def adaptive_weights(self) -> list[AdaptiveWeight]:
        return [
            AdaptiveWeight(index, "self", branch, value)
            for index, block in enumerate(cast("Iterable[Block]", self.blocks))
            if block.self_astm is not None
            for branch, value in block.self_astm.astm.weights()
        ]
