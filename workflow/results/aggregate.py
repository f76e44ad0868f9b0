"""Stage ``aggregate``: the metrics and logs of all runs, brought together into the study's own files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from evaluators.results import COLUMNS, METRICS, NEAREST, REAL, RETAKEN, SHUFFLED, BlockName, read, summarise
from intermamba import files
from intermamba.config import Config, Dataset
from intermamba.errors import DataError
from intermamba.job import Job
from intermamba.models import variants
from intermamba.paths import path
from intermamba.reading.documents import read_csv
from intermamba.training import ADAPTIVE_COLUMNS

REFERENCES = (REAL, RETAKEN, SHUFFLED, NEAREST)
"""Rows that are not models: held-out real motions, other performances of them, the same motions with shuffled captions
(chance), and copies."""

CONDITIONS = ("origin", "skeleton", "tower", "evaluator", "protocol")
"""Columns that must be equal in all rows of a dataset; otherwise the rows cannot share a table."""

KEYS = ["dataset", "block", "method", "training_seed", "repeat", "metric"]
"""What makes a row of ``metrics.csv`` unique, and the order of rows."""

ORDERS = {
    name: {value: index for index, value in enumerate(values)}
    for name, values in (("block", get_args(BlockName)), ("metric", METRICS))
}
"""Columns whose values have an order of their own."""

SYMBOLS = {"temporal": "alpha", "spatial": "beta"}
"""Names of the two fusion weights in the paper's Equation 9 and Figure 8."""


def run(config: Config, job: Job) -> None:
    """Write ``metrics.csv``, ``summary.csv``, ``summary.json``, ``alpha_beta.csv`` and ``learning.csv`` of the profile.

    Raises:
        StateError: a run has not been evaluated.
        DataError: a file does not hold what its place promises, or two files of a dataset were measured differently.
    """
    rows = list(config.rows())
    with job.recorded(config) as notes:
        table = gather(metric_files(config))
        summary = summarise(table)
        files.write_csv(job["metrics"], table)
        files.write_csv(job["summary"], summary)
        files.write_json(job["summary_json"], nested(summary))
        files.write_csv(job["alpha_beta"], gather_adaptive(dict(zip(job.all("adaptive_log"), rows, strict=True))))
        files.write_csv(job["learning"], gather_losses(dict(zip(job.all("training_log"), rows, strict=True))))
        notes["rows"] = len(table)


@dataclass(frozen=True)
class Place:
    """What a ``metrics.csv`` must hold, according to its path."""

    dataset: str
    block: BlockName
    methods: tuple[str, ...]
    seed: int | None
    """Training seed; ``None`` if the method was not trained here."""


def metric_files(config: Config) -> dict[Path, Place]:
    """Every ``metrics.csv`` of the study."""
    found: dict[Path, Place] = {}
    for dataset in config.runs:
        file = path("reference_metrics", profile=config.profile, dataset=dataset)
        found[file] = Place(dataset, "reference", references(config, dataset), None)
    for dataset, variant, seed in config.rows():
        file = path("run_metrics", profile=config.profile, dataset=dataset, variant=variant, seed=seed)
        found[file] = Place(dataset, "reproduced", (variant,), seed)
    for dataset, variant in config.adopted():
        file = path("official_metrics", profile=config.profile, dataset=dataset, variant=variant)
        found[file] = Place(dataset, "re-evaluated", (variant,), None)
    for dataset, method in config.external():
        file = path("motions_metrics", profile=config.profile, dataset=dataset, method=method)
        found[file] = Place(dataset, "re-evaluated", (method,), None)
    return found


def references(config: Config, dataset: Dataset) -> tuple[str, ...]:
    """The :data:`REFERENCES` of a dataset: only the embedded data can be performed again."""
    absent = {NEAREST, RETAKEN} if not config.copying else set()
    if config.datasets[dataset].source != "synthetic":
        absent.add(RETAKEN)
    return tuple(name for name in REFERENCES if name not in absent)


