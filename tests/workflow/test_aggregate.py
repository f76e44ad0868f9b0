"""Aggregation: what is gathered, in which order, and what is refused."""

import shutil

import numpy as np
import pandas as pd
import pytest
import workflow_study as made_up
from stages import run as run_stage

from evaluators.results import METRICS
from intermamba import files
from intermamba.errors import DataError, StateError
from intermamba.paths import path
from workflow.results import aggregate

RUN = {"profile": "smoke", "dataset": "interhuman", "variant": "intermamba", "seed": 0}


@pytest.fixture
def study(tmp_path, monkeypatch):
    config = made_up.config()
    monkeypatch.chdir(tmp_path)
    made_up.write(config)
    return config


def table(name):
    return pd.read_csv(path(name, profile="smoke"))


def test_every_row_of_every_run_is_there_once_in_order(study):
    run_stage("aggregate", study)
    metrics = table("metrics")
    runs = len(list(study.rows()))
    assert (
        len(metrics) == (runs * len(METRICS) + 2 * len(aggregate.REFERENCES) * (len(METRICS) - 1)) * 20 - runs * 15
    )  # reference rows have no MModality; it has 5 repeats
    keys = metrics[["dataset", "block", "method", "training_seed", "repeat"]].fillna(-1).apply(tuple, axis=1)
    assert keys.is_monotonic_increasing
    first = metrics[keys == keys[keys.index[metrics["method"] == "intermamba"][0]]]
    assert list(first["metric"]) == list(METRICS)


def test_the_order_of_files_does_not_matter(study):
    sources = aggregate.metric_files(study)
    forwards = aggregate.gather(sources)
    backwards = aggregate.gather(dict(reversed(sources.items())))
    pd.testing.assert_frame_equal(forwards, backwards)


def test_two_runs_of_the_stage_write_the_same_bytes(study):
    names = ("metrics", "summary", "summary_json", "alpha_beta")
    run_stage("aggregate", study)
    first = [files.sha256(path(name, profile="smoke")) for name in names]
    run_stage("aggregate", study)
    assert first == [files.sha256(path(name, profile="smoke")) for name in names]


def test_the_nested_summary_holds_the_means(study):
    run_stage("aggregate", study)
    tree = files.read_json(path("summary_json", profile="smoke"))
    metrics = table("metrics")
    chosen = metrics.query("dataset == 'interx' and method == 'intergen' and metric == 'fid'")["value"]
    assert tree["interx"]["reproduced"]["intergen"]["fid"] == pytest.approx(chosen.mean(), rel=1e-12)
    assert set(tree["interhuman"]["reference"]) == {"real", "retaken", "shuffled", "nearest"}
    assert set(tree["interhuman"]["reproduced"]) == {"intermamba", "intergen", "without_temporal"}


def test_alpha_beta_names_the_weights_and_leaves_out_models_without(study):
    run_stage("aggregate", study)
    curves = table("alpha_beta")
    columns = ["dataset", "method", "training_seed", "step", "block", "module", "branch", "symbol", "value"]
    assert list(curves.columns) == columns
    assert set(curves["method"]) == {"intermamba", "without_temporal"}
    pairs = set(curves[["branch", "symbol"]].itertuples(index=False, name=None))
    assert pairs == {("temporal", "alpha"), ("spatial", "beta")}


def test_a_study_without_any_fusion_weights_gives_a_header(tmp_path, monkeypatch):
    config = made_up.config({"interhuman": {"intergen": (0,)}})
    monkeypatch.chdir(tmp_path)
    made_up.write(config)
    run_stage("aggregate", config)
    assert table("alpha_beta").empty
    assert "symbol" in table("alpha_beta").columns


def test_several_training_seeds_are_kept_apart(tmp_path, monkeypatch):
    config = made_up.config({"interhuman": {"intermamba": (0, 3)}})
    monkeypatch.chdir(tmp_path)
    made_up.write(config)
    run_stage("aggregate", config)
    row = table("summary").query("method == 'intermamba' and metric == 'fid'").iloc[0]
    assert (row["seeds"], row["repeats"]) == (2, 20)
    assert row["seed_std"] == pytest.approx(0.003 / np.sqrt(2))  # the made-up seeds 0 and 3 are 0.003 apart


