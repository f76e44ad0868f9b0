"""The common setting of all evaluations on a dataset: evaluator, protocol, test split and root of seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from evaluators import evaluation
from evaluators import evaluator as evaluators
from evaluators import protocol as protocols
from evaluators.copying import TrainingClips
from evaluators.evaluation import Beside, Source
from evaluators.evaluator import fingerprint
from evaluators.protocol import Protocol
from evaluators.results import BlockName, Origin, rows
from evaluators.sources import RealSource
from intermamba.config import Config, Dataset
from intermamba.data.splits import SplitFile
from intermamba.device import device_for, prepare_processor
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation
from intermamba.seeds import derive
from intermamba.text.cache import TextCache


def root(config: Config, dataset: Dataset) -> int:
    """Root of the repeats' seeds, one per dataset: repeat r of all methods has the same clips and captions."""
    return derive(config.seed, "evaluate", dataset)


class EvaluationSetup:
    """The setting that all evaluations on a dataset share.

    Args:
        job: has the inputs ``test``, ``text`` and ``evaluator``.
        repeats: number of repeats in place of the protocol's.
        device: where it computes, in place of the one of ``runtime``.

    Raises:
        StateError: an input stage has not run.
        DataError: the evaluator's weights do not fit the profile.
    """

    def __init__(
        self, config: Config, job: Job, repeats: int | None = None, device: torch.device | None = None
    ) -> None:
        job.require()
        prepare_processor(config.runtime.threads)
        dataset = job.dataset
        self.device = device or device_for(config.runtime.accelerator)
        named = protocols.load(config.protocol[dataset])
        self.protocol: Protocol = named if repeats is None else named.model_copy(update={"repeats": repeats})
        self.split, self.settings = SplitFile(job["test"]), config.datasets[dataset]
        self.body = representation(dataset, self.split.offsets)
        self.real = RealSource(self.split, self.settings, self.protocol, config.runtime.workers)
        self.cache = TextCache(job["text"])
        self.evaluator = evaluators.load(config, dataset, job["evaluator"], self.cache, self.device)
        known = next(map(TrainingClips, job.inputs.get("index", ())), None)
        self.beside = Beside(self.body, self.split.unseen, self.split.held_out, known)
        self.root = root(config, dataset)
        self.seeds = {
            "root": self.root,
            "repeats": [protocols.repeat_seed(self.root, repeat) for repeat in range(self.protocol.repeats)],
        }
        self.notes = {"origin": self.split.origin, "skeleton": self.split.skeleton or "recorded"}
        self.notes |= {"tower": self.cache.tower, "evaluator": fingerprint(job["evaluator"])}
        self.dataset: Dataset = dataset

    def measure(
        self,
        sources: Mapping[str, Source],
        block: BlockName,
        training_seed: int | None = None,
        progress: Progress = SILENT,
    ) -> pd.DataFrame:
        """Rows of metrics.csv for sources named by their methods."""
        found = evaluation.evaluate(self.evaluator, self.protocol, self.real, sources, self.root, progress, self.beside)
        return self.rows(found, block, training_seed)

    def measure_settings(
        self, columns: Sequence[str], sources: Mapping[tuple[Any, ...], Source], job: Job, progress: Progress = SILENT
    ) -> pd.DataFrame:
        """Rows of one trained run in several settings; ``columns`` name what the keys of ``sources`` hold."""
        numbered = {str(number): source for number, source in enumerate(sources.values())}
        found = self.measure(numbered, "reproduced", job.seed, progress)
        which = [list(sources)[int(number)] for number in found["method"]]
        values = {name: [one[place] for one in which] for place, name in enumerate(columns)}
        return found.assign(method=job.variant, **values)

    def rows(self, found: pd.DataFrame, block: BlockName, training_seed: int | None = None) -> pd.DataFrame:
        """Measurements with their dataset, protocol, evaluator and origin."""
        labels = {"dataset": self.dataset, "protocol": self.protocol.id, **self.notes}
        return rows(Origin(**labels, block=block, training_seed=training_seed), found)
