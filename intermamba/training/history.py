"""What a training run leaves to plot: losses and adaptive weights over steps.

The rows travel inside the checkpoint, so that a resumed run writes the same file as an undisturbed one.
"""

from typing import Any

import lightning as L
import pandas as pd

from intermamba.training import ADAPTIVE_COLUMNS
from intermamba.training.module import DenoisingModule


class History(L.Callback):
    """Collects a row of losses and of adaptive weights every ``every`` steps."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.losses: list[dict[str, Any]] = []
        self.adaptive: list[dict[str, Any]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step == 0:
            self._record_adaptive(0, pl_module)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        step = trainer.global_step
        if step % self.every == 0 or step == trainer.estimated_stepping_batches:
            terms = {name.removeprefix("loss/"): float(value) for name, value in outputs.items() if "/" in name}
            self.losses.append({"step": step, "epoch": trainer.current_epoch, "split": "train", **terms})
            self._record_adaptive(step, pl_module)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        found = trainer.callback_metrics
        terms = {
            name.removeprefix("validation/"): float(value) for name, value in found.items() if "validation/" in name
        }
        self.losses.append({"step": trainer.global_step, "epoch": trainer.current_epoch, "split": "val", **terms})

    def _record_adaptive(self, step: int, module: L.LightningModule) -> None:
        assert isinstance(module, DenoisingModule)
        for block, part, branch, value in module.model.adaptive_weights():
            row = {"step": step, "block": block, "module": part, "branch": branch, "value": value.item()}
            self.adaptive.append(row)

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses, "adaptive": self.adaptive}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.losses, self.adaptive = list(state_dict["losses"]), list(state_dict["adaptive"])

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Losses (step, epoch, split, one column a term) and adaptive weights (:data:`ADAPTIVE_COLUMNS`)."""
        return pd.DataFrame(self.losses), pd.DataFrame(self.adaptive, columns=ADAPTIVE_COLUMNS)
