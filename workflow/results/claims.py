"""Stage ``claims``: what the paper claims, decided on the results of this profile.

Each claim is data (``results/paper/reported/claims.yaml``) and compares two rows. Trainings are the sample: a claim
about a method cannot be decided from one training of it, however often that training is evaluated.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field

from evaluators.results import DISTANCE, METRICS, PRECISION, SHUFFLED
from intermamba import files
from intermamba.config import Config, Dataset, Section
from intermamba.errors import ConfigError, unknown
from intermamba.job import Job
from intermamba.models import variants
from intermamba.reading.documents import checked, read_csv, read_yaml
from workflow.cells import probability
from workflow.results import reported
from workflow.results.contrasts import (
    Blocks,
    Contrast,
    above_chance,
    distinguishable,
    holm,
    paired,
    scaled,
    trainings,
    unpaired,
)
from workflow.results.reproduced import PRECISIONS, Sizes, Study, read

Verdict = Literal["holds", "does not hold", "smaller", "inconclusive", "by construction", "not run"]
Expected = Literal["higher", "lower", "no higher", "steadier"]

COMPARABLE = (*PRECISIONS, DISTANCE)
"""Metrics whose effects can be set beside the paper's: the others are in units of the evaluator."""
MIXED = 5
"""The paper's table whose R-precision is that of no single k."""
COLUMNS = (
    "id", "topic", "claim", "where", "of_paper", "dataset", "metric", "first", "second", "expected", "paper_first",
    "paper_second", "value_first", "value_second", "effect", "scale", "low", "high", "p", "p_corrected", "p_alone",
    "p_smaller", "trainings", "verdict", "note",
)  # fmt: skip
"""Columns of ``claims.csv``."""


class Printed(Section):
    """The two printed numbers behind a claim."""

    table: Annotated[int, Field(ge=1, le=5)]
    metric: str
    rows: tuple[str, str]

    def numbers(self) -> tuple[float, float]:
        """The two numbers as printed.

        Raises:
            ConfigError: no such row or metric.
        """
        frame = reported.read(self.table)
        found = []
        for row in self.rows:
            cells = frame[(frame["method"] == row) & (frame["metric"] == self.metric)]
            if len(cells) != 1:
                known = frame["method"] + ", " + frame["metric"]
                raise ConfigError(
                    unknown(f"number of Table {self.table}", f"{row}, {self.metric}", known, "claims.yaml")
                )
            found.append(float(cells["value"].iloc[0]))
        return found[0], found[1]


class _Claim(Section):
    id: str
    topic: str
    """Heading under which the claim is listed."""
    claim: str
    where: str
    """Place in the paper."""
    of_paper: bool = True
    """Whether the paper makes it; else it is a comparison of this project's."""
    dataset: Dataset
    expected: Expected
    """How the first method compares with the second."""
    paper: Printed | None = None
    """``None`` where the paper gives no number."""


class Quality(_Claim):
    """A claim about two methods, or a method and ``shuffled`` (chance), in one metric of the protocol."""

    kind: Literal["quality"]
    metric: str
    methods: tuple[str, str]

    def printed(self) -> float | None:
        """The paper's effect, of FID as a logarithm, if one here can be set beside it: of a scale that no evaluator
        sets.
        """
        mixed = self.paper and self.paper.table == MIXED and self.paper.metric != self.metric
        if self.paper is None or self.metric not in COMPARABLE or mixed:
            return None
        first, second = self.paper.numbers()
        return float(np.log(first / second)) if self.metric == DISTANCE else first - second


class Cost(_Claim):
    """A claim about two methods' seconds per sampling or parameters at the paper's sizes; the effect is a ratio."""

    kind: Literal["time", "parameters"]
    methods: tuple[str, str]

    @property
    def metric(self) -> str:
        """The quantity of its effect."""
        return self.kind


class Weights(_Claim):
    """A claim about a method's fusion weights of one branch over training."""

    kind: Literal["weights"]
    methods: tuple[str]
    branch: Literal["temporal", "spatial"]

    @property
    def metric(self) -> str:
        """The branch whose weights it is about."""
        return self.branch


Claim = Quality | Cost | Weights
_LIST = list[Annotated[Claim, Field(discriminator="kind")]]


@dataclass(frozen=True)
class Finding:
    """A claim and its evaluation on the results."""

    claim: Claim
    values: tuple[float, ...] = ()
    contrast: Contrast | None = None
    scale: Literal["difference", "ratio"] = "difference"
    trainings: str = ""
    verdict: Verdict = "inconclusive"
    note: str = ""
    p_corrected: float | None = None
    p_alone: float | None = None
    """The p-value of a t-test on the two rows alone, seed by seed, without the scatter of the others."""
    p_smaller: float | None = None
    """One-sided p-value of an effect as large as the paper's; corrected by :func:`decide`."""


