"""Measurements of ``intermamba bench``, as Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from intermamba import files
from intermamba.cost.bench import TABLES
from intermamba.cost.scans import MAMBAPY, OFFICIAL
from intermamba.models import label_of
from intermamba.names import revision_name
from intermamba.paths import path, record_of
from workflow.cells import MISSING, significant
from workflow.tables.markdown import grid

FOLDER = Path("docs/bench")
"""Folder of the published run."""
OTHER_SIDES = {"reference": "reference", OFFICIAL: "mamba_ssm's reference", MAMBAPY: "mamba.py"}
"""Implementations that are shown in multiples of the compiled scan's time, and their names."""
PACKAGES = ("python", "torch", "numba", "mambapy")
AXES = {"frames": "frames T", "batch": "clips at once"}


def write(profile: str) -> str:
    """Write ``bench.md`` beside the tables of a profile; returns it."""
    folder = path("bench", profile=profile, table=TABLES[0], format="csv").parent
    text = render(folder)
    files.write_text(folder / "bench.md", text)
    return text


def render(folder: Path) -> str:
    """The tables in ``folder``."""
    return "\n".join([_about(folder), _scan(folder), _models(folder), _growth(folder)])


def summary() -> str:
    """Summary of the published run: one row per scan and one per model, of what was measured."""
    if not FOLDER.exists():
        return ""
    scan, costs = _read(FOLDER, "scan").query("runs > 0"), _read(FOLDER, "models").query("runs > 0")
    rows = []
    for (_, sizes, step), group in scan.groupby(["shape", "sizes", "pass"], sort=False):
        sides = {row["side"]: row for row in group.to_dict("records")}
        own = next(row for row in sides.values() if row["ratio"] == 1)
        ratios = [f"{significant(sides[name]['ratio'], 3)}x" if name in sides else MISSING for name in OTHER_SIDES]
        rows.append([f"{sizes}, {step}", *_times(own), *ratios, significant(own["memory"], 3)])
    head = ["Scan (B x E x L x N)", "this project (ms)", "quartiles", *OTHER_SIDES.values(), "memory"]
    parts = [f"{_about(FOLDER)}{_threads(FOLDER, 'scan')}.\n", grid(head, rows)]

    rows = []
    for method, group in costs.groupby("method", sort=False):
        ways = group.groupby("what", sort=False)
        sampling, training = (ways.get_group(what).to_dict("records") for what in ("sampling", "training"))
        rows.append([label_of(str(method)), *(_times(row)[0] for row in [sampling[0], *training])])
    one = {what: group.iloc[0] for what, group in costs.groupby("what")}
    head = [
        "Model",
        f"sampling of a clip, {one['sampling']['frames']} frames, {one['sampling']['steps']} steps (ms)",
        f"training step, {one['training']['batch']} clips, {one['training']['frames']} frames (ms)",
        "with the reference scan (ms)",
    ]
    return "\n".join([*parts, f"{_threads(FOLDER, 'models')}.\n", grid(head, rows), ""])


def _read(folder: Path, table: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{table}.csv", keep_default_na=True).fillna({"note": ""})


def _about(folder: Path) -> str:
    record = files.read_json(record_of(folder / f"{TABLES[0]}.csv"))
    versions = {**record["versions"], **record["notes"]["packages"]}
    named = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    return (
        f"Measured {record['started'][:10]} on {record['device']}, code {revision_name(record)}, {named}. Medians "
        "and quartiles of calls that take turns in one process.\n"
    )


def _scan(folder: Path) -> str:
    rows = [
        [
            f"{row['shape']} ({row['sizes']})",
            row["pass"],
            f"{row['side']} ({row['device']})",
            *_times(row),
            *([significant(row[name], 3) for name in ("ratio", "memory")] if row["runs"] else [MISSING] * 2),
        ]
        for row in _merged(_read(folder, "scan"), ["shape", "pass"], "side")
    ]
    head = ["Scan (B x E x L x N)", "pass", "side", "median (ms)", "quartiles", "ratio", "memory"]
    note = (
        f"{_threads(folder, 'scan')}. Ratio: to the time of this project's scan. Memory: the peak with inputs, over "
        "that of inputs and output."
    )
    return f"{grid(head, rows)}\n{note}\n"


def _models(folder: Path) -> str:
    parts = []
    for what, frame in _read(folder, "models").groupby("what", sort=False):
        one = frame.iloc[0]
        if what == "sampling":
            each = f"{one['steps']} steps" if frame["steps"].nunique() == 1 else "the steps that each model takes"
            title = f"A guided sampling of one clip of {one['frames']} frames in {each}, no text encoding"
        else:
            title = f"A training step of {one['batch']} clips of {one['frames']} frames, with each scan"
        rows = [
            [
                label_of(row["method"]),
                f"{row['way']} ({row['device']})",
                *_times(row),
                *([significant(1 / row["seconds_median"], 3)] if row["runs"] else [MISSING]),
                *([significant(row["memory"] / 2**20, 3)] if row["runs"] else [MISSING]),
            ]
            for row in _merged(frame, ["what"], "way")
        ]
        head = ["Model", "way", "median (ms)", "quartiles", "per second", "memory (MiB)"]
        parts.append(f"{title}; {_threads(folder, 'models')}.\n\n{grid(head, rows)}")
    return "\n".join(parts)


def _threads(folder: Path, what: str) -> str:
    threads = files.read_json(record_of(folder / f"{TABLES[0]}.csv"))["notes"]["threads"][what]
    return f"{threads} thread{'' if threads == 1 else 's'}"


def _merged(frame: pd.DataFrame, keys: list[str], side: str) -> list[dict[str, Any]]:
    """The rows; those of a device that measured nothing are merged into one."""
    kept: list[dict[str, Any]] = []
    for _, group in frame.groupby([*keys, "device"], sort=False):
        rows = [{str(name): value for name, value in row.items()} for row in group.to_dict("records")]
        kept += rows if (group["runs"] > 0).any() else [{**rows[0], side: "all", "method": "all"}]
    return kept


def _growth(folder: Path) -> str:
    rows = [
        [
            label_of(row["method"]),
            AXES[row["axis"]],
            row["device"],
            f"{row['exponent']:.2f}",
            f"{row['standard_error']:.2f}",
        ]
        for row in _read(folder, "exponents").to_dict("records")
    ]
    title = "Growth of a guided sampling step: exponent of a power law, least squares in logarithms."
    return f"{title}\n\n{grid(['Model', 'axis', 'device', 'exponent', 'standard error'], rows)}"


def _times(row: Mapping[Any, Any]) -> list[str]:
    """Median and quartiles in milliseconds, or the reason that there are none."""
    if not row["runs"]:
        return [str(row["note"]), MISSING]
    lower, median, upper = (significant(1e3 * row[f"seconds_{name}"], 3) for name in ("q1", "median", "q3"))
    return [median, f"{lower}–{upper}"]
