"""Token features of every caption of a dataset, computed once and read by training and evaluation.

docs/reference/files.md describes the file. It serves two readers: the denoiser takes features after the tower; the
InterHuman evaluator takes the tower's *input*, frozen token plus positional embeddings, which the file has as a small
vocabulary instead of a second copy of everything. Captions are stored one after the other, without padding. If a
profile uses fewer features than the tower has, both are reduced here, once.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, Json
from torch import Tensor

from intermamba import datasets, files, paths
from intermamba.config import Config, TextConfig
from intermamba.data import manifest as manifests
from intermamba.data.dataset import all_captions
from intermamba.data.raw import read_word_vectors
from intermamba.data.splits import SplitFile
from intermamba.device import prepare_processor
from intermamba.errors import DataError, StateError
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.reading.documents import checked
from intermamba.text.names import own_tower
from intermamba.text.reduction import Reduction, fit
from intermamba.text.tower import Tower, load

_WHOLE = (torch.int32, torch.int64)
_REAL = (torch.float32, torch.float16)
_CHUNK = 256  # captions of one batch
_FITTED = 2000  # maximum number of captions for the fit of a reduction


def features_of(job: Job) -> "TextCache":
    """The features that a job's network reads, from its method's own tower or the profile's."""
    return TextCache((job.all("own_text") or job.all("text"))[0])


class CacheMetadata(BaseModel):
    """The metadata of a text cache."""

    tower: str
    trained: Literal["true", "false"]
    captions: Json[tuple[str, ...]]
    words: Json[tuple[str, ...]] = ()


def _problem(tensors: Mapping[str, Tensor], word_vectors: Tensor, about: CacheMetadata) -> str | None:
    """Inconsistencies of the file; the features themselves are too many to be checked."""
    needed = ("features", "start", "end", "row", "vocabulary", "position")
    if missing := [name for name in needed if name not in tensors]:
        return f"no {', '.join(missing)} in it"
    if ("mean" in tensors) != ("basis" in tensors):
        return "only one of mean and basis"
    features, start, end, row, vocabulary, position = (tensors[name] for name in needed)
    captions, tokens, width = len(about.captions), len(row) if row.ndim else 0, features.shape[-1:]
    basis, width_in = tensors.get("basis"), position.shape[-1:]
    shapes: dict[str, Sequence[int]] = {
        "features": (tokens, *width),
        "start": (captions + 1,),
        "end": (captions,),
        "row": (tokens,),
        "vocabulary": (*vocabulary.shape[:1], *width_in),
        "position": (*position.shape[:1], *width_in),
    }
    if basis is not None:
        shapes |= {"mean": basis.shape[:1], "basis": (*basis.shape[:1], *width)}
    for name, shape in shapes.items():
        known = _WHOLE if name in ("start", "end", "row") else _REAL
        if tuple(tensors[name].shape) != tuple(shape) or tensors[name].dtype not in known:
            found = f"{tensors[name].dtype} of shape {tuple(tensors[name].shape)}"
            return f"{name} is {found}, which does not match {captions} captions of {tokens} tokens"
    length = start.diff()
    if len(set(about.captions)) != captions:
        return "a caption appears twice"
    if start[0] != 0 or start[-1] != tokens or (length < 1).any() or (length > len(position)).any():
        return f"start does not rise from 0 to the {tokens} tokens by at most {len(position)}"
    if (end < 0).any() or (end >= length).any() or (row < 0).any() or (row >= len(vocabulary)).any():
        return "end or row point outside"
    if tuple(word_vectors.shape) != (len(about.words), 300) or word_vectors.dtype != torch.float32:
        return f"word_vectors are {tuple(word_vectors.shape)} for {len(about.words)} words"
    for name in ("vocabulary", "position", "mean", "basis", "word_vectors"):
        if not tensors.get(name, word_vectors).isfinite().all():
            return f"{name} has values that are not finite"
    return None