def gather(sources: dict[Path, Place]) -> pd.DataFrame:
    """All metrics in one table, sorted by :data:`KEYS`, whatever the order of files.

    Raises:
        DataError: a file is not of its run, or has a row twice.
    """
    frames = []
    for file, place in sources.items():
        frame = read(file)
        _expect(file, frame, "dataset", [place.dataset])
        _expect(file, frame, "block", [place.block])
        _expect(file, frame, "method", place.methods)
        _expect(file, frame, "training_seed", [pd.NA if place.seed is None else place.seed])
        if frame.duplicated(KEYS).any():
            twice = frame[frame.duplicated(KEYS)].iloc[0]
            raise DataError(
                f"{file}: {twice['metric']} of {twice['method']} in repeat {twice['repeat']} appears twice. "
                "Delete the file and run its stage again."
            )
        frames.append(frame)
    _check_conditions(list(sources), frames)
    table = pd.concat(frames, ignore_index=True)
    return table.sort_values(
        KEYS, key=lambda column: column.map(ORDERS[column.name]) if column.name in ORDERS else column, kind="stable"
    ).reset_index(drop=True)[list(COLUMNS)]


def gather_adaptive(sources: dict[Path, tuple[str, str, int]]) -> pd.DataFrame:
    """Fusion weights of all runs over training: run, step, block, module, branch, symbol, value.

    Raises:
        DataError: a file has other columns, or an unknown branch.
    """
    frames = []
    for file, place in sources.items():
        frame = read_csv(file)
        if list(frame.columns) != ADAPTIVE_COLUMNS:
            raise DataError(f"{file}: columns must be {', '.join(ADAPTIVE_COLUMNS)}; found {', '.join(frame.columns)}.")
        symbol = frame["branch"].map(SYMBOLS)
        if symbol.isna().any():
            other = frame.loc[symbol.isna(), "branch"].iloc[0]
            raise DataError(f"{file}: branch {other!r} is not one of {', '.join(SYMBOLS)}. Run its training again.")
        frame.insert(4, "symbol", symbol)
        frames.append(_placed(frame, place))
    filled = [frame for frame in frames if len(frame)]  # runs without fusion weights leave only a header
    return pd.concat(filled, ignore_index=True) if filled else frames[0]


def gather_losses(sources: dict[Path, tuple[str, str, int]]) -> pd.DataFrame:
    """Validation losses of all runs over training: dataset, method, training seed, step, and one column per term.

    Raises:
        DataError: a log lacks a column, such as the term that the run's method says its learning curve shows.
    """
    known, frames = variants(), []
    for file, place in sources.items():
        frame = read_csv(file)
        if missing := {"step", "epoch", "split", known[place[1]].method.row.error.term} - set(frame.columns):
            raise DataError(f"{file}: no column {', '.join(sorted(missing))}. Run its training again.")
        frames.append(_placed(frame[frame["split"] == "val"].drop(columns=["split", "epoch"]), place))
    return pd.concat(frames, ignore_index=True)


def _placed(frame: pd.DataFrame, place: tuple[str, str, int]) -> pd.DataFrame:
    """``frame`` with its run's dataset, method and training seed as first columns."""
    dataset, method, seed = place
    values: dict[str, str | int] = {"dataset": dataset, "method": method, "training_seed": seed}
    for index, (name, value) in enumerate(values.items()):
        frame.insert(index, name, value)
    return frame


def nested(summary: pd.DataFrame) -> dict[str, Any]:
    """Means as ``{dataset: {block: {method: {metric: mean}}}}``, the shape ``dvc metrics show`` reads."""
    tree: dict[str, Any] = {}
    for row in summary.to_dict("records"):
        methods = tree.setdefault(row["dataset"], {}).setdefault(row["block"], {})
        methods.setdefault(row["method"], {})[row["metric"]] = row["mean"]
    return tree


def _expect(file: Path, frame: pd.DataFrame, column: str, allowed: Iterable[Any]) -> None:
    found, wanted = (sorted({str(value) for value in values}) for values in (frame[column], allowed))
    if found != wanted:
        raise DataError(
            f"{file}: {column} must be {', '.join(wanted)} at this place; found {', '.join(found) or 'nothing'}. "
            "Delete the file and run its stage again."
        )


def _check_conditions(sources: Sequence[Path], frames: Sequence[pd.DataFrame]) -> None:
    """Refuse to mix: within a dataset every file was measured on the same data by the same evaluator and protocol."""
    first: dict[tuple[str, str], tuple[Path, Any]] = {}
    for file, frame in zip(sources, frames, strict=True):
        for column in CONDITIONS:
            for dataset, value in frame[["dataset", column]].drop_duplicates().itertuples(index=False):
                earlier, expected = first.setdefault((dataset, column), (file, value))
                if value != expected:
                    raise DataError(
                        f"{column} differs within {dataset}: {expected!r} in {earlier}, {value!r} in {file}. Rows "
                        "measured differently are never put in one table; run the older evaluation again."
                    )
