"""The numbers of this run, as rows of a table: which row belongs in which table, and how it was measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evaluators import protocol
from evaluators.results import METRICS, NEAREST, PRECISION, REAL, RETAKEN, SHUFFLED, BlockName
from intermamba import datasets, files
from intermamba.config import Config, Dataset
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.methods.variant import Variant
from intermamba.names import dataset_name, origin_name, reference_name, solver_name
from intermamba.paths import path
from intermamba.reading.documents import read_csv
from intermamba.text.names import own_tower
from workflow.cells import Block, Cell, Kind, Row, decimals, interval, significant
from workflow.results import reported
from workflow.results.aggregate import metric_files, references

QUALITY, COST = (1, 2), 3
"""Tables that also list variants without a row in the paper."""

Sizes = Literal["profile", "paper"]
"""Sizes at which a model was counted."""

PRECISIONS = {"top1": 1, "top2": 2, "top3": 3}
"""Metrics whose level of chance is known exactly, and their k."""

REFERENCE_KINDS: Mapping[str, Kind] = {REAL: "real", RETAKEN: "real", SHUFFLED: "chance", NEAREST: "copy"}


@dataclass(frozen=True)
class Study:
    """All results of a profile that a table can show."""

    config: Config
    summary: pd.DataFrame
    """``summary.csv``."""
    complexity: pd.DataFrame
    """``complexity.csv``: two rows per method, at the profile's sizes and at the paper's."""
    times: pd.DataFrame
    """``complexity_time.csv``: one row per timed sampling."""
    variants: Mapping[str, Variant]
    """Every known variant by name."""

    def variant(self, name: str) -> Variant:
        """The row of this name.

        Raises:
            ConfigError: there is none.
        """
        if name not in self.variants:
            raise ConfigError(unknown("variant", name, self.variants, "runs of params.yaml"))
        return self.variants[name]

    def label(self, method: str, dataset: Dataset | None = None) -> str:
        """Printed name of a row, or of another project's motions on a dataset."""
        for name, motions in self.config.motions.items():
            if method in motions and dataset in (None, name):
                return motions[method].label
        return self.variant(method).label

    def reference_label(self, dataset: Dataset, method: str) -> str:
        """Label of a row that is no model, by where the motions of ``dataset`` come from."""
        origin = str(self.results(dataset, "reference", method).iloc[0]["origin"])
        return reference_name(origin, method)

    def row_of(self, method: str, number: int) -> str | None:
        """The paper's row of ``method`` in Table ``number``, as printed there; ``None`` if it has none.

        Raises:
            ConfigError: the variant names a row that the table does not have.
        """
        rows = {place.table: place.row for place in self.variant(method).paper}
        if number in rows and rows[number] not in (printed := reported.methods(number)):
            where = f"paper of variant {method!r}"
            raise ConfigError(unknown(f"row of Table {number}", rows[number], printed, where))
        return rows.get(number)

    def members(self, number: int, dataset: Dataset) -> list[str]:
        """Methods that were run and belong in Table ``number`` (0: all): the paper's rows in its order, then others.

        A variant that no quality table of its dataset has a row for joins the comparison there (Table 1 or 2). All but
        the paper's ablations join the costs, since the paper times few of its rows.
        """
        names, kind = self.config.runs.get(dataset, {}), datasets.dataset(dataset)
        if not number:
            return list(names)
        printed = reported.methods(number)
        placed = [(printed.index(row), name) for name in names if (row := self.row_of(name, number)) is not None]
        ordered = [name for _, name in sorted(placed)]
        others = [name for name in names if name not in ordered]
        if number == COST:
            ordered += [name for name in others if not self.variant(name).ablation]
        if number in QUALITY:
            ordered += [name for name in others if not any(self.row_of(name, other) for other in kind.tables)]
        return ordered

    def compared(self, dataset: Dataset) -> list[str]:
        """Methods that were run and belong in the table that compares models on ``dataset``."""
        return self.members(datasets.dataset(dataset).comparison, dataset)

    def missing(self, number: int, dataset: Dataset) -> list[str]:
        """Labels of the variants that have a row in the paper's table and were not run."""
        names = self.config.runs.get(dataset, {})
        return [self.label(name) for name in self.variants if name not in names and self.row_of(name, number)]

    def results(self, dataset: Dataset, block: BlockName, method: str) -> pd.DataFrame:
        """Rows of the summary of one method: one per metric.

        Raises:
            DataError: the method has no row.
        """
        wanted = {"dataset": dataset, "block": block, "method": method}
        chosen = self.summary[(self.summary[list(wanted)] == pd.Series(wanted)).all(axis=1)]
        if chosen.empty:
            raise DataError(
                f"{path('summary', profile=self.config.profile)} has no {block} row of {method!r} on {dataset}. It is "
                "older than `runs`, `official` or `motions` in params.yaml: run `intermamba aggregate` again."
            )
        return chosen

    def result(self, dataset: Dataset, block: BlockName, method: str, metric: str) -> "pd.Series[Any]":
        """The row of the summary of one method and metric."""
        found = self.results(dataset, block, method)
        return found[found["metric"] == metric].iloc[0]

    def mean(self, dataset: Dataset, block: BlockName, method: str, metric: str) -> float:
        """Its mean over repeats and training seeds."""
        return float(self.result(dataset, block, method, metric)["mean"])

    def protocol_of(self, dataset: Dataset) -> protocol.Protocol:
        """The protocol by which the rows of a dataset were measured."""
        return protocol.load(self.result(dataset, "reference", REAL, PRECISION)["protocol"].partition("/")[0])

    def chance(self, dataset: Dataset, metric: str) -> float:
        """The level of chance: exact in R-precision, else that of shuffled captions."""
        if metric in PRECISIONS:
            return self.protocol_of(dataset).chance(PRECISIONS[metric])
        return self.mean(dataset, "reference", SHUFFLED, metric)

    def counts(self, method: str, sizes: Sizes) -> Mapping[str, Any]:
        """Counts of one method at the profile's own sizes or at the paper's.

        Raises:
            DataError: it has not been counted.
        """
        rows = self.complexity[(self.complexity["method"] == method) & (self.complexity["sizes"] == sizes)]
        if len(rows) != 1:
            raise DataError(
                f"{path('complexity', profile=self.config.profile)} has {len(rows)} rows of {method!r} at the sizes of "
                f"the {sizes}, not one. Run `intermamba complexity` again."
            )
        return {str(key): value for key, value in rows.to_dict("records")[0].items()}

    def seconds(self, method: str) -> "pd.Series[float]":
        """Times of one method's samplings.

        Raises:
            DataError: it has not been timed.
        """
        rows = self.times[self.times["method"] == method]
        if rows.empty:
            raise DataError(
                f"{path('complexity_time', profile=self.config.profile)} has no row of {method!r}. Run `intermamba "
                "complexity` again."
            )
        return rows["seconds"]

    def source(self, dataset: Dataset, block: BlockName, method: str) -> str:
        """The files of per-repeat values behind a row, separated by "; "."""
        return "; ".join(
            str(file)
            for file, place in metric_files(self.config).items()
            if (place.dataset, place.block) == (dataset, block) and method in place.methods
        )


