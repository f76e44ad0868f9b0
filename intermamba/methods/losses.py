"""Code shared by losses of several terms."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor


def with_total(terms: Mapping[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
    """Weighted terms of a loss, and their sum ``total``, which is minimised."""
    first, *_ = terms.values()
    return {**terms, "total": sum(terms.values(), start=torch.zeros_like(first))}
