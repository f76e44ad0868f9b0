"""Stage ``train-evaluator``: the training code that was never released.

*InterCLIP* (InterHuman): symmetric InfoNCE over the batch, as the official class computes it. The learned scale starts
at CLIP's temperature of 0.07 instead of at 1.

*Text-motion matcher* (Inter-X): in two phases, as Inter-X's two scripts do it. First the movement encoder learns to
reconstruct frames through a decoder that is then thrown away (L1, plus 0.001 each of sparsity and smoothness of the
movements); here on whole clips rather than windows of 40 frames, and for a quarter of the epochs. Then it is frozen,
and the two recurrent encoders learn under the contrastive margin loss. Officially each text is pushed from one motion,
a random shift away in the batch, where the shift may be zero and so push a pair from itself; here from all others.

Both train under AdamW and a cosine schedule on the clips of the dataset's training mode, motion un-normalised, as the
evaluators are asked later. The weights of the last epoch are kept: validation splits are small, and the best of many
noisy epochs flatters itself.
"""

import math
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluators import metrics
from evaluators.evaluator import InterClipEvaluator, InterXEvaluator, build, official
from evaluators.interclip import info_nce
from evaluators.interx import MovementConvDecoder, contrastive_margin, rest_padded, side_by_side
from evaluators.protocol import load as load_protocol
from intermamba import files, paths, provenance
from intermamba.config import Config, Dataset, EvaluatorTrainingConfig
from intermamba.data.dataset import Batch, ClipDataset, loader
from intermamba.data.splits import SplitFile
from intermamba.errors import ConfigError
from intermamba.representation import representation
from intermamba.seeds import derive
from intermamba.text.cache import TextCache
from intermamba.trainer import quiet, trainer

CLIP_TEMPERATURE = 0.07  # Radford et al. 2021, 2.5
GRADIENT_CLIP = 0.5  # InterGen and Inter-X alike
MOVEMENT_SHARE = 0.25  # of the epochs, for the movement encoder; reconstruction settles long before matching does
MOVEMENT_PENALTY = 0.001  # Inter-X: lambda_sparsity and lambda_smooth


def run(config: Config, dataset: Dataset, progress: bool = True) -> None:
    """Train the evaluator of ``dataset``, or take over the official checkpoint that the configuration names.

    Raises:
        StateError: an input stage has not run.
        ConfigError: the validation split does not fill one batch of the protocol.
        DataError: the official checkpoint is broken, or does not fit the dataset and its captions.
    """
    torch.set_num_threads(config.runtime.threads)
    where = {"profile": config.profile, "dataset": dataset}
    outputs = [paths.path("evaluator", **where), paths.path("evaluator_log", **where)]
    train = files.require(paths.path("split", split="train", **where), "preprocess")
    validation = files.require(paths.path("split", split="val", **where), "preprocess")
    text = files.require(paths.path("text", **where), "encode-text")
    knobs = {key: config.section(key) for key in ("evaluator", f"datasets.{dataset}", f"protocol.{dataset}")}
    root = derive(config.seed, "evaluator", dataset)
    checkpoint = config.evaluator.checkpoint[dataset]

    cache, split = TextCache(text), SplitFile(train)
    taken = official(dataset, checkpoint, cache) if checkpoint else None  # before anything is hashed or begun
    inputs = [train, validation, text, *([Path(checkpoint)] if checkpoint else [])]
    with provenance.recorded("train-evaluator", outputs, inputs, knobs, {"root": root}) as notes:
        if taken:
            network, curve = taken, pd.DataFrame(columns=CURVE)
        else:
            evaluator, curve = fit(config, dataset, cache, split, SplitFile(validation), root, progress)
            network = evaluator.network
        metadata = {
            "dataset": dataset,
            "origin": split.origin,
            "tower": cache.tower,
            "weights": "official" if checkpoint else "trained",
        }
        files.write_tensors(outputs[0], network.state_dict(), metadata)
        files.write_csv(outputs[1], curve)
        notes.update(metadata, parameters=sum(weight.numel() for weight in network.parameters()))


CURVE = ["phase", "epoch", "split", "loss", "top1", "top2", "top3"]
"""Columns of the training curve; R-precision only on the validation split, in batches of the protocol's size."""