class TextCache:
    """Features of captions, looked up by their text."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        tensors, metadata = files.read_tensors(files.require(path))
        remedy = "Delete it and run `intermamba encode-text` again."
        about: CacheMetadata = checked(CacheMetadata, metadata, str(path), remedy)
        word_vectors = tensors.get("word_vectors", torch.zeros(0, 300))
        if problem := _problem(tensors, word_vectors, about):
            raise DataError(f"{path}: {problem}. {remedy}")
        self.tower, self.trained = about.tower, about.trained == "true"
        self._index = {caption: index for index, caption in enumerate(about.captions)}
        self._features, self._start, self._end = tensors["features"], tensors["start"].long(), tensors["end"].long()
        self._row, self._vocabulary, self._position = tensors["row"].long(), tensors["vocabulary"], tensors["position"]
        self.reduction = Reduction(tensors["mean"], tensors["basis"]) if "basis" in tensors else None
        """Reduction of the tower's features; none: they are not reduced."""
        self.words: dict[str, int] = {word: i for i, word in enumerate(about.words)}
        self.word_vectors: Float[Tensor, "V 300"] = word_vectors

    @property
    def width(self) -> int:
        """Features of a token."""
        return self._features.shape[-1]

    @property
    def context(self) -> int:
        """Maximum number of tokens of a caption."""
        return len(self._position)

    @property
    def positions(self) -> Float[Tensor, "S W"]:
        """The tower's positional embeddings."""
        return self._position

    def features(self, captions: Sequence[str]) -> tuple[Float[Tensor, "B S W"], Int[Tensor, " B"]]:
        """Features after the tower, float32, zero after a caption's tokens, and the position of its last token."""
        caption, at, real = self._places(captions)
        return self._features[at].float() * real.unsqueeze(-1), self._end[caption]

    def whole(self, captions: Sequence[str]) -> Float[Tensor, "B W"]:
        """The feature of each caption's last token, float32: the tower's feature of the whole caption."""
        caption = self._indices(captions)
        return self._features[self._start[caption] + self._end[caption]].float()

    def embedded(self, captions: Sequence[str]) -> tuple[Float[Tensor, "B S W"], Int[Tensor, " B"]]:
        """The tower's input: frozen token plus positional embeddings, and the position of the last token.

        Padding after a caption's tokens has embeddings as well.
        """
        caption, at, real = self._places(captions)
        return self._vocabulary[self._row[at] * real] + self._position, self._end[caption]

    def _places(self, captions: Sequence[str]) -> tuple[Int[Tensor, " B"], Int[Tensor, "B S"], Bool[Tensor, "B S"]]:
        """Indices of captions, positions of their tokens, and a mask of the real ones."""
        caption = self._indices(captions)
        at = self._start[caption, None] + torch.arange(self.context)
        real = at < self._start[caption + 1, None]
        return caption, at * real, real

    def _indices(self, captions: Sequence[str]) -> Int[Tensor, " B"]:
        try:
            return torch.tensor([self._index[caption] for caption in captions], dtype=torch.long)
        except KeyError as error:
            raise StateError(
                f"{self._path}: no features of the caption {error.args[0]!r}. The captions changed after encoding; "
                "delete the file and run `intermamba encode-text` again."
            ) from error


@dataclass(frozen=True)
class _EncodedCaption:
    """One caption after the tower, without padding."""

    tokens: Int[Tensor, " S"]
    features: Float[Tensor, "S W"]
    end: int


