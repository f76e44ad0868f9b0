"""Figure of fusion weights after training: quality when they are changed, and at which diffusion steps they matter."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluators.results import METRICS
from intermamba.job import Job
from intermamba.names import dataset_name, origin_name
from workflow.figures.style import BRANCHES, COLOURS, absent
from workflow.results.fusion import LEARNED, MEASURED, NAMES, effects
from workflow.results.reproduced import Study, joined


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    return changed_weights(joined(job.all("fusion.metrics")), study.config.profile)


def changed_weights(measured: pd.DataFrame, profile: str) -> Figure:
    """A row of panels for each dataset: R-precision and FID with each change of the weights, and the effects of
    exchanging alpha and beta in one range of diffusion steps.

    Args:
        measured: rows of every ``fusion.csv``.
        profile: named in the title.
    """
    title = f"Fusion weights changed after training (profile {profile})"
    if measured.empty:
        return absent(title, "This profile runs no variant whose fusion weights this figure changes.")
    found = effects(measured)
    rows = list(found[["dataset", "method"]].drop_duplicates().itertuples(index=False))
    figure = Figure(figsize=(9.6, 0.7 + 2.3 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 2 * len(MEASURED), squeeze=False)
    for line, (dataset, method) in zip(panels, rows, strict=True):
        here = found[(found["dataset"] == dataset) & (found["method"] == method)]
        for metric, whole, along in zip(MEASURED, line[::2], line[1::2], strict=True):
            of_metric = here[here["metric"] == metric]
            _changes(whole, of_metric[of_metric["whole"]].set_index("weights"), metric)
            _along(along, of_metric[~of_metric["whole"]], metric)
        origin = origin_name(measured.loc[measured["dataset"] == dataset, "origin"].iloc[0])
        line[0].set_title(f"{dataset_name(dataset)}, {origin}", loc="left")
    for panel in panels[-1][1::2]:
        panel.set_xlabel("Diffusion step (0: clean)")
    sns.despine(fig=figure)
    figure.suptitle(title, fontsize="medium", fontweight="bold")
    return figure


def _changes(panel: Axes, rows: pd.DataFrame, metric: str) -> None:
    """The metric with each change; bars are intervals of the difference from the learned weights."""
    names = [name for name in NAMES if name in rows.index]
    colours = [COLOURS["intermamba"] if name == LEARNED else "0.6" for name in names]
    widths = rows["interval"].where(rows.index != LEARNED, 0.0).loc[names]
    panel.barh(names, rows.loc[names, "mean"], xerr=widths, color=colours, error_kw={"elinewidth": 0.9, "capsize": 2})
    panel.invert_yaxis()
    panel.set_yticks(range(len(names)), [NAMES[name].replace(" exchanged", "\nexchanged") for name in names])
    panel.set_xlabel(METRICS[metric].label)
    panel.tick_params(axis="y", length=0)


def _along(panel: Axes, rows: pd.DataFrame, metric: str) -> None:
    """The effect of exchanging alpha and beta in each range of diffusion steps alone."""
    rows = rows.sort_values("first_step")
    middle, half = (rows["first_step"] + rows["last_step"]) / 2, (rows["last_step"] - rows["first_step"]) / 2
    panel.errorbar(
        middle, rows["change"], yerr=rows["interval"], xerr=half, color=BRANCHES["alpha"], fmt="o", markersize=3.5
    )
    panel.axhline(0.0, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
    panel.set_ylabel(f"Change of {METRICS[metric].label}\nif exchanged there", fontsize="small")
