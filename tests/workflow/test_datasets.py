"""A dataset of another package: one entry and its knobs, and it is in the data, the graph and the results."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import workflow_study as made_up
import yaml
from packages import install
from stages import run as run_stage

from intermamba import config as configuration
from intermamba.config import Config
from intermamba.data import inventory
from intermamba.data.retaken import retaken
from intermamba.data.splits import SplitFile
from intermamba.datasets import DATASETS, datasets
from intermamba.errors import ConfigError
from intermamba.methods import methods
from intermamba.paths import path
from workflow.graph import dvc
from workflow.graph.stages import table

SOURCE = """
from dataclasses import replace
from intermamba.data.synthetic import write_interhuman
from intermamba.datasets import DATASETS


def write(root, train, val, test, seconds, seed, progress, *, again=False):
    write_interhuman(root, train, val, test, seconds, seed + 1, progress, again=again)


def write_once(root, train, val, test, seconds, seed, progress):
    raise AssertionError


DUET = replace(
    DATASETS["interhuman"], name="duet", label="Duet", synthetic="theirs:write", comparison=0, ablations=()
)
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A profile with rows on Duet, in a working directory of its own."""
    install(tmp_path / "installed", monkeypatch, "theirs", SOURCE, intermamba_datasets={"duet": "theirs:DUET"})
    for name in ("results/paper/reported", "ablations", "evaluators"):
        shutil.copytree(made_up.ROOT / name, tmp_path / name)
    document = yaml.safe_load((made_up.ROOT / "params.yaml").read_text())
    base = document["base"]
    base["datasets"]["duet"] = base["datasets"]["interhuman"] | {
        "max_frames": 48, "synthetic": {"train": 6, "val": 3, "test": 3, "seconds": [1.5, 1.6], "seed": 1},
    }  # fmt: skip
    base["protocol"]["duet"] = "interhuman-tiny"
    base["evaluator"]["checkpoint"]["duet"] = None
    base["evaluator"]["training"]["duet"] = base["evaluator"]["training"]["interhuman"]
    base["runs"] = {name: {"intermamba": [0], "intergen": [0]} for name in ("interhuman", "duet")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    made_up.known(monkeypatch)
    return configuration.load("smoke")


def test_its_clips_are_made_and_cut(study: Config) -> None:
    run_stage("fetch", study, "duet")
    run_stage("preprocess", study, "duet")
    split = SplitFile(path("split", profile="smoke", dataset="duet", split="train"))
    assert (split.dataset, len(split)) == ("duet", 6)
    assert split.clip(0).shape[1:] == (2, 192)
    assert "Duet" in [entry.what for entry in inventory.entries(study)]
    test = SplitFile(path("split", profile="smoke", dataset="duet", split="test"))
    assert retaken(test, study.datasets["duet"], Path("again")).ids == test.ids


def test_a_writer_that_cannot_perform_again_is_told_at_once(study: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = datasets()["duet"]
    monkeypatch.setitem(DATASETS, "duet", replace(spec, synthetic="theirs:write_once"))
    monkeypatch.setattr("intermamba.datasets.offered", lambda *_: DATASETS)
    with pytest.raises(ConfigError, match=r"dataset 'duet': its writer theirs:write_once must take .*again=False.*"):
        run_stage("fetch", study, "duet")


@pytest.mark.usefixtures("study")
def test_its_features_are_normalised_as_those_of_its_family(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(method.normalises("duet") == method.normalises("interhuman") for method in methods().values())
    monkeypatch.setitem(DATASETS, "waltz", replace(DATASETS["interx"], name="waltz"))
    assert {name for name, method in methods().items() if not method.normalises("waltz")} == {"t2m", "intermask"}


@pytest.mark.slow
def test_it_is_in_the_graph_the_results_and_the_report(study: Config) -> None:
    commands = {job.command for stage in table(study).values() for job in stage.jobs()}
    for stage in ("fetch", "preprocess", "encode-text", "train-evaluator", "evaluate-reference", "sensitivity"):
        assert f"intermamba {stage} --profile smoke --dataset duet" in commands
    assert "intermamba evaluate --profile smoke --dataset duet --variant intergen --seed 0" in commands
    assert re.search(r"duet-intergen-0:\n +dataset: duet", dvc.compile_document(study))

    made_up.finish(study)
    rows = pd.read_csv(path("table", profile="smoke", table="physical", format="csv"))
    assert set(rows.loc[rows["dataset"] == "duet", "method"]) == {"real", "intermamba", "intergen"}
    assert "Evaluator of Duet" in path("table", profile="smoke", table="sensitivity", format="md").read_text()
    run_stage("report", study)
    assert "Duet" in path("report", profile="smoke").read_text(encoding="utf-8")


def test_without_the_package_its_knobs_are_refused(study: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [one for one in __import__("sys").path if not one.endswith("/installed")])
    with pytest.raises(ConfigError, match=r"unknown dataset 'duet'.*Allowed: interhuman, interx"):
        configuration.load("smoke")
