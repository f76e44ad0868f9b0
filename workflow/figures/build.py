"""Stage ``figures``: one pure function a figure, from data to a matplotlib figure; the stage saves them.

To add a figure: write its function, and give it a line in :func:`run` and its number to ``workflow.graph.stages``.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from intermamba import files
from intermamba.config import Config
from intermamba.models import variants
from intermamba.names import dataset_name, origin_name, reference_name
from intermamba.paths import path
from intermamba.provenance import recorded
from workflow.evaluation.gallery import REAL
from workflow.evaluation.gallery import read as read_shown
from workflow.figures.figure2 import figure2, measured_panels, reported_panel
from workflow.figures.figure7 import figure7
from workflow.figures.learning import learning
from workflow.figures.sampling_steps import few_steps
from workflow.figures.sensitivity import noticed
from workflow.figures.style import BRANCHES, absent, save, themed
from workflow.graph.stages import FIGURE_FORMATS, FULL_MODEL, table
from workflow.results.reproduced import read


def run(config: Config) -> None:
    """Draw every figure of the profile as PDF and PNG.

    Figure 2 shows times, and so differs between equal runs; the others do not.

    Raises:
        StateError: a stage before this one has not run.
        DataError: a result is older than the rows that params.yaml asks for.
    """
    source, losses = (
        files.require(path(name, profile=config.profile), "aggregate") for name in ("alpha_beta", "learning")
    )
    study, inputs = read(config, variants())
    inputs += [source, losses, *(path("reported", number=number) for number in (1, 3))]
    motions, counted = _outputs(config, "show-real", "show"), _outputs(config, "steps")
    inputs += motions + counted + (asked := _outputs(config, "sensitivity"))
    names = ("figure7", "figure8", "learning", "steps", "sensitivity", "figure2")
    seventh, eighth, learned, stepped, damaged, second = (_places(config, name) for name in names)
    origins = {
        str(name): "synthetic" if data.source == "synthetic" else "official" for name, data in config.datasets.items()
    }
    outputs = [*seventh, *eighth, *learned, *stepped, *damaged, *second]
    with recorded("figures", outputs, inputs, config={"profile": config.profile}), themed():
        first = next(iter(config.runs))
        labels = {REAL: reference_name(origins[first])} | {name: one.label for name, one in study.variants.items()}
        shown = [read_shown(file) for file in motions]
        _save(figure7([one for one in shown if one.dataset == first], labels), seventh)
        curves = pd.read_csv(source)
        _save(figure8(curves[curves["variant"] == FULL_MODEL], origins, config.profile), eighth)
        _save(learning(pd.read_csv(losses), study.label, origins, config.profile), learned)
        _save(few_steps(_joined(counted), study.summary, config.profile), stepped)
        _save(noticed(_joined(asked), config.profile), damaged)
        _save(figure2([reported_panel(study.variants), *measured_panels(study)]), second)


def _outputs(config: Config, *names: str) -> list[Path]:
    """What every job of these stages writes first, in the stages' order."""
    stages = table(config)
    jobs = (job for name in names for job in stages[name].jobs())
    return [files.require(job.results[0], job.command.removeprefix("intermamba ")) for job in jobs]


def _joined(sources: list[Path]) -> pd.DataFrame:
    return pd.concat([pd.read_csv(file) for file in sources], ignore_index=True) if sources else pd.DataFrame()


def _places(config: Config, name: str) -> list[Path]:
    return [path("own_figure", profile=config.profile, figure=name, format=suffix) for suffix in FIGURE_FORMATS]


def _save(figure: Figure, targets: list[Path]) -> None:
    for target in targets:
        save(figure, target)


def figure8(curves: pd.DataFrame, origins: Mapping[str, str], profile: str) -> Figure:
    """Fusion weights of the full model over training [paper, Figure 8].

    One panel a dataset; a thin line for each block, module and training seed (self solid, cross dashed), and the mean
    of them all as a thick one. The paper shows one curve each for alpha and beta without saying of which block.

    Args:
        curves: columns dataset, seed, step, block, module, symbol, value, of one variant.
        origins: origin of each dataset's data, for the panel's title.
        profile: named in the title, since sizes and training lengths follow from it.
    """
    title = f"InterMamba's adaptive weights over training (profile {profile})"
    if curves.empty:
        return absent(title, f"This profile runs no {FULL_MODEL!r}, whose weights this figure shows.")
    curves = curves.sort_values(["dataset", "symbol", "module", "block", "seed", "step"])
    datasets = list(curves["dataset"].unique())
    figure = Figure(figsize=(0.6 + 3.3 * len(datasets), 3.1), layout="constrained")
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        here = curves[curves["dataset"] == dataset]
        for (symbol, module, _, _), line in here.groupby(["symbol", "module", "block", "seed"]):
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
