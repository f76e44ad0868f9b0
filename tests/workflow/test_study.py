"""The committed study: its files are what their records say, and its tables follow from its metrics to the byte."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from places import PHONE, ROOT
from stages import run as run_stage

from intermamba.config import load
from intermamba.errors import DataError
from intermamba.job import values
from intermamba.models import variants
from intermamba.paths import COMMITTED, committed, path, record_of
from workflow.graph import validate
from workflow.graph.stages import table
from workflow.results.headline import Compared, headline
from workflow.results.reproduced import read


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
    for output in (output for job in jobs for output in job.writes):
        assert not committed(output) or output.exists(), output
    validate.run(load(COMMITTED))


def test_a_changed_input_is_reported_by_name(finished: Path) -> None:
    file = finished / "results/paper/reported/claims.yaml"
    file.write_text(file.read_text() + "# changed\n")
    wrong = r"results/paper/reported/claims.yaml: changed after `intermamba claims --profile study-cpu` read it"
    with pytest.raises(DataError, match=wrong):
        validate.run(load(COMMITTED))


def test_damaged_records_are_all_named(finished: Path) -> None:
    place = finished / "results/study-cpu"
    (place / "claims.csv.prov.json").write_text("{}")
    (place / "metrics.csv.prov.json").write_text('{"code": ')
    with pytest.raises(DataError) as found:
        validate.run(load(COMMITTED))
    assert "claims.csv.prov.json: config: Field required" in str(found.value)
    assert "metrics.csv.prov.json" in str(found.value)
    assert "Delete it and run `intermamba claims --profile study-cpu` again" in str(found.value)


def test_tables_follow_from_the_metrics_of_the_runs_to_the_byte(finished: Path) -> None:
    config = load(COMMITTED)
    stages, names = table(config), ("aggregate", "claims", "tables")
    made = [output for name in names for job in stages[name].jobs() for output in job.outputs.values()]
    before = {file: file.read_bytes() for file in made}
    for file in made:
        file.unlink()
    for name in names:
        run_stage(name, config)
    for file, content in before.items():
        assert file.read_bytes() == content, file


FEWER = {
    ("interhuman", "intermamba_printed"): 1,
    ("interx", "intermamba_long"): 2,
    ("interx", "intergen_long"): 2,
}
"""Rows with fewer trainings than three."""


def test_models_were_trained_and_are_above_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row reads its captions, in three trainings or more except for some."""
    monkeypatch.chdir(ROOT)
    config = load(COMMITTED)
    results = read(config, variants())
    counts = {(data, name): len(seeds) for data, rows in config.runs.items() for name, seeds in rows.items()}
    assert {row: count for row, count in counts.items() if count < 3} == FEWER
    metrics = pd.read_csv(path("metrics", profile=COMMITTED))
    above = {dataset: Compared(results, metrics, dataset).above for dataset in config.runs}
    lost = {(dataset, name) for dataset, rows in above.items() for name, learned in rows.items() if not learned}
    assert lost == {row for row, count in counts.items() if count == 1}, "one training decides nothing"


def test_stages_read_exactly_what_the_graph_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for job in (job for stage in table(load(COMMITTED)).values() for job in stage.jobs()):
        record = json.loads(job.record.read_text())
        assert set(record["inputs"]) == set(map(str, job.reads)), job.command
        assert set(record["outputs"]) == set(map(str, job.outputs.values())), job.command


LISTED_LATER = ("mdm", "com_mdm", "com_mdm_few", "com_mdm.prior", "temos", "rig")
"""Rows of InterHuman that params.yaml listed before that was committed, so that their records say that the tree had
changes."""


def test_records_name_code_that_was_committed() -> None:
    for record in (ROOT / "results" / COMMITTED).rglob(record_of("*").name):
        code = json.loads(record.read_text())["code"]
        assert code["revision"], record
        assert not code["dirty"] or (set(LISTED_LATER) & set(record.parts) and "interhuman" in record.parts), record


def test_rows_that_were_listed_later_have_the_committed_knobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = load(COMMITTED)
    stages, compared = table(config), 0
    for job in (job for name in ("train-part", "train", "evaluate", "gallery") for job in stages[name].jobs()):
        listed = {job.item.get("variant"), job.item.get("part")} & set(LISTED_LATER)
        if listed and job.item["dataset"] == "interhuman":
            assert json.loads(job.record.read_text())["config"] == values(config, job.knobs), job.command
            compared += 1
    assert compared == 3 + 15 + 15 + 5


def test_a_tie_is_no_winner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    results = read(load(COMMITTED), variants())
    found = headline(Compared(results, pd.read_csv(path("metrics", profile=COMMITTED)), "interhuman"))
    assert found.sentences[0].startswith(
        "InterGen (48 epochs) (0.799) has the highest R-precision (top 3); InterMamba (48 epochs) (0.782) and in2IN "
        "(0.721) are not distinguishable from it. "
    )
    usual = "Of the rows trained for no more epochs than usual, in2IN (0.721) has the highest R-precision (top 3); "
    assert usual in found.sentences[0]
    assert "InterMamba (0.682) and InterMamba (light) (0.659) are not distinguishable from it." in found.sentences[0]
    tied = {"InterGen (48 epochs)", "InterMamba (48 epochs)", "in2IN"}
    assert {bar.label for bar in found.bars if bar.leads} == tied
    assert all(bar.low < bar.value < bar.high for bar in found.bars)


@pytest.fixture
def reported(finished: Path) -> Path:
    """Tables and report of the committed study, made by this code; its page."""
    config = load(COMMITTED)
    return [run_stage(stage, config) for stage in ("claims", "tables", "report")][-1][0]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here: needs pdflatex with texlive-latex-extra")
def test_no_box_of_the_pdf_is_wider_than_the_page_and_tables_come_in_order(reported: Path) -> None:
    document = path("report_document", profile=COMMITTED)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document.name],
        cwd=document.parent, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall(r"Overfull \\[hv]box.*", done.stdout)
    numbers = re.findall(r"tables/(\w+)\.tex", document.read_text())
    own = ["sensitivity", "consistency", "claims", "physical", "newer_methods", "copying"]
    assert numbers == [*(f"table{number}" for number in range(1, 6)), *own]


@pytest.mark.parametrize("device", [{"viewport": {"width": 1440, "height": 900}}, PHONE], ids=["desktop", "phone"])
@pytest.mark.slow
def test_the_page_fits_its_window_and_is_legible(reported: Path, browser, device: dict) -> None:
    context = browser.new_context(offline=True, **device)
    tab = context.new_page()
    tab.goto(reported.resolve().as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = tab.evaluate(
        """() => [...document.querySelectorAll("main *, header *")]
          .filter((one) => one.checkVisibility() && parseFloat(getComputedStyle(one).fontSize) < 12)
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert small == []
    cut = "box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1 && !box.matches('.more-right')"
    assert not tab.evaluate(f"[...document.querySelectorAll('.scroll')].some({cut})"), "cut without a hint"
    if device is PHONE:
        assert tab.evaluate("document.documentElement.scrollHeight") < 16_000
    else:
        wide = "box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1"
        assert not tab.evaluate(f"[...document.querySelectorAll('.scroll')].some({wide})"), "cut at 1440 px"
    context.close()
