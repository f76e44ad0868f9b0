"""Loggers get the rows of the history, as their own tools read them back; a missing or broken one is a message."""

import time
from pathlib import Path
from typing import Any

import pytest

from intermamba import config
from intermamba.config import Config
from intermamba.errors import ConfigError, StateError
from intermamba.job import Job
from intermamba.training import loggers
from intermamba.training.loggers import Loggers
from workflow.graph.stages import job

ROWS = [
    {"step": 10, "epoch": 0, "split": "train", "simple": 2.0, "total": 3.0},
    {"step": 10, "epoch": 0, "split": "val", "simple": 1.5, "total": 2.5},
    {"step": 20, "epoch": 1, "split": "train", "simple": 1.0, "total": 2.0},
]


def asked(*names: str) -> tuple[Config, Job]:
    smoke = config.load("smoke")
    smoke = smoke.model_copy(update={"runtime": smoke.runtime.model_copy(update={"loggers": names})})
    return smoke, job(smoke, "train", dataset="interhuman", variant="intermamba", seed=0)


def write(*names: str) -> Path:
    settings, row = asked(*names)
    made = Loggers(settings, row)
    for one in ROWS:
        made.log(one)
    made.close("success")
    return loggers.folder(row)


@pytest.mark.usefixtures("study")
def test_none_by_default() -> None:
    assert not write().exists()


@pytest.mark.usefixtures("study")
def test_tensorboard() -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    found = accumulator(str(write("tensorboard") / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in found.Scalars("train/total")] == [(10, 3.0), (20, 2.0)]
    assert [(one.step, one.value) for one in found.Scalars("val/simple")] == [(10, 1.5)]


@pytest.mark.slow
@pytest.mark.usefixtures("study")
def test_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    place = write("mlflow")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place.absolute() / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "intermamba-smoke"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, "train/total")] == [
        (10, 3.0),
        (20, 2.0),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("study")
def test_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    (run,) = (write("wandb") / "wandb").glob("offline-run-*-interhuman-intermamba-0")
    (log,) = run.glob("*.wandb")
    while b"val/simple" not in log.read_bytes():  # its process writes; the test's time limit ends this
        time.sleep(0.1)


@pytest.mark.usefixtures("study")
def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"'wandb' needs its package.*pip install -e '\.\[wandb\]'"):
        Loggers(*asked("wandb"))


class Broken:
    def log_hyperparams(self, knobs: Any) -> None:
        pass

    def log_metrics(self, *_: Any) -> None:
        raise ConnectionError("the server is gone")


@pytest.mark.usefixtures("study")
def test_a_logger_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("api_key not configured")

    monkeypatch.setattr(loggers, "MAKERS", {"tensorboard": refuse})
    with pytest.raises(StateError, match=r"'tensorboard' does not start \(api_key not configured\)\. Correct"):
        Loggers(*asked("tensorboard"))


@pytest.mark.usefixtures("study")
def test_a_lost_server_ends_no_training(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(loggers, "MAKERS", {"tensorboard": lambda *_: Broken()})
    write("tensorboard")
    assert capfd.readouterr().err.count("the server is gone") == 1


@pytest.mark.usefixtures("study")
def test_only_the_first_of_several_processes_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not write("tensorboard").exists()
