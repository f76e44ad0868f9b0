"""The graph on a real Slurm cluster on this machine: ``python benchmarks/slurm.py [--install]``.

Starts munge, a controller and three node daemons (Debian's ``slurm-wlm`` and ``munge``; ``--install`` installs them, as
root), creates a small study in a folder of its own and runs it

1. on this machine, without Slurm;
2. through Slurm, uninterrupted, with too little memory requested for the stages of data;
3. through Slurm again, while the node of a training is lost, another training is cancelled, and Snakemake is killed and
   started again;
4. through Slurm, while a training gets the signal that announces its time limit: it saves its step and is queued again.

All runs must give the same bytes. Prints the events as Markdown.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from intermamba import config as configuration
from intermamba import files, paths
from intermamba.config import load, merged
from workflow.graph.stages import table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
from micro import MICRO  # noqa: E402

PROFILE = "smoke"
SYSTEM = Path("/etc/slurm/slurm.conf")
"""Folder in which Slurm's commands look for the cluster."""
NODES = ("n1", "n2", "n3")
SETTINGS = {
    "training": {"epochs": 240, "batch": 8, "checkpoint_every_epochs": 10, "log_every_steps": 20},
    "cluster": {
        "light": {"minutes": 30, "memory": 1800},
        "data": {"minutes": 30, "memory": 700},  # too little for encode-text, so that an attempt fails
        "training": {"minutes": 45, "memory": 1900},
        "evaluation": {"minutes": 45, "memory": 1900},
    },
}
VARIANTS = ("intermamba", "intergen")
TIMED = ("table3", "claims", "all", "index")
"""Stems of artefacts with timings, or with verdicts on them."""

CONF = """\
ClusterName=one
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/munge
SlurmctldPort=27817
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=7200
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=4000"


def shell(*words: str, **options: object) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, **options).stdout  # type: ignore[call-overload,no-any-return]


def wait(for_what: str, happened: Callable[[], bool], seconds: float = 600.0) -> None:
    began = time.monotonic()
    while not happened():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"waited {seconds:.0f} s for {for_what}, without success")
        time.sleep(0.5)


class Log:
    """Events with their times, as lines of Markdown."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"- {time.monotonic() - self._began:6.0f} s: {text}", flush=True)  # noqa: T201


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """A controller and a daemon for each of :data:`NODES`, as long as the context lasts."""
    folder.mkdir(parents=True)
    (folder / "state").mkdir()
    host = socket.gethostname().split(".")[0]
    nodes = [NODE.format(name=name, host=host, port=27901 + i) for i, name in enumerate(NODES)]
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, folder=folder, nodes="\n".join(nodes)))
    SYSTEM.symlink_to(conf)  # jobs do not inherit SLURM_CONF
    try:
        if not answers("munge", "--no-input"):
            shell("install", "-d", "-o", "munge", "-g", "munge", "/run/munge")
            shell("su", "munge", "-s", "/bin/sh", "-c", "/usr/sbin/munged --force")
        shell("slurmctld")
        for name in NODES:
            start(name)
        wait("the nodes", lambda: answers("sinfo", "-h", "-N", "-o", "%T") == ["idle"] * len(NODES), 60)
        yield
    finally:
        subprocess.run(["scancel", "--me"], check=False)
        for pid in [*(folder / f"slurmd.{name}.pid" for name in NODES), folder / "slurmctld.pid"]:
            if pid.exists():
                os.kill(int(pid.read_text()), signal.SIGTERM)
        SYSTEM.unlink()


