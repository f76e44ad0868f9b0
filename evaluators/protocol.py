"""The evaluation protocol: what is measured, on how many clips, how often, and with which seeds."""

import typing
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
import yaml
from jaxtyping import Float
from pydantic import Field, ValidationError, model_validator

from evaluators import metrics
from evaluators.judge import Judge
from intermamba.config import Dataset, Positive, Section
from intermamba.data.dataset import Batch
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.seeds import derive

_FILE = "evaluators/protocols.yaml"


class Multimodality(Section):
    """How far apart several motions for one caption are."""

    repeats: Positive
    """Taken in this many of the first repeats."""
    captions: Positive
    samples: Positive
    """Motions of a caption."""
    pairs: Positive


class Protocol(Section):
    """One evaluation protocol; numbers of two protocols are never compared."""

    name: str
    version: Positive
    dataset: Dataset
    batch: Positive
    """Pairs among which a text must find its motion."""
    drop_last: bool
    """Whether pairs that do not fill a batch are left out of every metric."""
    mode: Literal["official", "fixed"]
    """How a test clip is drawn: caption, window and person order at random, or always the same."""
    repeats: Positive
    top_k: Positive
    emb_scale: Annotated[float, Field(gt=0)]
    """Factor on motion embeddings for FID and Diversity, not for the other metrics."""
    diversity_pairs: Positive
    diversity_halved: bool
    multimodality: Multimodality
    interval: Annotated[float, Field(gt=0)]
    """Half width of the interval in standard errors over repeats."""
    source: str
    """Where the values come from."""

    @model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        if self.multimodality.repeats > self.repeats:
            raise ValueError(f"multimodality.repeats {self.multimodality.repeats} exceeds repeats {self.repeats}")
        if self.multimodality.samples <= self.multimodality.pairs:
            raise ValueError("multimodality.samples must exceed multimodality.pairs")
        if self.top_k > self.batch:
            raise ValueError(f"top_k {self.top_k} exceeds batch {self.batch}")
        return self

    @property
    def id(self) -> str:
        """``name/version``, as it stands beside every number."""
        return f"{self.name}/{self.version}"

    def chance(self, k: int) -> float:
        """Top-``k`` R-precision of a judge that guesses."""
        return k / self.batch

    def judged(self, clips: int) -> int:
        """How many of ``clips`` enter the metrics."""
        return clips // self.batch * self.batch if self.drop_last else clips

    def require(self, clips: int, what: str) -> None:
        """Refuse a set of ``clips`` that this protocol cannot measure.

        Raises:
            ConfigError: no whole batch, or too few clips for Diversity's pairs.
        """
        judged = self.judged(clips)
        if not judged or judged <= self.diversity_pairs:
            need = f"more than {self.diversity_pairs} (pairs of Diversity) in batches of {self.batch}"
            smaller = [name for name in names() if load(name).dataset == self.dataset and load(name)._fits(clips)]
            remedy = f"Choose a smaller protocol: {', '.join(smaller)}." if smaller else "Use a larger test split."
            raise ConfigError(
                f"{what}: {clips} clips, of which {judged} fill batches; protocol {self.name!r} needs {need}. {remedy}"
            )

    def _fits(self, clips: int) -> bool:
        return self.judged(clips) > self.diversity_pairs


@cache
def _read() -> dict[str, Protocol]:
    document: dict[str, Any] = yaml.safe_load((resources.files("evaluators") / "protocols.yaml").read_text("utf-8"))
    try:
        return {name: Protocol(name=name, **values) for name, values in document.items()}
    except (ValidationError, TypeError) as error:
        raise ConfigError(f"{_FILE}: {error}") from error


def names() -> list[str]:
    """Every protocol there is."""
    return sorted(_read())


def load(name: str) -> Protocol:
    """The protocol called ``name``; an unknown name is answered with the nearest one and the list."""
    protocols = _read()
    if name not in protocols:
        raise ConfigError(unknown("protocol", name, protocols, _FILE))
    return protocols[name]


@typing.runtime_checkable
class Source(typing.Protocol):
    """Motions to be judged, drawn anew for every repeat."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        """The test set once, in a shuffled order, in the protocol's batches."""
        ...

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch] | None:
        """``captions`` times ``samples`` motions, all of a caption in a row, in batches of any size.

        ``None`` for motions that come one a caption, as real ones do.
        """
        ...


