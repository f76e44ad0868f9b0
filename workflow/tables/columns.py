"""Columns of metrics, as the tables of quality share them."""

from collections.abc import Collection

from evaluators.results import BY_PHRASING, LEARNED, METRICS
from workflow.cells import Column

TOPS = ("top1", "top2", "top3")
CHANCE_METRICS = (*TOPS, *BY_PHRASING, "mm_dist")
"""Metrics of text against motion: exchanged captions give their chance level. The others do not see the text."""


def learned() -> list[Column]:
    """Every metric of the evaluators, as the tables of comparison show them."""
    return [metric(name, "R-Precision", f"Top {name[-1]}") if name in TOPS else metric(name) for name in LEARNED]


def by_phrasing(measured: Collection[str]) -> list[Column]:
    """R-precision on seen and on unseen phrasings, where it was measured."""
    group = "R-Precision (Top 3) by phrasing"
    return [metric(name, group, name.removeprefix("top3_")) for name in BY_PHRASING if name in measured]


def metric(name: str, group: str = "", label: str = "") -> Column:
    """The column of a metric, under its own label unless another is given."""
    entry = METRICS[name]
    return Column(name, label or entry.label, entry.direction, group, chance=name in CHANCE_METRICS)
