"""Stages ``evaluate-reference`` and ``sensitivity``: metrics of the reference motions, as they are and damaged."""

from evaluators import perturbed
from evaluators.evaluation import Source
from evaluators.results import SHUFFLED
from evaluators.sources import SharedSource, ShuffledSource
from intermamba import files
from intermamba.config import Config
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from workflow.evaluation.setup import Bench


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions, with their own captions and with captions shuffled."""
    bench = Bench(config, job)
    with job.recorded(config, bench.seeds) as notes:
        files.write_csv(job["metrics"], bench.measure(sources(bench), "reference", progress=progress))
        notes.update(bench.notes)


def sources(bench: Bench) -> dict[str, Source]:
    """The ground truth and chance, by the names of their rows."""
    drawn = SharedSource(bench.real)
    return {"real": drawn, SHUFFLED: ShuffledSource(drawn)}


def run_sensitivity(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions under every perturbation, to see which metric notices what."""
    bench = Bench(config, job, config.sensitivity.repeats)
    with job.recorded(config, bench.seeds) as notes:
        found = perturbed.measure(
            bench.evaluator, bench.protocol, bench.real, bench.root, progress, bench.body, bench.split.unseen
        )
        files.write_csv(job["metrics"], bench.rows(found, "reference"))
        notes.update(bench.notes)
