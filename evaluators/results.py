"""Results as tidy data: one typed row per repeat and metric, and their summary."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import pandas as pd

from evaluators import protocol as protocols
from intermamba import files
from intermamba.errors import DataError, brief, quoted, unknown


@dataclass(frozen=True)
class Metric:
    """How a metric is printed and compared."""

    name: str
    label: str
    direction: Literal["up", "down", "closer"]
    """Better when larger, when smaller, or when closer to the value of real motion."""
    digits: int = 3
    learned: bool = True
    """Whether a learned evaluator measures it; else it is measured on the motion itself."""


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("top1", "R-precision top 1", "up"),
            Metric("top2", "R-precision top 2", "up"),
            Metric("top3", "R-precision top 3", "up"),
            Metric("fid", "FID", "down"),
            Metric("mm_dist", "MM Dist", "down"),
            Metric("diversity", "Diversity", "closer"),
            Metric("multimodality", "MModality", "up"),
            Metric("foot_skate", "Foot skate (cm/s)", "closer", 1, learned=False),
            Metric("contact", "Contact (% of frames)", "closer", 1, learned=False),
            Metric("bone_drift", "Bone drift (mm)", "closer", 1, learned=False),
            Metric("top3_seen", "R-precision top 3, seen phrasings", "up"),
            Metric("top3_unseen", "R-precision top 3, unseen phrasings", "up"),
            Metric("top3_shown", "R-precision top 3, seen combinations", "up"),
            Metric("top3_held_out", "R-precision top 3, held-out combinations", "up"),
            Metric("nearest_embedding", "Distance to the nearest training clip", "closer"),
            Metric("nearest_joints", "Error of joints to the nearest training clip (cm)", "closer", 1, learned=False),
        )
    }
)
BY_PHRASING = ("top3_seen", "top3_unseen")
"""R-precision of captions in phrasings that training shows, and in others; where the test split marks them."""
BY_COMBINATION = ("top3_shown", "top3_held_out")
"""R-precision of clips whose combinations of parameters training shows, and of others, likewise."""
NEARNESS = ("nearest_embedding", "nearest_joints")
"""Distance of motions to the nearest training clip, in the evaluator's space and of joints."""
COPYING = (*BY_COMBINATION, *NEARNESS)
"""Metrics that show whether a method copies its training clips."""
LEARNED = tuple(name for name, one in METRICS.items() if one.learned and name not in (*BY_PHRASING, *COPYING))
PHYSICAL = tuple(name for name, one in METRICS.items() if not one.learned and name not in COPYING)


BlockName = Literal["reference", "reproduced", "re-evaluated"]
"""Blocks of comparable numbers: real motions (a reference for both others), models trained here, and models whose
authors' weights or motions are evaluated here. Numbers from papers are a fourth block, never in a table of metrics."""


PRECISION, DISTANCE = "top3", "fid"
"""The two metrics by which rows are ranked."""
REAL = "real"
"""Method of rows that measure ground truth, captured or generated."""
SHUFFLED = "shuffled"
"""The method of real motions with shuffled captions: the level of chance."""
NEAREST = "nearest"
"""The method that copies the training clip whose caption is nearest: the level of a look-up."""
RETAKEN = "retaken"
"""The method that performs the embedded test clips again: as near to ground truth as another ground truth is."""


@dataclass(frozen=True)
class Origin:
    """Data, evaluator and protocol of measured rows: everything but the methods and the numbers."""

    dataset: str
    origin: str
    """``synthetic`` or ``official``: origin of the dataset's motions."""
    skeleton: str
    """Source of the floor and the bones where files hold no positions; ``recorded`` where they do."""
    tower: str
    """Text tower whose tables the captions went through."""
    evaluator: str
    """:func:`evaluators.evaluator.fingerprint` of the evaluator's weights."""
    protocol: str
    """``name/version``."""
    block: BlockName
    training_seed: int | None
    """``None`` if the model was not trained here."""


