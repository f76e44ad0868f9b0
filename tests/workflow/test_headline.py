"""The main result in words, where rows have the same training seeds, other ones, or one."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import workflow_study as made_up
from stages import run as run_stage

from intermamba import files
from intermamba.config import load
from intermamba.paths import path
from workflow.figures.learning import _looks
from workflow.results import fusion
from workflow.results.headline import Compared, Headline, headline
from workflow.results.reproduced import Study, read

IDEA = "my_idea_100"
LEARNED = {"intermamba": [0.48, 0.49, 0.47], "intergen": [0.41, 0.42, 0.40], IDEA: [0.30, 0.31, 0.29]}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made_up.ROOT / "results/paper/reported", tmp_path / "results/paper/reported")
    monkeypatch.chdir(tmp_path)
    made_up.known(monkeypatch)
    return tmp_path


def results(
    precision: dict[str, list[float]], seeds: dict[str, tuple[int, ...]] | None = None
) -> tuple[Study, pd.DataFrame]:
    """A study on InterHuman whose trainings have these R-precisions, with seeds from 0 on unless others are given."""
    seeds = {name: tuple(range(len(values))) for name, values in precision.items()} | (seeds or {})
    config = made_up.config({"interhuman": seeds})
    made_up.write(config)
    for name, values in precision.items():
        for seed, value in zip(seeds[name], values, strict=True):
            file = path("run_metrics", profile="smoke", dataset="interhuman", variant=name, seed=seed)
            frame = pd.read_csv(file)
            frame.loc[frame["metric"] == "top3", "value"] = value
            files.write_csv(file, frame)
    run_stage("aggregate", config)
    return read(config, made_up.VARIANTS), pd.read_csv(path("metrics", profile="smoke"))


def said(*args, **named) -> Headline:
    found = headline(Compared(*results(*args, **named), "interhuman"))
    assert found is not None
    return found


def test_rows_with_the_same_seeds(tree: Path) -> None:
    found = said(LEARNED)
    assert found.sentences[0].startswith(
        "InterMamba (0.480) has the highest R-precision (top 3). Every row is above chance"
    )
    assert [(bar.leads, bar.above_chance) for bar in found.bars] == [(False, True), (True, True), (False, True)]
    assert all(bar.low < bar.value < bar.high for bar in found.bars)
    assert found.bars_are == "over training seeds"


def test_a_row_does_not_lead_by_its_seeds(tree: Path) -> None:
    """InterMamba's mean is the highest, by seeds that the idea does not have; at common seeds the idea is better."""
    good = [0.40, 0.41, 0.40, 0.60, 0.60]
    study, metrics = results({"intermamba": good, "intergen": [one - 0.1 for one in good], IDEA: [0.45, 0.46, 0.45]})
    found = headline(Compared(study, metrics, "interhuman"))
    assert found is not None
    start = "At the 3 training seeds in common, My idea & 100% of_it (0.453) has the highest R-precision (top 3)."
    assert found.sentences[0].startswith(start)
    assert [bar.label for bar in found.bars if bar.leads] == ["My idea & 100% of_it"]
    assert all(bar.low < bar.value < bar.high for bar in found.bars)
    assert next(iter(Compared(study, metrics, "interhuman").ranking(["intermamba", IDEA], "top3").values)) == IDEA


def test_one_training_of_a_row_leaves_the_others_compared(tree: Path) -> None:
    found = said(LEARNED | {IDEA: [0.6]})
    text = found.sentences[0]
    assert text.startswith("Of the rows trained several times, InterMamba (0.480) has the highest R-precision (top 3).")
    assert "Every row trained several times is above chance" in text
    assert "My idea & 100% of_it (0.600) was trained only once and is not ranked." in text
    assert [bar.above_chance for bar in found.bars] == [True, True, None]
    assert found.bars_are == "over training seeds (over repeats of the evaluation for rows trained once)"


def test_a_row_at_chance_does_not_hide_one_that_is_not(tree: Path) -> None:
    found = said({"intermamba": [0.103, 0.147], "intergen": [0.10, 0.14, 0.12, 0.105, 0.135]})
    assert found.sentences[0].startswith("InterGen (0.120) has the highest R-precision (top 3). InterMamba is not dist")
    assert {bar.label: bar.leads for bar in found.bars} == {"InterGen": True, "InterMamba": False}
    assert said({"intermamba": [0.09, 0.10], "intergen": [0.08, 0.09]}).sentences[0].startswith("No row is distinguish")


def test_seeds_in_common_are_too_few(tree: Path) -> None:
    found = said({name: LEARNED[name] for name in ("intermamba", "intergen")}, seeds={"intergen": (3, 4, 5)})
    assert "Rows share too few training seeds to establish differences between them. Every row is above" in found.text


def test_a_row_trained_once_does_not_lead_where_seeds_in_common_are_too_few(tree: Path) -> None:
    seeds = {"intermamba": (0, 1, 2), "intergen": (3, 4, 5)}
    text = said(LEARNED | {IDEA: [0.6]}, seeds=seeds).sentences[0]
    assert text.startswith("Of the rows trained several times, InterMamba (0.480) has the highest R-precision (top 3).")
    assert "My idea & 100% of_it (0.600) was trained only once and is not ranked." in text


def test_without_compared_rows_there_is_none(tree: Path) -> None:
    assert headline(Compared(*results({"without_temporal": [0.2, 0.3]}), "interhuman")) is None


def test_changes_of_fusion_weights_have_each_method_its_own_interval() -> None:
    """Three trainings on one dataset and one on the other, whose interval is over its repeats."""
    several = [made_up.fused("interhuman").assign(training_seed=seed) for seed in range(3)]
    measured = pd.concat([*several, made_up.fused("interx").assign(training_seed=0)])
    assert fusion.effects(measured)["interval"].notna().all()


def test_every_row_of_the_profiles_has_a_look_of_its_own() -> None:
    for profile in ("smoke", "study-cpu", "study-gpu", "paper"):
        looks = _looks(list(dict.fromkeys(variant for _, variant, _ in load(profile).rows())))
        assert len(set(looks.values())) == len(looks)


def test_rows_of_more_epochs_lead_beside_the_best_of_the_others(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = made_up.VARIANTS[IDEA].model_copy(update={"recipe": {"training": {"epochs": 48}}})
    made_up.known(monkeypatch, longer)
    text = said(LEARNED | {IDEA: [0.60, 0.61, 0.59]}).text
    assert (
        "My idea & 100% of_it (0.600) has the highest R-precision (top 3). Of the rows trained for no more epochs than "
        "usual, InterMamba (0.480) has the highest R-precision (top 3). Every row"
    ) in text
    assert "epochs" not in said(LEARNED).sentences[0]


def test_an_ablation_that_is_better_is_tested(tree: Path) -> None:
    label = made_up.VARIANTS["without_temporal"].label
    beyond = said(LEARNED | {"without_temporal": [0.60, 0.61, 0.59]}).text
    assert f"The ablation {label} has 0.600, beyond all of these." in beyond
    tied = said(LEARNED | {"without_temporal": [0.48, 0.50, 0.47]}).text
    assert f"The ablation {label} has 0.483, not distinguishable from the best of these." in tied
    assert "ablation" not in said(LEARNED).sentences[0]


def test_a_single_training_that_is_worse_needs_no_caveat(tree: Path) -> None:
    assert said(LEARNED | {IDEA: [0.2]}).sentences[0].startswith("InterMamba (0.480) has the highest")
