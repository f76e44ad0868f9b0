"""The text-motion matcher that evaluates Inter-X: a convolution over frames and two recurrent encoders.

Architecture and parameter names follow Inter-X (``evaluation/text2motion/networks/modules.py``), so that official
checkpoints load; sizes come from the configuration. Sequences need no order of lengths, and embeddings come back in the
order of the input.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from intermamba.checkpoints.reading import load_strictly, read_checkpoint, state_dict
from intermamba.config import InterXMatcherConfig
from intermamba.data.dataset import Batch
from intermamba.data.interx import RAW, UNIT, features
from intermamba.errors import DataError
from intermamba.text.word_vectors import POS_TAGS

_PARTS = ("movement_encoder", "text_encoder", "motion_encoder")


class TextMotionMatcher(nn.Module):
    """Texts and motions as points of a Euclidean space.

    Args:
        sizes: widths and dropout.
        features: features of one person in a :class:`~intermamba.data.dataset.Batch` (56 joints x 6).
        word_width: width of the word vectors.
    """

    def __init__(self, sizes: InterXMatcherConfig, features: int, word_width: int = 300) -> None:
        super().__init__()
        self.features, self.text_width = features, word_width
        self.movement_encoder = MovementConvEncoder(2 * features, sizes.movement, sizes.dropout)
        self.text_encoder = TextEncoderBiGRUCo(word_width, len(POS_TAGS), sizes.text_hidden, sizes.embedding)
        self.motion_encoder = MotionEncoderBiGRUCo(sizes.movement, sizes.hidden, sizes.embedding)

    def encode_motion(self, motion: Float[Tensor, "B T P F"], length: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        """Embeddings of un-normalised motions (see :func:`rest_padded`); each needs at least one movement."""
        return self.motion_encoder(self.movement_encoder(side_by_side(motion)), length // UNIT)

    def encode_text(
        self, words: Float[Tensor, "B S W"], tags: Float[Tensor, "B S C"], length: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K"]:
        """Embeddings of captions given as word vectors and one-hot parts of speech."""
        return self.text_encoder(words, tags, length)

    @classmethod
    def from_official(cls, path: str | Path) -> "TextMotionMatcher":
        """Load Inter-X's ``text_mot_match/model/finest.tar``; sizes are read off the weights.

        Raises:
            DataError: the file cannot be read safely, is not such a checkpoint, or lacks or exceeds the named weights.
        """
        content = read_checkpoint(path)
        for part in _PARTS:
            if not isinstance(content.get(part), dict):
                raise DataError(f"{path}: no `{part}` in it; expected Inter-X's text_mot_match/model/finest.tar.")
        weights = {
            f"{part}.{name}": value for part in _PARTS for name, value in state_dict(path, content[part]).items()
        }
        return cls.from_weights(weights, path)

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor], path: str | Path) -> "TextMotionMatcher":
        """A network of the sizes of ``weights``, ready to evaluate; ``path`` is their file.

        Raises:
            DataError: weights are missing, too many or misshapen.
        """
        try:
            movement, inputs, _ = weights["movement_encoder.main.0.weight"].shape
            embedding, hidden = weights["motion_encoder.output_net.3.weight"].shape
            text_hidden, word_width = weights["text_encoder.input_emb.weight"].shape
        except KeyError as error:
            raise DataError(f"{path}: no weight named {error.args[0]!r}; expected Inter-X's finest.tar.") from error
        sizes = InterXMatcherConfig(
            movement=movement, hidden=hidden, text_hidden=text_hidden, embedding=embedding, dropout=0.2
        )
        network = cls(sizes, inputs // 2, word_width)
        load_strictly(network, weights, path)
        return network.eval()


class MovementConvEncoder(nn.Module):
    """Frames to movements of :data:`UNIT` frames."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv1d(inputs, width, 4, stride=2, padding=1),
            nn.Dropout(dropout),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            nn.Dropout(dropout),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(width, width)
        _xavier(self)

    def forward(self, motion: Float[Tensor, "B T C"]) -> Float[Tensor, "B U W"]:
        # The last movement of a clip sees up to four frames past its end. Officially these are zeros of a buffer of
        # 150 frames; the same zeros here make an embedding independent of the padding of its batch.
        return self.movements(nn.functional.pad(motion, (0, 0, 0, UNIT)))

    def movements(self, motion: Float[Tensor, "B T C"]) -> Float[Tensor, "B U W"]:
        """Movements of exactly the given frames, followed only by the convolutions' padding."""
        return self.out_net(self.main(motion.mT).mT)


