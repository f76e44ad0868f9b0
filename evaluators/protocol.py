"""The evaluation protocol: what is measured, on how many clips, how often, and with which seeds."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
import yaml
from jaxtyping import Float
from pydantic import Field, ValidationError, model_validator

from evaluators import metrics, physical
from evaluators.evaluator import Evaluator, Remembering
from intermamba.config import Dataset, Positive, Section
from intermamba.data.dataset import Batch
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.progress import SILENT, Progress
from intermamba.representation import Representation
from intermamba.seeds import derive

_FILE = "evaluators/protocols.yaml"


class Multimodality(Section):
    """How far apart several motions for one caption are."""

    repeats: Positive
    """Taken in this many of the first repeats."""
    captions: Positive
    """Captions that are drawn."""
    samples: Positive
    """Motions of each caption."""
    pairs: Positive
    """Pairs of these motions whose distances are averaged."""


class Protocol(Section):
    """One evaluation protocol; numbers of two protocols are never compared."""

    name: str
    version: Positive
    """Goes up when a value changes."""
    dataset: Dataset
    """The dataset whose test split is measured."""
    batch: Positive
    """Pairs among which a text must find its motion."""
    drop_last: bool
    """Whether pairs that do not fill a batch are left out of every metric."""
    mode: Literal["official", "fixed"]
    """How the test set is drawn in a repeat. ``official``: caption, window, order of persons and order of clips at
    random. ``fixed``: always the same; repeats then differ only by a model's noise and by the random pairs of metrics.
    """
    repeats: Positive
    """Evaluations, each with its own seed."""
    top_k: Positive
    """Largest k of R-precision."""
    emb_scale: Annotated[float, Field(gt=0)]
    """Factor on motion embeddings for FID and Diversity, not for the other metrics."""
    diversity_pairs: Positive
    """Random pairs of motions whose distances Diversity averages."""
    diversity_halved: bool
    """Whether Diversity is half of that mean distance [InterGen]."""
    multimodality: Multimodality
    """MModality: how many repeats, captions, motions of each caption and pairs of these."""
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

    def draws(self, repeat_seed: int) -> int:
        """Seed of a repeat's draw of the test set."""
        return repeat_seed if self.mode == "official" else 0

    def chance(self, k: int) -> float:
        """Top-``k`` R-precision of an evaluator that guesses."""
        return k / self.batch

    def evaluated(self, clips: int) -> int:
        """How many of ``clips`` enter the metrics."""
        return clips // self.batch * self.batch if self.drop_last else clips

    def require(self, clips: int, what: str) -> None:
        """Refuse a set of ``clips`` that this protocol cannot measure.

        Raises:
            ConfigError: no whole batch, or too few clips for Diversity's pairs.
        """
        evaluated = self.evaluated(clips)
        if not evaluated or evaluated <= self.diversity_pairs:
            need = f"more than {self.diversity_pairs} (pairs of Diversity) in batches of {self.batch}"
            others = (load(name) for name in names())
            alike = (other for other in others if (other.dataset, other.mode) == (self.dataset, self.mode))
            smaller = [other.name for other in alike if other._fits(clips)]
            remedy = f"Choose a smaller protocol: {', '.join(smaller)}." if smaller else "Use a larger test split."
            raise ConfigError(
                f"{what}: {clips} clips, of which {evaluated} fill batches; protocol {self.name!r} needs {need}. "
                f"{remedy}"
            )

    def _fits(self, clips: int) -> bool:
        return self.evaluated(clips) > self.diversity_pairs


@cache
def _read() -> dict[str, Protocol]:
    document: dict[str, Any] = yaml.safe_load((resources.files("evaluators") / "protocols.yaml").read_text("utf-8"))
    try:
        return {name: Protocol(name=name, **_inherited(document, values)) for name, values in document.items()}
    except (ValidationError, TypeError, KeyError) as error:
        raise ConfigError(f"{_FILE}: {error}") from error


def _inherited(document: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """``values`` over those of the protocol that they name as their ``base``."""
    own = {key: value for key, value in values.items() if key != "base"}
    return document[values["base"]] | own if "base" in values else own


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
    """Motions to be evaluated, drawn anew for every repeat."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        """The test set once, in a shuffled order, in the protocol's batches."""
        ...

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch] | None:
        """``captions`` times ``samples`` motions, all of a caption in a row, in batches of any size.

        ``None`` for motions that come one a caption, as real ones do.
        """
        ...


def repeat_seed(seed: int, repeat: int) -> int:
    """Seed of a repeat, which stands beside its numbers; every draw of the repeat derives its own from it."""
    return derive(seed, "repeat", repeat)


def source_seed(repeat_seed: int) -> int:
    """Seed with which every source is asked for the batches of a repeat."""
    return derive(repeat_seed, "source")


def variations_seed(repeat_seed: int) -> int:
    """Seed with which every source is asked for the variations of a repeat."""
    return derive(repeat_seed, "variations")


@dataclass(frozen=True)
class Embedded:
    """One draw of a source in an evaluator's space, in float64."""

    text: tuple[Float[np.ndarray, "_ K"], ...]
    """Of every batch, however large."""
    motion: tuple[Float[np.ndarray, "_ K"], ...]
    physical: Mapping[str, float] = field(default_factory=dict)
    """Means over clips of what is measured on the motions themselves."""

    @property
    def motions(self) -> Float[np.ndarray, "N K"]:
        """Of all batches."""
        return np.concatenate(self.motion)


