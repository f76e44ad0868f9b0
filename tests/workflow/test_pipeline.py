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
from micro import repeatable, shrink

from evaluators.protocol import load as load_protocol
from intermamba import config
from intermamba.errors import DataError
from intermamba.job import values
from intermamba.paths import path
from workflow.cli.commands import app
from workflow.graph.stages import table


@pytest.fixture
def micro(study: Path) -> Path:
    """A study that runs in seconds, as its smoke profile."""
    shrink(study)
    return study


def run_all() -> None:
    """Every job of the graph in order, each by its own command line, in this process: imports are paid once."""
    for stage in table(config.load()).values():
        for job in stage.jobs():
            app(job.command.split()[1:], standalone_mode=False)


def deterministic(stages: dict) -> dict[str, bytes]:
    """Bytes of every artefact that must not differ between runs."""
    return {str(name): name.read_bytes() for name in repeatable(stages)}


@pytest.mark.slow
@pytest.mark.timeout(900)  # two whole runs, perhaps beside other work
def test_the_graph_repeats_byte_for_byte(micro: Path) -> None:
    """Two runs from nothing give the same bytes, and results that say what they were made on."""
    stages = table(config.load())
    run_all()
    first = deterministic(stages)

    metrics = pd.read_csv(path("metrics", profile="smoke"))
    assert metrics.groupby("block")["method"].unique().map(set).to_dict() == {
        "reference": {"real", "shuffled", "nearest"},
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
    for job in (job for stage in stages.values() for job in stage.jobs()):
        record = json.loads(job.record.read_text())
        assert set(record["inputs"]) == set(map(str, job.reads)), job.command
        assert set(record["outputs"]) == set(map(str, job.outputs.values())), job.command
        assert record["config"] == values(config.load(), job.knobs), job.command
    app(["validate"], standalone_mode=False)

    for folder in ("data", "results/smoke"):
        shutil.rmtree(folder)
    run_all()
    assert deterministic(stages) == first

    weights = path("weights", profile="smoke", dataset="interx", variant="intermamba", seed=0)
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"weights\.safetensors: changed after `intermamba train"):
        app(["validate"], standalone_mode=False)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(micro: Path) -> None:
    where = {"profile": "smoke", "dataset": "interhuman", "variant": "intermamba", "seed": 0}
    outputs = [path(name, **where) for name in ("weights", "training_log", "adaptive_log")]
    words = ["train", "--dataset", "interhuman", "--variant", "intermamba"]
    for stage in ("fetch", "preprocess", "encode-text"):
        app([stage, "--dataset", "interhuman"], standalone_mode=False)
    app(words, standalone_mode=False)
    expected = [output.read_bytes() for output in outputs]
    for output in outputs:
        output.unlink()

    # Killed as soon as the first checkpoint of several is there.
    process = subprocess.Popen([sys.executable, "-m", "workflow.cli", *words])
    resume = outputs[0].parent / "resume"
    while not list(resume.glob("*.ckpt")) and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not outputs[0].exists()
    assert list(resume.glob("*.ckpt"))

    app(words, standalone_mode=False)
    assert [output.read_bytes() for output in outputs] == expected
    record = json.loads(outputs[0].with_name("weights.safetensors.prov.json").read_text())
    assert record["notes"]["resumed"]
    assert not resume.exists()


TRAINED = {"profile": "smoke", "dataset": "interhuman", "variant": "intermamba", "seed": 0}


def snakemake() -> "subprocess.Popen[str]":
    """The pipeline up to one training, started as a user starts it, with all its jobs in one process group."""
    words = [sys.executable, "-m", "snakemake", "--cores", "2", str(path("weights", **TRAINED))]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def stages_of(process: "subprocess.Popen[str]") -> list[int]:
    """Process ids of the stages that a running Snakemake has started."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "-g", str(process.pid)], capture_output=True, text=True)
    rows = (line.split(maxsplit=1) for line in found.stdout.splitlines())
    return [int(number) for number, command in rows if "/intermamba " in command]


@pytest.mark.slow
@pytest.mark.parametrize("victims", ["snakemake", "stages", "both"])
def test_a_killed_pipeline_starts_again_as_if_nothing_had_happened(micro: Path, victims: str) -> None:
    outputs = [path(name, **TRAINED) for name in ("weights", "training_log", "adaptive_log")]
    process = snakemake()
    resume = outputs[0].parent / "resume"
    while process.poll() is None and not list(resume.glob("*.ckpt")):
        time.sleep(0.02)
    assert process.poll() is None, process.stdout.read() if process.stdout else ""
    if victims == "both":
        os.killpg(process.pid, signal.SIGKILL)
    for victim in {"snakemake": [process.pid], "stages": stages_of(process), "both": []}[victims]:
        os.kill(victim, signal.SIGKILL)
    process.communicate()
    again = snakemake()
    said, _ = again.communicate()
    assert again.returncode == 0, said
    resumed = [output.read_bytes() for output in outputs]
    for output in outputs:
        output.unlink()
    app(["train", "--dataset", "interhuman", "--variant", "intermamba"], standalone_mode=False)
    assert [output.read_bytes() for output in outputs] == resumed
