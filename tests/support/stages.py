"""Run a stage of the graph in the test's own process."""

from pathlib import Path
from typing import Any

from evaluators import evaluator
from intermamba.config import Config, Dataset, OfficialConfig
from intermamba.job import Job
from intermamba.paths import path
from intermamba.text.cache import TextCache
from workflow.graph.stages import adoption, job


def run(stage: str, config: Config, dataset: str | None = None, progress: Any = None, **item: object) -> Any:
    """Run ``stage`` on an item, as its command would; ``progress`` is handed on where it is given."""
    if dataset is not None:
        item["dataset"] = dataset
    return job(config, stage, **item).run(config, **({} if progress is None else {"progress": progress}))


def reading(**inputs: Path) -> Job:
    """A job for a function that only reads these files."""
    return Job("tables", "", {}, {name: (file,) for name, file in inputs.items()}, {})


def adopt(config: Config, dataset: str, variant: str, source: OfficialConfig, output: Path) -> None:
    """Adopt a checkpoint that the profile does not name."""
    config, one = adoption(config, dataset, variant, source, output)
    one.run(config)


def evaluator_of(config: Config, dataset: Dataset) -> Any:
    """The evaluator that a profile trained for a dataset."""
    where = {"profile": config.profile, "dataset": dataset}
    return evaluator.load(config, dataset, path("evaluator", **where), TextCache(path("text", **where)))
