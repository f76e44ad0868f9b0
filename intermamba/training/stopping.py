"""SIGTERM and SIGUSR1 during a training: a checkpoint of the current step, then the end; no step is computed twice.

Batch systems send SIGTERM to a job that they preempt, or that exceeds its time, and kill it after a grace period.
Slurm's option ``--signal`` sends SIGUSR1 before the limit; the job then asks Slurm to run it again.
"""

import os
import signal
import subprocess
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from torch.utils.data import DataLoader

from intermamba import processes
from intermamba.data.dataset import EpochSampler, Passes

STOPS = (signal.SIGTERM, signal.SIGUSR1)


class Stop(L.Callback):
    """Saves ``checkpoint`` at the end of the step in which a signal arrives, and raises :class:`KeyboardInterrupt`.

    The end of an epoch is left to finish first (validation, periodic checkpoint), so a checkpoint is either within an
    epoch or after it. A second signal stops at once.

    Args:
        checkpoint: file of the checkpoint.
        loader: the training clips; a resumed training skips those that its epoch has already used.
    """

    def __init__(self, checkpoint: Path, loader: Passes | DataLoader[Any]) -> None:
        assert isinstance(loader.sampler, EpochSampler)
        self._checkpoint, self._loader, self._sampler = checkpoint, loader, loader.sampler
        self._signal: int | None = None
        self._used = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        # After Lightning's own handlers, which stop only at the end of an epoch; it restores the original ones.
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOPS:
            signal.signal(number, self._note)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        done = batch_idx + 1
        whole_step = done % trainer.accumulate_grad_batches == 0
        if whole_step and done < trainer.num_training_batches and self._asked(trainer):
            self._used = done // trainer.accumulate_grad_batches
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if self._asked(trainer) and not last:
            self._save(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"used": self._used}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        batch = self._loader.batch_size
        assert batch is not None
        self._sampler.skip = batch * int(state_dict["used"])

    def on_load_checkpoint(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        checkpoint: dict[str, Any],
    ) -> None:
        # Lightning iterates over the loader before it sets the epoch, and worker processes then fetch at once.
        self._sampler.set_epoch(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            signal.default_int_handler(number, frame)
        self._signal = number

    def _asked(self, trainer: L.Trainer) -> bool:
        """Whether any of the processes was signalled."""
        if trainer.world_size == 1:
            return self._signal is not None
        return trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False)

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self._checkpoint)
        if self._signal == signal.SIGUSR1 and processes.first():
            requeue()
        raise KeyboardInterrupt


def requeue() -> None:
    """Ask Slurm to run this process's job again; nothing where there is none."""
    if job := os.environ.get("SLURM_JOB_ID"):
        subprocess.run(["scontrol", "requeue", job], check=False)
