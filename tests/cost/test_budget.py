"""The budget of training: what is measured at micro size, and the arithmetic of the estimate."""

import json

import pandas as pd
import pytest

from intermamba.config import load
from intermamba.cost import training
from intermamba.errors import ConfigError
from intermamba.paths import path


@pytest.fixture
def micro(tmp_path, monkeypatch):
    """The smoke profile with networks of a few thousand weights, in an empty folder."""
    config = load("smoke")
    monkeypatch.chdir(tmp_path)
    sizes = {"width": 16, "heads": 2, "feedforward": 16, "text_heads": 2, "text_feedforward": 16}
    data = config.datasets["interhuman"].model_copy(update={"max_frames": 16})
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=sizes),
            "datasets": {**config.datasets, "interhuman": data},
        }
    )


@pytest.mark.parametrize("variant", ["intermamba", "in2in"])
def test_a_step_is_timed_and_weighed(micro, variant):
    row = training.measure(micro, variant, steps=3, warmup=1, batch=2)
    assert 0 < row["seconds_q1"] <= row["seconds_median"] <= row["seconds_q3"]
    assert row["memory_gib"] > 0.1  # Python and torch alone are more
    assert (row["steps"], row["warmup_steps"], row["batch"], row["frames"]) == (3, 1, 2, 16)
    assert (row["precision"], row["threads"]) == ("32-true", 1)


def test_gradients_are_clipped_in_mixed_precision_too(micro):
    """As every profile but the small ones trains: Lightning refuses to clip for a fused optimizer there."""
    found = {"precision": "bf16-mixed", "gradient_clip": 0.5}
    mixed = micro.model_copy(update={"training": micro.training.model_copy(update=found)})
    assert training.measure(mixed, "intermamba", steps=1, warmup=0, batch=2)["precision"] == "bf16-mixed"


def test_the_whole_training_of_the_paper():
    config = load("paper")
    found = training.whole_training(config, seconds=0.5, batch=50)
    assert found["epoch_clips"] == 2 * 6022
    assert found["training_steps"] == 2000 * 240
    assert found["training_hours"] == pytest.approx(0.5 * 480_000 / 3600)
    # a step of a tenth of the clips stands for a tenth of a step
    assert training.whole_training(config, seconds=0.05, batch=5)["training_hours"] == pytest.approx(
        found["training_hours"]
    )


def test_the_whole_training_on_synthetic_clips():
    config = load("smoke")
    found = training.whole_training(config, seconds=1.0, batch=16)
    assert found["epoch_clips"] == 2 * config.datasets["interhuman"].synthetic.train
    assert found["training_steps"] == config.training.epochs * (found["epoch_clips"] // 16)


@pytest.mark.slow
def test_each_row_comes_from_a_process_of_its_own_and_is_recorded(micro):
    found = training.run(micro, ["intergen"], steps=2, warmup=1, batch=2)
    file = path("budget", profile="smoke")
    written = pd.read_csv(file)
    assert written["method"].tolist() == ["intergen"]
    assert written["training_batch"].tolist() == [micro.training.batch]
    assert written["seconds_median"].tolist() == pytest.approx(found["seconds_median"].tolist())
    record = json.loads(file.with_name("budget.csv.prov.json").read_text())
    assert record["outputs"].keys() == {str(file)}


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"batch": 17}, r"--batch 17: needs 1 to 16"),
        ({"batch": 0}, r"--batch 0: needs 1 to 16"),
        ({"steps": 0}, r"--steps 0"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(micro, numbers, said):
    with pytest.raises(ConfigError, match=said):
        training.run(micro, ["intergen"], **{"steps": 1, "warmup": 0, **numbers})
    assert not path("budget", profile="smoke").exists()
