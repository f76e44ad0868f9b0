"""The measurements of ``make gpu`` as Markdown."""

from pathlib import Path

import pandas as pd

from evaluators.results import METRICS
from evaluators.sensitivity import half_width
from intermamba.cost.bench import TABLES
from intermamba.models import label_of, variants
from intermamba.paths import path
from workflow.cells import interval, signed, significant
from workflow.publish import speed
from workflow.publish.processor import crossover
from workflow.results import reported
from workflow.tables.markdown import grid

MEASURED = path("bench", profile="paper", table=TABLES[0], format="csv").parent
"""Where it writes."""
FOLDER = Path("docs/bench/gpu")
"""Where a run is published."""
MAINS = (f"{TABLES[0]}.csv", "tests.csv", "crossover.csv", "precision.csv")
"""Files with a record: the bench's, which describes its other tables too, and three more."""
NOTHING = "Nothing has been measured on a GPU yet: `make gpu` does it, on a machine that has one.\n"


def summary() -> str:
    """What the documentation shows of the published run."""
    return render(FOLDER) if FOLDER.exists() else NOTHING


def render(folder: Path) -> str:
    """The run whose files are in ``folder``."""
    outcomes = pd.read_csv(folder / "tests.csv").set_index("outcome")["tests"]
    counted = ", ".join(f"{count} {name}" for name, count in outcomes.items() if count or name == "passed")
    parts = [
        f"Tests on the GPU: {counted}.\n",
        _sampling(folder),
        _memory(folder),
        _crossover(folder),
        _precision(folder),
    ]
    return "\n".join([*parts, speed.render(folder)])


def _sampling(folder: Path) -> str:
    """Seconds of a whole guided sampling beside the paper's."""
    table = reported.read(3).query("metric == 'inference_seconds'").set_index("method")["value"]
    names = {one.name: row.row for one in variants().values() for row in one.paper if row.table == 3}
    models = pd.read_csv(folder / "models.csv").query("what == 'sampling' and runs > 0")
    ways = list(models["way"].unique())
    rows = []
    for method, found in models.groupby("method", sort=False):
        seconds = found.set_index("way")["seconds_median"]
        ours = [significant(seconds[way], 3) if way in seconds else "" for way in ways]
        rows.append([label_of(str(method)), *ours, table.get(names.get(str(method), ""), "")])
    head = ["Seconds of a sampling of one clip", *ways, "the paper's (RTX 4090)"]
    return grid(head, rows)


def _memory(folder: Path) -> str:
    """Peak memory of a guided step over frames."""
    growth = pd.read_csv(folder / "growth.csv").query("axis == 'frames' and runs > 0")
    sizes = sorted(growth["size"].unique())
    rows = []
    for method, found in growth.groupby("method", sort=False):
        memory = found.set_index("size")["memory"] / 2**20
        rows.append(
            [
                label_of(str(method)),
                *(significant(memory[size], 3) if size in memory else "" for size in sizes),
            ]
        )
    return grid(["Memory of a guided step (MiB), frames", *map(str, sizes)], rows)


def _crossover(folder: Path) -> str:
    """Elapsed time and memory of a layer of attention and one of Mamba-1 over the length."""
    return f"One layer:\n\n{crossover(pd.read_csv(folder / 'crossover.csv'), 'wall')}"


def _precision(folder: Path) -> str:
    """What bfloat16 changes of each metric, and the half width of its 95% interval over repeats on the same clips."""
    found = pd.read_csv(folder / "precision.csv")
    rows = []
    for metric, values in found.groupby("metric", sort=False):
        sides = values.pivot_table(index="repeat", columns="method", values="value")
        known = METRICS[str(metric)]
        change = sides["bfloat16"] - sides["float32"]
        rows.append(
            [
                known.label,
                f"{sides['float32'].mean():.{known.digits}f}",
                signed(float(change.mean()), known.digits),
                interval(half_width(change), known.digits),
            ]
        )
    return grid(["Metric of the demo checkpoint, smoke's evaluator", "float32", "change with bfloat16", "±"], rows)
