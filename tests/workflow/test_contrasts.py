"""Contrasts against scipy, closed forms and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.multitest import multipletests

from workflow.results.contrasts import Blocks, Contrast, above_chance, alike, distinguishable, holm, paired, unpaired


def trainings(methods=4, seeds=3, spread=0.1, shift=1.0, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=seeds)
    return pd.DataFrame(
        [
            {"method": f"m{m}", "seed": s, "value": m * shift + common[s] + spread * rng.normal()}
            for m in range(methods)
            for s in range(seeds)
        ]
    )


def test_two_methods_are_the_paired_t_test():
    frame = trainings(methods=2, seeds=5)
    wide = frame.pivot(index="seed", columns="method", values="value")
    expected = stats.ttest_rel(wide["m1"], wide["m0"])
    found = Blocks(frame).difference("m1", "m0")
    low, high = expected.confidence_interval(0.95)
    assert (found.effect, found.low, found.high, found.p) == pytest.approx(
        ((wide["m1"] - wide["m0"]).mean(), low, high, expected.pvalue)
    )


def test_pooling_in_closed_form():
    frame = trainings()
    wide = frame.pivot(index="seed", columns="method", values="value").to_numpy()
    residual = wide - wide.mean(0) - wide.mean(1, keepdims=True) + wide.mean()
    freedom = (3 - 1) * (4 - 1)
    error = np.sqrt(2 / 3 * (residual**2).sum() / freedom)
    blocks = Blocks(frame)
    found = blocks.difference("m3", "m1")
    assert blocks.freedom == freedom
    assert found.effect == pytest.approx(wide[:, 3].mean() - wide[:, 1].mean())
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, freedom) * error)


@pytest.mark.parametrize("absent", [(), (("m0", 1), ("m2", 0), ("m2", 2))], ids=["balanced", "unbalanced"])
def test_contrasts_are_those_of_statsmodels(absent):
    frame = trainings(seeds=4)
    frame = frame[[pair not in absent for pair in zip(frame["method"], frame["seed"], strict=True)]]
    fit, within = (ols(f"value ~ 0 + C(method){seeds}", frame).fit() for seeds in (" + C(seed)", ""))
    blocks = Blocks(frame)
    assert blocks.freedom == fit.df_resid
    for model, found, hypothesis in (
        (fit, blocks.difference("m3", "m2"), "C(method)[m3] - C(method)[m2] = 0"),
        (within, blocks.against("m2", 1.5), "C(method)[m2] = 1.5"),
    ):
        expected = model.t_test(hypothesis)
        shift = 1.5 if "1.5" in hypothesis else 0.0
        low, high = expected.conf_int()[0]
        assert (found.effect, found.low, found.high, found.p) == pytest.approx(
            (expected.effect[0] - shift, low - shift, high - shift, float(expected.pvalue))
        )


def test_a_constant_is_compared_with_the_mean_over_seeds():
    frame = trainings()
    found = Blocks(frame).against("m2", 0.5)
    assert found.effect == pytest.approx(frame.query("method == 'm2'")["value"].mean() - 0.5)


def test_one_row_against_a_constant_is_the_t_test():
    frame = trainings(methods=1, seeds=5)
    found = Blocks(frame).against("m0", 0.3)
    assert found.p == pytest.approx(stats.ttest_1samp(frame["value"], 0.3).pvalue)


def test_seeds_do_not_cancel_against_a_constant():
    """Rows that rise and fall together with the seed: a sure difference between them, not one from chance."""
    frame = trainings(methods=2, shift=0.01, spread=0.0001)
    assert Blocks(frame).difference("m1", "m0").p < 0.01
    centred = frame.assign(value=frame["value"] - frame["value"].mean() + 0.1)
    assert not above_chance(Blocks(centred).against("m0", 0.0))


def test_rows_without_a_common_seed_are_not_compared():
    frame = pd.concat(
        [trainings(methods=2), trainings(methods=1).assign(method="other", seed=lambda one: one["seed"] + 3)]
    )
    blocks = Blocks(frame)
    with pytest.raises(ValueError, match="share no training seed"):
        blocks.difference("other", "m0")
    assert blocks.difference("m1", "m0").p < 0.05
    other = frame.query("method == 'other'")["value"]
    assert blocks.against("other", 0.0).effect == pytest.approx(other.mean())


def test_too_few_common_seeds_are_said():
    frame = pd.DataFrame({"method": ["a", "a", "b", "b"], "seed": [0, 1, 1, 2], "value": [1.0, 1.1, 2.0, 2.1]})
    with pytest.raises(ValueError, match="too few training seeds"):
        Blocks(frame).difference("a", "b")


def test_methods_may_have_other_seeds():
    frame = trainings()
    cut = frame[~((frame["method"] == "m2") & (frame["seed"] == 2))]
    found = Blocks(cut).difference("m2", "m0")
    # The missing training is estimated from the seed's effect on the others, not left out.
    assert found.effect == pytest.approx(2.0, abs=0.3)
    assert found.high - found.low > 0


def test_intervals_cover_and_p_is_uniform_under_no_difference():
    found = [Blocks(trainings(shift=0.0, seed=seed)).difference("m1", "m0") for seed in range(400)]
    covered = np.mean([one.low <= 0.0 <= one.high for one in found])
    assert 0.92 < covered < 0.98
    assert stats.kstest([one.p for one in found], "uniform").pvalue > 0.01


def test_one_training_a_method_is_refused():
    with pytest.raises(ValueError, match="trained once"):
        Blocks(trainings(seeds=1))
    with pytest.raises(ValueError, match="one difference"):
        paired([1.0])
    with pytest.raises(ValueError, match="one value"):
        unpaired([1.0], [1.0, 2.0])


def test_paired_and_unpaired_are_scipys():
    a, b = [1.0, 1.2, 0.9], [2.0, 2.5, 2.2]
    assert paired([value - 1.0 for value in a]).p == pytest.approx(stats.ttest_1samp(a, 1.0).pvalue)
    found = unpaired(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert (found.p, found.low) == pytest.approx((expected.pvalue, expected.confidence_interval(0.95).low))
    assert found.exponential().effect == pytest.approx(np.exp(np.mean(a) - np.mean(b)))


def test_no_scatter_at_all():
    assert paired([2.0, 2.0]) == Contrast(2.0, 2.0, 2.0, 0.0, 0.0, freedom=1.0)
    assert paired([0.0, 0.0]).p == 1.0


def test_of_equal_rows_the_best_is_rarely_distinguished_from_the_worst():
    """The level holds for rows that the data chose: Tukey's test. That of two rows is the paired t test."""
    wrong = 0
    for seed in range(300):
        frame = trainings(methods=8, shift=0.0, seed=seed)
        worst, *_, best = frame.groupby("method")["value"].mean().sort_values().index
        wrong += Blocks(frame).distinguished(best, worst, 8)
    assert 0.02 < wrong / 300 < 0.08
    for seed in range(5):
        pair = Blocks(trainings(methods=2, shift=0.2, seed=seed))
        assert pair.distinguished("m1", "m0", 2) == distinguishable(pair.difference("m1", "m0").p)
    assert Blocks(trainings(methods=2, spread=0.0)).distinguished("m1", "m0", 2)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(0).uniform(0, 0.2, 30)
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_above_chance_and_distinguishable_are_decided_over_training_seeds():
    frame = trainings(methods=2, spread=0.1, shift=0.0)
    blocks = Blocks(frame)
    level = frame.query("method == 'm0'")["value"].mean()
    assert above_chance(blocks.against("m0", level - 10.0))
    assert not above_chance(blocks.against("m0", level))
    assert not above_chance(blocks.against("m0", level + 10.0))
    assert distinguishable(0.049)
    assert not distinguishable(0.05)


