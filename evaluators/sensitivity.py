"""Sensitivity of an evaluator: how each metric of real motion changes when the motion is damaged.

A damaged source draws the same clips, captions, windows and persons as the undamaged one in the same repeat, so
differences are paired and due to the damage alone.
"""

from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from evaluators.results import METRICS, REAL
from intermamba.errors import DataError

Verdict = Literal["detects", "blind", "fooled"]
"""Response of a metric to a perturbation: see :func:`changes`."""


def changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Each metric on undamaged motion, and its change under each perturbation in the same repeats.

    Columns: ``method`` and ``metric`` in the order of ``frame``; ``mean``, of the metric for ``real`` and of its change
    (damaged less undamaged) for the others; ``interval``, half width of that mean's 95% interval over repeats
    (Student's t, since repeats may be few); ``repeats``; ``blur``, the largest change that a table would not show: the
    maximum of its own interval, that of undamaged motion, which every table prints, and half of the last printed digit;
    and ``verdict``. The last two are empty for ``real``.

    - ``blind``: the change is within the blur.
    - ``fooled``: else, if the change is in the direction in which the metric gets better.
    - ``detects``: else, also for any change of a metric without a better direction.

    Raises:
        DataError: undamaged motion is missing, or has other repeats than a perturbation.
    """
    measured = {
        (str(method), str(metric)): found.set_index("repeat")["value"]
        for (method, metric), found in frame.groupby(["method", "metric"], sort=False)
    }
    rows = []
    for (method, metric), values in measured.items():
        whole = measured.get((REAL, metric), pd.Series())
        if len(whole) < 2 or sorted(whole.index) != sorted(values.index):
            raise DataError(
                f"{metric} under {method!r}: damaged and undamaged motions are compared repeat by repeat, in two or "
                "more; some are missing. Run `intermamba sensitivity` again."
            )
        compared = whole if method == REAL else values - whole
        mean, interval, blur, found = float(compared.mean()), half_width(compared), float("nan"), ""
        if method != REAL:
            blur = max(interval, half_width(whole), 0.5 * 10 ** -METRICS[metric].digits)
            found = verdict(metric, mean, blur)
        rows.append((method, metric, mean, interval, len(whole), blur, found))
    return pd.DataFrame(rows, columns=["method", "metric", "mean", "interval", "repeats", "blur", "verdict"])


def half_width(values: pd.Series) -> float:
    """Half width of the 95% interval of the mean, by Student's t."""
    return float(special.stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values)))


def verdict(metric: str, change: float, blur: float) -> Verdict:
    """The verdict on a change of ``metric``, where changes up to ``blur`` are not visible."""
    if abs(change) <= blur:
        return "blind"
    better = {"up": 1, "down": -1, "closer": 0}[METRICS[metric].direction]
    return "fooled" if change * better > 0 else "detects"
