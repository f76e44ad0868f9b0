"""The interface of an evaluator, and the two evaluators."""

import typing
from collections.abc import Callable, Hashable, Sequence
from itertools import repeat
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluators.interclip import InterCLIP
from evaluators.interx import TextMotionMatcher, rest_padded
from intermamba import files
from intermamba.checkpoints.reading import load_strictly
from intermamba.config import Config, Dataset
from intermamba.data.dataset import Batch
from intermamba.data.pos_tags import tokenise
from intermamba.datasets import family
from intermamba.errors import DataError, StateError
from intermamba.representation import representation
from intermamba.text.cache import TextCache
from intermamba.text.word_vectors import vectorise


@typing.runtime_checkable
class Evaluator(typing.Protocol):
    """Embeds texts and motions into one space, in the order of the batch."""

    def embed_text(self, batch: Batch) -> Float[Tensor, "B K"]:
        """Embedding of each caption."""
        ...

    def embed_motion(self, batch: Batch) -> Float[Tensor, "B K"]:
        """Embedding of each motion, over its real frames."""
        ...


REMEMBERED = 2**16
"""Number of texts, and of motions, whose embeddings are kept: those of an official test set in all its repeats."""


class Remembering:
    """An evaluator that embeds a caption or a motion once, however often a protocol shows it.

    Apart from rounding, embeddings do not depend on the batch, so neither do they on the cache. A 64-bit hash of the
    real frames identifies a motion of a clip: there are too many motions to keep them, or for a slower hash. After
    :data:`REMEMBERED` the oldest are forgotten.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._texts, self._motions = _Kept(), _Kept()

    def embed_text(self, batch: Batch) -> Float[Tensor, "B K"]:
        keys = list(zip(batch.caption, batch.tokens, strict=True)) if batch.tokens else list(batch.caption)
        return self._texts.recalled(keys, batch, self._evaluator.embed_text)

    def embed_motion(self, batch: Batch) -> Float[Tensor, "B K"]:
        frames = batch.motion.contiguous().cpu().numpy()
        clips = zip(batch.clip, batch.length.tolist(), frames, strict=True)
        keys = [(clip, length, hash(motion[:length].tobytes())) for clip, length, motion in clips]
        return self._motions.recalled(keys, batch, self._evaluator.embed_motion)


class _Kept:
    """Embeddings by key, in one array, whose memory is taken as rows are written.

    Arrays of their own would be scattered among those of all batches, and the heap would grow to many times what is
    kept.
    """

    def __init__(self) -> None:
        self._rows: dict[Hashable, int] = {}
        self._values = torch.empty(0)

    def recalled(
        self, keys: Sequence[Hashable], batch: Batch, embed: Callable[[Batch], Tensor]
    ) -> Float[Tensor, "B K"]:
        """Embeddings of a batch whose examples have ``keys``; those that are new are embedded and kept."""
        new = {key: row for row, key in enumerate(keys) if key not in self._rows}
        if not new:
            return self._values[[self._rows[key] for key in keys]]
        embedded = dict(zip(new, embed(batch.take(list(new.values()))).cpu(), strict=True))
        found = torch.stack([embedded[key] if key in new else self._values[self._rows[key]] for key in keys])
        if not self._rows:
            self._values = found.new_empty(REMEMBERED, found.shape[1])
        for key, value in embedded.items():
            full = len(self._rows) == REMEMBERED
            self._rows[key] = row = self._rows.pop(next(iter(self._rows))) if full else len(self._rows)
            self._values[row] = value
        return found


class InterClipEvaluator(nn.Module):
    """InterHuman's evaluator: :class:`InterCLIP` and the embedded captions it reads."""

    def __init__(self, network: InterCLIP, cache: TextCache) -> None:
        super().__init__()
        self.network, self.cache = network, cache

    def embed_text(self, batch: Batch) -> Float[Tensor, "B K"]:
        tokens, end = self.cache.embedded(batch.caption)
        device = self.network.latent_scale.device
        return self.network.encode_text(tokens.to(device), end.to(device))

    def embed_motion(self, batch: Batch) -> Float[Tensor, "B K"]:
        batch = batch.to(self.network.latent_scale.device)
        return self.network.encode_motion(batch.motion, batch.mask)


