"""Figure 8: adaptive fusion weights over training [paper, Figure 8]."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from intermamba.job import Job
from intermamba.names import FULL_MODEL, dataset_name, origin_name
from intermamba.reading.documents import read_csv
from workflow.figures.style import BRANCHES, absent
from workflow.results.reproduced import Study


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    curves = read_csv(job["alpha_beta"])
    return figure8(curves[curves["method"] == FULL_MODEL], study.config.origins, study.config.profile)


def figure8(curves: pd.DataFrame, origins: Mapping[str, str], profile: str) -> Figure:
    """Fusion weights of the full model over training [paper, Figure 8].

    A row of panels for each dataset: the mean over blocks and modules, with a thin line for each training seed; then
    every block, its two modules apart (self solid, cross dashed), as means over training seeds. The paper shows one
    curve each for alpha and beta and does not name the block.

    Args:
        curves: columns dataset, training_seed, step, block, module, symbol, value, of one variant.
        origins: origin of each dataset's data, for the panel's title.
        profile: named in the title, since sizes and training lengths follow from it.
    """
    title = f"InterMamba's adaptive weights over training (profile {profile})"
    if curves.empty:
        return absent(title, f"This profile runs no {FULL_MODEL!r}, whose weights this figure shows.")
    curves = curves.sort_values(["dataset", "symbol", "module", "block", "training_seed", "step"])
    datasets, blocks = list(curves["dataset"].unique()), sorted(curves["block"].unique())
    figure = Figure(figsize=(3.4 + 1.6 * len(blocks), 0.9 + 2.2 * len(datasets)), layout="constrained")
    widths = [1.5, *[1.0] * len(blocks)]
    panels = figure.subplots(
        len(datasets), 1 + len(blocks), sharey=True, squeeze=False, gridspec_kw={"width_ratios": widths}
    )
    for (mean, *others), dataset in zip(panels, datasets, strict=True):
        here = curves[curves["dataset"] == dataset]
        for (symbol, _), lines in here.groupby(["symbol", "training_seed"]):
            _line(mean, lines, str(symbol), linewidth=0.8, alpha=0.5)
        for symbol, lines in here.groupby("symbol"):
            _line(mean, lines, str(symbol), linewidth=2.4)
        mean.set_title(f"{dataset_name(dataset)},\n{origin_name(origins[dataset])}", loc="left")
        mean.set_ylabel("Fusion weight, mean")
        for panel, block in zip(others, blocks, strict=True):
            for (symbol, module), lines in here[here["block"] == block].groupby(["symbol", "module"]):
                _line(panel, lines, str(symbol), linestyle="-" if module == "self" else "--", linewidth=1.4)
            panel.set_title(f"Block {block + 1}", loc="left")
        for panel in (mean, *others):
            panel.axhline(1.0, color="0.6", linewidth=0.6, linestyle=":", zorder=0)  # where both weights start
            panel.margins(x=0.02)
    for panel in panels[-1]:
        panel.set_xlabel("Training step")
        panel.xaxis.set_major_locator(MaxNLocator(3))
    sns.despine(fig=figure)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4 if len(blocks) > 1 else 2)
    figure.suptitle(title, fontsize="medium", fontweight="bold")
    return figure


def _line(panel: Axes, lines: pd.DataFrame, symbol: str, **looks: Any) -> None:
    """The mean of some weights over training."""
    mean = lines.groupby("step")["value"].mean()
    panel.plot(mean.index, mean, color=BRANCHES[symbol], **looks)


def _legend() -> list[Line2D]:
    names = {"alpha": r"$\alpha$, temporal branch", "beta": r"$\beta$, spatial branch"}
    return [Line2D([], [], color=BRANCHES[key], linewidth=2.4, label=label) for key, label in names.items()] + [
        Line2D([], [], color="0.4", linewidth=0.8, label="Self-ASTM"),
        Line2D([], [], color="0.4", linewidth=0.8, linestyle="--", label="Cross-ASTM"),
    ]
