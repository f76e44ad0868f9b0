"""Figure 8: adaptive fusion weights over training [paper, Figure 8]."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from intermamba.job import Job
from intermamba.names import dataset_name, origin_name
from intermamba.reading.documents import read_csv
from workflow.figures.style import BRANCHES, absent
from workflow.graph.stages import FULL_MODEL
from workflow.results.reproduced import Study


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    curves = read_csv(job["alpha_beta"])
    return figure8(curves[curves["method"] == FULL_MODEL], study.origins, study.config.profile)


def figure8(curves: pd.DataFrame, origins: Mapping[str, str], profile: str) -> Figure:
    """Fusion weights of the full model over training [paper, Figure 8].

    One panel per dataset; a thin line for each block, module and training seed (self solid, cross dashed), and their
    mean as a thick line. The paper shows one curve each for alpha and beta and does not name the block.

    Args:
        curves: columns dataset, training_seed, step, block, module, symbol, value, of one variant.
        origins: origin of each dataset's data, for the panel's title.
        profile: named in the title, since sizes and training lengths follow from it.
    """
    title = f"InterMamba's adaptive weights over training (profile {profile})"
    if curves.empty:
        return absent(title, f"This profile runs no {FULL_MODEL!r}, whose weights this figure shows.")
    curves = curves.sort_values(["dataset", "symbol", "module", "block", "training_seed", "step"])
    datasets = list(curves["dataset"].unique())
    figure = Figure(figsize=(0.6 + 3.3 * len(datasets), 3.1), layout="constrained")
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        here = curves[curves["dataset"] == dataset]
        for (symbol, module, _, _), line in here.groupby(["symbol", "module", "block", "training_seed"]):
            style = "-" if module == "self" else "--"
            panel.plot(line["step"], line["value"], style, color=BRANCHES[str(symbol)], linewidth=0.8, alpha=0.5)
        for symbol, lines in here.groupby("symbol"):
            mean = lines.groupby("step")["value"].mean()
            panel.plot(mean.index, mean, color=BRANCHES[str(symbol)], linewidth=2.4)
        panel.axhline(1.0, color="0.6", linewidth=0.6, linestyle=":", zorder=0)  # where both weights start
        panel.set_title(f"{dataset_name(dataset)}, {origin_name(origins[dataset])}", loc="left")
        panel.set_xlabel("Training step")
        panel.margins(x=0.02)
    panels[0].set_ylabel("Fusion weight")
    sns.despine(fig=figure)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=2 * min(len(datasets), 2))
    figure.suptitle(title, fontsize="medium", fontweight="bold")
    return figure


def _legend() -> list[Line2D]:
    names = {"alpha": r"$\alpha$, temporal branch (mean)", "beta": r"$\beta$, spatial branch (mean)"}
    return [Line2D([], [], color=BRANCHES[key], linewidth=2.4, label=label) for key, label in names.items()] + [
        Line2D([], [], color="0.4", linewidth=0.8, label="one Self-ASTM"),
        Line2D([], [], color="0.4", linewidth=0.8, linestyle="--", label="one Cross-ASTM"),
    ]
