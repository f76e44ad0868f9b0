"""Stages ``evaluate-reference`` and ``sensitivity``: metrics of the reference motions, as they are and damaged; and
``index-training``: the training clips, to which other motions may be near.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from evaluators import evaluator as evaluators
from evaluators import perturbed
from evaluators.copying import CopiedSource, write_index
from evaluators.evaluation import Source
from evaluators.results import NEAREST, REAL, RETAKEN, SHUFFLED
from evaluators.sources import RealSource, RetakenSource, ShuffledSource
from intermamba import files
from intermamba.config import Config
from intermamba.data.retaken import retaken
from intermamba.data.splits import SplitFile
from intermamba.device import device_for, prepare_processor
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation
from intermamba.text.cache import TextCache
from workflow.evaluation.setup import EvaluationSetup
from workflow.results.aggregate import references


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions, with their own and with shuffled captions, copies of training clips, and other
    performances of the test clips.

    Raises:
        StateError: a stage before this one has not run.
    """
    setup = EvaluationSetup(config, job)
    with job.recorded(config, setup.seeds) as notes, TemporaryDirectory() as folder:
        rows = sources(setup, job)
        if RETAKEN in references(config, job.dataset):
            split = retaken(setup.split, setup.settings, Path(folder))
            other = RealSource(split, setup.settings, setup.protocol, config.runtime.workers)
            rows[RETAKEN] = RetakenSource(setup.real, other)
        files.write_csv(job["metrics"], setup.measure(rows, "reference", progress=progress))
        notes.update(setup.notes)


def sources(setup: EvaluationSetup, job: Job) -> dict[str, Source]:
    """The ground truth, chance and, where the job reads the training split, copies, by the names of their rows."""
    found: dict[str, Source] = {REAL: setup.real, SHUFFLED: ShuffledSource(setup.real)}
    for training in job.all("train"):
        found[NEAREST] = CopiedSource(setup.real, training, setup.settings, setup.cache.whole)
    return found


def run_sensitivity(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions under every perturbation, to see which damage each metric detects.

    Raises:
        StateError: a stage before this one has not run.
    """
    setup = EvaluationSetup(config, job, config.sensitivity.repeats)
    with job.recorded(config, setup.seeds) as notes:
        found = perturbed.measure(setup.evaluator, setup.protocol, setup.real, setup.root, progress, setup.beside)
        files.write_csv(job["metrics"], setup.rows(found, "reference"))
        notes.update(setup.notes)


def run_index(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Write where the training clips are in the evaluator's space, and their joints.

    Raises:
        StateError: a stage before this one has not run.
    """
    job.require()
    prepare_processor(config.runtime.threads)
    dataset, training, cache = job.dataset, SplitFile(job["train"]), TextCache(job["text"])
    with job.recorded(config) as notes:
        device = device_for(config.runtime.accelerator)
        evaluator = evaluators.load(config, dataset, job["evaluator"], cache, device)
        body = representation(dataset, training.offsets)
        notes["motions"] = write_index(job["index"], job["train"], config.datasets[dataset], evaluator, body, progress)
        notes |= {"origin": training.origin, "evaluator": evaluators.fingerprint(job["evaluator"])}
