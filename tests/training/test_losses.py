"""InterGen's losses: equal to the official code, zero where they should be, finite where the official ones are not.

OFFICIAL was computed by running the official InterLoss and GeometricLoss (tr3e/InterGen, float32) on the motions of
:func:`batch` with this module's mask, steps, mean and deviation; person terms are the sums of their A and B.
"""

from functools import cache

import pytest
import torch
from formulas import wave
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from transfers import Transfers

from intermamba.config import LossConfig
from intermamba.representation import InterHuman
from intermamba.training.losses import _constant, interaction_losses

B, T, F = 4, 6, 262
WEIGHTS = LossConfig(
    simple=1.0,
    velocity=30.0,
    bone_length=10.0,
    foot_contact=30.0,
    distance_map=3.0,
    joint_affinity=3.0,
    relative_orientation=0.01,
    geometric_until=700,
)
MEAN, STD = wave((F,), 0.31, 0.1), 0.5 + wave((F,), 0.17, 0.2)
MASK = torch.arange(T) < torch.tensor([6, 4, 6, 3]).unsqueeze(1)

OFFICIAL = {
    "simple": 0.03627855,
    "velocity": 0.041528154,
    "bone_length": 0.022785995,
    "foot_contact": 0.0065298588,
    "distance_map": 0.055967744,
    "joint_affinity": 0.17340678,
    "relative_orientation": 1.186856e-05,
    "total": 0.33650893,
}


OFFICIAL_AT_RANDOM = (
    {
        "simple": 0.17366852,
        "velocity": 0.009124089,
        "bone_length": 0.19512448,
        "foot_contact": 0.0023296112,
        "distance_map": 0.38787276,
        "joint_affinity": 0.57076192,
        "relative_orientation": 1.7040333e-05,
        "total": 1.3388984,
    },
    {
        "simple": 0.15583926,
        "velocity": 0.0089971572,
        "bone_length": 0.067603968,
        "foot_contact": 0.0023885705,
        "distance_map": 0.24797581,
        "joint_affinity": 0.8250609,
        "relative_orientation": 9.1137681e-06,
        "total": 1.3078748,
    },
    {
        "simple": 0.078322202,
        "velocity": 0.0091783255,
        "bone_length": 0.11712605,
        "foot_contact": 0.0018660387,
        "distance_map": 0.11969802,
        "joint_affinity": 0.25316662,
        "relative_orientation": 0.00012018506,
        "total": 0.57947743,
    },
)
"""The same for :func:`random_batch` of seeds 0, 1, 2."""


def batch() -> tuple[Tensor, Tensor]:
    """Prediction and target: slow enough for feet to stand, close enough for persons to touch."""
    pose = wave((F,), 2.3, 0.8)
    prediction = pose + wave((B, 1, 2, 1), 0.9, 0.2) + wave((B, T, 2, F), 1.7, 0.03)
    target = pose + wave((B, 1, 2, 1), 1.9, 0.2) + wave((B, T, 2, F), 1.3, 0.03)
    return prediction, target


def losses(prediction: Tensor, target: Tensor, *, mask: Tensor = MASK, steps: tuple[int, ...] = (10, 700, 701, 950)):
    return interaction_losses(prediction, target, mask, torch.tensor(steps), MEAN, STD, InterHuman(), WEIGHTS)


