"""Fusion weights changed after training: their new values, when they apply, and that they come back."""

import pandas as pd
import pytest
import torch
from workflow_study import fused

from intermamba.models import build
from workflow.evaluation.fusion import CHANGES, changed, ranges
from workflow.results.fusion import effects

SIZES = {
    "features": 8,
    "max_frames": 12,
    "text_width": 16,
    "blocks_per_module": 1,
    "rank": 2,
    "width": 16,
    "heads": 2,
    "feedforward": 16,
    "text_heads": 2,
    "text_feedforward": 16,
    "text_layers": 1,
    "state": 2,
}


@pytest.fixture
def network():
    """InterMamba of two blocks whose weights all differ, and whose output does too."""
    torch.manual_seed(0)
    made = build("intermamba", modules=2, **SIZES)
    for number, one in enumerate(made.adaptive_weights()):
        one.value.data.fill_(1.0 + number)
    torch.nn.init.normal_(made.out.weight)
    return made.eval().requires_grad_(False)


def values(network) -> dict:
    return {(one.block, one.module, one.branch): one.value.item() for one in network.adaptive_weights()}


def test_each_change_gives_every_weight_its_value(network) -> None:
    own, weights = values(network), network.adaptive_weights()
    found = {name: dict(zip(own, change(weights), strict=True)) for name, change in CHANGES.items()}
    assert found["learned"] == own
    assert set(found["one"].values()) == {1.0}
    other = {"temporal": "spatial", "spatial": "temporal"}
    assert found["swapped"] == {(block, part, branch): own[block, part, other[branch]] for block, part, branch in own}
    for branch in other:
        mine = [value for (*_, which), value in own.items() if which == branch]
        assert {value for (*_, which), value in found["mean"].items() if which == branch} == {sum(mine) / len(mine)}


def test_a_single_branch_is_not_exchanged() -> None:
    made = build("without_temporal", modules=1, **SIZES)
    weights = made.adaptive_weights()
    weights[0].value.data.fill_(3.0)
    assert CHANGES["swapped"](weights) == [one.value.item() for one in weights]


def test_weights_are_other_ones_in_the_given_steps_alone(network) -> None:
    torch.manual_seed(1)
    x, cond, mask = torch.randn(2, 12, 2, 8), torch.randn(2, 1, 16), torch.ones(2, 12, dtype=torch.bool)
    own = values(network)

    def predicted(step: int) -> torch.Tensor:
        return network(x, torch.full((2,), step), cond, mask)

    plain = {step: predicted(step) for step in (3, 7)}
    with changed(network, CHANGES["one"], range(5, 10)):
        assert torch.equal(predicted(3), plain[3])
        found = predicted(7)
        assert not torch.equal(found, plain[7])
        assert torch.equal(predicted(3), plain[3])
    assert values(network) == own
    assert torch.equal(predicted(7), plain[7])
    for one in network.adaptive_weights():
        one.value.data.fill_(1.0)
    assert torch.equal(predicted(7), found)


@pytest.mark.parametrize(("steps", "bins"), [(1000, 5), (1000, 3), (10, 4), (3, 1)])
def test_ranges_cover_every_step_once(steps: int, bins: int) -> None:
    found = ranges(steps, bins)
    assert len(found) == bins
    assert [step for part in found for step in part] == list(range(steps))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_effects_are_paired_by_training_where_there_are_several() -> None:
    """Seeds differ by far more than changes do; the changes are the same in each."""
    seeds = [fused("interhuman").assign(training_seed=seed) for seed in (0, 1, 2)]
    shifted = [frame.assign(value=frame["value"] + seed) for seed, frame in enumerate(seeds)]
    for measured in (seeds[0], pd.concat(shifted)):
        found = effects(measured)
        one = found[found["whole"] & (found["metric"] == "fid")].set_index("weights")
        assert one["change"].tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0])
        assert one["interval"].tolist() == pytest.approx([0.0] * 4, abs=1e-9)
        parts = found[~found["whole"] & (found["metric"] == "fid")]
        assert parts["change"].tolist() == pytest.approx([4.0, 5.0])
