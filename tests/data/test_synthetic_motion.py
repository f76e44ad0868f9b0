"""Motions of the embedded dataset: kinematics, physical plausibility, and whether they do what their captions say."""

import itertools

import numpy as np
import pytest
import torch
from scipy.signal import find_peaks

from intermamba import rotations
from intermamba.data.synthetic import KINDS, clip
from intermamba.data.synthetic.body import LIMBS, PALM, REST, SOLE, forward_kinematics, turn
from intermamba.data.synthetic.timing import cycles, glide, pulse, ramp, soft_min
from intermamba.errors import DataError
from intermamba.skeleton import INDEX, OFFSETS, PARENTS

OTHER = {"left": "right", "right": "left"}
SIGNS = {"left": 1.0, "right": -1.0}


def every(kind):
    """A few parameter combinations of a kind, in which each value occurs, and not always beside the same others."""
    choices = list(KINDS[kind].parameters.items())
    most = max(len(values) for _, values in choices)
    for number in range(2 * most):
        skew = number // most
        yield {name: values[(number + skew * place) % len(values)] for place, (name, values) in enumerate(choices)}


class Seen:
    """A sampled clip from the roles' point of view: ``a`` initiates, ``b`` responds."""

    def __init__(self, kind, parameters, seed=0, seconds=2.0, fps=30):
        self.clip = clip(kind, seed, seconds, fps, parameters)
        self.fps = fps
        self.poses = {}
        for role, person in (("a", self.clip.actor), ("b", 1 - self.clip.actor)):
            scale = self.clip.scale[person]
            self.poses[role] = (
                forward_kinematics(self.clip.rotations[:, person], self.clip.translation[:, person], scale),
                scale,
            )

    def joint(self, role, name):
        (places, _), _ = self.poses[role]
        return places[:, INDEX[name]]

    def palm(self, role, side):
        (places, turned), scale = self.poses[role]
        wrist = INDEX[f"{side}_wrist"]
        return places[:, wrist] + turned[:, wrist] @ (scale * np.array([SIGNS[side] * PALM, 0.0, 0.0]))

    def own(self, role, points, frame=0):
        """World points in the axes of a person's pelvis at a frame (left, up, ahead)."""
        (places, turned), _ = self.poses[role]
        ahead = turned[frame, 0] @ np.array([0.0, 0.0, 1.0])
        yaw = np.arctan2(ahead[0], ahead[2])
        floor = places[frame, 0] * np.array([1.0, 0.0, 1.0])
        return (points - floor) @ turn("y", np.array(yaw))

    def yaw(self, role):
        (_, turned), _ = self.poses[role]
        ahead = turned[:, 0] @ np.array([0.0, 0.0, 1.0])
        return np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 2]))

    def gap(self, first, second):
        """Distance of a's palm to b's palm over time."""
        return np.linalg.norm(self.palm("a", first) - self.palm("b", second), axis=-1)


def strokes(curve, prominence):
    return len(find_peaks(np.concatenate([[curve.min()], curve, [curve.min()]]), prominence=prominence)[0])


# ---- curves and kinematics -------------------------------------------------------------------------------------------


def test_curves_are_smooth_and_bounded():
    time = np.linspace(-0.2, 1.2, 1401)
    for curve in (ramp(time, 0.2, 0.7), glide(time), pulse(time, 0.1, 0.3, 0.5, 0.9), cycles(time, 0.1, 0.9, 3)):
        assert curve.min() >= -1e-12
        assert curve.max() <= 1 + 1e-12
        assert np.abs(np.diff(curve, 2)).max() < 1e-3  # no corner: a kink of slope 1 would be 1e-3 at this step
    assert np.allclose([ramp(np.array([0.2, 0.45, 0.7]), 0.2, 0.7)], [0, 0.5, 1])
    assert np.allclose(glide(np.array([0.0, 0.5, 1.0])), [0, 0.5, 1])
    values = np.linspace(0, 2, 50)
    assert (soft_min(1.0, values, 0.05) <= np.minimum(values, 1.0)).all()


