"""Checkpoints of the baselines' authors from their files to the tables: `adopt`, `re-evaluate` and the stages after."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import released
import yaml
from micro import MICRO, begin, missing
from towers import UNTRAINED

from intermamba import config
from intermamba.models import variants
from intermamba.paths import path

ROWS = {
    "interhuman": {"intermask": "intermask-interhuman", "mdm": "mdm", "mdm_gru": "mdm_gru", "com_mdm": "com_mdm"},
    "interx": {"intermask": "intermask-interx", "t2m": "t2m", "t2m_given": "t2m"},
}
"""Names of the released weights of tests, by row."""
WIDTHS = {"intermask": 768, "mdm": 24, "com_mdm": 24}
"""Features of a token that the released weights read."""


def _given(folder: Path, dataset: str, model: str) -> dict[str, str]:
    """A row's files under ``official`` in params.yaml."""
    folder.mkdir(parents=True)
    files = dict(zip(("checkpoint", "beside"), map(str, released.write(folder, model)), strict=False))
    if dataset == "interx":
        return files
    np.save(folder / "global_mean.npy", np.linspace(-1, 1, 262, dtype=np.float32))
    np.save(folder / "global_std.npy", np.linspace(0.5, 1, 262, dtype=np.float32))
    return files | {"normalisation": str(folder)}


@pytest.mark.slow
def test_released_weights_reach_the_tables(study: Path, complete: Path) -> None:
    begin(study, complete)
    document = yaml.safe_load(Path("params.yaml").read_text())
    texts = {name: {"text": UNTRAINED | {"width": width}} for name, width in WIDTHS.items()}
    official = {
        dataset: {name: _given(Path("official") / dataset / name, dataset, model) for name, model in rows.items()}
        for dataset, rows in ROWS.items()
    }
    changes = MICRO | {"text": MICRO["text"] | UNTRAINED, "methods": texts, "official": official}
    document["profiles"]["smoke"] = config.merged(document["profiles"]["smoke"], changes)
    document["base"]["runs"] = {dataset: {"mdm": [0]} for dataset in ROWS}  # tables are of some training
    Path("params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    loaded = config.load()
    for job in missing(loaded):
        job.run(loaded)
        if job.stage == "tables":
            break

    metrics = pd.read_csv(path("metrics", profile="smoke"))
    own = metrics[metrics["block"] == "re-evaluated"]
    assert own["value"].notna().all()
    assert {name: set(rows["method"]) for name, rows in own.groupby("dataset")} == {
        dataset: set(rows) for dataset, rows in ROWS.items()
    }
    for number, (dataset, rows) in enumerate(ROWS.items(), 1):
        cells = pd.read_csv(path("table", profile="smoke", table=f"table{number}", format="csv"))
        shown = cells[cells["block"] == "re-evaluated"]
        assert set(shown["method"]) >= {"real", "shuffled", *rows}
        assert set(shown.loc[shown["metric"] == "fid", "method"]) >= set(rows)
        text = path("table", profile="smoke", table=f"table{number}", format="md").read_text()
        block = text.partition("**Official checkpoints, evaluated in this run")[2].partition("\n**")[0]
        for name in rows:
            assert f"\n| {variants()[name].label} |" in block
            where = {"profile": "smoke", "dataset": dataset, "variant": name}
            record = json.loads(Path(f"{path('official_weights', **where)}.prov.json").read_text())
            assert set(record["inputs"]) >= {f"official/{dataset}/{name}/{file.name}" for file in _tars(dataset, name)}


def _tars(dataset: str, name: str) -> list[Path]:
    return sorted((Path("official") / dataset / name).glob("*.tar"))
