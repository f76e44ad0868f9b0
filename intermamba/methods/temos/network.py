"""TEMOS (Petrovich et al. 2022): a latent space that captions and motions share, and a decoder of both.

One vector represents a whole clip. A text encoder and a motion encoder give its distribution, and a transformer decodes
it into the requested number of frames. The pair is one sequence with 2 F features per frame.

The configuration of the released code misspells ``num_heads`` and ``dropout``, so its networks have the defaults, four
heads and 0.1, which are used here as well.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from intermamba.config import DiffusionConfig
from intermamba.methods.losses import with_total
from intermamba.methods.temos.options import TemosLosses, TemosOptions, TemosSizes
from intermamba.models.layers import transformer
from intermamba.models.network import Network
from intermamba.positions import sinusoids


class Gaussian(NamedTuple):
    """Independent normal distributions, as TEMOS parameterises them."""

    mean: Float[Tensor, "B D"]
    log_variance: Float[Tensor, "B D"]

    def draw(self, noise: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """A sample from standard normal ``noise``."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence(self, other: "Gaussian | None" = None) -> Float[Tensor, ""]:
        """Kullback-Leibler divergence from ``other``, or from the standard normal: the mean over clips and features."""
        mean, log_variance = (0.0, 0.0) if other is None else other
        log_ratio = self.log_variance - log_variance
        distance = (self.mean - mean).square() * torch.exp(-torch.as_tensor(log_variance).to(self.mean))
        return 0.5 * (log_ratio.exp() + distance - 1 - log_ratio).mean()


class Positions(nn.Module):
    """Adds sinusoidal positions, then drops features."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        places = torch.arange(h.shape[1], device=h.device)
        placed: Tensor = self.dropout(h + sinusoids(places, h.shape[2]).to(h.dtype))
        return placed


class SequenceEncoder(nn.Module):
    """Encodes a sequence as the distribution of a latent vector, read from two learned tokens in front of it [ACTOR].

    Args:
        embed: maps the sequence's features to those of the latent vector.
        sizes: widths, layers and dropout.
    """

    def __init__(self, embed: nn.Module, sizes: TemosSizes) -> None:
        super().__init__()
        self.embed = embed
        self.mean_token = nn.Parameter(torch.randn(sizes.width))
        self.log_variance_token = nn.Parameter(torch.randn(sizes.width))
        self.positions = Positions(sizes.dropout)
        self.layers = transformer(sizes.width, sizes.heads, sizes.feedforward, sizes.layers, sizes.dropout)

    def forward(self, sequence: Float[Tensor, "B L C"], mask: Bool[Tensor, "B L"]) -> Gaussian:
        """``mask`` is true on real elements; others have no effect."""
        tokens = torch.stack((self.mean_token, self.log_variance_token)).expand(len(sequence), -1, -1)
        h = self.positions(torch.cat((tokens, self.embed(sequence)), dim=1))
        h = self.layers(h, src_key_padding_mask=functional.pad(~mask, (2, 0)))
        return Gaussian(h[:, 0], h[:, 1])


class MotionDecoder(nn.Module):
    """Decodes a latent vector into frames: queries are positions only, and all attend to this vector."""

    def __init__(self, features: int, sizes: TemosSizes) -> None:
        super().__init__()
        self.positions = Positions(sizes.dropout)
        layer = nn.TransformerDecoderLayer(
            sizes.width, sizes.heads, sizes.feedforward, sizes.dropout, activation="gelu", batch_first=True
        )
        self.layers = nn.TransformerDecoder(layer, sizes.layers)
        self.out = nn.Linear(sizes.width, features)

    def forward(self, latent: Float[Tensor, "B D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T C"]:
        """Frames, zero where ``mask`` is false."""
        queries = self.positions(latent.new_zeros(*mask.shape, latent.shape[1]))
        h = self.layers(queries, latent.unsqueeze(1), tgt_key_padding_mask=~mask)
        frames: Tensor = self.out(h)
        return frames * mask.unsqueeze(-1)


class Temos(Network):
    """The three trained networks; the frozen text tower is not part of it.

    The condition of a caption is the mean of its latent vector, followed by the logarithm of the variance.
    """

    def __init__(
        self,
        features: int,
        max_frames: int,
        text_width: int,
        sizes: TemosSizes,
        options: TemosOptions,  # noqa: ARG002
    ) -> None:
        super().__init__(features, max_frames, text_width)
        self.sizes = sizes
        embed_text = nn.Sequential(nn.ReLU(), nn.Linear(text_width, sizes.width))
        self.text_encoder = SequenceEncoder(embed_text, sizes)
        self.motion_encoder = SequenceEncoder(nn.Linear(2 * features, sizes.width), sizes)
        self.decoder = MotionDecoder(2 * features, sizes)

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B Z"]:
        """Distribution of the latent vector from a caption's words, as :meth:`latent` reads it."""
        mask = torch.arange(tokens.shape[1], device=tokens.device) <= end.unsqueeze(1)
        return torch.cat(self.text_encoder(tokens.to(self.decoder.out.weight.dtype), mask), dim=1)

    def latent(self, cond: Float[Tensor, "B G Z"]) -> Gaussian:
        """The latent vector's distribution, from the condition."""
        return Gaussian(*cond[:, 0].chunk(2, dim=1))

    def encode_motion(self, motion: Float[Tensor, "B T P F"], mask: Bool[Tensor, "B T"]) -> Gaussian:
        """The latent vector's distribution, from a normalised motion."""
        encoded: Gaussian = self.motion_encoder(motion.flatten(2), mask)
        return encoded

    def forward(self, latent: Float[Tensor, "B D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T P F"]:
        """A normalised motion of the given length, zero after its end."""
        return self.decoder(latent, mask).unflatten(2, (2, -1))

    def example(self, frames: int, batch: int = 1) -> tuple[Float[Tensor, "B D"], Bool[Tensor, "B T"]]:
        device = self.decoder.out.weight.device
        mask = torch.ones(batch, frames, dtype=torch.bool, device=device)
        return torch.zeros(batch, self.sizes.width, device=device), mask

    def steps(self, sampling: DiffusionConfig) -> int:  # noqa: ARG002
        return 1


def temos_losses(
    model: Temos,
    text: Gaussian,
    motion: Float[Tensor, "B T P F"],
    mask: Bool[Tensor, "B T"],
    noise: tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]],
    weights: TemosLosses,
) -> dict[str, Float[Tensor, ""]]:
    """Every weighted term of the loss of a batch, and their sum ``total``.

    Args:
        model: encodes ``motion`` and decodes both latent vectors.
        text: distribution from the captions.
        motion: normalised, zero where ``mask`` is false. As in the official code, padded frames count in the mean of
            the reconstruction; both sides are zero there.
        mask: real frames.
        noise: standard normal, for the latent vector of the captions and that of the motions.
        weights: weights of the terms.
    """
    seen = model.encode_motion(motion, mask)
    latents = text.draw(noise[0]), seen.draw(noise[1])
    from_text, from_motion = (model(latent, mask) for latent in latents)
    terms = {
        "text": weights.reconstruction * functional.smooth_l1_loss(from_text, motion),
        "motion": weights.reconstruction * functional.smooth_l1_loss(from_motion, motion),
        "divergence": weights.divergence
        * (text.divergence(seen) + seen.divergence(text) + text.divergence() + seen.divergence()),
        "latent": weights.latent * functional.smooth_l1_loss(*latents),
    }
    return with_total(terms)
