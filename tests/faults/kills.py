"""Kill the pipeline at random moments until it has been killed often enough; a recorded trial, run by hand.

    python tests/faults/kills.py --kills 250 --output docs/bench/kills.csv

The whole graph of a study of the smallest sizes runs under Snakemake, once undisturbed and then again and again. At
random moments, often several times a run, Snakemake, one of its stages, the process that runs a stage, the warm process
behind them or all of them get a signal, nearly always SIGKILL. Whenever a run ends, the same command is given again.
When one finishes, every artefact that holds no times must be byte for byte that of the undisturbed run, and nothing
half-written may be left; then everything is deleted and the next pass begins. A row of the table is a kill. Its outcome
is that of the run that it hit.

With ``--scratch`` the working trees stay in that folder, and a trial that was stopped goes on there.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from micro import repeatable, shrink, write_tree  # noqa: E402

from intermamba.config import load  # noqa: E402
from intermamba.provenance import code_revision, device, versions  # noqa: E402
from workflow.graph.stages import table  # noqa: E402

RUNS = {
    "interhuman": {name: [0] for name in ("intermamba", "intergen", "in2in", "com_mdm", "intermask", "temos")},
    "interx": {"intermamba": [0], "mdm": [0]},
}
SIGNALS = (*[signal.SIGKILL] * 8, signal.SIGTERM, signal.SIGINT)
"""Drawn from."""
VICTIMS = ("snakemake", "command", "stage", "warm", "all")
"""A command is what Snakemake starts; its stage is the fork of the warm process that does the work."""
COLUMNS = ("kill", "pass", "run", "seconds", "signal", "victim", "running", "artefacts", "outcome")
LEFT_OVER = ("*.part*", "resume")
WORKING = 0.8
"""Share of the runs that are left alone until a stage has begun; in the others Snakemake may still be starting."""
PATIENCE = 900
"""Seconds without a kill after which a run hangs."""


class Pipeline:
    """Snakemake over the whole graph of ``tree``, in a session of its own."""

    def __init__(self, tree: Path) -> None:
        self.log, self.began = tree / "snakemake.log", time.monotonic()
        words = [sys.executable, "-m", "snakemake", "--cores", "2"]
        where = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                words, cwd=tree, env=os.environ | where, stdout=log, stderr=log, start_new_session=True
            )

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Those of this run that may be killed."""
        found: dict[str, list[psutil.Process]] = {victim: [] for victim in VICTIMS}
        try:
            found["snakemake"] = [psutil.Process(self.process.pid)]
            found["all"] = [*found["snakemake"], *found["snakemake"][0].children(recursive=True)]
        except psutil.NoSuchProcess:
            return found
        for process in found["all"][1:]:
            words = _words(process)
            if any(word.endswith("/warm.py") for word in words):
                warm = process.ppid() == self.process.pid
                found["warm" if warm else "stage"].append(process)
            elif len(words) > 2 and words[1].endswith("/intermamba"):
                found["command"].append(process)
        return found

    def wait_for_work(self) -> None:
        """Until the run has a command, or has ended."""
        while self.process.poll() is None and not self.processes()["command"]:
            time.sleep(0.1)

    def strike(self, number: signal.Signals, chance: random.Random) -> tuple[str, str]:
        """Send the signal to one of those that are there; returns whom, and what was running."""
        there = {victim: processes for victim, processes in self.processes().items() if processes}
        running = " ".join(sorted(" ".join(_named(process)) for process in there.get("command", [])))
        if not there:
            return "nobody", running
        victim = chance.choice(sorted(there))
        struck = there[victim] if victim == "all" else [chance.choice(there[victim])]
        for process in struck:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        return victim, running


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _named(process: psutil.Process) -> list[str]:
    """The stage of a command, and of what."""
    words = _words(process)[2:]
    return words[:1] + [word for flag, word in pairwise(words) if flag in ("--dataset", "--variant")]


def digests(tree: Path, names: list[Path]) -> dict[str, str]:
    return {
        str(name): hashlib.sha256((tree / name).read_bytes()).hexdigest() for name in names if (tree / name).is_file()
    }


def left_over(tree: Path) -> list[str]:
    places = (tree / folder for folder in ("data", "results"))
    return [str(path.relative_to(tree)) for place in places for glob in LEFT_OVER for path in place.rglob(glob)]


def wait_for_survivors(tree: Path) -> None:
    """Until no process works in ``tree``: stages may outlive the Snakemake that started them."""

    def here(process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()) == tree
        except (psutil.Error, OSError):
            return False

    limit = time.monotonic() + PATIENCE
    while any(map(here, psutil.process_iter())):
        if time.monotonic() > limit:
            raise SystemExit("a process does not end")
        time.sleep(0.2)


