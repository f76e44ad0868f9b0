"""Figure of learning curves: how well each row predicts clips that it was not trained on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from textwrap import wrap

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from intermamba.config import Config
from intermamba.job import Job
from intermamba.methods.method import Error
from intermamba.methods.variant import Variant
from intermamba.names import dataset_name, origin_name
from intermamba.reading.documents import read_csv
from workflow.figures.style import COLOURS, OTHERS, colours_of, plain_log
from workflow.results.reproduced import Study

Dashes = str | tuple[int, tuple[int, ...]]

DASHES: tuple[Dashes, ...] = ("-", "--", ":", "-.", (0, (6, 1)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 3)))
"""Rows beyond the palette share its colours and differ in their dashes."""
TITLE_WIDTH = 36
"""Letters of a panel's title that fit into a line."""


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    curves = read_csv(job["learning"])
    rows = {name: study.variant(name) for name in dict.fromkeys(curves["method"])}
    return learning(curves, errors_of(rows, study.config), study.label, study.config.origins, study.config.profile)


def errors_of(rows: Mapping[str, Variant], config: Config) -> dict[str, Error]:
    """The error of each row. Validation draws noise levels as the row's training does: other levels, other errors."""
    errors = {name: one.method.row.error for name, one in rows.items()}
    shifts = {name: one.configured(config).training.noise_shift for name, one in rows.items()}
    drawn: dict[str, set[float]] = {}
    for name, error in errors.items():
        drawn.setdefault(error.meaning, set()).add(shifts[name])
    return {
        name: error
        if len(drawn[error.meaning]) == 1
        else replace(error, meaning=f"{error.meaning}; noise shifted by {shifts[name]:g}")
        for name, error in errors.items()
    }


def learning(
    curves: pd.DataFrame,
    errors: Mapping[str, Error],
    label: Callable[[str], str],
    origins: Mapping[str, str],
    profile: str,
) -> Figure:
    """Validation error over training.

    One line per row: the mean over its training seeds, and their range as a shade. Methods predict different things:
    one panel per dataset (across) and kind of error (down), so that curves on one axis may be compared. The error says
    little about how well a motion follows the text.

    Args:
        curves: columns dataset, method, training_seed, step, and those that ``errors`` name; one row per validation.
        errors: the error that is shown for each method.
        label: name of a row by its method.
        origins: origin of each dataset's data, for the panel's title.
        profile: named in the title.
    """
    datasets, kinds = list(curves["dataset"].unique()), list(dict.fromkeys(error.meaning for error in errors.values()))
    figure = Figure(figsize=(1.9 + 3.3 * len(datasets), 1.4 + 2.0 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), len(datasets), squeeze=False)
    looks = _looks(list(errors))
    for (row, kind), (column, dataset) in product(enumerate(kinds), enumerate(datasets)):
        panel = panels[row, column]
        alike = [method for method, error in errors.items() if error.meaning == kind]
        here = curves[(curves["dataset"] == dataset) & curves["method"].isin(alike)]
        if here.empty:
            panel.set_axis_off()
        else:
            _curves(panel, here, errors, looks)
            title = [f"{dataset_name(dataset)}, {origin_name(origins[dataset])}", *wrap(kind, TITLE_WIDTH)]
            panel.set_title("\n".join(title), loc="left")
        if row == len(kinds) - 1:
            panel.set_xlabel("Training step")
        if column == 0:
            panel.set_ylabel("Validation error")
    sns.despine(fig=figure)
    handles = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=1.4, label=label(method))
        for method, (colour, dashes) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside right center")
    figure.suptitle(
        f"Learning curves (profile {profile}); shade: range over seeds", fontsize="medium", fontweight="bold"
    )
    return figure


def _curves(
    panel: Axes, here: pd.DataFrame, errors: Mapping[str, Error], looks: Mapping[str, tuple[str, Dashes]]
) -> None:
    for method, lines in here.groupby("method", sort=False):
        by_step = lines.groupby("step")[errors[str(method)].term]
        mean, low, high = by_step.mean(), by_step.min(), by_step.max()
        colour, dashes = looks[str(method)]
        panel.plot(mean.index, mean, linestyle=dashes, color=colour, linewidth=1.4)
        panel.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
    panel.set_yscale("log")
    panel.margins(x=0.02)
    plain_log(panel.yaxis)
    lasts = here.groupby("method")["step"].max()
    if lasts.max() > 2 * lasts.min():  # or the longest training would press the others together
        panel.set_xscale("log")
        plain_log(panel.xaxis)


def _looks(methods: list[str]) -> dict[str, tuple[str, Dashes]]:
    """Colour and dashes of each row; they repeat after thirty rows beyond the palette."""
    others = [name for name in methods if name not in COLOURS]
    dashes = {name: DASHES[1 + index // len(OTHERS) % (len(DASHES) - 1)] for index, name in enumerate(others)}
    return {name: (colour, dashes.get(name, DASHES[0])) for name, colour in colours_of(methods).items()}
