"""Figure of quality over sampling steps: the paper names fewer of them as future work (Section 6)."""

import pandas as pd
from matplotlib.figure import Figure

from intermamba.job import Job
from intermamba.names import solver_name
from workflow.figures.sampled import Axis, Look, quality
from workflow.figures.style import COLOURS, absent
from workflow.results.reproduced import Study, joined

LOOKS = {
    "ddim": Look(solver_name("ddim"), COLOURS["intermamba"]),
    "dpm-solver++": Look(solver_name("dpm-solver++"), "0.15", "--"),
}


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    return few_steps(joined(job.all("steps.metrics")), study.summary, study.config.profile)


def few_steps(measured: pd.DataFrame, summary: pd.DataFrame, profile: str) -> Figure:
    """R-precision and FID over the number of steps, a row of panels per dataset, a line per solver.

    Args:
        measured: rows of every ``steps.csv``: one per repeat, solver, number of steps and metric.
        summary: of the study, for the lines of the ground truth and of chance.
        profile: named in the title.
    """
    title = f"InterMamba in fewer and more sampling steps (profile {profile})"
    if measured.empty:
        return absent(title, "This profile runs no 'intermamba', whose sampling steps this figure compares.")
    return quality(measured, summary, Axis("steps", "Sampling steps", "log"), "solver", LOOKS, title)
