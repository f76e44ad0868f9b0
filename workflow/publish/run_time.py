"""The table of docs/explanation/time.md: what each stage of the published smoke run took."""

from pathlib import Path

import pandas as pd

from intermamba import files
from intermamba.config import Config
from workflow.report.lineage import Lineage
from workflow.tables.markdown import grid

STAGES = "stages.csv"
"""File of these times, beside the tables of the run."""


def measured(config: Config) -> pd.DataFrame:
    """One row a stage of a finished run, in the order of the graph: its runs, and their seconds together and at most.

    Raises:
        StateError: a stage has not run.
    """
    records = Lineage.of_run(config).records.values()
    times = pd.DataFrame([{"stage": record["stage"], "seconds": record["wall_seconds"]} for record in records])
    found = times.groupby("stage", sort=False)["seconds"].agg(["count", "sum", "max"])
    return found.set_axis(["runs", "seconds", "longest"], axis=1).round(1).reset_index()


def render(folder: Path, run: str) -> str:
    """The table of the run in ``folder``, whose facts are in the file ``run``."""
    stages, facts = pd.read_csv(folder / STAGES), files.read_json(folder / run)
    rows = [
        [str(row["stage"]), str(row["runs"]), f"{row['seconds']:.0f}", f"{row['longest']:.1f}"]
        for row in stages.to_dict("records")
    ]
    about = (
        f"Code {facts['code']}, {facts['device']}: {facts['stage_runs']} stage runs, "
        f"{facts['wall_minutes']} minutes from the first to the last."
    )
    return f"{about}\n\n{grid(['stage', 'runs', 'in all (s)', 'the longest (s)'], rows)}"
