"""How many training seeds it takes to decide a claim of a given size: the power of the paired t test over seeds.

Two rows are compared seed by seed (:mod:`workflow.results.contrasts`). The scatter of such a difference is estimated
from a finished study, pooled over its rows; effects are those that the paper prints. Correction for several claims made
together asks for more.
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


def power(seeds: int, effect: float, scatter: float) -> float:
    """Probability that a two-sided paired t test at :data:`LEVEL` finds a true difference.

    Args:
        seeds: trainings of each of the two rows.
        effect: the true mean of the differences.
        scatter: standard deviation of the difference of two trainings with one seed.
    """
    if seeds < 2:
        return 0.0
    freedom, shift = seeds - 1, abs(effect) / scatter * math.sqrt(seeds)
    bound = stats.t.ppf(1 - LEVEL / 2, freedom)
    # The difference is found with its own sign, or with the other one.
    return float(stats.nct.sf(bound, freedom, shift)) + float(stats.nct.sf(bound, freedom, -shift))


def seeds_needed(effect: float, scatter: float) -> int | None:
    """Fewest training seeds of each row that give the test the power :data:`POWER`; ``None``: above :data:`MOST`."""
    if power(MOST, effect, scatter) < POWER:
        return None
    few, enough = 1, MOST
    while enough - few > 1:  # power grows with the number of seeds
        middle = (few + enough) // 2
        few, enough = (few, middle) if power(middle, effect, scatter) >= POWER else (middle, enough)
    return enough


def needed(claims: Sequence[Claim], metrics: pd.DataFrame) -> pd.DataFrame:
    """Seeds that decide each claim on two methods for which the paper prints numbers, at the paper's effect.

    FID is compared in logarithms, as claims are.

    Args:
        claims: the paper's.
        metrics: ``metrics.csv`` of a study with several training seeds.

    Returns:
        Columns ``claim``, ``dataset``, ``metric``, ``effect``, ``scatter``, and ``seeds`` (empty: above :data:`MOST`).
    """
    rows = []
    for claim in claims:
        if not isinstance(claim, Quality) or claim.paper is None:
            continue
        found = trainings(metrics, claim.dataset, claim.metric)
        if found.empty:
            continue
        first, second = claim.paper.numbers()
        effect = first - second
        if claim.metric == "fid":
            effect = math.log(first / second)
        scatter = Blocks.of(found, claim.metric).scatter
        rows.append((claim.claim, claim.dataset, claim.metric, effect, scatter, seeds_needed(effect, scatter)))
    frame = pd.DataFrame(rows, columns=["claim", "dataset", "metric", "effect", "scatter", "seeds"])
    return frame.astype({"seeds": "Int64"})
