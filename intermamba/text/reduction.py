"""Reduction of token features: small denoisers need fewer than a tower gives, and the cache becomes small."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Reduction:
    """A fixed affine map from W features to K: principal components, scaled so that they are about 1 in size.

    It is part of every network trained with it, so it is stored in caches and checkpoints.
    """

    mean: Float[Tensor, " W"]
    basis: Float[Tensor, "W K"]

    def __call__(self, features: Float[Tensor, "*B W"]) -> Float[Tensor, "*B K"]:
        return (features - self.mean) @ self.basis

    def same(self, other: "Reduction | None") -> bool:
        """Whether ``other`` is the same map to the bit."""
        return other is not None and torch.equal(self.mean, other.mean) and torch.equal(self.basis, other.basis)


def fit(features: Float[Tensor, "N W"], weight: Float[Tensor, " N"], width: int) -> Reduction:
    """Principal components of weighted rows, in float64; each component's largest entry is positive."""
    rows, share = features.double(), (weight.double() / weight.double().sum())[:, None]
    mean = (rows * share).sum(0)
    values, vectors = torch.linalg.eigh((rows - mean).T @ ((rows - mean) * share))
    values, vectors = values.flip(0)[:width], vectors.flip(1)[:, :width]
    sign = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    return Reduction(mean.float(), (vectors * sign * (width / values.sum()).sqrt()).float())
