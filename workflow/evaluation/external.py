"""Command ``evaluate --motions``: another project's motions on the bench of this project's rows."""

import re
import sys
from hashlib import sha256
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from evaluators.folder import MotionFolder
from evaluators.results import METRICS, summarise
from intermamba import files, paths, provenance
from intermamba.config import Config, Dataset
from intermamba.errors import ConfigError
from intermamba.models import variants
from intermamba.progress import SILENT, Progress
from workflow.evaluation.setup import Bench
from workflow.results.aggregate import REFERENCES

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)


def run(config: Config, dataset: Dataset, folder: Path, method: str | None = None, progress: Progress = SILENT) -> Path:
    """Evaluate the motions in ``folder`` as ``method`` (the folder's name); returns the ``metrics.csv`` it wrote.

    Clips, batches, captions' evaluator, real motions and seeds are those of the study's own rows on the dataset.

    Raises:
        ConfigError: ``method`` is the name of a row of ours, or no plain name.
        StateError: the dataset has no evaluator yet.
        DataError: the files are not what docs/data.md describes.
    """
    method = method or folder.resolve().name
    if not _NAME.fullmatch(method):
        raise ConfigError(f"--method {method!r}: letters, digits and . _ + - only; it names a folder of results.")
    if method in (*REFERENCES, *variants()):
        raise ConfigError(f"--method {method!r} is the name of a row of this project. Choose another.")
    bench = Bench(config, dataset)
    source = MotionFolder(folder, bench.split, bench.settings, bench.protocol, bench.root)
    output = paths.path("motions_metrics", profile=config.profile, dataset=dataset, variant=method)
    with provenance.recorded("evaluate", [output], bench.inputs, bench.knobs, bench.seeds) as notes:
        found = bench.measure({method: source}, "re-evaluated", progress=progress)
        files.write_csv(output, found)
        notes.update(
            bench.notes,
            folder=str(folder),
            files=len(source.paths),
            sets=source.sets,
            motions=_digest(source),
            warnings=source.warnings,
        )
    for sentence in source.warnings:
        sys.stderr.write(f"warning: {folder}: {sentence}\n")
    _show(found, source.sets)
    return output


def _digest(source: MotionFolder) -> str:
    """SHA-256 over names and contents of all files: the motions' identity, whatever their folder is called."""
    digest = sha256()
    for path in source.paths:
        digest.update(f"{path.relative_to(source.folder).as_posix()}\0{files.sha256(path)}\n".encode())
    return digest.hexdigest()


def _show(found: pd.DataFrame, sets: int) -> None:
    summary = summarise(found)
    one = summary.iloc[0]
    shown = Table("metric", "mean", "±", title=f"{one['method']} on {one['dataset']}, protocol {one['protocol']}")
    for row in summary.to_dict("records"):
        entry = METRICS[row["metric"]]
        shown.add_row(entry.label, entry.format(row["mean"]), f"{row['interval']:.{entry.digits}f}")
    Console().print(shown)
    Console().print(f"{sets} set{'' if sets == 1 else 's'} of motions in {found['repeat'].nunique()} repeats.")
