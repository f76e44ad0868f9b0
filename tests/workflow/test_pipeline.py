"""The whole graph at the smallest sizes, through the commands that Snakemake and DVC run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from micro import enter, repeatable, run_all, shrink, write_tree
from once import once

from evaluators.protocol import load as load_protocol
from intermamba import config
from intermamba.errors import DataError
from intermamba.job import values
from intermamba.paths import path, record_of
from workflow.cli.commands import app
from workflow.graph.stages import table
from workflow.publish import run_time


@pytest.mark.slow
def test_records_have_what_the_graph_declares(complete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of a training whose knobs differ from the profile's."""
    enter(complete, monkeypatch)
    for job in (job for stage in table(config.load()).values() for job in stage.jobs()):
        record = json.loads(job.record.read_text())
        assert set(record["inputs"]) == set(map(str, job.reads)), job.command
        assert set(record["outputs"]) == set(map(str, job.outputs.values())), job.command
        assert record["config"] == values(config.load(), job.knobs), job.command
    weights = path("weights", profile="smoke", dataset="interhuman", variant="intergen", seed=0)
    assert json.loads(record_of(weights).read_text())["notes"]["learning_rate"] == 1.5e-3


@pytest.mark.slow
def test_the_page_on_time_has_every_stage(complete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(complete, monkeypatch)
    runs = {name: len(list(stage.jobs())) for name, stage in table(config.load()).items() if name != "report"}
    found = run_time.measured(config.load()).set_index("stage")
    assert found["runs"].to_dict() == {name: count for name, count in runs.items() if count}
    assert (found["longest"] <= found["seconds"] + 0.1).all()


@pytest.mark.slow
@pytest.mark.timeout(900)  # two whole runs, perhaps beside other work
def test_the_graph_repeats_byte_for_byte(study: Path, complete: Path) -> None:
    """Two runs from nothing give the same bytes, and results that say what they were made on."""
    shrink(study)
    run_all()
    stages = table(config.load())
    names = repeatable(stages)
    assert [name for name in names if name.read_bytes() != (complete / name).read_bytes()] == []

    metrics = pd.read_csv(path("metrics", profile="smoke"))
    assert metrics.groupby("block")["method"].unique().map(set).to_dict() == {
        "reference": {"real", "retaken", "shuffled", "nearest"},
        "reproduced": {"intermamba", "intergen"},
        "re-evaluated": {"intergen", "in2in"},
    }
    repeats = metrics.groupby(["dataset", "block", "method", "metric"])["repeat"].nunique()
    protocol = load_protocol(config.load().protocol["interhuman"])
    assert repeats.drop("multimodality", level="metric").eq(protocol.repeats).all()
    assert repeats.xs("multimodality", level="metric").eq(protocol.multimodality.repeats).all()
    assert set(metrics["origin"]) == {"synthetic"}
    assert metrics["tower"].str.startswith("untrained").all()
    assert np.isfinite(metrics["value"]).all()
    record = json.loads(Path("results/smoke/metrics.csv.prov.json").read_text())
    assert record["inputs"]["results/smoke/interhuman/intermamba/seed0/metrics.csv"]
    adopted = json.loads(Path("results/smoke/interhuman/in2in/official/weights.safetensors.prov.json").read_text())
    assert "official/in2in/interhuman_mean.npy" in adopted["inputs"]
    assert (
        "**Official checkpoints, evaluated in this run"
        in path("table", profile="smoke", table="table1", format="md").read_text()
    )
    app(["validate"], standalone_mode=False)

    weights = path("weights", profile="smoke", dataset="interx", variant="intermamba", seed=0)
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"weights\.safetensors: changed after `intermamba train"):
        app(["validate"], standalone_mode=False)


TRAINED = {"profile": "smoke", "dataset": "interhuman", "variant": "intermamba", "seed": 0}
OUTPUTS = [path(name, **TRAINED) for name in ("weights", "training_log", "adaptive_log")]
TRAIN = ["train", "--dataset", "interhuman", "--variant", "intermamba"]


def snakemake(*targets: Path) -> "subprocess.Popen[str]":
    """The pipeline up to some files, started as a user starts it, with all its jobs in one process group."""
    words = [sys.executable, "-m", "snakemake", "--cores", "2", *map(str, targets)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def done(process: "subprocess.Popen[str]") -> None:
    said, _ = process.communicate()
    assert process.returncode == 0, said


def prepare(tree: Path) -> None:
    """A study in which Snakemake has run all stages before a training."""
    write_tree(tree)
    shrink(tree)
    with pytest.MonkeyPatch.context() as patch:
        enter(tree, patch)
        training = table(config.load())["train"].job(dataset="interhuman", variant="intermamba", seed="0")
        done(snakemake(*(file for file in training.reads if not file.exists())))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that tests copy."""
    return once(tmp_path_factory, "prepared", prepare)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> list[bytes]:
    """What the training gives when nobody disturbs it."""

    def train(tree: Path) -> None:
        shutil.copytree(prepared, tree, dirs_exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            enter(tree, patch)
            app(TRAIN, standalone_mode=False)

    tree = once(tmp_path_factory, "undisturbed", train)
    return [(tree / output).read_bytes() for output in OUTPUTS]


@pytest.fixture
def tree(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared study as the current directory."""
    made = shutil.copytree(prepared, tmp_path / "study")
    enter(made, monkeypatch)
    return made


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(tree: Path, undisturbed: list[bytes]) -> None:
    # Killed as soon as the first checkpoint of several is there.
    process = subprocess.Popen([sys.executable, "-m", "workflow.cli", *TRAIN])
    resume = OUTPUTS[0].parent / "resume"
    while not list(resume.glob("*.ckpt")) and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not OUTPUTS[0].exists()
    assert list(resume.glob("*.ckpt"))

    app(TRAIN, standalone_mode=False)
    assert [output.read_bytes() for output in OUTPUTS] == undisturbed
    record = json.loads(OUTPUTS[0].with_name("weights.safetensors.prov.json").read_text())
    assert record["notes"]["resumed"]
    assert not resume.exists()


def stages_of(process: "subprocess.Popen[str]") -> list[int]:
    """Process ids of the stages that a running Snakemake has started."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "-g", str(process.pid)], capture_output=True, text=True)
    rows = (line.split(maxsplit=1) for line in found.stdout.splitlines())
    return [int(number) for number, command in rows if "/intermamba " in command]


@pytest.mark.slow
@pytest.mark.parametrize("victims", ["snakemake", "stages", "both"])
def test_a_killed_pipeline_starts_again_as_if_nothing_had_happened(
    tree: Path, undisturbed: list[bytes], victims: str
) -> None:
    if victims == "snakemake":  # from nothing there is enough to do for a warm process, whose stage outlives Snakemake
        for folder in ("data", ".snakemake"):
            shutil.rmtree(folder)
    process = snakemake(OUTPUTS[0])
    resume = OUTPUTS[0].parent / "resume"
    while process.poll() is None and not list(resume.glob("*.ckpt")):
        time.sleep(0.02)
    assert process.poll() is None, process.stdout.read() if process.stdout else ""
    if victims == "both":
        os.killpg(process.pid, signal.SIGKILL)
    for victim in {"snakemake": [process.pid], "stages": stages_of(process), "both": []}[victims]:
        os.kill(victim, signal.SIGKILL)
    process.communicate()
    done(snakemake(OUTPUTS[0]))
    assert [output.read_bytes() for output in OUTPUTS] == undisturbed
