"""Effects of changing fusion weights after training, and the paragraph about them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from evaluators.results import DISTANCE, METRICS, PRECISION
from evaluators.sensitivity import half_width
from intermamba.names import dataset_name
from workflow.cells import decimals, signed

LEARNED = "learned"
NAMES = {LEARNED: "as learned", "mean": "all at their mean", "swapped": "alpha and beta exchanged", "one": "all at one"}
"""Changes of the weights (:mod:`workflow.evaluation.fusion`), in words."""
MEASURED = PRECISION, DISTANCE
SAMPLES = ["dataset", "method", "weights", "first_step", "last_step", "metric"]


def effects(measured: pd.DataFrame) -> pd.DataFrame:
    """Every change's mean, and its difference from the learned weights, over trainings or, of one training, repeats.

    Args:
        measured: rows of every ``fusion.csv``.

    Returns:
        Columns :data:`SAMPLES`, ``whole`` (whether all diffusion steps are changed), ``mean``, ``change``, and
        ``interval``, half width of the change's 95% interval (Student's t). Differences are taken in the same training
        and repeat. Ranges of diffusion steps that change nothing at all have no step of the sampler and are left out.
    """
    rows = [_effects(one) for _, one in measured.groupby(["dataset", "method"], sort=False)]
    return pd.concat(rows, ignore_index=True)


def _effects(measured: pd.DataFrame) -> pd.DataFrame:
    """Those of one method on one dataset."""
    unit = "training_seed" if measured["training_seed"].nunique() > 1 else "repeat"
    values = measured.groupby([*SAMPLES, unit], sort=False)["value"].mean().reset_index()
    own = values[values["weights"] == LEARNED].set_index(["dataset", "method", "metric", unit])["value"]
    place = pd.MultiIndex.from_frame(values[["dataset", "method", "metric", unit]])
    values["change"] = values["value"].to_numpy() - own.reindex(place).to_numpy()
    found = values.groupby(SAMPLES, sort=False).agg(
        mean=("value", "mean"), change=("change", "mean"), interval=("change", half_width)
    )
    found = found.reset_index()
    found["whole"] = (found["first_step"] == 0) & (found["last_step"] == found["last_step"].max())
    changed = found["change"] != 0.0
    touched = changed.groupby([found["weights"], found["first_step"], found["last_step"]]).transform("any")
    return found[found["whole"] | touched]


def sentences(measured: pd.DataFrame, label: Callable[[str], str]) -> str:
    """What changing the weights does on each dataset, with numbers.

    Args:
        measured: rows of every ``fusion.csv``.
        label: the printed name of a method.
    """
    groups = effects(measured).groupby(["dataset", "method"], sort=False)
    return " ".join(sentence for (_, _), one in groups for sentence in _sentences(one, label))


def _sentences(found: pd.DataFrame, label: Callable[[str], str]) -> Iterator[str]:
    rows = [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]
    whole = {(row["weights"], row["metric"]): row for row in rows if row["whole"]}
    precision, distance = (decimals(whole[LEARNED, name]["mean"], METRICS[name].digits) for name in MEASURED)
    yield (
        f"{label(rows[0]['method'])} on {dataset_name(rows[0]['dataset'])} has an R-precision (top 3) of {precision} "
        f"and an FID of {distance} with its learned fusion weights."
    )
    changes = [
        f"{words}, R-precision changes by {_change(whole[name, PRECISION])} and FID by {_change(whole[name, DISTANCE])}"
        for name, words in NAMES.items()
        if name != LEARNED
    ]
    yield f"With {'; with '.join(changes)}."
    parts = [row for row in rows if not row["whole"] and row["metric"] == DISTANCE]
    if parts:
        each = [f"{_change(row)} at steps {row['first_step']} to {row['last_step']}" for row in parts]
        yield (
            "Exchanged in one range of diffusion steps alone (0 is the clean motion), they change FID by "
            f"{', '.join(each)}; ranges in which no step is sampled are left out."
        )


def _change(row: Mapping[str, Any]) -> str:
    digits = METRICS[row["metric"]].digits
    return f"{signed(row['change'], digits)} (±{decimals(row['interval'], digits)})"
