"""Stage ``steps``: quality of a run with fewer or more sampling steps, and with another solver."""

from evaluators.evaluation import Source
from evaluators.sources import SingleSource
from intermamba import files
from intermamba.config import Config
from intermamba.generate import MotionGenerator
from intermamba.group import Group, together
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.text.cache import features_of
from workflow.evaluation.generated import GeneratedSource, load
from workflow.evaluation.setup import EvaluationSetup


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate a row under every solver and number of steps, on the same clips, captions and noise.

    Raises:
        StateError: a stage before this one has not run.
    """
    with together(config.runtime) as group:
        _run(config, job, progress if group.first else SILENT, group)


def _run(config: Config, job: Job, progress: Progress, group: Group) -> None:
    setup = EvaluationSetup(config, job, config.steps.repeats, group.device)
    trained = load(config, job)
    with job.recorded(config, setup.seeds) as notes:
        sources: dict[str, Source] = {}
        for solver, counts in config.steps.solvers.items():
            for count in counts:
                changes = {"solver": solver, "sampling_steps": count, "eta": 0.0}
                sampling = trained.recipe.variant.configured(config).diffusion.model_copy(update=changes)
                generator = MotionGenerator(trained, features_of(job), sampling, setup.device, config.runtime.sampler)
                sources[f"{solver}:{count}"] = SingleSource(
                    GeneratedSource(generator, setup.real, config.runtime.sampling_batch, group)
                )
        found = setup.measure(sources, "reproduced", job.seed, progress)
        how = found["method"].str.rsplit(":", n=1, expand=True)
        found = found.assign(method=job.variant, solver=how[0], steps=how[1].astype(int))
        if group.first:
            files.write_csv(job["metrics"], found)
        notes.update(setup.notes)
