"""The main result on a dataset, in sentences and bars: which rows lead, are not distinguishable, or are above chance.

The page, the PDF and the README all say it in these words. Whether rows differ is decided over training seeds, by the
rules of :mod:`workflow.results.contrasts`; where rows were trained once, no difference is stated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluators.results import METRICS, SHUFFLED
from intermamba import datasets
from intermamba.config import Dataset
from intermamba.names import dataset_name
from workflow.results.contrasts import Blocks, above_chance, distinguishable, holm, trainings
from workflow.results.reproduced import Study, blindness
from workflow.tables.tabular import decimals

PRECISION = "top3"


@dataclass(frozen=True)
class Bar:
    """R-precision of a method."""

    label: str
    value: float
    low: float
    high: float
    """Ends of the 95% interval: over training seeds, or over repeats where the row was trained once."""
    leads: bool
    """Not distinguishable from the highest value."""
    above_chance: bool | None
    """``None`` where it is not known: the row was trained once."""

    @property
    def text(self) -> str:
        """The value as printed in the tables."""
        return decimals(self.value, METRICS[PRECISION].digits)

    @property
    def between(self) -> str:
        """The interval in words."""
        digits = METRICS[PRECISION].digits
        return f"{decimals(self.low, digits)} to {decimals(self.high, digits)}"


@dataclass(frozen=True)
class Headline:
    """R-precision of the compared methods on one dataset."""

    dataset: str
    chance: float
    real: float
    """R-precision of the ground truth."""
    bars: tuple[Bar, ...]
    bars_are: str
    """What the error bars are."""
    sentences: tuple[str, ...]
    """On an evaluator that sees nothing, on R-precision and on FID."""

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


@dataclass(frozen=True)
class _Ranking:
    """Methods from best to worst in one metric, and which of them are not distinguishable from the best."""

    methods: tuple[str, ...]
    leaders: tuple[str, ...]
    decided: bool
    """Whether differences could be tested at all."""


def headline(study: Study, metrics: pd.DataFrame, dataset: Dataset) -> Headline:
    """The methods that the table of ``dataset`` compares, between chance and the ground truth.

    Args:
        study: the results of a profile.
        metrics: ``metrics.csv``: a row per training, repeat and metric.
        dataset: one that the profile runs.
    """
    methods = study.members(datasets.dataset(dataset).comparison, dataset)
    real, chance = (study.mean(dataset, "reference", name, PRECISION) for name in ("real", SHUFFLED))
    ranking = _ranking(study, metrics, dataset, methods, PRECISION)
    lost = at_chance(study, metrics, dataset)
    bars = []
    for name in methods:
        row = study.result(dataset, "reproduced", name, PRECISION)
        value, half = float(row["mean"]), float(row["interval"])
        low, high = _over_seeds(metrics, dataset, name) or (value - half, value + half)
        above = None if lost is None else name not in lost
        bars.append(Bar(study.label(name), value, low, high, name in ranking.leaders and above is not False, above))
    precision = f"{_precision(study, dataset, ranking, lost, chance)} The ground truth has {printed(real, PRECISION)}."
    return Headline(
        dataset_name(dataset),
        chance,
        real,
        tuple(bars),
        "over training seeds" if ranking.decided else "over repeats of the evaluation of one training",
        (*filter(None, (blindness(study, dataset), precision)), _distance(study, metrics, dataset, methods)),
    )


def at_chance(study: Study, metrics: pd.DataFrame, dataset: Dataset) -> list[str] | None:
    """Rows that are not above chance in R-precision over training seeds; ``None`` where rows were trained once."""
    chance = study.mean(dataset, "reference", SHUFFLED, PRECISION)
    try:
        blocks = Blocks(trainings(metrics, dataset, PRECISION))
        return [name for name in study.config.runs[dataset] if not above_chance(blocks.against(name, chance))]
    except ValueError:
        return None


def _over_seeds(metrics: pd.DataFrame, dataset: Dataset, method: str) -> tuple[float, float] | None:
    try:
        found = Blocks(trainings(metrics, dataset, PRECISION)).against(method, 0.0)
    except ValueError:
        return None
    return found.low, found.high


def _ranking(study: Study, metrics: pd.DataFrame, dataset: Dataset, methods: Sequence[str], metric: str) -> _Ranking:
    values = {name: study.mean(dataset, "reproduced", name, metric) for name in methods}
    sign = -1 if METRICS[metric].direction == "up" else 1
    best, *others = sorted(methods, key=lambda name: sign * values[name])
    found = trainings(metrics, dataset, metric)
    try:
        blocks = Blocks(found.assign(value=np.log(found["value"])) if metric == "fid" else found)
        corrected = holm([blocks.difference(best, other).p for other in others])
    except ValueError:
        return _Ranking((best, *others), (best,), decided=False)
    tied = [other for other, p in zip(others, corrected, strict=True) if not distinguishable(p)]
    return _Ranking((best, *others), (best, *tied), decided=True)


def _precision(study: Study, dataset: Dataset, ranking: _Ranking, lost: Sequence[str] | None, chance: float) -> str:
    level = printed(chance, PRECISION)
    if lost is None:
        once = f"Rows were trained once, which cannot establish differences between them or from chance ({level})."
        return f"{_leading(study, dataset, ranking.leaders, PRECISION)} {once}"
    if ranking.methods[0] in lost:
        return f"No row is distinguishable from chance ({level}) in R-precision (top 3) across training seeds."
    text = _leading(study, dataset, [name for name in ranking.leaders if name not in lost], PRECISION)
    if weak := [study.label(name) for name in ranking.methods if name in lost]:
        are = "is" if len(weak) == 1 else "are"
        return f"{text} {_listed(weak)} {are} not distinguishable from chance ({level}) across training seeds."
    return f"{text} Every row is above chance ({level})."


def _distance(study: Study, metrics: pd.DataFrame, dataset: Dataset, methods: Sequence[str]) -> str:
    ranking = _ranking(study, metrics, dataset, methods, "fid")
    floor = printed(study.mean(dataset, "reference", "real", "fid"), "fid")
    return f"{_leading(study, dataset, ranking.leaders, 'fid')} Two draws of the ground truth are {floor} apart."


def _leading(study: Study, dataset: Dataset, leaders: Sequence[str], metric: str) -> str:
    name = "R-precision (top 3)" if metric == PRECISION else METRICS[metric].label
    best = "highest" if METRICS[metric].direction == "up" else "lowest"
    values = [printed(study.mean(dataset, "reproduced", one, metric), metric) for one in leaders]
    if len(leaders) == 1:
        return f"{study.label(leaders[0])} has the {best} {name}, {values[0]}."
    names = [f"{study.label(one)} ({value})" for one, value in zip(leaders, values, strict=True)]
    return f"{_listed(names)} have the {best} {name} and are not distinguishable."


def printed(value: float, metric: str) -> str:
    """A value of a metric as the tables print it."""
    return decimals(value, METRICS[metric].digits)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
