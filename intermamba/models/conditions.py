"""Conditions of a denoiser from captions: the frozen tower's token features through the model's text encoder."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from intermamba.errors import DataError
from intermamba.models.network import Network
from intermamba.text.reduction import Reduction


@runtime_checkable
class TokenFeatures(Protocol):
    """Source of token features: a cache, or the tower itself."""

    tower: str
    """Name of the tower; a denoiser accepts only that of its training."""

    @property
    def reduction(self) -> Reduction | None:
        """Reduction of its features, if any; likewise."""
        ...

    def features(self, captions: Sequence[str]) -> tuple[Float[Tensor, "B S W"], Int[Tensor, " B"]]:
        """Features after the tower, and the position of each end-of-text token."""
        ...


def conditions(
    model: Network,
    tokens: TokenFeatures,
    captions: Sequence[str],
    individual: Sequence[tuple[str, str]],
) -> Float[Tensor, "B G *condition"]:
    """Conditions of each clip on the model's device: its caption and, for a model that reads them, each person's. Their
    shape depends on the model.

    Raises:
        DataError: the model needs a caption for each person and there is none.
    """
    groups = [captions] if model.groups != 2 else []
    if model.groups > 1:
        if len(individual) != len(captions):
            raise DataError(
                "this model reads a caption for each person, but the data hold none. Provide them "
                "(datasets.<name>.individual in params.yaml; docs/howto/real-data.md), or remove the model."
            )
        groups += [[persons[side] for persons in individual] for side in (0, 1)]
    device = next(model.parameters()).device
    asked = [caption for group in groups for caption in group]
    # In training equal captions get different dropout; otherwise each is encoded once.
    once = asked if model.training else list(dict.fromkeys(asked))
    features, end = tokens.features(once)
    encoded: Tensor = model.encode_text(features.to(device), end.to(device))
    if len(once) < len(asked):
        place = {caption: index for index, caption in enumerate(once)}
        encoded = encoded[torch.tensor([place[caption] for caption in asked], device=device)]
    return encoded.unflatten(0, (len(groups), len(captions))).transpose(0, 1)
