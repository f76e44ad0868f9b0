"""R-precision and FID of trained rows that are sampled in several ways."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluators.results import DISTANCE, METRICS, PRECISION, REAL, SHUFFLED
from evaluators.sensitivity import half_width
from intermamba.names import dataset_name, origin_name

DRAWN = (PRECISION, DISTANCE)


class Axis(NamedTuple):
    """The horizontal axis."""

    column: str
    label: str
    scale: str = "linear"


class Look(NamedTuple):
    """How a line is drawn."""

    label: str
    colour: str
    style: str = "-"


def quality(
    measured: pd.DataFrame,
    summary: pd.DataFrame,
    axis: Axis,
    lines: str,
    looks: Mapping[str, Look],
    title: str,
) -> Figure:
    """A row of panels per dataset, a line with 95% intervals over repeats per value of a column.

    Args:
        measured: a row per repeat, setting and metric.
        summary: of the study, for the lines of the ground truth and of chance.
        axis: the horizontal one.
        lines: the column whose values have lines.
        looks: how each of these is drawn.
        title: of the figure.
    """
    datasets = list(measured["dataset"].unique())
    figure = Figure(figsize=(7.2, 0.7 + 2.4 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), len(DRAWN), squeeze=False)
    for row, dataset in zip(panels, datasets, strict=True):
        here = measured[measured["dataset"] == dataset]
        known = summary[summary["dataset"] == dataset].set_index(["method", "metric"])["mean"]
        for panel, metric in zip(row, DRAWN, strict=True):
            _panel(panel, here[here["metric"] == metric], axis, lines, looks)
            for method, style in ((REAL, ":"), (SHUFFLED, "-.")):
                if (method, metric) in known.index and (metric != DISTANCE or method == REAL):
                    label = "chance" if method == SHUFFLED else "ground truth"
                    panel.axhline(known[method, metric], color="0.5", linewidth=0.9, linestyle=style, label=label)
            panel.set_ylabel(METRICS[metric].label)
        row[0].set_title(f"{dataset_name(dataset)}, {origin_name(here['origin'].iloc[0])}", loc="left")
    found = {label: handle for row in panels for handle, label in zip(*row[0].get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=4)
    sns.despine(fig=figure)
    for panel in panels[-1]:
        panel.set_xlabel(axis.label)
    figure.suptitle(title, fontsize="medium", fontweight="bold")
    return figure


def _panel(panel: Axes, rows: pd.DataFrame, axis: Axis, lines: str, looks: Mapping[str, Look]) -> None:
    for name, found in rows.groupby(lines, sort=False):
        look = looks[str(name)]
        values = found.groupby(axis.column)["value"]
        mean, half = values.mean(), values.agg(half_width)
        panel.errorbar(
            mean.index,
            mean,
            half,
            color=look.colour,
            linestyle=look.style,
            marker="o",
            markersize=3.5,
            capsize=2,
            label=look.label,
        )
    panel.set_xscale(axis.scale)
    panel.set_xticks(sorted(rows[axis.column].unique()))
    panel.minorticks_off()
    panel.xaxis.set_major_formatter("{x:g}")
    if (rows["metric"] == DISTANCE).all():
        panel.set_yscale("log")
    else:
        panel.set_ylim(0, 1)
