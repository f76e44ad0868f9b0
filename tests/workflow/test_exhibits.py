"""A stage, a table and a figure of another package: one entry each, and they are everywhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import workflow_study as made_up
from packages import install
from stages import run as run_stage

from intermamba.config import Config
from intermamba.errors import ConfigError
from intermamba.paths import path
from workflow import figures as figure_entries
from workflow import tables as table_entries
from workflow.exhibits import numbering
from workflow.graph import dvc
from workflow.graph.commands import COMMANDS
from workflow.graph.stages import table, targets

SOURCE = """
import pandas as pd
from matplotlib.figure import Figure
from workflow.exhibits import Exhibit
from workflow.graph.commands import StageCommand
from workflow.cells import Block, Cell, Column, Row, Table


def rows(study, job):
    steps = pd.read_csv(job.all("steps.metrics")[0])["steps"].unique()
    row = Row("Steps", {"count": Cell(str(len(steps)), details={"source": str(job.all("steps.metrics")[0])})})
    return Table((Column("count", "Count"),), (Block("counted", "Counted", (row,)),))


def draw(study, job):
    figure = Figure()
    figure.subplots().bar(["rows"], [len(pd.read_csv(job["count.rows"]))])
    return figure


def declare(config, stages):
    from workflow.graph.stage import Stage

    return Stage(
        name="count", profile=config.profile, function="theirs:count", message="count rows", knobs=("runs",),
        inputs={"metrics": (str(stages["aggregate"].job()["metrics"]),)}, reported=True,
        outputs={"rows": f"results/{config.profile}/rows.csv"},
    )


def count(config, job):
    with job.recorded(config):
        pd.read_csv(job["metrics"]).groupby("method").size().to_csv(job["rows"])


TABLE = Exhibit(
    name="counted", title="How many steps.", function="theirs:rows", inputs=("steps.metrics",), knobs=("steps",)
)
FIGURE = Exhibit(name="bars", title="Rows", text="One bar.", function="theirs:draw", inputs=("count.rows",), timed=True)
COUNT = StageCommand(name="count", help="Count the rows of every method.", declare="theirs:declare")
BROKEN = Exhibit(name="broken", title="", function="theirs:draw", inputs=("metrisc",))
TAKEN = Exhibit(name="figure7", title="", function="theirs:draw")
SIZE = 3
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A study in a working directory of its own."""
    for name in ("results/paper/reported", "ablations"):
        shutil.copytree(made_up.ROOT / name, tmp_path / "study" / name)
    shutil.copy(made_up.ROOT / "params.yaml", tmp_path / "study")
    (tmp_path / "study/evaluators").mkdir()
    shutil.copy(made_up.ROOT / "evaluators/protocols.yaml", tmp_path / "study/evaluators")
    monkeypatch.chdir(tmp_path / "study")
    made_up.known(monkeypatch)
    return made_up.config()


@pytest.mark.slow
def test_they_are_in_the_graph_the_results_and_the_report(
    study: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"intermamba_tables": {"counted": "theirs:TABLE"}, "intermamba_figures": {"bars": "theirs:FIGURE"}}
    own["intermamba_stages"] = {"count": "theirs:COUNT"}
    install(tmp_path / "installed", monkeypatch, "theirs", SOURCE, **own)
    assert list(table_entries.tables())[-1] == "counted"
    assert table_entries.tables()["counted"].number == 12
    assert figure_entries.figures()["bars"].number == 14

    stages = table(study)
    files = [f"results/smoke/tables/counted.{form}" for form in ("tex", "md", "csv")]
    files += [f"results/smoke/figures/bars.{form}" for form in ("pdf", "png")]
    assert set(files) <= set(targets(stages)), "Snakemake makes them"
    assert all(f"- {file}\n" in dvc.compile_document(study) for file in files), "and DVC"
    assert [job.command for job in stages["count"].jobs()] == ["intermamba count --profile smoke"]
    assert stages["figures"].job()["count.rows"] == Path("results/smoke/rows.csv")
    assert "cmd: intermamba count" in dvc.compile_document(study)
    assert set(stages["tables"].job().all("steps.metrics")) <= set(stages["tables"].job().reads)
    assert "steps" in stages["tables"].knobs
    assert {"bars.pdf", "bars.png"} <= stages["figures"].job().measured

    made_up.finish(study)
    assert all(Path(file).exists() for file in files)
    assert pd.read_csv(files[2])["printed"].item() > 1
    assert "**Table 12.** How many steps." in Path(files[1]).read_text()
    run_stage("report", study)
    page = path("report", profile="smoke").read_text(encoding="utf-8")
    document = path("report_document", profile="smoke").read_text(encoding="utf-8")
    assert "Table 12. How many steps." in page
    assert "Figure 14. Rows" in page
    assert "../tables/counted.tex" in document
    assert "../figures/bars.pdf" in document
    assert '"count"' in page
    assert "rows.csv" in page


def test_the_stage_has_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "theirs", SOURCE, intermamba_stages={"count": "theirs:COUNT"})
    asked = [sys.executable, "-m", "workflow.cli", "count", "--help"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{made_up.ROOT}"}
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
    assert "Count the rows of every method." in done.stdout


def test_commands_and_the_stage_table_agree() -> None:
    stages = table(made_up.config())
    for name, command in COMMANDS.items():
        if name in stages:  # no stage where a profile has nothing for it
            assert stages[name].fields == command.fields


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("theirs:BROKEN", "unknown input 'metrisc' in figure 'broken'.*Did you mean 'metrics'"),
        ("theirs:TAKEN", "'figure7', from entry point theirs:TAKEN of intermamba.figures, is already taken"),
        ("theirs:SIZE", "theirs:SIZE of intermamba.figures has type int, not Exhibit"),
    ],
)
def test_a_wrong_entry_is_refused(
    study: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, message: str
) -> None:
    install(tmp_path / "installed", monkeypatch, "theirs", SOURCE, intermamba_figures={"one": entry})
    with pytest.raises(ConfigError, match=message):
        table(study)


def test_the_papers_numbers_are_said() -> None:
    said = numbering("Figures", figure_entries.FIGURES.values())
    assert said == "Figures 2, 7 and 8 are numbered as in the paper; those from 9 on are of this project alone."
    assert numbering("Tables", table_entries.TABLES.values()).startswith("Tables 1 to 5 are numbered")
