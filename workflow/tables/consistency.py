"""The table of the paper's consistency: statements of its text beside the numbers in its own tables.

The statements and their places are data (``results/paper/reported/consistency.csv``). What the tables give is computed
here from their transcription, by one function per claim with the claim's name. A number in the text agrees if it equals
the table's number rounded to as many digits. Claims about notation cannot be computed; the file states what was read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import product

import pandas as pd

from evaluators.results import METRICS
from intermamba.errors import DataError, unknown
from intermamba.job import Job
from intermamba.models import PAPER
from intermamba.paths import path
from workflow.cells import Block, Cell, Column, Row, Table, signed
from workflow.results import reported

COLUMNS = ["claim", "subject", "place", "says", "values", "read"]
CLEARLY = Decimal("0.05")
"""Share of the larger number below which a difference does not count as significant."""
OURS, LIGHT = "InterMamba (Ours)", "InterMamba (light)"
SECTIONS = {
    "The cost of sampling": (
        "parameter_share", "time_share", "faster_than_intergen", "faster_than_both", "flops_lower", "flops_unavailable",
        "costliest", "in2in_citation", "modules_flops", "modules_parameters", "modules_time", "mirrored_block",
    ),
    "The comparison with other methods": (
        "highest_precision", "lowest_distance", "diversity_interhuman", "diversity_interx", "fid_interhuman",
        "fid_interx", "second_diversity", "second_multimodality", "t2m_star", "t2m_shift",
        "temos_commdm", "two_evaluators",
    ),
    "The ablations": (
        "top1_first_row", "top1_last_row", "table4_full", "self_only", "cross_added", "liia_added", "no_convergence",
        "repeated_fid", "repeated_precision", "minor_tradeoff",
    ),
    "Notation": ("equation13_names", "equation13_parentheses", "equation13_input", "flops_unit", "module_table"),
}  # fmt: skip
"""The claims in the order of the table, under its headings."""


@dataclass(frozen=True)
class Finding:
    """A claim compared with the tables."""

    given: str
    difference: str
    agrees: bool
    repeated: bool = False
    """Whether the claim is about a number that occurs in two places."""


@dataclass
class Paper:
    """The paper's tables, and which of them a claim was compared with."""

    read: dict[int, pd.DataFrame]
    """Tables read so far, shared by all claims."""
    used: set[int] = field(default_factory=set)

    def rows(self, number: int) -> pd.DataFrame:
        """Rows of a table as printed, read once."""
        self.used.add(number)
        if number not in self.read:
            self.read[number] = reported.read(number)
        return self.read[number]

    def value(self, number: int, method: str, metric: str) -> Decimal:
        """A number as printed.

        Raises:
            DataError: the table has no such cell, or several.
        """
        frame = self.rows(number)
        found = frame[(frame["method"] == method) & (frame["metric"] == metric)]["value"]
        if len(found) != 1:
            raise DataError(
                f"{path('reported', number=number)}: {len(found)} cells of {method!r}, {metric!r}, not one."
            )
        return Decimal(found.iloc[0])

    def column(self, number: int, metric: str) -> dict[str, Decimal]:
        """A metric of every method, without real motions and without empty cells."""
        frame = self.rows(number)
        chosen = frame[(frame["metric"] == metric) & (frame["method"] != "Real") & (frame["value"] != "-")]
        return {str(method): Decimal(value) for method, value in zip(chosen["method"], chosen["value"], strict=True)}


Check = Callable[[Paper, tuple[Decimal, ...]], Finding]
_CHECKS: dict[str, Check] = {}


def _check(function: Check) -> Check:
    _CHECKS[function.__name__] = function
    return function


def table(_study: object, job: Job) -> Table:
    """Every claim with what the tables give, the difference, and whether the two agree.

    Raises:
        DataError: a claim in the file is unknown, or a column is missing.
    """
    file = job["paper_text"]
    claims = reported.transcription(file)
    if list(claims.columns) != COLUMNS:
        raise DataError(f"{file}: columns must be {', '.join(COLUMNS)}; found {', '.join(claims.columns)}.")
    rows = ({str(key): str(value) for key, value in claim.items()} for claim in claims.to_dict("records"))
    by_name = {claim["claim"]: claim for claim in rows}
    known = [name for names in SECTIONS.values() for name in names]
    for name in by_name:
        if name not in known:
            raise DataError(unknown("claim", name, known, str(file)))
    read: dict[int, pd.DataFrame] = {}
    blocks = tuple(
        Block("reported", heading, tuple(_row(by_name[name], str(file), read) for name in names if name in by_name))
        for heading, names in SECTIONS.items()
    )
    columns = (
        Column("says", "The text", width=0.19),
        Column("place", "Where", width=0.09),
        Column("given", "Its tables", width=0.31),
        Column("difference", "Difference", width=0.12),
        Column("verdict", "Verdict", width=0.09),
    )
    notes = (
        "Computed from the transcribed tables (results/paper/reported); only the statements of the text are typed in. "
        "A number in the text is consistent if it equals the tables' number rounded to as many digits.",
        "Repeated: two different quantities have the same or nearly the same digits, which may be chance. As read: "
        "notation and statements of other publications, which cannot be computed. The log of T2M* is Inter-X's "
        "(github.com/liangxuy/Inter-X, evaluation/text2motion/hhi_evaluation.log.sample). The parameters of "
        "Cross-ASTM also depend on the width and on four blocks per module; the paper states neither, so these are "
        "this project's reading.",
    )
    return Table(columns, blocks, notes, "Subject")


