"""Stage ``train-evaluator``: train the evaluator of a dataset, or import an official checkpoint.

Losses and schedules are in :mod:`evaluators.phases`. Inter-X's authors released the training code of their evaluator,
and its recipe is a switch (``evaluator.training.interx.recipe: official``); for InterCLIP there is no such code. Both
evaluators train on clips of the dataset's training mode with un-normalised motion, as in evaluation.
"""

from functools import partial

import pandas as pd
import torch
from torch.utils.data import DataLoader

from evaluators.evaluator import InterClipEvaluator, InterXEvaluator, build, official
from evaluators.interx import MovementConvDecoder
from evaluators.phases import Matching, MovementAutoencoder, Phase, ShiftMatching, WindowAutoencoder
from evaluators.protocol import load as load_protocol
from intermamba import files
from intermamba.config import Config, Dataset
from intermamba.data.dataset import ClipDataset, Item, WindowDataset, loader
from intermamba.data.splits import SplitFile
from intermamba.device import prepare_processor
from intermamba.errors import ConfigError
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation
from intermamba.seeds import derive
from intermamba.text.cache import TextCache
from intermamba.trainer import quiet, trainer

Loaders = tuple["DataLoader[Item]", "DataLoader[Item]"]
"""Batches of training, and of validation."""
CLIP_TEMPERATURE = 0.07  # Radford et al. 2021, 2.5


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Train the evaluator of a dataset, or import the official checkpoint that the configuration names.

    Raises:
        StateError: an input stage has not run.
        ConfigError: the training split does not fill one batch, or the validation split none of the protocol or of the
            official recipe.
        DataError: the official checkpoint is broken, or does not fit the dataset and its captions.
    """
    profile, config = config, config.on_one_device()
    prepare_processor(config.runtime.threads)
    job.require()
    dataset = job.dataset
    root = derive(config.seed, "evaluator", dataset)
    checkpoint = next(iter(job.all("checkpoint")), None)

    cache, split = TextCache(job["text"]), SplitFile(job["train"])
    taken = official(dataset, checkpoint, cache) if checkpoint else None  # before the job starts
    with job.recorded(profile, {"root": root}) as notes:
        if taken:
            network, curve = taken, pd.DataFrame(columns=CURVE)
        else:
            evaluator, curve = fit(config, dataset, cache, split, SplitFile(job["val"]), root, progress)
            network = evaluator.network
        metadata = {
            "dataset": dataset,
            "origin": split.origin,
            "tower": cache.tower,
            "weights": "official" if checkpoint else "trained",
        }
        if not checkpoint and config.evaluator.training[dataset].recipe == "official":
            metadata["recipe"] = "official"
        files.write_tensors(job["evaluator"], network.state_dict(), metadata)
        files.write_csv(job["log"], curve)
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
    progress: Progress = SILENT,
) -> tuple[InterClipEvaluator | InterXEvaluator, pd.DataFrame]:
    """Train an evaluator from scratch; equal seeds give equal evaluators on one machine. Returns it with its curve.

    Raises:
        ConfigError: the training split does not fill one batch, or the validation split none of the protocol or of the
            official recipe.
    """
    settings, data = config.evaluator.training[dataset], config.datasets[dataset]
    protocol = load_protocol(config.protocol[dataset])
    clips = ClipDataset(validation, data, "fixed", derive(seed, "validation"))
    if len(clips) < protocol.batch:
        raise ConfigError(
            f"validation split of {dataset}: {len(clips)} clips do not fill one batch of {protocol.batch} "
            f"(protocol {protocol.name!r}). Use a larger split or a smaller protocol."
        )
    training = ClipDataset(train, data, "train", derive(seed, "data"))
    batches = partial(loader, frames=data.max_frames, workers=config.runtime.workers)
    standard = (
        batches(training, settings.batch, shuffle=True, drop_last=True),
        batches(clips, protocol.batch, shuffle=False, drop_last=True),
    )
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(derive(seed, "weights"))
        evaluator = build(config, dataset, cache)
        phases: list[tuple[Phase, Loaders]]
        if isinstance(evaluator, InterClipEvaluator):
            with torch.no_grad():
                evaluator.network.latent_scale.fill_(CLIP_TEMPERATURE**-0.5)
            phases = [(Matching(evaluator, settings, seed), standard)]
        else:
            movement = evaluator.network.movement_encoder
            decoder = MovementConvDecoder(config.evaluator.interx.movement, 2 * representation(dataset).features)
            if settings.recipe == "standard":
                autoencoder = MovementAutoencoder(movement, decoder, settings, seed)
                phases = [(autoencoder, standard), (Matching(evaluator, settings, seed), standard)]
            else:
                phases = _official_recipe(config, evaluator, decoder, training, validation, seed)
        for phase, loaders in phases:
            if not len(loaders[0]):
                raise ConfigError(
                    f"training split of {dataset}: too small for one batch of {loaders[0].batch_size} of the "
                    f"{phase.name} phase. Use a larger split, or a smaller batch under evaluator.training.{dataset}."
                )
            engine = trainer(
                config.runtime,
                epochs=phase.epochs,
                gradient_clip=phase.gradient_clip,
                progress=progress,
                part=phase.name if len(phases) > 1 else "",
            )
            engine.fit(phase, *loaders)
    curve = pd.DataFrame([row for phase, _ in phases for row in phase.rows], columns=CURVE)
    return evaluator.cpu().eval().requires_grad_(False), curve


def _official_recipe(
    config: Config,
    evaluator: InterXEvaluator,
    decoder: MovementConvDecoder,
    training: ClipDataset,
    validation: SplitFile,
    seed: int,
) -> list[tuple[Phase, Loaders]]:
    """Inter-X's two phases; captions and windows of validation clips are drawn as in training.

    Raises:
        ConfigError: the validation split does not fill one batch, so that no epoch would be the best.
    """
    dataset = training.split.dataset
    data, recipe = config.datasets[dataset], config.evaluator.training[dataset].official
    assert recipe is not None  # required by the configuration
    batches = partial(loader, shuffle=True, workers=config.runtime.workers)
    windows = [
        WindowDataset(split, recipe.window, derive(seed, "windows", split.split))
        for split in (training.split, validation)
    ]
    drawn = ClipDataset(validation, data, "train", derive(seed, "validation"))
    if len(drawn) < recipe.batch:
        raise ConfigError(
            f"validation split of {dataset}: {len(drawn)} clips do not fill one batch of {recipe.batch} "
            f"(evaluator.training.{dataset}.official.batch), by whose loss the official recipe chooses weights. Use "
            "a larger split or a smaller batch."
        )
    cut, whole = (recipe.movement_batch, recipe.window), (recipe.batch, data.max_frames)
    return [
        (
            WindowAutoencoder(evaluator.network.movement_encoder, decoder, recipe, seed),
            (batches(windows[0], *cut, drop_last=True), batches(windows[1], *cut, drop_last=False)),
        ),
        (
            ShiftMatching(evaluator, recipe, load_protocol(config.protocol[dataset]).batch, seed),
            (batches(training, *whole, drop_last=True), batches(drawn, *whole, drop_last=False)),
        ),
    ]