def random_batch(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Prediction, target, mask and steps of five clips, drawn uniformly: the bits of a uniform draw are everyone's."""
    draws = torch.Generator().manual_seed(seed)
    pose = 1.2 * torch.rand(F, generator=draws) - 0.6
    apart = torch.rand(2, 5, 1, 2, 1, generator=draws) - 0.5
    moved = 0.04 * torch.rand(2, 5, 12, 2, F, generator=draws)
    prediction, target = (pose + apart + moved).unbind(0)
    length = torch.randint(2, 13, (5,), generator=draws)
    return prediction, target, torch.arange(12) < length[:, None], torch.randint(1000, (5,), generator=draws)


@pytest.mark.parametrize("term", OFFICIAL)
def test_each_term_equals_the_official_one(term):
    assert losses(*batch())[term].item() == pytest.approx(OFFICIAL[term], rel=1e-5)


@pytest.mark.parametrize("seed", range(len(OFFICIAL_AT_RANDOM)))
def test_each_term_equals_the_official_one_at_random(seed):
    prediction, target, mask, steps = random_batch(seed)
    found = losses(prediction, target, mask=mask, steps=tuple(steps.tolist()))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(OFFICIAL_AT_RANDOM[seed], rel=1e-5)


def test_total_is_the_sum_of_the_terms():
    terms = losses(*batch())
    total = terms.pop("total")
    assert set(terms) == set(LossConfig.model_fields) - {"geometric_until"}
    assert total.item() == pytest.approx(sum(value.item() for value in terms.values()), rel=1e-6)


def test_without_weights_of_geometric_terms_only_the_simple_one_is_computed():
    prediction, target = batch()
    nothing = dict.fromkeys(set(LossConfig.model_fields) - {"simple", "geometric_until"}, 0.0)
    weights, steps = WEIGHTS.model_copy(update=nothing), torch.tensor((10, 700, 701, 950))
    terms = interaction_losses(prediction, target, MASK, steps, MEAN, STD, InterHuman(), weights)
    expected = losses(prediction, target)["simple"]
    assert {name: value.item() for name, value in terms.items()} == {"simple": expected, "total": expected}


def test_a_perfect_prediction_costs_only_what_asks_nothing_of_the_target():
    _, target = batch()
    terms = losses(target, target)
    for name in ("simple", "velocity", "bone_length", "distance_map", "relative_orientation"):
        assert terms[name].item() == 0.0
    assert terms["foot_contact"] > 0  # a standing foot that moves at all
    assert terms["joint_affinity"] > 0  # joints that touch are pulled together


def test_geometric_terms_are_off_for_late_steps():
    terms = losses(*batch(), steps=(701, 800, 900, 999))
    assert terms["simple"] > 0
    assert terms["total"].item() == pytest.approx(terms["simple"].item())


def test_late_clips_do_not_touch_the_damped_terms():
    prediction, target = batch()
    before = losses(prediction, target)
    changed = prediction.clone()
    changed[3] += 0.5  # step 950
    after = losses(changed, target)
    for name in ("velocity", "bone_length", "foot_contact", "distance_map", "joint_affinity"):
        assert after[name].item() == pytest.approx(before[name].item(), rel=1e-6)
    assert after["simple"] > before["simple"]
    assert after["relative_orientation"] != before["relative_orientation"]  # the official exception


def test_frames_behind_the_first_padded_one_do_not_matter():
    prediction, target = batch()
    before = losses(prediction, target)
    for motion in (prediction, target):
        motion[3, 4:] = 7.0  # three real frames; the official velocity term reads the fourth
    for name, value in losses(prediction, target).items():
        assert value.item() == pytest.approx(before[name].item(), rel=1e-6), name


@pytest.mark.parametrize("motion", ["collapsed", "opposite"])
def test_gradients_are_finite_where_norms_vanish(motion):
    prediction, target = batch()
    raw = (prediction * STD + MEAN).detach()
    if motion == "collapsed":
        raw[:] = 0.0  # all joints of both persons at one point
    else:
        joints = raw[..., :66].unflatten(-1, (22, 3))
        joints[..., 1, :], joints[..., 2, :] = 0.0, 0.0
        joints[..., 0, 2, 0], joints[..., 1, 2, 0] = 1.0, -1.0  # hips along x, persons back to back
    prediction = ((raw - MEAN) / STD).requires_grad_()
    terms = losses(prediction, target)
    terms["total"].backward()
    assert all(value.isfinite() for value in terms.values())
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


def test_total_is_differentiable_where_it_is_used():
    prediction, target = batch()
    prediction = prediction.requires_grad_()
    losses(prediction, target)["total"].backward()
    assert prediction.grad is not None
    assert prediction.grad[0].abs().sum() > 0


def test_a_step_never_waits_for_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an imaginary GPU: after the first step's tables no value is read back and no tensor crosses over."""
    monkeypatch.setattr("intermamba.training.losses._constant", cache(_constant.__wrapped__))
    with FakeTensorMode(), torch.device("cuda"), Transfers() as transfers:
        prediction = target = torch.zeros(B, T, 2, F)
        mask, steps = torch.ones(B, T, dtype=torch.bool), torch.zeros(B).long()
        for _ in range(2):
            transfers.found.clear()
            interaction_losses(prediction, target, mask, steps, torch.zeros(F), torch.ones(F), InterHuman(), WEIGHTS)
        assert not transfers.found
