"""Lessons of a study, in about ten sentences, each with its numbers and the table or figure that holds them.

The page, the PDF and the documents say it in these words. A sentence whose measurement a profile does not make is left
out. Differences between rows are those of :mod:`workflow.results.contrasts`, over training seeds.
"""

import math
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from evaluators.perturbations import HARMLESS, catalogue
from evaluators.results import BY_COMBINATION, BY_PHRASING, DISTANCE, METRICS, NEAREST, PRECISION, REAL, RETAKEN
from evaluators.sensitivity import changes
from intermamba.config import Dataset
from intermamba.job import Job
from intermamba.names import FULL_MODEL, dataset_name, solver_name
from workflow.cells import decimals, signed
from workflow.results import fusion
from workflow.results.aggregate import references
from workflow.results.claims import balance
from workflow.results.contrasts import LEVEL, Blocks, Contrast, trainings
from workflow.results.headline import Compared, Ranking, printed
from workflow.results.reproduced import Study, joined

NEAR = "nearest_joints"
AS_PRINTED = {
    "intermamba_printed": "the paper's guidance, and with noise levels drawn and sampling steps placed evenly",
    "intermamba_geometric": "InterGen's geometric losses, as in the paper",
}
"""Rows that have more of the paper's recipe than the full model, and what."""
LONGER = ((FULL_MODEL, "intermamba_long"), ("intergen", "intergen_long"))
"""Rows, and those that differ from them in more epochs alone."""
AS_LONG = (FULL_MODEL, "intergen"), ("intermamba_long", "intergen_long")
"""Two methods with as many epochs, of few and of many."""
FEW = " So few seeds cannot establish the difference."
WITHOUT = ("without_temporal", "without_spatial", "without_adaptive", "without_cross", "without_liia")
"""Rows that leave out one part of the full model."""
CONTACT, SKATE = "contact", "foot_skate"
OFTEN = 50.0
"""Percent of frames."""
ESTIMATED, GIVEN = "t2m", "t2m_given"
"""T2M with lengths that it estimates, and with those of the test clips."""
PARTS = "Contribution of each part"
"""The topic of claims about parts of the model."""


@dataclass(frozen=True)
class Lesson:
    """What is learned about one topic."""

    topic: str
    text: str
    """A sentence for each dataset."""
    exhibit: str
    """Name of the table or figure with the numbers."""


@dataclass(frozen=True)
class Results:
    """What lessons are read from."""

    study: Study
    metrics: pd.DataFrame
    """``metrics.csv``."""
    claims: pd.DataFrame
    """``claims.csv``."""
    steps: pd.DataFrame
    guidance: pd.DataFrame
    fusion: pd.DataFrame
    sensitivity: pd.DataFrame
    """Rows of every file of these stages; empty where the profile has none."""

    @classmethod
    def of(cls, study: Study, metrics: pd.DataFrame, claims: pd.DataFrame, drawn: Job) -> "Results":
        """With the measurements that ``drawn``, the job of the figures, reads."""
        stages = {name: f"{name}.metrics" for name in ("steps", "guidance", "fusion")} | {"sensitivity": "sensitivity"}
        measured = {name: joined(drawn.inputs.get(key, ())) for name, key in stages.items()}
        return cls(study, metrics, claims, **measured)

    def runs(self, dataset: Dataset, *methods: str) -> bool:
        """Whether all of ``methods`` are rows of a dataset."""
        return set(methods) <= set(self.study.config.runs.get(dataset, {}))

    def compared(self) -> Iterator[Dataset]:
        """Datasets with rows that their table compares."""
        return (name for name in self.study.config.runs if self.study.compared(name))

    def ranking(self, dataset: Dataset, metric: str) -> Ranking:
        """The compared rows from best to worst in R-precision or FID."""
        compared = Compared(self.study, self.metrics, dataset)
        return compared.ranking(compared.methods, metric)


def lessons(results: Results) -> tuple[Lesson, ...]:
    """All that this study can teach."""
    found = ((topic, exhibit, " ".join(teach(results))) for topic, exhibit, teach in TAUGHT)
    return tuple(Lesson(topic, text, exhibit) for topic, exhibit, text in found if text)


