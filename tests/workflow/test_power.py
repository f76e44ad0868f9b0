"""Power of the paired t test: published values, simulation, and the number of seeds."""

import numpy as np
import pandas as pd
import pytest
import workflow_study as made_up
from places import ROOT
from scipy import stats

from workflow.results.claims import load
from workflow.results.contrasts import Blocks
from workflow.results.power import needed, power, seeds_needed

G_POWER = {0.2: 199, 0.5: 34, 0.8: 15}
"""Pairs for a power of 0.8 at 5%, two-sided, by effect in standard deviations of the difference: what G*Power 3 (Faul
et al. 2007) gives for two dependent means, and R's ``power.t.test`` before rounding up (33.367 for 0.5)."""


@pytest.mark.parametrize(("size", "pairs"), G_POWER.items())
def test_the_number_of_pairs_is_that_of_published_tables(size: float, pairs: int) -> None:
    assert seeds_needed(size, 1.0) == pairs
    assert power(pairs - 1, size, 1.0) < 0.8 <= power(pairs, size, 1.0)


@pytest.mark.parametrize(("seeds", "size"), [(3, 2.0), (5, 1.5), (10, 0.5)])
def test_power_is_the_share_of_simulated_tests(seeds: int, size: float) -> None:
    drawn = np.random.default_rng(0).normal(size, 1.0, (20_000, seeds))
    found = stats.ttest_1samp(drawn, 0.0, axis=1).pvalue < 0.05
    assert power(seeds, size, 1.0) == pytest.approx(found.mean(), abs=0.012)


def test_a_pooled_error_and_a_correction_are_those_of_simulated_studies() -> None:
    """Four rows with five seeds, the first with an effect, in the two-way analysis of variance; ten tests."""
    rows, seeds, size = 4, 5, 1.6
    values = np.random.default_rng(0).normal(size=(20_000, rows, seeds)) / np.sqrt(2)
    values[:, 0] += size
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=2, keepdims=True)
    rest += values.mean(axis=(1, 2), keepdims=True)
    freedom = (rows - 1) * (seeds - 1)
    error = np.sqrt(2 * np.square(rest).sum(axis=(1, 2)) / freedom / seeds)
    found = 2 * stats.t.sf(np.abs(values[:, 0].mean(axis=1) - values[:, 1].mean(axis=1)) / error, freedom) < 0.005
    assert power(seeds, size, 1.0, rows=rows, tests=10) == pytest.approx(found.mean(), abs=0.012)


def test_without_an_effect_power_is_the_level() -> None:
    assert power(5, 0.0, 1.0) == pytest.approx(0.05)
    assert seeds_needed(0.0, 1.0) is None
    assert power(1, 9.0, 1.0) == 0.0


def test_sign_and_scale_do_not_matter() -> None:
    assert power(4, -0.3, 0.2) == pytest.approx(power(4, 3.0, 2.0))


def test_scatter_is_that_of_paired_differences() -> None:
    values = np.random.default_rng(0).normal(size=(5, 2))
    frame = pd.DataFrame([{"method": f"m{m}", "seed": s, "value": values[s, m]} for m in range(2) for s in range(5)])
    assert Blocks(frame).scatter == pytest.approx(np.std(values[:, 1] - values[:, 0], ddof=1))


def test_claims_get_their_seeds() -> None:
    runs = [made_up.metrics("interhuman", name, seed) for name in ("intermamba", "intergen") for seed in (0, 1, 2)]
    noise = np.random.default_rng(0).normal(0.0, 0.02, 6)
    metrics = pd.concat(
        [frame.assign(value=frame["value"] * (1 + 3 * by)) for frame, by in zip(runs, noise, strict=True)]
    )
    claims = load(ROOT / "results/paper/reported/claims.yaml")
    found = needed(claims, metrics).set_index("claim")
    assert set(found["dataset"]) == {"interhuman"}
    assert set(found["metric"]) == {"top1", "top3", "fid"}
    assert not found.index.str.contains("Self-ASTM instead").any(), "Table 5 mixes scales"
    study = {"rows": 2, "tests": len(claims)}
    one = found.loc["InterMamba follows the text better than InterGen"]
    assert one["effect"] == pytest.approx(0.475 - 0.371)
    assert one["seeds"] == seeds_needed(one["effect"], one["scatter"], **study)
    fid = found.loc["InterMamba's FID is higher than InterGen's"]
    assert fid["effect"] == pytest.approx(np.log(5.945 / 5.918))
    assert fid["seeds"] == seeds_needed(fid["effect"], fid["scatter"], **study)
