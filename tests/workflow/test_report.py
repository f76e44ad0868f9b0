"""The report: a page that needs nothing else, says what it shows, and works in a browser."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import workflow_study as made_up
from places import PHONE
from stages import run as run_stage

from intermamba import files
from intermamba.config import Config
from intermamba.errors import DataError, StateError
from intermamba.paths import path, record_of
from workflow.cells import Cell
from workflow.report import build
from workflow.report.lineage import Lineage
from workflow.report.page import Book, Report, packed, render, sortable
from workflow.results import towers
from workflow.tables import pdf

SCRIPTS = made_up.ROOT / "workflow/report"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A finished study with its report, in a working directory of its own."""
    tree = tmp_path_factory.mktemp("report")
    shutil.copytree(made_up.reported(tmp_path_factory), tree, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree)
        made_up.known(patch)
        yield made_up.config()


@pytest.fixture(scope="module")
def page(finished: Config) -> str:
    return path("report", profile="smoke").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Elements, addresses, headings and the data of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.texts[dict(self.elements[-1][1]).get("id", "script")] = data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_needs_nothing_else(page: str) -> None:
    found = Page(page)
    assert found.open == []
    for name, attributes in found.elements:
        for key in ("src", "href"):
            value = attributes.get(key)
            assert value is None or value.startswith(("data:", "#")) or (name == "a" and value.startswith("../")), value
    outside = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.S)
    assert set(re.findall(r"https?://[^\s\"'<)]+", outside)) <= {"http://www.w3.org/2000/svg"}
    (policy,) = (meta["content"] for meta in found.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")


def test_what_people_wrote_stays_text(page: str) -> None:
    found = Page(page)
    assert "</script><b>" not in page
    data = json.loads(found.texts["data"])
    assert [one["caption"] for one in data["datasets"][0]["prompts"]] == [made_up.HOSTILE, "Two people meet."]
    assert data["records"]["results/smoke/metrics.csv.prov.json"]["stage"] == "aggregate"


def test_the_origin_of_the_data_is_in_the_head_and_at_every_block(page: str) -> None:
    head = page[page.index('<header class="top">') : page.index("</header>")]
    assert "synthetic embedded split" in head
    runs = re.findall(r'<tbody class="reproduced">.*?</tr>', page, flags=re.S)
    assert runs
    assert all("synthetic embedded split" in run for run in runs if "as run:" not in run)


def test_towers_are_named_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_csv(path("metrics", profile="smoke"), pd.DataFrame({"tower": ["all-MiniLM-L6-v2-pca64"] * 2}))
    assert towers.kinds("smoke").startswith("a sentence encoder")


def test_every_number_of_this_run_leads_to_a_record(page: str) -> None:
    found = Page(page)
    data = json.loads(found.texts["data"])
    buttons = [int(one["data-cell"]) for one in found.all("button") if "data-cell" in one]
    assert sorted(buttons) == list(range(len(data["cells"])))
    paper = [cell for cell in data["cells"] if all(source not in data["made"] for source in cell["sources"])]
    run = [cell for cell in data["cells"] if cell not in paper]
    assert {source for cell in paper for source in cell["sources"]} == {
        *(f"results/paper/reported/table{number}.csv" for number in range(1, 6)),
        "results/paper/reported/consistency.csv",
        *pd.read_csv("results/paper/reported/newer_methods.csv")["source"],
    }
    assert len(run) > 50
    for cell in run:
        assert all(data["made"][source] in data["records"] for source in cell["sources"])
    # The whole way back: a metric's record names the weights, whose own record is there too.
    (cell,) = (cell for cell in run if cell["title"] == "InterMamba, FID, Table 1")
    record = data["records"][data["made"][cell["sources"][0]]]
    weights = "results/smoke/interhuman/intermamba/seed0/weights.safetensors"
    assert weights in record["inputs"]
    assert data["records"][data["made"][weights]]["stage"] == "train"
    assert cell["details"]["mean"] == pytest.approx(11.2, rel=0.01)


def test_a_number_over_several_trainings_leads_to_each_of_them() -> None:
    runs = [f"results/smoke/interhuman/intermamba/seed{seed}/metrics.csv" for seed in range(3)]
    book = Book(Lineage({}, dict.fromkeys(runs, "record")))
    book.enter("over trainings", Cell("0.454", details={"source": "; ".join(runs), "mean": 0.454}))
    book.enter("second-hand", Cell("5.535", details={"source": "in2IN, CVPR workshops 2024"}))
    book.enter("of two files", Cell("3", details={"source": "table1.csv; table2.csv"}))
    assert [cell["sources"] for cell in book.cells] == [
        runs, ["in2IN, CVPR workshops 2024"], ["table1.csv", "table2.csv"]
    ]  # fmt: skip
    assert book.cells[0]["details"] == {"mean": 0.454}


def test_motions_are_those_of_their_files(finished: Config, page: str) -> None:
    data = json.loads(Page(page).texts["data"])
    assert [one["dataset"] for one in data["datasets"]] == ["interhuman", "interx"]
    methods = [one["label"] for one in data["datasets"][0]["methods"]]
    assert methods == ["Ground truth", "InterMamba", "InterGen"]  # no ablation of the paper
    motion = data["datasets"][0]["methods"][0]["motions"][1]
    assert motion["frames"] == 12
    again = packed(made_up.standing(12, 0.2), 0.0)
    assert motion["scale"] == pytest.approx(again["scale"], rel=1e-4)
    assert motion["joints"] == again["joints"] != packed(made_up.standing(12, 0.1), 0.0)["joints"]


def test_the_summary_says_who_beats_chance(page: str) -> None:
    summary = page[page.index('<section id="summary">') : page.index('<section id="motions">')]
    assert "InterMamba (0.460) has the highest R-precision (top 3)." in summary
    assert (
        "Each row was trained once, so differences between rows, or from chance (0.094), cannot be established."
        in summary
    )
    assert "fffffff with changes" in summary
    assert re.search(r"<dt>Trainings</dt><dd>\d+ of \d+ models", summary)


def test_claims_are_told_in_sentences_and_rounded(finished: Config, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'id="claims"' in page
    caught: list[Report] = []
    monkeypatch.setattr(build, "render", lambda report: caught.append(report) or render(report))
    run_stage("report", finished)
    row = {
        "id": "a", "topic": "Quality", "claim": "A & B help", "where": "Table 5", "of_paper": True,
        "dataset": "interhuman", "metric": "top1", "first": "intermamba", "second": "intergen", "expected": "higher",
        "paper_first": 0.475, "paper_second": 0.371,
        "value_first": 0.21, "value_second": 0.25, "effect": -0.04, "scale": "difference", "low": -0.06, "high": -0.02,
        "p": 0.0061, "p_corrected": 0.0123, "p_alone": 0.2, "p_smaller": 0.5, "trainings": "3, 3",
        "verdict": "does not hold", "note": None,
    }  # fmt: skip
    more = row | {"claim": "It is faster", "effect": 0.5, "scale": "ratio", "low": 0.4, "high": 0.6, "verdict": "holds"}
    unknown = row | {"claim": "C", "topic": "Else", "verdict": "inconclusive", "note": "one training."}
    unknown |= dict.fromkeys(("effect", "low", "high", "p_corrected", "p_alone", "p_smaller", "trainings"))
    frame = pd.DataFrame([row, more, more, unknown])
    text = render(replace(caught[0], claims=frame))
    for piece in (
        "2 hold", "1 does not hold", "A &amp; B help", '<span class="verdict does-not-hold">does not hold</span>',
        "0.475 vs 0.371", "−0.040", "−0.060 to −0.020", "×0.500", 'data-value="0.012"', "one training.",
        "R-precision top 1", "0.210 vs 0.250", "n = 3, 3", 'id="table8"',
    ):  # fmt: skip
        assert piece in text, piece
    with pytest.raises(DataError, match="no column verdict"):
        render(replace(caught[0], claims=frame.drop(columns="verdict")))


def test_a_missing_input_names_its_stage(finished: Config) -> None:
    file = path("table", profile="smoke", table="table1", format="csv")
    content = file.read_bytes()
    file.unlink()
    try:
        with pytest.raises(StateError, match="intermamba tables"):
            run_stage("report", finished)
    finally:
        file.write_bytes(content)


def test_without_latex_the_record_says_so(finished: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.shutil, "which", lambda _: None)
    _, told = run_stage("report", finished)
    record = files.read_json(record_of(path("report", profile="smoke")))
    assert record["notes"]["pdf"] == told == pdf.MISSING
    assert not path("report_document", profile="smoke").with_suffix(".pdf").exists()
    text = path("report_document", profile="smoke").read_text()
    for name in ("../tables/table1.tex", "../tables/consistency.tex", "../figures/figure7.pdf"):
        assert name in text


@pytest.mark.skipif(not any(map(shutil.which, ("latexmk", "pdflatex", "tectonic"))), reason="no LaTeX here")
def test_latex_makes_a_pdf(finished: Config) -> None:
    run_stage("report", finished)
    made = path("report_document", profile="smoke").with_suffix(".pdf")
    assert made.read_bytes().startswith(b"%PDF")
    first = made.read_bytes()
    assert pdf.compile_document(path("report_document", profile="smoke")) == made
    assert made.read_bytes() == first
    broken = Path("broken.tex")
    broken.write_text(r"\documentclass{article}\begin{document}\nothing\end{document}")
    with pytest.raises(StateError, match=r"broken\.tex: .* failed"):
        pdf.compile_document(broken)
    with pytest.MonkeyPatch.context() as patch:  # a LaTeX without the packages is no failure of the report
        patch.setattr(build.latex, "document", lambda *_: broken.read_text())
        _, told = run_stage("report", finished)
    assert told.startswith("PDF not made: results/smoke/report/report.tex: ")


@pytest.mark.skipif(not shutil.which("node"), reason="no node here")
def test_scripts_by_themselves(tmp_path: Path) -> None:
    """Pure functions of the scripts, run by node: unpacking, projection, sorting."""
    for name in ("viewer", "tables"):
        shutil.copy(SCRIPTS / f"{name}.js", tmp_path / f"{name}.mjs")
    motion = packed(np.array([[[[1.0, -2.0, 0.5]]]]), 0.0)
    (tmp_path / "test.mjs").write_text(
        f"const packed = {json.dumps(motion)};\n"
        + """
import assert from "node:assert/strict";
import { beside, bones, decode, extent, lens } from "./viewer.mjs";
import { next, ordered } from "./tables.mjs";

const near = (one, other) => one.forEach((value, index) => assert.ok(Math.abs(value - other[index]) < 1e-4, `${one}`));
near([...decode(packed)], [1, -2, 0.5]);

const { x, z, reach } = extent([0, 5, 0, 3, 5, 4]);
near([x, z, reach], [1.5, 2, 2.5]);
near([beside([0, 0, 0, 1, 0, 0], 1)], [0.3]);  // one beside the other along x: seen from the front, a little aside

// A camera straight ahead: the centre is the image's middle, x goes right and y up, what is nearer is larger.
const see = lens({ azimuth: 0, elevation: 0, zoom: 1 }, { x: 1, y: 1, z: 1 }, 1, 200, 100);
near(see(1, 1, 1).slice(0, 2), [100, 50]);
assert.ok(see(2, 1, 1)[0] > 100 && see(1, 2, 1)[1] < 50);
assert.ok(see(1, 1, 2)[3] > see(1, 1, 1)[3]);
const above = lens({ azimuth: 0, elevation: 1.5, zoom: 1 }, { x: 0, y: 0, z: 0 }, 1, 100, 100);
assert.ok(above(0, 0, 1)[1] > 50 && above(0, 1, 0)[2] < above(0, 0, 0)[2]);

const body = { joints: ["pelvis", "right_knee"], parents: [-1, 0], radii: [0.1, 0.05] };
assert.deepEqual(bones(body), [{ from: 0, to: 1, thick: [0.1, 0.05], limb: true, right: true }]);

const key = (row) => row;
assert.deepEqual(ordered(["2", "10", "", "1"], key, "descending"), ["10", "2", "1", ""]);
assert.deepEqual(ordered(["2", "10", "", "1"], key, "ascending"), ["1", "2", "10", ""]);
assert.deepEqual(ordered(["b", "a", "10"], key, "none"), ["b", "a", "10"]);
assert.deepEqual(ordered(["b", "a"], key, "ascending"), ["a", "b"]);
const presses = ["none", "ascending", "descending"].map((now) => next(now, "ascending"));
assert.deepEqual(presses, ["ascending", "descending", "none"]);
"""
    )
    done = subprocess.run(["node", "test.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def opened(browser, page: str, tmp_path: Path) -> Iterator:
    """Opens the page from a file of its own, offline; nothing may fail in the console, whatever a test does."""
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    said, contexts = [], []

    def visit(**device):
        context = browser.new_context(offline=True, **device)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto((tmp_path / "index.html").as_uri())
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert said == []


def pixels(tab, panel: int = 0) -> str:
    return tab.evaluate("panel => document.querySelectorAll('#viewer canvas')[panel].toDataURL()", panel)


def frame(tab) -> int:
    return int(tab.get_attribute("#viewer", "data-frame"))


def plays_past(tab, frame: int) -> None:
    """Until the viewer shows a later frame by itself."""
    tab.evaluate(
        """frame => new Promise(done => {
          const viewer = document.getElementById("viewer");
          const look = () => Number(viewer.dataset.frame) > frame ? done() : requestAnimationFrame(look);
          look();
        })""",
        frame,
    )


def settle(tab) -> None:
    """Until what was asked for is drawn; a canvas that was never drawn has the width of its definition, 300."""
    tab.wait_for_function("() => [...document.querySelectorAll('#viewer canvas')].every(one => one.width !== 300)")
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_viewer_plays_and_stops(opened) -> None:
    tab = opened()
    tab.locator("#viewer").scroll_into_view_if_needed()
    plays_past(tab, 2)
    assert tab.locator("#viewer canvas").count() == 3
    tab.get_by_role("button", name="Pause").click()
    settle(tab)
    still = [pixels(tab, panel) for panel in range(3)]
    tab.get_by_label("Frame").fill("0")
    settle(tab)
    moved = [pixels(tab, panel) for panel in range(3)]
    assert all(one != other for one, other in zip(still, moved, strict=True))
    tab.get_by_role("button", name="Play").click()
    plays_past(tab, 0)


def test_the_keyboard_does_all_of_it(opened) -> None:
    tab = opened(reduced_motion="reduce")  # which also means: does not play by itself
    viewer = tab.locator("#viewer")
    viewer.focus()
    settle(tab)
    assert (viewer.get_attribute("data-playing"), frame(tab)) == ("false", 0)
    tab.keyboard.press(".")
    settle(tab)
    assert frame(tab) == 1
    tab.keyboard.press(",")
    settle(tab)
    start = pixels(tab)
    assert frame(tab) == 0
    for keys, changed in ((["ArrowLeft"], True), (["0"], False), (["+", "+"], True), (["-", "-"], False)):
        for key in keys:
            tab.keyboard.press(key)
        settle(tab)
        assert (pixels(tab) != start) == changed, keys
    caption = tab.locator("#viewer .caption")
    assert made_up.HOSTILE in caption.inner_text()
    tab.keyboard.press("n")
    assert "Two people meet." in caption.inner_text()
    tab.keyboard.press(" ")
    assert viewer.get_attribute("data-playing") == "true"
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == "Dataset"


def test_mouse_and_touch_turn_the_view(opened) -> None:
    tab = opened(reduced_motion="reduce")
    canvas = tab.locator("#viewer canvas").first
    canvas.scroll_into_view_if_needed()
    settle(tab)
    start, box = pixels(tab), canvas.bounding_box()
    tab.mouse.move(box["x"] + 40, box["y"] + 60)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 120, box["y"] + 60)
    tab.mouse.up()
    settle(tab)
    turned = pixels(tab)
    assert turned != start
    canvas.dblclick()
    settle(tab)
    assert pixels(tab) == start

    phone = opened(reduced_motion="reduce", **PHONE)
    phone.locator("#viewer canvas").first.scroll_into_view_if_needed()
    settle(phone)
    before, box = pixels(phone), phone.locator("#viewer canvas").first.bounding_box()
    touch = phone.context.new_cdp_session(phone)
    for kind, x in (("touchStart", 40), ("touchMove", 60), ("touchMove", 110), ("touchEnd", None)):
        points = [] if x is None else [{"x": box["x"] + x, "y": box["y"] + 60}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    settle(phone)
    assert pixels(phone) != before


def test_headings_sort_each_block(opened) -> None:
    tab = opened()
    table = tab.locator("#table1 table")
    heading = table.get_by_role("button", name="FID")

    def column(block: int) -> list[float]:
        texts = table.locator("tbody").nth(block).locator("tr.method td:nth-child(5)").all_inner_texts()
        return [float(text.split("±")[0]) for text in texts]

    as_printed = [column(0), column(1)]
    heading.focus()
    tab.keyboard.press("Enter")
    assert [column(0), column(1)] == [sorted(one) for one in as_printed], "lower is better, so the lowest comes first"
    assert table.locator("th[aria-sort=ascending]").count() == 1
    heading.click()
    assert [column(0), column(1)] == [sorted(one, reverse=True) for one in as_printed]
    assert table.locator("tbody").nth(1).locator("tr").nth(1).inner_text().startswith("Ground truth")
    heading.click()
    assert [column(0), column(1)] == as_printed


def test_a_number_leads_to_its_run_and_on_to_its_training(opened) -> None:
    tab = opened()
    row = tab.locator("#table1 tbody.reproduced tr.method", has_text="InterMamba")
    row.get_by_role("button").nth(3).press("Enter")
    dialog = tab.get_by_role("dialog")
    assert "InterMamba, FID, Table 1" in dialog.inner_text()
    assert (
        "intermamba evaluate --profile smoke --dataset interhuman --variant intermamba --seed 0" in dialog.inner_text()
    )
    assert "not committed" in dialog.inner_text()
    dialog.get_by_role("button", name="results/smoke/interhuman/intermamba/seed0/weights.safetensors").click()
    assert "intermamba train --profile smoke" in dialog.inner_text()
    dialog.get_by_role("button", name="Back").click()
    assert "InterMamba, FID" in dialog.inner_text()
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    tab.locator("#table1 tbody.reported tr.method button").first.click()
    assert "Transcribed from" in dialog.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["phone", "desktop"])
def test_nothing_sticks_out_and_everything_can_be_read(opened, scheme: str, device: str) -> None:
    tab = opened(color_scheme=scheme, **(PHONE if device == "phone" else {"viewport": {"width": 1280, "height": 800}}))
    wide = "[document.documentElement.scrollWidth, innerWidth]"
    scrolled, visible = tab.evaluate(wide)
    assert scrolled <= visible
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert tab.locator(".origin").is_visible()
    assert tab.locator(".origin").bounding_box()["y"] < 100
    # WCAG's contrast of text with the nearest painted background behind it: 4.5 for body text.
    poor = tab.evaluate(
        """() => {
          const parse = (colour) => {
            const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
            return colour.startsWith("color(") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
          };
          const light = ([r, g, b]) => [r, g, b]
            .map((value) => value / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
            .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
          const behind = (node) => {
            const found = parse(getComputedStyle(node).backgroundColor);
            return found[3] > 0.8 ? found : node.parentElement ? behind(node.parentElement) : [255, 255, 255, 1];
          };
          const found = [];
          for (const node of document.querySelectorAll("main *, header *")) {
            const says = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
            if (!says || !node.checkVisibility()) continue;
            const [text, back] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
            const contrast = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
            if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${node.outerHTML.slice(0, 90)}`);
          }
          return found.slice(0, 10);
        }"""
    )
    assert poor == []


def test_everything_pressable_has_a_name(opened) -> None:
    tab = opened()
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a, img, canvas")]
          .filter((one) => one.checkVisibility())
          .filter((one) => !(one.getAttribute("aria-label") || one.alt || one.textContent.trim()))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    assert tab.locator("h1").count() == 1


def test_tables_come_in_the_order_of_their_numbers(page: str) -> None:
    tables = page[page.index('<section id="tables">') : page.index('<section id="figures">')]
    assert [int(number) for number in re.findall(r"(?:<h3>|elsewhere\">)Table (\d+)\.", tables)] == list(range(1, 12))
    figures = page[page.index('<section id="figures">') :]
    assert re.findall(r"<strong>Figure (\d+)\.", figures) == ["2", "7", "8", "9", "10", "11", "12", "13"]


def test_small_files_are_held_by_the_page_and_no_two_share_a_name(page: str) -> None:
    links = [one for one in Page(page).all("a") if one["href"].startswith("data:text/csv") or "../" in one["href"]]
    names = [one.get("download") or one["href"] for one in links]
    assert len(set(names)) == len(names)
    held = {one["download"]: one["href"].partition("base64,")[2] for one in links if "download" in one}
    for dataset in ("interhuman", "interx"):
        assert {f"{dataset}-evaluator-sensitivity.csv", f"../{dataset}/evaluator/sensitivity.csv"} & set(names)
    assert base64.b64decode(held["claims.csv"]) == path("claims", profile="smoke").read_bytes()


def test_closeness_is_sorted_by_the_distance_to_the_ground_truth() -> None:
    assert sortable(Cell("9.5"), Decimal("12.0")) == "2.5"
    assert sortable(Cell("−0.149")) == "-0.149"
    assert sortable(Cell("yes")) == sortable(None) == ""


def test_a_table_that_is_cut_says_so_and_long_ones_are_folded_on_a_phone(opened) -> None:
    phone = opened(**PHONE)
    assert not phone.locator("#table1 details.fold").first.evaluate("fold => fold.open")
    phone.locator("#table1 summary").first.click()
    box = phone.locator("#table1 .scroll")
    settle(phone)
    assert phone.locator("#table1 .hint").is_visible()
    box.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    phone.wait_for_function("() => !document.querySelector('#table1 .scroll').classList.contains('more-right')")
    assert not phone.locator("#table1 .hint").is_visible()
    desktop = opened(viewport={"width": 1440, "height": 900})
    assert desktop.locator("#table1 details.fold").first.evaluate("fold => fold.open")


def test_claims_are_folded_by_topic_on_a_phone_and_open_at_a_touch(opened) -> None:
    phone = opened(**PHONE)
    topic = phone.locator("#claims button.fold").first
    rows = phone.locator("#claims tbody").first.locator("tr:not(.heading)")
    assert topic.get_attribute("aria-expanded") == "false"
    assert not rows.first.is_visible()
    said = phone.locator("#claims tbody").first.locator(".heading .small").inner_text()
    assert sum(map(int, re.findall(r"\d+", said))) == rows.count(), said
    topic.click()
    assert topic.get_attribute("aria-expanded") == "true"
    assert rows.first.is_visible()
    phone.emulate_media(media="print")
    assert phone.locator("#claims tbody tr").last.is_visible(), "folded on paper"
    desktop = opened(viewport={"width": 1440, "height": 900})
    assert desktop.locator("#claims tbody tr").last.is_visible()
