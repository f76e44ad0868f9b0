"""Batches of windows of equal length, for trainings of autoencoders."""

from collections.abc import Sequence
from typing import Any

from intermamba.config import DatasetConfig
from intermamba.data.dataset import WindowDataset, loader
from intermamba.data.splits import SplitFile
from intermamba.errors import ConfigError
from intermamba.seeds import derive


def window_loaders(
    splits: Sequence[SplitFile],
    settings: DatasetConfig,
    root: int,
    *,
    frames: int,
    stride: int,
    last: bool,
    batch: int,
    workers: int,
    knobs: tuple[str, str],
) -> tuple[Any, Any]:
    """Windows of the training split, mirrored ones where the dataset has them, and of the validation split.

    Args:
        splits: for training and for validation.
        settings: of the dataset.
        root: of the order of windows.
        frames: of a window.
        stride: frames between the starts of two windows.
        last: whether a clip's last possible window is one.
        batch: windows a step, on one device.
        workers: data-loading processes.
        knobs: names of those that set ``frames`` and ``batch``, for the message.

    Raises:
        ConfigError: too few windows for a batch.
    """
    made = []
    for split in splits:
        training = split.split == "train"
        windows = WindowDataset(
            split,
            frames,
            derive(root, "windows", split.split),
            stride=stride,
            last=last,
            mirror=training and settings.mirror,
        )
        if len(windows) < (batch if training else 1):
            raise ConfigError(
                f"{split.split} split of {split.dataset}: {len(windows)} windows of {frames} frames are too few for a "
                f"batch of {batch} pairs. Use a larger split, a shorter window ({knobs[0]}), or a smaller batch "
                f"({knobs[1]})."
            )
        made.append(loader(windows, batch, frames, training, training, workers))
    return made[0], made[1]
