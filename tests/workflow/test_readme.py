"""What the documents say is what the project does."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from places import ROOT

from intermamba.config import load
from intermamba.cost.complexity import SCAN_FLOPS
from intermamba.datasets import dataset
from workflow.graph.commands import COMMANDS
from workflow.publish import readme
from workflow.results import reported

README = (ROOT / "README.md").read_text()
PAGES = ("index", "howto/generate", "howto/own-variant", "reference/results", "reference/costs")
PROSE = README + "".join((ROOT / f"docs/{name}.md").read_text() for name in PAGES)


@pytest.mark.slow  # CI compares them with `make docs`
@pytest.mark.parametrize("document", readme.DOCUMENTS, ids=str)
def test_results_in_the_documents_are_the_committed_ones(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = document.read_text()
    assert readme.render(text, document, readme.DOCUMENTS[document]) == text


def test_the_readme_is_short_and_its_first_commands_come_first() -> None:
    assert len(README.splitlines()) <= 150
    assert len(README.partition("    make reproduce ")[0].splitlines()) < 30


def test_every_number_of_the_prose_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the results, which are generated: each number that remains has its source here."""
    monkeypatch.chdir(ROOT)
    flops = {
        cell["method"]: cell["value"]
        for cell in reported.read(3).query("metric == 'flops_billions'").to_dict("records")
    }
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    datasets = {name: load(name).datasets for name in ("smoke", "paper")}
    longest = {name: one["interhuman"].max_frames - dataset("interhuman").lost for name, one in datasets.items()}
    sourced = [
        f"Python {python} or newer",
        f"gives its {flops['InterGen']} or {flops['Ours (UltraLight)']}",
        f"and {SCAN_FLOPS / 2} multiply-accumulates for each channel",
        f"(`smoke`: {longest['smoke']} frames on InterHuman, `paper`: {longest['paper']})",
        "License](LICENSE): Apache-2.0",
    ]
    prose = re.sub(r"<!-- (.+?): begin -->.*?<!-- \1: end -->", "", PROSE, flags=re.DOTALL)
    for text in sourced:
        assert prose.count(text) == 1, text
        prose = prose.replace(text, "")
    for none in (r"^ {4}.*$", r"`[^`]*`", r"\]\([^)]*\)", r"^\d\. ", r"(Tables?|Figures?) \d( to \d)?"):
        prose = re.sub(none, "", prose, flags=re.MULTILINE)
    assert not re.findall(r".*(?<![A-Za-z])\d.*", prose)


def test_the_architecture_lists_every_stage() -> None:
    section = (ROOT / "docs/explanation/architecture.md").read_text().partition("## Stages")[2].partition("## ")[0]
    rows = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    described = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(described) == sorted({"fetch", "evaluate", "adopt", "complexity", *COMMANDS})


def test_the_readmes_example_is_a_valid_variant(tmp_path: Path) -> None:
    import ablations

    page = (ROOT / "docs/howto/own-variant.md").read_text()
    example = re.search(r"( +name: my_idea\n(?: +\w+: .*\n)+)", page)
    assert example
    (tmp_path / "my_idea.yaml").write_text(yaml.safe_dump(yaml.safe_load(example[1])))
    assert ablations.read(tmp_path)["my_idea"].options()


def test_every_inferred_choice_of_the_models_is_explained() -> None:
    from intermamba.methods.intergen import InterGenOptions
    from intermamba.methods.intermamba import InterMambaOptions

    document = (ROOT / "docs/explanation/deviations.md").read_text()
    for field in InterMambaOptions.model_fields | InterGenOptions.model_fields:
        assert re.search(rf"`{field}[`:]", document), field


def test_commands_named_in_the_readme_exist() -> None:
    from workflow.cli.commands import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for named in re.findall(r"intermamba ([a-z][a-z-]+)(?: |`|\n)", PROSE):
        assert named in commands, named
    targets = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"(?:^    |`)make ([a-z]+)", PROSE, re.MULTILINE):
        assert named in targets, named