def _quality(results: Results) -> Iterator[str]:
    for dataset in results.compared():
        precise, near = (results.ranking(dataset, metric) for metric in (PRECISION, DISTANCE))
        precision, distance = precise.values[precise.best], near.values[near.best]
        real = results.study.mean(dataset, "reference", REAL, PRECISION)
        beside = ""
        if RETAKEN in references(results.study.config, dataset):
            again = results.study.mean(dataset, "reference", RETAKEN, DISTANCE)
            beside = (
                f", where the ground truth performed again has {printed(again, DISTANCE)}, a ratio of "
                f"{distance / again:.1f}"
            )
        among, nearest = _ranked(precise), _ranked(near)
        yield (
            f"On {dataset_name(dataset)} the highest R-precision (top 3) of {among}, "
            f"{printed(precision, PRECISION)} of {results.study.label(precise.best)}, is {precision / real:.0%} of the "
            f"ground truth's; the lowest FID of {'these' if nearest == among else nearest} is "
            f"{printed(distance, DISTANCE)} of {results.study.label(near.best)}{beside}."
        )


def _ranked(found: Ranking) -> str:
    """The rows of a ranking in words."""
    rows = "the rows trained several times" if found.surpassed else "the compared models"
    return f"{rows}, at the {found.seeds} training seeds in common" if found.partial else rows


def _claims(results: Results) -> Iterator[str]:
    yield f"{balance(results.claims)}."
    hold = results.claims[results.claims["of_paper"].astype(bool) & (results.claims["verdict"] == "holds")]
    if tested := int(hold["p_alone"].notna().sum()):
        alone = int((hold["p_alone"] < LEVEL).sum())
        yield (
            f"Verdicts on models pool the scatter of training seeds over all rows. Of the {tested} such claims that "
            f"hold, {alone} {'has' if alone == 1 else 'have'} a p-value below {LEVEL} also in a t-test on their two "
            "rows alone, which is not corrected for their number."
        )


def _parts(results: Results) -> Iterator[str]:
    about = results.claims[results.claims["topic"] == PARTS]
    for verdict, plural in (("holds", "hold"), ("does not hold", "do not hold")):
        if len(found := about[about["verdict"] == verdict]):
            subject = f"This claim {verdict}" if len(found) == 1 else f"These claims {plural}"
            yield f"{subject}: {'; '.join(_claim(row) for row in found.to_dict('records'))}."
    for dataset in results.study.config.runs:
        if changes := dict(_changes(results, dataset)):
            label = results.study.label
            each = [f"{label(name)} {_signed(one.effect)}" for name, one in changes.items()]
            clear = [label(name) for name, one in changes.items() if not one.low <= 0.0 <= one.high]
            half = max((one.high - one.low) / 2 for one in changes.values())
            yield (
                f"Changes of R-precision (top 3) against {label(FULL_MODEL)} on {dataset_name(dataset)}: "
                f"{', '.join(each)}, with 95% intervals of ±{printed(half, PRECISION)} or less. Those that exclude "
                f"zero, without a correction for their number: {', '.join(clear) or 'none'}."
            )


def _changes(results: Results, dataset: Dataset) -> Iterator[tuple[str, Contrast]]:
    """What leaving out a part of the full model changes in R-precision, for each row that does so several times."""
    for name in WITHOUT:
        if results.runs(dataset, name, FULL_MODEL) and (found := _contrast(results, dataset, name, FULL_MODEL)):
            yield name, found


def _claim(row: Mapping[Hashable, typing.Any]) -> str:
    metric = METRICS[row["metric"]]
    effect = float(row["effect"])
    size = f"×{decimals(effect, 3)}" if row["scale"] == "ratio" else signed(effect, metric.digits)
    return f"{row['claim']} ({metric.label} {size})"


def _seeds(results: Results) -> Iterator[str]:
    summary = results.study.summary
    rows = summary[(summary["block"] == "reproduced") & (summary["seeds"] > 1)]
    if len(rows):
        times = (rows["seed_std"] / rows["interval"]).groupby(rows["metric"]).median()
        yield (
            "The interval that papers print, over repeats of the evaluation, is not the error of a method: the "
            f"standard deviation between training seeds is {times[DISTANCE]:.1f} times that interval for FID and "
            f"{times[PRECISION]:.1f} times for R-precision (top 3), in the median of the rows."
        )


