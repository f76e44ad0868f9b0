"""The evaluation protocol: metrics, number of clips, repeats and seeds.

Tables and figures read it as well, so it imports no torch; :mod:`evaluators.evaluation` executes it.
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from intermamba.config import Dataset, Positive, Section
from intermamba.errors import ConfigError, unknown
from intermamba.reading.documents import checked, read_yaml
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
    """Increased when a value changes."""
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
    """Source of the values."""

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
        """``name/version``, given with every number."""
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
        if not self._fits(clips):
            need = f"more than {self.diversity_pairs} (pairs of Diversity) in batches of {self.batch}"
            others = (load(name) for name in names())
            alike = (other for other in others if (other.dataset, other.mode) == (self.dataset, self.mode))
            smaller = [other.name for other in alike if other._fits(clips)]
            remedy = f"Choose a smaller protocol: {', '.join(smaller)}." if smaller else "Use a larger test split."
            raise ConfigError(
                f"{what}: {clips} clips, of which {self.evaluated(clips)} fill batches; protocol {self.name!r} needs "
                f"{need}. {remedy}"
            )

    def _fits(self, clips: int) -> bool:
        return self.evaluated(clips) > self.diversity_pairs


@cache
def _read() -> dict[str, Protocol]:
    return read(Path(str(resources.files("evaluators"))) / "protocols.yaml")


def read(path: Path) -> dict[str, Protocol]:
    """The protocols of a file, by name.

    Raises:
        ConfigError: the file is malformed; the message names the protocol and the value.
    """
    document = _inherited(path)
    return {
        name: checked(Protocol, {"name": name, **values}, f"{path}, {name}", error=ConfigError)
        for name, values in document.items()
    }


def _inherited(path: Path) -> dict[str, dict[str, Any]]:
    """The values of each protocol, merged over those of its ``base``."""
    shape = dict[str, dict[str, Any]]
    document: dict[str, dict[str, Any]] = checked(shape, read_yaml(path), str(path), error=ConfigError)

    def values(name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
        own = dict(document[name])
        if (base := own.pop("base", None)) is None:
            return own
        allowed = [other for other in document if other not in (name, *above)]
        if base not in allowed:
            raise ConfigError(unknown("base", base, allowed, f"{path}, {name}"))
        return values(base, (name, *above)) | own

    return {name: values(name) for name in document}


def names() -> list[str]:
    """Names of all protocols."""
    return sorted(_read())


def load(name: str) -> Protocol:
    """The protocol called ``name``.

    Raises:
        ConfigError: there is none; the message has the nearest name and the list.
    """
    protocols = _read()
    if name not in protocols:
        raise ConfigError(unknown("protocol", name, protocols, _FILE))
    return protocols[name]


def repeat_seed(seed: int, repeat: int) -> int:
    """Seed of a repeat, given with its numbers; every draw of the repeat derives its own from it."""
    return derive(seed, "repeat", repeat)


def source_seed(repeat_seed: int) -> int:
    """Seed with which every source is asked for the batches of a repeat."""
    return derive(repeat_seed, "source")


def variations_seed(repeat_seed: int) -> int:
    """Seed with which every source is asked for the variations of a repeat."""
    return derive(repeat_seed, "variations")
