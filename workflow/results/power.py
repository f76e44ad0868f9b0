"""How many training seeds it takes to decide a claim of a given size: the power of the test that decides claims.

Rows are compared seed by seed, with an error that is pooled over all rows (:mod:`workflow.results.contrasts`), and
p-values are corrected for all claims. The scatter of a difference is estimated from a finished study; effects are those
that the paper prints. Holm's correction is between none and Bonferroni's, which is used here: the number of seeds is
enough, and can be more than needed.
"""

import math
from collections.abc import Sequence

import pandas as pd
from scipy import stats

from workflow.results.claims import Claim, Quality
from workflow.results.contrasts import LEVEL, Blocks, trainings

POWER = 0.8
"""Probability with which an effect shall be found."""
MOST = 1000
"""Larger numbers of seeds are not computed."""


def power(seeds: int, effect: float, scatter: float, *, rows: int = 2, tests: int = 1) -> float:
    """Probability that a two-sided test at :data:`LEVEL` finds a true difference of two rows.

    Args:
        seeds: trainings of each row.
        effect: the true mean of the differences.
        scatter: standard deviation of the difference of two trainings with one seed.
        rows: rows over which the error is pooled; 2: a paired t test.
        tests: tests for which p-values are corrected.
    """
    if seeds < 2:
        return 0.0
    freedom, shift = (rows - 1) * (seeds - 1), abs(effect) / scatter * math.sqrt(seeds)
    bound = stats.t.ppf(1 - LEVEL / tests / 2, freedom)
    # The difference is found with its own sign, or with the other one.
    return float(stats.nct.sf(bound, freedom, shift)) + float(stats.nct.sf(bound, freedom, -shift))


def seeds_needed(effect: float, scatter: float, *, rows: int = 2, tests: int = 1) -> int | None:
    """Fewest training seeds of each row that give the test the power :data:`POWER`; ``None``: above :data:`MOST`."""

    def enough(seeds: int) -> bool:
        return power(seeds, effect, scatter, rows=rows, tests=tests) >= POWER

    if not enough(MOST):
        return None
    few, many = 1, MOST
    while many - few > 1:  # power grows with the number of seeds
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def needed(claims: Sequence[Claim], metrics: pd.DataFrame) -> pd.DataFrame:
    """Seeds that decide each claim on two methods for which the paper prints numbers, at the paper's effect.

    Only claims are considered whose printed effect can be set beside one here (:meth:`Quality.printed`). FID is
    compared in logarithms, as claims are. The error is pooled over the rows that the study has, and the correction is
    for all claims.

    Args:
        claims: the paper's.
        metrics: ``metrics.csv`` of a study with several training seeds.

    Returns:
        Columns ``claim``, ``dataset``, ``metric``, ``effect``, ``scatter``, and ``seeds`` (empty: above :data:`MOST`).
    """
    rows = []
    for claim in claims:
        if not isinstance(claim, Quality) or (effect := claim.printed()) is None:
            continue
        found = trainings(metrics, claim.dataset, claim.metric)
        if found.empty:
            continue
        scatter = Blocks.of(found, claim.metric).scatter
        seeds = seeds_needed(effect, scatter, rows=found["method"].nunique(), tests=len(claims))
        rows.append((claim.claim, claim.dataset, claim.metric, effect, scatter, seeds))
    frame = pd.DataFrame(rows, columns=["claim", "dataset", "metric", "effect", "scatter", "seeds"])
    return frame.astype({"seeds": "Int64"})