def _recipe(results: Results) -> Iterator[str]:
    for dataset in results.study.config.runs:
        for row, what in AS_PRINTED.items():
            if beside := _beside(results, dataset, FULL_MODEL, row):
                (own, other), (near, far), change = beside
                yield (
                    f"With {what}, {results.study.label(FULL_MODEL)} on {dataset_name(dataset)} has an R-precision "
                    f"(top 3) of {printed(other, PRECISION)} instead of {printed(own, PRECISION)}"
                    f"{f', a difference of {change},' if change else ''} and an FID of {printed(far, DISTANCE)} "
                    f"instead of {printed(near, DISTANCE)}, at the training seeds that both have."
                    f"{'' if change else FEW}"
                )


def _length_of_training(results: Results) -> Iterator[str]:
    if said := list(_longer(results)):
        yield from said
        yield "Two lengths are compared at the training seeds that both have."


def _longer(results: Results) -> Iterator[str]:
    study = results.study
    for dataset in study.config.runs:
        real = study.mean(dataset, "reference", REAL, PRECISION)
        for base, longer in LONGER:
            if beside := _beside(results, dataset, base, longer):
                (own, other), (near, far), change = beside
                few, many = (
                    study.variant(name).configured(study.config, dataset).training.epochs for name in (base, longer)
                )
                yield (
                    f"Trained for {many} epochs instead of {few}, {study.label(base)} on {dataset_name(dataset)} has "
                    f"an R-precision (top 3) of {printed(other, PRECISION)} instead of {printed(own, PRECISION)}, "
                    f"{other / real:.0%} of the ground truth's instead of {own / real:.0%}"
                    f"{f', a difference of {change},' if change else ''} and an FID of {printed(far, DISTANCE)} "
                    f"instead of {printed(near, DISTANCE)}.{'' if change else FEW}"
                )
        yield from _as_long(results, dataset)


def _as_long(results: Results, dataset: Dataset) -> Iterator[str]:
    """What length of training does to the lead of one method."""
    study, said = results.study, []
    for first, second in AS_LONG:
        if results.runs(dataset, first, second) and (change := _difference(results, dataset, first, second)):
            epochs = study.variant(first).configured(study.config, dataset).training.epochs
            said.append(f"{change} when both are trained for {epochs} epochs")
    if len(said) == len(AS_LONG):
        first, second = map(study.label, AS_LONG[0])
        yield (
            f"The R-precision (top 3) of {first} on {dataset_name(dataset)} minus that of {second} is {said[0]}, and "
            f"{said[1]}."
        )


def _guidance(results: Results) -> Iterator[str]:
    for dataset, values in _sampled(results.guidance, ["guidance"]):
        scales = values.index.unique("guidance")
        yield (
            f"With a guidance scale of {scales.min():g} to {scales.max():g}, {_first(results, dataset)} has an "
            f"R-precision (top 3) of {_range(values, PRECISION, 'at {:g}'.format)}, and an FID of "
            f"{_range(values, DISTANCE, 'at {:g}'.format)}."
        )


def _steps(results: Results) -> Iterator[str]:
    for dataset, values in _sampled(results.steps, ["solver", "steps"]):
        steps = values.index.unique("steps")
        yield (
            f"With {steps.min()} to {steps.max()} sampling steps, {_first(results, dataset)} has an R-precision "
            f"(top 3) of {_range(values, PRECISION, _solver)}, and an FID of {_range(values, DISTANCE, _solver)}."
        )


def _first(results: Results, dataset: Dataset) -> str:
    return f"{results.study.label(FULL_MODEL)} on {dataset_name(dataset)} (one training)"


def _lengths(results: Results) -> Iterator[str]:
    for dataset in results.study.config.runs:
        if results.runs(dataset, ESTIMATED, GIVEN) and (change := _difference(results, dataset, GIVEN, ESTIMATED)):
            yield (
                f"Given the lengths of the test clips instead of its own estimates, T2M on {dataset_name(dataset)} "
                f"has an R-precision (top 3) that differs by {change}."
            )


