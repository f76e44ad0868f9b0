"""InterMask's sampler: tokens are predicted step by step, then decoded."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from intermamba.config import DiffusionConfig, Sampler
from intermamba.methods.intermask.masking import reveal
from intermamba.methods.intermask.network import InterMask
from intermamba.methods.intermask.options import UNIT, InterMaskOptions
from intermamba.methods.intermask.tokenizer import PARTS, Tokenizer
from intermamba.methods.sampling import GivenLengths
from intermamba.methods.variant import Variant


class InterMaskSampler(GivenLengths):
    """Draws each clip's random numbers from its own generator.

    Tokens are generated for whole units, and the motion is cut.
    """

    def __init__(self, variant: Variant, config: DiffusionConfig, how: Sampler = "plain") -> None:  # noqa: ARG002
        options = variant.options_as(InterMaskOptions)
        self.config, self.top = config, options.top

    def sample(
        self, network: InterMask, cond: Float[Tensor, "B G W"], mask: Bool[Tensor, "B T"], seeds: Sequence[int]
    ) -> Float[Tensor, "B T P F"]:
        """Normalised motion of two persons."""
        frames, device = mask.shape[1], mask.device
        real = units(mask)
        shape = (self.config.sampling_steps, 2, PARTS, real.shape[1])
        uniform = torch.stack([torch.rand(shape, generator=Generator().manual_seed(seed)) for seed in seeds])
        passes = network.guidance(self.config.guidance)
        sees = cond.new_tensor([one.sees for one in passes]).unsqueeze(1)
        weights = cond.new_tensor([one.weight for one in passes])
        both, times = (sees * cond[:, 0]).flatten(0, 1), real.repeat(len(passes), 1)

        def predict(tokens: Int[Tensor, "B P A U"]) -> Float[Tensor, "B P A U K"]:
            logits = network(tokens.repeat(len(passes), 1, 1, 1), both, times)
            return torch.tensordot(weights, logits.unflatten(0, (len(passes), -1)), dims=1)

        tokens = reveal(predict, real, uniform.to(device), network.transformer.special, self.top)
        motion = decoded(network.tokenizer, tokens, real.sum(1))
        return motion[:, :frames]


def units(mask: Bool[Tensor, "B T"]) -> Bool[Tensor, "B U"]:
    """Times of tokens with at least one real frame."""
    padded = torch.nn.functional.pad(mask, (0, -mask.shape[1] % UNIT))
    return padded.unflatten(1, (-1, UNIT)).any(2)


def decoded(tokenizer: Tokenizer, tokens: Int[Tensor, "B P A U"], times: Int[Tensor, " B"]) -> Float[Tensor, "B T P F"]:
    """Motions of tokens, each decoded at its own length, so that padding after a motion cannot affect it."""
    batch, longest = len(tokens), tokens.shape[3]
    motion = tokenizer.codebook.vectors.new_zeros(batch, longest * UNIT, 2, tokenizer.features)
    for count in times.unique().tolist():
        rows = (times == count).nonzero()[:, 0]
        persons = tokenizer.motion(tokens[rows, :, :, :count].flatten(0, 1))
        motion[rows, : count * UNIT] = persons.unflatten(0, (-1, 2)).transpose(1, 2)
    return motion