def run(config: Config, job: Job) -> None:
    """Write ``claims.csv``: one row per claim.

    Raises:
        StateError: a stage before this one has not run.
        ConfigError: a claim names an unknown method, metric or row.
    """
    with job.recorded(config):
        study, claims = read(config, variants()), load(job["claims_list"])
        findings = decide(claims, study, read_csv(job["metrics"]), read_csv(job["alpha_beta"]))
        files.write_csv(job["claims"], pd.DataFrame([_row(one) for one in findings], columns=list(COLUMNS)))


def load(file: Path) -> list[Claim]:
    """The claims of a file.

    Raises:
        ConfigError: the file is malformed; the message names the claim and the field.
    """
    found: list[Claim] = checked(_LIST, read_yaml(file), str(file), error=ConfigError)
    return found


def decide(claims: Sequence[Claim], study: Study, metrics: pd.DataFrame, weights: pd.DataFrame) -> list[Finding]:
    """A finding for each claim. P-values are corrected over all claims that they decide (Holm): those of no effect
    together, and those of the paper's effect together.
    """
    quality = _Quality(study, metrics)
    by_kind: Mapping[str, Callable[[Any], Finding]] = {
        "quality": quality.finding,
        "time": partial(_time, study),
        "parameters": partial(_parameters, study),
        "weights": partial(_fusion, weights),
    }
    found = [_not_run(study, claim) if _absent(study, claim) else by_kind[claim.kind](claim) for claim in claims]
    tested = {
        index: one.contrast.p
        for index, one in enumerate(found)
        if one.contrast and not np.isnan(one.contrast.p) and not one.note
    }
    beside_paper = {index: p for index in tested if (p := found[index].p_smaller) is not None}
    for index, p in zip(beside_paper, holm(list(beside_paper.values())), strict=True):
        found[index] = replace(found[index], p_smaller=p)
    for index, p in zip(tested, holm(list(tested.values())), strict=True):
        found[index] = _decided(replace(found[index], p_corrected=p))
    return found


def _decided(one: Finding) -> Finding:
    assert one.contrast is not None
    assert one.p_corrected is not None
    if distinguishable(one.p_corrected):
        above = one.contrast.effect > (1.0 if one.scale == "ratio" else 0.0)
        as_claimed = above == (one.claim.expected in ("higher", "steadier"))
        return replace(one, verdict="holds" if as_claimed else "does not hold")
    if one.p_smaller is not None and distinguishable(one.p_smaller):
        note = f"smaller than the paper's effect (p {probability(one.p_smaller)})."
        return replace(one, verdict="smaller", note=note)
    return one


class _Quality:
    """Contrasts of metrics, over the trainings of each method."""

    def __init__(self, study: Study, metrics: pd.DataFrame) -> None:
        self._study, self._metrics = study, metrics

    def finding(self, claim: Quality) -> Finding:
        metric = claim.metric
        if metric not in METRICS:
            raise ConfigError(unknown("metric", metric, METRICS, f"claim {claim.id} of claims.yaml"))
        first, second = claim.methods
        ratio = metric == DISTANCE
        means = trainings(self._metrics, claim.dataset, metric)
        values = tuple(self._value(means, claim, name) for name in claim.methods)
        trained = [name for name in claim.methods if name != SHUFFLED]
        counts = ", ".join(str((means["method"] == name).sum()) for name in trained)
        found = Finding(claim, values, scale="ratio" if ratio else "difference", trainings=counts)
        compared = scaled(means, metric)
        level = float(np.log(values[1])) if ratio else values[1]
        try:
            blocks = Blocks(compared)
            contrast = blocks.against(first, level) if second == SHUFFLED else blocks.difference(first, second)
            learned = second == SHUFFLED or self._any_above_chance(claim.dataset, trained)
        except ValueError as error:
            return replace(found, note=f"{error}.")
        note = "" if learned else "neither side is above chance in R-precision (top 3)."
        printed = claim.printed()
        smaller = None if printed is None or note else contrast.falls_short_of(printed)
        by_seed = compared.pivot(index="seed", columns="method", values="value").assign(**{SHUFFLED: level})
        contrast = contrast.exponential() if ratio else contrast
        alone = _alone(by_seed[first] - by_seed[second])
        return replace(found, contrast=contrast, note=note, p_alone=alone, p_smaller=smaller)

    def _any_above_chance(self, dataset: str, methods: Sequence[str]) -> bool:
        blocks, chance = Blocks(trainings(self._metrics, dataset, PRECISION)), self._study.chance(dataset, PRECISION)
        return any(above_chance(blocks.against(name, chance)) for name in methods)

    def _value(self, means: pd.DataFrame, claim: Quality, method: str) -> float:
        if method == SHUFFLED:
            return self._study.chance(claim.dataset, claim.metric)
        return float(means.loc[means["method"] == method, "value"].mean())


def _alone(differences: "pd.Series[float]") -> float | None:
    try:
        return paired(list(differences.dropna())).p
    except ValueError:
        return None