def test_a_side_trained_once_is_refused():
    frame = trainings()
    once = frame[(frame["method"] != "m2") | (frame["seed"] == 0)]
    blocks = Blocks(once)
    for ask in (lambda: blocks.difference("m0", "m2"), lambda: blocks.against("m2", 0.0)):
        with pytest.raises(ValueError, match="trained once"):
            ask()


@pytest.mark.parametrize("size", [0.5, -0.5])
def test_an_effect_of_the_papers_size_is_rejected_as_by_scipy(size):
    values = np.sign(size) * np.array([0.1, 0.3, 0.05, 0.22])
    found = paired(list(values)).falls_short_of(size)
    assert found == pytest.approx(stats.ttest_1samp(values, size, alternative="less" if size > 0 else "greater").pvalue)
    assert paired(list(values)).falls_short_of(-size) < 0.001  # it lies on the other side
    assert paired(list(values)).falls_short_of(size / 100) > 0.9  # it lies beyond that


def test_without_scatter_an_effect_is_smaller_or_it_is_not():
    same = paired([0.2, 0.2])
    assert [same.falls_short_of(size) for size in (0.3, 0.2, 0.1)] == [0.0, 1.0, 1.0]


def test_equal_scatter_is_rejected_as_often_as_its_level_says() -> None:
    """Of trainings that scatter alike; where one row scatters ten times as much, it is found."""
    draws = np.random.default_rng(0)
    names = np.repeat(list("abcde"), 3)

    def tested(spread: np.ndarray) -> list[float]:
        values = draws.normal(0, np.repeat(spread, 3), (400, 15))
        once = pd.DataFrame({"method": ["f"], "value": [9.0]})  # a row without scatter is left out
        return [alike(pd.concat([pd.DataFrame({"method": names, "value": one}), once])) for one in values]

    assert np.mean(np.array(tested(np.ones(5))) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(tested(np.array([1, 1, 1, 1, 10.0]))) < 0.05) > 0.8
