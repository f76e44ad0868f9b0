"""Ranking and layout of a table value: marks, number formats, escaping in LaTeX and Markdown."""

import math

import pytest

from intermamba.errors import DataError
from workflow.cells import Block, Cell, Column, Row, Table, decimals, interval, ranked, significant
from workflow.tables import latex, markdown

REAL = Row("Real", {"m": Cell("5.0")}, kind="real")


def marks(direction, values, *others, chance=False):
    """Marks of methods with the shown ``values``."""
    rows = (*others, *(Row(str(index), {"m": Cell(value)}) for index, value in enumerate(values)))
    block = ranked(Block("reproduced", "", rows), [Column("m", "M", direction, chance=chance)])
    return [row.cells["m"].mark for row in block.rows if row.kind == "method"]


@pytest.mark.parametrize(
    ("direction", "values", "expected"),
    [
        ("up", ["1.0", "3.0", "2.0"], ["", "best", "second"]),
        ("down", ["1.0", "3.0", "2.0"], ["best", "", "second"]),
        ("down", ["10.0", "9.0"], ["second", "best"]),  # numbers, not text
        ("closer", ["5.5", "4.9", "8.0"], ["second", "best", ""]),
        ("closer", ["5.1", "4.9"], ["best", "best"]),
        ("up", ["2.0", "2.0", "1.0"], ["best", "best", "second"]),
        ("up", ["2.0"], [""]),
        ("up", ["2.0", "—"], ["", ""]),
        ("", ["2.0", "✓"], ["", ""]),
    ],
)
def test_best_and_second(direction, values, expected):
    assert marks(direction, values, REAL) == expected


def test_closeness_needs_a_real_row():
    assert marks("closer", ["5.1", "4.9"]) == ["", ""]


@pytest.mark.parametrize(("direction", "expected"), [("up", ["best", "", ""]), ("down", ["", "", "best"])])
def test_only_what_beats_chance_is_marked(direction, expected):
    chance = Row("shuffled", {"m": Cell("2.0")}, kind="chance")
    assert marks(direction, ["3.0", "2.0", "1.0"], chance, chance=True) == expected
    assert "second" in marks(direction, ["3.0", "2.0", "1.0"], chance)  # a metric that does not see captions


@pytest.mark.parametrize(
    ("value", "expected"),
    [(118.6, "118.6"), (0.12345, "0.1235"), (0.012345, "0.01235"), (99999.0, "99999"), (9.99996, "10.00"), (0.0, "0")],
)
def test_significant_digits_are_positional(value, expected):
    assert significant(value) == expected


def test_intervals_are_in_the_style_of_the_field():
    assert (interval(0.0051, 3), interval(1.25, 2), interval(math.nan, 3)) == (".005", "1.25", "")
    assert decimals(0.4750, 3) == "0.475"


def test_the_last_bits_of_a_sum_decide_no_digit():
    assert decimals(0.45249999999999996, 3) == decimals(0.4525000000000002, 3)


TABLE = Table(
    (Column("a", "Top 1", "up", "Group"), Column("b", "FID", "down")),
    (
        Block("reported", "Reported", (Row("ComMDM* [x] w/o #1", {"a": Cell("0.5", ".01", "best")}, citation="42"),)),
        Block("reproduced", "This run", (Row("a_b | c", {"b": Cell("1.0", "", "second"), "a": Cell("✓")}),), "x_y"),
    ),
    ("α → β ± 1 < 2",),
    number=1,
    caption="50% of A & B_1",
)


def test_latex_escapes_and_marks():
    text = latex.table(TABLE)
    assert r"\caption{50\% of A \& B\_1}" in text
    assert r"ComMDM* [x] w/o \#1 [42] & \textbf{0.5}$^{\pm .01}$ & --- \\" in text
    assert r"a\_b | c & \checkmark{} & \underline{1.0} \\" in text
    assert r"$\alpha$ $\rightarrow$ $\beta$ $\pm$ 1 \textless{} 2" in text
    assert r"\multicolumn{1}{c}{Group}" in text
    assert r"\cmidrule(lr){2-2}" in text
    assert text.isascii()


@pytest.mark.parametrize("character", "\\&%$#_{}~^<>")
def test_latex_leaves_no_special_character_bare(character):
    escaped = latex.escape(character)
    assert escaped.startswith("\\")
    assert escaped != character


def test_every_row_of_a_latex_table_has_every_column():
    lines = latex.table(TABLE).splitlines()
    rows = [line for line in lines if line.endswith(r"\\") and "multicolumn{3}" not in line]
    assert rows
    assert all(line.replace(r"\&", "").count("&") == 2 for line in rows)


def test_latex_refuses_what_pdflatex_cannot_print():
    assert latex.escape("Méthode “à deux”") == "Méthode “à deux”"
    for text, sign in (("Ours 双人", "双"), ("Ω net", "Ω")):
        with pytest.raises(DataError, match=f"'{sign}'.* in '{text}'"):
            latex.escape(text)


def test_markdown_escapes_and_marks():
    text = markdown.table(TABLE)
    assert r"| ComMDM\* \[x\] w/o #1 \[42\] | **0.5** <sup>±.01</sup> | — |" in text
    assert r"| a\_b \| c | ✓ | <ins>1.0</ins> |" in text
    assert r"1 \< 2" in text


def test_markdown_keeps_blocks_in_tables_of_their_own():
    text = markdown.table(TABLE)
    assert text.count("| :-- |") == 2
    for table in text.split("**This run**"):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert {line.replace(r"\|", "").count("|") for line in rows} == {4}