def _time(study: Study, claim: Cost) -> Finding:
    first, second = (study.seconds(name) for name in claim.methods)
    found = Finding(claim, (float(first.median()), float(second.median())), scale="ratio")
    if any(len({study.counts(name, sizes)["parameters"] for sizes in get_args(Sizes)}) > 1 for name in claim.methods):
        found = replace(found, note="timed at this profile's sizes, not the paper's.")
    try:
        return replace(found, contrast=unpaired(list(np.log(first)), list(np.log(second))).exponential())
    except ValueError as error:
        return replace(found, note=f"{error}.")


def _parameters(study: Study, claim: Cost) -> Finding:
    """Counts have no scatter: an exact ratio, compared with the paper's to its two digits. Where they agree, that is no
    finding: what the paper leaves open was chosen by its counts (docs/explanation/deviations.md).
    """
    first, second = (study.counts(name, "paper")["parameters"] / 1e6 for name in claim.methods)
    ratio = first / second
    found = Finding(claim, (first, second), Contrast(ratio, ratio, ratio, np.nan), "ratio")
    if claim.paper is None:
        return found
    printed = claim.paper.numbers()
    alike = round(ratio, 2) == round(printed[0] / printed[1], 2)
    return replace(found, verdict="by construction" if alike else "does not hold")


def _fusion(weights: pd.DataFrame, claim: Weights) -> Finding:
    """Change of the mean weight of all blocks from the first to the last step, training by training."""
    chosen = weights[(weights["dataset"] == claim.dataset) & (weights["method"] == claim.methods[0])]
    means = chosen.groupby(["branch", "training_seed", "step"])["value"].mean()
    change = (
        means.groupby(["branch", "training_seed"])
        .agg(lambda values: values.iloc[-1] - values.iloc[0])
        .unstack("branch")
    )
    end, start = (float(means[claim.branch].groupby("training_seed").nth(index).mean()) for index in (-1, 0))
    differences = change[claim.branch]
    if claim.expected == "steadier":
        (other,) = set(change.columns) - {claim.branch}
        differences = change[other].abs() - differences.abs()
    found = Finding(claim, (end, start), trainings=str(len(change)))
    try:
        return replace(found, contrast=paired(differences.to_list()))
    except ValueError as error:
        return replace(found, note=f"{error}.")


def _absent(study: Study, claim: Claim) -> list[str]:
    known = (*study.config.runs.get(claim.dataset, {}), SHUFFLED)
    return [name for name in claim.methods if name not in known]


def _not_run(study: Study, claim: Claim) -> Finding:
    for name in claim.methods:
        if name != SHUFFLED:
            study.variant(name)  # a misspelt name must not look like a row that was not run
    names = ", ".join(study.label(name) for name in _absent(study, claim))
    return Finding(claim, verdict="not run", note=f"not run in this profile: {names}.")


def _row(one: Finding) -> dict[str, Any]:
    claim, contrast = one.claim, one.contrast
    printed = claim.paper.numbers() if claim.paper else (None, None)
    values = (*map(_steady, one.values), None, None)[:2]
    return {
        "id": claim.id,
        "topic": claim.topic,
        "claim": claim.claim,
        "where": claim.where,
        "of_paper": claim.of_paper,
        "dataset": claim.dataset,
        "metric": claim.metric,
        "first": claim.methods[0],
        "second": claim.methods[1] if len(claim.methods) > 1 else "",
        "expected": claim.expected,
        "paper_first": printed[0],
        "paper_second": printed[1],
        "value_first": values[0],
        "value_second": values[1],
        "effect": contrast and _steady(contrast.effect),
        "scale": one.scale,
        "low": contrast and _steady(contrast.low),
        "high": contrast and _steady(contrast.high),
        "p": contrast and _steady(contrast.p),
        "p_corrected": one.p_corrected and _steady(one.p_corrected),
        "p_alone": one.p_alone and _steady(one.p_alone),
        "p_smaller": one.p_smaller and _steady(one.p_smaller),
        "trainings": one.trainings,
        "verdict": one.verdict,
        "note": one.note,
    }


def _steady(value: float) -> float:
    """``value`` without the digits in which the linear algebra of two processors differs."""
    return float(f"{value:.10g}")


def balance(frame: pd.DataFrame) -> str:
    """How many claims of the paper have each verdict."""
    return tally(frame.loc[frame["of_paper"].astype(bool), "verdict"])


def tally(verdicts: Iterable[str]) -> str:
    """How often each verdict occurs, in words: "3 hold, 1 does not hold"."""
    counts = Counter(verdicts)
    words_of = {
        "holds": ("holds", "hold"),
        "does not hold": ("does not hold", "do not hold"),
        "smaller": (
            "has an effect smaller than the paper's or opposite to it",
            "have an effect smaller than the paper's or opposite to it",
        ),
        "inconclusive": ("is inconclusive", "are inconclusive"),
        "by construction": ("is true by construction", "are true by construction"),
        "not run": ("was not run", "were not run"),
    }
    known = [name for name in words_of if name in counts]
    words = [words_of[name][counts[name] > 1] for name in known]
    return ", ".join(f"{counts[name]} {word}" for name, word in zip(known, words, strict=True))
