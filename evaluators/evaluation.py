"""Measuring sources of motion by a protocol."""

import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float

from evaluators import metrics, physical
from evaluators.evaluator import Evaluator, Remembering
from evaluators.protocol import Multimodality, Protocol, repeat_seed, source_seed, variations_seed
from evaluators.results import BY_COMBINATION, BY_PHRASING
from intermamba.data.dataset import Batch
from intermamba.errors import DataError
from intermamba.progress import SILENT, Progress
from intermamba.representation import Representation
from intermamba.seeds import derive

TOP_OF_PARTS = 3
"""The k of R-precision on parts of the test split."""


@typing.runtime_checkable
class Source(typing.Protocol):
    """Motions to be evaluated, drawn again for every repeat."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        """The test set once, in a shuffled order, in the protocol's batches."""
        ...

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch] | None:
        """``captions`` times ``samples`` motions, all of a caption in a row, in batches of any size.

        ``None`` where there is one motion per caption, as for real motions.
        """
        ...


@dataclass(frozen=True)
class Embedded:
    """One draw of a source in an evaluator's space, in float64."""

    text: tuple[Float[np.ndarray, "_ K"], ...]
    """Text embeddings of each batch."""
    motion: tuple[Float[np.ndarray, "_ K"], ...]
    physical: Mapping[str, float] = field(default_factory=dict)
    """Physical metrics, as means over clips."""
    parts: Mapping[str, Bool[np.ndarray, " N"]] = field(default_factory=dict)
    """Which pairs of all batches are in a part of the test split, by the metric of R-precision on that part."""

    @property
    def motions(self) -> Float[np.ndarray, "N K"]:
        """Motion embeddings of all batches."""
        return np.concatenate(self.motion)


@typing.runtime_checkable
class Known(typing.Protocol):
    """Training clips, to which motions may be near."""

    def nearness(
        self,
        embedding: Float[np.ndarray, "B K"],
        joints: Float[np.ndarray, "B T 2 J 3"],
        mask: Bool[np.ndarray, "B T"],
    ) -> Mapping[str, Float[np.ndarray, " B"]]:
        """Metrics of the distance of each motion to the nearest training clip, from its embedding and its joints."""
        ...


@dataclass(frozen=True)
class Beside:
    """What is measured beside the protocol's own metrics."""

    body: Representation | None = None
    """The meaning of the features, for physical metrics (:mod:`evaluators.physical`)."""
    unseen: Collection[str] = ()
    """Captions in phrasings that training never shows: R-precision is also measured on these and on the others."""
    held_out: Collection[str] = ()
    """Clips of combinations that training never shows, likewise."""
    known: Known | None = None
    """The training clips, for the distance to the nearest of them; needs ``body``."""


NOTHING = Beside()


def evaluate(
    evaluator: Evaluator,
    protocol: Protocol,
    reference: Source,
    sources: Mapping[str, Source],
    seed: int,
    progress: Progress = SILENT,
    beside: Beside = NOTHING,
) -> pd.DataFrame:
    """Measure every one of ``sources`` against the real motions of ``reference``.

    Each repeat draws the reference and the sources again and independently, so that a real source has a Fréchet
    distance to itself: that between two draws of captions, windows and person orders. Within a repeat all sources get
    the same seed and so the same draw: methods are paired, in one call or in several. No caption or motion is embedded
    twice in a call.

    Args:
        evaluator: embeds texts and motions.
        protocol: what to measure.
        reference: real motions, against which the Fréchet distance is taken.
        sources: motions to be evaluated, by the name of the method; their texts come with them.
        seed: root of the repeats' seeds.
        progress: counts the repeats of all sources.
        beside: what is measured beside the protocol's own metrics.

    Returns:
        One row per repeat, method and metric: ``method``, ``repeat``, ``repeat_seed``, ``metric`` (a key of
        :data:`evaluators.results.METRICS`), ``value``. Methods come one after the other, in their
        order.

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
            found = score(protocol, np.concatenate(real), embed(evaluator, source, drawn, beside), drawn)
            if repeat < protocol.multimodality.repeats:
                found |= _multimodality(evaluator, protocol.multimodality, source, drawn)
            rows[method] += [(method, repeat, drawn, metric, value) for metric, value in found.items()]
            progress()
    every = [row for found in rows.values() for row in found]
    return pd.DataFrame(every, columns=["method", "repeat", "repeat_seed", "metric", "value"])


def embed(
    evaluator: Evaluator,
    source: Source,
    repeat_seed: int,
    beside: Beside = NOTHING,
) -> Embedded:
    """A repeat's draw of ``source`` through ``evaluator``."""
    text, motion, measured, unseen, held_out = [], [], [], [], []
    for batch in source.batches(source_seed(repeat_seed)):
        text.append(_text(evaluator, batch))
        motion.append(_motion(evaluator, batch))
        unseen += [caption in beside.unseen for caption in batch.caption]
        held_out += [clip in beside.held_out for clip in batch.clip]
        if beside.body is not None:
            joints = beside.body.joints(batch.motion.double())
            found = {name: one.numpy() for name, one in physical.measure(joints, batch.mask, beside.body).items()}
            if beside.known is not None:
                found |= beside.known.nearness(motion[-1], joints.numpy(), batch.mask.numpy())
            measured.append(found)
    names = measured[0] if measured else {}
    means = {name: float(np.concatenate([one[name] for one in measured]).mean()) for name in names}
    parts = {**_halves(BY_PHRASING, unseen), **_halves(BY_COMBINATION, held_out)}
    return Embedded(tuple(text), tuple(motion), means, parts)


def _halves(names: tuple[str, str], new: Sequence[bool]) -> dict[str, Bool[np.ndarray, " N"]]:
    """The pairs that are known from training and those that are new, by the metrics on them."""
    second = np.array(new, dtype=bool)
    return {names[0]: ~second, names[1]: second}


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
        **_of_parts(drawn),
    }


def _of_parts(drawn: Embedded) -> dict[str, float]:
    """R-precision on every part of the test split that is neither empty nor whole; each text is ranked among all
    motions of its batch.
    """
    rank = np.concatenate([metrics.ranks(*pair) for pair in zip(drawn.text, drawn.motion, strict=True)])
    found = rank < TOP_OF_PARTS
    return {name: float(found[part].mean()) for name, part in drawn.parts.items() if part.any() and not part.all()}


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
