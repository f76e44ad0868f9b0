"""ComMDM's networks: the single-person prior, and the prior of both persons with the communication block."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from intermamba.config import ModelConfig
from intermamba.methods.com_mdm import ComMdmOptions
from intermamba.methods.mdm.network import Mdm
from intermamba.models.denoiser import both, partner
from intermamba.models.layers import transformer
from intermamba.models.network import Network, PassArguments
from intermamba.positions import sinusoids

BLOCK_LAYERS = 2
"""Transformer layers of the communication block [ComMDM]."""


class Prior(Mdm):
    """MDM of one person."""

    persons = 1


class ComMdm(Network):
    """Both persons through one prior; the communication block's output is added after its last layer.

    22,609,670 parameters on InterHuman, of which the block's 4,730,368 are trained. Officially, each person has a token
    of the relative first pose; features with global positions do not need it. A guided prediction is one pass, since
    the released code samples with guidance 1.
    """

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: ModelConfig, options: ComMdmOptions
    ) -> None:
        super().__init__(features, max_frames, text_width)
        self.sizes = sizes
        self.prior = Prior(features, max_frames, text_width, sizes, options)
        self.join = nn.Linear(2 * sizes.width, sizes.width)
        self.block = transformer(sizes.width, sizes.heads, sizes.feedforward, BLOCK_LAYERS, sizes.dropout)

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B W"]:
        return self.prior.encode_text(tokens, end)

    def forward(
        self,
        x: Float[Tensor, "B T P F"],
        timestep: Int[Tensor, " B"],
        cond: Float[Tensor, "B 1 W"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T P F"]:
        """Normalised noisy motion to normalised clean motion.

        Raises:
            DataError: more frames than ``max_frames``.
        """
        prior = self.prior
        emb = prior.embed_text(cond[:, 0]) + prior.embed_step(sinusoids(timestep, prior.width).to(cond.dtype))
        persons = torch.cat(x.split(1, dim=2))  # (2B, T, 1, F)
        h = prior.mixed(persons, both(emb), both(mask))
        padding = prior.padding(mask)
        heard = self.join(torch.cat((h, partner(h)), dim=-1))
        h = h + self.block(heard, src_key_padding_mask=None if padding is None else both(padding))
        return torch.stack(prior.out(h[:, 1:]).chunk(2), dim=2)

    def example(self, frames: int, batch: int = 1) -> PassArguments:
        x, timestep, cond, mask = self.prior.example(frames, batch)
        return x.expand(-1, -1, 2, -1), timestep, cond, mask
