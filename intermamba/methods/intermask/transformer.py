"""InterMask's masked transformer: tokens of both persons, some hidden, to a distribution over the codebook for each
[InterMask ``models/mask_transformer``].

The sequence is person 1's tokens, a separator, person 2's; tokens of a person are ordered by part, then by time.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from intermamba.methods.intermask.options import TransformerSizes
from intermamba.methods.intermask.tokenizer import PARTS
from intermamba.models.denoiser import TextEncoder
from intermamba.models.layers import zeroed
from intermamba.positions import sinusoids


class Modulation(nn.Module):
    """Shifts, scales and gates of a block from the caption; zero-initialised."""

    def __init__(self, width: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = zeroed(nn.Linear(width, pieces * width))

    def forward(self, cond: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B 1 D"], ...]:
        return self.linear(functional.silu(cond)).unsqueeze(1).chunk(self.pieces, dim=2)


def modulated(
    h: Float[Tensor, "B L D"], shift: Float[Tensor, "B 1 D"], scale: Float[Tensor, "B 1 D"]
) -> Float[Tensor, "B L D"]:
    """Normalised without weights, then scaled and shifted."""
    return torch.addcmul(shift, functional.layer_norm(h, h.shape[-1:], eps=1e-6), 1 + scale)


class Attention(nn.Module):
    """Multi-head attention followed by dropout; keys are also the values."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(sizes.width, sizes.heads, sizes.dropout, batch_first=True)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(
        self, query: Float[Tensor, "B L D"], key: Float[Tensor, "B M D"], hidden: Bool[Tensor, "B M"] | None
    ) -> Float[Tensor, "B L D"]:
        """``hidden`` keys are not attended to."""
        attended = self.attention(query, key, key, key_padding_mask=hidden, need_weights=False)[0]
        dropped: Tensor = self.dropout(attended)
        return dropped


