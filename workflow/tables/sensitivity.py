"""The table of what the evaluators notice: how damage to real motions changes each metric."""

from collections.abc import Mapping

import pandas as pd

from evaluators.perturbations import catalogue
from evaluators.results import METRICS, read
from evaluators.sensitivity import REAL, changes
from intermamba import files
from intermamba.config import Config, Dataset
from intermamba.errors import DataError
from intermamba.names import dataset_name, origin_name
from intermamba.paths import path
from workflow.tables.tabular import Block, Cell, Column, Mark, Row, Table, decimals, interval

NUMBER = 6
"""The paper has five tables."""
MARKS: Mapping[str, Mark] = {"blind": "blind", "fooled": "fooled", "notices": "", "": ""}
NOTES = (
    "Real: the metric on undamaged test motions. Below: its change under each damage, against undamaged motion of the "
    "same draws. ± is the 95% interval over repeats of the evaluation (Student's t), of every cell by itself.",
    "○ blind: the change is no larger than its own interval or than that of the real row, so no table would show the "
    "damage. ! fooled: the metric calls the damaged motion better. Elsewhere the metric notices.",
    "Noise is independent in every frame. Exchanging the persons leaves the interaction as it was: no judge should "
    "mind. FID and Diversity do not see captions. MModality needs several motions a caption and cannot be asked.",
    "Damage that a judge does not notice would not show in the rows of the other tables either.",
    "Foot skate (cm/s) and contact (percent of frames) are measured on the motions themselves.",
)


def table(config: Config) -> Table:
    """One block a dataset, that is, an evaluator.

    Raises:
        StateError: `sensitivity` has not run.
        DataError: a file does not hold what the stage writes.
    """
    blocks = tuple(_block(config, dataset) for dataset in config.runs)
    tops = (Column(f"top{k}", f"Top {k}", "up", "R-Precision") for k in (1, 2, 3))
    others = (Column(name, METRICS[name].label, METRICS[name].direction) for name in ("fid", "mm_dist", "diversity"))
    physical = (
        Column(name, METRICS[name].label.split()[0], "closer", "No judge") for name in ("foot_skate", "contact")
    )
    caption = "What the judges notice: change of each metric when real motions are damaged."
    return Table(NUMBER, caption, (*tops, *others, *physical), blocks, NOTES, name="sensitivity", rows_are="Damage")


def _block(config: Config, dataset: Dataset) -> Block:
    file = str(files.require(path("sensitivity", profile=config.profile, dataset=dataset), "sensitivity"))
    frame = read(file)
    labels = {REAL: "Real", **{one.name: one.label for one in catalogue(dataset)}}
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
    return Block("sensitivity", f"Judge of {dataset_name(dataset)}", tuple(rows), details)


def _cells(found: pd.DataFrame, kept: Mapping[str, str]) -> dict[str, Cell]:
    cells = {}
    for result in found.to_dict("records"):
        name, mean = str(result["metric"]), float(result["mean"])
        digits = METRICS[name].digits
        text = decimals(mean, digits) if result["method"] == REAL else signed(mean, digits)
        details = {**{key: result[key] for key in ("mean", "interval", "repeats")}, **kept}
        cells[name] = Cell(text, interval(result["interval"], digits), MARKS[result["verdict"]], details=details)
    return cells


def signed(value: float, digits: int) -> str:
    """``value`` with its sign: +0.475, −0.012, and 0.000 without."""
    text = decimals(abs(value), digits)
    return text if float(text) == 0 else ("−" if value < 0 else "+") + text
