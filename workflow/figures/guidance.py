"""Figure of quality over the guidance scale: how much of a comparison depends on a knob of sampling."""

import pandas as pd
from matplotlib.figure import Figure

from intermamba.job import Job
from workflow.figures.sampled import Axis, Look, quality
from workflow.figures.style import absent, colours_of
from workflow.results.reproduced import Study, joined


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile."""
    return scales(joined(job.all("guidance.metrics")), study)


def scales(measured: pd.DataFrame, study: Study) -> Figure:
    """R-precision and FID over the guidance scale, a row of panels per dataset, a line per method.

    Args:
        measured: rows of every ``guidance.csv``: one per repeat, scale and metric.
        study: its summary, labels and profile.
    """
    title = f"Guidance scale (profile {study.config.profile})"
    if measured.empty:
        return absent(title, "This profile runs no variant whose guidance this figure changes.")
    looks = {name: Look(study.label(name), colour) for name, colour in colours_of(measured["method"]).items()}
    axis = Axis("guidance", "Guidance scale (1: no guidance)")
    return quality(measured, study.summary, axis, "method", looks, title)
