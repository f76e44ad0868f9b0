"""The phases of an evaluator's training; :mod:`evaluators.training` runs them.

The *standard* recipe is this project's, for both evaluators: AdamW with a cosine schedule, and the weights of the last
epoch. Validation splits are small, so the best of many noisy epochs would be optimistic. InterCLIP learns by symmetric
InfoNCE. Inter-X's matcher first learns to reconstruct frames (:class:`MovementAutoencoder`), then to match
(:class:`Matching`), each text against all motions of the batch.

The *official* recipe is Inter-X's own (``train_decomp_v3.py``, ``train_tex_mot_match.py``, the commands of its README):
:class:`WindowAutoencoder`, then :class:`ShiftMatching`. InterCLIP's authors have released none.
"""

import copy
import math
from typing import Any

import lightning as L
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluators import metrics
from evaluators.evaluator import InterClipEvaluator, InterXEvaluator
from evaluators.interclip import info_nce
from evaluators.interx import MovementConvEncoder, contrastive_margin, contrastive_shift, rest_padded, side_by_side
from intermamba.config import EvaluatorTrainingConfig, InterXRecipeConfig
from intermamba.data.dataset import Batch
from intermamba.seeds import derive
from intermamba.trainer import VALIDATION_LOSS

GRADIENT_CLIP = 0.5  # InterGen and Inter-X alike
MOVEMENT_SHARE = 0.25  # of the epochs, for the movement encoder; reconstruction settles long before matching does
MOVEMENT_PENALTY = 0.001  # Inter-X: lambda_sparsity and lambda_smooth


class Phase(L.LightningModule):
    """One phase of a training: its losses and its curve (``rows``)."""

    name: str
    gradient_clip: float | None = GRADIENT_CLIP

    def __init__(self, epochs: int, seed: int) -> None:
        super().__init__()
        self.epochs, self.seed = epochs, seed
        self.rows: list[dict[str, Any]] = []
        self._losses: dict[str, list[float]] = {"train": [], "val": []}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        torch.manual_seed(derive(self.seed, self.name, "dropout", self.global_step))

    def _learned(self) -> list[nn.Parameter]:
        return [weight for weight in self.parameters() if weight.requires_grad]

    def _cosine(self, settings: EvaluatorTrainingConfig) -> Any:
        """Optimiser and schedule of the standard recipe."""
        optimizer = torch.optim.AdamW(self._learned(), settings.learning_rate, weight_decay=settings.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _note(self, split: str, loss: Float[Tensor, ""]) -> None:
        self._losses[split].append(loss.item())

    def _close(self, split: str, **measured: float) -> float:
        """Append the epoch's row of ``split`` to the curve; returns its mean loss."""
        loss = float(np.mean(self._losses[split]))
        self.rows.append({"phase": self.name, "epoch": self.current_epoch, "split": split, "loss": loss} | measured)
        if split == "val":
            self.log(VALIDATION_LOSS, loss)
        self._losses[split].clear()
        return loss

    def on_train_epoch_end(self) -> None:
        self._close("train")


class _Autoencoder(Phase):
    """Trains the movement encoder to keep the information that reconstructs the frames."""

    name = "movement"

    def __init__(self, encoder: MovementConvEncoder, decoder: nn.Module, epochs: int, seed: int) -> None:
        super().__init__(epochs, seed)
        self.encoder, self.decoder = encoder, decoder

    def _loss(self, batch: Batch) -> Float[Tensor, ""]:
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, ""]:  # noqa: ARG002
        loss = self._loss(batch)
        self._note("train", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        self._note("val", self._loss(batch))

    def on_validation_epoch_end(self) -> None:
        self._close("val")


def _penalty(movements: Float[Tensor, "B S K"]) -> Float[Tensor, ""]:
    """Penalty on movements that are large or not smooth."""
    return MOVEMENT_PENALTY * (movements.abs().mean() + movements.diff(dim=1).abs().mean())


class MovementAutoencoder(_Autoencoder):
    """Standard recipe: whole clips, for a quarter of the epochs."""

    def __init__(
        self, encoder: MovementConvEncoder, decoder: nn.Module, settings: EvaluatorTrainingConfig, seed: int
    ) -> None:
        super().__init__(encoder, decoder, math.ceil(MOVEMENT_SHARE * settings.epochs), seed)
        self.settings = settings

    def configure_optimizers(self) -> Any:
        return self._cosine(self.settings)

    def _loss(self, batch: Batch) -> Float[Tensor, ""]:
        frames = side_by_side(rest_padded(batch))
        movements = self.encoder(frames)
        drawn = self.decoder(movements)[:, : frames.shape[1]]
        error = (drawn - frames[:, : drawn.shape[1]]).abs().mean(dim=-1)
        mask = batch.mask[:, : drawn.shape[1]]
        return error[mask].mean() + _penalty(movements)


class WindowAutoencoder(_Autoencoder):
    """Official recipe: windows of equal length, Adam at a constant rate, gradients not clipped."""

    gradient_clip = None

    def __init__(self, encoder: MovementConvEncoder, decoder: nn.Module, recipe: InterXRecipeConfig, seed: int) -> None:
        super().__init__(encoder, decoder, recipe.movement_epochs, seed)
        self.recipe = recipe

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self._learned(), self.recipe.learning_rate)

    def _loss(self, batch: Batch) -> Float[Tensor, ""]:
        frames = side_by_side(batch.motion)
        # A window ends here: its last movement sees the convolutions' own padding, not frames of zeros.
        movements = self.encoder.movements(frames)
        error = (self.decoder(movements) - frames).abs().mean()
        return error + _penalty(movements)


