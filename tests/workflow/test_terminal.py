"""What a run of the pipeline prints."""

import io
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from intermamba.paths import path
from workflow.graph.terminal import LINES, Forecast, Terminal, take_over


class Screen(io.StringIO):
    """A stream that may say that it is a terminal."""

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def pipeline(screen: Screen, **settings: bool) -> logging.Logger:
    """A logger as Snakemake sets it up, taken over."""
    logger = logging.Logger("pipeline")
    handler = logging.StreamHandler(screen)
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    asked = dict.fromkeys(("dryrun", "verbose", "printshellcmds", "quiet"), False) | settings
    take_over(logger, SimpleNamespace(**asked), "smoke")
    return logger


def begin(logger: logging.Logger, number: int, rule: str, message: str | None) -> None:
    logger.info("", extra={"event": "job_info", "jobid": number, "rule_name": rule, "rule_msg": message})


def finish(logger: logging.Logger, number: int) -> None:
    logger.info("", extra={"event": "job_finished", "job_id": number})


def test_time_left_is_known_when_half_of_the_jobs_are_of_known_rules() -> None:
    forecast = Forecast({"fetch": 1, "train": 2, "evaluate": 2, "report": 1})
    forecast.finish("fetch", 2.0)
    assert forecast.left(2.0) is None
    forecast.finish("train", 22.0)
    # One more training of 22 s, and three jobs of rules not seen yet, of 12 s on the mean.
    assert forecast.left(24.0) == pytest.approx(22 + 3 * 12)
    assert forecast.left(12.0) == pytest.approx((22 + 3 * 12) / 2)  # two at a time
    assert (forecast.done, forecast.total) == (2, 6)


def test_one_line_per_finished_stage_and_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = path("report", profile="smoke")
    page.parent.mkdir(parents=True)
    page.touch()
    logger = pipeline(screen := Screen())
    logger.info("Building DAG of jobs...")
    logger.info("Job stats", extra={"event": "run_info", "stats": {"all": 1, "fetch": 2, "total": 3}})
    for number, name in enumerate(("interhuman", "interx")):
        begin(logger, number, "fetch", f"fetch {name}")
    for number in (1, 0):
        finish(logger, number)
    begin(logger, 2, "all", None)
    finish(logger, 2)
    assert screen.getvalue().splitlines() == [
        "Profile smoke: 2 jobs, logs in results/smoke/logs",
        "[1/2] fetch interx: 0 s, about 0 s left",
        "[2/2] fetch interhuman: 0 s",
        "Finished in 0 s.",
        f"  report   {page}",
    ]


def test_a_failing_stage_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)) + "error: what went wrong\n")
    logger = pipeline(screen := Screen())
    begin(logger, 0, "train", "train intermamba")
    for _ in range(2):  # Snakemake says it when it happens and at the end
        logger.error("Error in rule", extra={"event": "job_error", "jobid": 0, "log": [str(log)]})
    logger.error("At least one job did not complete successfully.")
    lines = screen.getvalue().splitlines()
    assert lines[0] == "FAILED: train intermamba"
    assert lines[LINES] == "    error: what went wrong"
    assert lines[LINES + 1 :] == [f"  (end of {log})", "At least one job did not complete successfully."]


def test_a_log_in_a_store_is_read_in_the_working_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = Path("results/smoke/logs/train/interhuman-intermamba-0.log")
    log.parent.mkdir(parents=True)
    log.write_text("error: what went wrong\n")
    logger = pipeline(screen := Screen())
    begin(logger, 0, "train", "train intermamba")
    name = f"s3://laboratory/study/{log} (send to storage)"
    logger.error("Error in rule", extra={"event": "job_error", "jobid": 0, "log": [name]})
    assert screen.getvalue().splitlines()[1:] == ["    error: what went wrong", f"  (end of {log})"]


def test_a_stage_that_was_killed_says_nothing_itself(tmp_path: Path) -> None:
    (tmp_path / "train.log").touch()
    logger = pipeline(screen := Screen())
    begin(logger, 0, "train", "train intermamba")
    logger.error("Error in rule", extra={"event": "job_error", "jobid": 0, "log": [str(tmp_path / "train.log")]})
    assert "the process was killed" in screen.getvalue()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "SLURM-job '7' failed, SLURM status is: 'FAILED'.For further error details see the cluster/cloud log.",
            ["SLURM-job '7' failed, SLURM status is: 'FAILED'."],
        ),
        (
            "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nope\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified'.\n"
            "    sbatch call:\n        sbatch --parsable\nFor further error details see the cluster/cloud log.",
            [
                "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nope",
                "sbatch: error: Batch job submission failed: Invalid partition name specified'.",
            ],
        ),
    ],
)
def test_a_batch_systems_reason_and_another_attempt_are_said(tmp_path: Path, message: str, shown: list[str]) -> None:
    (tmp_path / "train.log").touch()
    logger = pipeline(screen := Screen())
    begin(logger, 0, "train", "train intermamba")
    fields = {"event": "job_error", "jobid": 0, "log": [str(tmp_path / "train.log")], "rule_msg": message}
    logger.error("Error in rule", extra=fields)
    logger.info("Trying to restart job 0.")
    expected = ["FAILED: train intermamba", *(f"    {line}" for line in shown), "  Running it again."]
    assert screen.getvalue().splitlines() == expected