def write(
    path: str | Path,
    tower: Tower,
    captions: Sequence[str],
    precision: torch.dtype,
    words: Sequence[str] = (),
    word_vectors: Float[np.ndarray, "V 300"] | None = None,
    progress: Progress = SILENT,
    *,
    width: int | None = None,
    fitted: Sequence[str] = (),
) -> None:
    """Encode ``captions``, each once, and write the cache; memory holds the features of a batch, not of all captions.

    Args:
        path: the file.
        tower: the text tower.
        captions: all different.
        precision: precision of stored features.
        words: vocabulary of an evaluator that reads words.
        word_vectors: vectors of ``words``.
        progress: counts captions.
        width: number of features after reduction; none: no reduction.
        fitted: captions to which a reduction is fitted.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    progress.start(len(captions))
    first: dict[str, _EncodedCaption] = {}
    reduction = embedding = None
    if width is not None and width < tower.width:
        first = dict(_encoded(tower, fitted[:: -(-len(fitted) // _FITTED)], progress))
        reduction = _fit_features(first.values(), width)
        seen = tower.token_embedding[torch.cat([one.tokens for one in first.values()]).unique()]
        embedding = fit(seen, torch.ones(len(seen)), width)
    rest = _encoded(tower, [caption for caption in captions if caption not in first], progress)
    with tempfile.TemporaryFile(dir=path.parent) as held:
        found: dict[str, _Stored] = {}
        for caption, one in chain(first.items(), rest):
            features = one.features if reduction is None else reduction(one.features)
            found[caption] = _Stored(one.tokens.numpy(), one.end, held.tell(), features.numel() * precision.itemsize)
            held.write(features.to(precision).contiguous().numpy().tobytes())
        ordered = [found[caption] for caption in captions]
        kind = {torch.float16: "F16", torch.float32: "F32"}[precision]
        size = tower.width if reduction is None else reduction.basis.shape[1]
        # The first of the vocabulary is the padding token.
        vocabulary, row = np.unique(np.concatenate([[0], *(one.tokens for one in ordered)]), return_inverse=True)
        table, position = tower.token_embedding[torch.from_numpy(vocabulary)], tower.positional_embedding
        if embedding is not None:
            table, position = embedding(table), position @ embedding.basis
        arrays = {
            "start": np.cumsum([0, *(len(one.tokens) for one in ordered)], dtype="<i8"),
            "end": np.array([one.end for one in ordered], dtype="<i4"),
            "row": row[1:].astype("<i4"),
            "vocabulary": table.detach().numpy(),
            "position": position.detach().numpy(),
        }
        if reduction is not None:
            arrays |= {"mean": reduction.mean.numpy(), "basis": reduction.basis.numpy()}
        metadata = {"captions": json.dumps(list(captions)), "tower": tower.name, "trained": str(tower.trained).lower()}
        if word_vectors is not None:
            arrays["word_vectors"] = np.asarray(word_vectors, dtype="<f4")
            metadata["words"] = json.dumps(list(words))
        held.flush()
        pieces = (os.pread(held.fileno(), one.bytes, one.place) for one in ordered)
        streams = {name: files.stream(array) for name, array in arrays.items()}
        streams["features"] = files.Stream(kind, (sum(len(one.tokens) for one in ordered), size), pieces)
        files.write_streams(path, files.widest_first(streams), metadata)


class _Stored(NamedTuple):
    """An encoded caption whose features are in a file."""

    tokens: Int[np.ndarray, " S"]
    end: int
    place: int
    """Where its features begin, in bytes."""
    bytes: int


def _encoded(tower: Tower, captions: Sequence[str], progress: Progress) -> Iterator[tuple[str, _EncodedCaption]]:
    """Encoded captions; those of similar length share a batch, so that there is little padding."""
    ordered = sorted(captions, key=len)
    for first in range(0, len(ordered), _CHUNK):
        part = ordered[first : first + _CHUNK]
        found = tower.encode(part)
        for row, (caption, size) in enumerate(zip(part, found.length.tolist(), strict=True)):
            yield caption, _EncodedCaption(found.tokens[row, :size], found.features[row, :size], int(found.end[row]))
        progress(len(part))


def _fit_features(encoded: Iterable[_EncodedCaption], width: int) -> Reduction:
    """The reduction of token features; those of whole captions have, together, the weight of all others."""
    rows, whole = [], []
    for one in encoded:
        rows.append(one.features)
        whole.append(torch.arange(len(one.features)) == one.end)
    at_end = torch.cat(whole)
    weight = torch.where(at_end, 1 / at_end.sum(), 1 / (~at_end).sum().clamp(min=1))
    return fit(torch.cat(rows), weight, width)


def run_own(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Stage ``encode-own-text``: as :func:`run`, with a method's own tower."""
    from intermamba.methods import methods

    own = next(config.of(base).text for base in methods() if own_tower(config, base) == job.item["tower"])
    _encode(config, own, job, progress)


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Stage ``encode-text``: every caption of every split, mirrored ones included, through the frozen tower once.

    Raises:
        StateError: a stage before this one has not run.
    """
    _encode(config, config.text, job, progress)


def _encode(config: Config, text: TextConfig, job: Job, progress: Progress) -> None:
    """Encode with the tower of ``text``; the record has the knobs of the profile, as the graph declares them."""
    prepare_processor(config.runtime.threads)
    with job.recorded(config) as notes:
        splits, settings = [SplitFile(job[split]) for split in paths.SPLITS], config.datasets[job.dataset]
        captions = all_captions(splits, settings)
        # A reduction must not depend on the test captions.
        training = all_captions([split for split in splits if split.split == "train"], settings)
        tagged = {
            caption: tokens
            for split in splits
            for clip in range(len(split))
            for caption, tokens in zip(split.captions(clip), split.tokens(clip), strict=False)
        }
        tower = load(text, tagged)
        words: tuple[str, ...] = ()
        vectors = None
        if datasets.dataset(job.dataset).word_vectors:
            root = manifests.read(job["manifest"]).root
            words, vectors = read_word_vectors(Path(root) / "glove")
        precision: torch.dtype = getattr(torch, text.precision)
        write(job["text"], tower, captions, precision, words, vectors, progress, width=text.width, fitted=training)
        notes.update(captions=len(captions), tower=tower.name, trained=tower.trained)
