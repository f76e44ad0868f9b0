"""Token features of every caption of a dataset, computed once and read by training and evaluation.

docs/reference/files.md describes the file. It serves two readers: the denoiser takes features after the tower; the
InterHuman evaluator takes the tower's *input*, frozen token plus positional embeddings, which the file holds as a small
vocabulary instead of a second copy of everything.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from intermamba import files, paths
from intermamba.config import Config
from intermamba.data.dataset import all_captions
from intermamba.data.raw import read_word_vectors
from intermamba.data.splits import SplitFile
from intermamba.errors import StateError
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.text.tower import Tower, load

_CHUNK = 128  # captions through the tower at once


class TextCache:
    """Read side: look captions up by their text."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        tensors, metadata = files.read_tensors(files.require(path))
        self.tower = metadata["tower"]
        self.trained = metadata["trained"] == "true"
        self._index = {caption: index for index, caption in enumerate(json.loads(metadata["captions"]))}
        self._features, self._end = tensors["features"], tensors["end"].long()
        self._row, self._vocabulary, self._position = tensors["row"].long(), tensors["vocabulary"], tensors["position"]
        self.words: dict[str, int] = {word: i for i, word in enumerate(json.loads(metadata.get("words", "[]")))}
        self.word_vectors: Float[Tensor, "V 300"] = tensors.get("word_vectors", torch.zeros(0, 300))

    @property
    def width(self) -> int:
        return self._features.shape[-1]

    @property
    def context(self) -> int:
        return self._features.shape[-2]

    @property
    def positions(self) -> Float[Tensor, "S W"]:
        """The tower's positional embeddings."""
        return self._position

    def features(self, captions: Sequence[str]) -> tuple[Float[Tensor, "B S W"], Int[Tensor, " B"]]:
        """Features after the tower, float32, and the position of the end-of-text token."""
        rows = self._rows(captions)
        return self._features[rows].float(), self._end[rows]

    def embedded(self, captions: Sequence[str]) -> tuple[Float[Tensor, "B S W"], Int[Tensor, " B"]]:
        """The tower's input: frozen token plus positional embeddings, and the position of the end-of-text token."""
        rows = self._rows(captions)
        return self._vocabulary[self._row[rows]] + self._position, self._end[rows]

    def _rows(self, captions: Sequence[str]) -> Int[Tensor, " B"]:
        try:
            return torch.tensor([self._index[caption] for caption in captions], dtype=torch.long)
        except KeyError as error:
            raise StateError(
                f"{self._path}: no features of the caption {error.args[0]!r}. The captions changed after encoding; "
                "delete the file and run `intermamba encode-text` again."
            ) from error


def write(
    path: str | Path,
    tower: Tower,
    captions: Sequence[str],
    precision: torch.dtype,
    words: Sequence[str] = (),
    word_vectors: np.ndarray | None = None,
    progress: Progress = SILENT,
) -> None:
    """Encode ``captions`` and write the cache; ``progress`` counts captions."""
    pieces = []
    progress.start(len(captions))
    for first in range(0, len(captions), _CHUNK):
        pieces.append(tower.encode(captions[first : first + _CHUNK]))
        progress(len(pieces[-1].end))
    tokens = torch.cat([piece.tokens for piece in pieces])
    vocabulary, row = tokens.unique(return_inverse=True)
    tensors = {
        "tokens": tokens.int(),
        "end": torch.cat([piece.end for piece in pieces]).int(),
        "features": torch.cat([piece.features.to(precision) for piece in pieces]),
        "row": row.int(),
        "vocabulary": tower.token_embedding[vocabulary],
        "position": tower.positional_embedding,
    }
    metadata = {"captions": json.dumps(list(captions)), "tower": tower.name, "trained": str(tower.trained).lower()}
    if word_vectors is not None:
        tensors["word_vectors"] = torch.from_numpy(np.asarray(word_vectors, dtype=np.float32))
        metadata["words"] = json.dumps(list(words))
    files.write_tensors(path, tensors, metadata)


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Stage ``encode-text``: every caption of every split, mirrored ones included, through the frozen tower once."""
    torch.set_num_threads(config.runtime.threads)
    with job.recorded(config) as notes:
        captions = all_captions([SplitFile(job[split]) for split in paths.SPLITS], config.datasets[job.dataset])
        tower = load(config.text)
        words: tuple[str, ...] = ()
        vectors = None
        if job.dataset == "interx":
            root = files.read_json(job["manifest"])["root"]
            words, vectors = read_word_vectors(Path(root) / "glove")
        write(job["text"], tower, captions, getattr(torch, config.text.precision), words, vectors, progress)
        notes.update(captions=len(captions), tower=tower.name, trained=tower.trained)
