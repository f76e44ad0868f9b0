"""The main result on a dataset, in sentences and bars: which rows lead, are not distinguishable, or are above chance.

The page, the PDF and the README all say it in these words. Whether rows differ is decided over training seeds, by the
rules of :mod:`workflow.results.contrasts`. Rows are ranked at the training seeds that all of them have, so that no row
leads by its seeds; a row that was trained once is not ranked unless all were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


def headline(study: Study, metrics: pd.DataFrame, dataset: Dataset) -> Headline | None:
    """The methods that the table of ``dataset`` compares, between chance and the ground truth; none without methods.

    Args:
        study: the results of a profile.
        metrics: ``metrics.csv``: a row per training, repeat and metric.
        dataset: one that the profile runs.
    """
    methods = study.compared(dataset)
    if not methods:
        return None
    real, chance = study.mean(dataset, "reference", REAL, PRECISION), study.chance(dataset, PRECISION)
    above = above_chance_by_row(study, metrics, dataset)
    learned = [name for name in methods if above[name] is not False]
    found = ranking(study, metrics, dataset, learned, PRECISION) if learned else None
    blocks = _blocks(metrics, dataset)
    bars = []
    for name in methods:
        row = study.result(dataset, "reproduced", name, PRECISION)
        value, half = float(row["mean"]), float(row["interval"])
        low, high = value - half, value + half
        if blocks and above[name] is not None:
            over_seeds = blocks.against(name, 0.0)
            low, high = over_seeds.low, over_seeds.high
        leads = found is not None and name in found.leaders
        bars.append(Bar(study.label(name), value, low, high, leads, above[name]))
    precision = [
        *_precision(study, metrics, dataset, found, methods, above, chance),
        *_ablations(study, dataset, PRECISION, methods),
    ]
    precision += [f"The ground truth has {printed(real, PRECISION)}.", *_copies(study, dataset, methods)]
    sentences = (blindness(study, dataset), " ".join(precision), _distance(study, metrics, dataset, methods))
    return Headline(dataset_name(dataset), chance, real, tuple(bars), _bars_are(bars), tuple(filter(None, sentences)))


def _bars_are(bars: Sequence[Bar]) -> str:
    repeats, once = "over repeats of the evaluation", [bar.above_chance is None for bar in bars]
    if all(once):
        return f"{repeats} of one training"
    return "over training seeds" + (f" ({repeats} for rows trained once)" if any(once) else "")


def above_chance_by_row(study: Study, metrics: pd.DataFrame, dataset: Dataset) -> dict[str, bool | None]:
    """Whether each row is above chance in R-precision over training seeds; ``None``: it was trained once."""
    chance = study.chance(dataset, PRECISION)
    found: dict[str, bool | None] = dict.fromkeys(study.config.runs[dataset])
    if (blocks := _blocks(metrics, dataset)) is None:
        return found
    several = [name for name, seeds in study.config.runs[dataset].items() if len(seeds) > 1]
    return found | {name: above_chance(blocks.against(name, chance)) for name in several}


def ranking(study: Study, metrics: pd.DataFrame, dataset: Dataset, methods: Sequence[str], metric: str) -> Ranking:
    """``methods`` from best to worst in R-precision or FID.

    Args:
        study: the results of a profile.
        metrics: ``metrics.csv``.
        dataset: one that the profile runs.
        methods: rows of it; those trained once are left out where others were trained several times.
        metric: of the protocol; FID is tested as a logarithm.
    """
    found = trainings(metrics, dataset, metric)
    seeds = {name: set(found.loc[found["method"] == name, "seed"]) for name in methods}
    several = [name for name in methods if len(seeds[name]) > 1]
    shared = set.intersection(*(seeds[name] for name in several)) if several else set()
    if len(shared) < 2:
        values = _sorted({name: study.mean(dataset, "reproduced", name, metric) for name in methods}, metric)
        return Ranking(values, tuple(values)[:1], 0, partial=False)
    alike = found[found["seed"].isin(shared)]
    means = alike.groupby("method")["value"].mean()
    values = _sorted({name: float(means[name]) for name in several}, metric)
    best, *others = values
    blocks = Blocks.of(alike, metric)
    tied = [other for other in others if not blocks.distinguished(best, other, len(values))]
    return Ranking(values, (best, *tied), len(shared), partial=any(seeds[name] != shared for name in several))


def _sorted(values: Mapping[str, float], metric: str) -> dict[str, float]:
    """From best to worst."""
    return dict(sorted(values.items(), key=lambda item: item[1], reverse=METRICS[metric].direction == "up"))


def _blocks(metrics: pd.DataFrame, dataset: Dataset) -> Blocks | None:
    try:
        return Blocks(trainings(metrics, dataset, PRECISION))
    except ValueError:
        return None


def _precision(
    study: Study,
    metrics: pd.DataFrame,
    dataset: Dataset,
    found: Ranking | None,
    methods: Sequence[str],
    above: Mapping[str, bool | None],
    chance: float,
) -> list[str]:
    level = f"exactly {printed(chance, PRECISION)}"
    lost, once = ([name for name in methods if above[name] is value] for value in (False, None))
    if found is None:
        return [f"No row is distinguishable from chance ({level}) in R-precision (top 3) across training seeds."]
    said = [*_leading(study, metrics, dataset, found, PRECISION), *_informed(study, found, methods)]
    if len(once) == len(methods):
        cannot = f"Rows were trained once, which cannot establish differences between them or from chance ({level})."
        return [*said, cannot]
    if not found.seeds:
        said.append("Rows share too few training seeds to establish differences between them.")
    if lost:
        said.append(f"{_are(study, lost)} not distinguishable from chance ({level}) across training seeds.")
    else:
        said.append(f"Every row {'trained several times ' if once else ''}is above chance ({level}).")
    if once:
        were = "was" if len(once) == 1 else "were"
        said.append(
            f"{_listed([study.label(name) for name in once])} {were} trained once, which is too few to compare."
        )
    return said


def _distance(study: Study, metrics: pd.DataFrame, dataset: Dataset, methods: Sequence[str]) -> str:
    said = _leading(study, metrics, dataset, ranking(study, metrics, dataset, methods, DISTANCE), DISTANCE)
    said += _ablations(study, dataset, DISTANCE, methods)
    known = references(study.config, dataset)
    if RETAKEN in known:
        again = printed(study.mean(dataset, "reference", RETAKEN, DISTANCE), DISTANCE)
        said.append(f"The ground truth performed again by the generator of the data has {again}.")
    if NEAREST in known:
        copied = printed(study.mean(dataset, "reference", NEAREST, DISTANCE), DISTANCE)
        said.append(f"Copies of training clips, which are motions of the data and not of a model, have {copied}.")
    return " ".join(said)


def _ablations(study: Study, dataset: Dataset, metric: str, methods: Sequence[str]) -> list[str]:
    """A sentence on the best row that the table of models does not compare, if it is better than all that it does."""
    values = {name: study.mean(dataset, "reproduced", name, metric) for name in study.config.runs[dataset]}
    best = next(iter(_sorted(values, metric)))
    if best in methods:
        return []
    return [f"An ablation is beyond that: {study.label(best)} has {printed(values[best], metric)}."]


def _copies(study: Study, dataset: Dataset, methods: Sequence[str]) -> list[str]:
    """What a look-up reaches, and how many rows are beyond it."""
    if NEAREST not in references(study.config, dataset):
        return []
    level = study.mean(dataset, "reference", NEAREST, PRECISION)
    above = sum(study.mean(dataset, "reproduced", name, PRECISION) > level for name in methods)
    return [
        f"Copying the training clip with the nearest caption gives {printed(level, PRECISION)}; {above} of "
        f"{len(methods)} rows {'is' if above == 1 else 'are'} above that."
    ]


def _informed(study: Study, found: Ranking, methods: Sequence[str]) -> list[str]:
    """What rows read beside the pair's caption, if one of the best reads more."""
    more = [name for name in methods if study.variant(name).individual]
    if not set(more) & set(found.leaders) or len(more) == len(methods):
        return []
    also = f"{_listed([study.label(name) for name in more])}, unlike the other rows, also"
    return [f"{also} {'reads' if len(more) == 1 else 'read'} a caption of each person."]


