"""InterMask's tokenizer: a VQ-VAE over joints and time, for one person at a time [InterMask ``models/vq``].

A motion becomes 5 x T/4 tokens: five body parts for any skeleton, and one token per four frames. InterHuman's joints
have 12 numbers each and see their neighbours on the skeleton before the convolutions; Inter-X's have 6, and the root's
translation with its velocity is an additional joint.
"""

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from intermamba.config import Dataset
from intermamba.data import interhuman, interx
from intermamba.methods.intermask.options import UNIT, Graph, InterMaskOptions, InterMaskSizes, TokenizerSizes
from intermamba.models.network import Network
from intermamba.skeleton import BONE_ENDS, BONE_STARTS

PARTS = 5
"""Body parts with tokens."""


class BodyGrid(NamedTuple):
    """Layout of a dataset's features on a grid of joints, and its reduction to :data:`PARTS`."""

    channels: int
    """Numbers per joint."""
    joints: int
    skeleton: bool
    """Whether joints see their neighbours before and after the convolutions; else there is a convolution instead."""
    kernel: int
    """Size along the joints of a halving convolution."""
    stride: int
    scales: tuple[float, float]
    """Factors by which the decoder stretches the joints."""


GRIDS: dict[str, BodyGrid] = {
    "interhuman": BodyGrid(12, interhuman.JOINTS, True, 4, 2, (2.2, 2.0)),
    "interx": BodyGrid(6, interx.JOINTS + 1, False, 6, 3, (3.5, 3.3)),
}
"""By the family of the features."""


def to_grid(motion: Float[Tensor, "B T F"], dataset: Dataset) -> Float[Tensor, "B C J T"]:
    """Features of one person as an image of joints and time.

    InterHuman: position, velocity, rotation; the root's rotation and foot contacts are left out. Inter-X: rotations,
    and the translation with its step to the next frame, zero in the last one.
    """
    if dataset == "interx":
        joints = motion.unflatten(-1, (-1, 6))
        step = functional.pad(joints[..., -1, :3].diff(dim=1), (0, 0, 0, 1))
        root = torch.cat((joints[..., -1, :3], step), dim=-1)
        return torch.cat((joints[..., :-1, :], root.unsqueeze(-2)), dim=-2).permute(0, 3, 2, 1)
    positions, velocities = (
        motion[..., part].unflatten(-1, (-1, 3)) for part in (interhuman.POSITIONS, interhuman.VELOCITIES)
    )
    rotations = functional.pad(motion[..., interhuman.ROTATIONS].unflatten(-1, (-1, 6)), (0, 0, 1, 0))
    return torch.cat((positions, velocities, rotations), dim=-1).permute(0, 3, 2, 1)


def from_grid(grid: Float[Tensor, "B C J T"], dataset: Dataset) -> Float[Tensor, "B T F"]:
    """Inverse of :func:`to_grid`, with zeros for features left out. Inter-X's velocity is kept for the losses."""
    joints = grid.permute(0, 3, 2, 1)
    if dataset == "interx":
        return joints.flatten(2)
    positions, velocities, rotations = joints[..., :3], joints[..., 3:6], joints[..., 1:, 6:]
    contacts = joints.new_zeros(*joints.shape[:2], interhuman.FEATURES - interhuman.CONTACTS.start)
    return torch.cat((positions.flatten(2), velocities.flatten(2), rotations.flatten(2), contacts), dim=-1)


class SkeletonConv(nn.Module):
    """A joint from itself and the mean of its neighbours [GraphSAGE, with a projection].

    With ``graph`` as released a joint has neighbours in the first frame of each clip only.
    """

    def __init__(self, inputs: int, outputs: int, graph: Graph) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, inputs)
        self.around = nn.Linear(inputs, outputs)
        self.own = nn.Linear(inputs, outputs, bias=False)
        self.graph = graph

    def forward(self, x: Float[Tensor, "B T J C"]) -> Float[Tensor, "B T J E"]:
        # As released, later frames have no neighbours, whose mean is then zero.
        seen = x if self.graph == "fixed" else x[:, :1]
        mean = _neighbours(x.device).to(x.dtype) @ functional.relu(self.project(seen))
        around = self.around(mean)
        if self.graph == "as_released":
            nothing = self.around.bias.expand(len(x), x.shape[1] - 1, *around.shape[2:])
            around = torch.cat((around, nothing), dim=1)
        combined: Tensor = around + self.own(x)
        return combined


