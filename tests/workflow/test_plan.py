"""The cost plan: counts by hand, bounds of a schedule that hold for any, and the command."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT
from typer.testing import CliRunner

from evaluators import protocol
from intermamba import config
from intermamba.data import manifest
from intermamba.errors import ConfigError, StateError
from intermamba.job import Job
from intermamba.paths import path
from workflow.cli.commands import app
from workflow.graph import plan

STEP, SAMPLE, BATCH, FRAMES = 0.5, 2.0, 8, 48


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A device on which InterMamba takes half a second for a step of 8 clips, and two for a sampling."""
    folder = tmp_path / "measured"
    folder.mkdir()
    step = {"method": "intermamba", "seconds_median": STEP, "batch": BATCH, "frames": FRAMES, "memory_gib": 1.0}
    pd.DataFrame([step | {"device": "some GPU"}]).to_csv(folder / "budget.csv", index=False)
    names = {variant for _, variant, _ in config.load("smoke").rows()}
    counts = [
        {"method": name, "sizes": "profile", "parameters": 10**6, "macs_dense": 30 if name == "intergen" else 10}
        for name in sorted(names)
    ]
    frame = pd.DataFrame(counts).assign(macs_attention=0, macs_scan=0)
    frame["macs_sampling"] = 500 * frame["macs_dense"].where(frame["method"] != "mdm", 200)  # its samplings are longer
    frame.to_csv(folder / "complexity.csv", index=False)
    time = {"method": "intermamba", "repeat": 0, "seconds": SAMPLE, "frames": FRAMES, "device": "some GPU"}
    pd.DataFrame([time]).to_csv(folder / "complexity_time.csv", index=False)
    return folder


def costs(measured: Path) -> dict[tuple[str, ...], plan.Cost]:
    smoke = config.load("smoke")
    found = plan.costs(smoke, plan.Measurements(measured, "smoke"))
    return {(cost.job.stage, *cost.job.item.values()): cost for cost in found}


def test_hours_are_steps_times_what_a_step_takes(study: Path, measured: Path) -> None:
    found, smoke = costs(measured), config.load("smoke")
    training = smoke.training
    steps = training.epochs * (smoke.datasets["interhuman"].synthetic.train * 2 // training.batch)
    row = found["train", "interhuman", "intermamba", "0"]
    assert row.hours == pytest.approx(steps * STEP * training.batch / BATCH / 3600)
    assert (row.basis, row.disk) == ("measured", 4 * 10**6)
    other = found["train", "interhuman", "intergen", "0"]
    assert other.hours == pytest.approx(3 * row.hours)  # three times the multiply-accumulates
    assert other.basis == "scaled"


def test_an_evaluation_draws_every_clip_in_every_repeat_and_the_variations(study: Path, measured: Path) -> None:
    row, smoke = costs(measured)["evaluate", "interhuman", "intermamba", "0"], config.load("smoke")
    rules = protocol.load(smoke.protocol["interhuman"])
    clips, varied = smoke.datasets["interhuman"].synthetic.test, rules.multimodality
    assert clips % rules.batch == 0
    drawn = rules.repeats * clips + varied.repeats * varied.captions * varied.samples
    assert row.hours == pytest.approx(drawn * SAMPLE / 3600)


def test_a_sampling_that_nobody_timed_is_scaled_by_its_own_operations(study: Path, measured: Path) -> None:
    found = costs(measured)
    timed, scaled = (found["evaluate", "interhuman", name, "0"] for name in ("intermamba", "mdm"))
    assert scaled.hours == pytest.approx(20 * timed.hours)
    assert scaled.basis == "scaled"


def test_a_method_is_trained_by_its_own_knobs(study: Path, measured: Path) -> None:
    smoke = config.load("smoke")
    own = {**smoke.methods, "t2m": smoke.methods["t2m"].model_copy(update={"training": {"epochs": 9, "batch": 4}})}
    changed = smoke.model_copy(update={"methods": own})
    [row] = [
        cost
        for cost in plan.costs(changed, plan.Measurements(measured, "smoke"))
        if tuple(cost.job.item.values()) == ("interhuman", "t2m", "0") and cost.job.stage == "train"
    ]
    steps = 9 * (smoke.datasets["interhuman"].synthetic.train * 2 // 4)
    assert row.hours == pytest.approx(steps * 4 * STEP / BATCH / 3600)


def test_every_row_of_the_paper_is_planned_from_what_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    paper = config.load("paper")
    found = plan.costs(paper, plan.Measurements(Path("docs/paper"), "paper"))
    assert sum(cost.job.stage == "train" for cost in found) == len(list(paper.rows()))


def test_what_nobody_measured_is_bounded_by_its_time_limit(study: Path, measured: Path) -> None:
    row = costs(measured)["tables",]
    assert (row.hours, row.basis, row.gpus) == (config.load("smoke").cluster.light.minutes / 60, "declared", 0)


def test_the_text_cache_holds_every_caption(study: Path, measured: Path) -> None:
    """What the smoke profile's encoder really writes is in its tests; here the bound is counted by hand."""
    smoke = config.load("smoke")
    data, text = smoke.datasets["interhuman"].synthetic, smoke.text
    captions = 3 * 3 * (2 * data.train + data.val + data.test)
    size = {"float16": 2, "float32": 4}[text.precision]
    assert costs(measured)["encode-text", "interhuman"].disk == captions * text.context * text.width * size


def test_a_finished_job_costs_nothing_more(study: Path, measured: Path) -> None:
    before = costs(measured)
    record = before["train", "interhuman", "intermamba", "0"].job.record
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert set(before) - set(costs(measured)) == {("train", "interhuman", "intermamba", "0")}


def test_counts_of_fetched_data_are_used(study: Path, measured: Path) -> None:
    found = manifest.Manifest(
        dataset="interhuman", origin="official", format="npy", skeleton=None, root="raw", fps=60, clips={}, ignored=[],
        missing_allowed=[], files={}, counts={"train": 32, "val": 1, "test": 64},
    )  # fmt: skip
    manifest.write(path("manifest", profile="smoke", dataset="interhuman"), found)
    assert plan.clips(config.load("smoke"), "interhuman")["train"] == 32


def chain(hours: list[float], gpus: list[int]) -> list[plan.Cost]:
    """Jobs of which every second one reads what the one before it writes."""
    found = []
    for place, (time, held) in enumerate(zip(hours, gpus, strict=True)):
        inputs = {"before": (Path(f"{place - 1}"),)} if place % 2 else {}
        job = Job(f"stage{place}", "", {}, inputs, {"file": Path(f"{place}")})
        found.append(plan.Cost(job, time, "measured", held))
    return found


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 9.0), st.integers(0, 2)), min_size=1, max_size=12), st.integers(2, 4))
def test_a_schedule_respects_devices_and_the_data_and_wastes_less_than_half(
    jobs: list[tuple[float, int]], gpus: int
) -> None:
    given_costs = chain([time for time, _ in jobs], [held for _, held in jobs])
    slots = plan.schedule(given_costs, gpus)
    for place, slot in enumerate(slots):
        assert len(slot.devices) == slot.cost.gpus
        if place % 2:
            assert slot.start >= slots[place - 1].end
        for other in slots[:place]:
            if set(slot.devices) & set(other.devices):
                assert slot.start >= other.end - 1e-9 or other.start >= slot.end - 1e-9
    end = max(slot.end for slot in slots)
    work = sum(cost.hours * cost.gpus for cost in given_costs) / gpus
    longest = max(
        cost.hours + (given_costs[place - 1].hours if place % 2 else 0.0) for place, cost in enumerate(given_costs)
    )
    assert end >= max(work, longest) - 1e-9
    assert end <= longest + work * gpus / (gpus - 1) + 1e-6


