"""A method's result beside the methods of the study that were measured in the same way, for the terminal."""

import pandas as pd
from rich.console import Console
from rich.table import Table

from evaluators.results import COPYING, METRICS, read, summarise
from intermamba import paths
from intermamba.config import Config, Dataset
from intermamba.models import label_of
from intermamba.names import reference_name
from workflow.results.aggregate import CONDITIONS, REFERENCES

_HEADINGS = {"top1": "Top 1", "top2": "Top 2", "top3": "Top 3"}
_WIDTH = 122  # width of the table outside a terminal


def finished(config: Config, dataset: Dataset, found: pd.DataFrame) -> pd.DataFrame:
    """Finished rows of the profile measured in the same way as ``found``: ground truth, chance, and runs trained here.

    Rows with another evaluator, protocol or data are left out: their numbers cannot be compared.
    """
    where = {"profile": config.profile, "dataset": dataset}
    runs = [
        paths.path("run_metrics", variant=name, seed=seed, **where)
        for data, name, seed in config.rows()
        if data == dataset
    ]
    frames = [read(file) for file in (paths.path("reference_metrics", **where), *runs) if file.exists()]
    alike = found[list(CONDITIONS)].iloc[0]
    same = [frame for frame in frames if (frame[list(CONDITIONS)] == alike).all(axis=None)]
    return pd.concat(same, ignore_index=True) if same else found.iloc[:0]


def show(found: pd.DataFrame, others: pd.DataFrame) -> None:
    """Print one method's metrics above ``others``: means, and below each the half-width of its interval."""
    one = found.iloc[0]
    summary = summarise(pd.concat([found, others], ignore_index=True)).set_index(["method", "metric"])
    measured = [name for name in METRICS if name in set(found["metric"]) and name not in COPYING]
    console = _console()
    table = Table(title=f"{one['method']} on {one['dataset']}, protocol {one['protocol']}")
    table.add_column("method", min_width=12)
    for name in measured:
        table.add_column(_HEADINGS.get(name) or METRICS[name].label.replace(" (", "\n("), justify="right")
    methods = dict.fromkeys([one["method"], *REFERENCES, *others["method"]])
    present = [name for name in methods if name in summary.index]
    last = [name for name in present if name in REFERENCES][-1:]
    for method in present:
        rows = summary.loc[method]
        cells = [_cell(rows.loc[name], name) if name in rows.index else "" for name in measured]
        table.add_row(_label(method, one["origin"]), *cells, end_section=method in (one["method"], *last))
    console.print(table)
    console.print(f"± is the 95% interval over the protocol's {found['repeat'].nunique()} repeats.")
    if not (others["block"] == "reference").any():
        command = f"intermamba evaluate-reference --dataset {one['dataset']}"
        console.print(
            f"Ground truth and chance are not measured yet with this evaluator and protocol: run `{command}`."
        )


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _cell(row: pd.Series, metric: str) -> str:
    digits = METRICS[metric].digits
    return f"{row['mean']:.{digits}f}\n±{row['interval']:.{digits}f}"


def _label(method: str, origin: str) -> str:
    return reference_name(origin, method) if method in REFERENCES else label_of(method)