class MovementConvDecoder(nn.Module):
    """Movements back to frames; used only to train :class:`MovementConvEncoder` before the matching."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose1d(width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose1d(width, outputs, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(outputs, outputs)
        _xavier(self)

    def forward(self, movements: Float[Tensor, "B U W"]) -> Float[Tensor, "B T C"]:
        return self.out_net(self.main(movements.mT).mT)


class _BiGRU(nn.Module):
    """Linear, bidirectional GRU from a learned state, and a small network over both last states."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.input_emb = nn.Linear(inputs, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.output_net = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, outputs)
        )
        self.hidden = nn.Parameter(torch.randn(2, 1, hidden))
        _xavier(self)

    def _encode(self, inputs: Float[Tensor, "B S C"], length: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        state = self.hidden.repeat(1, len(inputs), 1)
        packed = pack_padded_sequence(self.input_emb(inputs), length.cpu(), batch_first=True, enforce_sorted=False)
        forward, backward = self.gru(packed, state)[1]
        return self.output_net(torch.cat([forward, backward], dim=-1))


class MotionEncoderBiGRUCo(_BiGRU):
    """Movements to an embedding."""

    def forward(self, movements: Float[Tensor, "B U W"], length: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        return self._encode(movements, length)


class TextEncoderBiGRUCo(_BiGRU):
    """Words and their parts of speech to an embedding."""

    def __init__(self, words: int, tags: int, hidden: int, outputs: int) -> None:
        super().__init__(words, hidden, outputs)
        self.pos_emb = nn.Linear(tags, words)
        _xavier(self.pos_emb)

    def forward(
        self, words: Float[Tensor, "B S W"], tags: Float[Tensor, "B S C"], length: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K"]:
        return self._encode(words + self.pos_emb(tags), length)


def rest_padded(batch: Batch, frames: int | None = None) -> Float[Tensor, "B T P F"]:
    """Motion of a batch with the rest pose, identity rotations at the origin, in its padded frames.

    With ``frames``, the result has that many frames.

    Officially, clips are padded as axis-angles, whose zeros become identity rotations, and the movement encoder sees up
    to two such frames after the end of a clip.

    Raises:
        ValueError: a motion is longer than ``frames``.
    """
    rest = torch.from_numpy(features(np.zeros(RAW, dtype=np.float32))).to(batch.motion)
    padded = torch.where(batch.mask[:, :, None, None], batch.motion, rest)
    if frames is None or frames == padded.shape[1]:
        return padded
    if (longest := int(batch.length.max())) > frames:
        raise ValueError(f"a motion of {longest} frames; the evaluator sees at most {frames}")
    more = rest.expand(len(padded), max(0, frames - padded.shape[1]), *padded.shape[2:])
    return torch.cat([padded[:, :frames], more], dim=1)


def side_by_side(motion: Float[Tensor, "B T P F"]) -> Float[Tensor, "B T C"]:
    """The evaluator's 672 columns: joint by joint, the six numbers of person 1, then those of person 2."""
    return motion.unflatten(-1, (-1, 6)).transpose(2, 3).flatten(2)


def contrastive_margin(text: Float[Tensor, "B K"], motion: Float[Tensor, "B K"], margin: float) -> Float[Tensor, ""]:
    """Contrastive loss: matched pairs together, mismatched ones at least ``margin`` apart.

    Inter-X mismatches each text with one motion, ``shift`` places on, for a random ``shift``; this is the mean over all
    shifts but zero, the same in expectation and far less noisy.
    """
    distance = nn.functional.pairwise_distance(text[:, None], motion[None])
    matched = torch.eye(len(text), dtype=torch.bool, device=text.device)
    return distance[matched].square().mean() + (margin - distance[~matched]).clamp(min=0).square().mean()


def contrastive_shift(
    text: Float[Tensor, "B K"], motion: Float[Tensor, "B K"], margin: float, shift: int
) -> Float[Tensor, ""]:
    """Inter-X's own form of :func:`contrastive_margin`: text ``i`` is pushed from motion ``i + shift`` alone.

    A ``shift`` of zero pushes every pair from itself.
    """
    matched = nn.functional.pairwise_distance(text, motion)
    mismatched = nn.functional.pairwise_distance(text, motion.roll(-shift, dims=0))
    return matched.square().mean() + (margin - mismatched).clamp(min=0).square().mean()


def _xavier(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
            nn.init.xavier_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