def evaluate(
    judge: Judge,
    protocol: Protocol,
    reference: Source,
    source: Source,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Measure ``source`` against the real motions of ``reference``.

    Each repeat draws both sources anew and independently, so that a real source has a Fréchet distance to itself: that
    between two draws of captions, windows and person orders.

    Args:
        judge: embeds texts and motions.
        protocol: what to measure.
        reference: real motions, against which the Fréchet distance is taken.
        source: motions to be judged; their texts come with them.
        seed: root of the repeats' seeds; equal seeds give equal draws for every source, so methods are paired.
        progress: called with 1 after every repeat.

    Returns:
        One row a repeat and metric: ``repeat``, ``repeat_seed``, ``metric`` (``top1`` ..., ``fid``, ``mm_dist``,
        ``diversity``, ``multimodality``), ``value``.

    Raises:
        ConfigError: too few clips for the protocol.
        DataError: an embedding is not finite (its clip is named), or the source gives another number of variations.
    """
    rows = []
    for repeat in range(protocol.repeats):
        repeat_seed = derive(seed, "repeat", repeat)
        for metric, value in _repeat(judge, protocol, reference, source, repeat_seed).items():
            rows.append((repeat, repeat_seed, metric, value))
        if repeat < protocol.multimodality.repeats:
            spread = _multimodality(judge, protocol.multimodality, source, repeat_seed)
            if spread is not None:
                rows.append((repeat, repeat_seed, "multimodality", spread))
        if progress:
            progress(1)
    return pd.DataFrame(rows, columns=["repeat", "repeat_seed", "metric", "value"])


def _repeat(judge: Judge, protocol: Protocol, reference: Source, source: Source, repeat_seed: int) -> dict[str, float]:
    real = [_motion(judge, batch) for batch in reference.batches(derive(repeat_seed, "reference"))]
    protocol.require(sum(map(len, real)), "reference motions")
    text, motion = [], []
    for batch in source.batches(derive(repeat_seed, "source")):
        text.append(_text(judge, batch))
        motion.append(_motion(judge, batch))
    sizes = np.array([len(embeddings) for embeddings in motion])
    protocol.require(int(sizes.sum()), "motions to be judged")
    # Averaging over batches weighs them by their pairs; they differ only where the last one is kept.
    precision = np.array([metrics.r_precision(*pair, protocol.top_k) for pair in zip(text, motion, strict=True)])
    distance = np.array([metrics.mm_dist(*pair) for pair in zip(text, motion, strict=True)])
    scaled = np.concatenate(motion) * protocol.emb_scale
    return {
        **{f"top{k + 1}": float(np.average(precision[:, k], weights=sizes)) for k in range(protocol.top_k)},
        "fid": metrics.frechet_distance(np.concatenate(real) * protocol.emb_scale, scaled),
        "mm_dist": float(np.average(distance, weights=sizes)),
        "diversity": metrics.diversity(
            scaled, protocol.diversity_pairs, derive(repeat_seed, "diversity"), protocol.diversity_halved
        ),
    }


def _multimodality(judge: Judge, settings: Multimodality, source: Source, repeat_seed: int) -> float | None:
    batches = source.variations(derive(repeat_seed, "variations"), settings.captions, settings.samples)
    if batches is None:
        return None
    motion = np.concatenate([_motion(judge, batch) for batch in batches])
    if len(motion) != settings.captions * settings.samples:
        raise DataError(
            f"MModality needs {settings.captions} captions x {settings.samples} motions, the source gave {len(motion)}."
        )
    spread = motion.reshape(settings.captions, settings.samples, -1)
    return metrics.multimodality(spread, settings.pairs, derive(repeat_seed, "multimodality"))


def _motion(judge: Judge, batch: Batch) -> Float[np.ndarray, "B K"]:
    with torch.inference_mode():
        return _numpy(judge.embed_motion(batch), batch, "motion")


def _text(judge: Judge, batch: Batch) -> Float[np.ndarray, "B K"]:
    with torch.inference_mode():
        return _numpy(judge.embed_text(batch), batch, "text")


def _numpy(embeddings: torch.Tensor, batch: Batch, what: str) -> Float[np.ndarray, "B K"]:
    values = embeddings.double().cpu().numpy()
    metrics.require_finite(values, [f"{what} of clip {clip}" for clip in batch.clip])
    return values
