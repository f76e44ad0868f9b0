"""History of a training run for plots: losses and adaptive weights over steps.

The rows are part of the checkpoint, so that a resumed run writes the same files as an uninterrupted one. With every
checkpoint, and every 30 seconds, they are also written beside it, to follow an unfinished run, but never under the
names of the stage's outputs, which a killed run must not leave behind.
"""

import time
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from torch import Tensor

from intermamba import files
from intermamba.training import ADAPTIVE_COLUMNS
from intermamba.training.loggers import Loggers
from intermamba.training.module import TrainingModule

UNFINISHED = "training.csv"
INTERVAL = 30.0
"""Seconds between two writings of an unfinished run's rows."""


class History(L.Callback):
    """Collects a row of losses and of adaptive weights every ``every`` steps.

    The rows so far are written into ``folder``, as ``training.csv`` and ``adaptive.csv``, and go to ``loggers``.
    """

    def __init__(self, every: int, folder: Path, loggers: Loggers) -> None:
        self.every, self.folder, self.loggers = every, folder, loggers
        self._written = time.monotonic()
        self.losses: list[dict[str, Any]] = []
        self.adaptive: list[dict[str, Any]] = []
        self._passes: list[dict[str, Tensor]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step == 0:
            self._record_adaptive(0, pl_module)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        self._passes.append({name.removeprefix("loss/"): value for name, value in outputs.items() if "/" in name})
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        passes, self._passes = self._passes, []
        step = trainer.global_step
        if step % self.every == 0 or step == trainer.estimated_stepping_batches:
            means = {name: torch.stack([one[name] for one in passes]).mean() for name in passes[0]}
            terms = {name: float(trainer.strategy.reduce(mean, reduce_op="mean")) for name, mean in means.items()}
            self._add({"step": step, "epoch": trainer.current_epoch, "split": "train", **terms})
            self._record_adaptive(step, pl_module)
            if trainer.is_global_zero and time.monotonic() - self._written >= INTERVAL:
                self._write_unfinished()

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        found = trainer.callback_metrics
        terms = {
            name.removeprefix("validation/"): float(value) for name, value in found.items() if "validation/" in name
        }
        self._add({"step": trainer.global_step, "epoch": trainer.current_epoch, "split": "val", **terms})

    def on_save_checkpoint(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        checkpoint: dict[str, Any],  # noqa: ARG002
    ) -> None:
        if trainer.is_global_zero:
            self._write_unfinished()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self.loggers.close("success")

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        self.loggers.close("failed")

    def _add(self, row: dict[str, Any]) -> None:
        self.losses.append(row)
        self.loggers.log(row)

    def _write_unfinished(self) -> None:
        self.write(self.folder / UNFINISHED, self.folder / "adaptive.csv")
        self._written = time.monotonic()

    def write(self, losses: Path, adaptive: Path | None) -> None:
        """Losses (step, epoch, split, one column per term) and adaptive weights (:data:`ADAPTIVE_COLUMNS`)."""
        files.write_csv(losses, pd.DataFrame(self.losses))
        if adaptive is not None:
            files.write_csv(adaptive, pd.DataFrame(self.adaptive, columns=ADAPTIVE_COLUMNS))

    def _record_adaptive(self, step: int, module: L.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        for block, part, branch, value in module.model.adaptive_weights():
            row = {"step": step, "block": block, "module": part, "branch": branch, "value": value.item()}
            self.adaptive.append(row)

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses, "adaptive": self.adaptive}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.losses, self.adaptive = list(state_dict["losses"]), list(state_dict["adaptive"])
