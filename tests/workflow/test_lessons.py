"""What a study shows: each sentence has the numbers of its table or figure, and is missing where they are."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import pytest
import workflow_study as made_up
from stages import run as run_stage

from evaluators.results import BY_COMBINATION, BY_PHRASING
from intermamba.models import variants
from intermamba.paths import path
from workflow.graph.stages import table
from workflow.results.lessons import PARTS, TAUGHT, Results, lessons
from workflow.results.reproduced import read

RUNS = {
    "interhuman": {
        "intermamba": (0, 1),
        "intermamba_printed": (0, 1),
        "intermamba_long": (0, 1),
        "intergen": (0, 1),
        "intergen_long": (0, 1),
        "without_liia": (0, 1),
        "t2m": (0, 1),
        "t2m_given": (0, 1),
    },
    "interx": {"intermamba": (0, 1), "intermamba_geometric": (0, 1), "intergen": (0, 1)},
}
MEANS = {
    "intermamba_printed": made_up.MEANS["my_idea_100"],
    "without_liia": made_up.MEANS["theirs"],
    "intermamba_long": made_up.MEANS["intermamba"],
    "intergen_long": made_up.MEANS["intergen"],
    "intermamba_geometric": made_up.MEANS["intergen"],
    "t2m": made_up.MEANS["theirs"],
    "t2m_given": tuple(value and 1.1 * value for value in made_up.MEANS["theirs"]),
}
LOSSES = made_up.losses


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """A study with every measurement that sentences are made of."""
    tree = tmp_path_factory.mktemp("lessons")
    shutil.copytree(made_up.ROOT / "results/paper/reported", tree / "results/paper/reported")
    guidance = made_up.config().guidance.model_copy(update={"variants": dict.fromkeys(RUNS, ("intermamba",))})
    config = made_up.config(RUNS).model_copy(update={"guidance": guidance})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree)
        patch.setattr(made_up, "VARIANTS", variants())
        patch.setattr(made_up, "MEANS", made_up.MEANS | MEANS)
        patch.setattr(made_up, "losses", lambda seed: LOSSES(seed).assign(length=1.0))  # of T2M's last part
        made_up.write(config)
        for stage in ("aggregate", "claims"):
            run_stage(stage, config)
        measured = (pd.read_csv(path(name, profile="smoke")) for name in ("metrics", "claims"))
        yield Results.of(read(config, variants()), *measured, table(config)["figures"].job())


@pytest.fixture(scope="module")
def topics(results: Results) -> set[str]:
    """What that study teaches something about."""
    return {one.topic for one in lessons(results)}


def text(results: Results, topic: str) -> str:
    (teach,) = (teach for about, _, teach in TAUGHT if about == topic)
    return " ".join(teach(results))


def test_every_topic_is_taught_by_a_study_that_measured_it(results: Results) -> None:
    parts = [{**results.claims.iloc[0], "topic": PARTS, "verdict": verdict} for verdict in ("holds", "does not hold")]
    decided = pd.concat([results.claims, pd.DataFrame(parts)])
    found = lessons(replace(results, claims=decided))
    assert [one.topic for one in found] == [topic for topic, *_ in TAUGHT]
    assert all(one.text.endswith(".") and "nan" not in one.text for one in found)


def test_the_best_rows_are_compared_with_the_ground_truth(results: Results) -> None:
    summary = results.study.summary.query("dataset == 'interhuman'").set_index(["method", "metric"])["mean"]
    share = summary["intermamba", "top3"] / summary["real", "top3"]
    assert f"{summary['intermamba', 'top3']:.3f} of InterMamba, is {share:.0%} of" in text(
        results, "How good the models are"
    )
    lowest, again = summary["intergen", "fid"], summary["retaken", "fid"]
    said = f"performed again has {again:.3f}, a ratio of {lowest / again:.1f}."
    assert said in text(results, "How good the models are")


def test_rows_that_are_not_ranked_are_not_the_lowest(results: Results) -> None:
    """Rows trained once, whose FID is lower, are named as left out, as those of R-precision are."""
    once = results.metrics.query("dataset == 'interx' and method == 'intergen' and training_seed == 1").index
    metrics = results.metrics.drop(once)
    metrics.loc[metrics["method"].eq("intergen") & metrics["metric"].eq("fid"), "value"] = 0.001
    said = text(replace(results, metrics=metrics), "How good the models are")
    assert "the lowest FID of the rows trained several times is" in said.partition("On Inter-X")[2]


def test_claims_that_hold_by_the_pooled_scatter_alone_are_counted(results: Results) -> None:
    claims = results.claims.assign(verdict="inconclusive", p_alone=0.2)
    chosen = claims.index[claims["of_paper"].astype(bool)][:3]
    claims.loc[chosen, "verdict"] = "holds"
    claims.loc[chosen, "p_alone"] = [0.01, 0.2, float("nan")]
    said = text(replace(results, claims=claims), "The paper's claims")
    assert "Of the 2 such claims that hold, 1 has a p-value below 0.05 also in a t-test" in said


def test_a_range_has_its_ends_and_their_places(results: Results) -> None:
    values = results.guidance.query("dataset == 'interhuman' and metric == 'top3'").groupby("guidance")["value"].mean()
    said = text(results, "Guidance")
    between = f"{values[1.0]:.3f} to {values[3.5]:.3f} (highest at 3.5, lowest at 1)"
    assert f"InterMamba on InterHuman (one training) has an R-precision (top 3) of {between}, and" in said
    assert "(highest with 10 steps of DDIM, lowest with 5 steps of DDIM)" in text(results, "Sampling steps")


def test_settings_that_differ_less_than_the_repeats_are_not_named(results: Results) -> None:
    noise = results.guidance["repeat"].map({0: 0.2, 1: -0.2}) * (results.guidance["guidance"] > 2)
    noisy = replace(results, guidance=results.guidance.assign(value=results.guidance["value"] * (1 + noise)))
    assert "(within the scatter of the repeats), and an FID" in text(noisy, "Guidance")


def test_what_leaving_out_a_part_changes_has_its_interval(results: Results) -> None:
    said = text(results, "The parts of the model")
    assert "against InterMamba on InterHuman: w/o LIIA +0.040, with 95% intervals of ±0.000 or less." in said
    assert said.endswith("Those that exclude zero, without a correction for their number: w/o LIIA.")


def test_plausibility_of_the_best_and_the_full_model(results: Results) -> None:
    summary = results.study.summary.query("dataset == 'interhuman' and metric == 'contact'").set_index("method")["mean"]
    own, real = summary["intermamba"], summary["real"]
    assert f"in (% of frames) {own:.1f} for InterMamba, {real:.1f} for the ground truth." in text(
        results, "Plausibility"
    )


def test_rows_whose_persons_are_inside_each_other_are_named(results: Results) -> None:
    summary = results.study.summary
    touching = summary["mean"].mask((summary["method"] == "intergen") & (summary["metric"] == "contact"), 99.0)
    apart = replace(results, study=replace(results.study, summary=summary.assign(mean=touching)))
    said = "The persons of these rows are in contact in more than half of the frames: InterGen."
    assert said in text(apart, "Plausibility")
    assert said not in text(results, "Plausibility")


def test_damage_that_no_score_detects_is_told(results: Results) -> None:
    """The made-up metrics notice everything but the mildest noise and, of FID alone, reversed time."""
    said = text(results, "What the metrics miss")
    for dataset, mildest in (("InterHuman", "1 cm"), ("Inter-X", "2 degrees")):
        about = f"On {dataset} neither R-precision (top 3) nor FID detects this damage to the ground truth, so they "
        assert f"{about}cannot tell whether a model's motions have it: joints, noise of {mildest}." in said


def test_rows_are_compared_over_training_seeds(results: Results) -> None:
    assert "differs by +0.050 (95%: +0.050 to +0.050)" in text(results, "Lengths of motions")


def test_the_printed_recipe_is_compared_at_shared_seeds_alone(results: Results) -> None:
    printed = results.metrics["method"] == "intermamba_printed"
    seeds = results.metrics["training_seed"]
    one = replace(results, metrics=results.metrics[~(printed & (seeds == 1))])
    assert "So few seeds cannot establish the difference." in text(one, "The recipe as printed")
    none = replace(results, metrics=results.metrics.assign(training_seed=seeds.mask(printed, seeds + 5)))
    said = text(none, "The recipe as printed")
    assert said.startswith("With InterGen's geometric losses, as in the paper, InterMamba on Inter-X has")
    assert "noise levels" not in said


def test_a_longer_training_is_compared_with_the_ground_truth(results: Results) -> None:
    epochs = results.study.variant("intermamba").configured(results.study.config).training.epochs
    summary = results.study.summary.query("dataset == 'interhuman' and metric == 'top3'").set_index("method")["mean"]
    said = text(results, "Length of training")
    assert said.startswith(f"Trained for 48 epochs instead of {epochs}, InterMamba on InterHuman has an R-precision")
    assert f", {summary['intermamba_long'] / summary['real']:.0%} of the ground truth's instead of" in said
    assert "of InterMamba on InterHuman minus that of InterGen is +0.060 (95%: +0.060 to +0.060) when both" in said
    assert "and +0.060 (95%: +0.060 to +0.060) when both are trained for 48 epochs." in said


def test_a_best_row_is_compared_with_the_ground_truth_by_phrasing(results: Results) -> None:
    summary = results.study.summary.query("dataset == 'interhuman'").set_index(["method", "metric"])["mean"]
    own, real = (summary[name, "top3_unseen"] for name in ("intermamba", "real"))
    assert f"and {own:.3f} of {real:.3f} ({own / real:.0%}) for the others." in text(results, "Phrasings")


@pytest.mark.parametrize(
    ("unknown", "topic"), [(BY_COMBINATION, "Copying"), (BY_PHRASING, "Phrasings"), (("contact",), "Plausibility")]
)
def test_data_without_known_parts_have_no_sentence_on_them(
    results: Results, topics: set[str], unknown: tuple[str, ...], topic: str
) -> None:
    study = results.study
    official = study.summary[~study.summary["metric"].isin(unknown)]
    known = {one.topic for one in lessons(replace(results, study=replace(study, summary=official)))}
    assert known == topics - {topic}


def test_what_was_not_measured_is_not_said(results: Results) -> None:
    none = pd.DataFrame()
    fewer = replace(results, steps=none, guidance=none, fusion=none, sensitivity=none)
    topics = {one.topic for one in lessons(fewer)}
    assert not topics & {"Guidance", "Sampling steps", "Fusion weights", "What the metrics miss"}
    assert {"How good the models are", "Copying"} <= topics
