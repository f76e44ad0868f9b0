"""Progress as a log and as a terminal show it, and what a stopped command says."""

import os
import pty
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

WORK = """
from workflow.cli.progress import progress
with progress("train x on y, seed 0", unit="step", interval=0.0) as advance:
    advance.start(4, 1)
    for _ in range(3):
        advance(1, lambda: "epoch 2/2, loss 0.412")
"""
"""Work of which an earlier run did a quarter."""

WAIT = """
import sys, time
from workflow.cli import main
from workflow.cli.app import app
from intermamba.errors import Interrupted

@app.command()
def wait():
    try:
        print("waiting", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        {reaction}

sys.argv = ["intermamba", "wait"]
main()
"""
PLAIN = "raise"
RESUMABLE = 'raise Interrupted("Run the same command again to continue from step 420.") from None'


def test_a_log_gets_lines_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert not done.stdout
    assert all(line.startswith("train x on y, seed 0: ") for line in lines)
    said = [line.removeprefix("train x on y, seed 0: ") for line in lines]
    assert said[0] == "resumed at step 1 of 4"
    assert said[1] == "step 2/4, epoch 2/2, loss 0.412"
    assert said[2].startswith("step 3/4, epoch 2/2, loss 0.412, ")
    assert said[2].endswith(" s left")
    assert "steps/s" in said[2]
    assert said[3:] == ["done, 3 steps in 0 s, epoch 2/2, loss 0.412"]


def test_a_log_is_not_flooded() -> None:
    often = WORK.replace(", interval=0.0", "")
    done = subprocess.run([sys.executable, "-c", often], capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 2


def test_every_part_is_named_and_ended() -> None:
    code = """
from workflow.cli.progress import progress
with progress("train-evaluator interx", interval=60) as advance:
    for part in ("movement", "matching"):
        advance.start(2, part=part)
        advance(2)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        f"train-evaluator interx, {part}: {said}"
        for part in ("movement", "matching")
        for said in ("2 steps", "done, 2 steps in 0 s")
    ]


def test_work_that_fails_is_not_done() -> None:
    code = WORK + '        raise SystemExit("broken")\n'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "done" not in done.stderr


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", WORK], stderr=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    assert process.wait() == 0
    text = shown.decode()
    for part in ("resumed at step 1 of 4", "━", "4/4", "steps/s", "0:00:0", "left", "done, 3 steps"):
        assert part in text


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("reaction", "said"),
    [(PLAIN, "Interrupted.\n"), (RESUMABLE, "Interrupted. Run the same command again to continue from step 420.\n")],
)
def test_a_stopped_command_says_one_line(number: signal.Signals, reaction: str, said: str) -> None:
    code = WAIT.replace("{reaction}", reaction)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # which a job in the background ignores
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == said


def test_a_refusal_is_still_a_message(study: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workflow.cli", "fetch"], capture_output=True, text=True, check=False, cwd=study
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: fetch: give --dataset")
