"""Publishing what was measured at the paper's sizes: only what its record describes, beside the paper's figures."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import ROOT

import ablations
from intermamba import files
from intermamba.cost import complexity
from intermamba.cost.bench import TABLES
from intermamba.errors import ConfigError, StateError
from intermamba.paths import COMMITTED, path
from intermamba.provenance import recorded
from workflow.cells import signed
from workflow.publish import (
    captions,
    components,
    gpu,
    gradients,
    learning,
    levers,
    paper_size,
    publish,
    readme,
    records,
    text_towers,
)

VARIANTS = ablations.load()


@pytest.mark.slow
def test_the_published_counts_are_the_codes() -> None:
    published = pd.read_csv(ROOT / "docs/paper/complexity.csv").query("sizes == 'paper'").drop(columns="sizes")
    for row in published.to_dict("records"):
        method = row.pop("method")
        assert row == complexity.count(method, complexity.Sizes.paper(method)), method


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working tree with the README, its published copies and, of the paper's sizes, the counts alone."""
    for name in ("docs", "results/paper/reported"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "results" / COMMITTED).symlink_to(ROOT / "results" / COMMITTED)
    for name in ("params.yaml", "pyproject.toml", "ablations", "evaluators", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("complexity_time.csv", "budget.csv", "budget.csv.prov.json"):
        (tmp_path / "docs" / "paper" / name).unlink(missing_ok=True)
    monkeypatch.chdir(tmp_path)
    costs = Path("docs/reference/costs.md")  # `make docs` makes all of them
    monkeypatch.setattr(readme, "DOCUMENTS", {costs: readme.DOCUMENTS[costs]})
    monkeypatch.setattr(readme, "DRAWN", {})
    return tmp_path


def measured(what: str, frames: dict[str, pd.DataFrame]) -> None:
    """Write results as the command ``what`` would, with their record."""
    outputs = [path(name, profile="paper") for name in frames]
    with recorded(what, outputs):
        for output, frame in zip(outputs, frames.values(), strict=True):
            files.write_csv(output, frame)


def counts() -> pd.DataFrame:
    return pd.read_csv("docs/paper/complexity.csv")


def times() -> pd.DataFrame:
    timed = {
        "solver": "ddim",
        "sampling_steps": 50,
        "timed_steps": 50,
        "guidance": 3.5,
        "frames": 300,
        "batch": 1,
        "warmup_steps": 5,
        "threads": 2,
    }
    rows = [{"method": "in2in", "repeat": n, "seconds": 100.0 + 10 * n, **timed} for n in range(5)]
    return pd.DataFrame(rows).assign(device="some GPU", dtype="float32")


def budget() -> pd.DataFrame:
    row = {"method": "intermamba", "seconds_median": 0.5, "seconds_q1": 0.49, "seconds_q3": 0.52, "steps": 300}
    row |= {"warmup_steps": 2, "memory_gib": 20.04, "batch": 50, "frames": 300, "device": "some GPU"}
    row |= {"precision": "bf16-mixed", "threads": 8, "epoch_clips": 12044, "training_epochs": 2000}
    return pd.DataFrame([row | {"training_batch": 50, "training_steps": 480000, "training_hours": 66.7}])


def test_what_has_been_measured_is_shown_and_what_has_not_is_not(tree: Path) -> None:
    before = paper_size.render(VARIANTS)
    assert "| in2IN | 182.38 | 160 |" in before
    assert "Time of a whole guided sampling" not in before
    assert "Training" not in before
    measured("complexity", {"complexity": counts(), "complexity_time": times()})
    measured("budget", {"budget": budget()})
    publish.publish("paper")
    shown = Path("docs/reference/costs.md").read_text()
    assert "| in2IN | 120 | 110–130 | 1.260 |" in shown
    assert "5 samplings each of 300 frames at batch 1, 50 steps of DDIM" in shown
    assert "| InterMamba | 0.500 | 0.490–0.520 | 50 | 20.0 | 480,000 | 50 | 2.78 |" in shown
    assert "12,044 clips an epoch" in shown
    # counted again, without times: the times of the earlier run do not belong to the new record
    measured("complexity", {"complexity": counts()})
    publish.publish("paper")
    assert "| in2IN | 120 |" not in Path("docs/reference/costs.md").read_text()
    assert not Path("docs/paper/complexity_time.csv").exists()
    assert Path("docs/paper/budget.csv").exists()


def test_results_of_a_run_that_did_not_end_are_refused(tree: Path) -> None:
    measured("complexity", {"complexity": counts(), "complexity_time": times()})
    files.write_csv(path("complexity_time", profile="paper"), times().iloc[:1])
    with pytest.raises(StateError, match=r"complexity_time\.csv: not what its record describes"):
        publish.publish("paper")


def test_a_run_on_a_gpu_is_published_whole(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "write", lambda: None)
    names = {main: (main,) for main in gpu.MAINS} | {gpu.MAINS[0]: tuple(f"{name}.csv" for name in TABLES)}
    for outputs in names.values():
        with recorded("make gpu", [gpu.MEASURED / name for name in outputs]):
            for name in outputs:
                files.write_csv(gpu.MEASURED / name, pd.DataFrame({"of": [name]}))
    publish.publish("gpu")
    assert {one.name for one in gpu.FOLDER.glob("*.csv")} == {name for outputs in names.values() for name in outputs}
    assert {one.name for one in gpu.FOLDER.glob("*.json")} == {f"{main}.prov.json" for main in gpu.MAINS}
    files.write_csv(gpu.MEASURED / "tests.csv", pd.DataFrame({"of": ["another run"]}))
    with pytest.raises(StateError, match=r"tests\.csv: not what its record describes"):
        publish.publish("gpu")


def test_nothing_measured_and_unknown_names_are_told(tree: Path) -> None:
    with pytest.raises(StateError, match="intermamba complexity --profile paper"):
        publish.publish("paper")
    with pytest.raises(ConfigError, match="Did you mean 'paper'"):
        publish.publish("papers")


def test_a_published_record_names_no_place_of_the_machine(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/opt/bin/intermamba", "complexity", "--from", "/home/me/some where/mamba", "-x"])
    measured("complexity", {"complexity": counts()})
    publish.publish("paper")
    record = files.read_json(Path("docs/paper/complexity.csv.prov.json"))
    assert record["command"] == "intermamba complexity --from mamba -x"


def test_towers_are_compared_seed_by_seed(tree: Path) -> None:
    rows = [
        {
            "method": "intergen",
            "tower": tower,
            "text_layers": 2,
            "training_seed": seed,
            "metric": "top3",
            "value": value,
        }
        for tower, values in {"untrained-64x2-seed0": (0.2, 0.3), "all-MiniLM-L6-v2-pca64": (0.5, 0.7)}.items()
        for seed, value in enumerate(values)
    ] + [{"method": "real", "tower": "x", "text_layers": -1, "training_seed": -1, "metric": "top3", "value": 0.9}]
    text_towers.MEASURED.unlink(missing_ok=True)
    assert text_towers.render() == ""
    with recorded("towers", [text_towers.MEASURED]):
        files.write_csv(text_towers.MEASURED, pd.DataFrame(rows).assign(dataset="interhuman"))
    text = text_towers.render()
    assert "| Ground truth | — | — | 0.900 |" in text
    assert "| InterGen | untrained | 2 | 0.250 ± 0.071 |" in text
    assert "| InterGen | all-MiniLM-L6-v2-pca64 | 2 | 0.600 ± 0.141 |" in text
    # differences .3 and .4: mean .35, standard error .05, t(1) = 12.706
    assert "by 0.350 (95% interval -0.285 to 0.985, Student's t over 2 paired training seeds)" in text


def test_rows_are_tested_against_chance(tree: Path) -> None:
    learning.MEASURED.unlink(missing_ok=True)
    assert learning.render() == ""
    found = {"mdm": (0.30, 0.32, 0.34), "mdm_fixed": (0.40, 0.40, 0.46), "rig": (0.11, 0.08, 0.11), "temos": (0.5,)}
    rows = [("real", -1, 0.9), ("shuffled", -1, 0.1)]
    rows += [(name, seed, value) for name, values in found.items() for seed, value in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["method", "training_seed", "value"])
    frame = frame.assign(metric="top3", dataset="interhuman", code="1234567", steps=500, part_steps=0)
    kept = frame[frame["method"] == "temos"].assign(metric="reconstructed", value=0.6)
    with recorded("learning", [learning.MEASURED]):
        files.write_csv(learning.MEASURED, pd.concat([frame, frame.assign(metric="fid", value=7.0), kept]))
    text = learning.render()
    assert "| (chance) | — | — | 0.100 | 7 | — | — |" in text
    # against chance, squares about the methods: three rows of three trainings, t(6) = 2.447
    seeds = np.array([found[name] for name in ("mdm", "mdm_fixed", "rig")])
    within = 2.4469 * np.sqrt(((seeds - seeds.mean(1, keepdims=True)) ** 2).sum() / 6)
    low, high = (0.22 + sign * within / np.sqrt(3) for sign in (-1, 1))
    assert (
        f"| MDM | 3 | 500 | 0.320 ± 0.020 | 7 ± 0 | +0.220 ({signed(low, 3)} to {signed(high, 3)}) | above chance |"
        in text
    )
    assert "| RIG | 3 | 500 | 0.100 ± 0.017 | 7 ± 0 | " in text
    assert text.count("not above chance") == 1
    assert "| TEMOS | 1 | 500 | 0.500 | 7 | — | one training |" in text
    assert "Real motions through the tokens of TEMOS: 0.600 in R-precision (top 3)." in text
    assert "seeds: 1234567 (MDM 0, 1, 2; MDM, padding masked 0, 1, 2; RIG 0, 1, 2; TEMOS 0)." in text
    # between rows, about methods and seeds: (3 - 1) * (3 - 1) degrees of freedom, t(4) = 2.776
    rest = seeds - seeds.mean(0) - seeds.mean(1, keepdims=True) + seeds.mean()
    apart = 2.7764 * np.sqrt((rest**2).sum() / 4) * np.sqrt(2 / 3)
    between = f"{signed(0.1 - apart, 3)} to {signed(0.1 + apart, 3)}"
    assert f"MDM, padding masked against MDM: +0.100 ({between}) in R-precision" in text
    assert "(top 3), 1.00 (1.00 to 1.00) times the FID." in text


def test_lost_noise_is_a_table(tree: Path) -> None:
    learning.NOISE.unlink(missing_ok=True)
    assert learning.noise() == ""
    rows = [("error", "step 999", 0.0965), ("lost", "step 999", 25), ("spread", "10 steps, eta 0", 12.886)]
    rows.append(("top3", "10 steps, eta 0", 0.1234))
    frame = pd.DataFrame(rows, columns=["measure", "at", "value"]).assign(weights="a")
    other = pd.DataFrame([("lost", "step 999", 23)], columns=["measure", "at", "value"]).assign(weights="b")
    with recorded("noise", [learning.NOISE]):
        files.write_csv(learning.NOISE, pd.concat([frame, other]).assign(method="rig", width=272, features=262))
    text = learning.noise()
    assert (
        "| Row | Width | Trainings | error, step 999 | directions lost | samples' σ: 10 steps, eta 0 "
        "| R@3: 10 steps, eta 0 |" in text
    )
    assert "| RIG | 272 | 2 | 0.097 | 24 of 262 | 12.89 | 0.123 |" in text


def test_levers_are_shown_beside_ground_truth(tree: Path) -> None:
    def measured_as(method: str, lever: str | None, **values: float) -> list[dict[str, object]]:
        seen = {"method": method, "lever": lever, "training_seed": 0, "steps": 3000, "loss": 0.1}
        return [{**seen, "metric": name, "value": value} for name, value in values.items()]

    rows = [
        *measured_as("real", None, top3=0.8, fid=0.25, foot_skate=12.5, contact=6.5),
        *measured_as("intermamba", "as is", top3=0.4, fid=100.0, started=0.7, copied=0.06, contact=99.75),
        *measured_as("intermamba", "width 128", top3=0.6, fid=80.0, started=0.75, copied=0.03),
    ]
    levers.MEASURED.unlink(missing_ok=True)
    assert levers.render() == ""
    with recorded("levers", [levers.MEASURED]):
        files.write_csv(levers.MEASURED, pd.DataFrame(rows).assign(dataset="interhuman"))
    text = levers.render()
    assert "| (ground truth) | — | — | — | — | 0.800 | 1.000 | 0.2 | — | — | 12.5 | 6.5 |" in text
    assert "| InterMamba | as is | 1 | 3000 | 0.100 | 0.400 | 0.500 | 100.0 | 0.700 | 0.060 | — | 99.8 |" in text
    assert "| InterMamba | width 128 | 1 | 3000 | 0.100 | 0.600 | 0.750 | 80.0 | 0.750 | 0.030 | — | — |" in text


def test_use_of_captions_is_a_table(tree: Path) -> None:
    rows = [("rig", 0, 900, "own", 30.0), ("rig", 0, 900, "other", 30.3), ("mdm", 0, 900, "own", 0.2)]
    rows += [("mdm", 0, 900, "other", 0.3), ("mdm", 1, 900, "own", 0.4), ("mdm", 1, 900, "other", 0.45)]
    captions.MEASURED.unlink(missing_ok=True)
    assert captions.render() == ""
    with recorded("captions", [captions.MEASURED]):
        frame = pd.DataFrame(rows, columns=["method", "training_seed", "level", "caption", "error"])
        files.write_csv(captions.MEASURED, frame.assign(dataset="interhuman"))
    text = captions.render()
    assert "| InterHuman | Seeds | level 900 |" in text
    assert "| RIG | 1 | 30.000 (+1%) |" in text
    assert "| MDM | 2 | 0.300 (+25%) |" in text


def test_what_denoisers_cannot_repeat_is_beside_components(tree: Path) -> None:
    rows = [("components", 0, None, 0.66, 96.0), ("components", 8, None, 0.17, 95.0), ("components", None, None, 0, 0)]
    rows += [("mdm", None, 0, 0.11, 94.0), ("mdm", None, 1, 0.13, 96.0)]
    components.MEASURED.unlink(missing_ok=True)
    assert components.render() == ""
    with recorded("components", [components.MEASURED]):
        frame = pd.DataFrame(rows, columns=["method", "kept", "training_seed", "error", "pelvis"])
        files.write_csv(components.MEASURED, frame.assign(dataset="interx", body=20.0, top3=0.9, fid=0.1))
    text = components.render()
    assert "| the mean frame | — | 0.660 | 96.0 | 20.0 | 0.900 | 0.10 |" in text
    assert "| 8 components | — | 0.170 | 95.0 |" in text
    assert "| the clips themselves | — | 0.000 | 0.0 |" in text
    assert "| MDM | 2 | 0.120 | 95.0 |" in text


def test_gradients_are_beside_each_other_by_term(tree: Path) -> None:
    gradients.MEASURED.unlink(missing_ok=True)
    assert gradients.render() == ""
    rows = [("simple", 0.1, 0), ("joint_affinity", 2.0, 0), ("simple", 0.3, 1), ("joint_affinity", 4.0, 1)]
    with recorded("gradients", [gradients.MEASURED]):
        frame = pd.DataFrame(rows, columns=["term", "gradient", "training_seed"])
        files.write_csv(gradients.MEASURED, frame.assign(dataset="interx", method="mdm"))
    text = gradients.render()
    assert "| Row | simple | joint affinity |" in text
    assert "| MDM, Inter-X | 0.200 | 3.000 |" in text


def test_rows_of_several_sessions_name_their_code(tmp_path: Path) -> None:
    measured = tmp_path / "rows.csv"
    with recorded("x", [measured]):
        files.write_csv(measured, pd.DataFrame({"value": [1.0, 2.0, 3.0], "measured_by": [None, "aaaaaaa", "bbbbbbb"]}))
    assert records.made_by(measured).startswith("Code aaaaaaa, bbbbbbb, ")
    with recorded("x", [measured]):
        files.write_csv(measured, pd.DataFrame({"value": [1.0]}))
    assert "aaaaaaa" not in records.made_by(measured)