def read(config: Config, variants: Mapping[str, Variant]) -> Study:
    """The results of a profile.

    Raises:
        StateError: a stage before this one has not run.
    """
    names = ("summary", "complexity", "complexity_time")
    inputs = (files.require(path(name, profile=config.profile)) for name in names)
    # A fingerprint of twelve digits, or of digits and an `e`, would read as a number.
    summary, complexity, times = (read_csv(file, dtype={"evaluator": str}) for file in inputs)
    return Study(config, summary, complexity, times, variants)


def joined(sources: Sequence[Path]) -> pd.DataFrame:
    """Rows of several CSV files; none where there is no file."""
    return pd.concat([read_csv(file) for file in sources], ignore_index=True) if sources else pd.DataFrame()


def quality(study: Study, number: int, dataset: Dataset) -> list[Block]:
    """One block: the references and the methods that belong in the table; none where nothing was run.

    The tables of ablations (4 and 5) do without copies and other performances.
    """
    methods = study.members(number, dataset)
    if not methods:
        return []
    seeds = {method: study.config.runs[dataset][method] for method in methods}
    every = sorted(set().union(*seeds.values()))
    rows = [row for row in _references(study, dataset) if number in QUALITY or row.method not in (NEAREST, RETAKEN)]
    for method in methods:
        which = "" if sorted(seeds[method]) == every else f" ({_seeds(seeds[method])})"
        rows.append(quality_row(study, dataset, "reproduced", method, which))
    details = f"{measured_on(study, dataset)}; {_seeds(every)}"
    return [Block("reproduced", f"This run, profile {study.config.profile}", tuple(rows), details)]