class ResidualBlock(nn.Module):
    """A dilated and a pointwise convolution, added to the input."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Float[Tensor, "B C J T"]) -> Float[Tensor, "B C J T"]:
        changed: Tensor = self.dropout(self.mix(functional.relu(self.spread(functional.relu(h)))))
        return h + changed


class Encoder(nn.Module):
    """An image of joints and time to features of each token."""

    def __init__(self, grid: BodyGrid, sizes: TokenizerSizes, graph: Graph) -> None:
        super().__init__()
        width = sizes.width
        self.skeleton = (
            nn.ModuleList((SkeletonConv(grid.channels, width, graph), SkeletonConv(width, width, graph)))
            if grid.skeleton
            else None
        )
        self.start = None if grid.skeleton else nn.Conv2d(grid.channels, width, 3, padding=1)
        self.halvings = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, (grid.kernel, UNIT), (grid.stride, 2), padding=1), *_residuals(sizes))
            for _ in range(2)
        )
        self.out = nn.Conv2d(width, sizes.code, 3, padding=1)

    def forward(self, x: Float[Tensor, "B C J T"]) -> Float[Tensor, "B D A U"]:
        if self.skeleton is not None:
            joints = x.permute(0, 3, 2, 1)
            for layer in self.skeleton:
                joints = functional.relu(layer(joints))
            h = joints.permute(0, 3, 2, 1)
        else:
            assert self.start is not None
            h = functional.relu(self.start(x))
        for halving in self.halvings:
            h = halving(h)
        encoded: Tensor = self.out(h)
        return encoded


class Decoder(nn.Module):
    """Features of each token back to an image of joints and time."""

    def __init__(self, grid: BodyGrid, sizes: TokenizerSizes, graph: Graph) -> None:
        super().__init__()
        width = sizes.width
        self.start = nn.Conv2d(sizes.code, width, 3, padding=1)
        self.doublings = nn.ModuleList(
            nn.Sequential(
                *_residuals(sizes),
                nn.Upsample(scale_factor=(scale, 2.0)),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for scale in grid.scales
        )
        self.end = nn.Conv2d(width, width, 3, padding=1)
        self.out: nn.Module | None = None
        self.skeleton: nn.ModuleList | None = None
        if grid.skeleton:
            self.skeleton = nn.ModuleList(
                (SkeletonConv(width, width, graph), SkeletonConv(width, grid.channels, graph))
            )
        else:
            self.out = nn.Conv2d(width, grid.channels, 3, padding=1)

    def forward(self, h: Float[Tensor, "B D A U"]) -> Float[Tensor, "B C J T"]:
        h = functional.relu(self.start(h))
        for doubling in self.doublings:
            h = doubling(h)
        h = functional.relu(self.end(h))
        if self.out is not None:
            image: Tensor = self.out(h)
            return image
        assert self.skeleton is not None
        first, last = self.skeleton
        return last(functional.relu(first(h.permute(0, 3, 2, 1)))).permute(0, 3, 2, 1)


class Codebook(nn.Module):
    """Vectors of the tokens. They have no gradient: :class:`CodebookAverages` moves them in training."""

    vectors: Float[Tensor, "K D"]

    def __init__(self, sizes: TokenizerSizes) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(sizes.codes, sizes.code))

    def distances(self, encoded: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """Squared distances from every entry."""
        own, entries = encoded.square().sum(1, keepdim=True), self.vectors.square().sum(1)
        return own - 2 * encoded @ self.vectors.mT + entries

    def lookup(self, tokens: Int[Tensor, "*axes"]) -> Float[Tensor, "*axes D"]:
        """The vectors of tokens."""
        return functional.embedding(tokens, self.vectors)


class CodebookAverages(nn.Module):
    """Updates a codebook in training: an entry is the moving average of the vectors assigned to it.

    A rarely used entry is reset to a vector of the batch. Part of a training's state, not of a finished tokenizer.
    """

    sums: Float[Tensor, "K D"]
    counts: Float[Tensor, " K"]
    started: Bool[Tensor, ""]
    DECAY = 0.99
    """Decay of the moving averages, about a hundred steps [InterMask]."""

    def __init__(self, sizes: TokenizerSizes) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(sizes.codes, sizes.code))
        self.register_buffer("counts", torch.ones(sizes.codes))
        self.register_buffer("started", torch.tensor(False))

    @torch.no_grad()
    def begin(self, codebook: Codebook, encoded: Float[Tensor, "N D"], noise: Float[Tensor, "K D"]) -> None:
        """Initialise the codebook with a batch's first vectors, repeated with scaled standard normal ``noise`` if they
        are too few.
        """
        codebook.vectors.copy_(_candidates(encoded, noise))
        self.sums.copy_(codebook.vectors)
        self.counts.fill_(1.0)
        self.started.fill_(True)

    @torch.no_grad()
    def follow(
        self,
        codebook: Codebook,
        encoded: Float[Tensor, "N D"],
        tokens: Int[Tensor, " N"],
        noise: Float[Tensor, "K D"],
    ) -> None:
        """Move the entries towards the vectors assigned to them; reset unused ones to the batch's first vectors."""
        assigned = functional.one_hot(tokens, len(self.counts)).to(encoded).mT
        self.sums.lerp_(assigned @ encoded, 1 - self.DECAY)
        self.counts.lerp_(assigned.sum(1), 1 - self.DECAY)
        used = (self.counts >= 1.0).unsqueeze(1)
        averages = self.sums / self.counts.unsqueeze(1)
        codebook.vectors.copy_(torch.where(used, averages, _candidates(encoded, noise)))


