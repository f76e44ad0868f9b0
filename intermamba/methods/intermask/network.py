"""InterMask's two networks as one module for sampling."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from intermamba.methods.intermask.options import UNIT, InterMaskOptions, InterMaskSizes
from intermamba.methods.intermask.tokenizer import PARTS, Tokenizer
from intermamba.methods.intermask.transformer import MaskedTransformer
from intermamba.models.network import GuidedPass, Network, guided


class InterMask(Network):
    """A masked transformer over the tokens of a frozen tokenizer, which was trained before."""

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: InterMaskSizes, options: InterMaskOptions
    ) -> None:
        super().__init__(features, max_frames, text_width)
        self.tokenizer = Tokenizer(features, max_frames, text_width, sizes, options).requires_grad_(False).eval()
        self.transformer = MaskedTransformer(sizes.tokenizer.codes, sizes.tokenizer.code, text_width, sizes.transformer)

    def train(self, mode: bool = True) -> "InterMask":
        """The tokenizer always stays in evaluation mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B W"]:
        return self.transformer.encode_text(tokens, end)

    def forward(
        self, tokens: Int[Tensor, "B P A U"], cond: Float[Tensor, "B W"], real: Bool[Tensor, "B U"]
    ) -> Float[Tensor, "B P A U K"]:
        """Logits over the codebook; ``real`` is true on times of the motion."""
        logits: Tensor = self.transformer(tokens, cond, real)
        return logits

    def example(
        self, frames: int, batch: int = 1
    ) -> tuple[Int[Tensor, "B P A U"], Float[Tensor, "B W"], Bool[Tensor, "B U"]]:
        device, times = self.transformer.out.weight.device, -(-frames // UNIT)
        return (
            torch.zeros(batch, 2, PARTS, times, dtype=torch.long, device=device),
            torch.zeros(batch, self.text_width, device=device),
            torch.ones(batch, times, dtype=torch.bool, device=device),
        )

    def guidance(self, scale: float) -> tuple[GuidedPass, ...]:
        return guided(scale)
