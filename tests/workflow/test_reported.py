"""The paper's numbers, as transcribed: counts, column sums added up from the printed tables, and single cells.

The sums were taken over the paper's text with awk, column by column, not from the files under test.
"""

import re
from decimal import Decimal

import pandas as pd
import pytest
from places import ROOT
from stages import reading

from intermamba.errors import DataError
from intermamba.paths import path
from workflow.tables import newer_methods

ABSTRACTS = ("arxiv.org/abs/2410.10010", "arxiv.org/abs/2601.20383")
"""Papers of which the abstract was read."""
FOLDER = ROOT / "results" / "paper" / "reported"
COLUMNS = ["row", "method", "citation", "metric", "label", "value", "interval", "emphasis", "note"]

# table: {metric: (rows, sum of values, sum of intervals)}
SUMS = {
    1: {
        "top1": (11, "3.3560", "0.1020"),
        "top2": (11, "4.6870", "0.1100"),
        "top3": (11, "5.7880", "0.1180"),
        "fid": (11, "118.5510", "0.6960"),
        "mm_dist": (11, "59.7490", "0.1260"),
        "diversity": (11, "78.9340", "0.4830"),
        "multimodality": (10, "13.7260", "0.4370"),
    },
    2: {
        "top1": (9, "2.1663", "0.0460"),
        "top2": (9, "3.3520", "0.0430"),
        "top3": (9, "4.1830", "0.0390"),
        "fid": (9, "130.5550", "0.9594"),
        "mm_dist": (9, "67.6627", "0.1730"),
        "diversity": (9, "60.5890", "1.0100"),
        "multimodality": (8, "20.1640", "0.4060"),
    },
    3: {
        "inference_seconds": (4, "3.385", "0"),
        "parameters_millions": (4, "525", "0"),
        "flops_billions": (4, "149.63", "0"),
    },
    4: {"fid": (3, "18.259", ".111"), "r_precision": (3, "2.009", ".019")},
    5: {
        "r_precision": (4, "2.090", ".028"),
        "fid": (4, "33.571", ".158"),
        "parameters_millions": (4, "596", "0"),
    },
}


def read(number: int) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"table{number}.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("number", SUMS)
def test_columns_add_up_to_the_sums_of_the_printed_table(number):
    frame = read(number)
    assert list(frame.columns) == COLUMNS
    assert set(frame["metric"]) == set(SUMS[number])
    for metric, (rows, values, intervals) in SUMS[number].items():
        column = frame[(frame["metric"] == metric) & (frame["value"] != "-")]
        assert len(column) == rows
        assert sum(map(Decimal, column["value"])) == Decimal(values), metric
        assert sum(map(Decimal, filter(None, column["interval"]))) == Decimal(intervals), metric


@pytest.mark.parametrize("number", SUMS)
def test_every_row_has_every_metric_once(number):
    frame = read(number)
    assert not frame.duplicated(["row", "metric"]).any()
    assert len(frame) == frame["row"].nunique() * frame["metric"].nunique()
    assert [int(row) for row in frame["row"].unique()] == list(range(1, frame["row"].nunique() + 1))


@pytest.mark.parametrize(
    ("number", "row", "metric", "value", "interval"),
    [
        (1, 9, "fid", "5.535", ".120"),
        (1, 10, "top3", "0.706", ".004"),
        (2, 1, "fid", "0.002", ".0002"),
        (2, 4, "mm_dist", "8.5347", ".055"),
        (2, 9, "top1", "0.4573", ".004"),
        (3, 2, "flops_billions", "33.72", ""),
        (4, 3, "r_precision", "0.705", ".004"),  # 0.706 in Table 1: kept as printed
        (5, 1, "r_precision", "0.371", ".010"),
        (5, 3, "fid", "13.184", ".012"),
    ],
)
def test_cells_keep_the_printed_digits(number, row, metric, value, interval):
    frame = read(number)
    cell = frame[(frame["row"] == str(row)) & (frame["metric"] == metric)].iloc[0]
    assert (cell["value"], cell["interval"]) == (value, interval)


def test_printed_oddities_are_kept_and_noted():
    table3 = read(3)
    assert set(table3.loc[table3["method"] == "in2IN", "citation"]) == {"52"}  # Inter-X's number, not in2IN's [41]
    table1 = read(1)
    underlined = table1[table1["emphasis"] == "underlined"]
    assert list(underlined["metric"]) == ["top1", "top2", "top3", "mm_dist", "diversity"]
    assert set(underlined["method"]) == {"InterMamba (light)"}
    table5 = read(5)
    assert table5.loc[(table5["row"] == "4") & (table5["metric"] == "r_precision"), "note"].item()


@pytest.mark.parametrize("number", SUMS)
def test_values_are_numbers_as_printed(number):
    frame = read(number)
    assert all(re.fullmatch(r"\d+(\.\d+)?|-", value) for value in frame["value"])
    assert all(re.fullmatch(r"(\.\d+)?", interval) for interval in frame["interval"])
    assert set(frame["emphasis"]) <= {"", "underlined", "emphasised"}


def test_what_others_report_is_shown_as_its_source_gives_it_and_never_ranked() -> None:
    table = newer_methods.table(None, reading(newer_methods=path("newer_methods")))
    rows = {row.label: row for row in table.blocks[0].rows}
    assert rows["InterMask, abstract"].cells["fid"].text == "5.154"
    assert rows["InterMask, abstract"].cells["standing"].text == "paper"
    assert rows["InterMask, issue 3"].cells["fid"].text == "5.8878"
    assert rows["InterMask, issue 3"].cells["standing"].text == "user"
    assert "InterMask, issue 3: github.com/gohar-malik/InterMask/issues/3." in table.notes
    interx = {row.label: row for row in table.blocks[1].rows}
    assert interx["T2M, released weights"].cells["fid"].text == "3.3417"
    assert interx["T2M, released weights"].cells["standing"].text == "authors' log"
    assert not any(column.direction for column in table.columns)
    assert table.of_words, "it would not fit a page"
    for row in (*rows.values(), *interx.values()):
        for cell in row.cells.values():
            assert cell.mark == ""
            assert cell.details["source"]
            seen = cell.details["source"].startswith(("github.com/", *ABSTRACTS))
            assert seen or row.cells["standing"].text == "second-hand", row.label


def test_every_report_has_one_standing_and_every_metric_once() -> None:
    frame = pd.read_csv(FOLDER / "newer_methods.csv", dtype=str, keep_default_na=False)
    report = ["dataset", "method", "how", "source"]
    assert not frame.duplicated([*report, "metric"]).any()
    assert (frame.groupby(report)["standing"].nunique() == 1).all()
    assert not frame.drop_duplicates(report).duplicated(["dataset", "method", "how"]).any()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("method,how", "name,how", r"columns dataset, name, how"),
        (",fid,", ",fidd,", "Did you mean 'fid'"),
        (",user,", ",users,", "Did you mean 'user'"),
    ],
)
def test_a_broken_transcription_is_refused(tmp_path, monkeypatch, old, new, message) -> None:
    file = tmp_path / path("newer_methods")
    file.parent.mkdir(parents=True)
    file.write_text((FOLDER / "newer_methods.csv").read_text().replace(old, new, 1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        newer_methods.table(None, reading(newer_methods=path("newer_methods")))
