"""The table of copying: how near each row's motions are to training clips, and whether it does new combinations."""

from collections.abc import Iterator

import pandas as pd

from evaluators.results import BY_COMBINATION, NEARNESS, REAL, SHUFFLED, BlockName
from intermamba.config import Dataset
from intermamba.job import Job
from intermamba.names import dataset_name
from workflow.cells import SPREADS, Block, Cell, Column, Row, Table, decimals
from workflow.results.aggregate import references
from workflow.results.reproduced import REFERENCE_KINDS, Study, measured_on, quality_row
from workflow.tables.columns import metric

RATIO = "_ratio"
"""Suffix of the columns of ratios."""
SPACES = {
    "nearest_embedding": "Nearest training clip, evaluator",
    "nearest_joints": "Nearest training clip, joints",
}
NOTES = (
    "By combination: R-precision (Top 3) of test clips whose combination of kind and parameters training shows, and of "
    "those whose combination it never shows, each among all motions of its batch. Only the embedded data know them.",
    "Nearest training clip: the distance of a motion to the training clip that is nearest to it, a mean over test "
    "clips; in the evaluator's space, and as the root mean square distance of joints, both clips put with their first "
    "person at the origin, facing the same way, whichever person comes first.",
    "Ratio: to the same distance of the ground truth of the test split, whose clips are no training clips. Well below "
    "1 the method copies; the row of copies shows what that looks like. Above 1 its motions are unlike training clips.",
    SPREADS,
)


def table(study: Study, _job: Job) -> Table:
    """One block per dataset: the ground truth, copies and other performances, and every row that was run."""
    blocks = tuple(_block(study, dataset) for dataset in study.config.runs)
    measured = {key for block in blocks for row in block.rows for key in row.cells}
    group = "R-Precision (Top 3) by combination"
    combinations = [metric(name, group, name.removeprefix("top3_").replace("_", " ")) for name in BY_COMBINATION]
    near = []
    for name, label in zip(NEARNESS, ("distance", "distance (cm)"), strict=True):
        near.append(Column(name, label, "closer", SPACES[name]))
        near.append(Column(name + RATIO, "ratio", "closer", SPACES[name]))
    columns = tuple(column for column in (*combinations, *near) if column.key in measured)
    return Table(columns, blocks, NOTES)


def _block(study: Study, dataset: Dataset) -> Block:
    real = _means(study, dataset, "reference", REAL)
    rows = tuple(_rows(study, dataset, real))
    heading = f"This run on {dataset_name(dataset)}, profile {study.config.profile}"
    return Block("reproduced", heading, rows, measured_on(study, dataset))


def _rows(study: Study, dataset: Dataset, real: "pd.Series[float]") -> Iterator[Row]:
    known = [name for name in references(study.config, dataset) if name != SHUFFLED]
    listed: list[tuple[BlockName, str]] = [("reference", name) for name in known]
    listed += [("reproduced", method) for method in study.config.runs[dataset]]
    for block, method in listed:
        row = quality_row(study, dataset, block, method)
        cells = {name: cell for name, cell in row.cells.items() if name in (*BY_COMBINATION, *NEARNESS)}
        for name in NEARNESS:
            if name in cells:
                ratio = float(_means(study, dataset, block, method)[name] / real[name])
                details = {"mean": ratio, "source": cells[name].details["source"]}
                cells[name + RATIO] = Cell(decimals(ratio, 2), details=details)
        yield Row(row.label, cells, REFERENCE_KINDS.get(method, "method"), method)


def _means(study: Study, dataset: Dataset, block: BlockName, method: str) -> "pd.Series[float]":
    return study.results(dataset, block, method).set_index("metric")["mean"]