def trial(
    tree: Path, expected: dict[str, str], earlier: list[dict[str, Any]], kills: int, longest: float, seed: int
) -> Iterator[dict[str, Any]]:
    """One row a kill, after those of ``earlier``."""
    done, passes, runs = (int(earlier[-1][name]) if earlier else 0 for name in ("kill", "pass", "run"))
    chance, passes, names = random.Random(f"{seed} {done}"), max(passes, 1), list(map(Path, expected))
    while True:
        runs += 1
        pipeline = Pipeline(tree)
        rows: list[dict[str, Any]] = []
        if chance.random() < WORKING and done < kills:
            pipeline.wait_for_work()
        while True:
            try:
                code = pipeline.process.wait(chance.uniform(0, longest) if done < kills else PATIENCE)
                break
            except subprocess.TimeoutExpired:
                if done >= kills:
                    raise SystemExit("a run hangs") from None
            number = chance.choice(SIGNALS)
            seconds = time.monotonic() - pipeline.began
            victim, running = pipeline.strike(number, chance)
            if victim == "nobody":
                continue
            done += 1
            told = done, passes, runs, round(seconds, 1), number.name, victim, running, len(digests(tree, names))
            rows.append(dict(zip(COLUMNS, told, strict=False)))
        outcome = f"ended with {code}, started again"
        if code == 0:
            wait_for_survivors(tree)
            found = digests(tree, names)
            wrong = [*(name for name in expected if found.get(name) != expected[name]), *left_over(tree)]
            outcome = f"FAILED: {wrong}" if wrong else "finished, same bytes"
        elif not rows:
            outcome = f"FAILED: ended with {code} undisturbed: {pipeline.log.read_text()[-1500:]}"
            rows = [dict(zip(COLUMNS, (done, passes, runs), strict=False))]
        print(f"pass {passes}, run {runs}, {done} kills: {outcome}", flush=True)  # noqa: T201
        for row in rows:
            yield row | {"outcome": outcome}
        if outcome.startswith("FAILED"):
            raise SystemExit(outcome)
        if code == 0:
            if done >= kills:
                return
            passes += 1
            for folder in ("data", "results/smoke", ".snakemake"):
                shutil.rmtree(tree / folder, ignore_errors=True)


def summary(rows: list[dict[str, Any]], artefacts: int) -> dict[str, Any]:
    """What the trial amounts to."""
    return {
        "kills": len(rows),
        "passes": len({row["pass"] for row in rows}),
        "runs": len({row["run"] for row in rows}),
        "artefacts": artefacts,
        **{name: dict(Counter(row[name] for row in rows).most_common()) for name in ("signal", "victim", "outcome")},
        "stage": dict(Counter(stage for row in rows for stage in set(row["running"].split()) & STAGES)),
    }


STAGES = {
    "fetch", "preprocess", "encode-text", "encode-own-text", "train-evaluator", "train-part", "train",
    "evaluate-reference", "sensitivity", "evaluate", "steps", "adopt", "re-evaluate", "complexity", "aggregate",
    "claims", "gallery-reference", "gallery", "tables", "figures", "report",
}  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=250)
    options.add_argument("--longest", type=float, default=20, help="seconds until the next kill, at most")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--output", type=Path, required=True)
    options.add_argument("--scratch", type=Path, help="folder of the working trees; by default one that is deleted")
    given = options.parse_args()
    output = given.output.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        record = run(given, output, (given.scratch or Path(temporary)).resolve())
    output.with_name(f"{output.name}.prov.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def run(given: argparse.Namespace, output: Path, scratch: Path) -> dict[str, Any]:
    """The whole trial; its record."""
    code = code_revision()
    undisturbed, tree = scratch / "undisturbed", scratch / "killed"
    for place in (undisturbed, tree):
        if not place.exists():
            write_tree(place)
            shrink(place, RUNS)
    os.chdir(undisturbed)
    names = repeatable(table(load()))
    pipeline = Pipeline(undisturbed)
    if pipeline.process.wait():
        raise SystemExit(f"the pipeline failed:\n{pipeline.log.read_text()[-3000:]}")
    print(f"undisturbed: {time.monotonic() - pipeline.began:.0f} s", flush=True)  # noqa: T201
    expected = digests(undisturbed, names)
    if len(expected) != len(names):
        raise SystemExit(f"the undisturbed run left out {set(map(str, names)) - set(expected)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    if given.scratch and output.exists():
        with output.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    with output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        for row in trial(tree, expected, list(rows), given.kills, given.longest, given.seed):
            rows.append(row)
            writer.writerow(row)
            file.flush()
    about = {"code": code, "device": device(), "versions": versions(), "seed": given.seed}
    return about | summary(rows, len(expected))


if __name__ == "__main__":
    main()
