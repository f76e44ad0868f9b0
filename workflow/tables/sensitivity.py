"""The table of sensitivity: how damage to the ground truth changes each metric."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from evaluators.perturbations import catalogue
from evaluators.results import METRICS, REAL, read
from evaluators.sensitivity import changes
from intermamba.errors import DataError
from intermamba.job import Job
from intermamba.names import dataset_name, origin_name, reference_name
from workflow.cells import Block, Cell, Column, Mark, Row, Table, decimals, interval, signed

MARKS: Mapping[str, Mark] = {"blind": "blind", "fooled": "fooled", "detects": "", "": ""}
NOTES = (
    "First row: the metric on undamaged ground truth. Other rows: its change under each kind of damage, relative to "
    "undamaged motions of the same draws. ± is the 95% interval of each cell over repeats (Student's t).",
    "○ blind: the change is no larger than its own interval, that of the first row, or half of the last printed digit, "
    "so a table would not show the damage. ! fooled: the metric improves. No mark: the metric detects the damage.",
    "Noise is independent in every frame. Exchanging the persons does not change the interaction, so no metric should "
    "change. FID and Diversity ignore captions. MModality needs several motions per caption and is left out.",
    "Damage that an evaluator does not detect would not appear in the other tables either.",
    "Foot skate (cm/s) and contact (percent of frames) are measured on the motions themselves.",
)


def table(_study: object, job: Job) -> Table:
    """One block per dataset, that is, per evaluator.

    Raises:
        DataError: the contents of a file are not what its stage writes.
    """
    blocks = tuple(map(_block, job.all("sensitivity")))
    tops = (Column(f"top{k}", f"Top {k}", "up", "R-Precision") for k in (1, 2, 3))
    others = (Column(name, METRICS[name].label, METRICS[name].direction) for name in ("fid", "mm_dist", "diversity"))
    physical = (
        Column(name, METRICS[name].label.split()[0], "closer", "No evaluator") for name in ("foot_skate", "contact")
    )
    return Table((*tops, *others, *physical), blocks, NOTES, "Damage")


def _block(path: Path) -> Block:
    file, frame = str(path), read(path)
    dataset = frame["dataset"].iloc[0]
    labels = {REAL: reference_name(str(frame["origin"].iloc[0])), **{one.name: one.label for one in catalogue(dataset)}}
    if list(frame["method"].unique()) != list(labels):
        raise DataError(f"{file}: not the perturbations of this code. Run `intermamba sensitivity` again.")
    one = frame.iloc[0]
    kept = {name: str(one[name]) for name in ("dataset", "origin", "tower", "evaluator", "protocol")} | {"source": file}
    rows = [
        Row(labels[str(method)], _cells(found, kept), "real" if method == REAL else "method", str(method))
        for method, found in changes(frame).groupby("method", sort=False)
    ]
    details = (
        f"{origin_name(one['origin'])}; protocol {one['protocol']}, {frame['repeat'].nunique()} repeats; text tower "
        f"{one['tower']}; evaluator weights {one['evaluator']}"
    )
    return Block("sensitivity", f"Evaluator of {dataset_name(dataset)}", tuple(rows), details)


def _cells(found: pd.DataFrame, kept: Mapping[str, str]) -> dict[str, Cell]:
    cells = {}
    for result in found.to_dict("records"):
        name, mean = str(result["metric"]), float(result["mean"])
        digits = METRICS[name].digits
        text = decimals(mean, digits) if result["method"] == REAL else signed(mean, digits)
        details = {**{key: result[key] for key in ("mean", "interval", "repeats")}, **kept}
        cells[name] = Cell(text, interval(result["interval"], digits), MARKS[result["verdict"]], details=details)
    return cells
