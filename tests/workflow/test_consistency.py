"""The paper's text against its tables: known findings, and that they follow from the transcription and nothing else."""

from pathlib import Path

import pandas as pd
import pytest
from stages import reading

from intermamba.errors import DataError
from intermamba.paths import path
from workflow.cells import Table
from workflow.tables import consistency, latex, markdown


def made() -> Table:
    return consistency.table(None, reading(paper_text=path("paper_text")))


def findings() -> dict[str, dict[str, str]]:
    """Texts of every row by claim."""
    rows = [row for block in made().blocks for row in block.rows]
    return {row.method: {key: cell.text for key, cell in row.cells.items()} for row in rows}


def edit(number: int, method: str, metric: str, value: str) -> None:
    """Change a cell of a transcribed table of the working directory."""
    file = path("reported", number=number)
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    chosen = (frame["method"] == method) & (frame["metric"] == metric)
    assert chosen.sum() == 1
    frame.loc[chosen, "value"] = value
    frame.to_csv(file, index=False)


@pytest.mark.parametrize(
    ("claim", "piece", "difference", "verdict"),
    [
        ("parameter_share", "36.3%", "−0.3 points", "consistent"),
        ("time_share", "26.4%", "+19.6 points", "inconsistent"),
        ("faster_than_intergen", "2.17", "+0.03", "consistent"),
        ("flops_lower", "0.6% below in2IN", "−0.19 G", "inconsistent"),
        ("modules_flops", "2 × 14.05 − 33.53 = −5.43 G", "−5.43 G", "inconsistent"),
        ("modules_parameters", "= 15 M", "+15 M", "consistent"),
        ("modules_time", "= 0.083 s", "+0.083 s", "consistent"),
        ("mirrored_block", "Self-ASTM 6.05 M", "−3.54 M", "inconsistent"),
        ("top1_last_row", "top-1 in Table 1: 0.475", "+0.230", "inconsistent"),
        ("self_only", "0.409 and 8.524", "−0.038, −2.606", "inconsistent"),
        ("liia_added", "0.705 and 5.945", "0.000, 0.000", "consistent"),
        ("no_convergence", "better than 5 of 8", "", "inconsistent"),
        ("repeated_fid", "RIG's FID", "0", "repeated"),
        ("diversity_interhuman", "in2IN 7.983, InterMamba (light) 7.991", "−0.028", "inconsistent"),
        ("diversity_interx", "9.194", "0.000", "consistent"),
        ("fid_interx", "None is lower", "−3.989", "inconsistent"),
        ("minor_tradeoff", "+7.3%", "+0.406", "inconsistent"),
        ("t2m_shift", "FID is the log's MM Dist and MM Dist is the log's Diversity", "+1.164", "inconsistent"),
        ("temos_commdm", "Within 1% in 4 of 7: R-precision top 3 0.238 and 0.236, FID", "", "repeated"),
        ("two_evaluators", "0.475 for InterGen retrained (second-hand)", "", "as read"),
        ("equation13_names", "swapped", "", "as read"),
    ],
)
def test_what_the_tables_say(claim: str, piece: str, difference: str, verdict: str) -> None:
    found = findings()[claim]
    assert piece in found["given"]
    assert (found["difference"], found["verdict"]) == (difference, verdict)


@pytest.mark.parametrize(
    ("claim", "cell", "expected"),
    [
        ("time_share", (3, "Ours (UltraLight)", "inference_seconds", "0.567"), "consistent"),
        ("modules_flops", (3, "Ours (UltraLight)", "flops_billions", "17.00"), "consistent"),
        ("diversity_interx", (2, "MDM", "diversity", "9.195"), "inconsistent"),
        ("highest_precision", (2, "InterGen", "top1", "0.458"), "inconsistent"),
        ("repeated_fid", (1, "RIG", "fid", "6.774"), "consistent"),
        ("top1_last_row", (1, "InterMamba (Ours)", "top1", "0.705"), "consistent"),
    ],
)
def test_another_table_gives_another_verdict(study: Path, claim: str, cell: tuple, expected: str) -> None:
    assert findings()[claim]["verdict"] != expected
    edit(*cell)
    assert findings()[claim]["verdict"] == expected


def test_every_claim_has_a_check_or_was_read(study: Path) -> None:
    claims = pd.read_csv(path("paper_text"), dtype=str, keep_default_na=False)
    assert set(claims["claim"]) == {name for names in consistency.SECTIONS.values() for name in names}
    assert not claims["claim"].duplicated().any()
    assert (claims[["subject", "place", "says"]] != "").all(axis=None)
    assert {name for name, read in zip(claims["claim"], claims["read"], strict=True) if read} == {
        *consistency.SECTIONS["Notation"],
        "two_evaluators",
    }


def test_unknown_claims_get_the_nearest(study: Path) -> None:
    file = path("paper_text")
    file.write_text(file.read_text().replace("time_share,", "time_shares,"))
    with pytest.raises(DataError, match=r"unknown claim 'time_shares'.*Did you mean 'time_share'"):
        made()


def test_every_row_names_what_it_was_computed_from() -> None:
    for block in made().blocks:
        for row in block.rows:
            sources = row.cells["verdict"].details["source"].split("; ")
            assert sources[0] == str(path("paper_text"))
            assert (len(sources) == 1) == (row.cells["verdict"].text == "as read")


def test_tables_of_words_break_over_pages() -> None:
    table = made()
    text = latex.table(table)
    assert text.isascii()
    assert r"\begin{longtable}" in text
    assert text.count(r"p{") == 6
    assert text.index(r"\endhead") < text.index("Parameters of UltraLight")
    assert "| Subject | The text |" in markdown.table(table)