def _row(claim: Mapping[str, str], file: str, read: dict[int, pd.DataFrame]) -> Row:
    if claim["read"]:
        given, difference, verdict, sources = claim["read"], "", "as read", [file]
    else:
        paper = Paper(read)
        finding = _CHECKS[claim["claim"]](paper, tuple(map(Decimal, claim["values"].split())))
        given, difference = finding.given, finding.difference
        verdict = "consistent" if finding.agrees else "repeated" if finding.repeated else "inconsistent"
        sources = [file, *(str(path("reported", number=number)) for number in sorted(paper.used))]
    texts = {
        "says": claim["says"],
        "place": claim["place"],
        "given": given,
        "difference": difference,
        "verdict": verdict,
    }
    details = {"source": "; ".join(sources)}
    return Row(
        claim["subject"], {key: Cell(text, details=details) for key, text in texts.items()}, method=claim["claim"]
    )


def _rounds(exact: Decimal, quoted: Decimal) -> bool:
    """Whether ``quoted`` is ``exact`` rounded to as many digits."""
    return abs(exact - quoted) <= Decimal(1).scaleb(int(quoted.as_tuple().exponent)) / 2


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return 100 * part / whole


def _costs(paper: Paper, metric: str) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Table 3's column: InterGen, in2IN, the full model, UltraLight."""
    one, two, full, light = (
        paper.value(3, name, metric) for name in ("InterGen", "in2IN", "Ours", "Ours (UltraLight)")
    )
    return one, two, full, light


