"""The numbers of this run, as rows of a table: what belongs into which table, and how it was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evaluators import protocol
from evaluators.results import METRICS
from intermamba.config import Config, Dataset
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.models.options import Variant
from intermamba.paths import path
from workflow import reported
from workflow.aggregate import REFERENCES
from workflow.tabular import Block, Cell, Kind, Row, decimals, interval, significant
from workflow.wording import origin_name

QUALITY = {"interhuman": (1, 4, 5), "interx": (2,)}
"""The paper's tables of quality, by dataset."""
COMPARISONS = (1, 2, 3)
"""Tables that take in variants of which the paper has no row."""

REFERENCE_LABELS = {"real": "Real", "shuffled": "Real, captions shuffled (chance)"}
REFERENCE_KINDS: Mapping[str, Kind] = {"real": "real", "shuffled": "chance"}


@dataclass(frozen=True)
class Study:
    """All results of a profile that a table can show."""

    config: Config
    summary: pd.DataFrame
    """``summary.csv``."""
    complexity: pd.DataFrame
    """``complexity.csv``."""
    times: pd.DataFrame
    """``complexity_time.csv``."""
    variants: Mapping[str, Variant]
    """Every known variant by name."""

    def variant(self, name: str) -> Variant:
        if name not in self.variants:
            raise ConfigError(unknown("variant", name, self.variants, "runs of params.yaml"))
        return self.variants[name]

    def label(self, method: str) -> str:
        return REFERENCE_LABELS.get(method) or self.variant(method).label

    def row_of(self, method: str, number: int) -> str | None:
        """The paper's row of ``method`` in Table ``number``, as printed there; ``None`` if it has none."""
        rows = {place.table: place.row for place in self.variant(method).paper}
        if number in rows and rows[number] not in (printed := reported.methods(number)):
            where = f"paper of variant {method!r}"
            raise ConfigError(unknown(f"row of Table {number}", rows[number], printed, where))
        return rows.get(number)

    def members(self, number: int, dataset: Dataset) -> list[str]:
        """What was run and belongs into Table ``number``: the paper's rows in its order, then others.

        A variant that no quality table of its dataset has a row for joins the comparison there (Table 1 or 2), and the
        costs.
        """
        names, printed = self.config.runs.get(dataset, {}), reported.methods(number)
        placed = [(printed.index(row), name) for name in names if (row := self.row_of(name, number)) is not None]
        ordered = [name for _, name in sorted(placed)]
        if number in COMPARISONS:
            ordered += [
                name
                for name in names
                if name not in ordered and not any(self.row_of(name, other) for other in QUALITY[dataset])
            ]
        return ordered

    def missing(self, number: int, dataset: Dataset) -> list[str]:
        """Labels of the variants that have a row in the paper's table and were not run."""
        names = self.config.runs.get(dataset, {})
        return [self.label(name) for name in self.variants if name not in names and self.row_of(name, number)]

    def results(self, dataset: Dataset, method: str) -> pd.DataFrame:
        """Rows of the summary of one method: one a metric."""
        chosen = self.summary[(self.summary["dataset"] == dataset) & (self.summary["method"] == method)]
        if chosen.empty:
            raise DataError(
                f"{path('summary', profile=self.config.profile)} has no row of {method!r} on {dataset}. It is older "
                "than `runs` in params.yaml: run `intermamba aggregate` again."
            )
        return chosen

    def cost(self, method: str) -> Mapping[str, Any]:
        """Counts and timings of one method.

        Raises:
            DataError: it has not been measured.
        """
        found: dict[str, Any] = {}
        for name, frame in (("complexity", self.complexity), ("complexity_time", self.times)):
            rows = frame[frame["method"] == method]
            if len(rows) != 1:
                raise DataError(
                    f"{path(name, profile=self.config.profile)} has {len(rows)} rows of {method!r}, not one. Run "
                    "`intermamba complexity` again."
                )
            found |= {str(key): value for key, value in rows.to_dict("records")[0].items()}
        return found

    def source(self, dataset: Dataset, method: str) -> str:
        """The files of per-repeat values behind a row."""
        profile = self.config.profile
        if method in REFERENCES:
            return str(path("reference_metrics", profile=profile, dataset=dataset))
        seeds = self.config.runs[dataset][method]
        files = (path("run_metrics", profile=profile, dataset=dataset, variant=method, seed=seed) for seed in seeds)
        return " ".join(map(str, files))


