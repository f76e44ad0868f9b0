"""Training and evaluation by several processes on this machine: the same as by one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from micro import MICRO
from places import ROOT
from safetensors.numpy import load_file
from towers import UNTRAINED

from intermamba import config
from intermamba.config import merged
from intermamba.errors import ConfigError
from intermamba.paths import path
from workflow.cli.commands import app

pytestmark = pytest.mark.timeout(1200)  # each process imports everything anew, perhaps beside other work

LOSSES, WEIGHTS = 1e-5, 1e-4
"""How far steps and weights may differ from those of a single process."""
LEARNING = {"datasets": {"interhuman": {"synthetic": {"train": 40}}}, "training": {"epochs": 5, "batch": 8}}
"""Fifty steps: 40 clips and their mirrored copies, five times."""
WHERE = {"profile": "smoke", "dataset": "interhuman", "variant": "intermamba", "seed": 0}
ROW = ("--dataset", "interhuman", "--variant", "intermamba")
ALONE = {"devices": 1, "accumulate": 1, "recompute": False, "loggers": [], "samples_every_epochs": 0}
OUTPUTS = ("weights", "training_log", "adaptive_log")


@dataclass(frozen=True)
class Trainer:
    """A folder with all that trainings on InterHuman need."""

    folder: Path

    def run(self, *words: str) -> None:
        """A command that starts no other process, in this one, which has imported everything."""
        with chdir(self.folder):
            app(list(words), standalone_mode=False)

    def run_apart(self, *words: str) -> None:
        """A command as a user gives it."""
        process = self.start(*words)
        said, _ = process.communicate()
        assert process.returncode == 0, said

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "workflow.cli", *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def change(self, **knobs: Any) -> None:
        document = yaml.safe_load((self.folder / "params.yaml").read_text())
        document["profiles"]["smoke"] = merged(document["profiles"]["smoke"], knobs)
        (self.folder / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def output(self, name: str) -> Path:
        return self.folder / path(name, **WHERE)

    def train(self, **runtime: Any) -> dict[str, bytes]:
        """The outputs of a training with these knobs of ``runtime``, which are taken away."""
        self.change(runtime=ALONE | runtime)
        (self.run_apart if "devices" in runtime else self.run)("train", *ROW)
        return self.take()

    def take(self) -> dict[str, bytes]:
        found = {name: self.output(name).read_bytes() for name in OUTPUTS}
        shutil.rmtree(self.output("weights").parent)
        return found


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    made = Trainer(tmp_path_factory.mktemp("study"))
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    smoke = merged(document["profiles"]["smoke"], MICRO | {"text": MICRO["text"] | UNTRAINED})
    document["profiles"]["smoke"] = merged(smoke, LEARNING)
    document["base"]["runs"] = {"interhuman": {"intermamba": [0]}}
    (made.folder / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    for stage in ("fetch", "preprocess", "encode-text"):
        made.run(stage, "--dataset", "interhuman")
    return made


@pytest.fixture(scope="module")
def alone(trainer: Trainer) -> dict[str, bytes]:
    """What one process makes."""
    return trainer.train()


@pytest.fixture(scope="module")
def by_two(trainer: Trainer) -> dict[str, bytes]:
    """What two processes make."""
    return trainer.train(devices=2)


def read(folder: Path, outputs: dict[str, bytes]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    for name, content in outputs.items():
        (folder / name).write_bytes(content)
    return pd.read_csv(folder / "training_log"), load_file(folder / "weights")


@pytest.mark.slow
@pytest.mark.parametrize(
    "runtime",
    [{"devices": 2}, {"devices": 4}, {"accumulate": 4}, {"devices": 2, "accumulate": 2}, {"recompute": True}],
    ids=str,
)
def test_steps_do_not_depend_on_who_takes_them(
    request: pytest.FixtureRequest,
    trainer: Trainer,
    alone: dict[str, bytes],
    tmp_path: Path,
    runtime: dict[str, Any],
) -> None:
    log, weights = read(tmp_path, alone)
    shared = request.getfixturevalue("by_two") if runtime == {"devices": 2} else trainer.train(**runtime)
    assert ("recompute" in runtime) == (shared == alone)
    shared_log, shared_weights = read(tmp_path, shared)
    assert log["step"].max() == 50
    assert set(log["split"]) == {"train", "val"}
    assert list(shared_log["step"]) == list(log["step"])
    for term in log.columns[3:]:
        np.testing.assert_allclose(shared_log[term], log[term], rtol=LOSSES, atol=LOSSES, err_msg=term)
    for name, value in weights.items():
        np.testing.assert_allclose(shared_weights[name], value, rtol=WEIGHTS, atol=WEIGHTS, err_msg=name)


@pytest.mark.slow
def test_a_lost_process_ends_the_others_and_the_training_goes_on(trainer: Trainer, by_two: dict[str, bytes]) -> None:
    trainer.change(runtime=ALONE | {"devices": 2})
    for victim in ("started", "first"):
        first, second = _two(trainer)
        os.kill(first.pid if victim == "first" else second, signal.SIGKILL)
        said, _ = first.communicate(timeout=120)
        assert first.returncode != 0, said
        deadline = time.monotonic() + 120
        while _alive(second) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _alive(second)
        assert not trainer.output("weights").exists()
    trainer.run_apart("train", *ROW)
    record = json.loads(trainer.output("weights").with_name("weights.safetensors.prov.json").read_text())
    assert record["notes"]["resumed"]
    assert record["config"]["runtime"]["devices"] == 2
    assert trainer.take() == by_two


def _two(trainer: Trainer) -> "tuple[subprocess.Popen[str], int]":
    """A training by two processes that has written a checkpoint since it was started: the first, and the other's id."""
    resume = trainer.output("weights").parent / "resume"
    before = {file: file.stat().st_mtime_ns for file in resume.glob("*.ckpt")}
    first = trainer.start("train", *ROW)
    while first.poll() is None and before == {file: file.stat().st_mtime_ns for file in resume.glob("*.ckpt")}:
        time.sleep(0.01)
    assert first.poll() is None, first.communicate()[0]
    children = subprocess.run(["pgrep", "-P", str(first.pid)], capture_output=True, text=True).stdout.split()
    (second,) = map(int, children)
    return first, second


