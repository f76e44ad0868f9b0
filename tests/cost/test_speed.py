"""The parts of ``benchmarks/speed.py`` and of its page, at small sizes: what they count, not how long it takes."""

import importlib.util
import math
import shlex
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest
import torch
from places import ROOT
from torch import nn

from intermamba import files
from workflow.publish import processor

SPEC = importlib.util.spec_from_file_location("speed", ROOT / "benchmarks/speed.py")
assert SPEC is not None
assert SPEC.loader is not None
speed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(speed)


def test_sides_take_turns_and_the_first_call_does_not_count():
    calls: list[str] = []
    found = speed.turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 4
    assert {side: times["runs"] for side, times in found.items()} == {"a": 3, "b": 3}
    assert all(0 <= times["cpu_q1"] <= times["cpu_median"] <= times["cpu_q3"] for times in found.values())


def test_floors_count_operations_of_products_and_bytes_of_other_passes():
    linear, x = nn.Linear(6, 4), torch.ones(3, 5, 6)
    with torch.no_grad(), speed.Clock(rate=2.0, speed=4.0) as clock:
        torch.sin(linear(x))
    assert clock.floors["products"] == 2 * 15 * 6 * 4 / 2.0
    assert clock.floors["other passes"] == 2 * 4 * 60 / 4.0  # the sine; views cost nothing
    assert set(clock.taken) == {"products", "other passes"}


def test_floors_of_attention_count_both_products_once():
    q, k = torch.ones(2, 3, 4, 8), torch.ones(2, 3, 7, 8)
    with torch.no_grad(), speed.Clock(rate=1.0, speed=math.inf) as clock:
        nn.functional.scaled_dot_product_attention(q, k, k)
    assert clock.floors["attention"] == 4 * 2 * 3 * 4 * 7 * 8


def test_a_backward_pass_is_counted_by_kind():
    q, k = torch.ones(2, 3, 4, 8, requires_grad=True), torch.ones(2, 3, 7, 8)
    with speed.Clock(rate=1.0, speed=math.inf) as clock:
        nn.functional.scaled_dot_product_attention(q, k, k).sum().backward()
    assert clock.calls["attention"] == 2
    assert clock.floors["attention"] == (4 + 10) * 2 * 3 * 4 * 7 * 8


@pytest.mark.parametrize("layer", [speed.Attention, speed.Mamba])
def test_compared_layers_are_the_same_in_float64(layer):
    torch.manual_seed(0)
    model, x = layer(), torch.randn(1, 19, speed.WIDTH)
    with torch.no_grad():
        found = model(x)
        expected = model.double()(x.double())
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_compared_attention_is_pytorch_s_layer():
    torch.manual_seed(0)
    ours, x = speed.Attention(), torch.randn(1, 5, speed.WIDTH)
    theirs = nn.MultiheadAttention(speed.WIDTH, 8, batch_first=True)
    weights = {"in_proj_weight": ours.project.weight, "in_proj_bias": ours.project.bias}
    theirs.load_state_dict(weights | {f"out_proj.{name}": value for name, value in ours.out.state_dict().items()})
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])


def test_scans_are_measured_for_every_shape():
    threads = torch.get_num_threads()
    try:
        rows = speed.scan(Namespace(lengths=(3,), repeats=1, ggml=None))["scan_ggml"]
    finally:
        torch.set_num_threads(threads)
    assert set(zip(rows["channels"], rows["steps"], rows["threads"], strict=True)) == {
        (channels, 3, count) for channels in (1024, 2048) for count in (1, 2)
    }


@pytest.mark.parametrize("record", sorted((ROOT / "docs").rglob("*.prov.json")), ids=lambda path: path.name)
def test_published_records_name_no_place_of_a_machine(record):
    said = files.read_json(record)
    words = (*shlex.split(said.get("command", "")), *said.get("outputs", ()))  # the trial of kills has neither
    assert not [word for word in words if Path(word).is_absolute()]


@pytest.mark.parametrize(
    ("ratios", "expected"), [([0.25, 0.5, 2.0], 16.0), ([0.5, 2.0, 0.5], 4.0), ([2.0, 3.0, 4.0], math.nan)]
)
def test_layers_cross_where_their_ratio_passes_one(ratios, expected):
    found = processor.crossing(pd.Series(ratios, index=[2, 8, 32]))
    assert found == pytest.approx(expected, nan_ok=True)
