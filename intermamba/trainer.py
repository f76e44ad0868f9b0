"""Lightning's trainer as this project uses it: reproducible, quiet, resumable only where asked."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar

from intermamba.config import RuntimeConfig


def trainer(
    runtime: RuntimeConfig,
    *,
    epochs: int,
    gradient_clip: float | None,
    progress: bool,
    callbacks: Sequence[L.Callback] = (),
    precision: str = "32-true",
    devices: int = 1,
    validate_every: int = 1,
) -> L.Trainer:
    """A trainer without loggers, summaries or checkpoints of its own; a :class:`ModelCheckpoint` may be a callback."""
    bars = [RichProgressBar(leave=False)] if progress else []
    return L.Trainer(
        accelerator=runtime.accelerator,
        devices=devices,
        precision=precision,
        max_epochs=epochs,
        gradient_clip_val=gradient_clip,
        check_val_every_n_epoch=validate_every,
        num_sanity_val_steps=0,
        callbacks=[*callbacks, *bars],
        # On a GPU some kernels have no deterministic form; those warn instead of failing.
        deterministic=True if runtime.accelerator == "cpu" else "warn",
        use_distributed_sampler=False,  # EpochSampler shards by itself
        enable_progress_bar=progress,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_model_summary=False,
        logger=False,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning without its advertisements, and without its advice on what is meant to be so."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists.*")
            warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode.*")  # a frozen part of an evaluator
            warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")  # steps measured on their own
            warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")  # Lightning's use of torch
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
