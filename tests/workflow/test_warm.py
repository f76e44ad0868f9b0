"""Commands that a warm process runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from micro import shrink

from intermamba import config
from workflow.graph import stages, warm

FETCH = ["fetch", "--dataset", "interhuman"]
"""A command of a second or two that imports no torch."""


@pytest.fixture
def server(
    edit_params: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator["subprocess.Popen[bytes]"]:
    edit_params("train: 240, val: 32", "train: 48, val: 32")
    monkeypatch.setattr(warm, "LAST", ())
    with serving([], monkeypatch) as process:
        yield process


@contextmanager
def serving(modules: Iterable[str], monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    """A warm process that commands find."""
    monkeypatch.setenv(warm.PLACE, "")  # and so taken back at the end
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # as it is where the tests run in the background
    warm.start(modules, threads=1)
    place = Path(os.environ[warm.PLACE])
    yield (process := warm._STARTED.pop())
    signal.signal(signal.SIGINT, ignored)
    process.stdin.close()
    assert process.wait(60) == 0
    assert not place.parent.exists()


def command(*words: str) -> "subprocess.Popen[str]":
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([Path(sys.executable).parent / "intermamba", *words], text=True, **pipes)


def forks(server: "subprocess.Popen[bytes]") -> list[str]:
    return Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()


def computed(server: "subprocess.Popen[bytes]", after: float = 0) -> float:
    """Processor seconds of the warm process itself, read ``after`` so many seconds."""
    time.sleep(after)
    times = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def test_a_warm_process_runs_commands_as_they_would_run_themselves(
    server: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same words, exit codes, folder and environment; two at a time."""
    cases = [["validate"], ["fetch", "--dataset", "nowhere"], ["train", "--nothing"], ["--version"]]
    warmly = [command(*words) for words in cases]
    found = [(*process.communicate(), process.returncode) for process in warmly]
    assert [code for *_, code in found] == [0, 2, 2, 0]
    monkeypatch.delenv(warm.PLACE)
    alone = [command(*words) for words in cases]
    assert found == [(*process.communicate(), process.returncode) for process in alone]


@pytest.mark.parametrize(
    ("crash", "said", "code"),
    [
        ("raise RuntimeError('x' * 100_000 + 'the end')", "xthe end\n", 1),
        ("sys.exit('no more')", "no more\n", 1),
        ("sys.exit()", "", 0),
    ],
)
def test_a_command_that_fails_unexpectedly_says_all_it_has_to_say(
    tmp_path: Path, study: Path, monkeypatch: pytest.MonkeyPatch, crash: str, said: str, code: int
) -> None:
    (tmp_path / "crashing.py").write_text(
        f"import sys\nimport workflow.cli\ndef main():\n    {crash}\nworkflow.cli.main = main\nopen('ready', 'w')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(warm, "LAST", ())
    with serving(["crashing"], monkeypatch):
        while not Path("ready").exists():
            time.sleep(0.01)
        process = command("validate")
        _, found = process.communicate()
    assert found.endswith(said)
    assert process.returncode == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_stage(server: "subprocess.Popen[bytes]", number: int) -> None:
    process = command(*FETCH)
    process.stderr.readline()  # it has begun
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "Interrupted." in said


def test_a_stage_dies_with_its_command(server: "subprocess.Popen[bytes]") -> None:
    process = command(*FETCH)
    process.stderr.readline()
    assert forks(server)
    process.kill()
    process.communicate()
    while forks(server):
        time.sleep(0.01)
    assert not Path("data/smoke/interhuman/manifest.json").exists()


def test_a_stage_outlives_the_warm_process(server: "subprocess.Popen[bytes]") -> None:
    """As it outlives Snakemake, with which the process ends."""
    process = command(*FETCH)
    process.stderr.readline()
    server.stdin.close()
    assert server.wait(60) == 0
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert Path("data/smoke/interhuman/manifest.json").exists()


@pytest.mark.slow
def test_stages_write_the_bytes_that_they_write_elsewhere(
    study: Path, complete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the warm process has imported, drawn or left in memory is in no artefact."""
    shrink(study)
    known = config.load()
    rows = [{"dataset": "interhuman", "variant": name, "seed": 0} for name in ("intermamba", "intergen")]
    data = ("fetch", "preprocess", "encode-text", "train-evaluator", "index-training")
    names = (*data, "evaluate-reference", "sensitivity")
    jobs = [stages.job(known, name, dataset="interhuman") for name in names]
    jobs += [stages.job(known, name, **row) for row in rows for name in ("train", "evaluate")]

    with serving(dict.fromkeys(job.function.partition(":")[0] for job in jobs), monkeypatch) as process:
        while (before := computed(process)) < 1 or computed(process, after=1) > before:  # until everything is imported
            pass
        for job in jobs:
            stage = command(*job.command.split()[1:])
            _, said = stage.communicate()
            assert stage.returncode == 0, said
    written = [place for job in jobs for name, place in job.outputs.items() if name not in job.measured]
    assert [place for place in written if place.read_bytes() != (complete / place).read_bytes()] == []


def test_without_anybody_there_a_command_runs_itself(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(warm.PLACE, str(study / "nothing"))
    process = command("--version")
    assert process.communicate()[0].startswith("intermamba ")
    assert process.returncode == 0