def every_row(study: Study, dataset: Dataset) -> list[Block]:
    """One block: real data and all that was run on a dataset, ablations among them."""
    methods = study.config.runs[dataset]
    rows = [quality_row(study, dataset, "reference", REAL)]
    rows += [quality_row(study, dataset, "reproduced", method) for method in methods]
    heading = f"This run on {dataset_name(dataset)}, profile {study.config.profile}"
    return [Block("reproduced", heading, tuple(rows), measured_on(study, dataset))]


def re_evaluated(study: Study, dataset: Dataset) -> list[Block]:
    """One block of the references, and others' checkpoints and motions that this run evaluated, if any."""
    official, motions = (study.config.official.get(dataset, {}), study.config.motions.get(dataset, {}))
    methods = [*official, *motions]
    if not methods:
        return []
    rows = [*_references(study, dataset), *(quality_row(study, dataset, "re-evaluated", name) for name in methods)]
    what = " and ".join([*["official checkpoints"] * bool(official), *["motions of other projects"] * bool(motions)])
    heading = f"{what.capitalize()}, evaluated in this run, profile {study.config.profile}"
    return [Block("re-evaluated", heading, tuple(rows), measured_on(study, dataset))]


def given_motions(study: Study, dataset: Dataset) -> list[str]:
    """One note per method with given motions: their source."""
    return [
        f"{one.label}: motions as found in {one.folder}; how they were generated is not recorded here."
        for one in study.config.motions.get(dataset, {}).values()
    ]


def own_towers(study: Study, number: int, dataset: Dataset) -> list[str]:
    """One note per text tower that only some rows of a table read, in place of the profile's."""
    readers: dict[str, list[str]] = {}
    for name in study.members(number, dataset):
        if tower := own_tower(study.config, study.variant(name).base):
            readers.setdefault(tower, []).append(study.label(name))
    return [f"Text tower of {', '.join(labels)}: {tower}." for tower, labels in readers.items()]


def cost(study: Study, dataset: Dataset) -> list[Block]:
    """Table 3's block: seconds, millions of parameters, billions (of a whole sampling: trillions) of MACs."""
    methods = study.members(3, dataset)
    if not methods:
        return []
    rows = tuple(_cost_row(study, method) for method in methods)
    times = study.times[study.times["method"].isin(methods)]
    details = f"as run: {times.iloc[0]['frames']} frames, {_span(times['sampling_steps'])} sampling steps"
    return [Block("reproduced", f"This run, profile {study.config.profile}", rows, details)]


def timing(times: pd.DataFrame) -> str:
    """How the samplings of ``complexity_time.csv`` were timed, in one phrase."""
    one, repeats = times.iloc[0], times.groupby("method").size().min()
    how = f"of {solver_name(one['solver'])} with guidance {one['guidance']}"
    if len(times[["sampling_steps", "guidance"]].drop_duplicates()) > 1:
        how = "with each method's own sampler and guidance"
    timed = times["timed_steps"]
    if (timed < times["sampling_steps"]).any():
        how += f", in proportion to {_span(timed)} timed steps"
    return (
        f"{repeats} samplings each of {one['frames']} frames at batch {one['batch']}, {_span(times['sampling_steps'])} "
        f"steps {how}, interleaved across models after {one['warmup_steps']} warm-up "
        f"steps each, on {one['device']} in {one['dtype']}, {one['threads']} thread{'' if one['threads'] == 1 else 's'}"
    )


def _span(counts: "pd.Series[int]") -> str:
    """One number, or the smallest and the largest."""
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low} to {high}"


def parameters(study: Study, method: str) -> dict[str, Cell]:
    """Millions of trained parameters: as run, and at the paper's sizes."""
    run, paper = study.counts(method, "profile"), study.counts(method, "paper")
    return {
        "parameters_run": _number(study, run["parameters"] / 1e6),
        "parameters_millions": _number(study, paper["parameters"] / 1e6),
    }


def conditions(study: Study, number: int, dataset: Dataset, official: str | None = None) -> list[str]:
    """Notes on how the block of ``dataset`` was measured: interval, evaluator, chance (also ``official``'s), gaps."""
    if not study.members(number, dataset):
        return absent(study, number, dataset)
    one = study.results(dataset, "reference", REAL).iloc[0]
    used = study.protocol_of(dataset)
    chance = f"Chance in Top 1, 2, 3: {_chance(used)} in this run (batches of {used.batch})"
    if official:
        paper = protocol.load(official)
        chance += f", {_chance(paper)} in the paper's rows (batches of {paper.batch})"
    return [
        f"This run: ± is the 95% interval over {used.repeats} repeats of the evaluation ({used.multimodality.repeats} "
        f"for MModality), not over trainings; σ, where given, the standard deviation between training seeds. "
        f"Evaluator weights: {one['evaluator']}.",
        f"{chance}.",
        *([blind] if (blind := blindness(study, dataset)) else []),
        *absent(study, number, dataset),
    ]


