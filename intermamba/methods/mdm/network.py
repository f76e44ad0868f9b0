"""MDM's denoiser: equal to the official class on equal weights, in both forms."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from intermamba.config import ModelConfig
from intermamba.methods.mdm import MdmBackboneOptions, MdmOptions
from intermamba.models.layers import transformer
from intermamba.models.network import GuidedPass, Network, PassArguments, guided
from intermamba.positions import sinusoids


class Mdm(Network):
    """Frames of ``persons`` people side by side as one sequence; step and caption are one token in front.

    18,147,852 parameters for InterHuman's pair, 14,195,212 with the GRU.
    """

    persons = 2

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: ModelConfig, options: MdmOptions
    ) -> None:
        super().__init__(features, max_frames, text_width)
        width, flat = sizes.width, self.persons * features
        self.width, self.sizes, self.fixed = width, sizes, options.form == "fixed"
        gru = isinstance(options, MdmBackboneOptions) and options.backbone == "gru"
        # The released GRU passes its state from clip to clip of a batch.
        self.independent = not gru or self.fixed
        self.embed_text = nn.Linear(text_width, width)
        self.embed_step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_motion = nn.Linear(flat + width * gru, width)
        self.dropout = nn.Dropout(sizes.dropout)
        self.gru = nn.GRU(width, width, sizes.transformer_blocks, batch_first=True) if gru else None
        self.transformer = (
            None
            if gru
            else transformer(sizes.width, sizes.heads, sizes.feedforward, sizes.transformer_blocks, sizes.dropout)
        )
        self.out = nn.Linear(width, flat)

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B W"]:
        """The tower's feature of the whole caption; the null condition is the zero vector."""
        return tokens[torch.arange(len(end), device=end.device), end].to(self.out.weight.dtype)

    def forward(
        self,
        x: Float[Tensor, "B T P F"],
        timestep: Int[Tensor, " B"],
        cond: Float[Tensor, "B 1 W"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T P F"]:
        """Normalised noisy motion to normalised clean motion.

        As released, the content of padded frames affects the prediction on real ones.

        Raises:
            DataError: more frames than ``max_frames``.
        """
        emb = self.embed_text(cond[:, 0]) + self.embed_step(sinusoids(timestep, self.width).to(cond.dtype))
        if self.gru is None:
            h = self.mixed(x, emb, mask)[:, 1:]
        else:
            self.check_length(x.shape[1])
            h = torch.cat((x.flatten(2), emb[:, None].expand(-1, x.shape[1], -1)), dim=-1)
            h = self.positioned(self.embed_motion(h))
            h = self.gru(h)[0] if self.fixed else self.gru(h.transpose(0, 1))[0].transpose(0, 1)
        return self.out(h).unflatten(-1, x.shape[2:])

    def mixed(
        self, x: Float[Tensor, "B T P F"], emb: Float[Tensor, "B D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T1 D"]:
        """The transformer's output; T1 is T plus the first token.

        Raises:
            DataError: more frames than ``max_frames``.
        """
        assert self.transformer is not None
        self.check_length(x.shape[1])
        h = self.positioned(torch.cat((emb[:, None], self.embed_motion(x.flatten(2))), dim=1))
        return self.transformer(h, src_key_padding_mask=self.padding(mask))

    def padding(self, mask: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T1"] | None:
        """Tokens that attention ignores; as released, none."""
        return torch.cat((torch.zeros_like(mask[:, :1]), ~mask), dim=1) if self.fixed else None

    def positioned(self, h: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Tokens with their positions added, then dropout."""
        positions = sinusoids(torch.arange(h.shape[1], device=h.device), self.width)
        return self.dropout(h + positions.to(h.dtype))

    def example(self, frames: int, batch: int = 1) -> PassArguments:
        return self.example_step(frames, batch, self.groups, self.text_width, persons=self.persons)

    def guidance(self, scale: float) -> tuple[GuidedPass, ...]:
        return guided(scale)