def test_a_job_that_slurm_refuses_has_one_message_and_no_old_log(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("done, 960 steps\n")
    logger = pipeline(screen := Screen())
    for number in range(2):
        begin(logger, number, "train", "train intermamba")
        fields = {"event": "job_error", "jobid": number, "log": [str(log)], "rule_msg": "SLURM sbatch failed. No such."}
        logger.error("Error in rule", extra=fields)
    assert screen.getvalue().splitlines() == [
        "FAILED: train intermamba",
        "    SLURM sbatch failed. No such.",
        "FAILED: train intermamba, as before",
    ]


def test_where_a_stage_said_nothing_the_log_of_its_job_is_shown(tmp_path: Path) -> None:
    (tmp_path / "train.log").touch()
    (tmp_path / "7.log").write_text("slurmstepd: error: Exceeded job memory limit\n")
    logger = pipeline(screen := Screen())
    begin(logger, 0, "train", "train intermamba")
    files = [str(tmp_path / name) for name in ("train.log", "7.log")]
    logger.error("Error in rule", extra={"event": "job_error", "jobid": 0, "log": files, "rule_msg": "It failed."})
    assert "Exceeded job memory limit" in screen.getvalue()


def test_warnings_an_interrupt_and_nothing_to_do_are_said() -> None:
    logger = pipeline(screen := Screen())
    logger.warning("Careful.")
    logger.info("Terminating processes on user request, this might take some time.")
    logger.info("Nothing to be done (all requested files are present and up to date).")
    assert "Careful." in screen.getvalue()
    assert "Terminating processes on user request" in screen.getvalue()
    assert "Nothing to be done" in screen.getvalue()


NO_CLUSTER = """\
Traceback (most recent call last):

  File "site-packages/snakemake_executor_plugin_kubernetes/__init__.py", line 135, in __post_init__
    kubernetes.config.load_kube_config()

kubernetes.config.config_exception.ConfigException: Invalid kube-config file. No configuration found.


During handling of the above exception, another exception occurred:


Traceback (most recent call last):

  File "site-packages/kubernetes/config/incluster_config.py", line 62, in _load_config
    raise ConfigException("Service host/port is not set.")

kubernetes.config.config_exception.ConfigException: Service host/port is not set.

"""
FORBIDDEN = """\
Traceback (most recent call last):

  File "site-packages/snakemake_executor_plugin_kubernetes/__init__.py", line 149, in __post_init__
    self.register_secret()

kubernetes.client.exceptions.ApiException: (403)
Reason: Forbidden
HTTP response headers: HTTPHeaderDict({'Server': 'one'})
HTTP response body: {"message": "secrets is forbidden"}

"""
OTHER = """\
Traceback (most recent call last):

  File "snakemake/cli.py", line 2, in main
    1 / 0

ZeroDivisionError: zero

"""


@pytest.mark.parametrize(
    ("traceback", "said"),
    [
        (
            NO_CLUSTER,
            "kubernetes failed: kubernetes.config.config_exception.ConfigException: Service host/port is",
        ),
        (FORBIDDEN, '(403) Reason: Forbidden HTTP response body: {"message": "secrets is forbidden"}\nCheck that'),
        (OTHER, "Snakemake failed: ZeroDivisionError: zero\n  (its traceback"),
    ],
)
def test_an_executor_without_a_cluster_gives_one_message(traceback: str, said: str) -> None:
    logger = pipeline(screen := Screen())
    logger.error(traceback)
    assert said in screen.getvalue()
    assert "File" not in screen.getvalue()
    assert len(screen.getvalue().splitlines()) <= 3


def test_a_terminal_shows_what_runs_now() -> None:
    logger = pipeline(screen := Screen(terminal=True))
    begin(logger, 0, "train", "train intermamba")
    assert screen.getvalue() == "\r\x1b[Krunning: train intermamba"


@pytest.mark.parametrize("option", ["dryrun", "verbose", "printshellcmds", "quiet"])
def test_a_user_who_asks_for_snakemakes_own_words_gets_them(option: str) -> None:
    logger = pipeline(Screen(), **{option: True})
    assert not any(isinstance(handler, Terminal) for handler in logger.handlers)


@pytest.mark.slow
def test_no_run_prints_values_of_knobs(study: Path, edit_params: Callable[[str, str], None]) -> None:
    """A first run, one after a changed knob, a dry run that says why, one with nothing to do, and one that fails."""
    manifest = str(path("manifest", profile="smoke", dataset="interhuman"))

    def snakemake(*options: str) -> str:
        words = [sys.executable, "-m", "snakemake", "--cores", "1", manifest, *options]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert "'synthetic':" not in done.stdout  # a part of what describes the data
        return done.stdout

    edit_params("train: 240, val: 32", "train: 48, val: 32")
    assert "[1/1] fetch interhuman" in snakemake()
    assert "Nothing to be done" in snakemake()
    edit_params("train: 48, val: 32", "train: 40, val: 32")
    assert "Params have changed" in (why := snakemake("--dry-run"))
    assert "now: 'datasets.interhuman " in why
    assert "[1/1] fetch interhuman" in (again := snakemake())
    assert "Params" not in again
    edit_params("source: synthetic # or the folder that holds annots", "source: nowhere # annots")
    failed = snakemake()
    assert re.search(r"FAILED: fetch interhuman\n    error: .*nowhere", failed), failed
    assert "CalledProcessError" not in failed