def test_forward_kinematics_agrees_with_the_torch_one():
    made = clip("handshake", 3, 1.5, 30)
    for person in (0, 1):
        expected = rotations.forward_kinematics(
            torch.from_numpy(made.rotations[:, person]),
            torch.from_numpy(made.translation[:, person]),
            made.scale[person] * torch.tensor(OFFSETS, dtype=torch.float64),
            PARENTS,
        )
        np.testing.assert_allclose(made.positions()[:, person], expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("limb", sorted(LIMBS))
def test_two_bones_reach_their_goal(limb):
    bones = LIMBS[limb]
    random = np.random.default_rng(0)
    start = random.normal(size=(200, 3))
    direction = random.normal(size=(200, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    length = np.linalg.norm(bones.upper) + np.linalg.norm(bones.lower)
    goal = start + direction * random.uniform(0.3, 0.93, (200, 1)) * length
    pole = np.cross(direction, random.normal(size=(200, 3)))
    upper, lower = bones.solve(start, goal, pole, 1.0)
    np.testing.assert_allclose(start + upper @ bones.upper + lower @ bones.lower, goal, atol=2e-3)
    for matrix in (upper, lower):
        np.testing.assert_allclose(
            matrix @ np.swapaxes(matrix, -1, -2), np.broadcast_to(np.eye(3), (200, 3, 3)), atol=1e-9
        )
        np.testing.assert_allclose(np.linalg.det(matrix), 1.0, atol=1e-9)
    assert (((upper @ bones.upper) * pole).sum(-1) > 0).all()  # the elbow or knee is on the pole's side


# ---- plausibility of every kind --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_are_plausible(kind):
    for number, parameters in enumerate(every(kind)):
        made = clip(kind, number, (1.5, 2.1, 3.9)[number % 3], 60, parameters)
        places = made.positions()
        assert np.isfinite(places).all()
        scale = np.array(made.scale)[None, :]
        bones = np.linalg.norm(places[:, :, 1:] - places[:, :, list(PARENTS[1:])], axis=-1)
        lengths = scale[..., None] * np.linalg.norm(REST[1:], axis=-1)
        np.testing.assert_allclose(bones, np.broadcast_to(lengths, bones.shape), atol=1e-9)
        speed = np.linalg.norm(np.diff(places, axis=0), axis=-1) * 60
        assert speed.max() < 8.0, (parameters, speed.max())
        assert places[..., 1].min() > -0.01, parameters
        toes = places[:, :, [INDEX["left_foot"], INDEX["right_foot"]]]
        planted = (toes[:-1, ..., 1] < SOLE + 1e-5) & (toes[1:, ..., 1] < SOLE + 1e-5)
        slide = np.linalg.norm(np.diff(toes, axis=0), axis=-1) * 60
        assert slide[planted].max() < 0.02, (parameters, slide[planted].max())
        assert planted.any(axis=-1).mean() > 0.35, parameters  # people stand or walk on a foot
        for person in (0, 1):
            for side in ("left", "right"):
                _no_hyperextension(places[:, person], side, parameters)


def _no_hyperextension(places, side, parameters):
    """Knees never bend forwards: the knee stays ahead of the line from hip to ankle, seen along the pelvis."""
    hips = places[:, INDEX["left_hip"]] - places[:, INDEX["right_hip"]]
    hip, knee, ankle = (places[:, INDEX[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
    leg = (ankle - hip) / np.linalg.norm(ankle - hip, axis=-1, keepdims=True)
    ahead = np.cross(leg, hips)
    off = (knee - hip) - ((knee - hip) * leg).sum(-1, keepdims=True) * leg
    upright = leg[:, 1] < -0.5
    assert ((off * ahead).sum(-1)[upright] > -0.01).all(), parameters


@pytest.mark.parametrize("kind", KINDS)
def test_another_frame_rate_samples_the_same_motion(kind):
    slow, fast = clip(kind, 5, 1.7, 30), clip(kind, 5, 1.7, 120)
    np.testing.assert_allclose(slow.positions(), fast.positions()[::4], atol=1e-9)
    assert slow.captions == fast.captions


def test_clips_of_equal_parameters_differ():
    parameters = {"hand": "left", "count": "twice", "speed": "slowly"}
    first, second = (clip("handshake", seed, 2.0, 30, parameters) for seed in (1, 2))
    assert first.scale != second.scale
    assert not np.allclose(first.translation, second.translation, atol=0.05)
    assert first.captions != second.captions
    again = clip("handshake", 1, 2.0, 30, parameters)
    assert np.array_equal(first.rotations, again.rotations)
    assert first.captions == again.captions


def test_bad_requests_name_what_is_allowed():
    with pytest.raises(DataError, match="handshake"):
        clip("handshak", 0, 2.0, 30)
    with pytest.raises(DataError, match="left, right"):
        clip("wave", 0, 2.0, 30, {"hand": "middle", "count": "once", "reply": "waves"})
    with pytest.raises(DataError, match="frame"):
        clip("wave", 0, 0.01, 30)


# ---- hands meet ------------------------------------------------------------------------------------------------------

SAME, CROSSED = (lambda hand: hand), (lambda hand: OTHER[hand])


def pairs_of_hands(kind, parameters):
    """Hands of a and b that have to meet."""
    limb = parameters.get("hands", parameters.get("hand"))
    if kind == "pass an object":
        return [(limb, parameters["taking"])]
    if kind == "punch and block":
        return [(limb, parameters["block"])]
    if kind == "spin the partner":
        return [(limb, OTHER[limb])]
    return [("left", "right"), ("right", "left")] if limb == "both" else [(limb, limb)]


@pytest.mark.parametrize(
    "kind",
    [
        "handshake", "high five", "fist bump", "clap hands", "lead by the hand", "help up", "tug of war",
        "pass an object", "spin the partner", "punch and block",
    ],
)  # fmt: skip
def test_hands_meet(kind):
    for seed, parameters in enumerate(every(kind)):
        seen = Seen(kind, parameters, seed)
        for first, second in pairs_of_hands(kind, parameters):
            assert seen.gap(first, second).min() < 0.09, parameters


def test_hands_meet_bodies():
    for seed, parameters in enumerate(every("pat on the shoulder")):
        seen = Seen("pat on the shoulder", parameters, seed)
        hand = parameters["hand"]
        shoulder = OTHER[hand] if parameters["from"] == "front" else hand
        assert np.linalg.norm(seen.palm("a", hand) - seen.joint("b", f"{shoulder}_shoulder"), axis=-1).min() < 0.13
        behind = seen.own("b", seen.joint("a", "pelvis"))[0, 2] < 0
        assert behind == (parameters["from"] == "behind")
    for seed, parameters in enumerate(every("push")):
        seen = Seen("push", parameters, seed)
        for hand in ("left", "right") if parameters["hands"] == "both" else (parameters["hands"],):
            assert np.linalg.norm(seen.palm("a", hand) - seen.joint("b", "spine3"), axis=-1).min() < 0.2, parameters
    for seed, parameters in enumerate(every("hug")):
        seen = Seen("hug", parameters, seed)
        close = np.linalg.norm(seen.joint("a", "pelvis") - seen.joint("b", "pelvis"), axis=-1)
        held = int(close.argmin())
        assert close[held] < 0.42
        for hand in ("left", "right"):
            behind = seen.own("b", seen.palm("a", hand)[held], held)[2] < 0.0
            assert behind == (parameters["arms"] in (hand, "both")), (parameters, hand)


# ---- motions do what their parameters say ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "height"), [("wave", 1.35), ("salute", 1.4), ("jump for joy", 1.5), ("mirror dance", 1.4)]
)
def test_the_right_hands_are_raised(kind, height):
    for seed, parameters in enumerate(every(kind)):
        seen = Seen(kind, parameters, seed)
        limb = parameters.get("hand", parameters.get("arms", parameters.get("arm")))
        for hand in ("left", "right"):
            raised = seen.palm("a", hand)[:, 1].max() > height * 0.92
            assert raised == (limb in (hand, "both")), (parameters, hand)


@pytest.mark.parametrize("seconds", [1.5, 3.6])
def test_repetitions_can_be_counted(seconds):
    numbers = {"once": 1, "twice": 2, "three times": 3}
    for parameters in every("bow"):
        seen = Seen("bow", parameters, 1, seconds, 60)
        assert strokes(-seen.joint("a", "head")[:, 1], 0.03) == numbers[parameters["count"]], parameters
    for parameters in every("wave"):
        seen = Seen("wave", parameters, 1, seconds, 60)
        hand = parameters["hand"]
        elbow = seen.own("a", seen.palm("a", hand) - seen.joint("a", f"{hand}_shoulder") + seen.joint("a", "pelvis")[0])
        high = seen.palm("a", hand)[:, 1] > seen.joint("a", "neck")[:, 1] - 0.05
        assert strokes(elbow[high][:, 0] * SIGNS[hand], 0.1) == numbers[parameters["count"]], parameters
    for parameters in every("jump for joy"):
        seen = Seen("jump for joy", parameters, 1, seconds, 60)
        lowest = np.minimum(seen.joint("a", "left_foot")[:, 1], seen.joint("a", "right_foot")[:, 1])
        assert strokes(lowest, 0.05) == numbers[parameters["count"]], parameters
    for kind in ("clap hands", "fist bump", "high five"):
        for parameters in every(kind):
            seen = Seen(kind, parameters, 1, seconds, 60)
            first, second = pairs_of_hands(kind, parameters)[0]
            touching = np.concatenate([[False], seen.gap(first, second) < 0.12])
            assert (touching[1:] & ~touching[:-1]).sum() == numbers[parameters["count"]], (kind, parameters)
    for parameters in every("handshake"):
        seen = Seen("handshake", parameters, 1, seconds, 60)
        hand = parameters["hand"]
        held = seen.gap(hand, hand) < 0.045
        assert strokes(seen.palm("a", hand)[held][:, 1], 0.04) == numbers[parameters["count"]], parameters


def test_initiators_move_first():
    for kind in (
        "handshake",
        "high five",
        "fist bump",
        "mirror dance",
        "help up",
        "bow",
        "salute",
        "wave",
        "push",
        "kick and dodge",
    ):
        for parameters in every(kind):
            seen = Seen(kind, parameters, 2, 2.0, 60)
            started = {}
            for role in "ab":
                (places, _), _ = seen.poses[role]
                moved = np.linalg.norm(places - places[0], axis=-1).max(axis=1) > 0.06
                started[role] = moved.argmax() if moved.any() else len(moved)
            assert started["a"] < started["b"], (kind, parameters)


def test_directions_are_right():
    for parameters in every("approach"):
        seen = Seen("approach", parameters, 3)
        bearing = seen.own("b", seen.joint("a", "pelvis"))
        x, _, z = bearing[0]
        side = {"front": z > abs(x), "left": x > abs(z), "right": -x > abs(z)}
        assert side[parameters["from"]], parameters
        last = np.linalg.norm(bearing[-1, [0, 2]])
        assert (last < 0.85) == (parameters["distance"] == "close")
    for parameters in every("circle"):
        seen = Seen("circle", parameters, 3)
        around = seen.joint("a", "pelvis") - seen.joint("b", "pelvis")
        angle = np.unwrap(np.arctan2(around[:, 0], around[:, 2]))  # grows counterclockwise seen from above
        swept = angle[-1] - angle[0]
        assert (swept > 0) == (parameters["direction"] == "counterclockwise")
        assert abs(abs(swept) - {"quarter": np.pi / 2, "half": np.pi}[parameters["amount"]]) < 0.25
    for parameters in every("spin the partner"):
        turned = np.ptp(Seen("spin the partner", parameters, 3).yaw("b"))
        swept = Seen("spin the partner", parameters, 3).yaw("b")
        assert (swept[-1] > swept[0]) == (parameters["direction"] == "counterclockwise")
        assert abs(turned - {"half": np.pi, "full": 2 * np.pi}[parameters["turns"]]) < 0.3
    for parameters in every("walk away"):
        swept = Seen("walk away", parameters, 3).yaw("a")
        assert (swept[-1] > swept[0]) == (parameters["turn"] == "left")
    for kind in ("follow", "lead by the hand", "chase"):
        for parameters in every(kind):
            swept = Seen(kind, parameters, 3, 2.1).yaw("b" if kind != "lead by the hand" else "a")
            change = swept[-1] - swept[0]
            way = "straight" if abs(change) < 0.15 else "left" if change > 0 else "right"
            assert way == parameters["way"], (kind, parameters, change)
    for parameters in every("kick and dodge"):
        seen = Seen("kick and dodge", parameters, 3)
        x, _, z = seen.own("b", seen.joint("b", "pelvis"))[-1]
        dodged = "back" if -z > abs(x) else "left" if x > 0 else "right"
        assert dodged == parameters["dodge"]
        tops = {side: seen.joint("a", f"{side}_foot")[:, 1].max() for side in ("left", "right")}
        assert max(tops, key=tops.get) == parameters["leg"]
        assert (max(tops.values()) > 0.65) == (parameters["height"] == "high")
    for parameters in every("point"):
        seen = Seen("point", parameters, 3)
        hand = parameters["hand"]
        x, y, z = (seen.own("a", seen.palm("a", hand)) - seen.own("a", seen.joint("a", f"{hand}_shoulder")))[30]
        way = "up" if y > max(abs(x), abs(z)) else "left" if x > 0 else "right"
        assert way == parameters["towards"], (parameters, x, y, z)
    for parameters in every("kneel and propose"):
        seen = Seen("kneel and propose", parameters, 3)
        knees = {side: seen.joint("a", f"{side}_knee")[-1, 1] for side in ("left", "right")}
        assert min(knees, key=knees.get) == parameters["knee"]
        assert min(knees.values()) < 0.16
    for parameters in every("whisper"):
        seen = Seen("whisper", parameters, 3)
        heads = np.linalg.norm(seen.joint("a", "head") - seen.joint("b", "head"), axis=-1)
        nearest = int(heads.argmin())
        assert heads[nearest] < 0.45
        assert np.sign(seen.own("b", seen.joint("a", "head")[nearest], nearest)[0]) == SIGNS[parameters["ear"]]
    for parameters in every("walk past"):
        seen = Seen("walk past", parameters, 3)
        beside = np.linalg.norm(seen.joint("a", "pelvis") - seen.joint("b", "pelvis"), axis=-1).argmin()
        assert np.sign(seen.own("a", seen.joint("b", "pelvis")[beside], beside)[0]) == SIGNS[parameters["side"]]


def test_slow_and_quick_differ():
    walked = ("approach", "walk away", "follow", "walk past", "lead by the hand", "beckon")
    for kind, kinds in KINDS.items():
        if "speed" not in kinds.parameters:
            continue
        others = [name for name in kinds.parameters if name != "speed"]
        fixed = {name: kinds.parameters[name][0] for name in others}
        peaks = {}
        for speed in ("slowly", "quickly"):
            role = "b" if kind in ("help up", "beckon") else "a"
            seen = Seen(kind, fixed | {"speed": speed}, 4, 2.0, 60)
            (places, _), _ = seen.poses[role]
            # Walkers are told by the pelvis, others by how briskly they begin (hands drop alike in the end).
            shown = places[:, :1] if kind in walked else places[: len(places) // 2]
            peaks[speed] = np.linalg.norm(np.diff(shown, axis=0), axis=-1).max()
        assert peaks["quickly"] > 1.15 * peaks["slowly"], (kind, peaks)


def test_partners_face_each_other():
    for kind in (
        "handshake",
        "bow",
        "high five",
        "punch and block",
        "clap hands",
        "mirror dance",
        "fist bump",
        "tug of war",
    ):
        for seed, parameters in enumerate(itertools.islice(every(kind), 4)):
            seen = Seen(kind, parameters, seed)
            for role, other in (("a", "b"), ("b", "a")):
                x, _, z = seen.own(role, seen.joint(other, "pelvis"))[0]
                assert z > 0.4
                assert abs(x) < 0.2
