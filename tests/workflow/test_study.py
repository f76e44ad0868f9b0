"""The committed study: its files are what their records say, and its tables follow from its metrics to the byte."""

import json
import shutil
from pathlib import Path

import pytest
from places import ROOT

from intermamba.config import load
from intermamba.models import variants
from intermamba.paths import COMMITTED, committed, record_of
from workflow.graph import validate
from workflow.graph.stages import table
from workflow.publish import readme
from workflow.results import aggregate, claims
from workflow.results.reproduced import read
from workflow.tables import build as tables


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working tree with the committed results, whose own copies may be written over."""
    for name in ("results", "data"):
        shutil.copytree(ROOT / name / COMMITTED, tmp_path / name / COMMITTED)
    shutil.copytree(ROOT / "results/paper/reported", tmp_path / "results/paper/reported")
    for name in ("params.yaml", "ablations", "evaluators"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_that_git_keeps_is_there_and_as_recorded(finished: Path) -> None:
    jobs = [job for stage in table(load(COMMITTED)).values() for job in stage.jobs()]
    for output in (output for job in jobs for output in job.outputs):
        assert not committed(output) or Path(output).exists(), output
    validate.run(load(COMMITTED))


def test_tables_follow_from_the_metrics_of_the_runs_to_the_byte(finished: Path) -> None:
    config = load(COMMITTED)
    stages = table(config)
    made = [Path(output) for name in ("aggregate", "claims", "tables") for output in stages[name].results]
    before = {file: file.read_bytes() for file in made}
    for file in made:
        file.unlink()
    for stage in (aggregate, claims, tables):
        stage.run(config)
    for file, content in before.items():
        assert file.read_bytes() == content, file


def test_models_were_trained_and_are_told_from_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row reads its captions in three trainings or more, except one (docs/explanation/decisions.md)."""
    monkeypatch.chdir(ROOT)
    config = load(COMMITTED)
    results, _ = read(config, variants())
    assert all(len(seeds) >= 3 for rows in config.runs.values() for seeds in rows.values())
    lost = {(dataset, name) for dataset in config.runs for name in readme.at_chance(results, dataset)}
    assert lost <= {("interx", "intergen")}


def test_stages_read_what_the_graph_says_and_nothing_else(finished: Path) -> None:
    for job in (job for stage in table(load(COMMITTED)).values() for job in stage.jobs()):
        record = json.loads(record_of(job.results[0]).read_text())
        assert set(record["inputs"]) <= set(job.inputs), job.command
        assert set(record["outputs"]) == set(job.results) | set(job.measured), job.command


def test_records_name_code_that_was_committed() -> None:
    for record in (ROOT / "results" / COMMITTED).rglob(record_of("*").name):
        code = json.loads(record.read_text())["code"]
        assert code["revision"], record
        assert not code["dirty"], record
