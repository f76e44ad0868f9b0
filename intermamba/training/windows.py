"""Batches of windows of equal length, for training autoencoders."""

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
    """Loaders of the training split's windows, with mirrored copies if the dataset has them, and of the validation
    split's.

    Args:
        splits: training and validation split.
        settings: the dataset's configuration.
        root: seed of the order of windows.
        frames: frames per window.
        stride: frames between the starts of successive windows.
        last: whether to include a clip's last possible window.
        batch: windows per step.
        workers: number of data-loading processes.
        knobs: names of the knobs for ``frames`` and ``batch``, for the error message.

    Raises:
        ConfigError: a split has too few windows for a batch.
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
