"""A training that SIGTERM or SIGUSR1 stops saves its step; resumed, it takes the same steps as an undisturbed one."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from intermamba import config as configuration
from intermamba.data.dataset import EpochSampler
from intermamba.trainer import quiet, trainer
from intermamba.training import stopping
from intermamba.training.stopping import Stop

CLIPS, BATCH, EPOCHS = 13, 3, 3
STEPS = EPOCHS * (CLIPS // BATCH)


class Fit(L.LightningModule):
    """Its weight depends on which clips it saw at which step, in which order."""

    def __init__(self, signals: Callable[[int], None]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[Any] = []
        self._signals = signals

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        self._signals(self.global_step)
        self.seen.append((self.current_epoch, batch_idx, batch.tolist()))
        return {"loss": ((self.weight - batch) ** 2 * (1 + self.global_step)).mean()}

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:  # noqa: ARG002
        self.seen.append((self.current_epoch, "validation"))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)}


@dataclass
class Keyed:
    """Clips by (epoch, index)."""

    def __getitem__(self, key: tuple[int, int]) -> float:
        return key[0] + key[1] / 100

    def __len__(self) -> int:
        return CLIPS


def fit(folder: Path, module: Fit, every: int, workers: int = 0) -> Fit:
    """Train, from the checkpoint in ``folder`` where there is one."""
    loader = DataLoader(
        Keyed(),
        batch_size=BATCH,
        sampler=EpochSampler(CLIPS, seed=1),
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    file = folder / "run.ckpt"
    periodic = ModelCheckpoint(
        folder, filename="run", every_n_epochs=every, save_on_train_epoch_end=True, enable_version_counter=False
    )
    runtime = configuration.load("smoke").runtime
    with quiet():
        engine = trainer(
            runtime,
            epochs=EPOCHS,
            gradient_clip=None,
            callbacks=[Stop(file, loader), periodic],
            validate_every=every,
        )
        engine.fit(
            module,
            loader,
            DataLoader([0.0, 1.0]),
            ckpt_path=str(file) if file.exists() else None,
            weights_only=True,
        )
    return module


def never(step: int) -> None:
    pass


@pytest.mark.parametrize(("number", "every"), [(signal.SIGTERM, 1), (signal.SIGUSR1, 2)])
def test_a_stopped_training_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, every: int
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = [signal.getsignal(one) for one in stopping.STOPS]
    expected = fit(tmp_path / "undisturbed", Fit(never), every)
    for when in range(STEPS):
        folder, seen = tmp_path / str(when), []
        first = Fit(lambda step, when=when: os.kill(os.getpid(), number) if step == when else None)
        if when == STEPS - 1:  # it is done before it could stop
            last = fit(folder, first, every)
        else:
            with pytest.raises(KeyboardInterrupt):
                fit(folder, first, every)
            seen = first.seen
            last = fit(folder, Fit(never), every)
        assert seen + last.seen == expected.seen, when
        assert torch.equal(last.weight, expected.weight), when
    assert [signal.getsignal(one) for one in stopping.STOPS] == before


@pytest.mark.parametrize("when", [3, 5], ids=["after an epoch", "within one"])
def test_worker_processes_go_on_with_the_clips_of_the_epoch(tmp_path: Path, when: int) -> None:
    """They fetch as soon as there is an iterator, which Lightning makes before it says the epoch."""
    expected = fit(tmp_path / "undisturbed", Fit(never), 1)
    first = Fit(lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == when else None)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, first, 1, workers=1)
    last = fit(tmp_path, Fit(never), 1, workers=1)
    assert first.seen + last.seen == expected.seen
    assert torch.equal(last.weight, expected.weight)


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    def twice(step: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    module = Fit(twice)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, module, 1)
    assert not module.seen
    assert not (tmp_path / "run.ckpt").exists()


def test_only_a_job_that_was_warned_is_queued_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    tool = tmp_path / "scontrol"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    for number in stopping.STOPS:
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / number.name, Fit(lambda _, number=number: os.kill(os.getpid(), number)), 1)
    assert said.read_text() == "requeue 17\n"
