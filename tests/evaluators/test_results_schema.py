"""Rows of results and their summary."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluators import results
from evaluators.results import METRICS, BlockName, Origin, read, summarise, validated
from intermamba import files
from intermamba.errors import DataError

TINY = "interhuman-tiny/1"


def origin(
    method: str = "intermamba", seed: int | None = 0, protocol: str = TINY, block: BlockName = "reproduced"
) -> tuple[Origin, str]:
    """What rows of a method are measured on and with, and the method."""
    return Origin("interhuman", "synthetic", "recorded", "untrained", "0123456789ab", protocol, block, seed), method


def rows(made: tuple[Origin, str], frame: pd.DataFrame) -> pd.DataFrame:
    return results.rows(made[0], frame.assign(method=made[1]))


def measured(values: list[float], name: str = "fid") -> pd.DataFrame:
    repeats = range(len(values))
    return pd.DataFrame(
        {"repeat": repeats, "repeat_seed": [2**62 + r for r in repeats], "metric": name, "value": values}
    )


def test_rows_survive_the_file(tmp_path: Path) -> None:
    frame = pd.concat([rows(origin(), measured([0.1 + 0.2, 1e-17])), rows(origin("real", None), measured([2.0, 3.0]))])
    files.write_csv(tmp_path / "metrics.csv", frame)
    again = read(tmp_path / "metrics.csv")
    pd.testing.assert_frame_equal(again, frame.reset_index(drop=True))
    assert again["repeat_seed"].iloc[1] == 2**62 + 1
    assert again["training_seed"].isna().tolist() == [False, False, True, True]
    files.write_csv(tmp_path / "real.csv", rows(origin("real", None), measured([2.0])))
    assert read(tmp_path / "real.csv")["training_seed"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="value"), "missing columns: \\['value'\\]"),
        (lambda frame: frame.assign(metric="fidd"), "Did you mean 'fid'"),
        (lambda frame: frame.assign(block="reevaluated"), "unknown block 'reevaluated'.*Did you mean 're-evaluated'"),
        (lambda frame: frame.assign(value=np.nan), "fid of intermamba in repeat 0 is not finite"),
        (lambda frame: frame.assign(repeat="one"), "not of its column's type"),
    ],
)
def test_wrong_tables_are_refused(change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        validated(change(rows(origin(), measured([1.0]))), "metrics.csv")


def test_summary_is_mean_and_interval_of_the_protocol() -> None:
    values = [1.0, 2.0, 3.0, 6.0]
    summary = summarise(rows(origin(), measured(values))).iloc[0]
    assert summary["mean"] == 3
    assert summary["interval"] == pytest.approx(1.96 * np.std(values) / np.sqrt(4))
    assert (summary["repeats"], summary["seeds"]) == (4, 1)
    assert np.isnan(summary["seed_std"])


def test_training_seeds_are_averaged_and_their_spread_is_its_own_column() -> None:
    frame = pd.concat([rows(origin(seed=0), measured([1.0, 3.0])), rows(origin(seed=1), measured([6.0, 6.0]))])
    summary = summarise(frame).iloc[0]
    assert summary["mean"] == 4
    assert summary["interval"] == pytest.approx((1.96 * 1 / np.sqrt(2) + 0) / 2)
    assert (summary["repeats"], summary["seeds"]) == (2, 2)
    assert summary["seed_std"] == pytest.approx(np.std([2, 6], ddof=1))


def test_summary_is_ordered_and_keeps_methods_and_metrics_apart() -> None:
    frame = pd.concat(
        [rows(origin(method, None), measured([1.0], name)) for method in ("real", "a") for name in reversed(METRICS)]
    )
    summary = summarise(frame)
    assert summary["method"].tolist() == ["a"] * len(METRICS) + ["real"] * len(METRICS)
    assert summary["metric"].tolist() == list(METRICS) * 2
    shuffled = frame.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(summarise(shuffled), summary)


def test_blocks_are_never_averaged() -> None:
    official = rows(origin(seed=None, block="re-evaluated"), measured([1.0, 3.0]))
    summary = summarise(pd.concat([rows(origin(), measured([10.0, 10.0])), official]))
    assert summary[["block", "mean", "seeds"]].to_dict("list") == {
        "block": ["re-evaluated", "reproduced"],
        "mean": [2.0, 10.0],
        "seeds": [1, 1],
    }


def test_results_of_another_version_of_a_protocol_are_refused() -> None:
    with pytest.raises(DataError, match=r"'interhuman-tiny/9'.*knows 'interhuman-tiny/1'"):
        summarise(rows(origin(protocol="interhuman-tiny/9"), measured([1.0])))


def test_the_registry() -> None:
    assert METRICS["fid"].direction == "down"
    assert METRICS["diversity"].direction == "closer"
    assert METRICS["top1"].direction == "up"
