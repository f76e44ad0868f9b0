"""Figure of learning curves: how well each row denoises clips that it was not trained on."""

from collections.abc import Callable, Mapping

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from intermamba.job import Job
from intermamba.names import dataset_name, origin_name
from intermamba.reading.documents import read_csv
from workflow.figures.style import COLOURS, OTHERS, colours_of
from workflow.results.reproduced import Study

DASHES = ("-", "--", ":", "-.")
"""Rows beyond the palette share its colours and differ in their dashes."""


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    return learning(read_csv(job["learning"]), study.label, study.origins, study.config.profile)


def learning(curves: pd.DataFrame, label: Callable[[str], str], origins: Mapping[str, str], profile: str) -> Figure:
    """Validation error of the denoised motion over training.

    One panel a dataset, one line a row: the mean over its training seeds, and their range as a shade. The error is the
    simple loss, the mean square of normalised features over all noise levels; rows share the axis, so it may be
    compared. It says little of how well the text is followed.

    Args:
        curves: columns dataset, method, training_seed, step, simple; a row a validation.
        label: name of a row by its method.
        origins: origin of each dataset's data, for the panel's title.
        profile: named in the title.
    """
    datasets = list(curves["dataset"].unique())
    figure = Figure(figsize=(1.9 + 3.3 * len(datasets), 3.4), layout="constrained")
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    looks = _looks(list(dict.fromkeys(curves["method"])))
    for panel, dataset in zip(panels, datasets, strict=True):
        here = curves[curves["dataset"] == dataset]
        for method, lines in here.groupby("method", sort=False):
            by_step = lines.groupby("step")["simple"]
            mean, low, high = by_step.mean(), by_step.min(), by_step.max()
            colour, dashes = looks[str(method)]
            panel.plot(mean.index, mean, dashes, color=colour, linewidth=1.4)
            panel.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
        panel.set_yscale("log")
        panel.set_title(f"{dataset_name(dataset)}, {origin_name(origins[dataset])}", loc="left")
        panel.set_xlabel("Training step")
        panel.margins(x=0.02)
    panels[0].set_ylabel("Validation error (simple loss)")
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


def _looks(methods: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and dashes of each row."""
    others = [name for name in methods if name not in COLOURS]
    dashes = {name: DASHES[1 + index // len(OTHERS)] for index, name in enumerate(others)}
    return {name: (colour, dashes.get(name, DASHES[0])) for name, colour in colours_of(methods).items()}
