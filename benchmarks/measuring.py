"""What measurements of finished trainings share: one evaluator for all of them, and what it says of ground truth."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from evaluators import evaluation, protocol
from evaluators import evaluator as evaluators
from evaluators.evaluation import Beside, Source
from evaluators.evaluator import fingerprint
from evaluators.sources import RealSource
from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.checkpoints.trained import Trained
from intermamba.config import Config, Dataset, load
from intermamba.data.dataset import Batch, ClipDataset, collate
from intermamba.data.splits import SplitFile
from intermamba.generate import MotionGenerator
from intermamba.names import revision_name
from intermamba.paths import path
from intermamba.provenance import code_revision, recorded
from intermamba.representation import representation
from intermamba.text.cache import TextCache
from workflow.evaluation.generated import GeneratedSource
from workflow.evaluation.setup import root


class Measurement:
    """The evaluator of a run, with the test split and the captions of that run.

    Args:
        run: a folder in which stages of the profile have run.
        repeats: in place of the protocol's; then without MModality.
        split: what is measured.
    """

    def __init__(
        self, run: Path, config: Config, dataset: Dataset, repeats: int | None, split: Literal["test", "val"] = "test"
    ) -> None:
        where = {"profile": config.profile, "dataset": dataset}
        self.config, self.dataset = config, dataset
        self.split = SplitFile(run / path("split", split=split, **where))
        weights = run / path("evaluator", **where)
        self.fingerprint = fingerprint(weights)
        self.evaluator = evaluators.load(config, dataset, weights, TextCache(run / path("text", **where)))
        self.protocol = protocol.load(config.protocol[dataset])
        if repeats:
            multimodality = self.protocol.multimodality.model_copy(update={"repeats": 0})
            self.protocol = self.protocol.model_copy(update={"repeats": repeats, "multimodality": multimodality})
        self.real = RealSource(self.split, config.datasets[dataset], self.protocol)

    def continues(self, done: pd.DataFrame) -> None:
        """Leave a file alone whose numbers of this dataset are of another evaluator.

        Raises:
            SystemExit: they are.
        """
        known = set(done.loc[done["dataset"] == self.dataset, "evaluator"].dropna()) if "evaluator" in done else set()
        if others := known - {self.fingerprint, ""}:
            raise SystemExit(
                f"error: the output has numbers of {self.dataset} by evaluator {', '.join(sorted(others))}; this run's "
                f"is {self.fingerprint}. Give another --output."
            )

    def measure(self, generator: MotionGenerator) -> pd.DataFrame:
        """Columns repeat, metric and value."""
        return self.of(GeneratedSource(generator, self.real, self.config.runtime.sampling_batch))

    def of(self, source: Source) -> pd.DataFrame:
        """Likewise of any motions."""
        body = representation(self.dataset, self.split.offsets)
        beside = Beside(body, unseen=self.split.unseen, held_out=self.split.held_out)
        seed = root(self.config, self.dataset)
        found = evaluation.evaluate(self.evaluator, self.protocol, self.real, {"": source}, seed, beside=beside)
        return found.drop(columns=["method", "repeat_seed"])


def in_run(run: Path, output: Path) -> Path:
    """Work in the folder of a run, whose paths are relative. Returns ``output`` as seen from there: then its record
    names no place of the machine.
    """
    output = output.resolve()
    os.chdir(run)
    return Path(os.path.relpath(output))


@dataclass
class Measured:
    """A file of measurements of a run's rows, which later calls extend."""

    config: Config
    dataset: Dataset
    done: list[pd.DataFrame]
    _asked: Sequence[str]
    _output: Path

    def missing(self) -> Iterator[tuple[dict[str, Any], Trained]]:
        """Labels and weights of the asked trainings of which there are no numbers."""
        for variant, seed in (row.split(":") for row in self._asked):
            weights = path(
                "weights", profile=self.config.profile, dataset=self.dataset, variant=variant, seed=int(seed)
            )
            digest = files.sha256(weights)
            if not any((one["weights"] == digest).any() for one in self.done if "weights" in one):
                labels = {"dataset": self.dataset, "method": variant, "training_seed": int(seed), "weights": digest}
                yield {**labels, "measured_by": measuring_code()}, checkpoints.load(weights)

    def add(self, found: pd.DataFrame) -> None:
        """Write the file anew, with more rows."""
        self.done.append(found)
        files.write_csv(self._output, pd.concat(self.done))


@contextmanager
def measured_rows(about: str, changes: Mapping[str, Any] | None = None) -> Iterator[Measured]:
    """The measurements that the command line ``RUN PROFILE DATASET [ROW:SEED ...] --output FILE`` asks for, recorded.

    Args:
        about: the script's docstring.
        changes: differences from the profile.
    """
    arguments = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("profile")
    arguments.add_argument("dataset")
    arguments.add_argument("rows", nargs="*")
    arguments.add_argument("--output", type=Path, required=True)
    asked = arguments.parse_args()
    output, name = in_run(asked.run, asked.output), Path(sys.argv[0]).stem
    config = load(asked.profile, changes=changes)
    torch.set_num_threads(config.runtime.threads)
    done = [measurements(output)] if output.exists() else []
    with recorded(name, [output], [], config.model_dump(mode="json")) as notes:
        yield Measured(config, asked.dataset, done, asked.rows, output)
        notes["run"] = asked.run.name


def batch_of(split: SplitFile, config: Config, seed: int, count: int | None = None) -> Batch:
    """The first ``count`` clips of a split, or all, cut as in evaluation, as one batch."""
    settings = config.datasets[split.dataset]
    clips = ClipDataset(split, settings, "fixed", seed)
    return collate([clips[0, index] for index in range(count or len(clips))], settings.max_frames)


def references(run: Path, config: Config, dataset: Dataset) -> pd.DataFrame:
    """What the evaluator's run measured of ground truth and of chance."""
    found = pd.read_csv(
        files.require(run / path("reference_metrics", profile=config.profile, dataset=dataset), "evaluate-reference")
    )
    return found[["dataset", "method", "tower", "evaluator", "protocol", "repeat", "metric", "value"]].assign(
        training_seed=-1, weights=""
    )


def measurements(file: Path) -> pd.DataFrame:
    """Rows of an earlier call; fingerprints and commits are texts, also those of digits alone."""
    return pd.read_csv(file, dtype={"evaluator": str, "weights": str, "measured_by": str, "code": str})


def measuring_code() -> str:
    """The code that measures, for files that later sessions extend: their record names the last one only."""
    with chdir(Path(__file__).parent):  # a run's folder need not be the checkout
        return revision_name({"code": code_revision()})
