"""Lightning's trainer with this project's settings: reproducible, quiet, resumable on request, with progress."""

import logging
import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import Tensor

from intermamba import processes
from intermamba.config import RuntimeConfig
from intermamba.errors import ConfigError, DivergedError, listed
from intermamba.progress import SILENT, Progress

EXPLODED = 1e4
"""A loss of at least one, and of so many times that of the first step, has diverged."""
VALIDATION_LOSS = "validation/total"
"""Name under which a module logs its validation loss to have it displayed."""
AVERAGED = 100
"""Number of steps over which the displayed loss is averaged: that of a single step depends mostly on its diffusion
steps."""


def trainer(
    runtime: RuntimeConfig,
    *,
    epochs: int,
    gradient_clip: float | None,
    progress: Progress = SILENT,
    part: str = "",
    callbacks: Sequence[L.Callback] = (),
    precision: str = "32-true",
    validate_every: int = 1,
    kept: Callable[[], str] = lambda: "No checkpoint was kept.",
) -> L.Trainer:
    """A trainer without summaries or checkpoints of its own; a :class:`ModelCheckpoint` may be a callback.

    ``progress`` counts its steps; ``part`` names them where one stage trains more than once. A training that diverges
    stops with a :class:`DivergedError`, which reports what was ``kept``.

    Raises:
        ConfigError: this is one of several processes, and not of as many as ``runtime`` has devices.
    """
    return L.Trainer(
        accelerator=runtime.accelerator,
        devices=runtime.devices,
        num_nodes=runtime.nodes,
        strategy=_strategy(runtime),
        accumulate_grad_batches=runtime.accumulate,
        precision=precision,
        max_epochs=epochs,
        gradient_clip_val=gradient_clip,
        check_val_every_n_epoch=validate_every,
        num_sanity_val_steps=0,
        callbacks=[_Guard(kept), *callbacks, _Report(progress, part)],
        # On a GPU some kernels have no deterministic form; those warn instead of failing.
        deterministic=True if runtime.accelerator == "cpu" else "warn",
        plugins=[environment(runtime)],
        use_distributed_sampler=False,  # EpochSampler shards by itself
        enable_progress_bar=False,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_model_summary=False,
        logger=False,  # the place for loggers; the history for plots is written by its own callback, as CSV
    )


def _strategy(runtime: RuntimeConfig) -> Strategy | str:
    if runtime.processes == 1:
        return "auto"
    return DDPStrategy(find_unused_parameters=runtime.strategy == "ddp_find_unused_parameters_true")


def environment(runtime: RuntimeConfig) -> ClusterEnvironment:
    """Who starts the processes of a training or evaluation.

    Raises:
        ConfigError: this is one of several processes, and not of as many as ``runtime`` has devices.
    """
    if processes.world() not in (1, wanted := runtime.processes):
        raise ConfigError(
            f"this is one of {processes.world()} processes that were started together, but this work takes {wanted} "
            f"(runtime.devices {runtime.devices} x nodes {runtime.nodes}, or one). Start as many."
        )
    if processes.starter() == "srun":
        # Not its requeueing: it keeps checkpoints in the working directory, which all trainings share.
        return SLURMEnvironment(auto_requeue=False)
    return TorchElasticEnvironment() if processes.starter() == "torchrun" else LightningEnvironment()


class _Report(L.Callback):
    """Reports every step to a :class:`Progress`, with the epoch and the losses."""

    def __init__(self, progress: Progress, part: str) -> None:
        self._progress, self._part = progress, part
        self._losses: deque[Tensor] = deque(maxlen=AVERAGED)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        if trainer.is_global_zero:
            self._progress.start(int(trainer.estimated_stepping_batches), trainer.global_step, self._part)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        assert isinstance(outputs, Mapping)
        self._losses.append(outputs["loss"].detach())
        if trainer.is_global_zero and (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._progress(1, partial(self._note, trainer))

    def _note(self, trainer: L.Trainer) -> str:
        """Waits for the device, hence only called when something is displayed."""
        assert trainer.max_epochs is not None
        epoch = min(trainer.current_epoch + 1, trainer.max_epochs)
        facts = [f"epoch {epoch}/{trainer.max_epochs}"]
        if self._losses:
            facts.append(f"loss {torch.stack(tuple(self._losses)).mean():.3g}")
        if (loss := trainer.callback_metrics.get(VALIDATION_LOSS)) is not None:
            facts.append(f"val {loss:.3g}")
        return ", ".join(facts)


class _Guard(L.Callback):
    """Stops a training that diverges, before a checkpoint of it is written over the last good one.

    On a GPU losses are checked once in many steps, since a check waits for it; step and batch are still named.
    """

    def __init__(self, kept: Callable[[], str]) -> None:
        self._kept = kept
        self._first: float | None = None
        self._unseen: list[tuple[int, Sequence[str], Tensor]] = []

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        assert isinstance(outputs, Mapping)
        self._unseen.append((trainer.global_step, getattr(batch, "clip", ()), outputs["loss"].detach()))
        if pl_module.device.type == "cpu" or len(self._unseen) >= AVERAGED:
            self._look()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        self._look()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._look()
        for name, weight in pl_module.named_parameters():
            if not weight.isfinite().all():
                raise DivergedError(self._message(f"{name} is not finite after step {trainer.global_step}"))

    def _look(self) -> None:
        if not self._unseen:
            return
        losses = torch.stack([loss for _, _, loss in self._unseen]).tolist()
        if self._first is None:
            self._first = abs(losses[0])
        for (step, clips, _), loss in zip(self._unseen, losses, strict=True):
            if not math.isfinite(loss) or abs(loss) > EXPLODED * max(self._first, 1.0):
                what = f"the loss is {loss:.3g} at step {step} (clips {listed(clips, 8)})"
                raise DivergedError(self._message(what))
        self._unseen.clear()

    def _message(self, what: str) -> str:
        return (
            f"training diverged: {what}. {self._kept()} The same command would diverge again: lower the learning rate "
            "or gradient_clip, or train in 32-true, under `training` in params.yaml."
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning without its advertisements, advice against intended settings, and handling of Ctrl-C."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists.*")
            warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode.*")  # a frozen part of an evaluator
            warnings.filterwarnings(
                "ignore", message=".*have no `val_dataloader`.*"
            )  # steps measured without validation
            warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")  # Lightning's use of torch
            warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
            warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # Stop skips what is used
            yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise stop.__context__ from None
        raise
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
