"""The training of TEMOS: both encoders and the decoder."""

import torch
from jaxtyping import Float
from torch import Tensor

from intermamba.data.dataset import Batch
from intermamba.methods.temos.network import Temos, temos_losses
from intermamba.methods.temos.options import TemosOptions
from intermamba.models.conditions import conditions
from intermamba.training.module import TrainingModule


class TemosModule(TrainingModule):
    """Decodes motions from their own latent vector and from their caption's."""

    model: Temos

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:  # noqa: ARG002
        options = self.variant.options_as(TemosOptions)
        # In the official code a batch is as long as its longest clip, and all its frames count in the mean.
        frames = int(batch.length.max())
        mask = batch.mask[:, :frames]
        motion = (batch.motion[:, :frames] - self.mean) / self.std * mask[:, :, None, None]
        text = self.model.latent(conditions(self.model, self.tokens, batch.caption, batch.individual))
        shape = (2, len(motion), self.model.sizes.width)
        first, second = torch.randn(shape, generator=generator, device=self.device)
        return temos_losses(self.model, text, motion, mask, (first, second), options.losses)