def _phrasings(results: Results) -> Iterator[str]:
    study = results.study
    for dataset in results.compared():
        if not set(BY_PHRASING) <= set(study.results(dataset, "reference", REAL)["metric"]):
            continue  # only the embedded data know their phrasings
        best = results.ranking(dataset, PRECISION).best
        shares = []
        for one in BY_PHRASING:
            own, real = study.mean(dataset, "reproduced", best, one), study.mean(dataset, "reference", REAL, one)
            shares.append(f"{printed(own, one)} of {printed(real, one)} ({own / real:.0%})")
        yield (
            f"Of the ground truth's R-precision (top 3) on {dataset_name(dataset)}, {study.label(best)} reaches "
            f"{shares[0]} for captions in phrasings that training shows, and {shares[1]} for the others."
        )


def _copying(results: Results) -> Iterator[str]:
    for dataset in results.compared() if results.study.config.copying else ():
        if not set(BY_COMBINATION) <= set(results.study.results(dataset, "reference", NEAREST)["metric"]):
            continue  # only the embedded data know their combinations
        best = results.ranking(dataset, PRECISION).best
        measured = (*BY_COMBINATION, NEAR)
        copied = {one: results.study.mean(dataset, "reference", NEAREST, one) for one in measured}
        real = results.study.mean(dataset, "reference", REAL, NEAR)
        own = {one: results.study.mean(dataset, "reproduced", best, one) for one in measured}
        seen, new = BY_COMBINATION
        yield (
            f"On {dataset_name(dataset)}, copies of the training clip with the nearest caption have an R-precision "
            f"(top 3) of {printed(copied[seen], seen)} for combinations that training shows and "
            f"{printed(copied[new], new)} for others; {results.study.label(best)} has {printed(own[seen], seen)} and "
            f"{printed(own[new], new)}. The joints of copies are {printed(copied[NEAR], NEAR)} cm from the nearest "
            f"training clip, those of {results.study.label(best)} {printed(own[NEAR], NEAR)} cm, those of the ground "
            f"truth {printed(real, NEAR)} cm."
        )


def _plausibility(results: Results) -> Iterator[str]:
    study = results.study
    for dataset in results.compared():
        if not {CONTACT, SKATE} <= set(study.results(dataset, "reference", REAL)["metric"]):
            continue  # metrics of an earlier version
        best = results.ranking(dataset, PRECISION).best
        named = (best, FULL_MODEL) if results.runs(dataset, FULL_MODEL) else (best,)
        said = []
        for metric in (SKATE, CONTACT):
            rows = {study.label(name): study.mean(dataset, "reproduced", name, metric) for name in named}
            rows["the ground truth"] = study.mean(dataset, "reference", REAL, metric)
            said.append(", ".join(f"{printed(value, metric)} for {label}" for label, value in rows.items()))
        yield (
            f"On {dataset_name(dataset)}, feet on the floor slide at (cm/s) {said[0]}; persons are in contact in (% of "
            f"frames) {said[1]}."
        )
        inside = [
            study.label(name)
            for name in study.compared(dataset)
            if study.mean(dataset, "reproduced", name, CONTACT)
            > OFTEN
            >= study.mean(dataset, "reference", REAL, CONTACT)
        ]
        if inside:
            yield f"The persons of these rows are in contact in more than half of the frames: {'; '.join(inside)}."


def _missed(results: Results) -> Iterator[str]:
    for name, measured in results.sensitivity.groupby("dataset", sort=False) if len(results.sensitivity) else ():
        dataset = str(name)
        found = changes(measured).pivot(index="method", columns="metric", values="verdict")[[PRECISION, DISTANCE]]
        missed = found.index[(found != "detects").all(axis=1)]
        damage = [one.label for one in catalogue(dataset) if one.name in missed and one.kind != HARMLESS]
        if damage:
            listed = "; ".join(label[0].lower() + label[1:] for label in damage)
            yield (
                f"On {dataset_name(dataset)} neither R-precision (top 3) nor FID detects this damage to the ground "
                f"truth, so they cannot tell whether a model's motions have it: {listed}."
            )