def quality(study: Study, number: int, dataset: Dataset) -> list[Block]:
    """One block: real data, chance, and the methods that belong into the table; none where nothing was run."""
    methods = study.members(number, dataset)
    if not methods:
        return []
    seeds = {method: study.config.runs[dataset][method] for method in methods}
    every = sorted(set().union(*seeds.values()))
    rows = [_quality_row(study, dataset, method) for method in REFERENCES]
    for method in methods:
        which = "" if sorted(seeds[method]) == every else f" ({_seeds(seeds[method])})"
        rows.append(_quality_row(study, dataset, method, which))
    one = study.results(dataset, methods[0]).iloc[0]
    details = f"{origin_name(one['origin'])}; protocol {one['protocol']}; text tower {one['tower']}; {_seeds(every)}"
    return [Block("reproduced", f"This run, profile {study.config.profile}", tuple(rows), details)]


def cost(study: Study, dataset: Dataset) -> list[Block]:
    """Table 3's block: seconds, millions of parameters, billions of multiply-accumulates."""
    methods = study.members(3, dataset)
    if not methods:
        return []
    one = study.cost(methods[0])
    details = (
        f"{one['frames']} frames, batch {one['batch']}, {one['sampling_steps']} sampling steps; timed "
        f"on {one['device']} in {one['dtype']}, {one['threads']} thread{'' if one['threads'] == 1 else 's'}"
    )
    rows = tuple(_cost_row(study, method) for method in methods)
    return [Block("reproduced", f"This run, profile {study.config.profile}", rows, details)]


def parameters(study: Study, method: str) -> Cell:
    """Millions of trained parameters."""
    return _number(study, study.cost(method)["parameters"] / 1e6)


def conditions(study: Study, number: int, dataset: Dataset, official: str | None = None) -> list[str]:
    """Notes on how the block of ``dataset`` was measured: interval, evaluator, chance (also ``official``'s), gaps."""
    if not study.members(number, dataset):
        return absent(study, number, dataset)
    one = study.results(dataset, "real").iloc[0]
    used = protocol.load(one["protocol"].partition("/")[0])
    chance = f"Chance in Top 1, 2, 3: {_chance(used)} in this run (batches of {used.batch})"
    if official:
        paper = protocol.load(official)
        chance += f", {_chance(paper)} in the paper's rows (batches of {paper.batch})"
    return [
        f"This run: ± is the 95% interval over {used.repeats} repeats of the evaluation ({used.multimodality.repeats} "
        f"for MModality), not over trainings. Evaluator weights: {one['evaluator']}.",
        f"{chance}.",
        *absent(study, number, dataset),
    ]


def absent(study: Study, number: int, dataset: Dataset) -> list[str]:
    """A note naming the paper's rows that this project can run and this profile does not."""
    missing = study.missing(number, dataset)
    return [f"Not run in this profile: {', '.join(missing)}."] if missing else []


def _seeds(seeds: Sequence[int]) -> str:
    return f"training seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _chance(used: protocol.Protocol) -> str:
    return ", ".join(interval(used.chance(k), 3) for k in (1, 2, 3))


def _quality_row(study: Study, dataset: Dataset, method: str, which: str = "") -> Row:
    cells = {}
    for result in study.results(dataset, method).to_dict("records"):
        name, digits = str(result["metric"]), METRICS[result["metric"]].digits
        spread = interval(result["interval"], digits) if result["repeats"] > 1 else ""
        details = {str(key): value for key, value in result.items()} | {"source": study.source(dataset, method)}
        cells[name] = Cell(decimals(result["mean"], digits), spread, details=details)
    return Row(study.label(method) + which, cells, REFERENCE_KINDS.get(method, "method"), method)


def _cost_row(study: Study, method: str) -> Row:
    found = study.cost(method)
    macs = {name: found[name] / 1e9 for name in ("macs_dense", "macs_attention", "macs_scan")}
    timings = str(path("complexity_time", profile=study.config.profile))
    details = {"mean": found["seconds_median"], "quartile1": found["seconds_q1"], "quartile3": found["seconds_q3"]}
    seconds = Cell(significant(float(found["seconds_median"])), details={**details, "source": timings})
    cells = {"inference_seconds": seconds, "parameters_millions": parameters(study, method)}
    cells |= {name: _number(study, value) for name, value in {"macs": sum(macs.values()), **macs}.items()}
    return Row(study.label(method), cells, method=method)


def _number(study: Study, value: float) -> Cell:
    source = str(path("complexity", profile=study.config.profile))
    return Cell(significant(value), details={"mean": value, "source": source})