def blindness(study: Study, dataset: Dataset) -> str:
    """A warning if the evaluator cannot match even real motions with their captions; else empty.

    It can if its R-precision on ground truth is higher with captions than with shuffled ones by more than the 95%
    interval of their difference, over the repeats of the evaluation.
    """
    found: list[Any] = [
        study.results(dataset, "reference", name).set_index("metric").loc[PRECISION] for name in (REAL, SHUFFLED)
    ]
    real, shuffled = (float(one["mean"]) for one in found)
    if real - shuffled > math.hypot(*(one["interval"] for one in found)):
        return ""
    digits = METRICS[PRECISION].digits
    return (
        f"The evaluator of {dataset_name(dataset)} does not match even real motions with their captions (R-precision, "
        f"top 3: {decimals(real, digits)}; chance: {decimals(shuffled, digits)}), so none of its numbers, FID "
        "included, measures the quality of a motion: train it longer."
    )


def absent(study: Study, number: int, dataset: Dataset) -> list[str]:
    """A note that names rows of the paper which this project can run but this profile does not."""
    missing = study.missing(number, dataset)
    return [f"Not run in this profile: {', '.join(missing)}."] if missing else []


def _seeds(seeds: Sequence[int]) -> str:
    return f"training seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _chance(used: protocol.Protocol) -> str:
    return ", ".join(interval(used.chance(k), 3) for k in (1, 2, 3))


def _references(study: Study, dataset: Dataset) -> list[Row]:
    return [quality_row(study, dataset, "reference", method) for method in references(study.config, dataset)]


def measured_on(study: Study, dataset: Dataset) -> str:
    """Data, protocol and text tower behind the quality of this run's rows, in one phrase."""
    one = study.results(dataset, "reference", REAL).iloc[0]
    body = "" if one["skeleton"] == "recorded" else f"; skeleton {one['skeleton']}"
    return f"{origin_name(one['origin'])}{body}; protocol {one['protocol']}; text tower {one['tower']}"


def quality_row(study: Study, dataset: Dataset, block: BlockName, method: str, which: str = "") -> Row:
    """One method in every metric that was measured, each with its interval and, over training seeds, its scatter."""
    cells, source = {}, study.source(dataset, block, method)
    for result in study.results(dataset, block, method).to_dict("records"):
        name, digits = str(result["metric"]), METRICS[result["metric"]].digits
        spread = interval(result["interval"], digits) if result["repeats"] > 1 else ""
        scatter = interval(result["seed_std"], digits)
        details = {str(key): value for key, value in result.items()} | {"source": source}
        cells[name] = Cell(decimals(result["mean"], digits), spread, details=details, scatter=scatter)
    kind = REFERENCE_KINDS.get(method, "method")
    label = study.label(method, dataset) + which if kind == "method" else study.reference_label(dataset, method)
    return Row(label, cells, kind, method)


def _cost_row(study: Study, method: str) -> Row:
    run, paper = study.counts(method, "profile"), study.counts(method, "paper")
    parts = ("macs_dense", "macs_attention", "macs_scan")
    macs = {
        "macs_run": sum(run[name] for name in parts) / 1e9,
        "macs": sum(paper[name] for name in parts) / 1e9,
        **{name: paper[name] / 1e9 for name in parts},
        "macs_sampling": paper["macs_sampling"] / 1e12,
    }
    cells = {**_seconds(study, method), **parameters(study, method)}
    cells |= {name: _number(study, value) for name, value in macs.items()}
    return Row(study.label(method), cells, method=method)


def _seconds(study: Study, method: str) -> dict[str, Cell]:
    """Median of the samplings, and their quartiles."""
    lower, median, upper = study.seconds(method).quantile([0.25, 0.5, 0.75])
    source = str(path("complexity_time", profile=study.config.profile))
    details = {"mean": median, "quartile1": lower, "quartile3": upper, "source": source}
    between = Cell(f"{significant(lower, 3)}–{significant(upper, 3)}", details={"source": source})
    return {"inference_seconds": Cell(significant(median, 3), details=details), "quartiles": between}


def _number(study: Study, value: float) -> Cell:
    source = str(path("complexity", profile=study.config.profile))
    return Cell(significant(value), details={"mean": value, "source": source})
