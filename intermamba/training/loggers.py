"""Loggers of other tools (``runtime.loggers``), which receive the rows of the CSV history as they come."""

import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from intermamba import processes
from intermamba.config import Config, LoggerName
from intermamba.errors import ConfigError, StateError, brief
from intermamba.job import Job, values

FOLDER = "watch"
"""Folder beside the weights for what only serves to watch a training."""


class Loggers:
    """The loggers of one training; none but in the first of its processes.

    A logger that fails while it runs is dropped with a message, since a lost server must not end a training.

    Raises:
        ConfigError: a logger's package is not installed.
        StateError: a logger does not start.
    """

    def __init__(self, config: Config, job: Job) -> None:
        self._running: dict[str, Logger] = {}
        for name in config.runtime.loggers:
            if find_spec(name) is None:
                raise ConfigError(
                    f"runtime.loggers: {name!r} needs its package, which is not installed. Install it with "
                    f"`pip install -e '.[{name}]'` in this project's folder, or take it out of the list."
                )
        if not processes.first():
            return
        knobs = values(config, job.knobs)
        for name in config.runtime.loggers:
            try:
                logger = MAKERS[name](config.profile, job)
                logger.log_hyperparams(knobs)
            except Exception as error:
                raise StateError(
                    f"runtime.loggers: {name!r} does not start ({brief(error)}). Correct its settings, or take it out "
                    "of the list."
                ) from error
            self._running[name] = logger

    def log(self, row: Mapping[str, Any]) -> None:
        """A row of the history: ``step``, ``epoch``, ``split``, and the terms of the loss."""
        terms = {
            f"{row['split']}/{name}": value for name, value in row.items() if name not in ("step", "epoch", "split")
        }
        self._each(lambda logger: logger.log_metrics(terms | {"epoch": row["epoch"]}, row["step"]))

    def close(self, status: str) -> None:
        """``status`` is Lightning's: ``success`` or ``failed``."""

        def finish(logger: Logger) -> None:
            logger.finalize(status)
            if isinstance(logger, WandbLogger):  # otherwise it waits for the end of the process
                logger.experiment.finish(exit_code=int(status != "success"))

        self._each(finish)

    def _each(self, act: Callable[[Logger], None]) -> None:
        for name, logger in list(self._running.items()):
            try:
                act(logger)
            except Exception as error:
                del self._running[name]
                sys.stderr.write(f"warning: the logger {name} failed and gets no more rows: {brief(error)}\n")


def folder(job: Job) -> Path:
    """Folder of what only serves to watch a training."""
    return job["weights"].parent / FOLDER


def _name(job: Job) -> str:
    return "-".join(job.item.values())


def _tensorboard(profile: str, job: Job) -> Logger:  # noqa: ARG001
    return TensorBoardLogger(folder(job), name="", version="tensorboard")


def _wandb(profile: str, job: Job) -> Logger:
    place = folder(job)
    place.mkdir(parents=True, exist_ok=True)
    # A resumed training continues its run.
    logger = WandbLogger(
        project=f"intermamba-{profile}", name=_name(job), id=_name(job), save_dir=place, resume="allow"
    )
    logger.experiment  # noqa: B018  (starts it)
    return logger


def _mlflow(profile: str, job: Job) -> Logger:
    place = folder(job).absolute()
    place.mkdir(parents=True, exist_ok=True)
    # MLflow no longer writes folders of its own format without a server.
    own = f"sqlite:///{place / 'mlflow.db'}"
    address = os.environ.get("MLFLOW_TRACKING_URI") or own
    logger = MLFlowLogger(
        f"intermamba-{profile}",
        run_name=_name(job),
        tracking_uri=address,
        artifact_location=place.as_uri() if address == own else None,
    )
    logger.experiment  # noqa: B018
    return logger


MAKERS: Mapping[LoggerName, Callable[[str, Job], Logger]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
