"""The page on scale: fits of made-up costs that are known, and a study's size as the plan counts it."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from places import ROOT

from intermamba import config, files
from intermamba.provenance import recorded
from workflow.graph import plan
from workflow.publish import scale


def rows(dataset: str, stage: str, lengths: dict[str, tuple[tuple[int, int], ...]]) -> list[dict]:
    """Two seconds, four milliseconds a clip and ten microseconds a frame; a megabyte and a kilobyte a clip."""
    return [
        {
            "dataset": dataset,
            "lengths": name,
            "stage": stage,
            "clips": clips,
            "frames": clips * frames,
            "seconds": 2 + 4e-3 * clips + 1e-5 * clips * frames,
            "wall": 1.0,
            "held": 2**20 + 1024 * clips,
            "resident": 2**30,
            "read": 10**9,
            "written": 1000 * clips * frames,
        }
        for name, sizes in lengths.items()
        for clips, frames in sizes
    ]


USUAL = {"usual": ((100, 90), (300, 90), (900, 90))}
BOTH = USUAL | {"short": ((250, 40),)}


def test_a_known_cost_is_found_again() -> None:
    seconds = scale.fit(pd.DataFrame(rows("interx", "preprocess", BOTH)), "seconds")
    assert asdict(seconds) == pytest.approx({"constant": 2, "clip": 4e-3, "frame": 1e-5, "residual": 0}, abs=1e-9)
    assert seconds.at(9000.0, 90 * 9000.0) == pytest.approx(2 + 36 + 8.1)
    without = scale.fit(pd.DataFrame(rows("interx", "encode-text", USUAL)), "seconds")
    assert (without.frame, without.clip) == (0, pytest.approx(4e-3 + 90e-5))


def test_a_study_grows_as_the_plan_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    paper = scale.sized(config.load("paper"))
    large = scale.sized(config.load("paper"), clips=10, frames=0.5)
    assert sum(plan.clips(paper, "interx").values()) == pytest.approx(11388, abs=1)
    assert sum(plan.clips(large, "interx").values()) == pytest.approx(113880, abs=1)
    assert large.datasets["interx"].max_frames == 75
    assert len(list(scale.repeated(paper, 3).rows())) == 3 * len(list(paper.rows()))


def test_the_page_shows_sizes_fits_and_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(scale, "MEASURED", tmp_path / "scale.csv")
    assert scale.render() == ""
    found = [
        row
        for dataset in ("interhuman", "interx")
        for stage in (*scale.STAGES, scale.DISK)
        for row in rows(dataset, stage, BOTH if stage in ("fetch", "preprocess", "epoch") else USUAL)
    ] + rows("interhuman", "preprocess", {scale.RENAMED: ((9000, 100),)})
    with recorded("scale", [scale.MEASURED]):
        files.write_csv(scale.MEASURED, pd.DataFrame(found))
    text = scale.render()
    assert "| preprocess | 900 | 90 | 6.41 | 1.0 | 1,000 | 81 | 2 | 1,024 |" in text
    assert "| preprocess | 2.0 | 4.90 | 0% | 1 | 1.0 | 46 s | 47 s | 10 | 10 |" in text  # which is not fitted
    assert "| preprocess | 2.0 | 4.90 | 0% | 1 | 1.0 | 46 s | — | 10 | — |" in text
    assert f"| three training seeds | {3 * len(list(config.load('paper').rows()))} |" in text
    with recorded("scale", [scale.MEASURED]):
        files.write_csv(scale.MEASURED, pd.DataFrame(rows("interx", "fetch", BOTH) + rows("interx", scale.DISK, BOTH)))
    assert "| fetch: every file checked | 2.0 |" in scale.render()
    assert "A whole study" not in scale.render()
