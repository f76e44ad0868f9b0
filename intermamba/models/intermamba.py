"""InterMamba (Section 4): blocks of Self-ASTM for each person, LIIA for the pair, Cross-ASTM for each person."""

from collections.abc import Iterable, Iterator
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from intermamba.config import ModelConfig
from intermamba.methods.intermamba import InterMambaOptions
from intermamba.models.astm import AstmBlock, ScanSizes
from intermamba.models.denoiser import AdaptiveWeight, Denoiser, both
from intermamba.models.layers import AdaLN
from intermamba.ssm import fuse


class Liia(nn.Module):
    """Local interaction information aggregation (Eq. 11): one sequence for the pair.

    The two persons are the two channels of an image of frames by features. A dense convolution over 2D channels would
    cost 42 M parameters; only this interpretation keeps Table 5's count unchanged when LIIA is added. Exchanging the
    persons changes the result, since the convolutions weight them differently. Without ``convolve`` the result is the
    persons' mean. ``per_person`` normalises each person's features separately, with the same weights.
    """

    def __init__(self, width: int, *, convolve: bool, per_person: bool = False) -> None:
        super().__init__()
        self.per_person = per_person
        self.norm = AdaLN(width if per_person else 2 * width, width)
        self.point = nn.Conv2d(2, 2, 1) if convolve else None
        self.local = nn.Conv2d(2, 1, 3, padding=1) if convolve else None

    def forward(
        self, h: Float[Tensor, "Q T D"], emb: Float[Tensor, "B D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T D"]:
        if not self.per_person and self.point is not None and self.local is not None and fuse.takes(h):
            scale, shift = self.norm.modulated(emb)
            assert self.point.bias is not None
            assert self.local.bias is not None
            filters = (self.point.weight, self.point.bias, self.local.weight, self.local.bias)
            return fuse.aggregate(h, scale, shift, filters, mask, self.norm.norm.eps)
        keep = mask[:, None, :, None]
        if self.per_person:
            pair = torch.stack(self.norm(h, both(emb)).chunk(2), dim=1)  # (B, P, T, D)
        else:
            pair = self.norm(torch.cat(h.chunk(2), dim=-1), emb).unflatten(-1, (2, -1)).transpose(1, 2)
        if self.point is None or self.local is None:
            return (pair.mean(1, keepdim=True) * keep).squeeze(1)
        pair = pair.contiguous(memory_format=torch.channels_last)  # several times faster for two channels
        # The 3 x 3 filter reaches beyond the end of a clip: padded frames must be zero, like those beyond the window.
        return (self.local(self.point(pair) * keep) * keep).squeeze(1)


class Block(nn.Module):
    """Self-ASTM, LIIA, Cross-ASTM; both persons are updated from the same previous state."""

    def __init__(self, frames: int, sizes: ModelConfig, options: InterMambaOptions) -> None:
        super().__init__()
        scan = ScanSizes(sizes.state, sizes.rank, sizes.kernel)
        self.self_astm = AstmBlock(sizes.width, frames, scan, options)
        self.liia = (
            Liia(sizes.width, convolve=options.liia == "conv", per_person=options.liia_norm == "person")
            if options.cross
            else None
        )
        self.cross_astm = (
            AstmBlock(sizes.width, frames, scan, options, cross=options.h_inter) if options.cross else None
        )

    def forward(
        self, h: Float[Tensor, "Q T D"], emb: Float[Tensor, "B D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "Q T D"]:
        emb_both, mask_both = both(emb), both(mask)
        h = self.self_astm(h, emb_both, mask_both)
        if self.liia is None or self.cross_astm is None:
            return h
        return self.cross_astm(h, emb_both, mask_both, both(self.liia(h, emb, mask)))

    def astm_blocks(self) -> Iterator[tuple[Literal["self", "cross"], AstmBlock]]:
        """Its ASTM blocks by name: ``self``, and ``cross`` unless it is ablated."""
        yield "self", self.self_astm
        if self.cross_astm is not None:
            yield "cross", self.cross_astm


class InterMamba(Denoiser):
    """The paper's model; 118.60 M parameters at its sizes (Table 3: 117)."""

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: ModelConfig, options: InterMambaOptions
    ) -> None:
        super().__init__(features, max_frames, text_width, sizes)
        blocks = (options.modules or sizes.modules) * sizes.blocks_per_module
        self.blocks = nn.ModuleList(Block(max_frames, sizes, options) for _ in range(blocks))

    def mix(
        self, h: Float[Tensor, "Q T D"], emb: Float[Tensor, "B 1 D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "Q T D"]:
        h, emb = h + both(emb), emb.squeeze(1)
        for block in self.blocks:
            h = block(h, emb, mask)
        return h

    def adaptive_weights(self) -> list[AdaptiveWeight]:
        return [
            AdaptiveWeight(index, module, branch, value)
            for index, block in enumerate(cast("Iterable[Block]", self.blocks))
            for module, part in block.astm_blocks()
            for branch, value in part.astm.weights()
        ]
