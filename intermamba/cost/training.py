"""Cost of training: optimisation steps of each model at a profile's sizes, on random motions of the right shapes.

Step, losses, optimiser and precision are those of training (:class:`~intermamba.training.module.TrainingModule`), all
clips as long as the window; loading data is left out. Memory is the peak of a fresh process: CUDA's allocations, or on
a CPU the resident set.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pkgutil import resolve_name
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor
from torch.utils.data import DataLoader

from intermamba import files, provenance
from intermamba.config import Config
from intermamba.cost.complexity import DATASET, cores, device, measured_on
from intermamba.cost.official import GIB, TRAINING_CLIPS
from intermamba.data.dataset import Batch
from intermamba.errors import ConfigError, StateError
from intermamba.models import build_for, find
from intermamba.paths import path
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation
from intermamba.seeds import derive
from intermamba.trainer import quiet, trainer
from intermamba.training.module import TrainingModule

KNOBS = ("methods", "training", "model", "diffusion", "losses", "text", f"datasets.{DATASET}", "runtime")
"""Knobs that affect the cost."""


def run(
    config: Config,
    variants: Sequence[str],
    *,
    steps: int,
    warmup: int,
    batch: int | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Measure each variant in a process of its own; write ``budget.csv`` row by row.

    Columns: those of :func:`measure` and of :func:`whole_training`. ``batch`` lowers the clips per step on a machine
    that cannot hold them all; the estimate is then scaled per clip. ``progress`` counts variants.

    Raises:
        ConfigError: a number is not positive, the batch exceeds that of a training, or the profile has no InterHuman.
        StateError: a model does not fit in memory.
    """
    measured_on(config)
    own = {variant: find(variant).configured(config) for variant in variants}
    least = min(one.clips_a_pass() for one in own.values())
    if batch is not None and not 0 < batch <= least:
        raise ConfigError(f"--batch {batch}: needs 1 to {least}, the clips per pass of one device in training.")
    if steps < 1 or warmup < 0:
        raise ConfigError(f"--steps {steps}, --warmup {warmup}: needs at least one step and a non-negative warm-up.")
    output = path("budget", profile=config.profile)
    knobs = {name: config.section(name) for name in KNOBS}
    rows = []
    progress.start(len(variants))
    with provenance.recorded("budget", [output], config=knobs, seeds={"root": config.seed}):
        for variant in variants:
            row = _apart(config, variant, steps, warmup, batch or own[variant].clips_a_pass())
            rows.append({**row, **whole_training(own[variant], row["seconds_median"], row["batch"])})
            files.write_csv(output, pd.DataFrame(rows))
            progress()
    return pd.DataFrame(rows)


def measure(config: Config, variant: str, steps: int, warmup: int, batch: int) -> dict[str, Any]:
    """Cost of an optimisation step, measured in this process; its memory counts from the process's start.

    Keys: ``method``, ``parameters``; ``seconds_median``, ``seconds_q1``, ``seconds_q3`` of ``steps`` steps after
    ``warmup_steps``; ``memory_gib``; ``batch`` and ``frames``; ``device``, ``precision``, ``threads``.

    Raises:
        StateError: the model does not fit in the memory of the GPU.
    """
    torch.set_num_threads(cores(config.runtime.threads))
    module, clips = example(config, variant, batch)
    clock = _Clock()
    with quiet():
        engine = trainer(
            config.on_one_device().runtime,
            epochs=1,
            gradient_clip=module.config.training.gradient_clip,
            callbacks=[clock],
            precision=module.config.training.precision,
        )
        try:
            engine.fit(module, DataLoader([clips] * (warmup + steps), batch_size=None))  # type: ignore[arg-type]
        except torch.OutOfMemoryError as error:
            raise StateError(_too_big(variant, batch)) from error
    lower, median, upper = np.quantile(clock.seconds[warmup:], [0.25, 0.5, 0.75])
    cuda = device(config) == "cuda"
    held = torch.cuda.max_memory_allocated() if cuda else provenance.peak_memory()
    return {
        "method": variant,
        "parameters": module.model.parameter_count(),
        "seconds_median": median,
        "seconds_q1": lower,
        "seconds_q3": upper,
        "steps": steps,
        "warmup_steps": warmup,
        "memory_gib": held / GIB,
        "batch": batch,
        "frames": clips.motion.shape[1],
        "device": provenance.device() if cuda else provenance.processor(),
        "precision": module.config.training.precision,
        "threads": torch.get_num_threads(),
    }


