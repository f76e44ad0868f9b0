"""The base of denoisers: text encoder, embeddings, output, and the contract with diffusion and training.

Inside, the two persons pass through the same weights as one batch of 2B: all first persons, then all second ones. That
axis is called Q (``2B``) in the signatures of this package.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from intermamba.config import ModelConfig
from intermamba.models.layers import transformer, zeroed
from intermamba.models.network import AdaptiveWeight, GuidedPass, Network, PassArguments, guided
from intermamba.positions import sinusoids

__all__ = ["AdaptiveWeight", "Denoiser", "GuidedPass", "Network", "TextEncoder", "both", "partner"]


class TextEncoder(nn.Module):
    """The trained part of the text path: a small Transformer over the frozen tower's token features [InterGen].

    As in InterGen's code, the tokens after the end of the text are not masked; the feature at the end token is the
    caption's. Without layers, only that feature is read.
    """

    def __init__(self, width: int, heads: int, feedforward: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = transformer(width, heads, feedforward, layers, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B W"]:
        encoded = tokens.to(self.norm.weight.dtype)
        if self.layers.num_layers:
            encoded = self.layers(encoded)
        return self.norm(encoded[torch.arange(len(end), device=end.device), end])


class Denoiser(Network):
    """Predicts the clean motion from a noisy one (Eq. 2); a subclass implements :meth:`mix`.

    ``features`` is F of one person, ``max_frames`` the longest window, ``text_width`` the text tower's W.
    """

    def __init__(self, features: int, max_frames: int, text_width: int, sizes: ModelConfig) -> None:
        super().__init__(features, max_frames, text_width)
        width = sizes.width
        self.width, self.sizes = width, sizes
        self.text = TextEncoder(text_width, sizes.text_heads, sizes.text_feedforward, sizes.text_layers, sizes.dropout)
        self.embed_text = nn.Linear(text_width, width)
        self.embed_step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_motion = nn.Linear(features, width)
        self.out = zeroed(nn.Linear(width, features))

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B W"]:
        """Condition of captions, from the tower's token features and the position of each end-of-text token.

        The null condition of classifier-free guidance is the zero vector in this space [InterGen].
        """
        return self.text(tokens, end)

    def forward(
        self,
        x: Float[Tensor, "B T P F"],
        timestep: Int[Tensor, " B"],
        cond: Float[Tensor, "B G W"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T P F"]:
        """Normalised noisy motion to normalised clean motion.

        The content of padded frames never affects the prediction on real ones; the prediction on padded ones is
        undefined.

        Raises:
            DataError: more frames than ``max_frames``.
        """
        frames = x.shape[1]
        self.check_length(frames)
        step = self.embed_step(sinusoids(timestep, self.width).to(cond.dtype))
        emb = step.unsqueeze(1) + self.embed_text(cond)
        positions = sinusoids(torch.arange(frames, device=x.device), self.width).to(x.dtype)
        h = self.embed_motion(torch.cat(x.unbind(2))) + positions
        return torch.stack(self.out(self.mix(h, emb, mask)).chunk(2), dim=2)

    def mix(
        self, h: Float[Tensor, "Q T D"], emb: Float[Tensor, "B G D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "Q T D"]:
        """Exchange information between frames, features and persons."""
        raise NotImplementedError

    def example(self, frames: int, batch: int = 1) -> PassArguments:
        return self.example_step(frames, batch, self.groups, self.text_width)

    def guidance(self, scale: float) -> tuple[GuidedPass, ...]:
        return guided(scale)


def both(per_clip: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "Q ..."]:
    """Repeat a tensor of B clips for the 2B persons."""
    return torch.cat((per_clip, per_clip))


def partner(h: Float[Tensor, "Q T D"]) -> Float[Tensor, "Q T D"]:
    """The other person of each pair."""
    return torch.cat(h.chunk(2)[::-1])
