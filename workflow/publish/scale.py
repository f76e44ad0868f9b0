"""The cost of the data path and of a whole study over their size, as Markdown: the table of ``benchmarks/scale.py``.

Costs of stages that read data are fitted to the measurements; those of training and sampling come from
:mod:`workflow.graph.plan` and the measurements at the paper's size. Both are then computed for sizes that were not run.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from intermamba.config import Config, Dataset, SyntheticConfig, load
from intermamba.cost.official import CLIPS
from intermamba.models import label_of
from intermamba.names import dataset_name
from intermamba.progress import duration
from workflow.cells import MISSING, significant
from workflow.graph import plan
from workflow.publish import paper_size
from workflow.publish.records import made_by
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/scale.csv")
"""Where the measurements are published."""
DISK = "disk"
RENAMED = "renamed"
"""Lengths of the clips of a dataset that has every clip by several names."""
STAGES = {
    "fetch": "fetch: every file checked",
    "preprocess": "preprocess",
    "encode-text": "encode-text",
    "epoch": "an epoch of training's loader",
    "evaluate-reference": "evaluate-reference, 20 repeats",
}
DATA_STAGES = ("fetch", "preprocess", "encode-text", "evaluate-reference")
"""Those that a study runs once for each dataset."""
SHARES = {"train": 0.78, "val": 0.08, "test": 0.14}
"""Share of the clips in each measured split; about that of the official splits."""
TEN = 10


def render() -> str:
    """Tables of what was measured and the fits; costs of a study once all that it is computed from is measured."""
    if not MEASURED.exists():
        return ""
    rows = pd.read_csv(MEASURED)
    about = f"{made_by(MEASURED)}.\n"
    parts = [_dataset(str(name), of) for name, of in rows.groupby("dataset", sort=False)]
    whole = {(dataset, stage) for dataset in CLIPS for stage in DATA_STAGES}
    measured = whole <= set(zip(rows["dataset"], rows["stage"], strict=True))
    if measured and plan.Measurements.are_in(paper_size.FOLDER):
        parts.append(_study(_fitting(rows)))
    return "\n".join([about, *parts])


def _dataset(name: str, rows: pd.DataFrame) -> str:
    disk = rows[rows["stage"] == DISK]
    rate = float((disk["read"] / disk["wall"]).max())  # other work on the machine can only slow it
    body = [
        [
            STAGES[row["stage"]],
            f"{row['clips']:,}",
            f"{row['frames'] / row['clips']:.0f}",
            significant(row["seconds"], 3),
            significant(row["read"] / rate, 2),
            f"{row['read'] / 1e6:,.0f}",
            f"{row['written'] / 1e6:,.0f}" if row["written"] else MISSING,
            f"{row['held'] / 2**20:,.0f}",
            f"{row['resident'] / 2**20:,.0f}",
        ]
        for stage in STAGES
        for row in rows[rows["stage"] == stage].sort_values("clips").to_dict("records")
    ]
    head = ["Stage", "clips", "frames a clip", "s", "floor (s)", "MB read", "MB written", "MiB held", "MiB resident"]
    text = (
        f"The disk delivered at most {rate / 1e9:.2f} GB/s; the floor is the time that it needs at this rate for what "
        "a stage reads."
    )
    return f"## {dataset_name(name)}\n\n{text}\n\n{grid(head, body)}\n{_fits(rows)}"


def _fitting(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that a fit is made of: those of a clip by several names test it."""
    return rows[rows["lengths"] != RENAMED]


@dataclass(frozen=True)
class Fit:
    """Least squares of a quantity on a constant, clips, and where they vary alone, frames."""

    constant: float
    clip: float
    frame: float
    residual: float
    """The largest relative one."""

    def at(self, clips: float, frames: float) -> float:
        """The quantity that it predicts."""
        return self.constant + self.clip * clips + self.frame * frames


