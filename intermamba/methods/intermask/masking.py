"""Hiding tokens for training, and predicting them for sampling: pure functions of tokens, logits and noise
[InterMask ``models/mask_transformer/transformer.py``].

Axes: B clip, P person, A part, U time; N the tokens of a clip, P x A x U of them, in that order.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from intermamba.methods.intermask.options import Masking
from intermamba.methods.intermask.transformer import Special

_KEPT = 1e5
"""Score of a token that must not be hidden again."""


class Hidden(NamedTuple):
    """Tokens of which some are hidden."""

    tokens: Int[Tensor, "B P A U"]
    """Tokens that the network sees."""
    hidden: Bool[Tensor, "B P A U"]
    """Positions of mask tokens."""
    learned: Bool[Tensor, "B P A U"]
    """Positions that it has to predict; some are visible, and may be wrong."""


def hide(
    tokens: Int[Tensor, "B P A U"],
    real: Bool[Tensor, "B U"],
    special: Special,
    config: Masking,
    generator: torch.Generator,
) -> Hidden:
    """Choose tokens to predict, and hide most of them.

    Usually a random share of all tokens (the cosine of a uniform number); sometimes all of one person: of the first in
    half of the batch and of the second in the other half.
    """
    batch, device = len(tokens), tokens.device
    alone, which = torch.rand(2, generator=generator, device=device)
    flat = tokens.flatten(1)
    count = flat.shape[1]
    share = torch.cos(0.5 * math.pi * torch.rand(batch, generator=generator, device=device))
    order = torch.rand(batch, count, generator=generator, device=device).argsort(dim=1)
    anywhere = order < (count * share).round().clamp(min=1).unsqueeze(1)
    second_half = torch.arange(batch, device=device) >= batch // 2
    person = torch.arange(count, device=device) >= count // 2
    one_person = (second_half ^ (which < 0.5)).unsqueeze(1) ^ person
    chosen = torch.where(alone < config.one_person, one_person, anywhere) & _spread(real, tokens)
    wrong = chosen & (torch.rand(flat.shape, generator=generator, device=device) < config.wrong)
    random = torch.randint(special.mask, flat.shape, generator=generator, device=device)
    hidden = chosen & ~wrong & (torch.rand(flat.shape, generator=generator, device=device) < config.hidden)
    seen = torch.where(hidden, special.mask, torch.where(wrong, random, flat))
    return Hidden(*(part.reshape(tokens.shape) for part in (seen, hidden, chosen)))


def padded(tokens: Int[Tensor, "B P A U"], real: Bool[Tensor, "B U"], special: Special) -> Int[Tensor, "B P A U"]:
    """Tokens with padding after the end of the motion."""
    return torch.where(real[:, None, None], tokens, special.pad)


def unroll(before: Hidden, logits: Float[Tensor, "B P A U K"], steps: int) -> Hidden:
    """The tokens after one of ``steps`` decoding steps: the most confident predictions are kept.

    Kept tokens are no longer predicted.
    """
    hidden = before.hidden.flatten(1)
    count = hidden.shape[1]
    time = torch.acos(hidden.sum(1) / count) / (0.5 * math.pi)
    remaining = (torch.cos(0.5 * math.pi * (time + 1 / (steps + 1)).clamp(max=1)) * count).round().clamp(min=1)
    confidence, predicted = logits.softmax(-1).flatten(1, 3).max(-1)
    still = _lowest(confidence.masked_fill(~hidden, _KEPT), remaining)
    revealed = (hidden & ~still).reshape(before.hidden.shape)
    tokens = torch.where(revealed, predicted.reshape(revealed.shape), before.tokens)
    return Hidden(tokens, before.hidden & ~revealed, before.learned & ~revealed)


def prediction_loss(
    logits: Float[Tensor, "B P A U K"], tokens: Int[Tensor, "B P A U"], learned: Bool[Tensor, "B P A U"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the tokens to predict; zero if there are none."""
    loss = functional.cross_entropy(logits[learned], tokens[learned], reduction="sum")
    return loss / learned.sum().clamp(min=1)


Predict = Callable[[Int[Tensor, "B P A U"]], Float[Tensor, "B P A U K"]]
"""Guided logits of tokens that are partly hidden."""


@torch.no_grad()
def reveal(
    predict: Predict,
    real: Bool[Tensor, "B U"],
    uniform: Float[Tensor, "B I P A U"],
    special: Special,
    top: float,
) -> Int[Tensor, "B P A U"]:
    """Draw all tokens in I steps, in each of which the least confident are hidden again.

    The official temperature divides probabilities that are normalised afterwards, so it has no effect and is left out.

    Args:
        predict: the network, with guidance.
        real: times of the motions.
        uniform: one number in [0, 1) for each step and token, which determines the drawn entry.
        special: the tokens without an entry of the codebook.
        top: share of the codebook to draw from, the likeliest entries.
    """
    shape = uniform.shape[:1] + uniform.shape[2:]
    free = _spread(real, uniform[:, 0])
    tokens = torch.where(free, special.mask, special.pad)
    total = free.sum(1)
    scores = torch.zeros(tokens.shape, device=tokens.device).masked_fill(~free, _KEPT)
    moments = torch.linspace(0, 1, uniform.shape[1], device=tokens.device)
    for step, moment in enumerate(moments):
        hidden = _lowest(scores, (torch.cos(0.5 * math.pi * moment) * total).round().clamp(min=1)) & free
        tokens = torch.where(hidden, special.mask, tokens)
        logits = predict(tokens.reshape(shape)).flatten(1, 3)
        drawn = draw(logits, uniform[:, step].flatten(1), top)
        tokens = torch.where(hidden, drawn, tokens)
        confidence = logits.softmax(-1).gather(2, drawn.unsqueeze(2)).squeeze(2)
        scores = confidence.to(scores.dtype).masked_fill(~hidden, _KEPT)
    return tokens.reshape(shape)


def draw(logits: Float[Tensor, "B N K"], uniform: Float[Tensor, "B N"], top: float) -> Int[Tensor, "B N"]:
    """An entry of the codebook for each token, drawn by probability from the likeliest share ``top``."""
    likeliest, entries = logits.topk(math.ceil(top * logits.shape[-1]), dim=-1)
    cumulative = likeliest.softmax(-1).cumsum(-1)
    # The last sum can be below one by rounding; a number above it takes the last entry.
    place = torch.searchsorted(cumulative, uniform.unsqueeze(-1).to(cumulative.dtype).contiguous(), right=True)
    return entries.gather(2, place.clamp(max=entries.shape[-1] - 1)).squeeze(2)


def _lowest(scores: Float[Tensor, "B N"], count: Float[Tensor, " B"]) -> Bool[Tensor, "B N"]:
    """The ``count`` lowest scores of each clip."""
    return scores.argsort(dim=1, stable=True).argsort(dim=1) < count.unsqueeze(1)


def _spread(real: Bool[Tensor, "B U"], like: Tensor) -> Bool[Tensor, "B N"]:
    """Real times as real tokens of all parts of both persons."""
    return real[:, None, None].expand(-1, *like.shape[1:3], -1).flatten(1)
