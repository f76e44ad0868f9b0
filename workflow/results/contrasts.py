"""Differences between methods of a study, with intervals over trainings; pure functions of tables of numbers.

A training seed is a block of a randomised block design: with one seed all rows see the same order of data, the same
noise and the same draws of the evaluation, so they are compared seed by seed (a paired comparison), and the error is
pooled over all rows. A row and a constant, such as the level of chance, share no seed: there the error is the scatter
of a row's trainings, pooled likewise. With only a few seeds per row, pooling is what makes a test possible; it assumes
that seeds scatter alike in all rows (:func:`alike` tests it), which is why metrics whose errors are multiples of the
value (FID) are compared as logarithms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
"""Confidence level of intervals."""
LEVEL = 0.05
"""Significance level of p-values, corrected for the comparisons made together."""


@dataclass(frozen=True)
class Contrast:
    """Difference between two sides, first minus second, with its interval."""

    effect: float
    low: float
    high: float
    """Ends of the 95% interval."""
    p: float
    """Two-sided p-value of no difference (Student's t)."""
    error: float = math.nan
    """Standard error of the effect; of a ratio, that of its logarithm."""
    freedom: float = math.nan
    """Degrees of freedom of Student's t."""

    def exponential(self) -> "Contrast":
        """A difference of logarithms as a ratio."""
        return replace(self, effect=math.exp(self.effect), low=math.exp(self.low), high=math.exp(self.high))

    def falls_short_of(self, size: float) -> float:
        """One-sided p-value of an effect of ``size`` or more in the direction of ``size``, for a difference."""
        short = (size - self.effect) * math.copysign(1.0, size)
        if self.error == 0.0:
            return float(short <= 0.0)
        return float(stats.t.sf(short / self.error, self.freedom))


def above_chance(against_chance: Contrast) -> bool:
    """The only rule for "above chance": the 95% interval of the difference, over training seeds, is above zero."""
    return bool(against_chance.low > 0.0)


def distinguishable(p: float) -> bool:
    """The only rule for "distinguishable".

    Args:
        p: p-value of no difference over training seeds, corrected for all comparisons made together: by :func:`holm`,
            or by Tukey's test (:meth:`Blocks.distinguished`).
    """
    return bool(p < LEVEL)


def trainings(metrics: pd.DataFrame, dataset: str, metric: str) -> pd.DataFrame:
    """One row per training of a dataset: columns ``method``, ``seed`` and ``value``, the mean over its repeats.

    Args:
        metrics: rows of ``metrics.csv``.
        dataset: interhuman or interx.
        metric: one of the protocol's.
    """
    chosen = metrics[
        (metrics["block"] == "reproduced") & (metrics["dataset"] == dataset) & (metrics["metric"] == metric)
    ]
    means = chosen.groupby(["method", "training_seed"])["value"].mean()
    return means.rename_axis(index={"training_seed": "seed"}).reset_index()


def scaled(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """``frame`` on the scale of comparisons: FID, whose errors are multiples of the value, as a logarithm."""
    return frame.assign(value=np.log(frame["value"])) if metric == "fid" else frame


def alike(frame: pd.DataFrame) -> float:
    """p-value of equal scatter over trainings in all methods, by Bartlett's test, which takes it as normal.

    Args:
        frame: as for :class:`Blocks`; methods that were trained once are left out.
    """
    groups = [group.to_numpy() for _, group in frame.groupby("method")["value"] if len(group) > 1]
    return float(stats.bartlett(*groups).pvalue)


class Blocks:
    """The additive model ``value = method + seed + error`` of one metric, fitted by least squares.

    Args:
        frame: columns ``method``, ``seed``, ``value``; one row per training. Seeds may differ between methods.

    Raises:
        ValueError: no error can be estimated: one training per method.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        by_method = frame.groupby("method")["value"]
        self._means, self._trainings = by_method.mean(), by_method.size()
        self._freedom_within = len(frame) - len(self._means)
        if self._freedom_within < 1:
            raise ValueError("each row was trained once, so its scatter is not known")
        apart = frame["value"] - by_method.transform("mean")
        self._variance_within = float((apart**2).sum()) / self._freedom_within
        self.methods = sorted(frame["method"].unique())
        seeds = sorted(frame["seed"].unique())
        design = np.hstack([_indicators(frame["method"], self.methods), _indicators(frame["seed"], seeds)[:, 1:]])
        values = frame["value"].to_numpy(float)
        self._products = design.T @ design
        self._inverse = np.linalg.pinv(self._products)
        self._fitted = self._inverse @ design.T @ values
        self.freedom = len(values) - int(np.linalg.matrix_rank(design))
        self._rest = float(np.sum((values - design @ self._fitted) ** 2))

    @classmethod
    def of(cls, frame: pd.DataFrame, metric: str) -> "Blocks":
        """The model of a metric on the scale of :func:`scaled`.

        Raises:
            ValueError: one training per method.
        """
        return cls(scaled(frame, metric))

    @property
    def scatter(self) -> float:
        """Standard deviation of the difference between two methods' trainings with one seed.

        Raises:
            ValueError: methods share too few training seeds.
        """
        return math.sqrt(2 * self._variance)

    def difference(self, first: str, second: str) -> Contrast:
        """Contrast of two methods.

        Raises:
            ValueError: one of them was trained once, or they share no training seed, not even through other methods.
        """
        weights = np.zeros(len(self._fitted))
        for name, sign in ((first, 1.0), (second, -1.0)):
            self._check(name)
            weights[self.methods.index(name)] += sign
        if not np.allclose(weights @ self._inverse @ self._products, weights):
            raise ValueError("the sides share no training seed")
        error = math.sqrt(max(float(weights @ self._inverse @ weights), 0.0) * self._variance)
        return _student(float(weights @ self._fitted), error, self.freedom)

    def distinguished(self, first: str, second: str, compared: int) -> bool:
        """Whether two of ``compared`` methods differ, where all pairs are compared, or the best with all others.

        Tukey's test with Kramer's errors keeps the level for all pairs together, so the best may be chosen by the data.

        Raises:
            ValueError: as :meth:`difference`.
        """
        found = self.difference(first, second)
        if found.error == 0.0:
            return found.effect != 0.0
        spread = abs(found.effect) / found.error * math.sqrt(2)
        return distinguishable(float(stats.studentized_range.sf(spread, compared, self.freedom)))

    def against(self, method: str, constant: float) -> Contrast:
        """Contrast of a method's mean over its trainings with a number that has no scatter over trainings.

        Raises:
            ValueError: the method was trained once.
        """
        self._check(method)
        error = math.sqrt(self._variance_within / self._trainings[method])
        return _student(float(self._means[method]) - constant, error, self._freedom_within)

    @property
    def _variance(self) -> float:
        if self.freedom < 1:
            raise ValueError("rows share too few training seeds to know the scatter")
        return self._rest / self.freedom

    def _check(self, method: str) -> None:
        if self._trainings[method] < 2:
            raise ValueError("a side was trained once, so its scatter is not known")


def paired(differences: Sequence[float]) -> Contrast:
    """Mean of paired differences, against zero.

    Raises:
        ValueError: fewer than two.
    """
    if len(differences) < 2:
        raise ValueError("one difference: no error to compare with")
    values = np.asarray(differences, float)
    return _student(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def unpaired(first: Sequence[float], second: Sequence[float]) -> Contrast:
    """Difference of means of two independent samples of unequal scatter (Welch).

    Raises:
        ValueError: fewer than two values on a side.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("one value: no error to compare with")
    found = stats.ttest_ind(first, second, equal_var=False)
    low, high = found.confidence_interval(CONFIDENCE)
    return Contrast(float(np.mean(first) - np.mean(second)), float(low), float(high), float(found.pvalue))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction of several p-values for their number."""
    order = np.argsort(p)
    corrected = np.empty(len(p))
    scaled = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]


def _student(effect: float, error: float, freedom: int) -> Contrast:
    if error == 0.0:
        return Contrast(effect, effect, effect, 1.0 if effect == 0.0 else 0.0, 0.0, float(freedom))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    p = 2.0 * float(stats.t.sf(abs(effect) / error, freedom))
    return Contrast(effect, effect - half, effect + half, p, error, float(freedom))


def _indicators(column: pd.Series, levels: Sequence[object]) -> np.ndarray:
    return (column.to_numpy()[:, None] == np.asarray(levels, dtype=object)[None, :]).astype(float)
