"""Metrics of text-to-motion generation: pure functions of embeddings, in float64.

They equal the field's metric functions (``utils/metrics.py`` of InterGen and of Inter-X, which differ in scale only):
embeddings that a protocol scales must be scaled by the caller (:mod:`evaluators.protocol`). Random pairs come from
NumPy's ``RandomState``, whose stream is frozen, so that a seed below 2**32 draws the same pairs as the official
functions after ``np.random.seed(seed)``.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import linalg
from scipy.spatial.distance import cdist
from torch import Tensor

from intermamba.errors import DataError

# The underscore leaves sizes unbound: where two must agree, the functions check it themselves.
Embeddings = Float[np.ndarray, "_N _K"] | Float[Tensor, "_N _K"]
"""Embeddings of ``N`` samples."""
Variations = Float[np.ndarray, "_N _M _K"] | Float[Tensor, "_N _M _K"]
"""``M`` samples of each of ``N`` captions."""


def r_precision(text: Embeddings, motion: Embeddings, top_k: int = 3) -> Float[np.ndarray, " {top_k}"]:
    """Fraction of texts whose own motion is among the nearest 1, 2, ..., ``top_k`` motions of the batch.

    Row ``i`` of ``text`` belongs to row ``i`` of ``motion``; all rows are one batch, so chance is ``k / N``. Distance
    is Euclidean; motions at equal distance rank in the order of the batch.

    Raises:
        DataError: other shapes, fewer than ``top_k`` rows, or values that are not finite.
    """
    rank = ranks(text, motion)
    if len(rank) < top_k:
        raise DataError(f"R-precision top {top_k} needs at least {top_k} pairs in a batch, got {len(rank)}.")
    return np.array([np.mean(rank <= k) for k in range(top_k)])


def ranks(text: Embeddings, motion: Embeddings) -> Int[np.ndarray, " B"]:
    """How many motions of the batch are nearer to each text than its own."""
    text, motion = _matched(text, motion)
    order = np.argsort(cdist(text, motion), axis=1, kind="stable")
    return np.argmax(order == np.arange(len(text))[:, None], axis=1)


def mm_dist(text: Embeddings, motion: Embeddings) -> float:
    """Mean Euclidean distance between each text and its own motion ("multimodal distance", "matching score")."""
    text, motion = _matched(text, motion)
    return float(linalg.norm(text - motion, axis=1).mean())


def frechet_distance(first: Embeddings, second: Embeddings) -> float:
    r"""Fréchet distance between the Gaussians fitted to two sets of embeddings (unbiased covariances).

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}(C_1) + \mathrm{tr}(C_2) - 2\,\mathrm{tr}(C_1 C_2)^{1/2}

    With centred samples :math:`C_i = A_i^\top A_i`, the last trace is the sum of the singular values of
    :math:`A_1 A_2^\top`. No matrix square root is taken, so nothing turns complex, and fewer samples than dimensions
    need no offset on the diagonal. Where the classic ``sqrtm`` formula is well-conditioned the two agree to rounding.

    Raises:
        DataError: other widths, fewer than two samples, or values that are not finite (the sample is named).
    """
    one, two = _float64(first, "first"), _float64(second, "second")
    if one.shape[1] != two.shape[1] or min(len(one), len(two)) < 2:
        raise DataError(f"Fréchet distance needs two or more samples of one width, got {one.shape} and {two.shape}.")
    gap = one.mean(axis=0) - two.mean(axis=0)
    a, b = _covariance_factor(one), _covariance_factor(two)
    distance = gap @ gap + np.square(a).sum() + np.square(b).sum() - 2 * linalg.svdvals(a @ b.T).sum()
    return max(float(distance), 0.0)  # a distance of zero may round to just below it


def diversity(embeddings: Embeddings, pairs: int, seed: int, halved: bool = False) -> float:
    """Mean distance of ``pairs`` random pairs, each side drawn without replacement; ``halved`` as InterGen defines it.

    A pair may consist of one sample twice, as in the official functions.

    Raises:
        DataError: not more than ``pairs`` samples, or values that are not finite.
    """
    values = _float64(embeddings, "embeddings")
    first, second = _draw_pairs(len(values), pairs, seed, "Diversity")
    return float(linalg.norm(values[first] - values[second], axis=1).mean()) / (2 if halved else 1)


def multimodality(embeddings: Variations, pairs: int, seed: int) -> float:
    """Mean distance between ``pairs`` random pairs of samples of the same caption; all captions share the draw.

    Raises:
        DataError: not more than ``pairs`` samples a caption, or values that are not finite.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    require_finite(values.reshape(len(values), -1), [f"caption {index}" for index in range(len(values))])
    first, second = _draw_pairs(values.shape[1], pairs, seed, "MModality")
    return float(linalg.norm(values[:, first] - values[:, second], axis=2).mean())


def require_finite(embeddings: Embeddings, names: Sequence[str]) -> None:
    """Refuse embeddings with NaN or infinity, naming the samples that hold them.

    Raises:
        DataError: an embedding is NaN or infinite.
    """
    bad = np.flatnonzero(~np.isfinite(np.asarray(embeddings)).all(axis=1))
    if len(bad):
        listed = ", ".join(names[index] for index in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise DataError(
            f"{len(bad)} of {len(names)} embeddings are not finite: {listed}. "
            "Check these motions for NaN or infinite values; no metric is defined on them."
        )


def _float64(embeddings: Embeddings, role: str) -> Float[np.ndarray, "N K"]:
    values = np.asarray(embeddings, dtype=np.float64)
    require_finite(values, [f"sample {index} of {role}" for index in range(len(values))])
    return values


def _matched(text: Embeddings, motion: Embeddings) -> tuple[Float[np.ndarray, "N K"], Float[np.ndarray, "N K"]]:
    one, two = _float64(text, "text"), _float64(motion, "motion")
    if one.shape != two.shape or not len(one):
        raise DataError(f"text and motion embeddings must pair up row by row, got {one.shape} and {two.shape}.")
    return one, two


def _covariance_factor(values: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "R K"]:
    """``A`` with ``A.T @ A`` the unbiased covariance, in as few rows as possible."""
    return np.asarray(np.linalg.qr((values - values.mean(axis=0)) / np.sqrt(len(values) - 1), mode="r"))


def _draw_pairs(count: int, pairs: int, seed: int, metric: str) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    if count <= pairs:
        raise DataError(f"{metric} draws {pairs} pairs and needs more than {pairs} samples, got {count}.")
    draws = np.random.RandomState(seed % 2**32)
    return draws.choice(count, pairs, replace=False), draws.choice(count, pairs, replace=False)
