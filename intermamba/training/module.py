"""The training step of a denoiser, as a Lightning module.

Every random draw is a pure function of the training seed and the step: a run that was killed and resumed takes the very
steps that an undisturbed one takes.
"""

from typing import Any

import lightning as L
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from intermamba.config import Config
from intermamba.data.dataset import Batch
from intermamba.diffusion import Diffusion
from intermamba.models import Denoiser
from intermamba.models.conditions import TokenFeatures, conditions
from intermamba.representation import Representation
from intermamba.seeds import derive
from intermamba.training.losses import interaction_losses
from intermamba.training.schedule import cosine_with_warmup


class DenoisingModule(L.LightningModule):
    """x0-prediction with InterGen's losses and randomly dropped captions [paper 3.1, 4.5, 5.1]."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Denoiser,
        representation: Representation,
        mean: Float[Tensor, " F"],
        std: Float[Tensor, " F"],
        tokens: TokenFeatures,
        config: Config,
        seed: int,
    ) -> None:
        super().__init__()
        self.model, self.representation, self.tokens = model, representation, tokens
        self.config, self.seed = config, seed
        self.diffusion = Diffusion(config.diffusion)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        # Dropout draws from the global generator; pin that to the step as well.
        torch.manual_seed(derive(self.seed, "dropout", self.global_step, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        losses = self.losses(batch, self.global_step, self.global_rank)
        return {"loss": losses["total"], **{f"loss/{name}": value.detach() for name, value in losses.items()}}

    def losses(self, batch: Batch, step: int, rank: int = 0) -> dict[str, Float[Tensor, ""]]:
        """Every term of a training step's loss, and their sum ``total``."""
        generator = self._generator("step", step, rank)
        dropped = torch.rand(len(batch.clip), generator=generator, device=self.device)
        return self._losses(batch, generator, dropped < self.config.diffusion.null_probability)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        losses = self._losses(batch, self._generator("validation", batch_idx), None)
        for name, value in losses.items():
            self.log(f"validation/{name}", value, batch_size=len(batch.clip), sync_dist=True)

    def _generator(self, *use: object) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(self.seed, *use))

    def _losses(
        self, batch: Batch, generator: torch.Generator, dropped: Bool[Tensor, " B"] | None
    ) -> dict[str, Float[Tensor, ""]]:
        x0 = (batch.motion - self.mean) / self.std * batch.mask[:, :, None, None]
        noise = torch.randn(x0.shape, generator=generator, device=self.device)
        timestep = torch.randint(self.config.diffusion.steps, (len(x0),), generator=generator, device=self.device)
        cond = conditions(self.model, self.tokens, batch.caption, batch.individual)
        if dropped is not None:
            cond = cond.masked_fill(dropped[:, None, None], 0.0)
        prediction = self.model(self.diffusion.add_noise(x0, noise, timestep), timestep, cond, batch.mask)
        return interaction_losses(
            prediction.float(),
            x0,
            batch.mask,
            timestep,
            self.mean,
            self.std,
            self.representation,
            self.config.losses,
        )

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW as one fused pass over all weights."""
        settings = self.config.training
        return torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )

    def configure_optimizers(self) -> Any:
        settings, optimizer = self.config.training, self.optimizer()
        steps_per_epoch = self.trainer.estimated_stepping_batches / settings.epochs

        def factor(step: int) -> float:
            return cosine_with_warmup((step + 1) / steps_per_epoch, settings.warmup_epochs, settings.epochs)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
