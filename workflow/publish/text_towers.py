"""The effect of text towers, as Markdown: the table of ``benchmarks/towers.py``."""

from pathlib import Path

import pandas as pd

from intermamba.models import variants
from intermamba.names import dataset_name
from intermamba.text.names import is_untrained
from workflow.cells import MISSING, decimals
from workflow.publish.records import REFERENCES, made_by, mean_and_deviation
from workflow.results.contrasts import paired
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/towers.csv")
"""Where the measurements are published."""
METRICS = {
    "top3": "R-precision, top 3",
    "top3_seen": "seen phrasings",
    "top3_unseen": "unseen phrasings",
    "fid": "FID",
    "prompts": "free prompts",
}
DIGITS = {"fid": 1}
CELL = ["dataset", "method", "tower", "text_layers"]


def render() -> str:
    """The rows of every dataset, and the effect of the tower; empty before anything was measured."""
    if not MEASURED.exists():
        return ""
    seeds = pd.read_csv(MEASURED).pivot_table("value", [*CELL, "training_seed"], "metric", sort=False).reset_index()
    parts = [f"{made_by(MEASURED)}. Means over training seeds ± their standard deviation.\n"]
    for dataset, rows in seeds.groupby("dataset", sort=False):
        table = grid(
            ["Method", "Text tower", "Seeds", *METRICS.values()],
            [_row(group) for _, group in rows.groupby(CELL, sort=False)],
        )
        parts.append(f"**{dataset_name(str(dataset))}**\n\n{table}")
        parts += [_effect(group) for method, group in rows.groupby("method", sort=False) if method not in REFERENCES]
    return "\n".join(filter(None, parts))


def _row(seeds: pd.DataFrame) -> list[str]:
    one = seeds.iloc[0]
    cells = [
        mean_and_deviation(seeds.get(metric, pd.Series(dtype=float)).dropna(), DIGITS.get(metric, 3))
        for metric in METRICS
    ]
    if one["method"] in REFERENCES:
        return [REFERENCES[one["method"]], MISSING, MISSING, *cells]
    tower = "untrained" if is_untrained(one["tower"]) else str(one["tower"])
    tower += "" if one["text_layers"] else ", no trained text layers"
    return [variants()[one["method"]].label, tower, str(len(seeds)), *cells]


def _effect(rows: pd.DataFrame) -> str:
    """Paired difference of R-precision between the pre-trained and the untrained tower; empty without two seeds."""
    trained = rows[rows["text_layers"] > 0].set_index("training_seed")
    untrained = trained["tower"].map(is_untrained)
    change = (trained.loc[~untrained, "top3"] - trained.loc[untrained, "top3"]).dropna().tolist()
    if len(change) < 2:
        return ""
    found = paired(change)
    mean, low, high = (decimals(value, 3) for value in (found.effect, found.low, found.high))
    return (
        f"{variants()[rows.iloc[0]['method']].label}: the pre-trained tower changes R-precision (top 3) by {mean} (95% "
        f"interval {low} to {high}, Student's t over {len(change)} paired training seeds).\n"
    )
