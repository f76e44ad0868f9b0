"""Figures: what is drawn, and that equal data give equal bytes."""

import numpy as np
import pandas as pd
import pytest
import workflow_study as made_up
from matplotlib.colors import same_color

from intermamba import files
from intermamba.errors import StateError
from intermamba.paths import path
from workflow import figures
from workflow.figures import figure8
from workflow.style import COLOURS, save, themed

ORIGINS = {"interhuman": "synthetic", "interx": "synthetic"}


def curves(seeds=(0,), steps=40):
    """Stand-in for a training log: alpha stays near one, beta decays, each block at its own rate."""
    rows = []
    for dataset in ORIGINS:
        for seed in seeds:
            for block in range(2):
                for module in ("self", "cross"):
                    for symbol, branch in (("alpha", "temporal"), ("beta", "spatial")):
                        rate = (0.002 if symbol == "alpha" else 0.02) * (1 + block + (module == "cross") / 2)
                        rows += [
                            (dataset, "intermamba", seed, 5 * step, block, module, branch, symbol, np.exp(-rate * step))
                            for step in range(steps)
                        ]
    return pd.DataFrame(
        rows, columns=["dataset", "variant", "seed", "step", "block", "module", "branch", "symbol", "value"]
    )


def test_figure8_has_a_panel_a_dataset_and_a_line_a_weight():
    with themed():
        figure = figure8(curves(seeds=(0, 1)), ORIGINS, "smoke")
    assert len(figure.axes) == 2
    for panel in figure.axes:
        # 2 seeds x 2 blocks x 2 modules x 2 weights, two means, and the line where both weights start
        assert len(panel.lines) == 16 + 2 + 1
        assert panel.get_xlabel() == "Training step"
        assert "synthetic" in panel.get_title(loc="left")
    assert "smoke" in figure.get_suptitle()


def test_figure8_draws_the_mean_over_blocks_and_modules():
    data = curves()
    with themed():
        figure = figure8(data, ORIGINS, "smoke")
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 2]
    for symbol, line in zip(("alpha", "beta"), thick, strict=True):
        chosen = data[(data["dataset"] == "interhuman") & (data["symbol"] == symbol)]
        expected = chosen.pivot(index="step", columns=["block", "module"], values="value").to_numpy().mean(axis=1)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
        assert same_color(line.get_color(), COLOURS[symbol])


@pytest.mark.parametrize("suffix", ["pdf", "png"])
def test_equal_data_give_equal_bytes_in_any_order(tmp_path, suffix):
    data = curves(steps=5)
    for name, frame in (("first", data), ("second", data.sort_values(["value"]).sort_values("step", kind="stable"))):
        with themed():
            save(figure8(frame, ORIGINS, "smoke"), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"first.{suffix}").read_bytes() == (tmp_path / f"second.{suffix}").read_bytes()


def test_the_stage_draws_from_the_aggregated_log(tmp_path, monkeypatch):
    config = made_up.config()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StateError, match="intermamba aggregate"):
        figures.run(config)
    files.write_csv(path("alpha_beta", profile="smoke"), curves(steps=5))
    figures.run(config)
    for suffix, start in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
        assert path("figure", profile="smoke", number=8, format=suffix).read_bytes().startswith(start)


def test_a_study_without_the_full_model_says_what_to_add():
    with pytest.raises(StateError, match="Add it under `runs`"):
        figure8(curves().iloc[:0], ORIGINS, "smoke")
