"""Averaged weights against a hand-written average, and after a training was stopped and went on."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from intermamba import config as configuration
from intermamba.trainer import quiet, trainer
from intermamba.training.run import averaging

DECAY, EPOCHS, CLIPS = 0.7, 4, 3


class Fit(L.LightningModule):
    """Fits one number to those of the batches, and keeps its weight after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[float] = []
        self.validated: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        return {"loss": (self.weight - batch.float()).square().mean()}

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:  # noqa: ARG002
        self.validated.append(float(self.weight.detach()))

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen.append(float(self.weight.detach()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(epochs: int, folder: Path, checkpoint: Path | None = None, decay: float | None = DECAY) -> Fit:
    module = Fit()
    kept = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    with quiet():
        engine = trainer(
            configuration.load("smoke").runtime,
            epochs=epochs,
            gradient_clip=None,
            callbacks=[*averaging(decay), kept],
        )
        engine.fit(
            module,
            DataLoader(range(1, CLIPS + 1), batch_size=1),
            DataLoader(range(1)),
            ckpt_path=checkpoint,
            weights_only=True,
        )
    return module


def averages(weights: list[float]) -> list[float]:
    found = weights[:1]
    for weight in weights[1:]:
        found.append(DECAY * found[-1] + (1 - DECAY) * weight)
    return found


def test_average_is_that_of_all_steps_and_is_what_is_validated(tmp_path: Path) -> None:
    module = fit(EPOCHS, tmp_path)
    expected = averages(module.seen)
    assert module.weight.item() == pytest.approx(expected[-1], abs=1e-6)
    assert module.weight.item() != pytest.approx(module.seen[-1], abs=1e-3)
    assert module.validated == pytest.approx(expected[CLIPS - 1 :: CLIPS], abs=1e-6)


def test_stopped_training_goes_on_with_its_average(tmp_path: Path) -> None:
    whole = fit(EPOCHS, tmp_path / "whole")
    fit(EPOCHS // 2, tmp_path / "stopped")
    resumed = fit(EPOCHS, tmp_path / "stopped", tmp_path / "stopped/last.ckpt")
    assert resumed.seen == whole.seen[CLIPS * EPOCHS // 2 :]
    assert resumed.weight.item() == whole.weight.item()


def test_a_training_without_a_step_left_ends_with_its_average(tmp_path: Path) -> None:
    """As after an interruption between its last checkpoint and its weights."""
    whole = fit(EPOCHS, tmp_path)
    again = fit(EPOCHS, tmp_path, tmp_path / "last.ckpt")
    assert not again.seen
    assert again.weight.item() == whole.weight.item() != whole.seen[-1]


def test_last_weights_without_a_decay(tmp_path: Path) -> None:
    module = fit(EPOCHS, tmp_path, decay=None)
    assert module.weight.item() == pytest.approx(module.seen[-1])