def _alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_a_terminated_training_saves_its_step(trainer: Trainer, by_two: dict[str, bytes]) -> None:
    trainer.change(runtime=ALONE | {"devices": 2})
    first, _ = _two(trainer)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate(timeout=300)
    assert first.returncode == 130, said
    assert "continue from step" in said
    trainer.run_apart("train", *ROW)
    assert trainer.take() == by_two


@pytest.mark.slow
def test_watching_changes_nothing(trainer: Trainer, alone: dict[str, bytes]) -> None:
    trainer.change(runtime=ALONE | {"loggers": ["tensorboard"], "samples_every_epochs": 2})
    trainer.run("train", *ROW)
    watch = trainer.output("weights").parent / "watch"
    assert sorted(one.name for one in (watch / "samples").iterdir()) == ["epoch00002.png", "epoch00004.png"]
    assert list((watch / "tensorboard").glob("events*"))
    assert trainer.take() == alone


@pytest.mark.slow
def test_an_evaluation_in_shares_gives_the_same_bytes(trainer: Trainer, alone: dict[str, bytes]) -> None:
    trainer.change(runtime=ALONE | {"sampling_batch": 5})
    for stage in ("train-evaluator", "index-training"):
        trainer.run(stage, "--dataset", "interhuman")
    metrics = trainer.output("run_metrics")
    metrics.parent.mkdir()
    trainer.output("weights").write_bytes(alone["weights"])
    found = []
    for devices, run in ((1, trainer.run), (2, trainer.run_apart)):
        trainer.change(runtime={"devices": devices})
        run("evaluate", *ROW)
        found.append(metrics.read_bytes())
        metrics.unlink()
    assert found[0] == found[1]


def test_a_step_that_cannot_be_divided_is_refused() -> None:
    smoke = config.load(path=ROOT / "params.yaml")
    runtime = smoke.runtime.model_copy(update={"devices": 3, "nodes": 2})
    with pytest.raises(ConfigError, match=r"training\.batch 16 is not a multiple of 6"):
        smoke.model_copy(update={"runtime": runtime}).clips_a_pass()
