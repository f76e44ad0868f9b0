"""Token features of captions outside a cache, from the tower itself."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from intermamba.config import TextConfig
from intermamba.text.nearest import NearestKinds
from intermamba.text.reduction import Reduction
from intermamba.text.tower import Tower, load


class LiveText:
    """The tower of a profile; gives the features of the profile's cache, including the rounding of stored ones.

    ``reduction`` is that of the cache, for a tower whose features are reduced.
    """

    def __init__(self, config: TextConfig, reduction: Reduction | None = None) -> None:
        self._tower, self.reduction = load(config), reduction
        self._precision: torch.dtype = getattr(torch, config.precision)
        self.tower, self.context = self._tower.name, self._tower.context

    @property
    def nearest_kinds(self) -> NearestKinds:
        """Compares prompts with the kinds of the embedded data; meaningful only if the tower is a sentence encoder."""
        return _kinds(self._tower)

    def cuts(self, caption: str) -> bool:
        """Whether the tower reads only the beginning of a caption."""
        return self._tower.cuts(caption)

    def features(self, captions: Sequence[str]) -> tuple[Float[Tensor, "B S W"], Int[Tensor, " B"]]:
        """Features after the tower, float32, and the position of the end-of-text token."""
        encoded = self._tower.encode(captions)
        features = encoded.features if self.reduction is None else self.reduction(encoded.features)
        return features.to(self._precision).float() * encoded.mask.unsqueeze(-1), encoded.end


@lru_cache(maxsize=1)  # it encodes hundreds of sentences first
def _kinds(tower: Tower) -> NearestKinds:
    return NearestKinds(tower)
