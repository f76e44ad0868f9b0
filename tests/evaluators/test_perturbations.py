"""Damage to real motions: each kind does what its name says, keeps a motion a motion, and is drawn by seed alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from batches import FRAMES, LONGEST, batch_of
from torch import Tensor

from evaluators.perturbations import catalogue
from evaluators.perturbed import InterHumanBody, InterXBody, PerturbedSource, exchanged
from intermamba.data import interhuman
from intermamba.data.dataset import Batch
from intermamba.rotations import rows_to_matrix
from intermamba.skeleton import FEET, JOINTS, LEFT_HIP, RIGHT_HIP


@pytest.fixture(scope="module", params=["interhuman", "interx"])
def case(request: pytest.FixtureRequest) -> tuple[str, Batch]:
    return request.param, batch_of(request.param)


@dataclass(frozen=True)
class Still:
    """A source that always gives the same batch."""

    batch: Batch

    def batches(self, repeat_seed: int) -> Iterator[Batch]:  # noqa: ARG002
        yield self.batch

    def variations(self, repeat_seed: int, captions: int, samples: int) -> None:  # noqa: ARG002
        return


def damaged(dataset: str, batch: Batch, name: str, seed: int = 3) -> Batch:
    one = next(one for one in catalogue(dataset) if one.name == name)
    return next(PerturbedSource(Still(batch), one, dataset).batches(seed))


def points(batch: Batch) -> Tensor:
    return batch.motion[..., interhuman.POSITIONS].unflatten(-1, (22, 3))


def roots(dataset: str, batch: Batch) -> Tensor:
    """Where the pelvis is."""
    return points(batch)[..., 0, :] if dataset == "interhuman" else batch.motion[..., -6:-3]


def inner(batch: Batch) -> Tensor:
    """Real frames that have a real frame after them."""
    return batch.mask[:, 1:]


def test_both_catalogues_hold_what_is_asked_for(case: tuple[str, Batch]) -> None:
    dataset, _ = case
    names = [one.name for one in catalogue(dataset)]
    kinds = {name.partition("-")[0] for name in names}
    assert kinds == {
        "joints", "trajectory", "sliding", "reversed", "frozen", "stranger", "exchanged", "captions",
    }  # fmt: skip
    assert len(set(names)) == len(names) == len({one.label for one in catalogue(dataset)})


@pytest.mark.parametrize("name", [one.name for one in catalogue("interhuman")])
def test_what_every_damage_keeps(name: str) -> None:
    for dataset in ("interhuman", "interx"):
        batch = batch_of(dataset)
        before = batch.motion.clone()
        names = [one.name for one in catalogue(dataset)]
        index = [one.name for one in catalogue("interhuman")].index(name)
        found = damaged(dataset, batch, names[index])
        assert torch.equal(batch.motion, before)  # the source's own motion is not touched
        assert found.clip == batch.clip
        assert found.motion.shape == batch.motion.shape
        assert (found.length <= batch.length).all()
        assert torch.isfinite(found.motion).all()
        assert not found.motion[~found.mask].any()
        assert not torch.equal(found.motion, batch.motion) or found.caption != batch.caption
        assert torch.equal(found.motion, damaged(dataset, batch, names[index]).motion)


@pytest.mark.parametrize("name", [one.name for one in catalogue("interhuman") if one.name != "captions"])
def test_velocities_and_contacts_follow_the_positions(name: str) -> None:
    found = damaged("interhuman", batch_of("interhuman"), name)
    positions, velocities = points(found), found.motion[..., interhuman.VELOCITIES].unflatten(-1, (22, 3))
    gap = (positions.diff(dim=1) - velocities[:, :-1])[inner(found)]
    torch.testing.assert_close(gap, torch.zeros_like(gap), rtol=0, atol=1e-5)
    feet = velocities[..., list(FEET), :].square().sum(-1) < 1e-3
    low = positions[..., list(FEET), 1] < torch.tensor([0.12, 0.05, 0.12, 0.05])
    contacts = found.motion[..., interhuman.CONTACTS]
    assert torch.equal(contacts[found.mask], (feet & low).float()[found.mask])


def test_undamaged_motion_survives_being_taken_apart() -> None:
    batch, body = batch_of("interhuman"), InterHumanBody()
    nowhere = torch.zeros(len(FRAMES), LONGEST + 1, 2, 3)
    torch.testing.assert_close(body.moved(batch, nowhere).motion, batch.motion, rtol=0, atol=1e-5)
    twice = body.reversed(body.reversed(batch))
    torch.testing.assert_close(points(twice), points(batch), rtol=0, atol=1e-4)
    batch = batch_of("interx")
    twice = InterXBody().reversed(InterXBody().reversed(batch))
    torch.testing.assert_close(twice.motion, batch.motion, rtol=0, atol=1e-5)


def test_strengths_of_a_kind_differ_in_strength_alone(case: tuple[str, Batch]) -> None:
    dataset, batch = case
    mild, strong = (damaged(dataset, batch, f"trajectory-{cm}") for cm in (3, 30))
    gaps = [(roots(dataset, one) - roots(dataset, batch))[batch.mask] for one in (mild, strong)]
    torch.testing.assert_close(10 * gaps[0], gaps[1], rtol=0, atol=1e-4)
    assert gaps[1].std().item() == pytest.approx(0.3, rel=0.1)


def test_noise_on_joints_has_its_size() -> None:
    batch = batch_of("interhuman")
    gap = (points(damaged("interhuman", batch, "joints-3")) - points(batch))[batch.mask]
    assert gap.std().item() == pytest.approx(0.03, rel=0.02)
    batch = batch_of("interx")
    found = damaged("interx", batch, "joints-6")
    before, after = (rows_to_matrix(one.motion.unflatten(-1, (56, 6))[..., :-1, :])[one.mask] for one in (batch, found))
    cosine = ((before.mT @ after).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).square().mean(dim=(0, 1)).sqrt()
    face = [JOINTS.index(name) for name in ("jaw", "left_eye", "right_eye")]
    assert not angle[face].gt(0.1).any()
    others = np.delete(angle.numpy(), face)
    np.testing.assert_allclose(others, 6 * np.sqrt(3), rtol=0.25)  # three angles of that deviation
    torch.testing.assert_close(roots("interx", found), roots("interx", batch))


def test_feet_slide_at_their_speed(case: tuple[str, Batch]) -> None:
    dataset, batch = case
    gap = roots(dataset, damaged(dataset, batch, "sliding-50")) - roots(dataset, batch)
    for row, length in enumerate(batch.length.tolist()):
        way = gap[row, :length]
        torch.testing.assert_close(way[:, 0], way[:, 1], rtol=0, atol=1e-5)  # together
        speed = way[:, 0].diff(dim=0).norm(dim=-1) * 30
        torch.testing.assert_close(speed, torch.full_like(speed, 0.5), rtol=0, atol=1e-3)
        assert not way[..., 1].abs().gt(1e-6).any()  # over the floor


def test_time_runs_backwards_from_where_the_first_person_stood(case: tuple[str, Batch]) -> None:
    dataset, batch = case
    found = damaged(dataset, batch, "reversed")
    before, after = roots(dataset, batch), roots(dataset, found)
    for row, length in enumerate(batch.length.tolist()):
        place = [0, 2] if dataset == "interhuman" else [0, 1, 2]  # heights count from the floor, or from the first root
        torch.testing.assert_close(after[row, 0, 0][place], before[row, 0, 0][place], rtol=0, atol=1e-4)
        last = length if dataset == "interhuman" else length - 1  # InterHuman's velocities tell one frame more
        between = [(path[0] - path[1]).norm(dim=-1) for path in (before[row].unbind(1), after[row].unbind(1))]
        torch.testing.assert_close(between[1][1:last], between[0][1:last].flip(0)[: last - 1], rtol=0, atol=1e-4)
    if dataset == "interhuman":
        across = points(found)[:, 0, 0, RIGHT_HIP] - points(found)[:, 0, 0, LEFT_HIP]
        assert across[:, 2].abs().max() < 1e-4  # faces +z
        assert (across[:, 0] < 0).all()


def test_the_second_person_freezes_and_the_first_does_not(case: tuple[str, Batch]) -> None:
    dataset, batch = case
    found = damaged(dataset, batch, "frozen")
    assert torch.equal(found.motion[:, :, 0], batch.motion[:, :, 0]) or torch.allclose(
        found.motion[:, :, 0], batch.motion[:, :, 0], atol=1e-5
    )
    held = roots(dataset, found)[:, :, 1]
    for row, length in enumerate(batch.length.tolist()):
        torch.testing.assert_close(held[row, :length], held[row, :1].expand(length, -1))
    if dataset == "interhuman":
        assert not found.motion[:, :, 1, interhuman.VELOCITIES].abs().gt(1e-6).any()
        # The loader may show the one on the origin as the second; then it is the other who freezes.
        assert InterHumanBody().second(batch).tolist() == [1] * 4
        assert InterHumanBody().second(exchanged(batch)).tolist() == [0] * 4


def test_a_stranger_comes_from_the_clip_next_in_length(case: tuple[str, Batch]) -> None:
    dataset, batch = case
    found = damaged(dataset, batch, "stranger")
    for row, giver in enumerate((2, 3, 0, 0)):  # lengths 30, 24, 36, 28
        length = min(FRAMES[row], FRAMES[giver])
        assert found.length[row] == length
        assert torch.equal(found.motion[row, :length, 1], batch.motion[giver, :length, 1])
        assert torch.equal(found.motion[row, :length, 0], batch.motion[row, :length, 0])


def test_persons_and_their_captions_are_exchanged(case: tuple[str, Batch]) -> None:
    dataset, batch = case
    found = damaged(dataset, batch, "exchanged")
    assert torch.equal(found.motion, batch.motion.flip(2))
    assert found.individual[2] == ("b2", "a2")
    assert found.caption == batch.caption
    assert torch.equal(exchanged(found).motion, batch.motion)


def test_no_motion_keeps_its_caption(case: tuple[str, Batch]) -> None:
    dataset, batch = case
    for seed in range(20):
        found = damaged(dataset, batch, "captions", seed)
        assert torch.equal(found.motion, batch.motion)
        assert sorted(found.caption) == sorted(batch.caption)
        assert all(one != other for one, other in zip(found.caption, batch.caption, strict=True))
        assert [text[-1] for text in found.caption] == [words[0][4] for words in found.tokens]