class Matching(Phase):
    """Standard recipe: pulls texts and their motions together and pushes all others of the batch apart."""

    name = "matching"

    def __init__(
        self, evaluator: InterClipEvaluator | InterXEvaluator, settings: EvaluatorTrainingConfig, seed: int
    ) -> None:
        super().__init__(settings.epochs, seed)
        self.settings, self.evaluator = settings, evaluator
        self._precision: list[Float[np.ndarray, " k"]] = []

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Freeze the movement encoder; not before the phase begins, since the previous phase still trains it."""
        if isinstance(self.evaluator, InterXEvaluator):
            self.evaluator.network.movement_encoder.eval().requires_grad_(False)

    def configure_optimizers(self) -> Any:
        return self._cosine(self.settings)

    def _loss(self, text: Float[Tensor, "B K"], motion: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
        if isinstance(self.evaluator, InterClipEvaluator):
            return info_nce(text, motion, self.evaluator.network.latent_scale)
        return contrastive_margin(text, motion, self.settings.margin)

    def training_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, ""]:  # noqa: ARG002
        loss = self._loss(self.evaluator.embed_text(batch), self.evaluator.embed_motion(batch))
        self._note("train", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        text, motion = self.evaluator.embed_text(batch), self.evaluator.embed_motion(batch)
        self._note("val", self._loss(text, motion))
        self._precision.append(metrics.r_precision(text.cpu(), motion.cpu()))

    def on_validation_epoch_end(self) -> None:
        top1, top2, top3 = np.mean(self._precision, axis=0)
        self._close("val", top1=top1, top2=top2, top3=top3)
        self._precision.clear()


class ShiftMatching(Phase):
    """Official recipe: a text is pushed from one motion of its batch, one random shift away for the whole batch.

    Batches are ordered by falling length of the motion before they are shifted. A shift of zero, one in B - 1, pushes
    every pair from itself. The two encoders' gradients are clipped separately. The weights of the epoch with
    the lowest validation loss are kept; its captions, windows and shifts are drawn again in every epoch.

    Args:
        evaluator: the matcher, with its movement encoder trained.
        recipe: sizes and rates.
        pool: texts and motions among which the curve's R-precision ranks; it has no effect on training.
        seed: root of the shifts.
    """

    name = "matching"

    def __init__(self, evaluator: InterXEvaluator, recipe: InterXRecipeConfig, pool: int, seed: int) -> None:
        super().__init__(recipe.epochs, seed)
        self.evaluator, self.recipe, self.pool = evaluator, recipe, pool
        self._embedded: list[tuple[Tensor, Tensor]] = []
        self._lowest, self._kept = math.inf, copy.deepcopy(evaluator.network.state_dict())

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Freeze the movement encoder; not before the phase begins, since the previous phase still trains it."""
        self.evaluator.network.movement_encoder.eval().requires_grad_(False)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self._learned(), self.recipe.learning_rate)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002
        for encoder in (self.evaluator.network.text_encoder, self.evaluator.network.motion_encoder):
            nn.utils.clip_grad_norm_(encoder.parameters(), self.recipe.gradient_clip)

    def _embed(self, batch: Batch) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K"]]:
        batch = batch.take(batch.length.argsort(descending=True, stable=True).tolist())
        return self.evaluator.embed_text(batch), self.evaluator.embed_motion(batch)

    def _loss(
        self, text: Float[Tensor, "B K"], motion: Float[Tensor, "B K"], split: str, batch_idx: int
    ) -> Float[Tensor, ""]:
        drawn = np.random.default_rng(derive(self.seed, self.name, "shift", split, self.current_epoch, batch_idx))
        return contrastive_shift(text, motion, self.recipe.margin, shift=int(drawn.integers(len(text) - 1)))

    def training_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, ""]:
        loss = self._loss(*self._embed(batch), "train", batch_idx)
        self._note("train", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        text, motion = self._embed(batch)
        self._embedded.append((text.cpu(), motion.cpu()))
        if len(text) == self.recipe.batch:
            self._note("val", self._loss(text, motion, "val", batch_idx))

    def on_validation_epoch_end(self) -> None:
        texts, motions = (torch.cat(parts).split(self.pool) for parts in zip(*self._embedded, strict=True))
        pools = [pair for pair in zip(texts, motions, strict=True) if len(pair[0]) == self.pool]
        top1, top2, top3 = np.mean([metrics.r_precision(*pair) for pair in pools], axis=0)
        self._embedded.clear()
        loss = self._close("val", top1=top1, top2=top2, top3=top3)
        if loss < self._lowest:
            self._lowest, self._kept = loss, copy.deepcopy(self.evaluator.network.state_dict())

    def on_fit_end(self) -> None:
        """Go back to the epoch of the lowest validation loss."""
        self.evaluator.network.load_state_dict(self._kept)
