"""Verdicts on made-up results whose truth is known."""

import numpy as np
import pandas as pd
import pytest
import workflow_study as made_up
from scipy.stats import ttest_rel
from stages import run as run_stage

from intermamba import files
from intermamba.errors import ConfigError
from intermamba.paths import path
from workflow.results import claims
from workflow.results.reproduced import read

ROWS = {"intermamba": (0, 1, 2), "intergen": (0, 1, 2), "without_temporal": (0, 1, 2), "my_idea_100": (0,)}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Three trainings a row, InterMamba clearly above InterGen and `without_temporal` no better than chance."""
    monkeypatch.chdir(tmp_path)
    files_of_paper = made_up.ROOT / "results" / "paper"
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "paper").symlink_to(files_of_paper)
    made_up.known(monkeypatch)
    config = made_up.config({"interhuman": ROWS})
    made_up.write(config)
    run_stage("aggregate", config)
    return config


def metrics(config, scatter=0.002):
    """Every training's rows, scattered over trainings by `scatter`."""
    frames = [made_up.metrics("interhuman", name) for name in ("real", "shuffled")]
    for name, seeds in config.runs["interhuman"].items():
        for seed in seeds:
            shift = np.random.default_rng([seed, *map(ord, name)]).normal() * scatter
            one = made_up.metrics("interhuman", name, seed)
            frames.append(one.assign(value=one["value"] + shift))
    return pd.concat(frames, ignore_index=True)


def weights(fall=-0.3):
    return pd.DataFrame(
        [
            {"dataset": "interhuman", "method": "intermamba", "training_seed": seed, "step": step, "block": block,
             "module": "self", "branch": branch, "value": 1.0 + (step / 10) * change * (1 + 0.1 * seed)}
            for seed in range(3)
            for step in (0, 5, 10)
            for block in range(2)
            for branch, change in (("spatial", fall), ("temporal", 0.01))
        ]
    )  # fmt: skip


def quality(name="a", first="intermamba", second="intergen", metric="top1", expected="higher"):
    return claims.Quality(
        id=name, topic="t", kind="quality", claim="it is so", where="Table 1", dataset="interhuman", expected=expected,
        metric=metric, methods=(first, second),
    )  # fmt: skip


def decide(config, *which, **options):
    study = read(config, made_up.VARIANTS)
    return claims.decide(which, study, metrics(config, **options), weights())


def test_a_clear_difference_holds_and_its_opposite_does_not(study):
    holds, fails = decide(study, quality(), quality("b", expected="lower"))
    assert (holds.verdict, fails.verdict) == ("holds", "does not hold")
    assert holds.contrast.effect == pytest.approx(0.03, abs=0.01)
    assert holds.contrast.low > 0
    assert holds.p_corrected >= holds.contrast.p


def test_two_rows_alone_are_a_paired_t_test(study):
    by_seed = metrics(study).query("metric == 'top1'").groupby(["method", "training_seed"])["value"].mean().unstack(0)
    (found,) = decide(study, quality())
    assert found.p_alone == pytest.approx(ttest_rel(by_seed["intermamba"], by_seed["intergen"]).pvalue)


def test_fid_is_compared_with_chance_as_a_ratio(study):
    (found,) = decide(study, quality(second="shuffled", metric="fid"))
    assert found.contrast.effect == pytest.approx(found.values[0] / found.values[1], rel=0.01)


def test_scatter_over_trainings_hides_it(study):
    (found,) = decide(study, quality(), scatter=0.1)
    assert found.verdict == "inconclusive"


PRINTED = claims.Printed(table=1, metric="top1", rows=("InterMamba (Ours)", "InterGen"))
"""The paper's 0.104 for InterMamba against InterGen in top 1; made-up rows differ by 0.03."""


def test_an_effect_smaller_than_the_papers_is_decided(study):
    claim = quality().model_copy(update={"paper": PRINTED})
    (clear,), (small,), (wide,) = (decide(study, claim, scatter=scatter) for scatter in (0.002, 0.02, 0.2))
    assert [one.verdict for one in (clear, small, wide)] == ["holds", "smaller", "inconclusive"]
    assert small.p_smaller < 0.05 < min(small.p_corrected, wide.p_smaller)
    assert small.note == f"smaller than the paper's effect (p {small.p_smaller:.3f})."


