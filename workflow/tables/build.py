"""Stage ``tables``: every table of the registry as LaTeX, Markdown and CSV. Tables 1 to 5 are made here: the paper's
rows and this run's rows in separate blocks.

Each variant names the rows of the paper that it reproduces (``paper`` in ``ablations/``). A variant without such a row,
for example a user's own, joins the table of its dataset and the table of costs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from evaluators.results import NEAREST, PHYSICAL, RETAKEN
from intermamba import files
from intermamba.config import Config, Dataset
from intermamba.job import Job
from intermamba.models import variants
from workflow.cells import SPREADS, Block, Cell, Column, Direction, Row, Table, ranked
from workflow.exhibits import Exhibit, numbering
from workflow.results import reported
from workflow.results.aggregate import references
from workflow.results.reproduced import (
    Study,
    absent,
    conditions,
    cost,
    every_row,
    given_motions,
    own_towers,
    parameters,
    quality,
    re_evaluated,
    read,
    timing,
)
from workflow.tables import TABLES, latex, markdown, tables
from workflow.tables.columns import by_phrasing, learned, metric

PHRASINGS = (
    "By phrasing: R-precision (Top 3) of test captions phrased as in training, and of those with words and sentences "
    "that do not occur in training, each among all motions of its batch. Captions of single persons, which in2IN and "
    "RIG read, are always phrased as in training."
)
COPIES = (
    "Nearest training clip: for each test caption, the motion of the training clip whose caption is nearest by the "
    "text tower (not by the evaluator), cut to the asked length or held in its last pose. It shows what copying gives: "
    "a row below it does not follow its captions better than a look-up."
)
AGAIN = (
    "Ground truth, performed again: the same kinds, parameters and lengths in other performances, by the generator of "
    "the embedded data. A model that samples motions as the data do would have its FID; ground truth itself compares "
    "the test clips with themselves."
)
MODULES = ("Self-ASTM", "Cross-ASTM", "LIIA")
"""Modules with a column of ticks in Table 5."""
ASTM = "ASTM"

TIDY = ("table", "block", "method", "label", "metric", "printed", "printed_interval", "printed_seed_std", "mark")
"""Columns of a table's CSV that every cell fills."""
DETAILS = (
    "mean", "interval", "repeats", "seeds", "seed_std", "quartile1", "quartile3", "dataset", "origin", "skeleton",
    "tower", "evaluator", "protocol", "source", "note",
)  # fmt: skip
"""Columns of a table's CSV that only some cells fill."""

PARAMETERS = (
    "Parameters: the trained ones, without the frozen text tower. As run: at this profile's sizes. Paper size: counted "
    "at the sizes behind the paper's numbers, for every profile."
)
COSTS = (
    "MACs: one conditional pass of the denoiser at batch 1. At paper size (T = 300) they are split into dense (matrix "
    "products and convolutions), attention (its two products) and scan (4.5 per channel, step and state, plus the "
    "skip). Sampling, also at paper size: the number of steps that the method's authors use (50 in the paper), with "
    "all passes of guidance, and the text encoder.",
    "The paper does not say what its FLOPs count; no convention tried here gives its 68.33 or 14.05.",
    "Time: one complete guided sampling, without encoding the caption. It is the only number here that differs between "
    "equal runs. The paper's time is an average on one RTX 4090. Times measured at paper size are in "
    "docs/reference/costs.md.",
)
"""Conventions of Table 3."""

APART = "The blocks differ in data, evaluator, protocol and sizes: compare numbers within a block, never across."
MARKS = "Best in bold, second best underlined, within each block and by the numbers as shown."
QUALITY_MARKS = (
    f"{MARKS} →: closer to the block's ground truth (first row) is better. Ground truth is not ranked; in R-Precision "
    "and MM Dist, nor is a method that does not beat shuffled captions. Marks order the numbers as shown and do not "
    f"say that rows are distinguishable: for that, see σ and Table {TABLES['claims'].number}."
)


