"""The owners' folders: paths of a dataset's files, and a strict reader from a clip's files to a
:class:`~intermamba.data.splits.Clip`.

Layouts are those of the owners' downloads (docs/howto/real-data.md). Readers raise :class:`DataError`, which names the
file and the problem.
"""

from pathlib import Path

from intermamba import datasets
from intermamba.config import DatasetConfig
from intermamba.data.layouts.base import Layout

__all__ = ["Layout", "layout"]


def layout(dataset: str, root: Path, settings: DatasetConfig) -> Layout:
    """The layout of ``dataset`` under ``root``, depending on its contents.

    Raises:
        DataError: the folder holds two forms of one dataset.
    """
    made: Layout = datasets.dataset(dataset).load("layout")(root, settings)
    return made