class InterXEvaluator(nn.Module):
    """Inter-X's evaluator: :class:`TextMotionMatcher` and the word vectors it reads.

    Captions that come without tokens are tokenised (:mod:`intermamba.data.pos_tags`). Motions are padded to ``frames``,
    whatever the batch was padded to: convolutions see past a clip's end, to where they are padded with zeros.
    """

    def __init__(self, network: TextMotionMatcher, cache: TextCache, frames: int) -> None:
        super().__init__()
        self.network, self.cache, self.frames = network, cache, frames

    def embed_text(self, batch: Batch) -> Float[Tensor, "B K"]:
        device = self.network.text_encoder.hidden.device
        said = zip(batch.caption, batch.tokens or repeat(()), strict=bool(batch.tokens))
        tokens = [known or tokenise(caption) for caption, known in said]
        words, tags, length = vectorise(tokens, self.cache.words, self.cache.word_vectors)
        return self.network.encode_text(words.to(device), tags.to(device), length.to(device))

    def embed_motion(self, batch: Batch) -> Float[Tensor, "B K"]:
        batch = batch.to(self.network.text_encoder.hidden.device)
        return self.network.encode_motion(rest_padded(batch, self.frames), batch.length)


def build(config: Config, dataset: Dataset, cache: TextCache) -> InterClipEvaluator | InterXEvaluator:
    """An untrained evaluator of the configured sizes, drawn from the global generator."""
    features = representation(dataset).features
    if family(dataset) == "interhuman":
        return InterClipEvaluator(InterCLIP(config.evaluator.interclip, features, cache.width), cache)
    matcher = TextMotionMatcher(config.evaluator.interx, features, cache.word_vectors.shape[-1])
    return InterXEvaluator(matcher, cache, config.datasets[dataset].max_frames)


def official(dataset: Dataset, checkpoint: str | Path, cache: TextCache) -> InterCLIP | TextMotionMatcher:
    """The network of an official checkpoint, of any size, if it can evaluate ``dataset`` with these captions.

    Raises:
        DataError: the file is broken or unsafe, or its network reads other motions or captions.
    """
    network: InterCLIP | TextMotionMatcher
    if family(dataset) == "interhuman":
        network = InterCLIP.from_official(checkpoint, positions=cache.positions)
        width, reader = cache.width, f"text tower {cache.tower}"
    else:
        network = TextMotionMatcher.from_official(checkpoint)
        width, reader = cache.word_vectors.shape[-1], "word vectors"
    if network.text_width != width:
        raise DataError(
            f"{checkpoint}: reads captions embedded {network.text_width} wide, but those of this profile ({reader}) "
            f"are {width} wide. Use the tower it was trained with, or train one: evaluator.checkpoint.{dataset} = null."
        )
    features = representation(dataset).features
    if network.features != features:
        raise DataError(f"{checkpoint}: reads {network.features} features per person; {dataset} has {features}.")
    return network


def load(
    config: Config, dataset: Dataset, path: str | Path, cache: TextCache, device: str | torch.device = "cpu"
) -> InterClipEvaluator | InterXEvaluator:
    """The evaluator of ``dataset``, ready to evaluate: of the configured sizes, or of its own if it is official.

    Its weights are at ``path``; ``cache`` has the captions that it will embed.

    Raises:
        StateError: no weights, or weights of another dataset.
        DataError: weights of other sizes than configured.
    """
    weights, metadata = files.read_tensors(files.require(path))
    if metadata.get("dataset") != dataset:
        raise StateError(
            f"{path}: weights for {metadata.get('dataset')!r}, wanted {dataset!r}. Train the evaluator again."
        )
    evaluator: InterClipEvaluator | InterXEvaluator
    if metadata.get("weights") != "official":
        evaluator = build(config, dataset, cache)
        load_strictly(evaluator.network, weights, path)
    elif family(dataset) == "interhuman":
        evaluator = InterClipEvaluator(InterCLIP.from_weights(weights, path), cache)
    else:
        matcher = TextMotionMatcher.from_weights(weights, path)
        evaluator = InterXEvaluator(matcher, cache, config.datasets[dataset].max_frames)
    return evaluator.to(device).eval().requires_grad_(False)


def fingerprint(path: str | Path) -> str:
    """Short identity of an evaluator's weights, given with every number: 12 hexadecimal digits of SHA-256."""
    return files.sha256(path)[:12]
