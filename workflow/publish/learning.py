"""Which rows learn, as Markdown: the tables of ``benchmarks/learning.py`` and ``benchmarks/noise.py``."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from evaluators.results import DISTANCE, PRECISION, SHUFFLED
from intermamba.models import variants
from intermamba.names import dataset_name
from workflow.cells import MISSING, decimals, signed
from workflow.publish.records import REFERENCES, made_by, mean_and_deviation
from workflow.results.contrasts import Blocks, Contrast, above_chance
from workflow.tables.markdown import escape, grid

MEASURED = Path("docs/bench/learning.csv")
"""Where the measurements are published."""
NOISE = MEASURED.with_name("noise.csv")
RECONSTRUCTED = "reconstructed"
HEADS = {
    "error": "error, {at}",
    "lost": "directions lost",
    "spread": "samples' σ: {at}",
    "top3": "R@3: {at}",
    "fid": "FID: {at}",
}
DIGITS = {"error": 3, "lost": 0, "spread": 2, "top3": 3, "fid": 0}
PAIRS = {
    "mdm_fixed": "mdm",
    "mdm_gru_fixed": "mdm_gru",
    "t2m_given": "t2m",
    "com_mdm": "com_mdm_few",
}
"""Rows that are compared: each with the one that differs from it in a single point."""


def render() -> str:
    """The rows of every dataset and the comparisons; empty before anything was measured."""
    if not MEASURED.exists():
        return ""
    keys = ["dataset", "method", "training_seed", "code", "steps", "part_steps"]
    measured = pd.read_csv(MEASURED, keep_default_na=False)
    means = measured.pivot_table("value", keys, "metric", sort=False).reset_index()
    parts = [f"Measured: {made_by(MEASURED)}. Means over training seeds ± standard deviation.\n"]
    for dataset, rows in means.groupby("dataset", sort=False):
        name = dataset_name(str(dataset))
        parts += [f"**{name}**\n", _rows(rows), *_differences(rows), *_reconstructed(rows), _trained_by(rows)]
    return "\n".join(parts)


def noise() -> str:
    """What networks of different widths lose of the noise that they predict; empty before it was measured."""
    if not NOISE.exists():
        return ""
    measured = pd.read_csv(NOISE)
    columns = list(dict.fromkeys(zip(measured["measure"], measured["at"], strict=True)))
    columns.sort(key=lambda column: list(HEADS).index(column[0]))
    head = ["Row", "Width", "Trainings", *(HEADS[measure].format(at=at) for measure, at in columns)]
    body = []
    for (method, width, features), rows in measured.groupby(["method", "width", "features"]):
        values = rows.groupby(["measure", "at"])["value"].mean()
        cells = [decimals(values[one], DIGITS[one[0]]) if one in values else MISSING for one in columns]
        cells = [
            f"{cell} of {features:.0f}" if one[0] == "lost" else cell for cell, one in zip(cells, columns, strict=True)
        ]
        body.append([variants()[str(method)].label, f"{width:.0f}", str(rows["weights"].nunique()), *cells])
    return f"{made_by(NOISE)}. Means over trainings.\n\n{grid(head, body)}"


def _rows(rows: pd.DataFrame) -> str:
    """One line per row of the tables, in their order, below ground truth and chance."""
    chance = rows.loc[rows["method"] == SHUFFLED, PRECISION].mean()
    trained = rows[rows["training_seed"] >= 0]
    model = _blocks(trained, PRECISION)
    body = []
    for name in [*REFERENCES, *(name for name in variants() if name in set(trained["method"]))]:
        seeds = rows[rows["method"] == name]
        quality = [mean_and_deviation(seeds[PRECISION], 3), mean_and_deviation(seeds[DISTANCE], 0)]
        if name in REFERENCES:
            body.append([REFERENCES[name], MISSING, MISSING, *quality, MISSING, MISSING])
            continue
        steps = ", ".join(f"{one:.0f}" for one in sorted(seeds["steps"].unique()))
        apart = model.against(name, chance) if model and len(seeds) > 1 else None
        verdict = "above chance" if apart and above_chance(apart) else "not above chance" if apart else "one training"
        body.append([variants()[name].label, str(len(seeds)), steps, *quality, _interval(apart), verdict])
    head = ["Row", "Trainings", "Steps", "R-precision, top 3", "FID", "above chance by (95% interval)", "verdict"]
    return grid(head, body)


def _differences(rows: pd.DataFrame) -> Iterator[str]:
    """What changes between two rows that differ in one point."""
    trained = rows[rows["training_seed"] >= 0]
    counted = trained["method"].value_counts()
    precision, distance = (_blocks(trained, metric) for metric in (PRECISION, DISTANCE))
    for better, worse in PAIRS.items():
        if precision and distance and min(counted.get(better, 0), counted.get(worse, 0)) > 1:
            ratio = distance.difference(better, worse).exponential()
            names = (variants()[name].label for name in (better, worse))
            yield (
                f"{' against '.join(names)}: {_interval(precision.difference(better, worse))} in R-precision (top 3), "
                f"{ratio.effect:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) times the FID.\n"
            )


def _reconstructed(rows: pd.DataFrame) -> Iterator[str]:
    """What the tokens of a method keep of real motions."""
    if RECONSTRUCTED not in rows:
        return
    for name, seeds in rows.dropna(subset=RECONSTRUCTED).groupby("method"):
        kept = mean_and_deviation(seeds[RECONSTRUCTED], 3)
        yield f"Real motions through the tokens of {variants()[str(name)].label}: {kept} in R-precision (top 3).\n"


def _trained_by(rows: pd.DataFrame) -> str:
    """The code that trained each row."""
    by_code: dict[str, list[str]] = {}
    for (code, name), seeds in rows[rows["training_seed"] >= 0].groupby(["code", "method"], sort=False):
        listed = ", ".join(map(str, sorted(seeds["training_seed"])))
        by_code.setdefault(str(code), []).append(f"{escape(variants()[str(name)].label)} {listed}")
    named = (f"{code} ({'; '.join(found)})" for code, found in by_code.items())
    return f"Training code, with training seeds: {', '.join(named)}.\n"


def _blocks(trained: pd.DataFrame, metric: str) -> Blocks | None:
    """The additive model of rows and training seeds; none where no row was trained twice."""
    frame = trained.rename(columns={"training_seed": "seed", metric: "value"})[["method", "seed", "value"]]
    return Blocks.of(frame, metric) if frame["method"].duplicated().any() else None


def _interval(apart: Contrast | None) -> str:
    if apart is None:
        return MISSING
    return f"{signed(apart.effect, 3)} ({signed(apart.low, 3)} to {signed(apart.high, 3)})"
