"""Pictures of what a model generates during its training (``runtime.samples_every_epochs``)."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import lightning as L
import numpy as np
import torch

from intermamba import files
from intermamba.checkpoints.trained import Trained
from intermamba.data.dataset import ClipDataset, Item
from intermamba.data.splits import SplitFile
from intermamba.generate import MotionGenerator
from intermamba.seeds import derive
from intermamba.training.module import TrainingModule

PROMPTS, MOMENTS = 3, 5
SIDE = 1.6
"""Inches of a picture of one moment."""


class Samples(L.Callback):
    """Draws motions for the first validation captions every ``every`` epochs, the same noise each time.

    Changes nothing of the training: noise is a sample's own, and the global random state is restored.

    Args:
        folder: of the pictures, ``epoch0010.png`` and so on.
        split: validation split.
        trained: the network as it is, with everything that sampling needs.
    """

    def __init__(
        self, every: int, folder: Path, split: SplitFile, trained: Callable[[TrainingModule], Trained]
    ) -> None:
        self._every, self._folder, self._split, self._trained = every, folder, split, trained

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self._every or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, TrainingModule)
        training = pl_module.model.training
        with torch.random.fork_rng():
            try:
                self._draw(pl_module, epoch)
            finally:
                pl_module.train(training)

    def _draw(self, module: TrainingModule, epoch: int) -> None:
        settings = module.config.datasets[self._split.dataset]
        clips = ClipDataset(self._split, settings, "fixed", module.seed)
        items = [clips[0, index] for index in range(min(PROMPTS, len(self._split)))]
        generator = MotionGenerator(self._trained(module), module.tokens, module.config.diffusion, module.device)
        seeds = [derive(module.seed, "sample", item.clip) for item in items]
        cond = generator.encode([item.caption for item in items], [one.individual for one in items if one.individual])
        frames = settings.max_frames
        asked = torch.tensor([len(item.motion) for item in items])
        lengths = generator.lengths(cond, asked, frames, seeds)
        joints = module.representation.joints(generator.generate(cond, lengths, frames, seeds).cpu()).numpy()
        draw(self._folder / f"epoch{epoch:05d}.png", items, [one[:n] for one, n in zip(joints, lengths, strict=True)])


def draw(path: Path, items: list[Item], motions: list[np.ndarray]) -> None:
    """A row of moments for each motion, (T, 2, 22, 3), under its caption."""
    from matplotlib.figure import Figure

    from intermamba.render.camera import Camera
    from intermamba.render.people import People, draw_floor

    figure = Figure(figsize=(SIDE * MOMENTS, SIDE * len(motions)), layout="constrained")
    for row, item, joints in zip(figure.subfigures(len(motions), squeeze=False)[:, 0], items, motions, strict=True):
        caption = row.suptitle(textwrap.shorten(item.caption, 90, placeholder=" …"), fontsize=8, style="italic")
        caption.set_parse_math(False)
        floor, camera = float(joints[..., 1].min()), Camera.around(joints, aspect=1.0)
        at = np.rint(np.linspace(0, len(joints) - 1, MOMENTS)).astype(int)
        for axes, frame in zip(row.subplots(1, MOMENTS, squeeze=False)[0], at, strict=True):
            draw_floor(axes, camera, joints, floor)
            People(axes, camera, joints[frame], floor)
    with files.atomic(path) as part:
        figure.savefig(part, dpi=80)
