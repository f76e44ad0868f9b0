"""Stages ``steps`` and ``guidance``: quality of a run that is sampled in other ways than its profile's.

All settings see the same clips, captions and noise.
"""

from collections.abc import Mapping
from typing import Any

from evaluators.evaluation import Source
from evaluators.sources import SingleSource
from intermamba import files
from intermamba.config import Config
from intermamba.generate import MotionGenerator
from intermamba.group import together
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.text.cache import features_of
from workflow.evaluation.generated import GeneratedSource, load
from workflow.evaluation.setup import EvaluationSetup

Settings = Mapping[tuple[Any, ...], Mapping[str, Any]]
"""Knobs of ``diffusion`` that differ from the row's own, by what identifies them in the results."""


def run_steps(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate a row with every solver and number of steps.

    Raises:
        StateError: a stage before this one has not run.
    """
    settings: Settings = {
        (solver, count): {"solver": solver, "sampling_steps": count, "eta": 0.0}
        for solver, counts in config.steps.solvers.items()
        for count in counts
    }
    _run(config, job, ("solver", "steps"), settings, config.steps.repeats, progress)


def run_guidance(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate a row with every guidance scale.

    Raises:
        StateError: a stage before this one has not run.
    """
    settings: Settings = {(scale,): {"guidance": scale} for scale in config.guidance.scales}
    _run(config, job, ("guidance",), settings, config.guidance.repeats, progress)


def _run(
    config: Config, job: Job, columns: tuple[str, ...], settings: Settings, repeats: int, progress: Progress
) -> None:
    with together(config.runtime) as group:
        setup = EvaluationSetup(config, job, repeats, group.device)
        trained, features = load(config, job), features_of(job)
        own = trained.recipe.variant.configured(config).diffusion

        def source(changes: Mapping[str, Any]) -> Source:
            sampling = own.model_copy(update=changes)
            generator = MotionGenerator(trained, features, sampling, setup.device, config.runtime.sampler)
            return SingleSource(GeneratedSource(generator, setup.real, config.runtime.sampling_batch, group))

        with job.recorded(config, setup.seeds) as notes:
            sources = {setting: source(changes) for setting, changes in settings.items()}
            found = setup.measure_settings(columns, sources, job, progress if group.first else SILENT)
            if group.first:
                files.write_csv(job["metrics"], found)
            notes.update(setup.notes)