class FeedForward(nn.Module):
    """Two linear layers with GELU."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.up = nn.Linear(sizes.width, sizes.feedforward)
        self.down = nn.Linear(sizes.feedforward, sizes.width)
        self.inner, self.outer = nn.Dropout(sizes.dropout), nn.Dropout(sizes.dropout)

    def forward(self, h: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        mixed: Tensor = self.outer(self.down(self.inner(functional.gelu(self.up(h)))))
        return mixed


class Block(nn.Module):
    """Attention over both persons; then, for each person with the same weights, over the parts of a time and over the
    times of a part, and to the other person.

    The two attentions of a person start from the same tokens and each adds them, so their sum doubles the residual
    stream, as in the official code.
    """

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.modulate_pair = Modulation(sizes.width, 6)
        self.pair_attention = Attention(sizes)
        self.pair_feedforward = FeedForward(sizes)
        self.modulate_person = Modulation(sizes.width, 14)
        self.spatial_attention = Attention(sizes)
        self.temporal_attention = Attention(sizes)
        self.cross_attention = Attention(sizes)
        self.feedforward = FeedForward(sizes)

    def forward(
        self, h: Float[Tensor, "B L D"], cond: Float[Tensor, "B D"], padded: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """``padded`` tokens are not attended to; both persons have the same ones."""
        shift, scale, gate, *inner = self.modulate_pair(cond)
        query = modulated(h, shift, scale)
        h = h + gate * self.pair_attention(query, query, padded)
        shift, scale, gate = inner
        h = h + gate * self.pair_feedforward(modulated(h, shift, scale))
        half = h.shape[1] // 2
        first, separator, second = h.split((half, 1, half), dim=1)
        persons, behind = torch.cat((first, second)), padded[:, :half].repeat(2, 1)
        one, two = self._persons(persons, cond.repeat(2, 1), behind).chunk(2)
        return torch.cat((one, separator, two), dim=1)

    def _persons(
        self, own: Float[Tensor, "Q L D"], cond: Float[Tensor, "Q D"], padded: Bool[Tensor, "Q L"]
    ) -> Float[Tensor, "Q L D"]:
        pieces = self.modulate_person(cond)
        spatial, temporal, cross, feedforward = pieces[0:3], pieces[3:6], pieces[6:11], pieces[11:14]
        other = torch.cat(own.chunk(2)[::-1])

        query = _by_time(modulated(own, *spatial[:2]))
        over_parts = own + spatial[2] * _from_time(self.spatial_attention(query, query, None), len(own))
        query = _by_part(modulated(own, *temporal[:2]))
        hidden = padded.unflatten(1, (PARTS, -1)).flatten(0, 1)
        over_times = own + temporal[2] * self.temporal_attention(query, query, hidden).reshape(own.shape)
        h = over_parts + over_times
        shift, scale, shift_other, scale_other, gate = cross
        key = modulated(other, shift_other, scale_other)
        h = h + gate * self.cross_attention(modulated(h, shift, scale), key, padded)
        return h + feedforward[2] * self.feedforward(modulated(h, *feedforward[:2]))


class Special(NamedTuple):
    """Tokens without an entry of the codebook."""

    mask: int
    pad: int
    separator: int


class MaskedTransformer(nn.Module):
    """Predicts hidden tokens from visible ones and the caption.

    Args:
        codes: entries of the codebook.
        code: features of a token's embedding. The released code has a function that would copy the codebook, but
            never calls it.
        text_width: W of the text tower.
        sizes: sizes of the network.
    """

    def __init__(self, codes: int, code: int, text_width: int, sizes: TransformerSizes) -> None:
        super().__init__()
        width = sizes.width
        self.codes, self.sizes = codes, sizes
        self.special = Special(codes, codes + 1, codes + 2)
        self.embedding = nn.Embedding(codes + len(self.special), code)
        self.embed = nn.Linear(code, width)
        self.dropout = nn.Dropout(sizes.dropout)
        self.text = TextEncoder(
            text_width, sizes.text_heads, sizes.text_feedforward, sizes.text_layers, sizes.text_dropout
        )
        self.embed_text = nn.Linear(text_width, width)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.layers))
        self.head = nn.Linear(width, width)
        self.modulate_head = Modulation(width, 2)
        self.out = nn.Linear(width, codes)
        self._initialise()

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B W"]:
        """Condition of captions; the null condition of guidance is the zero vector in this space."""
        return self.text(tokens, end)

    def forward(
        self,
        tokens: Int[Tensor, "B P A U"],
        cond: Float[Tensor, "B W"],
        real: Bool[Tensor, "B U"],
    ) -> Float[Tensor, "B P A U K"]:
        """Logits over the codebook for every token; ``real`` is true on times of the motion."""
        times = tokens.shape[3]
        flat = tokens.flatten(2)
        separator = torch.full_like(flat[:, 0, :1], self.special.separator)
        positions = body_positions(times, self.sizes.width, tokens.device).to(cond.dtype)
        first, middle, second = (self.embed(self.embedding(part)) for part in (flat[:, 0], separator, flat[:, 1]))
        h = self.dropout(torch.cat((first + positions, middle, second + positions), dim=1))
        padded = (~real).repeat(1, PARTS)
        padded = torch.cat((padded, torch.zeros_like(padded[:, :1]), padded), dim=1)
        emb = self.embed_text(cond)
        for block in self.blocks:
            h = block(h, emb, padded)
        half = PARTS * times
        h = torch.cat((h[:, :half], h[:, half + 1 :]), dim=1)
        h = modulated(functional.gelu(self.head(h)), *self.modulate_head(emb))
        return self.out(h).unflatten(1, (2, PARTS, times))

    def _initialise(self) -> None:
        """The official initialisation: small normal weights outside the text encoder, zero biases and modulations."""
        for name, module in self.named_modules():
            if name.startswith("text.") or not isinstance(module, nn.Linear | nn.Embedding):
                continue
            nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Modulation):
                zeroed(module.linear)


def body_positions(times: int, width: int, device: torch.device) -> Float[Tensor, "L D"]:
    """Positions on the grid of parts and times: half of the features encode the part, half the time."""
    parts, moments = (sinusoids(torch.arange(size, device=device), width // 2) for size in (PARTS, times))
    grid = (parts.unsqueeze(1).expand(-1, times, -1), moments.unsqueeze(0).expand(PARTS, -1, -1))
    return torch.cat(grid, dim=-1).flatten(0, 1)


def _by_time(h: Float[Tensor, "Q L D"]) -> Float[Tensor, "R A D"]:
    """Sequences of the parts of one time."""
    return h.unflatten(1, (PARTS, -1)).transpose(1, 2).flatten(0, 1)


def _from_time(h: Float[Tensor, "R A D"], batch: int) -> Float[Tensor, "Q L D"]:
    return h.unflatten(0, (batch, -1)).transpose(1, 2).flatten(1, 2)


def _by_part(h: Float[Tensor, "Q L D"]) -> Float[Tensor, "R U D"]:
    """Sequences of the times of one part."""
    return h.unflatten(1, (PARTS, -1)).flatten(0, 1)