def fit(rows: pd.DataFrame, quantity: str) -> Fit:
    """Fit a column over the sizes of one stage; frames enter where clips of another length were measured."""
    columns = [np.ones(len(rows)), rows["clips"].to_numpy(float)]
    if rows["lengths"].nunique() > 1:
        columns.append(rows["frames"].to_numpy(float))
    inputs = np.stack(columns, axis=1)
    values = rows[quantity].to_numpy(float)
    found, *_ = np.linalg.lstsq(inputs, values, rcond=None)
    residual = float(np.abs(inputs @ found / values - 1).max())
    constant, clip, *frame = map(float, found)
    return Fit(constant, clip, frame[0] if frame else 0.0, residual)


def _fits(rows: pd.DataFrame) -> str:
    larger, rows = rows[rows["lengths"] == RENAMED], _fitting(rows)
    largest = rows.sort_values("clips").to_dict("records")[-1]
    clips, frames = (float(TEN * largest[name]) for name in ("clips", "frames"))
    body = []
    for stage, label in STAGES.items():
        of = rows[rows["stage"] == stage]
        if of.empty:
            continue
        seconds, held = fit(of, "seconds"), fit(of, "held")
        ran = larger[larger["stage"] == stage].to_dict("records")
        body.append(
            [
                label,
                significant(seconds.constant, 2),
                significant(1e3 * (seconds.clip + seconds.frame * frames / clips), 3),
                f"{100 * seconds.residual:.0f}%",
                f"{held.constant / 2**20:.0f}",
                significant((held.clip + held.frame * frames / clips) / 1024, 2),
                duration(seconds.at(clips, frames)),
                duration(ran[0]["seconds"]) if ran else MISSING,
                f"{held.at(clips, frames) / 2**20:,.0f}",
                f"{ran[0]['held'] / 2**20:,.0f}" if ran else MISSING,
            ]
        )
    head = [
        "Stage", "start (s)", "ms a clip", "largest residual", "MiB at the start", "KiB a clip",
        f"at {clips:,.0f} clips", "run", "MiB held there", "run",
    ]  # fmt: skip
    text = (
        "Least squares: a constant and a slope per clip, for clips of the usual length. Values for ten times the "
        "official number of clips are extrapolated. The columns 'run' are measurements at that size, with every clip's "
        "files under ten names; the fit does not use them."
    )
    return f"\n{text}\n\n{grid(head, body)}"


# --- a whole study ----------------------------------------------------------------------------------------------------


def _study(rows: pd.DataFrame) -> str:
    """A study of the paper's rows, larger by one factor at a time, and by all."""
    measured = plan.Measurements(paper_size.FOLDER, "paper")
    base = sized(_paper())
    cases = {
        "the paper's rows, one seed": base,
        "ten times the clips": sized(base, clips=TEN),
        "half the frames": sized(base, frames=0.5),
        "twice the rows": repeated(base, 2),
        "three training seeds": repeated(base, 3),
        "ten times the clips, three seeds": repeated(sized(base, clips=TEN), 3),
    }
    body = [[name, *_cost(config, measured, rows)] for name, config in cases.items()]
    head = [
        "Study",
        "trainings",
        "training",
        "sampling",
        "data",
        "a device (GiB)",
        "a job (GiB)",
        "disk (GB)",
        "on 8 devices",
        "on 64",
    ]
    others = len({name for _, name, _ in base.rows()} - measured.clip_seconds.keys())
    text = (
        "Hours that the profile `paper` takes on as many generated clips as the official datasets have: training its "
        "rows, all sampling, and the stages that read data. `intermamba plan` computes them from steps and samplings "
        f"measured on {' and '.join(measured.devices)} (docs/paper): steps of "
        f"{', '.join(map(label_of, measured.clip_seconds))}; those of the other {others} rows are in proportion to "
        "their multiply-accumulates, and half the frames count as half the time. Stages that read data follow the fits "
        "above. Trainings before a row's and those of evaluators are in no column, and in the length on several "
        "devices with their time limit. Memory is the most that a training needs on its device, extrapolated from "
        "measured ones with fewer clips, and the most that a stage that reads data holds. On a GPU, divide training "
        "and sampling by its speed-up over this processor, which is not known."
    )
    return f"## A whole study\n\n{text}\n\n{grid(head, body)}"


