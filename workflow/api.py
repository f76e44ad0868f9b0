"""``intermamba.evaluate``: motions measured from Python; writes nothing.

``evaluate --motions`` (:mod:`workflow.evaluation.external`) measures in the same way and writes a row of the study.
"""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from evaluators.evaluation import Source
from evaluators.folder import MotionFolder
from evaluators.results import summarise
from intermamba.config import load
from intermamba.data.splits import SplitFile
from intermamba.errors import DataError
from workflow.evaluation import reference
from workflow.evaluation.setup import EvaluationSetup
from workflow.graph import stages


def evaluate(
    motions: str | Path | Mapping[str, np.ndarray | Mapping[str, np.ndarray]],
    dataset: str,
    profile: str | None = None,
    method: str | None = None,
) -> pd.DataFrame:
    """Measure motions by a dataset's protocol, with the references on the same draws. Writes nothing.

    The profile's test split, captions and evaluator must be there (``fetch``, ``preprocess``, ``encode-text``,
    ``train-evaluator``). Implausible units or axes of the motions give a Python warning.

    Args:
        motions: a folder as for ``intermamba evaluate --motions``; or a motion of every test clip, by the clip's id: an
            array of un-normalised features (InterHuman (T, 2, 262); Inter-X (T, 2, 336) or (T, 56, 6)), or the fields
            of an ``.npz`` by name, such as ``joints`` and ``rotations`` (docs/howto/own-motions.md). ``caption``
            defaults to the clip's first.
        dataset: ``interhuman`` or ``interx``.
        profile: profile of params.yaml; default: the one named there.
        method: name of the rows; default: the folder's name, or ``motions``.

    Returns:
        Mean and half-width of the interval over repeats, with the number of repeats, by ``method`` and ``metric``:
        columns ``mean``, ``interval``, ``repeats``. Method ``real`` is the ground truth, ``shuffled`` is chance, and
        ``nearest`` copies the training clip whose caption is nearest.

    Raises:
        ConfigError: unknown dataset or profile, or a ``method`` that is the name of a row of this project.
        StateError: a stage named above has not run.
        DataError: the motions are not what docs/howto/own-motions.md describes, or not in metres.

    Example:
        >>> import intermamba
        >>> found = intermamba.evaluate("my_motions", dataset="interhuman")
        >>> sorted(found.index.unique("method"))
        ['my_motions', 'nearest', 'real', 'shuffled']
        >>> bool(found.loc[("real", "top3"), "mean"] > 0)
        True
    """
    config = load(profile)
    given = isinstance(motions, Mapping)
    method = method or ("motions" if isinstance(motions, Mapping) else Path(motions).resolve().name)
    stages.check_method(method, "method")
    job = stages.job(config, "evaluate-reference", dataset=config.dataset(dataset))
    setup = EvaluationSetup(config, job)
    with tempfile.TemporaryDirectory() as spare:
        folder = _written(motions, Path(spare), setup.split) if isinstance(motions, Mapping) else Path(motions)
        source = MotionFolder(folder, setup.split, setup.settings, setup.protocol, setup.root)
        for sentence in source.warnings:
            warnings.warn(sentence if given else f"{folder}: {sentence}", stacklevel=2)
        rows: dict[str, Source] = {method: source, **reference.sources(setup, job)}
        summary = summarise(setup.measure(rows, "re-evaluated"))
    order = {name: number for number, name in enumerate(rows)}
    summary = summary.sort_values("method", key=lambda names: names.map(order), kind="stable")
    return summary.set_index(["method", "metric"])[["mean", "interval", "repeats"]]


def _written(motions: Mapping[str, np.ndarray | Mapping[str, np.ndarray]], folder: Path, split: SplitFile) -> Path:
    """``motions`` as files of ``folder``, so that they pass through the same checks."""
    for number, (clip, value) in enumerate(motions.items()):
        fields = {"motion": value} if isinstance(value, np.ndarray) else dict(value)
        if "caption" not in fields and clip in split.ids:
            fields["caption"] = np.array(split.captions(split.ids.index(clip))[0])
        if "clip" in fields and str(fields["clip"]) != clip:
            raise DataError(f"motions[{clip!r}]: its field clip is {str(fields['clip'])!r}. Leave it out.")
        fields["clip"] = np.array(clip)
        np.savez(folder / f"{number:06}.npz", **fields)  # type: ignore[arg-type]
    return folder
