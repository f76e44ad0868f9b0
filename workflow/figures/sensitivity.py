"""Figure of sensitivity: each metric's response to damaged ground truth."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from evaluators.perturbations import catalogue
from evaluators.results import METRICS, REAL
from evaluators.sensitivity import changes
from intermamba.config import Dataset
from intermamba.job import Job
from intermamba.names import dataset_name, origin_name
from workflow.cells import signed
from workflow.figures.style import FOOLED
from workflow.results.reproduced import Study, joined

DRAWN = ("top1", "top2", "top3", "fid", "mm_dist", "diversity", "foot_skate", "contact")
BLIND = "0.88"
SCALE = LogNorm(1, 100)
"""Change as a multiple of its detection limit, clipped at 100."""


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    return responses(joined(job.all("sensitivity")), study.config.profile)


def responses(measured: pd.DataFrame, profile: str) -> Figure:
    """One panel per evaluator: a row per damage, a column per metric, the change written in the cell.

    Blue: the metric detects the damage; darker for a larger change relative to its blur (:func:`changes`). Grey: it
    does not. Pink: it improves.

    Args:
        measured: rows of every ``sensitivity.csv``.
        profile: named in the title.
    """
    datasets: list[Dataset] = list(measured["dataset"].unique())
    figure = Figure(figsize=(9.6, 1.1 + 2.9 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), 1, squeeze=False)[:, 0]
    for panel, dataset in zip(panels, datasets, strict=True):
        here = measured[measured["dataset"] == dataset]
        _panel(panel, changes(here), {one.name: one.label for one in catalogue(dataset)})
        title = f"Evaluator of {dataset_name(dataset)}, {origin_name(here['origin'].iloc[0])}"
        panel.set_title(title, loc="left")
    scale = ScalarMappable(SCALE, "Blues")
    figure.colorbar(scale, ax=list(panels), label="change, in multiples of the detection limit", extend="max")
    legend = [
        Patch(color=BLIND, label="blind: not detected"),
        Patch(color=FOOLED, label="fooled: the metric improves"),
    ]
    figure.legend(handles=legend, loc="outside lower center", ncols=2)
    figure.suptitle(
        f"Sensitivity of the evaluators to damaged ground truth (profile {profile})",
        fontsize="medium",
        fontweight="bold",
    )
    return figure


def _panel(panel: Axes, found: pd.DataFrame, labels: dict[str, str]) -> None:
    damaged = found[(found["method"] != REAL) & found["metric"].isin(DRAWN)]
    metrics = [name for name in DRAWN if name in set(damaged["metric"])]

    def grid(values: pd.Series) -> pd.DataFrame:
        wide = damaged.assign(shown=values).pivot(index="method", columns="metric", values="shown")
        return wide.loc[[name for name in labels if name in wide.index], metrics]

    verdicts = grid(damaged["verdict"])
    texts = grid(damaged.apply(lambda cell: signed(cell["mean"], METRICS[cell["metric"]].digits), axis=1))
    size = grid(damaged["mean"].abs() / damaged["blur"]).clip(lower=SCALE.vmin)  # a logarithm of no change is none
    for verdict, colours in (("detects", "Blues"), ("blind", [BLIND]), ("fooled", [FOOLED])):
        looks = {"cmap": colours, "norm": SCALE, "linewidths": 0.8, "linecolor": "white", "cbar": False}
        if (verdicts == verdict).any(axis=None):
            sns.heatmap(size, mask=verdicts != verdict, annot=texts, fmt="", ax=panel, **looks)
    panel.set_xticklabels([METRICS[name].label.replace(" ", "\n", 1) for name in metrics], rotation=0)
    panel.set_yticklabels([labels[name] for name in size.index], rotation=0)
    panel.set(xlabel="", ylabel="")
    panel.tick_params(length=0)
