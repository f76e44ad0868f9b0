"""Another project's motions, evaluated as this project's rows are: stage ``evaluate-motions``."""

import sys

from evaluators.folder import MotionFolder
from intermamba import files
from intermamba.config import Config
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from workflow.evaluation import comparison
from workflow.evaluation.setup import EvaluationSetup


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate the motions of a job, and print the result beside the methods that were measured in the same way.

    Clips, batches, captions, reference motions and seeds are those of the study's own rows on the dataset.

    Raises:
        StateError: the folder does not exist, or the dataset has no evaluator yet.
        DataError: the files are not what docs/howto/own-motions.md describes, or not in metres.
    """
    setup = EvaluationSetup(config, job)
    source = MotionFolder(job["motions"], setup.split, setup.settings, setup.protocol, setup.root)
    for sentence in source.warnings:
        sys.stderr.write(f"warning: {source.folder}: {sentence}\n")
    with job.recorded(config, setup.seeds) as notes:
        found = setup.measure({job.item["method"]: source}, "re-evaluated", progress=progress)
        files.write_csv(job["metrics"], found)
        notes.update(setup.notes, files=len(source.paths), sets=source.sets, warnings=source.warnings)
    comparison.show(found, comparison.finished(config, job.dataset, found))
