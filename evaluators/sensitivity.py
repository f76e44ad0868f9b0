"""What an evaluator notices: how each metric of real motion moves when the motion is damaged.

A damaged source draws the very clips, captions, windows and persons that the undamaged one draws in the same repeat, so
differences are paired and hold the damage alone.
"""

from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from evaluators.results import METRICS
from intermamba.errors import DataError

REAL = "real"
"""The method whose motions are not damaged."""

Verdict = Literal["notices", "blind", "fooled"]
"""What a metric makes of a perturbation: see :func:`changes`."""


def changes(frame: pd.DataFrame) -> pd.DataFrame:
    """What each metric is on undamaged motion, and how each perturbation changes it in the same repeats.

    Columns: ``method`` and ``metric`` in the order of ``frame``; ``mean``, of the metric for ``real`` and of its change
    (damaged less undamaged) for the others; ``interval``, half width of that mean's 95% interval over repeats
    (Student's t, since repeats may be few); ``repeats``; ``blur``, the change up to which nobody would see the damage:
    the largest of its own interval, that of undamaged motion, which stands beside the metric in every table, and what
    rounding to the digits shown hides; and ``verdict``. The last two are empty for ``real``.

    - ``blind``: the change is within the blur.
    - ``fooled``: else, if the change is in the direction in which the metric gets better.
    - ``notices``: else. A metric without a better direction notices whatever changes it.

    Raises:
        DataError: no undamaged motion, or not the same repeats of it and of a perturbation.
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
                "more; some are not there. Run `intermamba sensitivity` again."
            )
        shown = whole if method == REAL else values - whole
        mean, interval, blur, found = float(shown.mean()), half_width(shown), float("nan"), ""
        if method != REAL:
            blur = max(interval, half_width(whole), 0.5 * 10 ** -METRICS[metric].digits)
            found = verdict(metric, mean, blur)
        rows.append((method, metric, mean, interval, len(whole), blur, found))
    return pd.DataFrame(rows, columns=["method", "metric", "mean", "interval", "repeats", "blur", "verdict"])


def half_width(values: pd.Series) -> float:
    """Half width of the 95% interval of the mean, by Student's t."""
    return float(special.stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values)))


def verdict(metric: str, change: float, blur: float) -> Verdict:
    """What a change of ``metric`` says where changes up to ``blur`` say nothing."""
    if abs(change) <= blur:
        return "blind"
    better = {"up": 1, "down": -1, "closer": 0}[METRICS[metric].direction]
    return "fooled" if change * better > 0 else "notices"
