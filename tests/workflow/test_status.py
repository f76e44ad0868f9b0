"""The state of jobs as `intermamba status` shows it: written by real commands, and by processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from intermamba import config, files
from intermamba.errors import ConfigError
from intermamba.job import Job
from intermamba.progress import SILENT
from workflow.cli.commands import app
from workflow.graph import state
from workflow.graph.stages import job
from workflow.graph.status import LOST_AFTER, Status, left, statuses


def fetch() -> Job:
    return job(config.load("smoke"), "fetch", dataset="interhuman")


def found() -> Status:
    return statuses(config.load("smoke"))[0]


@pytest.mark.usefixtures("study")
def test_a_job_that_nothing_began_waits() -> None:
    assert (found().stage, found().state, found().left) == ("fetch", "waiting", None)


@pytest.mark.usefixtures("study")
def test_a_running_job_says_how_long_still() -> None:
    with state.reported(fetch()) as progress:
        progress.start(100)
        assert (found().state, found().done, found().total, found().left) == ("running", 0, 100, None)
        for _ in range(50):
            progress(1)
        assert found().done == 0  # it is not written every time
        assert found().host == os.uname().nodename
    assert found().state == "waiting"  # it has left no outputs


@pytest.mark.usefixtures("study")
def test_the_progress_is_written_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "INTERVAL", 0.001)
    with state.reported(fetch()) as progress:
        progress.start(4)
        for _ in range(2):
            time.sleep(0.01)
            progress(1, lambda: "loss 0.4")
        assert (found().done, found().note) == (2, "loss 0.4")
        assert found().left


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("error", "expected"),
    [(ConfigError("knob: no."), "failed"), (KeyboardInterrupt("Run again."), "stopped"), (ValueError("x"), "failed")],
)
def test_a_job_that_ends_otherwise(error: BaseException, expected: str) -> None:
    with pytest.raises(type(error)), state.reported(fetch()):
        raise error
    assert found().state == expected
    assert str(error) in found().message


@pytest.mark.usefixtures("study")
def test_a_message_is_text_and_no_markup() -> None:
    with suppress(ValueError), state.reported(fetch()):
        raise ValueError("no room in [/usr/lib]")
    shown = CliRunner().invoke(app, ["status"], env={"COLUMNS": "200"}).stdout
    assert "no room in [/usr/lib]" in " ".join(shown.split())


@pytest.mark.usefixtures("study")
def test_a_command_with_options_of_its_own_reports_too() -> None:
    words = ["evaluate", "--dataset", "interhuman", "--variant", "intermamba"]
    assert CliRunner().invoke(app, words).exit_code != 0  # nothing is trained here
    (run, *_) = (one for one in statuses(config.load("smoke")) if one.stage == "evaluate")
    assert (run.item["variant"], run.state) == ("intermamba", "failed")


KILLED = """
import signal, sys, time
from intermamba import config
from workflow.graph import state
from workflow.graph.stages import job
with state.reported(job(config.load("smoke"), "fetch", dataset="interhuman")):
    print("running", flush=True)
    time.sleep(60)
"""


@pytest.mark.usefixtures("study")
def test_a_killed_job_is_lost() -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    assert found().state == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert found().state == "lost"


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(("silent", "expected"), [(0, "running"), (LOST_AFTER + 60, "lost")])
def test_a_job_of_another_host_is_lost_when_it_is_silent(silent: float, expected: str) -> None:
    with state.reported(fetch()):
        place = state.file(fetch())
        files.write_json(place, files.read_json(place) | {"host": "elsewhere", "process": 1})
        os.utime(place, (time.time() - silent,) * 2)
        assert found().state == expected
        assert found().host == "elsewhere"


@pytest.mark.usefixtures("study")
def test_a_broken_state_file_is_none() -> None:
    place = state.file(fetch())
    place.parent.mkdir(parents=True)
    place.write_text("{")
    assert found().state == "waiting"


@pytest.mark.usefixtures("study")
def test_a_stage_runs_where_its_state_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_json", full)
    with state.reported(fetch()) as progress:
        progress.start(1)
        progress(1)


def test_only_the_first_of_several_processes_reports(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with state.reported(fetch()) as progress:
        assert progress is SILENT
    assert not state.file(fetch()).exists()


def test_finished_and_later_jobs(study: Path, edit_params: Callable[[str, str], None]) -> None:
    edit_params("synthetic: {train: 240, val: 32, test: 64,", "synthetic: {train: 4, val: 2, test: 2,")
    assert CliRunner().invoke(app, ["fetch", "--dataset", "interhuman"]).exit_code == 0
    by_item = {one.item["dataset"]: one for one in statuses(config.load("smoke")) if one.stage == "fetch"}
    assert by_item["interhuman"].state == "done"
    assert by_item["interhuman"].host == os.uname().nodename
    assert by_item["interx"].state == "waiting"
    assert by_item["interx"].left == by_item["interhuman"].seconds
    seconds, known = left(list(by_item.values()))
    assert (seconds, known) == (by_item["interhuman"].seconds, True)

    said = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert said["counts"]["done"] == 1
    assert said["jobs"][0]["state"] == "done"
    assert not said["left_known"]
    text = CliRunner().invoke(app, ["status"]).stdout
    assert "1 done" in text
    assert "fetch interx" not in text
    assert "fetch interx" in CliRunner().invoke(app, ["status", "--all"]).stdout


@pytest.mark.usefixtures("study")
def test_learning_curves_need_a_training() -> None:
    result = CliRunner().invoke(app, ["status", "--curves", "curves.png"])
    assert "no training has validated yet" in str(result.exception)
    assert not Path("curves.png").exists()
    wrong = CliRunner().invoke(app, ["status", "--curves", "curves.gif"]).exception
    assert str(wrong) == "--curves curves.gif: the name must end in .pdf or .png."


@pytest.mark.usefixtures("study")
def test_learning_curves_of_an_unfinished_training() -> None:
    row = job(config.load("smoke"), "train", dataset="interhuman", variant="intermamba", seed=0)
    log = row["training_log"].parent / "resume" / "training.csv"
    log.parent.mkdir(parents=True)
    log.write_text("step,epoch,split,simple,total\n10,0,train,2.0,3.0\n10,0,val,1.5,2.5\n20,1,val,1.1,2.0\n")
    assert CliRunner().invoke(app, ["status", "--curves", "curves.png"]).exit_code == 0
    assert Path("curves.png").stat().st_size > 10_000


LIGHT = """
import sys
from workflow.cli import main
sys.argv = ["intermamba", "status"]
try:
    main()
except SystemExit as stop:
    assert not stop.code
assert "torch" not in sys.modules
"""


@pytest.mark.usefixtures("study")
def test_status_imports_no_torch() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, stdout=subprocess.DEVNULL)