@cache
def _paper() -> Config:
    return load("paper")


def sized(config: Config, clips: int = 1, frames: float = 1.0) -> Config:
    """``config`` with so many times the official numbers of clips, and windows so many times as long."""
    changed = {}
    for dataset, settings in config.datasets.items():
        counts = {split: round(clips * CLIPS[dataset] * share) for split, share in SHARES.items()}
        synthetic: SyntheticConfig = settings.synthetic.model_copy(update=counts)
        update = {"source": "synthetic", "synthetic": synthetic, "max_frames": round(settings.max_frames * frames)}
        changed[dataset] = settings.model_copy(update=update)
    return config.model_copy(update={"datasets": changed})


def repeated(config: Config, times: int) -> Config:
    """``config`` with so many seeds of every row, which cost as much as so many rows."""
    runs = {dataset: {row: list(range(times)) for row in of} for dataset, of in config.runs.items()}
    return config.model_copy(update={"runs": runs})


def _cost(config: Config, measured: plan.Measurements, rows: pd.DataFrame) -> list[str]:
    """Cells of a study: trainings, hours of training, sampling and data, memory, disk, length on several devices."""
    costs = [_fitted(config, cost, rows) for cost in plan.costs(config, measured)]
    stages = plan.by_stage(costs)
    hours = {name: sum(cost.hours for cost in of) for name, of in stages.items()}
    sampling = sum(hours.get(name, 0.0) for name in plan.SAMPLED)
    data = sum(hours.get(name, 0.0) for name in DATA_STAGES)
    disk = sum(cost.disk for cost in costs) + sum(_split_bytes(config, rows, dataset) for dataset in config.runs)
    length = {gpus: max(slot.end for slot in plan.schedule(costs, gpus)) for gpus in (8, 64)}
    return [
        str(len(stages["train"])),
        *(f"{value:,.0f} h" for value in (hours["train"], sampling)),
        f"{data:.1f} h",
        f"{max(cost.memory or 0.0 for cost in costs):.0f}",
        f"{max(_held(config, cost, rows) for cost in costs):.1f}",
        f"{disk / 1e9:,.0f}",
        *(f"{value:,.0f} h" for value in length.values()),
    ]


def _fitted(config: Config, cost: plan.Cost, rows: pd.DataFrame) -> plan.Cost:
    """The cost of a stage that reads data, as fitted; others unchanged."""
    if cost.job.stage not in DATA_STAGES:
        return cost
    of = rows[(rows["stage"] == cost.job.stage) & (rows["dataset"] == cost.job.dataset)]
    return replace(cost, hours=fit(of, "seconds").at(*_size(config, of, cost.job.dataset)) / 3600, basis="scaled")


def _held(config: Config, cost: plan.Cost, rows: pd.DataFrame) -> float:
    """GiB that a stage that reads data holds, as fitted; 0 for others."""
    if cost.job.stage not in DATA_STAGES:
        return 0.0
    of = rows[(rows["stage"] == cost.job.stage) & (rows["dataset"] == cost.job.dataset)]
    return fit(of, "held").at(*_size(config, of, cost.job.dataset)) / 2**30


def _split_bytes(config: Config, rows: pd.DataFrame, dataset: Dataset) -> float:
    """Bytes of the split files."""
    of = rows[(rows["stage"] == "preprocess") & (rows["dataset"] == dataset)]
    return fit(of, "written").at(*_size(config, of, dataset))


def _size(config: Config, rows: pd.DataFrame, dataset: Dataset) -> tuple[float, float]:
    """Clips and frames of a dataset, whose clips are cut where its windows are shorter than usual."""
    usual = rows[rows["lengths"] == "usual"]
    clips = float(sum(plan.clips(config, dataset).values()))
    share = min(1.0, config.datasets[dataset].max_frames / _paper().datasets[dataset].max_frames)
    return clips, clips * share * float(usual["frames"].sum() / usual["clips"].sum())
