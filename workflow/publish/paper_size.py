"""Cost of the models at the paper's sizes, as Markdown: the published measurements beside the paper's figures.

Reads the output of ``intermamba complexity --profile paper`` and ``intermamba budget --profile paper``, neither of
which needs data. Counts are always present; times and the training budget only where they have been measured.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from intermamba import files
from intermamba.methods.variant import Variant
from intermamba.names import revision_name
from intermamba.paths import path, record_of
from workflow.cells import MISSING, significant
from workflow.results import reported
from workflow.results.reproduced import timing
from workflow.tables import markdown

FOLDER = Path("docs/paper")
"""Where the measurements are published."""
COUNTS, TIMES, BUDGET = (path(name, profile="paper") for name in ("complexity", "complexity_time", "budget"))
MEASURED = {COUNTS: (TIMES,), BUDGET: ()}
"""Main artefact of each measurement, and its optional others."""


def render(variants: Mapping[str, Variant]) -> str:
    """The tables of the measurements in :data:`FOLDER`."""
    parts = [_counts(FOLDER, variants)]
    if (FOLDER / TIMES.name).exists():
        parts.append(_times(FOLDER, variants))
    if (FOLDER / BUDGET.name).exists():
        parts.append(_budget(FOLDER, variants))
    return "\n".join(parts) + "\n"


def _counts(folder: Path, variants: Mapping[str, Variant]) -> str:
    counts = pd.read_csv(folder / COUNTS.name).query("sizes == 'paper'")
    rows = []
    for row in counts.to_dict("records"):
        macs = [float(row[f"macs_{part}"]) / 1e9 for part in ("dense", "attention", "scan", "text")]
        variant = variants[str(row["method"])]
        rows.append(
            [
                variant.label,
                f"{row['parameters'] / 1e6:.2f}",
                _printed(variant, "parameters_millions"),
                *map(significant, macs),
                _printed(variant, "flops_billions"),
                str(row["passes"]),
                significant(row["macs_sampling"] / 1e12),
            ]
        )
    head = [
        "Model", "Params (M)", "paper", "MACs (G): dense", "attention", "scan", "text encoder", "paper's FLOPs (G)",
        "passes per step", "MACs (T), whole sampling",
    ]  # fmt: skip
    frames, steps = counts["frames"].iloc[0], counts["sampling_steps"].iloc[0]
    intro = (
        f"Counted without data or weights, {_origin(folder, COUNTS)}: trained parameters (without the frozen CLIP); "
        f"multiply-accumulates of one conditional pass at {frames} frames and batch 1, of the trained text encoder, "
        f"and of a whole guided sampling of {steps} steps."
    )
    return f"{intro}\n\n{markdown.grid(head, rows)}"


def _times(folder: Path, variants: Mapping[str, Variant]) -> str:
    times = pd.read_csv(folder / TIMES.name)
    rows = []
    for method, seconds in times.groupby("method", sort=False)["seconds"]:
        lower, median, upper = (significant(float(value), 3) for value in seconds.quantile([0.25, 0.5, 0.75]))
        variant = variants[str(method)]
        rows.append([variant.label, median, f"{lower}–{upper}", _printed(variant, "inference_seconds")])
    intro = f"Time of a whole guided sampling, {_origin(folder, COUNTS)}: {timing(times)}. The paper used one RTX 4090."
    return f"{intro}\n\n{markdown.grid(['Model', 'median (s)', 'quartiles', 'paper (s)'], rows)}"


def _budget(folder: Path, variants: Mapping[str, Variant]) -> str:
    budget = pd.read_csv(folder / BUDGET.name)
    one = budget.iloc[0]
    rows = [
        [
            variants[str(row["method"])].label,
            significant(row["seconds_median"], 3),
            f"{significant(row['seconds_q1'], 3)}–{significant(row['seconds_q3'], 3)}",
            str(row["batch"]),
            significant(row["memory_gib"], 3),
            f"{row['training_steps']:,}",
            str(row["training_batch"]),
            significant(row["training_hours"] / 24, 3),
        ]
        for row in budget.to_dict("records")
    ]
    steps = "one step" if one["steps"] == 1 else f"median of {one['steps']}"
    intro = (
        f"Training, {_origin(folder, BUDGET)}: an optimisation step on random clips of {one['frames']} frames, {steps} "
        f"after {one['warmup_steps']} warm-up steps, on {one['device']}, precision {one['precision']}"
        f", {one['threads']} thread{'' if one['threads'] == 1 else 's'}; peak memory; and the whole training on "
        f"InterHuman, {one['epoch_clips']:,} clips an epoch, by each method's own epochs and batch, in proportion to "
        "the clips."
    )
    head = ["Model", "step (s)", "quartiles", "batch", "memory (GiB)", "steps", "of clips", "whole training (days)"]
    return f"{intro}\n\n{markdown.grid(head, rows)}"


def _printed(variant: Variant, metric: str) -> str:
    """The paper's figure for a variant, from Table 3 or else Table 5."""
    for place in sorted(variant.paper, key=lambda place: place.table):
        if place.table in (3, 5):
            frame = reported.read(place.table)
            found = frame[(frame["method"] == place.row) & (frame["metric"] == metric)]["value"]
            if len(found):
                return str(found.iloc[0])
    return MISSING


def _origin(folder: Path, artefact: Path) -> str:
    """Date, code revision and record of a measurement."""
    name = record_of(artefact).name
    record = files.read_json(folder / name)
    return f"{record['started'][:10]}, code {revision_name(record)} ([record]({(FOLDER / name).as_posix()}))"
