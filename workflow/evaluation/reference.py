"""Stages ``evaluate-reference`` and ``sensitivity``: metrics of the reference motions, as they are and damaged."""

from evaluators import perturbed
from evaluators.evaluation import Source
from evaluators.results import SHUFFLED
from evaluators.sources import ShuffledSource
from intermamba import files
from intermamba.config import Config
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from workflow.evaluation.setup import EvaluationSetup


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions, with their own captions and with captions shuffled."""
    setup = EvaluationSetup(config, job)
    with job.recorded(config, setup.seeds) as notes:
        files.write_csv(job["metrics"], setup.measure(sources(setup), "reference", progress=progress))
        notes.update(setup.notes)


def sources(setup: EvaluationSetup) -> dict[str, Source]:
    """The ground truth and chance, by the names of their rows."""
    return {"real": setup.real, SHUFFLED: ShuffledSource(setup.real)}


def run_sensitivity(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions under every perturbation, to see which damage each metric detects."""
    setup = EvaluationSetup(config, job, config.sensitivity.repeats)
    with job.recorded(config, setup.seeds) as notes:
        found = perturbed.measure(
            setup.evaluator, setup.protocol, setup.real, setup.root, progress, setup.body, setup.split.unseen
        )
        files.write_csv(job["metrics"], setup.rows(found, "reference"))
        notes.update(setup.notes)
