"""Figure of quality over sampling steps: the paper names fewer of them as future work (Section 6)."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluators.results import METRICS, SHUFFLED
from evaluators.sensitivity import REAL, half_width
from intermamba.job import Job
from intermamba.names import dataset_name, origin_name, solver_name
from workflow.figures.style import COLOURS, absent
from workflow.results.reproduced import Study, joined

SHOWN = ("top3", "fid")
LOOKS = {"ddim": (COLOURS["intermamba"], "-"), "dpm-solver++": ("0.15", "--")}


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    return few_steps(joined(job.all("steps")), study.summary, study.config.profile)


def few_steps(measured: pd.DataFrame, summary: pd.DataFrame, profile: str) -> Figure:
    """R-precision and FID over the number of steps, a row of panels per dataset, a line per solver.

    Args:
        measured: rows of every ``steps.csv``: one per repeat, solver, number of steps and metric.
        summary: of the study, for the lines of the ground truth and of chance.
        profile: named in the title.
    """
    title = f"InterMamba in fewer and more sampling steps (profile {profile})"
    if measured.empty:
        return absent(title, "This profile runs no 'intermamba', whose sampling steps this figure compares.")
    datasets = list(measured["dataset"].unique())
    figure = Figure(figsize=(7.2, 0.7 + 2.4 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), len(SHOWN), squeeze=False)
    for row, dataset in zip(panels, datasets, strict=True):
        here = measured[measured["dataset"] == dataset]
        known = summary[summary["dataset"] == dataset].set_index(["method", "metric"])["mean"]
        for panel, metric in zip(row, SHOWN, strict=True):
            _panel(panel, here[here["metric"] == metric])
            for method, style in ((REAL, ":"), (SHUFFLED, "-.")):
                if (method, metric) in known.index and (metric != "fid" or method == REAL):
                    label = "chance" if method == SHUFFLED else "ground truth"
                    panel.axhline(known[method, metric], color="0.5", linewidth=0.9, linestyle=style, label=label)
            panel.set_ylabel(METRICS[metric].label)
        row[0].set_title(f"{dataset_name(dataset)}, {origin_name(here['origin'].iloc[0])}", loc="left")
    for panel in panels[-1]:
        panel.set_xlabel("Sampling steps")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    sns.despine(fig=figure)
    figure.suptitle(title, fontsize="medium", fontweight="bold")
    return figure


def _panel(panel: Axes, rows: pd.DataFrame) -> None:
    for solver, found in rows.groupby("solver", sort=False):
        colour, style = LOOKS[str(solver)]
        by_steps = found.groupby("steps")["value"]
        mean, half = by_steps.mean(), by_steps.agg(half_width)
        label = solver_name(str(solver))
        panel.errorbar(
            mean.index, mean, half, color=colour, linestyle=style, marker="o", markersize=3.5, capsize=2, label=label
        )
    panel.set_xscale("log")
    panel.set_xticks(sorted(rows["steps"].unique()))
    panel.minorticks_off()
    panel.xaxis.set_major_formatter("{x:g}")
    if (rows["metric"] == "fid").all():
        panel.set_yscale("log")
    else:
        panel.set_ylim(0, 1)
