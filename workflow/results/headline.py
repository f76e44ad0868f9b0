"""The main result on a dataset, in sentences and bars: which rows lead, are not distinguishable, or are above chance.

The page, the PDF and the README all say it in these words. Whether rows differ is decided over training seeds, by the
rules of :mod:`workflow.results.contrasts`. Rows are ranked at the training seeds that all of them have, so that no row
leads by its seeds; a row that was trained once is not ranked unless all were.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from evaluators.results import DISTANCE, METRICS, NEAREST, PRECISION, REAL, RETAKEN
from intermamba.config import Dataset
from intermamba.names import dataset_name
from workflow.cells import decimals
from workflow.results.aggregate import references
from workflow.results.contrasts import Blocks, above_chance, trainings
from workflow.results.reproduced import Study, blindness


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


MOST_TIED = 4
"""Rows that are not distinguishable from the best one are named up to this number."""


@dataclass(frozen=True)
class Ranking:
    """Methods from best to worst in one metric, and which of them are not distinguishable from the best."""

    values: Mapping[str, float]
    """Means from best to worst, over :attr:`seeds` or, where there are none, over all trainings of each method."""
    leaders: tuple[str, ...]
    seeds: int
    """Number of training seeds that all ranked methods have; 0 where differences cannot be tested."""
    partial: bool
    """Whether a ranked method has other training seeds as well."""
    surpassed: bool
    """Whether a method that is not ranked, because it was trained once, has a better value."""

    @property
    def best(self) -> str:
        """The first of :attr:`values`."""
        return next(iter(self.values))


@dataclass(frozen=True)
class Compared:
    """The rows that the table of a dataset compares, and what decides between them."""

    study: Study
    metrics: pd.DataFrame
    """``metrics.csv``: a row per training, repeat and metric."""
    dataset: Dataset

    @cached_property
    def methods(self) -> list[str]:
        """The compared rows."""
        return self.study.compared(self.dataset)

    @cached_property
    def chance(self) -> float:
        """R-precision of captions in random order."""
        return self.study.chance(self.dataset, PRECISION)

    @cached_property
    def blocks(self) -> Blocks | None:
        """R-precision over training seeds; ``None`` where every row was trained once."""
        try:
            return Blocks(trainings(self.metrics, self.dataset, PRECISION))
        except ValueError:
            return None

    @cached_property
    def above(self) -> Mapping[str, bool | None]:
        """Whether each row of the dataset is above chance over training seeds; ``None``: it was trained once."""
        runs = self.study.config.runs[self.dataset]
        found: dict[str, bool | None] = dict.fromkeys(runs)
        if self.blocks is None:
            return found
        several = [name for name, seeds in runs.items() if len(seeds) > 1]
        return found | {name: above_chance(self.blocks.against(name, self.chance)) for name in several}

    def mean(self, method: str, metric: str) -> float:
        """Mean of a row over its trainings."""
        return self.study.mean(self.dataset, "reproduced", method, metric)

    def ranking(self, methods: Sequence[str], metric: str) -> Ranking:
        """``methods`` from best to worst in R-precision or FID.

        Args:
            methods: rows of the dataset; those trained once are left out where others were trained several times.
            metric: of the protocol; FID is tested as a logarithm.
        """
        found = trainings(self.metrics, self.dataset, metric)
        seeds = {name: set(found.loc[found["method"] == name, "seed"]) for name in methods}
        several = [name for name in methods if len(seeds[name]) > 1]
        shared = set.intersection(*(seeds[name] for name in several)) if several else set()
        every = {name: self.mean(name, metric) for name in methods}
        if len(shared) < 2:
            values = _sorted({name: every[name] for name in several or methods}, metric)
            best = next(iter(values))
            return Ranking(values, (best,), 0, partial=False, surpassed=next(iter(_sorted(every, metric))) != best)
        alike = found[found["seed"].isin(shared)]
        means = alike.groupby("method")["value"].mean()
        values = _sorted({name: float(means[name]) for name in several}, metric)
        best, *others = values
        blocks = Blocks.of(alike, metric)
        tied = [other for other in others if not blocks.distinguished(best, other, len(values))]
        partial = any(seeds[name] != shared for name in several)
        surpassed = next(iter(_sorted(every | values, metric))) != best
        return Ranking(values, (best, *tied), len(shared), partial, surpassed)


def headline(compared: Compared) -> Headline | None:
    """The methods that the table of the dataset compares, between chance and the ground truth; none without methods."""
    if not compared.methods:
        return None
    study, dataset = compared.study, compared.dataset
    real = study.mean(dataset, "reference", REAL, PRECISION)
    learned = [name for name in compared.methods if compared.above[name] is not False]
    found = compared.ranking(learned, PRECISION) if learned else None
    bars = tuple(_bars(compared, found.leaders if found else ()))
    precision = [
        *_precision(compared, found),
        *_ablations(compared, PRECISION),
        f"The ground truth has {printed(real, PRECISION)}.",
        *_copies(compared),
    ]
    sentences = (blindness(study, dataset), " ".join(precision), " ".join(_distance(compared)))
    return Headline(dataset_name(dataset), compared.chance, real, bars, _bars_are(bars), tuple(filter(None, sentences)))


def _bars(compared: Compared, leaders: Sequence[str]) -> Iterator[Bar]:
    for name in compared.methods:
        row = compared.study.result(compared.dataset, "reproduced", name, PRECISION)
        value, half = float(row["mean"]), float(row["interval"])
        low, high, above = value - half, value + half, compared.above[name]
        if compared.blocks and above is not None:
            over_seeds = compared.blocks.against(name, 0.0)
            low, high = over_seeds.low, over_seeds.high
        yield Bar(compared.study.label(name), value, low, high, name in leaders, above)


def _bars_are(bars: Sequence[Bar]) -> str:
    repeats, once = "over repeats of the evaluation", [bar.above_chance is None for bar in bars]
    if all(once):
        return f"{repeats} of one training"
    return "over training seeds" + (f" ({repeats} for rows trained once)" if any(once) else "")


def _sorted(values: Mapping[str, float], metric: str) -> dict[str, float]:
    """From best to worst."""
    return dict(sorted(values.items(), key=lambda item: item[1], reverse=METRICS[metric].direction == "up"))


def _precision(compared: Compared, found: Ranking | None) -> Iterator[str]:
    study, methods = compared.study, compared.methods
    level = printed(compared.chance, PRECISION)
    lost, once = ([name for name in methods if compared.above[name] is value] for value in (False, None))
    if found is None:
        yield f"No row is distinguishable from chance ({level}) in R-precision (top 3) across training seeds."
        return
    rankings = list(_rankings(compared, found, PRECISION))
    yield from (_best(study, one, PRECISION, among) for among, one in rankings)
    yield from _informed(study, {name for _, one in rankings for name in one.leaders}, methods)
    if len(once) == len(methods):
        yield (
            f"Each row was trained once, so differences between rows, or from chance ({level}), cannot be established."
        )
        return
    if not found.seeds:
        yield "Rows share too few training seeds to establish differences between them."
    if lost:
        yield f"{_are(study, lost)} not distinguishable from chance ({level}) across training seeds."
    else:
        yield f"Every row {'trained several times ' if once else ''}is above chance ({level})."
    if once:
        each = [f"{study.label(name)} ({printed(compared.mean(name, PRECISION), PRECISION)})" for name in once]
        was, is_ = ("was", "is") if len(once) == 1 else ("were", "are")
        yield f"{_listed(each)} {was} trained only once and {is_} not ranked."


def _distance(compared: Compared) -> Iterator[str]:
    study, dataset = compared.study, compared.dataset
    found = compared.ranking(compared.methods, DISTANCE)
    yield from (_best(study, one, DISTANCE, among) for among, one in _rankings(compared, found, DISTANCE))
    yield from _ablations(compared, DISTANCE)
    known = references(study.config, dataset)
    if RETAKEN in known:
        again = printed(study.mean(dataset, "reference", RETAKEN, DISTANCE), DISTANCE)
        yield f"The ground truth performed again by the generator of the data has {again}."
    if NEAREST in known:
        yield f"Copies of training clips have {printed(study.mean(dataset, 'reference', NEAREST, DISTANCE), DISTANCE)}."


def _ablations(compared: Compared, metric: str) -> Iterator[str]:
    """A sentence on the best row that the table of models does not compare, if it is better than all that it does."""
    found = compared.ranking(list(compared.study.config.runs[compared.dataset]), metric)
    if found.best not in compared.methods:
        tied = set(found.leaders) & set(compared.methods)
        beyond = "not distinguishable from the best of these" if tied else "beyond all of these"
        best = f"{compared.study.label(found.best)} has {printed(found.values[found.best], metric)}"
        yield f"The ablation {best}, {beyond}."


def _copies(compared: Compared) -> Iterator[str]:
    """What a look-up reaches, and how many rows are beyond it."""
    if NEAREST in references(compared.study.config, compared.dataset):
        level = compared.study.mean(compared.dataset, "reference", NEAREST, PRECISION)
        above = sum(compared.mean(name, PRECISION) > level for name in compared.methods)
        yield (
            f"Copying the training clip with the nearest caption gives {printed(level, PRECISION)}; "
            f"{above or 'none'} of the {len(compared.methods)} rows {'do' if above > 1 else 'does'} better."
        )


def _informed(study: Study, leaders: set[str], methods: Sequence[str]) -> Iterator[str]:
    """What rows read beside the pair's caption, if one of the best reads more."""
    more = [name for name in methods if study.variant(name).individual]
    if set(more) & leaders and len(more) < len(methods):
        also = f"{_listed([study.label(name) for name in more])}, unlike the other rows, also"
        yield f"{also} {'reads' if len(more) == 1 else 'read'} a caption of each person."


