"""Stage ``figures``: draw every figure of the registry (:mod:`workflow.figures`)."""

from intermamba.config import Config
from intermamba.job import Job
from intermamba.models import variants
from workflow.figures import FORMATS, figures
from workflow.figures.style import save, themed
from workflow.results.reproduced import read


def run(config: Config, job: Job) -> None:
    """Draw every figure of the profile as PDF and PNG.

    Raises:
        StateError: a stage before this one has not run.
        DataError: a result is older than the runs that params.yaml lists.
    """
    with job.recorded(config), themed():
        study = read(config, variants())
        for name, one in figures(config).items():
            figure = one.make(study, job)
            for suffix in FORMATS:
                save(figure, job[f"{name}.{suffix}"])
