"""Stages ``train`` and ``train-part``: from split files to the weights of a row, or of a part of rows."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pkgutil import resolve_name

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from intermamba import files, processes
from intermamba.checkpoints.recipe import describe
from intermamba.checkpoints.trained import Trained, save
from intermamba.config import Config
from intermamba.data import normalisation
from intermamba.data.splits import SplitFile
from intermamba.device import prepare_processor
from intermamba.errors import Interrupted, StateError
from intermamba.job import Job, values
from intermamba.methods.method import ROW, Training
from intermamba.methods.variant import Variant
from intermamba.models import build_for, find
from intermamba.models.network import recompute
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation
from intermamba.seeds import derive
from intermamba.text.cache import features_of
from intermamba.trainer import quiet, trainer
from intermamba.training.history import History
from intermamba.training.loggers import Loggers, folder
from intermamba.training.module import TrainingModule
from intermamba.training.samples import Samples
from intermamba.training.stopping import Stop


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Train a variant and write its weights and histories; a killed run continues from its last checkpoint.

    Raises:
        StateError: a stage before this one has not run.
        ConfigError: an unknown variant, or sizes out of bounds.
    """
    variant = find(job.variant)
    dataset = job.dataset
    profile, config = config, variant.configured(config, dataset)
    # Before the training, so that an unsupported recipe fails early.
    job.require()
    cache = features_of(job)
    split = SplitFile(job["train"])
    recipe = describe(config, dataset, variant.name, origin=split.origin, tower=cache.tower)

    def trained(module: TrainingModule) -> Trained:
        return Trained(module.model, module.mean, module.std, recipe, split.offsets, cache.reduction)

    callbacks = []
    if every := config.runtime.samples_every_epochs:
        callbacks.append(Samples(every, folder(job) / "samples", SplitFile(job["val"]), trained))

    def write(module: TrainingModule) -> None:
        save(job["weights"], trained(module))

    _train(profile, config, job, variant, variant.method.row, write, progress, callbacks)


def run_part(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Train a part of a method, such as a prior, and write its weights; resumes like :func:`run`.

    Raises:
        StateError: a stage before this one has not run.
    """
    base, _, name = job.item["part"].partition(".")
    variant = find(base)
    training = variant.method.training(name)
    profile, config = config, config.of(base, name)
    job.require()

    def write(module: TrainingModule) -> None:
        files.write_tensors(job["weights"], module.model.state_dict(), {"part": job.item["part"]})

    _train(profile, config, job, variant, training, write, progress)


def _train(
    profile: Config,
    config: Config,
    job: Job,
    variant: Variant,
    training: Training,
    write: Callable[[TrainingModule], None],
    progress: Progress,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train with the row's ``config``; the record has the knobs of the ``profile``, as the graph declares them."""
    needed = enumerate(variant.method.needed(training), start=1)
    parts = {one.name: files.read_tensors(job[f"part{place}"])[0] for place, one in needed}
    if training.devices == "one":
        config = config.on_one_device()
    prepare_processor(config.runtime.threads)
    dataset, seed = job.dataset, job.seed
    # The same for all variants: with one training seed they see the same clips, noise and steps in the same order.
    root = derive(config.seed, "train", dataset, seed)
    part = None if training.name == ROW else training.name

    with job.recorded(profile, {"training": seed, "root": root}) as notes:
        splits = [SplitFile(job[name]) for name in ("train", "val")]
        settings, body = config.datasets[dataset], representation(dataset, splits[0].offsets)
        cache = features_of(job)
        mean, std = normalisation.read(job["stats"], body.features)
        if not variant.method.normalises(dataset):
            mean, std = torch.zeros_like(mean), torch.ones_like(std)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(root, "weights"))
            model = build_for(config, variant, features=body.features, max_frames=settings.max_frames, part=part)
        if config.runtime.recompute:
            recompute(model)
        made = resolve_name(training.module)
        module: TrainingModule = made(model, variant, body, mean, std, cache, config, root, parts=parts)
        train, validation = module.loaders(splits, settings, root)
        resume = _Resume(config, job)
        history = History(config.training.log_every_steps, resume.folder, Loggers(config, job))
        try:
            with quiet():
                engine = trainer(
                    config.runtime,
                    epochs=config.training.epochs,
                    gradient_clip=config.training.gradient_clip,
                    progress=progress,
                    callbacks=[
                        history,
                        *averaging(config.training.average),
                        *callbacks,
                        Stop(resume.file, train),
                        resume.callback,
                    ],
                    precision=config.training.precision,
                    validate_every=config.training.checkpoint_every_epochs,
                    kept=resume.kept,
                )
                engine.fit(module, train, validation, ckpt_path=resume.path, weights_only=True)
        except KeyboardInterrupt:
            raise Interrupted(resume.advice()) from None
        except RuntimeError as error:
            if config.runtime.processes == 1 or "peer" not in str(error):
                raise
            raise StateError(f"another process of this training was lost. {resume.advice()}") from error
        if engine.is_global_zero:
            adaptive = job["adaptive_log"] if part is None else None
            history.write(job["training_log"], adaptive)
            write(module.cpu())
        notes.update(
            origin=splits[0].origin,
            skeleton=splits[0].skeleton,
            tower=cache.tower,
            steps=engine.global_step,
            learning_rate=config.training.learning_rate,
            parameters=model.parameter_count(),
            resumed=resume.path is not None,
        )
    if processes.first():
        resume.clear()


def averaging(decay: float | None) -> list[WeightAveraging]:
    """The callback that averages the weights over the steps, if there is a ``decay``.

    Checkpoints hold the averaged and the current weights; validation and the finished training use the averaged ones.
    """
    return [] if decay is None else [_Average(multi_avg_fn=get_ema_multi_avg_fn(decay))]


class _Average(WeightAveraging):
    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the average in the network, also where a resumed training had no step left and so no end."""
        self.on_train_end(trainer, pl_module)


class _Resume:
    """The checkpoint of an unfinished run, valid only for the settings and data of its start."""

    def __init__(self, config: Config, job: Job) -> None:
        folder = job["weights"].parent / "resume"
        knobs = values(config, [name for name in job.knobs if name != "runtime"])
        passes = config.runtime.devices, config.runtime.nodes, config.runtime.accumulate
        identity = json.dumps([knobs, [files.sha256(path) for path in job.reads], *job.item.values(), *passes])
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self.folder, self.file = folder, folder / f"{name}.ckpt"
        # A checkpoint of other settings or data must never be continued.
        self.path = str(self.file) if self.file.exists() else None
        self.callback = ModelCheckpoint(
            folder,
            filename=name,
            every_n_epochs=config.training.checkpoint_every_epochs,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def kept(self) -> str:
        """Sentence about the last checkpoint."""
        if not self.file.exists():
            return "There is no checkpoint yet."
        return f"The last good checkpoint is {self.file}, of step {self._step()}."

    def _step(self) -> int:
        return int(torch.load(self.file, map_location="cpu", weights_only=True)["global_step"])

    def advice(self) -> str:
        """Advice on how to continue an interrupted run."""
        if not self.file.exists():
            return "Run the same command again to start over: there was no checkpoint yet."
        return f"Run the same command again to continue from step {self._step()}."

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