def _rankings(compared: Compared, found: Ranking, metric: str) -> Iterator[tuple[str, Ranking]]:
    """A ranking; if a row leads that was trained for more epochs than others of its method, also that of the others."""
    yield "", found
    usual = [name for name in found.values if not _trained_longer(compared, name)]
    if usual and not set(found.leaders) <= set(usual):
        yield "of the rows trained for no more epochs than usual, ", compared.ranking(usual, metric)


def _trained_longer(compared: Compared, name: str) -> bool:
    """Whether a row's recipe gives it more epochs than the profile gives to its method."""
    variant, config, dataset = compared.study.variant(name), compared.study.config, compared.dataset
    own, usual = variant.configured(config, dataset), config.of(variant.base, dataset=dataset)
    return own.training.epochs > usual.training.epochs


def _best(study: Study, found: Ranking, metric: str, among: str) -> str:
    name = "R-precision (top 3)" if metric == PRECISION else METRICS[metric].label
    best = "highest" if METRICS[metric].direction == "up" else "lowest"
    several = "of the rows trained several times, " if found.surpassed else ""
    seeds = f"at the {found.seeds} training seeds in common, " if found.partial else ""
    start = f"{among}{several}{seeds}"
    start = start[:1].upper() + start[1:]
    first, *others = [f"{study.label(one)} ({printed(found.values[one], metric)})" for one in found.leaders]
    leads = f"{start}{first} has the {best} {name}"
    if not others:
        return f"{leads}."
    if len(others) > MOST_TIED:
        others = [*others[: MOST_TIED - 1], f"{len(others) - MOST_TIED + 1} more"]
    return f"{leads}; {_listed(others)} {'is' if len(others) == 1 else 'are'} not distinguishable from it."


def printed(value: float, metric: str) -> str:
    """A value of a metric as the tables print it."""
    return decimals(value, METRICS[metric].digits)


def _are(study: Study, names: Sequence[str]) -> str:
    return f"{_listed([study.label(name) for name in names])} {'is' if len(names) == 1 else 'are'}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