def run(config: Config, job: Job) -> None:
    """Write every table in three formats, and ``all.tex`` of all.

    Except for timings in Table 3 and the claims on them, equal metrics give equal bytes.

    Raises:
        StateError: a stage before this one has not run.
        DataError: a result is older than the runs that params.yaml lists.
        ConfigError: a run names a variant that does not exist.
    """
    with job.recorded(config):
        made = build(read(config, variants()), job)
        for table in made:
            files.write_text(job[f"{table.name}.tex"], latex.table(table))
            files.write_text(job[f"{table.name}.md"], markdown.table(table))
            files.write_csv(job[f"{table.name}.csv"], tidy(table))
        numbers = numbering("Tables", tables(config).values())
        introduction = [("", f"{APART} {numbers} For a cell's run, see results/README.md.")]
        names = [job[f"{table.name}.tex"].name for table in made]
        title = f"Tables of profile {config.profile}"
        files.write_text(job["document"], latex.document(title, introduction, names))


def build(study: Study, job: Job, exhibits: Iterable[Exhibit] | None = None) -> list[Table]:
    """Every table of a profile, or those of ``exhibits``.

    Args:
        study: the profile's results.
        job: job of the stage ``tables``, which names the files that tables read.
        exhibits: entries of the registry.

    Raises:
        StateError: a stage before this one has not run.
        DataError: the contents of a file are not what its stage writes.
    """
    chosen = tables(study.config).values() if exhibits is None else exhibits
    return [replace(one.make(study, job), number=one.number, caption=one.title, name=one.name) for one in chosen]


def table1(study: Study, _job: Job) -> Table:
    """Comparison on InterHuman."""
    return _comparison(study, 1, "interhuman")


def table2(study: Study, _job: Job) -> Table:
    """Comparison on Inter-X."""
    return _comparison(study, 2, "interx")


def _comparison(study: Study, number: int, dataset: Dataset) -> Table:
    frame = reported.read(number)
    apart = by_phrasing(set(study.summary.loc[study.summary["dataset"] == dataset, "metric"]))
    columns = [*learned(), *apart]
    here, known = quality(study, number, dataset), references(study.config, dataset)
    blocks = [reported.block(frame), *re_evaluated(study, dataset), *here]
    notes = [
        QUALITY_MARKS,
        APART,
        *conditions(study, number, dataset, official=dataset),
        *([AGAIN] if here and RETAKEN in known else []),
        *([COPIES] if here and NEAREST in known else []),
        *([PHRASINGS] if apart else []),
        *own_towers(study, number, dataset),
        *given_motions(study, dataset),
        *_as_printed(frame),
    ]
    return _table(columns, blocks, notes)


def table3(study: Study, _job: Job) -> Table:
    """Cost of sampling, as run and counted at the paper's sizes, whatever the profile.

    The paper does not state what its FLOPs count, so this run has no such column.
    """
    frame = reported.read(3)
    group = "MACs (G) of a pass"
    columns = [
        Column("inference_seconds", "median", "down", "Time (s)"),
        Column("quartiles", "quartiles", group="Time (s)"),
        *_parameters("down"),
        Column("flops_billions", "printed", "down", "FLOPs (G)"),
        Column("macs_run", "as run", group=group),
        Column("macs", "paper size", "down", group),
        Column("macs_dense", "dense", group=group),
        Column("macs_attention", "attn.", group=group),
        Column("macs_scan", "scan", group=group),
        Column("macs_sampling", "sampling", group="MACs (T)"),
    ]
    blocks = cost(study, "interhuman")
    timed = [f"Time of this run: {timing(study.times)}."] if blocks else []
    notes = [MARKS, APART, PARAMETERS, *COSTS, *timed, *absent(study, 3, "interhuman"), *_as_printed(frame)]
    return _table(columns, [reported.block(frame), *blocks], notes)


def table4(study: Study, _job: Job) -> Table:
    """Adaptive fusion."""
    frame = reported.read(4)
    notes = [
        QUALITY_MARKS,
        APART,
        PARAMETERS,
        "The paper does not name the top k of its R-precision; the values are on the scale of Top 3.",
        *conditions(study, 4, "interhuman"),
        *_as_printed(frame),
    ]
    own = [_counted(study, block) for block in quality(study, 4, "interhuman")]
    blocks = [reported.block(frame, {"r_precision": "printed"}), *own]
    columns = [*_r_precision(), metric("fid"), *_parameters()]
    return _table(columns, blocks, notes)