@_check
def parameter_share(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    intergen, _, _, light = _costs(paper, "parameters_millions")
    share = _share(light, intergen)
    return Finding(
        f"UltraLight {light} of {intergen} M: {share:.1f}%",
        signed(values[0] - share, 1) + " points",
        _rounds(share, values[0]),
    )


@_check
def time_share(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    intergen, _, full, light = _costs(paper, "inference_seconds")
    share, other = _share(light, intergen), _share(full, intergen)
    given = f"UltraLight {light} of {intergen} s: {share:.1f}%. The full model: {full} s, {other:.1f}%"
    return Finding(given, signed(values[0] - share, 1) + " points", _rounds(share, values[0]))


@_check
def faster_than_intergen(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    intergen, _, full, _ = _costs(paper, "inference_seconds")
    ratio = intergen / full
    return Finding(f"{intergen} / {full} = {ratio:.2f}", signed(values[0] - ratio, 2), _rounds(ratio, values[0]))


@_check
def faster_than_both(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    intergen, in2in, full, _ = _costs(paper, "inference_seconds")
    ratios = intergen / full, in2in / full
    given = f"{ratios[0]:.2f} and {ratios[1]:.2f} times"
    return Finding(given, signed(min(ratios) - values[0], 2), min(ratios) > values[0])


@_check
def flops_lower(paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    intergen, in2in, full, _light = _costs(paper, "flops_billions")
    less = 1 - full / intergen, 1 - full / in2in
    given = f"{full} G: {100 * less[0]:.1f}% below InterGen ({intergen}), {100 * less[1]:.1f}% below in2IN ({in2in})"
    return Finding(given, signed(full - in2in, 2) + " G", min(less) > CLEARLY)


@_check
def flops_unavailable(paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    printed = paper.column(3, "flops_billions").get("in2IN")
    return Finding(f"Table 3 prints {printed} G", "", printed is None)


@_check
def costliest(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    intergen, in2in, _, _ = _costs(paper, "inference_seconds")
    return Finding(f"in2IN takes {in2in} s", signed(values[0] - in2in, 3) + " s", intergen >= in2in)


@_check
def in2in_citation(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    first = paper.rows(1)
    number = first[first["method"] == "in2IN"]["citation"].iloc[0]
    owner = {"24": "InterGen", "52": "Inter-X"}.get(str(values[0]), "another")
    return Finding(f"Table 1 cites in2IN as [{number}]; [{values[0]}] is {owner}", "", number == str(values[0]))


def _modules(metric: str, unit: str, paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    full, light = _costs(paper, metric)[2:]
    rest = 2 * light - full
    given = f"2 × {light} − {full} = {rest} {unit} for all that is outside the modules".replace("= -", "= −")
    return Finding(given, signed(rest, abs(int(rest.as_tuple().exponent))) + f" {unit}", rest > 0)


@_check
def mirrored_block(paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    """Self-attention of InterGen has 6 D^2 + 6 D parameters (AdaLN, four projections); LIIA's AdaLN 4 D^2 + 4 D."""
    none, self_only = (paper.value(5, row, "parameters_millions") for row in ("none", "Self-ASTM"))
    full, light = _costs(paper, "parameters_millions")[2:]
    width = Decimal(PAPER.width)
    unit = (width * width + width) / 10**6
    own = 6 * unit - (none - self_only) / PAPER.transformer_blocks
    block = (full - light) / PAPER.blocks_per_module
    left, needed = block - 2 * own, 4 * unit
    given = (
        f"A block has {block:.2f} M, its Self-ASTM {own:.2f} M (Table 5, rows 1 and 2). An equal Cross-ASTM leaves "
        f"{left:.2f} M for LIIA, whose AdaLN alone needs {needed:.2f} M"
    )
    return Finding(given, signed(left - needed, 2) + " M", left >= needed)


def _extreme(
    word: str, pick: Callable[..., Decimal], metrics: tuple[str, ...], paper: Paper, values: tuple[Decimal, ...]
) -> Finding:
    """Whether InterMamba's numbers are the extremes of their columns in Tables 1 and 2, and are those of the text."""
    columns = [paper.column(number, metric) for number, metric in product((1, 2), metrics)]
    best = [pick(column.values()) for column in columns]
    agrees = all(column[OURS] == value == top for column, value, top in zip(columns, values, best, strict=True))
    given = f"The {word} printed: {', '.join(map(str, best))}"
    return Finding(given, "0" if agrees else signed(values[0] - best[0], 3), agrees)


def _highest_diversity(number: int, paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    value = values[0]
    column = paper.column(number, "diversity")
    higher = [f"{name} {other}" for name, other in column.items() if other > value]
    given = f"Higher: {', '.join(higher)}" if higher else f"The highest printed: {max(column.values())}"
    return Finding(given, signed(value - max(column.values()), 3), not higher)


def _lower_fid(number: int, paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    value = values[0]
    column = {name: other for name, other in paper.column(number, "fid").items() if name not in (OURS, LIGHT)}
    lower = [f"{name} {other}" for name, other in column.items() if other < value]
    best = min(column.values())
    given = f"Lower: {', '.join(lower)}" if lower else f"None is lower; the lowest of the baselines is {best}"
    return Finding(given, signed(value - best, 3), bool(lower))


@_check
def second_diversity(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    real = paper.value(1, "Real", "diversity")
    order = sorted(paper.column(1, "diversity").items(), key=lambda item: abs(item[1] - real))
    name, second = order[1]
    given = f"Real {real}; second closest is {name} with {second}"
    return Finding(given, signed(abs(values[0] - real) - abs(second - real), 3), second == values[0])


@_check
def second_multimodality(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    higher = [f"{name} {value}" for name, value in paper.column(1, "multimodality").items() if value > values[0]]
    second = sorted(paper.column(1, "multimodality").values())[-2]
    return Finding(f"Higher: {', '.join(higher)}", signed(values[0] - second, 3), len(higher) < 2)


@_check
def t2m_star(paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    frame = paper.rows(2)
    metrics = list(frame["metric"].unique())
    same = [name for name in metrics if paper.value(2, "T2M", name) == paper.value(2, "T2M*", name)]
    values = ", ".join(f"{name} {paper.value(2, 'T2M', name)}" for name in same)
    given = f"Equal to the last digit in {len(same)} of {len(metrics)}: {values}"
    return Finding(given, "0" if same else "", not same, repeated=True)


@_check
def t2m_shift(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    """Whether row T2M* prints what the log of the released T2M has, ``values``, in the log's columns."""
    logged = dict(zip(("fid", "mm_dist", "diversity", "multimodality"), values, strict=True))
    printed = {metric: paper.value(2, "T2M*", metric) for metric in logged}
    shifted = [
        f"{METRICS[metric].label} is the log's {METRICS[other].label}"
        for metric, value in printed.items()
        for other, exact in logged.items()
        if metric != other and _rounds(exact, value)
    ]
    given = f"The log of the released model has {', '.join(map(str, values))}; printed {' and '.join(shifted)}"
    agrees = all(_rounds(logged[metric], value) for metric, value in printed.items())
    return Finding(given, signed(printed["fid"] - logged["fid"], 3), agrees)


@_check
def temos_commdm(paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    """Two rows that share most of their numbers to a hundredth may be one measurement."""
    metrics = list(paper.rows(2)["metric"].unique())
    pairs = {metric: (paper.value(2, "TEMOS", metric), paper.value(2, "ComMDM", metric)) for metric in metrics}
    near = [name for name, (one, other) in pairs.items() if _share(abs(one - other), max(one, other)) < 1]
    listed = ", ".join(f"{METRICS[name].label} {pairs[name][0]} and {pairs[name][1]}" for name in near)
    return Finding(f"Within 1% in {len(near)} of {len(metrics)}: {listed}", "", len(near) < 2, repeated=True)


def _quoted(name: str, method: str, metric: str, paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    found = paper.value(1, method, metric)
    return Finding(f"{name} in Table 1: {found}", signed(values[0] - found, 3), values[0] == found)


@_check
def top1_last_row(paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    top1, top3 = (paper.value(1, OURS, name) for name in ("top1", "top3"))
    given = f"InterMamba's top-1 in Table 1: {top1}; its top-3: {top3}"
    return Finding(given, signed(values[0] - top1, 3), values[0] == top1)


def _module_row(row: str, paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    found = tuple(paper.value(5, row, metric) for metric in ("r_precision", "fid"))
    differences = ", ".join(signed(value - other, 3) for value, other in zip(values, found, strict=True))
    return Finding(f"Table 5, {row}: {found[0]} and {found[1]}", differences, found == values)


@_check
def no_convergence(paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    fid = paper.value(4, "w/o adaptive param.", "fid")
    others = {name: value for name, value in paper.column(1, "fid").items() if name not in (OURS, LIGHT)}
    worse = [name for name, value in others.items() if value > fid]
    light = paper.value(1, LIGHT, "fid")
    given = f"FID {fid}: better than {len(worse)} of {len(others)} published baselines, and than UltraLight's {light}"
    return Finding(given, "", not worse and fid > light)


def _repeated(name: str, method: str, metric: str, paper: Paper, values: tuple[Decimal, ...]) -> Finding:
    same = paper.value(1, method, metric) == values[0]
    given = f"To the last digit {name} in Table 1" if same else "Nowhere else"
    return Finding(given, "0" if same else "", not same, repeated=True)


@_check
def minor_tradeoff(paper: Paper, _: tuple[Decimal, ...]) -> Finding:
    """A trade-off counts as minor if it leaves the model on the same side of its baseline."""
    without, full = (paper.value(4, name, "fid") for name in ("w/o Temporal Mamba", "w/ adaptive param."))
    baseline = paper.value(1, "InterGen", "fid")
    more = signed(_share(full - without, without), 1)
    sides = ["below" if value < baseline else "above" for value in (without, full)]
    given = f"{without} without it, {sides[0]} InterGen's {baseline}; {full} with it, {sides[1]}: {more}%"
    return Finding(given, signed(full - without, 3), sides[0] == sides[1])


_CHECKS |= {
    "modules_flops": partial(_modules, "flops_billions", "G"),
    "modules_parameters": partial(_modules, "parameters_millions", "M"),
    "modules_time": partial(_modules, "inference_seconds", "s"),
    "highest_precision": partial(_extreme, "highest", max, ("top1", "top2", "top3")),
    "lowest_distance": partial(_extreme, "lowest", min, ("mm_dist",)),
    "diversity_interhuman": partial(_highest_diversity, 1),
    "diversity_interx": partial(_highest_diversity, 2),
    "fid_interhuman": partial(_lower_fid, 1),
    "fid_interx": partial(_lower_fid, 2),
    "top1_first_row": partial(_quoted, "InterGen's top-1", "InterGen", "top1"),
    "table4_full": partial(_quoted, "InterMamba's top-3", OURS, "top3"),
    "self_only": partial(_module_row, "Self-ASTM"),
    "cross_added": partial(_module_row, "Self-ASTM, Cross-ASTM"),
    "liia_added": partial(_module_row, "Self-ASTM, Cross-ASTM, LIIA"),
    "repeated_fid": partial(_repeated, "RIG's FID", "RIG", "fid"),
    "repeated_precision": partial(_repeated, "InterMamba's top-2", OURS, "top2"),
}
