"""Stage ``train``: one denoiser of the study, from split files to weights."""

import hashlib
import json
import shutil

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from intermamba import files
from intermamba.checkpoints.recipe import describe
from intermamba.checkpoints.trained import Trained, save
from intermamba.config import Config
from intermamba.data.dataset import ClipDataset, Mode, loader
from intermamba.data.splits import SplitFile
from intermamba.errors import Interrupted
from intermamba.job import Job, values
from intermamba.models import build
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation
from intermamba.seeds import derive
from intermamba.text.cache import TextCache
from intermamba.trainer import quiet, trainer
from intermamba.training.history import History
from intermamba.training.module import DenoisingModule

MODES: tuple[Mode, ...] = ("train", "fixed")


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Train a variant and write its weights and histories; a killed run goes on from its last checkpoint."""
    torch.set_num_threads(config.runtime.threads)
    dataset, variant, seed = job.dataset, job.variant, job.seed
    # The same for all variants: with one training seed they see the same clips, noise and steps in the same order.
    root = derive(config.seed, "train", dataset, seed)

    with job.recorded(config, {"training": seed, "root": root}) as notes:
        splits = [SplitFile(job[name]) for name in ("train", "val")]
        settings, body = config.datasets[dataset], representation(dataset, splits[0].offsets)
        cache = TextCache(job["text"])
        # Before the work, so that what no checkpoint can hold costs no training.
        recipe = describe(config, dataset, variant, origin=splits[0].origin, tower=cache.tower)
        stats = files.read_tensors(job["stats"])[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(root, "weights"))
            model = build(
                variant,
                features=body.features,
                max_frames=settings.max_frames,
                text_width=cache.width,
                **config.model.model_dump(),
            )
        module = DenoisingModule(model, body, stats["mean"], stats["std"], cache, config, root)
        train, validation = (
            loader(
                ClipDataset(split, settings, mode, derive(root, "data")),
                config.training.batch // config.runtime.devices,
                settings.max_frames,
                shuffle=mode == "train",
                drop_last=mode == "train",
                workers=config.runtime.workers,
            )
            for split, mode in zip(splits, MODES, strict=True)
        )
        resume = _Resume(config, job)
        history = History(config.training.log_every_steps, resume.folder)
        with quiet():
            engine = trainer(
                config.runtime,
                epochs=config.training.epochs,
                gradient_clip=config.training.gradient_clip,
                progress=progress,
                callbacks=[history, resume.callback],
                precision=config.training.precision,
                devices=config.runtime.devices,
                validate_every=config.training.checkpoint_every_epochs,
            )
            try:
                engine.fit(module, train, validation, ckpt_path=resume.path, weights_only=True)
            except KeyboardInterrupt:
                raise Interrupted(resume.advice()) from None
        if engine.is_global_zero:
            history.write(job["training_log"], job["adaptive_log"])
            trained = Trained(model, stats["mean"], stats["std"], recipe, splits[0].offsets, cache.reduction)
            save(job["weights"], trained)
        notes.update(
            origin=splits[0].origin,
            skeleton=splits[0].skeleton,
            tower=cache.tower,
            steps=engine.global_step,
            parameters=sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
            resumed=resume.path is not None,
        )
    resume.clear()


class _Resume:
    """The checkpoint of an unfinished run, tied to what it was started with."""

    def __init__(self, config: Config, job: Job) -> None:
        folder = job["weights"].parent / "resume"
        knobs = values(config, [name for name in job.knobs if name != "runtime"])
        identity = json.dumps([knobs, [files.sha256(path) for path in job.reads], job.variant, config.runtime.devices])
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self.folder, self._file = folder, folder / f"{name}.ckpt"
        # A checkpoint of other knobs or other data must never be continued.
        self.path = str(self._file) if self._file.exists() else None
        self.callback = ModelCheckpoint(
            folder,
            filename=name,
            every_n_epochs=config.training.checkpoint_every_epochs,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def advice(self) -> str:
        """How an interrupted run goes on."""
        if not self._file.exists():
            return "Run the same command again to begin anew: there was no checkpoint yet."
        step = torch.load(self._file, map_location="cpu", weights_only=True)["global_step"]
        return f"Run the same command again to go on from step {step}."

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