def _candidates(encoded: Float[Tensor, "N D"], noise: Float[Tensor, "K D"]) -> Float[Tensor, "K D"]:
    entries, width = noise.shape
    if len(encoded) >= entries:
        return encoded[:entries]
    repeated = encoded.repeat(-(-entries // len(encoded)), 1)[:entries]
    return repeated + 0.01 / width**0.5 * noise


class Quantised(NamedTuple):
    """The quantised output of the encoder."""

    vectors: Float[Tensor, "B D A U"]
    """Entries of the codebook; gradients pass straight through to the encoder."""
    tokens: Int[Tensor, "B A U"]
    commitment: Float[Tensor, ""]
    """Mean squared distance of the encoder's output from the codebook's entries."""


class Tokenizer(Network):
    """Motion of one person to tokens and back; reads no text."""

    TEMPERATURE = 0.5
    """Temperature of drawing tokens in training; otherwise the nearest entry is used [InterMask]."""

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: InterMaskSizes, options: InterMaskOptions
    ) -> None:
        super().__init__(features, max_frames, text_width)
        self.dataset: Dataset = "interhuman" if features == interhuman.FEATURES else "interx"
        self.sizes = sizes.tokenizer
        made = GRIDS[self.dataset], sizes.tokenizer, options.graph
        self.encoder, self.decoder = Encoder(*made), Decoder(*made)
        self.codebook = Codebook(sizes.tokenizer)

    def forward(self, motion: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
        """Reconstruction of a normalised motion from its tokens."""
        return self.motion(self.tokens(motion))

    def example(self, frames: int, batch: int = 1) -> tuple[Float[Tensor, "B T F"]]:
        frames = -(-frames // UNIT) * UNIT
        return (self.codebook.vectors.new_zeros(batch, frames, self.features),)

    def encode(self, motion: Float[Tensor, "B T F"]) -> Float[Tensor, "B D A U"]:
        """Features of tokens; T is a multiple of :data:`UNIT`."""
        encoded: Tensor = self.encoder(to_grid(motion, self.dataset))
        return encoded

    def quantise(self, encoded: Float[Tensor, "B D A U"], gumbel: Float[Tensor, "N K"] | None = None) -> Quantised:
        """The nearest entries; with standard ``gumbel`` noise, entries drawn by their distances."""
        rows = encoded.permute(0, 2, 3, 1).flatten(0, 2)
        score = -self.codebook.distances(rows.detach())
        if gumbel is not None:
            score = score / self.TEMPERATURE + gumbel
        chosen = score.argmax(1)
        vectors = self.codebook.lookup(chosen)
        commitment = functional.mse_loss(rows, vectors.detach())
        tokens = chosen.reshape(len(encoded), *encoded.shape[2:])
        passed = rows + (vectors - rows).detach()
        shaped = passed.reshape(*tokens.shape, -1).permute(0, 3, 1, 2)
        return Quantised(shaped, tokens, commitment)

    def decode(self, vectors: Float[Tensor, "B D A U"]) -> Float[Tensor, "B T F"]:
        """Features of a motion; Inter-X's include the velocity, in the last three columns."""
        return from_grid(self.decoder(vectors), self.dataset)

    def tokens(self, motion: Float[Tensor, "B T F"]) -> Int[Tensor, "B A U"]:
        """The tokens of a motion."""
        return self.quantise(self.encode(motion)).tokens

    def motion(self, tokens: Int[Tensor, "B A U"]) -> Float[Tensor, "B T F"]:
        """The motion of tokens, without Inter-X's velocity."""
        decoded = self.decode(self.codebook.lookup(tokens).permute(0, 3, 1, 2))
        if self.dataset == "interx":
            return functional.pad(decoded[..., :-3], (0, 3))
        return decoded


def _residuals(sizes: TokenizerSizes) -> list[ResidualBlock]:
    """The widest dilation comes first."""
    return [ResidualBlock(sizes.width, sizes.dilation**place, sizes.dropout) for place in reversed(range(sizes.depth))]


@cache
def _neighbours(device: torch.device) -> Float[Tensor, "J J"]:
    """Row ``j`` averages over the joints that bones connect with ``j``; cached per device."""
    with torch.inference_mode(False):  # tensors made in inference mode could not be used in training
        table = torch.zeros(interhuman.JOINTS, interhuman.JOINTS, device=device)
        table[BONE_STARTS, BONE_ENDS] = 1.0
        table[BONE_ENDS, BONE_STARTS] = 1.0
        return table / table.sum(1, keepdim=True)