def _fusion(results: Results) -> Iterator[str]:
    if len(results.fusion):
        yield fusion.sentences(results.fusion, results.study.label)


TAUGHT: tuple[tuple[str, str, Callable[[Results], Iterator[str]]], ...] = (
    ("How good the models are", "table1", _quality),
    ("The paper's claims", "claims", _claims),
    ("The parts of the model", "claims", _parts),
    ("Training seeds", "table1", _seeds),
    ("The recipe as printed", "table1", _recipe),
    ("Length of training", "table1", _length_of_training),
    ("Guidance", "guidance", _guidance),
    ("Sampling steps", "steps", _steps),
    ("Lengths of motions", "table1", _lengths),
    ("Phrasings", "table1", _phrasings),
    ("Copying", "copying", _copying),
    ("Plausibility", "physical", _plausibility),
    ("What the metrics miss", "sensitivity", _missed),
    ("Fusion weights", "fusion", _fusion),
)
"""Topic, table or figure, and sentences, in the order of the page."""


def _sampled(measured: pd.DataFrame, by: list[str]) -> Iterator[tuple[Dataset, pd.DataFrame]]:
    """Both metrics of the full model by setting and repeat, for each dataset; of its first training, as measured."""
    if len(measured):
        found = measured[(measured["method"] == FULL_MODEL) & measured["metric"].isin((PRECISION, DISTANCE))]
        for dataset, values in found.groupby("dataset", sort=False):
            yield str(dataset), values.pivot_table("value", [*by, "repeat"], "metric")


def _beside(
    results: Results, dataset: Dataset, base: str, other: str
) -> tuple[tuple[float, float], tuple[float, float], str] | None:
    """R-precision of two rows, FID of both, and :func:`_difference`: means over the training seeds that both have."""
    if not results.runs(dataset, base, other):
        return None
    means = []
    for metric in (PRECISION, DISTANCE):
        by_seed = trainings(results.metrics, dataset, metric).pivot(index="seed", columns="method", values="value")
        shared = by_seed[[base, other]].dropna().mean()
        means.append((float(shared[base]), float(shared[other])))
    if any(math.isnan(mean) for pair in means for mean in pair):
        return None
    return means[0], means[1], _difference(results, dataset, other, base)


def _difference(results: Results, dataset: Dataset, first: str, second: str) -> str:
    """The difference in R-precision over training seeds, with its interval; empty where rows were trained once."""
    if (found := _contrast(results, dataset, first, second)) is None:
        return ""
    unclear = ", not distinguishable from none" if found.low <= 0.0 <= found.high else ""
    return f"{_signed(found.effect)} (95%: {_signed(found.low)} to {_signed(found.high)}{unclear})"


def _contrast(results: Results, dataset: Dataset, first: str, second: str) -> Contrast | None:
    """The difference in R-precision over training seeds; ``None`` where they are too few."""
    try:
        return Blocks(trainings(results.metrics, dataset, PRECISION)).difference(first, second)
    except ValueError:
        return None


def _signed(value: float) -> str:
    return signed(value, METRICS[PRECISION].digits)


def _range(values: pd.DataFrame, metric: str, at: Callable[[typing.Any], str]) -> str:
    """Lowest and highest mean, and the settings that have them if they differ in the same repeats of the evaluation."""
    repeats = values[metric].unstack("repeat")
    means = repeats.mean(axis=1)
    low, high = typing.cast("tuple[typing.Any, typing.Any]", (means.idxmin(), means.idxmax()))
    between = f"{printed(means[low], metric)} to {printed(means[high], metric)}"
    named = repeats.set_axis([at(setting) for setting in repeats.index]).rename_axis("method")
    try:
        blocks = Blocks.of(named.melt(ignore_index=False, var_name="seed").reset_index(), metric)
        differ = blocks.distinguished(at(high), at(low), len(means))
    except ValueError:
        differ = False
    if not differ:
        return f"{between} (within the scatter of the repeats)"
    return f"{between} (highest {at(high)}, lowest {at(low)})"


def _solver(setting: Hashable) -> str:
    name, steps = typing.cast("tuple[str, int]", setting)
    return f"with {steps} steps of {solver_name(name)}"