def evaluate(
    evaluator: Evaluator,
    protocol: Protocol,
    reference: Source,
    sources: Mapping[str, Source],
    seed: int,
    progress: Progress = SILENT,
    body: Representation | None = None,
) -> pd.DataFrame:
    """Measure every one of ``sources`` against the real motions of ``reference``.

    Each repeat draws the reference and the sources anew and independently, so that a real source has a Fréchet distance
    to itself: that between two draws of captions, windows and person orders. Within a repeat all sources get one seed:
    what one of them draws, the others draw as well, so methods are paired, in one call or in several. No caption or
    motion is embedded twice in a call.

    Args:
        evaluator: embeds texts and motions.
        protocol: what to measure.
        reference: real motions, against which the Fréchet distance is taken.
        sources: motions to be evaluated, by the name of the method; their texts come with them.
        seed: root of the repeats' seeds.
        progress: counts the repeats of all sources.
        body: what the features mean, for the metrics that need no evaluator (:mod:`evaluators.physical`), if wanted.

    Returns:
        One row a repeat, method and metric: ``method``, ``repeat``, ``repeat_seed``, ``metric`` (``top1`` ..., ``fid``,
        ``mm_dist``, ``diversity``, ``multimodality``), ``value``. Methods stand in their order one after the other.

    Raises:
        ConfigError: too few clips for the protocol.
        DataError: an embedding is not finite (its clip is named), or a source gives another number of variations.
    """
    evaluator = Remembering(evaluator)
    rows: dict[str, list[tuple[str, int, int, str, float]]] = {method: [] for method in sources}
    progress.start(protocol.repeats * len(sources))
    for repeat in range(protocol.repeats):
        drawn = repeat_seed(seed, repeat)
        real = [_motion(evaluator, batch) for batch in reference.batches(derive(drawn, "reference"))]
        protocol.require(sum(map(len, real)), "reference motions")
        for method, source in sources.items():
            found = score(protocol, np.concatenate(real), embed(evaluator, source, drawn, body), drawn)
            if repeat < protocol.multimodality.repeats:
                found |= _multimodality(evaluator, protocol.multimodality, source, drawn)
            rows[method] += [(method, repeat, drawn, metric, value) for metric, value in found.items()]
            progress()
    every = [row for found in rows.values() for row in found]
    return pd.DataFrame(every, columns=["method", "repeat", "repeat_seed", "metric", "value"])


def embed(evaluator: Evaluator, source: Source, repeat_seed: int, body: Representation | None = None) -> Embedded:
    """A repeat's draw of ``source`` through ``evaluator``."""
    text, motion, measured = [], [], []
    for batch in source.batches(source_seed(repeat_seed)):
        text.append(_text(evaluator, batch))
        motion.append(_motion(evaluator, batch))
        if body is not None:
            measured.append(physical.measure(batch.motion, batch.mask, body))
    names = measured[0] if measured else {}
    means = {name: float(torch.cat([one[name] for one in measured]).mean()) for name in names}
    return Embedded(tuple(text), tuple(motion), means)


def score(
    protocol: Protocol, reference: Float[np.ndarray, "M K"], drawn: Embedded, repeat_seed: int
) -> dict[str, float]:
    """Every metric but MModality of one draw, given the embeddings of real motions."""
    sizes = np.array([len(embeddings) for embeddings in drawn.motion])
    protocol.require(int(sizes.sum()), "motions to be evaluated")
    pairs = list(zip(drawn.text, drawn.motion, strict=True))
    # Averaging over batches weighs them by their pairs; they differ only where the last one is kept.
    precision = np.average([metrics.r_precision(*pair, protocol.top_k) for pair in pairs], axis=0, weights=sizes)
    scaled = drawn.motions * protocol.emb_scale
    return {
        **{f"top{k + 1}": float(value) for k, value in enumerate(precision)},
        "fid": metrics.frechet_distance(reference * protocol.emb_scale, scaled),
        "mm_dist": float(np.average([metrics.mm_dist(*pair) for pair in pairs], weights=sizes)),
        "diversity": metrics.diversity(
            scaled, protocol.diversity_pairs, derive(repeat_seed, "diversity"), protocol.diversity_halved
        ),
        **drawn.physical,
    }


def _multimodality(evaluator: Evaluator, settings: Multimodality, source: Source, repeat_seed: int) -> dict[str, float]:
    batches = source.variations(variations_seed(repeat_seed), settings.captions, settings.samples)
    if batches is None:
        return {}
    motion = np.concatenate([_motion(evaluator, batch) for batch in batches])
    if len(motion) != settings.captions * settings.samples:
        raise DataError(
            f"MModality needs {settings.captions} captions x {settings.samples} motions, the source gave {len(motion)}."
        )
    spread = motion.reshape(settings.captions, settings.samples, -1)
    return {"multimodality": metrics.multimodality(spread, settings.pairs, derive(repeat_seed, "multimodality"))}


def _motion(evaluator: Evaluator, batch: Batch) -> Float[np.ndarray, "B K"]:
    with torch.inference_mode():
        return _numpy(evaluator.embed_motion(batch), batch, "motion")


def _text(evaluator: Evaluator, batch: Batch) -> Float[np.ndarray, "B K"]:
    with torch.inference_mode():
        return _numpy(evaluator.embed_text(batch), batch, "text")


def _numpy(embeddings: torch.Tensor, batch: Batch, what: str) -> Float[np.ndarray, "B K"]:
    values = embeddings.double().cpu().numpy()
    metrics.require_finite(values, [f"{what} of clip {clip}" for clip in batch.clip])
    return values
