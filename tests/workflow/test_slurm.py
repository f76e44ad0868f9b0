"""What is asked of Slurm and read from its answers. The cluster itself is in benchmarks/slurm.py."""

import math
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from places import ROOT

from intermamba import config
from intermamba.errors import StateError
from workflow.graph import slurm
from workflow.graph.stage import Work
from workflow.graph.stages import table


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A ``squeue`` that lists the given jobs of this directory, and a ``scancel`` that takes those it is given out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    jobs = tmp_path / "jobs"
    scripts = {
        "squeue": f"print(open({str(jobs)!r}).read(), end='')",
        "scancel": (
            f"import sys; lines = open({str(jobs)!r}).readlines(); "
            f"open({str(jobs)!r}, 'w').writelines(x for x in lines if x.split('|')[0] not in sys.argv[1:])"
        ),
    }
    for name, body in scripts.items():
        (tmp_path / name).write_text(f"#!{sys.executable}\n{body}\n")
        (tmp_path / name).chmod(stat.S_IRWXU)

    def listed(*lines: str, folder: Path = tmp_path) -> Path:
        jobs.write_text("".join(f"{line}|{folder}\n" for line in lines))
        return jobs

    return listed


OUT_OF_MEMORY = """\
slurmstepd-n1: error: StepId=2.0 exceeded memory limit (560799744 > 524288000), being killed
srun: error: n1: task 0: Killed
"""  # jobacct_gather's OverMemoryKill
OOM_KILL = """\
slurmstepd: error: Detected 1 oom-kill event(s) in StepId=11.0. Some of your step tasks have been OOM Killed.
srun: error: node7: task 0: Out Of Memory
"""  # task/cgroup
TIMEOUT = "slurmstepd: error: *** JOB 12 ON node7 CANCELLED AT 2026-11-28T19:15:45 DUE TO TIME LIMIT ***\n"
ITEM = ["interhuman", "intergen", "0"]
RULES: dict[str, list[str]] = {"train": ITEM, "aggregate": []}


def test_only_the_want_that_ended_an_attempt_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = slurm.LOGS / "rule_train" / "_".join(ITEM)
    folder.mkdir(parents=True)
    for job, text in enumerate((OUT_OF_MEMORY, "srun: error: n1: task 0: Exited with exit code 1\n", OOM_KILL)):
        (folder / f"{job}.log").write_text(text)
    other = slurm.LOGS / "rule_aggregate"
    other.mkdir()
    (other / "9.log").write_text(TIMEOUT)
    found = {(want, rule): slurm.factor(want, rule, item, 0.0) for want in slurm.WANTED for rule, item in RULES.items()}
    assert found == {
        ("memory", "train"): 4,
        ("minutes", "train"): 1,
        ("memory", "aggregate"): 1,
        ("minutes", "aggregate"): 2,
    }


def test_attempts_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    log = tmp_path / "rule_aggregate" / "9.log"
    log.parent.mkdir()
    log.write_text(TIMEOUT)
    assert slurm.factor("minutes", "aggregate", [], log.stat().st_mtime, tmp_path) == 2
    assert slurm.factor("minutes", "aggregate", [], log.stat().st_mtime + 1, tmp_path) == 1


def test_jobs_of_a_killed_run_are_ended_and_no_others(queue: Callable[..., Path]) -> None:
    jobs = queue(
        "1|RUNNING|rule_train",
        "2|PENDING|rule_train",
        "3|COMPLETED|rule_train",
        "4|RUNNING|a job of the user's own",
    )
    assert slurm.cancel_leftovers() == ["1", "2"]
    assert [line.split("|")[0] for line in jobs.read_text().splitlines()] == ["3", "4"]
    assert slurm.cancel_leftovers() == []


def test_jobs_of_another_directory_are_not_ours(queue: Callable[..., Path], tmp_path: Path) -> None:
    queue("1|RUNNING|rule_train", folder=tmp_path / "elsewhere")
    assert slurm.cancel_leftovers() == []


def test_jobs_that_do_not_end_are_named(queue: Callable[..., Path], tmp_path: Path) -> None:
    queue("7|COMPLETING|rule_train")
    (tmp_path / "scancel").write_text("#!/bin/sh\n")
    with pytest.raises(StateError, match="do not end: 7"):
        slurm.cancel_leftovers(sleep=lambda _: None)


def test_a_machine_without_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match=r"`squeue` failed.*needs Slurm's commands"):
        list(slurm.submitted())


SINFO = "short|30:00\\nall*|1-12:00:00\\nall*|1-12:00:00\\nlong|infinite\\n"
"""A partition has a line for each state of its nodes."""


@pytest.fixture
def partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "sinfo").write_text(f"#!/bin/sh\nprintf '{SINFO}'\n")
    (tmp_path / "sinfo").chmod(stat.S_IRWXU)
    slurm.limits.cache_clear()
    yield
    slurm.limits.cache_clear()


@pytest.mark.usefixtures("partitions")
def test_time_limits_of_partitions_are_read() -> None:
    named = {name: slurm.longest(name) for name in (None, "short", "all", "long", "short,all", "unknown")}
    assert named == {
        None: 2160.0,
        "short": 30.0,
        "all": 2160.0,
        "long": math.inf,
        "short,all": 2160.0,
        "unknown": math.inf,
    }


@pytest.mark.usefixtures("partitions")
def test_a_time_that_no_job_would_get_is_told() -> None:
    cluster = config.load("smoke").cluster
    assert list(slurm.too_long(cluster)) == []
    light = cluster.light.model_copy(update={"minutes": 31, "partition": "short"})
    data = cluster.data.model_copy(update={"minutes": 2161})
    one, two = slurm.too_long(cluster.model_copy(update={"light": light, "data": data}))
    assert one.startswith("cluster.light.minutes is 31, and partition 'short' allows 30: Slurm may let")
    assert two.startswith("cluster.data.minutes is 2161, and the default partition allows 2160: Slurm may let")


def test_every_kind_of_work_has_a_demand_in_every_profile() -> None:
    """And a larger profile never asks for less."""
    smoke, study, paper = (config.load(name).cluster for name in ("smoke", "study-cpu", "paper"))
    for kind in Work.__args__:
        demands = [getattr(profile, kind) for profile in (smoke, study, paper)]
        for want in ("minutes", "memory"):
            values = [getattr(one, want) for one in demands]
            assert values == sorted(values)
    assert {stage.work for stage in table(config.load("smoke")).values()} == set(Work.__args__)


def test_the_profile_retries_and_requeues() -> None:
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert profile["executor"] == "slurm"
    assert profile["retries"] >= 2
    assert profile["slurm-requeue"] is True