def test_too_few_devices_for_one_job_are_refused() -> None:
    with pytest.raises(ConfigError, match="--gpus 1: a job of this profile holds 2"):
        plan.schedule(chain([1.0], [2]), 1)


def test_rows_without_counts_have_their_limits_and_are_named(study: Path, measured: Path) -> None:
    counts = pd.read_csv(measured / "complexity.csv")
    counts[counts["method"].isin(["intermamba", "intergen"])].to_csv(measured / "complexity.csv", index=False)
    found, smoke = costs(measured), config.load("smoke")
    row = found["train", "interhuman", "t2m", "0"]
    assert (row.hours, row.basis) == (smoke.cluster.training.minutes / 60, "declared")
    assert found["train", "interhuman", "intergen", "0"].basis == "scaled"
    words = ["plan", "--profile", "smoke", "--measured", str(measured)]
    shown = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert "Not counted: intermamba_light, in2in, t2m," in shown
    assert "`intermamba complexity --counts-only --profile smoke` counts every row" in shown


def test_measured_rows_of_which_none_is_counted_are_refused(study: Path, measured: Path) -> None:
    budget = pd.read_csv(measured / "budget.csv").assign(method="mine")
    budget.to_csv(measured / "budget.csv", index=False)
    with pytest.raises(StateError, match=r"None of the measured rows \(mine\) has counts in complexity.csv"):
        costs(measured)


def test_missing_measurements_name_the_command(study: Path) -> None:
    done = CliRunner().invoke(app, ["plan", "--profile", "smoke"])
    assert isinstance(done.exception, StateError)
    assert "Run `intermamba budget --profile smoke`" in str(done.exception)


def test_the_command_prints_a_table_and_json(study: Path, measured: Path) -> None:
    words = ["plan", "--profile", "smoke", "--gpus", "2", "--measured", str(measured)]
    shown = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert "times as measured on some GPU" in shown
    assert "GPU 1:" in shown
    report = json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).stdout)
    assert report["jobs"] == len(report["schedule"]) == len(costs(measured))
    assert report["gpu_hours"] == pytest.approx(
        sum((one["end_hours"] - one["start_hours"]) * len(one["gpus"]) for one in report["schedule"])
    )