COLUMNS = {
    "dataset": "string",
    "origin": "string",
    "skeleton": "string",
    "tower": "string",
    "evaluator": "string",
    "protocol": "string",
    "block": "string",
    "method": "string",
    "training_seed": "Int64",
    "repeat": "int64",
    "repeat_seed": "int64",
    "metric": "string",
    "value": "float64",
}
"""Columns of ``metrics.csv`` in order, with their types; ``training_seed`` is empty for what was not trained here."""

_GROUP = ["dataset", "origin", "skeleton", "tower", "evaluator", "protocol", "block", "method"]


def rows(origin: Origin, measured: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``metrics.csv`` from :func:`evaluators.evaluation.evaluate`'s result, which names the methods."""
    return validated(measured.assign(**asdict(origin)), f"results of {', '.join(measured['method'].unique())}")


def validated(frame: pd.DataFrame, where: str | Path) -> pd.DataFrame:
    """``frame`` with the columns, types and order of :data:`COLUMNS`.

    Raises:
        DataError: unexpected columns or values; the message names them.
    """
    if set(frame.columns) != set(COLUMNS):
        missing, extra = sorted(set(COLUMNS) - set(frame.columns)), sorted(set(frame.columns) - set(COLUMNS))
        raise DataError(
            f"{where}: not a table of metrics (missing columns: {quoted(missing)}, unexpected: {quoted(extra)})."
        )
    try:
        # An empty column reads as floats, which become integers only by way of their own type.
        typed = frame[list(COLUMNS)].astype({"training_seed": "Float64"}).astype(COLUMNS)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: a value is not of its column's type ({brief(error)}).") from error
    for name in typed["block"].unique():
        if name not in get_args(BlockName):
            raise DataError(unknown("block", name, get_args(BlockName), str(where)))
    for name in typed["metric"].unique():
        if name not in METRICS:
            raise DataError(unknown("metric", name, METRICS, str(where)))
    if not np.isfinite(typed["value"]).all():
        bad = typed[~np.isfinite(typed["value"])].iloc[0]
        raise DataError(f"{where}: {bad['metric']} of {bad['method']} in repeat {bad['repeat']} is not finite.")
    return typed.reset_index(drop=True)


def read(path: str | Path) -> pd.DataFrame:
    """Read and check a ``metrics.csv``.

    Raises:
        DataError: missing or broken file, or not a table of metrics.
    """
    return validated(files.read_csv(path, dtype={"evaluator": str}), path)  # a fingerprint of digits is no number


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval of each metric of each method.

    Columns beside the group's: ``mean`` (of the training seeds' means), ``interval`` (half width over the repeats of
    one seed, by the protocol's factor and ``std(ddof=0)``; the mean of the seeds' intervals), ``repeats`` (of one
    seed), ``seeds``, ``seed_std`` (``ddof=1``, over the seeds' means; empty for one seed). Rows are sorted by group,
    metrics in the order of :data:`METRICS`.
    """
    frame = frame.assign(metric=pd.Categorical(frame["metric"], list(METRICS), ordered=True))
    by_seed = frame.groupby([*_GROUP, "metric", "training_seed"], dropna=False, observed=True)["value"]
    seeds = by_seed.agg(mean="mean", std=lambda values: values.std(ddof=0), repeats="size").reset_index()
    factor = {name: _protocol(name).interval for name in seeds["protocol"].unique()}
    seeds["interval"] = seeds["protocol"].map(factor).astype(float) * seeds["std"] / np.sqrt(seeds["repeats"])
    summary = seeds.groupby([*_GROUP, "metric"], dropna=False, observed=True).agg(
        mean=("mean", "mean"),
        interval=("interval", "mean"),
        repeats=("repeats", "first"),
        seeds=("mean", "size"),
        seed_std=("mean", "std"),
    )
    return summary.reset_index().astype({"metric": "string"})


def _protocol(identity: str) -> protocols.Protocol:
    protocol = protocols.load(identity.partition("/")[0])
    if protocol.id != identity:
        raise DataError(f"results of protocol {identity!r}, but this code knows {protocol.id!r}. Evaluate again.")
    return protocol