def example(config: Config, variant: str, batch: int) -> tuple[TrainingModule, Batch]:
    """An untrained model in its training module for InterHuman, and random clips as long as the window."""
    body, frames = representation(DATASET), measured_on(config).max_frames
    seed = derive(config.seed, "budget", variant)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_for(config, variant, features=body.features, max_frames=frames)
    random = Generator().manual_seed(seed)
    config = find(variant).configured(config)
    text = _RandomText(config.text.context, config.text.width, random)
    motion = torch.randn(batch, frames, 2, body.features, generator=random)
    clips = Batch(
        motion, torch.full((batch,), frames), ("",) * batch, (), ("",) * batch, individual=(("", ""),) * batch
    )
    mean, std = torch.zeros(body.features), torch.ones(body.features)
    row = find(variant)
    module: TrainingModule = resolve_name(row.method.row.module)(model, row, body, mean, std, text, config, seed)
    return module, clips


def whole_training(config: Config, seconds: float, batch: int) -> dict[str, Any]:
    """Estimate of a method's whole training on InterHuman at ``seconds`` for a step of ``batch`` clips.

    ``config`` is the row's own (:meth:`~intermamba.methods.variant.Variant.configured`).

    ``epoch_clips`` (with mirrored copies), ``training_epochs``, ``training_batch`` of a device, ``training_steps``, and
    ``training_hours``: in proportion to the clips where ``batch`` is not the one of training.
    """
    data, training = measured_on(config), config.training
    clips = data.synthetic.train if data.source == "synthetic" else TRAINING_CLIPS[DATASET]
    clips *= 2 if data.mirror else 1
    whole = config.clips_a_pass() * config.runtime.accumulate
    steps = training.epochs * (clips // training.batch)  # the last, incomplete batch of an epoch is dropped
    return {
        "epoch_clips": clips,
        "training_epochs": training.epochs,
        "training_batch": whole,
        "training_steps": steps,
        "training_hours": seconds * whole / batch * steps / 3600,
    }


def _apart(config: Config, variant: str, steps: int, warmup: int, batch: int) -> dict[str, Any]:
    """:func:`measure` in a fresh process, since the peak memory of a process cannot be reset.

    A child's count starts from its parent's memory, which is small: the parent builds no model.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, config, variant, steps, warmup, batch).result()
        except BrokenProcessPool as error:
            raise StateError(_too_big(variant, batch)) from error


def _too_big(variant: str, batch: int) -> str:
    return f"{variant}: a step of {batch} clips does not fit in memory. Lower --batch, or use a larger machine."


class _RandomText:
    """Token features without a text tower (:class:`intermamba.models.conditions.TokenFeatures`)."""

    tower, reduction = "none", None

    def __init__(self, tokens: int, width: int, random: Generator) -> None:
        self.shape, self.random = (tokens, width), random

    def features(self, captions: Sequence[str]) -> tuple[Float[Tensor, "B S W"], Int[Tensor, " B"]]:
        tokens = self.shape[0]
        values = torch.randn(len(captions), *self.shape, generator=self.random)
        return values, torch.full((len(captions),), tokens - 1)


class _Clock(L.Callback):
    """Seconds of each optimisation step, from its batch to its updated weights."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.start = 0.0

    def on_train_batch_start(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        self.start = self._now(pl_module)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        self.seconds.append(self._now(pl_module) - self.start)

    @staticmethod
    def _now(module: L.LightningModule) -> float:
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        return time.perf_counter()
