"""ComMDM's trainings: the prior on single persons, then the block alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from intermamba.config import DatasetConfig
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.errors import ConfigError
from intermamba.methods.com_mdm import ComMdmOptions
from intermamba.methods.com_mdm.network import ComMdm
from intermamba.methods.mdm.training import MdmTraining, masked_mean
from intermamba.models.denoiser import both
from intermamba.seeds import derive
from intermamba.training.losses import Counts


class PriorTraining(MdmTraining):
    """MDM on both persons of each pair, one at a time, each with the pair's caption: the data have no other."""

    groups = 2

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:
        persons = Batch(
            motion=torch.cat(batch.motion.split(1, dim=2)),
            length=both(batch.length),
            caption=batch.caption * 2,
            tokens=batch.tokens * 2,
            clip=batch.clip * 2,
        )
        return super().terms(persons, generator, training=training)


class ComMdmTraining(MdmTraining):
    """The block learns from the error of one person of each pair, drawn at random; the prior is frozen.

    The prior has no dropout. Officially it has none until the first evaluation, and some afterwards.
    """

    def __init__(self, *given: Any, parts: Mapping[str, Mapping[str, Tensor]] | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        assert isinstance(self.model, ComMdm)
        if parts:
            self.model.prior.load_state_dict(dict(parts["prior"]))
        self.model.prior.requires_grad_(False)
        self._person: Tensor | None = None

    def train(self, mode: bool = True) -> "ComMdmTraining":
        super().train(mode)
        assert isinstance(self.model, ComMdm)
        self.model.prior.eval()
        return self

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:
        drawn = torch.randint(2, (len(batch.clip) * self.share.passes,), generator=generator, device=self.device)
        self._person = self.share.of(drawn) if training else None
        return super().terms(batch, generator, training=training)

    def loss(
        self,
        prediction: Float[Tensor, "B T P F"],
        x0: Float[Tensor, "B T P F"],
        noise: Float[Tensor, "B T P F"],
        timestep: Int[Tensor, " B"],
        mask: Bool[Tensor, "B T"],
        counts: Counts,
    ) -> dict[str, Float[Tensor, ""]]:
        if self._person is None:
            return super().loss(prediction, x0, noise, timestep, mask, counts)
        rows = torch.arange(len(x0), device=x0.device)
        error = (prediction - x0).square()[rows, :, self._person]
        simple = masked_mean(error[:, :, None], mask)
        return {"simple": simple, "total": simple}

    def loaders(self, splits: Sequence[SplitFile], settings: DatasetConfig, root: int) -> tuple[Any, Any]:
        """With ``clips``, only those clips are used, repeated to the length of the whole split.

        Raises:
            ConfigError: the training split has fewer clips, or fewer than a step.
        """
        train, validation = super().loaders(splits, settings, root)
        options = self.variant.options_as(ComMdmOptions)
        if options.clips is not None:
            if options.clips > len(splits[0]):
                raise ConfigError(
                    f"variant {self.variant.name}: clips {options.clips}, but the training split has {len(splits[0])}. "
                    "Use fewer, or a larger split."
                )
            rng = np.random.default_rng(derive(root, "few clips"))
            train.dataset.chosen = tuple(rng.choice(len(splits[0]), options.clips, replace=False).tolist())
        return train, validation
