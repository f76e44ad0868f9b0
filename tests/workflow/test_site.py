"""The documentation: links lead somewhere, every page is reached, and what is generated says what the code does."""

import csv
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from places import ROOT

from intermamba.api import Model
from intermamba.config import Config, Section
from intermamba.motion import Motion
from intermamba.prompts import Prompt
from intermamba.requests import Request
from intermamba.skeleton import BODY
from workflow.publish import parameters, pictures, readme, site

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "results/README.md"]
PAGES += sorted(DOCS.rglob("*.md"))
FILES = (DOCS / "reference/files.md").read_text()


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as the site and GitHub make them, or as the heading gives them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        given = re.search(r"\{ #([\w-]+) \}", heading)
        found.add(given[1] if given else re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)\s:#]*)(?:#([\w-]+))?\)", text):
        file = page.parent / target if target else page
        assert file.exists(), f"{target}: no such file"
        if anchor:
            assert anchor in anchors(file), f"{target}: no heading #{anchor}"


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = set(leaves(settings["nav"]))
    outside = tuple(line.strip("/") for line in settings["not_in_nav"].split())
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert {page for page in pages if not page.startswith(outside)} == listed - {"CONTRIBUTING.md"}


def leaves(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict | list):
        for one in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(one)


def test_pages_that_the_code_names_exist() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in listed:
        if Path(name).suffix in {".py", ".yaml", ".toml", ".jinja"} and (ROOT / name).is_file():
            for page in re.findall(r"(?<![\w/])(docs/[\w/-]+\.md)", (ROOT / name).read_text()):
                assert (ROOT / page).is_file(), f"{name}: {page}"


@pytest.mark.parametrize("picture", readme.DRAWN, ids=str)
def test_pictures_are_drawn_from_the_code(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert picture.read_text() == readme.DRAWN[picture](), "run `make docs`"


def test_arrows_that_follow_from_others_are_left_out() -> None:
    followers = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert pictures.reduced(followers) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def sections(section: type[Section]) -> Iterator[tuple[type[Section], str]]:
    for name, field in section.model_fields.items():
        inner = re.findall(r"\b(\w+Config)\b", str(field.annotation))
        if inner:
            (found,) = {one for one in Section.__subclasses__() if one.__name__ in inner}
            yield from sections(found)
        else:
            yield section, name


def test_every_knob_is_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rendered = parameters.render()
    for _, name in sections(Config):
        assert f"\n| `{name}` |" in rendered, name


CSV = {
    "results/study-cpu/metrics.csv": "Metrics",
    "results/study-cpu/summary.csv": "Metrics",
    "results/study-cpu/interhuman/evaluator/sensitivity.csv": "Metrics",
    "results/study-cpu/interhuman/intermamba/seed0/steps.csv": "Metrics",
    "results/study-cpu/learning.csv": "Training logs",
    "results/study-cpu/alpha_beta.csv": "Training logs",
    "results/study-cpu/interhuman/intermamba/seed0/training.csv": "Training logs",
    "results/study-cpu/interhuman/intermamba/seed0/adaptive.csv": "Training logs",
    "results/study-cpu/interx/evaluator/training.csv": "Training logs",
    "results/study-cpu/claims.csv": "Claims",
    "results/study-cpu/complexity.csv": "Cost",
    "results/study-cpu/complexity_time.csv": "Cost",
    "docs/paper/budget.csv": "Cost",
    "docs/bench/scan.csv": "Cost",
    "docs/bench/models.csv": "Cost",
    "docs/bench/growth.csv": "Cost",
    "docs/bench/exponents.csv": "Cost",
    "results/study-cpu/tables/table3.csv": "Tables",
    "results/paper/reported/table1.csv": "Tables",
    "results/paper/reported/consistency.csv": "Tables",
    "results/paper/reported/newer_methods.csv": "Tables",
}
"""One file of each kind, and the part of the reference that explains its columns."""


@pytest.mark.parametrize("name", CSV)
def test_every_column_is_documented(name: str) -> None:
    with (ROOT / name).open(newline="") as file:
        columns = next(csv.reader(file))
    part = FILES.split(f"## {CSV[name]}\n")[1].split("\n## ")[0]
    rows = " ".join(line.split("|")[1] for line in part.splitlines() if line.startswith("| `"))
    assert not [column for column in columns if f"`{column}`" not in rows]


def test_every_array_of_a_sample_is_documented() -> None:
    """All that a motion can hold: of an answer to a request, on a user's body; ``details`` as a model gives them."""
    request = Request(clip="1", caption_index=0, caption="They bow.", frames=15, samples=2)
    joints = np.zeros((15, 2, 22, 3), np.float32)
    rotations = np.zeros((15, 2, 21, 3, 3), np.float32)
    features = np.zeros((15, 2, 262), np.float32)
    prompt = Prompt("They bow.", request=request, sample=0)
    motion = Motion(prompt, joints, rotations, BODY[1:], joints[:, :, 0], features, 30, 0.0, 0, bones=np.zeros((55, 3)))
    part = FILES.split("## Sample\n")[1].split("\n## ")[0]
    details = re.findall(r'^ {12}"(\w+)": ', inspect.getsource(Model.motions), re.MULTILINE)
    assert len(details) == 7
    assert not [name for name in (*motion.arrays(), *details) if f"`{name}`" not in part]


def test_links_between_files_become_links_of_the_site() -> None:
    text = "[a](../x/a.md#part) `[no](b.md)` [site](https://a.b/c.md)\n```\n[no](d.md)\n```\n![b](../../results/b.png)"
    found = list(site.targets(text, f"{site.DOCS}y/page.md"))
    assert found == [f"{site.DOCS}x/a.md", "results/b.png"]


def test_docstrings_become_markdown() -> None:
    assert site.as_markdown("See :func:`~intermamba.load`.") == "See `intermamba.load`."
    table = "====  ====\nB     batch\n====  ===="
    assert site.as_markdown(f"Axes:\n\n{table}\n\nUnits.") == f"Axes:\n\n```text\n{table}\n```\n\nUnits."