def test_the_two_questions_about_claims_are_corrected_apart(study):
    """Twenty more claims without a number of the paper's leave what is known of the paper's effect alone."""
    claim = quality().model_copy(update={"paper": PRINTED})
    (alone,) = decide(study, claim, scatter=0.02)
    among = decide(study, claim, *(quality(f"b{index}") for index in range(20)), scatter=0.02)[0]
    assert among.p_smaller == alone.p_smaller
    assert among.p_corrected > alone.p_corrected


def test_fid_is_a_ratio(study):
    (found,) = decide(study, quality(metric="fid"))
    assert found.scale == "ratio"
    assert found.contrast.effect == pytest.approx(11.2 / 10.4, rel=0.01)


def test_one_training_tells_nothing(study):
    (found,) = decide(study, quality(second="my_idea_100"))
    assert found.verdict == "inconclusive"
    assert "trained once" in found.note


def test_rows_at_chance_tell_nothing_of_each_other(study):
    both = quality(first="without_temporal", second="without_temporal", metric="fid")
    (found,) = decide(study, both)
    assert found.verdict == "inconclusive"
    assert "chance" in found.note


def test_failing_to_converge_is_being_at_chance(study):
    learned, chance = decide(
        study,
        quality("a", "intermamba", "shuffled", "top3", "no higher"),
        quality("b", "without_temporal", "shuffled", "top3", "no higher"),
    )
    assert learned.verdict == "does not hold"
    assert chance.verdict in ("inconclusive", "holds")


def test_costs(study):
    settings = {"topic": "t", "claim": "less", "where": "Table 3", "dataset": "interhuman", "expected": "lower"}
    names = ("intermamba", "intergen")
    printed = claims.Printed(table=3, metric="parameters_millions", rows=("Ours", "InterGen"))
    time, count = decide(
        study,
        claims.Cost(id="a", kind="time", methods=names, **settings),
        claims.Cost(id="b", kind="parameters", methods=names, paper=printed, **settings),
    )
    assert time.scale == "ratio"
    assert time.values == pytest.approx((0.3 * 1.1, 0.2 * 1.1))
    assert "not the paper's" in time.note
    assert (time.verdict, time.p_corrected) == ("inconclusive", None)
    assert count.contrast.effect == 1.0  # the made-up counts are equal
    assert count.verdict == "does not hold"
    assert count.p_corrected is None


def test_fusion_weights(study):
    settings = {"topic": "t", "kind": "weights", "claim": "x", "where": "Figure 8", "dataset": "interhuman"}
    falls, steady = decide(
        study,
        claims.Weights(id="a", branch="spatial", methods=("intermamba",), expected="lower", **settings),
        claims.Weights(id="b", branch="temporal", methods=("intermamba",), expected="steadier", **settings),
    )
    assert falls.verdict == "holds"
    assert falls.values == pytest.approx((0.67, 1.0))
    assert steady.verdict == "holds"


def test_what_was_not_run_is_said_and_what_does_not_exist_refused(study):
    (found,) = decide(study, quality(second="intermamba_light"))
    assert found.verdict == "not run"
    assert "InterMamba (light)" in found.note
    with pytest.raises(ConfigError, match="intermambo"):
        decide(study, quality(second="intermambo"))


def test_the_list_of_claims_is_sound():
    found = claims.load(made_up.ROOT / "results" / "paper" / "reported" / "claims.yaml")
    assert len({one.id for one in found}) == len(found) > 20
    for one in found:
        if one.paper:
            first, second = one.paper.numbers()
            if one.kind == "quality" and one.expected in ("higher", "lower"):
                assert (first > second) == (one.expected == "higher"), one.id  # the paper's numbers say what is claimed


def test_a_broken_claim_is_named(tmp_path):
    file = tmp_path / "claims.yaml"
    file.write_text("- {id: a, kind: quality, claim: x}\n")
    with pytest.raises(ConfigError, match=r"claims\.yaml: 0\.quality\.topic"):
        claims.load(file)


def test_the_stage_writes_a_row_a_claim_and_again_to_the_byte(study):
    run_stage("claims", study)
    file = path("claims", profile="smoke")
    first = files.sha256(file)
    frame = pd.read_csv(file)
    assert list(frame.columns) == list(claims.COLUMNS)
    assert set(frame["verdict"]) <= {"holds", "does not hold", "smaller", "inconclusive", "not run"}
    run_stage("claims", study)
    assert files.sha256(file) == first