def fit(
    config: Config,
    dataset: Dataset,
    cache: TextCache,
    train: SplitFile,
    validation: SplitFile,
    seed: int,
    progress: bool = False,
) -> tuple[InterClipEvaluator | InterXEvaluator, pd.DataFrame]:
    """Train an evaluator from scratch; equal seeds give equal evaluators on one machine. Returns it with its curve."""
    settings, data = config.evaluator.training[dataset], config.datasets[dataset]
    protocol = load_protocol(config.protocol[dataset])
    clips = ClipDataset(validation, data, "fixed", derive(seed, "validation"))
    if len(clips) < protocol.batch:
        raise ConfigError(
            f"validation split of {dataset}: {len(clips)} clips do not fill one batch of {protocol.batch} "
            f"(protocol {protocol.name!r}). Use a larger split or a smaller protocol."
        )
    training = ClipDataset(train, data, "train", derive(seed, "data"))
    batches = partial(loader, frames=data.max_frames, drop_last=True, workers=config.runtime.workers)
    loaders = batches(training, settings.batch, shuffle=True), batches(clips, protocol.batch, shuffle=False)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(derive(seed, "weights"))
        evaluator = build(config, dataset, cache)
        phases: list[_Phase]
        if isinstance(evaluator, InterClipEvaluator):
            with torch.no_grad():
                evaluator.network.latent_scale.fill_(CLIP_TEMPERATURE**-0.5)
            phases = [Matching(evaluator, settings, seed)]
        else:
            movement = evaluator.network.movement_encoder
            decoder = MovementConvDecoder(config.evaluator.interx.movement, 2 * representation(dataset).features)
            phases = [MovementAutoencoder(movement, decoder, settings, seed), Matching(evaluator, settings, seed)]
        for phase in phases:
            engine = trainer(config.runtime, epochs=phase.epochs, gradient_clip=GRADIENT_CLIP, progress=progress)
            engine.fit(phase, *loaders)
    curve = pd.DataFrame([row for phase in phases for row in phase.rows], columns=CURVE)
    return evaluator.cpu().eval().requires_grad_(False), curve


class _Phase(L.LightningModule):
    """Optimiser, schedule and curve that the phases share."""

    name: str

    def __init__(self, settings: EvaluatorTrainingConfig, seed: int) -> None:
        super().__init__()
        self.settings, self.seed = settings, seed
        self.epochs = settings.epochs
        self.rows: list[dict[str, Any]] = []
        self._losses: dict[str, list[float]] = {"train": [], "val": []}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        torch.manual_seed(derive(self.seed, self.name, "dropout", self.global_step))

    def configure_optimizers(self) -> Any:
        learned = [weight for weight in self.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(learned, self.settings.learning_rate, weight_decay=self.settings.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _note(self, split: str, loss: Float[Tensor, ""]) -> None:
        self._losses[split].append(loss.item())

    def _close(self, split: str, **measured: float) -> None:
        losses = self._losses[split]
        self.rows.append(
            {"phase": self.name, "epoch": self.current_epoch, "split": split, "loss": np.mean(losses)} | measured
        )
        losses.clear()

    def on_train_epoch_end(self) -> None:
        self._close("train")


class MovementAutoencoder(_Phase):
    """Teaches the movement encoder to keep what is needed to draw the frames again."""

    name = "movement"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, settings: EvaluatorTrainingConfig, seed: int) -> None:
        super().__init__(settings, seed)
        self.encoder, self.decoder = encoder, decoder
        self.epochs = math.ceil(MOVEMENT_SHARE * settings.epochs)

    def _loss(self, batch: Batch) -> Float[Tensor, ""]:
        frames = side_by_side(rest_padded(batch))
        movements = self.encoder(frames)
        drawn = self.decoder(movements)[:, : frames.shape[1]]
        error = (drawn - frames[:, : drawn.shape[1]]).abs().mean(dim=-1)
        mask = batch.mask[:, : drawn.shape[1]]
        penalty = movements.abs().mean() + movements.diff(dim=1).abs().mean()
        return error[mask].mean() + MOVEMENT_PENALTY * penalty

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        loss = self._loss(batch)
        self._note("train", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        self._note("val", self._loss(batch))

    def on_validation_epoch_end(self) -> None:
        self._close("val")


class Matching(_Phase):
    """Brings texts and their motions together."""

    name = "matching"

    def __init__(
        self, evaluator: InterClipEvaluator | InterXEvaluator, settings: EvaluatorTrainingConfig, seed: int
    ) -> None:
        super().__init__(settings, seed)
        self.evaluator = evaluator
        self._precision: list[Float[np.ndarray, " k"]] = []

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Freeze the movement encoder; not before the phase begins, since the one before still teaches it."""
        if isinstance(self.evaluator, InterXEvaluator):
            self.evaluator.network.movement_encoder.eval().requires_grad_(False)

    def _loss(self, text: Float[Tensor, "B K"], motion: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
        if isinstance(self.evaluator, InterClipEvaluator):
            return info_nce(text, motion, self.evaluator.network.latent_scale)
        return contrastive_margin(text, motion, self.settings.margin)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
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