def table5(study: Study, _job: Job) -> Table:
    """Modules of InterMamba, added one by one to InterGen."""
    frame = reported.read(5)
    printed, *own = _r_precision()
    columns = [
        *(Column(module, module.removesuffix("-ASTM"), group=ASTM if ASTM in module else "") for module in MODULES),
        replace(printed, direction=""),
        *own,
        metric("fid"),
        *_parameters(),
    ]
    paper = reported.block(frame, {"r_precision": "printed"})
    rows = [replace(_ticked(row, row.method), label=f"Row {number}") for number, row in enumerate(paper.rows, 1)]
    blocks = [replace(paper, rows=tuple(rows))]
    for block in quality(study, 5, "interhuman"):
        modules = {row.method: study.row_of(row.method, 5) for row in block.rows if row.kind == "method"}
        rows = [_ticked(row, modules.get(row.method) or "") for row in _counted(study, block).rows]
        blocks.append(replace(block, rows=tuple(rows)))
    notes = [
        QUALITY_MARKS,
        APART,
        PARAMETERS,
        "The paper labels its R-precision top-1, but its first row is InterGen's top-1 and its last row InterMamba's "
        "top-3. The column mixes two scales, so it is not ranked here.",
        "From the second row to the third the feed-forward layers are removed as well: more than one factor changes.",
        *conditions(study, 5, "interhuman"),
        *_as_printed(frame.assign(method="Row " + frame["row"])),
    ]
    return _table(columns, blocks, notes)


def physical(study: Study, _job: Job) -> Table:
    """Physical metrics of every row."""
    blocks = [block for dataset in study.config.runs for block in every_row(study, dataset)]
    columns = tuple(metric(name) for name in PHYSICAL)
    notes = (
        "Measured on 22 body joints and averaged over the test clips of a repeat. Foot skate: horizontal speed of toes "
        "within 5 cm of the floor. Contact: share of frames in which a joint of one person is within 10 cm of a joint "
        "of the other. Bone drift: deviation of a bone's length from its mean; zero for a model that generates "
        "rotations.",
        SPREADS,
        "Closer to ground truth is better; less sliding than ground truth is not. None of these metrics depends on the "
        "caption.",
        APART,
    )
    return Table(columns, tuple(blocks), notes)


def tidy(table: Table) -> pd.DataFrame:
    """One row per cell: the text printed, its mark, the value at full precision and its source."""
    rows = [
        {
            "table": table.number,
            "block": block.name,
            "method": row.method,
            "label": row.label,
            "metric": column.key,
            "printed": cell.text,
            "printed_interval": cell.interval,
            "printed_seed_std": cell.scatter,
            "mark": cell.mark,
            **{name: cell.details.get(name) for name in DETAILS},
        }
        for block in table.blocks
        for row in block.rows
        for column in table.columns
        if (cell := row.cells.get(column.key))
    ]
    return pd.DataFrame(rows, columns=[*TIDY, *DETAILS]).astype({"repeats": "Int64", "seeds": "Int64"})


def _table(columns: Sequence[Column], blocks: Iterable[Block], notes: Iterable[str]) -> Table:
    return Table(tuple(columns), tuple(ranked(block, columns) for block in blocks), tuple(notes))


def _r_precision() -> tuple[Column, Column, Column]:
    """The column that the paper prints in Tables 4 and 5, and two columns of this run with named metrics."""
    group = "R-Precision"
    return (
        Column("printed", "printed", "up", group),
        metric("top1", group, "Top 1"),
        metric("top3", group, "Top 3"),
    )


def _parameters(direction: Direction = "") -> tuple[Column, Column]:
    """Trained parameters at this profile's sizes, and at the paper's, beside the printed counts."""
    group = "Params (M)"
    return (
        Column("parameters_run", "as run", group=group),
        Column("parameters_millions", "paper size", direction, group),
    )


def _counted(study: Study, block: Block) -> Block:
    """``block`` with the parameters of its methods."""
    rows = [
        replace(row, cells={**row.cells, **parameters(study, row.method)}) if row.kind == "method" else row
        for row in block.rows
    ]
    return replace(block, rows=tuple(rows))


def _ticked(row: Row, modules: str) -> Row:
    ticks = {module: Cell("✓" if module in modules.split(", ") else "") for module in MODULES}
    return replace(row, cells={**row.cells, **ticks})


def _as_printed(frame: pd.DataFrame) -> list[str]:
    """The note with remarks on single printed numbers."""
    remarks = reported.remarks(frame)
    return [f"The paper's numbers are shown as printed. {' '.join(remarks)}"] if remarks else []