def _leading(study: Study, metrics: pd.DataFrame, dataset: Dataset, found: Ranking, metric: str) -> list[str]:
    """The best rows; if one of them was trained for more epochs than others, also the best of those."""
    longer = [name for name in found.values if _trained_longer(study, dataset, name)]
    others = [name for name in found.values if name not in longer]
    said = _best(study, found, metric)
    if not others or not set(longer) & set(found.leaders):
        return [said]
    were = f"{_listed([study.label(name) for name in longer])} {'was' if len(longer) == 1 else 'were'}"
    rest = ranking(study, metrics, dataset, others, metric)
    return [said, f"{were} trained for more epochs than the other rows.", _best(study, rest, metric, "of the others, ")]


def _trained_longer(study: Study, dataset: Dataset, name: str) -> bool:
    """Whether a row's recipe gives it more epochs than the profile gives to its method."""
    variant = study.variant(name)
    own, usual = variant.configured(study.config, dataset), study.config.of(variant.base, dataset=dataset)
    return own.training.epochs > usual.training.epochs


def _best(study: Study, found: Ranking, metric: str, among: str = "") -> str:
    name = "R-precision (top 3)" if metric == PRECISION else METRICS[metric].label
    best = "highest" if METRICS[metric].direction == "up" else "lowest"
    start = f"{among}{f'at the {found.seeds} training seeds that all rows have, ' if found.partial else ''}"
    start = start[:1].upper() + start[1:]
    values = [printed(found.values[one], metric) for one in found.leaders]
    if len(found.leaders) == 1:
        return f"{start}{study.label(found.leaders[0])} has the {best} {name}, {values[0]}."
    first, *others = [f"{study.label(one)} ({value})" for one, value in zip(found.leaders, values, strict=True)]
    are = "is" if len(others) == 1 else "are"
    return f"{start}{first} has the {best} {name}; {_listed(others)} {are} not distinguishable from it."


def printed(value: float, metric: str) -> str:
    """A value of a metric as the tables print it."""
    return decimals(value, METRICS[metric].digits)


def _are(study: Study, names: Sequence[str]) -> str:
    return f"{_listed([study.label(name) for name in names])} {'is' if len(names) == 1 else 'are'}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