def answers(*words: str) -> list[str]:
    """Words of a command's output; none if it fails."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()


def start(node: str) -> None:
    """Start the daemon of a node."""
    shell("slurmd", "-N", node)


def lose(node: str, folder: Path) -> None:
    """The node is gone at once: its daemon, and every process of the jobs that it runs."""
    daemon = int((folder / f"slurmd.{node}.pid").read_text())
    jobs = shell("squeue", "-h", "-w", node, "-t", "RUNNING", "-o", "%i").split()
    steps = [pid for job in jobs for pid in pids(f"slurmstepd: [{job}.")]
    for pid in [daemon, *(one for step in steps for one in (step, *descendants(step)))]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def pids(title: str) -> list[int]:
    """Processes whose command line starts with ``title``."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().replace(b"\0", b" ").decode(errors="replace").startswith(title):
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Descendants of a process, started by any of its threads."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def make_study(folder: Path) -> None:
    """A small study in ``folder``, as created by ``intermamba init``."""
    shell("intermamba", "init", str(folder))
    document = configuration.read(folder / "params.yaml")
    document["profiles"][PROFILE] = merged(merged(document["profiles"][PROFILE], MICRO), SETTINGS)
    document["base"]["runs"] = {"interhuman": {name: [0] for name in VARIANTS}}
    document["profiles"][PROFILE]["runs"] = {}
    (folder / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def snakemake(study: Path, *words: str) -> "subprocess.Popen[bytes]":
    with (study / "run.log").open("ab") as log:
        command = [sys.executable, "-m", "snakemake", *words]
        return subprocess.Popen(command, cwd=study, stdout=log, stderr=log)


def through_slurm(study: Path, targets: Sequence[str]) -> "subprocess.Popen[bytes]":
    # No accounting database, and shorter waits than on a real cluster.
    quick = (
        "--slurm-status-command",
        "squeue",
        "--slurm-init-seconds-before-status-checks",
        "5",
        "--latency-wait",
        "20",
    )
    return snakemake(study, "--workflow-profile", "profiles/slurm", *quick, "--", *targets)


def artefacts(study: Path) -> dict[str, str]:
    """Hash of every artefact that equal runs must have in common."""
    here = Path.cwd()
    os.chdir(study)
    try:
        jobs = [job for stage in table(load(PROFILE)).values() for job in stage.jobs()]
        outputs = [path for job in jobs for name, path in job.outputs.items() if name not in job.measured]
        return {str(path): files.sha256(path) for path in outputs if path.exists() and path.stem not in TIMED}
    finally:
        os.chdir(here)


def running(rule: str, study: Path) -> dict[str, str]:
    """Running jobs of a rule: number and node."""
    lines = shell("squeue", "-h", "-t", "RUNNING", "-o", "%i %N %k %Z").splitlines()
    found = (line.split(" ") for line in lines)
    return {job: node for job, node, comment, folder in found if (comment, folder) == (rule, str(study))}


def known(rule: str, study: Path) -> set[str]:
    """Numbers of all jobs of a rule, finished ones included."""
    lines = shell("squeue", "-h", "-t", "all", "-o", "%i %k %Z").splitlines()
    return {line.split(" ")[0] for line in lines if line.split(" ")[1:] == [rule, str(study)]}


def training(variant: str) -> str:
    return f"rule_train_wildcards_interhuman_{variant}_0"


def checkpoint(study: Path, variant: str) -> bool:
    """Whether a training is in progress."""
    weights = study / paths.path("weights", profile=PROFILE, dataset="interhuman", variant=variant, seed=0)
    return any((weights.parent / "resume").glob("*.ckpt"))


def continued(study: Path, variant: str) -> str:
    """Whether a finished training continued from a checkpoint, as its record says."""
    weights = study / paths.path("weights", profile=PROFILE, dataset="interhuman", variant=variant, seed=0)
    resumed = files.read_json(paths.record_of(weights))["notes"]["resumed"]
    return f"the training of {variant} {'continued from a checkpoint' if resumed else 'started from the beginning'}"


def compare(log: Log, name: str, expected: dict[str, str], found: dict[str, str]) -> None:
    different = [path for path, digest in expected.items() if found.get(path) != digest]
    log(f"{name}: {len(expected) - len(different)} of {len(expected)} artefacts have the bytes of the local run")
    if different:
        raise SystemExit("\n".join(["these differ:", *different]))


def disturbed(study: Path, targets: Sequence[str], folder: Path, log: Log) -> None:
    """The run with the failures."""
    run = through_slurm(study, targets)
    first, second = VARIANTS
    wait(
        "both trainings to be in progress",
        lambda: all(running(training(one), study) and checkpoint(study, one) for one in VARIANTS),
        1200,
    )
    (cancelled,) = running(training(second), study)
    shell("scancel", cancelled)
    log(f"cancelled the running training of {second} (job {cancelled})")
    ((lost, node),) = running(training(first), study).items()
    lose(node, folder)
    log(f"lost node {node} during the training of {first} (job {lost})")
    wait("Slurm to notice", lambda: lost not in running(training(first), study))
    start(node)
    log(f"Slurm detected it; restarted the daemon of {node}")
    wait("the job to run again", lambda: lost in running(training(first), study))
    log(f"Slurm runs job {lost} again on {running(training(first), study)[lost]}")
    (other,) = known(training(second), study) - {cancelled}
    log(f"meanwhile Snakemake gave the cancelled training another attempt, job {other}")
    run.send_signal(signal.SIGKILL)
    run.wait()
    left = shell("squeue", "-h", "-o", "%i").split()
    log(f"killed Snakemake while jobs {', '.join(left)} ran")
    finish(study, through_slurm(study, targets))
    for variant in VARIANTS:
        log(continued(study, variant))


def warned(study: Path, done: Path, log: Log) -> None:
    """One training, in a copy of the finished study ``done``, that gets Slurm's warning before a time limit."""
    shutil.copytree(done, study, ignore=shutil.ignore_patterns(".snakemake"))
    variant = VARIANTS[0]
    weights = paths.path("weights", profile=PROFILE, dataset="interhuman", variant=variant, seed=0)
    shutil.rmtree((study / weights).parent)
    run = through_slurm(study, [str(weights.parent / "metrics.csv")])
    wait(
        "the training to be in progress",
        lambda: bool(running(training(variant), study)) and checkpoint(study, variant),
    )
    ((job, node),) = running(training(variant), study).items()
    shell("scancel", "--signal=USR1", job)
    log(f"sent SIGUSR1 to the training of {variant} (job {job} on {node})")
    wait("the job to be queued again", lambda: restarts(job) == 1)
    log("it saved its step, and Slurm queued its job again")
    finish(study, run)
    log(f"job {job} ended after {restarts(job) + 1} starts; {continued(study, variant)}")


def restarts(job: str) -> int:
    """How often Slurm has started a job again."""
    found = re.search(r"Restarts=(\d+)", shell("scontrol", "show", "job", job))
    return int(found[1]) if found else 0


def finish(study: Path, run: "subprocess.Popen[bytes]") -> None:
    if run.wait():
        raise SystemExit(f"the run failed: see {study / 'run.log'}")


def grown(study: Path) -> str:
    """Memory in MB of each attempt at the stage ``encode-text``."""
    lines = shell("squeue", "-h", "-S", "i", "-t", "all", "-o", "%m %k %Z").splitlines()
    found = [line.split(" ") for line in lines]
    return ", ".join(memory for memory, rule, folder in found if "encode_text" in rule and folder == str(study))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=Path("build/slurm"), help="working folder; its content is deleted first"
    )
    parser.add_argument("--install", action="store_true", help="install slurm-wlm and munge with apt-get first")
    parser.add_argument("--whole", action="store_true", help="the whole graph; else up to the stage `aggregate`")
    options = parser.parse_args(arguments)
    targets = [] if options.whole else [str(paths.path("metrics", profile=PROFILE))]
    if options.install:
        shell("apt-get", "install", "-y", "--no-install-recommends", "slurm-wlm", "munge")
    if missing := [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name)]:
        raise SystemExit(f"not installed: {', '.join(missing)}. Run with --install, as root.")
    if SYSTEM.exists():
        raise SystemExit(f"{SYSTEM} exists: this machine already belongs to a cluster.")
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    log = Log()
    studies = {name: folder / name for name in ("local", "slurm", "disturbed", "warned")}
    for name in ("local", "slurm", "disturbed"):
        make_study(studies[name])
    finish(studies["local"], snakemake(studies["local"], "--cores", "2", "--", *targets))
    expected = artefacts(studies["local"])
    log(f"local: {len(expected)} artefacts")
    with cluster(folder / "cluster"):
        log(f"cluster of {len(NODES)} nodes: {shell('slurmd', '-V').strip()}")
        finish(studies["slurm"], through_slurm(studies["slurm"], targets))
        log(f"encode-text ran out of memory and was repeated with more: {grown(studies['slurm'])}")
        compare(log, "slurm", expected, artefacts(studies["slurm"]))
        disturbed(studies["disturbed"], targets, folder / "cluster", log)
        compare(log, "disturbed", expected, artefacts(studies["disturbed"]))
        warned(studies["warned"], studies["local"], log)
        own = {path: digest for path, digest in expected.items() if f"/{VARIANTS[0]}/" in path}
        compare(log, "warned", own, artefacts(studies["warned"]))


if __name__ == "__main__":
    main()
