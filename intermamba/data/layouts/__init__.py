"""The owners' folders: where each file of a dataset lies, and a strict reader from a clip's files to a
:class:`~intermamba.data.splits.Clip`.

All layouts are as the owners hand the data out (docs/howto/real-data.md). Readers raise :class:`DataError`, which names
the file and what is wrong.
"""

from pathlib import Path

from intermamba import datasets
from intermamba.config import DatasetConfig
from intermamba.data.layouts.base import Layout

__all__ = ["Layout", "layout"]


def layout(dataset: str, root: Path, settings: DatasetConfig) -> Layout:
    """The layout of ``dataset`` under ``root``, by what lies there.

    Raises:
        DataError: two forms of one dataset lie there.
    """
    made: Layout = datasets.dataset(dataset).load("layout")(root, settings)
    return made
