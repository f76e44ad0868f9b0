"""The metrics against closed forms, and against numbers computed by the official functions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from evaluators.metrics import diversity, frechet_distance, mm_dist, multimodality, r_precision, require_finite
from intermamba.errors import DataError


def formula(rows: int, width: int, phase: float) -> np.ndarray:
    i, j = np.arange(rows)[:, None], np.arange(width)
    return np.sin(0.37 * (i + 1) * (j + 1) + phase) + 0.3 * np.cos(1.7 * i * i + 0.9 * j + phase) + 0.05 * j


X = formula(400, 16, 0.1)
Y = formula(400, 16, 0.8) + 0.1 * formula(400, 16, 2.0)

# Computed by InterGen's and Inter-X's utils/metrics.py in float64 on X and Y; they differ by the factors 6 and 1/2.
OFFICIAL = {
    "r_precision": [0.32291666666666669, 0.54166666666666663, 0.69791666666666663],
    "mm_dist": 2.29289897584245,
    "fid": {6: 47.539096901117205, 1: 1.3205304694754645},
    "diversity": {6: 12.101816527656224, 1: 4.033938842552076},  # np.random.seed(7), 50 pairs
    "multimodality": 3.4793874142376575,  # np.random.seed(9), 8 captions x 50 samples, 5 pairs
}


def test_equal_to_the_official_functions() -> None:
    np.testing.assert_allclose(r_precision(X[:96], Y[:96]), OFFICIAL["r_precision"], rtol=0, atol=1e-12)
    assert mm_dist(X[:96], Y[:96]) == pytest.approx(OFFICIAL["mm_dist"], abs=1e-9)
    for scale, halved in ((6, True), (1, False)):
        assert frechet_distance(scale * X, scale * Y) == pytest.approx(OFFICIAL["fid"][scale], abs=1e-9)
        found = diversity(scale * X, pairs=50, seed=7, halved=halved)
        assert found == pytest.approx(OFFICIAL["diversity"][scale], abs=1e-9)
    assert multimodality(X.reshape(8, 50, 16), pairs=5, seed=9) == pytest.approx(OFFICIAL["multimodality"], abs=1e-9)


def test_tensors_and_arrays_give_the_same() -> None:
    assert frechet_distance(torch.from_numpy(X), Y) == frechet_distance(X, torch.from_numpy(Y))
    assert mm_dist(torch.from_numpy(X), torch.from_numpy(Y)) == mm_dist(X, Y)


class TestRPrecision:
    def test_own_motion_is_nearest(self) -> None:
        np.testing.assert_array_equal(r_precision(X[:32], X[:32] + 1e-6), [1, 1, 1])

    def test_ranks_are_counted(self) -> None:
        text = np.zeros((4, 1))
        motion = np.array([[1.0], [2.0], [3.0], [4.0]])  # of every text, motion k is the k-th nearest
        np.testing.assert_array_equal(r_precision(text, motion), [0.25, 0.5, 0.75])

    def test_retrieves_motions_for_texts_and_not_texts_for_motions(self) -> None:
        text, motion = np.array([[0.0], [10.0]]), np.array([[6.0], [9.0]])
        np.testing.assert_array_equal(r_precision(text, motion, top_k=1), [1.0])
        np.testing.assert_array_equal(r_precision(motion, text, top_k=1), [0.5])

    def test_a_constant_evaluator_is_at_chance(self) -> None:
        flat = np.ones((32, 5))
        np.testing.assert_allclose(r_precision(flat, flat), np.array([1, 2, 3]) / 32)

    def test_unrelated_pairs_are_at_chance(self) -> None:
        draws = np.random.default_rng(0)
        found = np.mean(
            [r_precision(draws.normal(size=(32, 8)), draws.normal(size=(32, 8))) for _ in range(400)], axis=0
        )
        np.testing.assert_allclose(found, np.array([1, 2, 3]) / 32, atol=0.006)  # 4 standard errors

    @given(st.permutations(range(12)))
    @settings(max_examples=20, deadline=None)
    def test_order_of_the_pairs_does_not_matter(self, order: list[int]) -> None:
        np.testing.assert_allclose(r_precision(X[order], Y[order]), r_precision(X[:12], Y[:12]))

    def test_refuses_what_is_no_batch(self) -> None:
        with pytest.raises(DataError, match="pair up"):
            r_precision(X[:4], Y[:5])
        with pytest.raises(DataError, match="at least 3"):
            r_precision(X[:2], Y[:2])


def test_mm_dist_is_the_mean_length_of_the_gap() -> None:
    assert mm_dist(X, X + np.array([3.0, 4.0] + [0.0] * 14)) == pytest.approx(5.0, abs=1e-12)


class TestFrechetDistance:
    def test_of_a_shift_is_its_squared_length(self) -> None:
        assert frechet_distance(X, X + 0.5) == pytest.approx(16 * 0.25, abs=1e-9)

    def test_of_a_scaling_is_closed_form(self) -> None:
        centred = X - X.mean(axis=0)  # sqrt(C * 4C) = 2C, so tr C + tr 4C - 2 tr 2C = tr C
        assert frechet_distance(centred, 2 * centred) == pytest.approx(np.cov(X, rowvar=False).trace(), rel=1e-10)

    def test_of_commuting_covariances_is_closed_form(self) -> None:
        white = np.linalg.qr(X - X.mean(axis=0)).Q * np.sqrt(len(X) - 1)
        one, two = np.linspace(0.5, 2, 16), np.linspace(3, 0.1, 16)
        assert frechet_distance(white * one, white * two) == pytest.approx(np.square(one - two).sum(), rel=1e-9)

    def test_agrees_with_the_square_root_of_a_matrix(self) -> None:
        root = linalg.sqrtm(np.cov(X, rowvar=False) @ np.cov(Y, rowvar=False)).real
        gap = X.mean(axis=0) - Y.mean(axis=0)
        classic = gap @ gap + np.trace(np.cov(X, rowvar=False) + np.cov(Y, rowvar=False) - 2 * root)
        assert frechet_distance(X, Y) == pytest.approx(classic, abs=1e-9)

    def test_fewer_samples_than_dimensions(self) -> None:
        few, other = formula(20, 64, 0.3), formula(30, 64, 1.1)
        assert frechet_distance(few, few) == pytest.approx(0, abs=1e-10)
        assert frechet_distance(few, few + 1) == pytest.approx(64, rel=1e-10)
        assert frechet_distance(few, other) == pytest.approx(frechet_distance(other, few), rel=1e-10)
        # Dimensions that nothing uses change nothing.
        wide = [np.concatenate([values, np.zeros((len(values), 40))], axis=1) for values in (few, other)]
        assert frechet_distance(*wide) == pytest.approx(frechet_distance(few, other), rel=1e-10)

    def test_rotation_changes_nothing(self) -> None:
        turn = np.linalg.qr(formula(16, 16, 0.4)).Q
        assert frechet_distance(X @ turn, Y @ turn) == pytest.approx(frechet_distance(X, Y), rel=1e-10)

    def test_refuses_one_sample_and_other_widths(self) -> None:
        with pytest.raises(DataError, match="two or more"):
            frechet_distance(X[:1], Y)
        with pytest.raises(DataError, match="one width"):
            frechet_distance(X, Y[:, :3])


class TestSpread:
    def test_diversity_of_a_constant_is_zero(self) -> None:
        assert diversity(np.ones((40, 3)), pairs=30, seed=1) == 0

    def test_diversity_of_two_values(self) -> None:
        points = np.repeat([[0.0], [1.0]], 500, axis=0)
        assert diversity(points, pairs=900, seed=3) == pytest.approx(0.5, abs=0.05)
        assert diversity(points, pairs=900, seed=3, halved=True) == diversity(points, pairs=900, seed=3) / 2

    def test_multimodality_looks_within_a_caption_only(self) -> None:
        captions = np.repeat(np.arange(5.0)[:, None, None], 8, axis=1) * 100  # far apart, but each says one thing
        assert multimodality(captions, pairs=4, seed=0) == 0

    def test_seeds_decide(self) -> None:
        assert diversity(X, 50, seed=1) == diversity(X, 50, seed=1) != diversity(X, 50, seed=2)
        assert diversity(X, 50, seed=2**62 + 1) == diversity(X, 50, seed=1)  # 32 bits of a derived seed are used

    @pytest.mark.parametrize("measure", [lambda: diversity(X, 400, 0), lambda: multimodality(X[None], 400, 0)])
    def test_needs_more_samples_than_pairs(self, measure) -> None:
        with pytest.raises(DataError, match="more than 400 samples, got 400"):
            measure()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(bad: float) -> None:
    broken = X.copy()
    broken[17, 3] = bad
    for measure in (
        lambda: frechet_distance(X, broken),
        lambda: mm_dist(broken, Y),
        lambda: r_precision(X, broken),
        lambda: diversity(broken, 5, 0),
    ):
        with pytest.raises(DataError, match="sample 17"):
            measure()
    with pytest.raises(DataError, match="caption 2"):
        multimodality(broken.reshape(50, 8, 16), 5, 0)
    with pytest.raises(DataError, match=r"1 of 400 .* clip 0017\."):
        require_finite(broken, [f"clip {index:04d}" for index in range(400)])