def test_official_checkpoints_are_rows_of_their_own(tmp_path, monkeypatch):
    config = made_up.config(official=made_up.OFFICIAL)
    monkeypatch.chdir(tmp_path)
    made_up.write(config)
    run_stage("aggregate", config)
    rows = table("summary").query("dataset == 'interhuman' and metric == 'fid' and method == 'intergen'")
    means = rows.set_index("block")["mean"]
    assert means["re-evaluated"] == pytest.approx(1.1 * means["reproduced"])
    tree = files.read_json(path("summary_json", profile="smoke"))["interhuman"]
    assert set(tree["re-evaluated"]) == {"intergen"}
    blocks = table("metrics").query("dataset == 'interhuman'")["block"]
    assert list(dict.fromkeys(blocks)) == ["reference", "reproduced", "re-evaluated"]

    official = path("official_metrics", profile="smoke", dataset="interhuman", variant="intergen")
    shutil.copy(path("run_metrics", **RUN | {"variant": "intergen"}), official)
    with pytest.raises(DataError, match="block must be re-evaluated at this place; found reproduced"):
        run_stage("aggregate", config)
    official.unlink()
    with pytest.raises(StateError, match="intermamba re-evaluate"):
        run_stage("aggregate", config)


@pytest.mark.parametrize("condition", ["origin", "skeleton", "tower", "evaluator", "protocol"])
def test_rows_measured_differently_are_refused_naming_both_files(study, condition):
    other = made_up.metrics("interhuman", "intermamba", 0, **{condition: "another/1"})
    file = path("run_metrics", **RUN)
    files.write_csv(file, other)
    with pytest.raises(DataError) as error:
        run_stage("aggregate", study)
    reference = path("reference_metrics", profile="smoke", dataset="interhuman")
    for part in (condition, "another/1", str(file), str(reference)):
        assert part in str(error.value)
    assert not path("metrics", profile="smoke").exists()


def test_a_file_at_the_wrong_place_is_refused(study):
    shutil.copy(path("run_metrics", **RUN | {"variant": "intergen"}), path("run_metrics", **RUN))
    with pytest.raises(DataError, match="method must be intermamba at this place; found intergen"):
        run_stage("aggregate", study)


def test_a_row_that_stands_twice_is_refused(study):
    frame = made_up.metrics("interhuman", "intermamba", 0)
    files.write_csv(path("run_metrics", **RUN), pd.concat([frame, frame.iloc[[0]]]))
    with pytest.raises(DataError, match="repeat 0 appears twice"):
        run_stage("aggregate", study)


def test_an_unknown_metric_gets_the_nearest_match(study):
    frame = made_up.metrics("interhuman", "intermamba", 0).replace({"metric": {"fid": "fids"}})
    files.write_csv(path("run_metrics", **RUN), frame)
    with pytest.raises(DataError, match=r"unknown metric 'fids'.*Did you mean 'fid'"):
        run_stage("aggregate", study)


def test_an_unknown_branch_is_refused(study):
    log = made_up.adaptive("intermamba").replace({"branch": {"spatial": "spatialy"}})
    files.write_csv(path("adaptive_log", **RUN), log)
    with pytest.raises(DataError, match="branch 'spatialy'"):
        run_stage("aggregate", study)


@pytest.mark.parametrize(
    ("name", "stage"),
    [("run_metrics", "evaluate"), ("reference_metrics", "evaluate-reference"), ("adaptive_log", "train")],
)
def test_a_missing_file_names_its_stage(study, name, stage):
    fields = {"dataset": "interhuman", "profile": "smoke"} if name == "reference_metrics" else RUN
    path(name, **fields).unlink()
    with pytest.raises(StateError, match=f"intermamba {stage}"):
        run_stage("aggregate", study)
