"""One performer's part: the plan of a choreography, and the pose that follows from it at any moment.

A choreography plans with :meth:`Performer.walk`, :meth:`~Performer.add`, :meth:`~Performer.reach` and
:meth:`~Performer.swing_leg`; nothing is computed until the clip is sampled. Then the trunk is posed from curves, the
feet from planned steps (a foot is either planted or in one swing, so it cannot slide), and arms and legs by two-bone
inverse kinematics. Hands come last because they may aim at the other performer's body.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from intermamba.data.synthetic import body, timing
from intermamba.data.synthetic.body import LIMBS, REST, SOLE, apply, turn
from intermamba.data.synthetic.timing import Curve
from intermamba.skeleton import INDEX

Side = Literal["left", "right"]
Signal = Callable[[Curve], Curve]
Stand = Float[np.ndarray, "*axes 3"]
"""Place and heading on the floor: x, z in metres, yaw in radians (never wrapped, so that turns have a direction)."""
Path = Callable[[Curve], Stand]
"""Stand as a function of progress 0..1."""
SIDES: tuple[Side, Side] = ("left", "right")
SIGNS: dict[str, float] = {"left": 1.0, "right": -1.0}

STANDING = 0.964
"""Height of the pelvis of a relaxed stand, metres: a little below straight legs."""
TOES = (0.12, 0.09)
"""Home of a toe joint beside and ahead of the pelvis, metres."""
TOES_OUT = 0.12
"""Angle by which feet point outwards, radians."""
PALMS = (0.07, -0.56, 0.05)
"""Home of a hanging palm from its shoulder: outwards, up, ahead, metres."""
STEP_SECONDS = 0.42
"""Time of a walking step at most."""
SPRINT = 1.5
"""Above this speed, in metres a second, swings overlap as in running."""
TRUNK = 18
"""Joints up to the shoulders come first in SMPL's order; their pose depends on no hand."""
CHANNELS = (
    "drop",
    "surge",
    "slide",
    "bend",
    "twist",
    "tilt",
    "nod",
    "look",
    "gaze",
    "left_heel",
    "right_heel",
    "shrug",
)


@dataclass(frozen=True)
class Move:
    """A walk (the feet step) or a shift of weight (the feet stay) along a path."""

    start: float
    end: float
    path: Path

    def at(self, time: Curve) -> Stand:
        """Place and heading at each time, on the path's end outside of the move."""
        return self.path(timing.glide((time - self.start) / (self.end - self.start)))


@dataclass(frozen=True)
class Swing:
    """One step of a foot: from where it is planted to the next plant."""

    start: float
    end: float
    step: Stand
    height: float


@dataclass(frozen=True)
class Ground:
    """Where a body is, for feet to aim at. ``stand`` is the heading's frame, ``translation`` the pelvis."""

    stand: Float[np.ndarray, "T 3"]
    translation: Float[np.ndarray, "T 3"]
    scale: float

    def beside(self, offset: tuple[float, float, float]) -> Float[np.ndarray, "T 3"]:
        """World place left of, above the floor below, and ahead of the pelvis, in the axes of its heading."""
        frame = turn("y", self.stand[:, 2])
        floor = np.stack([self.translation[:, 0], np.zeros(len(self.stand)), self.translation[:, 2]], axis=-1)
        return floor + apply(frame, self.scale * np.array(offset))


@dataclass(frozen=True)
class Trunk(Ground):
    """Everything of a pose but arms: what hands may aim at. World pose of the first 18 joints, local of all."""

    rotations: Float[np.ndarray, "T 55 3 3"]
    positions: Float[np.ndarray, "T 18 3"]
    turned: Float[np.ndarray, "T 18 3 3"]

    def point(self, joint: str, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Float[np.ndarray, "T 3"]:
        """World place of ``offset`` (in the joint's own axes, metres of an unscaled body) from a joint."""
        index = INDEX[joint]
        return self.positions[:, index] + apply(self.turned[:, index], self.scale * np.array(offset))


Target = Callable[["Scene"], Float[np.ndarray, "T 3"]]


@dataclass(frozen=True)
class Scene:
    """What is known when hands are placed: the time and both trunks, the initiator's first."""

    time: Curve
    trunks: tuple[Trunk, Trunk]


@dataclass(frozen=True)
class Reach:
    """A hand leaves its home for a target and comes back; ``weight`` 0..1 says how far along it is."""

    side: Side
    weight: Signal
    target: Target
    twist: float
    curl: float
    pole: tuple[float, float, float]


@dataclass(frozen=True)
class LegSwing:
    """A foot leaves its plant for a target of its toe, with its sole pitched (positive: toe down)."""

    side: Side
    weight: Signal
    target: Callable[[Ground], Float[np.ndarray, "T 3"]]
    pitch: float


@dataclass
class Performer:
    """Plan of one performer.

    Args:
        index: 0 for the initiator, 1 for the other; the place of its trunk in a :class:`Scene`.
        scale: body size, 1 for the neutral skeleton.
        seconds: length of the clip, which turns fractions into durations where physics asks for them.
        lead: foot that takes the first step unless a walk says otherwise.
    """

    index: int
    scale: float
    seconds: float
    lead: Side
    stand: tuple[float, float, float] = (0.0, 0.0, 0.0)
    moves: list[Move] = field(default_factory=list)
    swings: dict[Side, list[Swing]] = field(default_factory=lambda: {"left": [], "right": []})
    reaches: list[Reach] = field(default_factory=list)
    legs: list[LegSwing] = field(default_factory=list)
    channels: dict[str, list[Signal]] = field(default_factory=lambda: {name: [] for name in CHANNELS})
    arm_swing: float = 0.5
    feet: dict[Side, Stand] = field(default_factory=dict)
    """Where each foot is planted once all moves so far are done."""
    starts: dict[Side, Stand] = field(default_factory=dict)

    # ---- planning ------------------------------------------------------------------------------------------------

    def place(self, x: float, z: float, yaw: float) -> None:
        """Stand here when the clip begins; call once, before anything that moves."""
        self.stand = (x, z, yaw)
        for side in SIDES:
            self.feet[side] = self.starts[side] = self.home(side, np.array(self.stand))

    def home(self, side: Side, stand: Stand) -> Stand:
        """Plant of a foot under a body that stands at ``stand``."""
        x, z, yaw = stand
        aside, ahead = SIGNS[side] * TOES[0] * self.scale, TOES[1] * self.scale
        return np.array(
            [
                x + math.cos(yaw) * aside + math.sin(yaw) * ahead,
                z - math.sin(yaw) * aside + math.cos(yaw) * ahead,
                yaw + SIGNS[side] * TOES_OUT,
            ]
        )

    def shift(self, start: float, end: float, x: float, z: float) -> None:
        """Move the pelvis over the floor while both feet stay where they are."""
        self._move(start, end, line(self.stand, (x, z, self.stand[2])))

    def walk(
        self,
        start: float,
        end: float,
        to: tuple[float, float, float] | None = None,
        path: Path | None = None,
        lead: Side | None = None,
        lift: float = 0.07,
    ) -> None:
        """Step along a straight line ``to`` a stand, or along a ``path`` that begins where the performer is.

        Step count follows from duration, distance and turning. Steps are planned on the path, so each plant lies under
        the body half a step after the foot lands.
        """
        path = path or line(self.stand, to or self.stand)
        marks = path(np.linspace(0.0, 1.0, 17))
        distance = np.linalg.norm(np.diff(marks[:, :2], axis=0), axis=1).sum()
        turned = abs(marks[-1, 2] - marks[0, 2])
        duration = (end - start) * self.seconds
        wanted = max(
            2, round(duration / STEP_SECONDS), math.ceil(distance / (0.62 * self.scale)), math.ceil(turned / 0.8)
        )
        count = max(2, min(wanted, int(duration / 0.17)))
        move = self._move(start, end, path)
        period = (end - start) / count
        overlap = 0.35 if distance / duration > SPRINT else 0.0
        foot: Side = lead or self.lead
        for number in range(count):
            begin, land = start + (number - overlap * (number > 0)) * period, start + (number + 1) * period
            middle = land + period / 2 if number < count - 2 else end
            plant = self.home(foot, move.at(np.array([middle]))[0])
            self._step(foot, begin, land, plant, lift)
            foot = "right" if foot == "left" else "left"

    def step(self, side: Side, start: float, end: float, ahead: float) -> None:
        """Move one foot from its home, ``ahead`` metres in the performer's heading."""
        yaw = self.stand[2]
        home = self.home(side, np.array(self.stand))
        home[0] += math.sin(yaw) * ahead
        home[1] += math.cos(yaw) * ahead
        self._step(side, start, end, home, lift=0.06)

    def add(self, channel: str, signal: Signal) -> None:
        """Add a curve to a channel.

        ``drop``, ``surge``, ``slide``: the pelvis down, ahead, to the left (metres). ``bend``, ``twist``, ``tilt``: the
        trunk forward, to the left about its axis, and sideways to the right (radians). ``nod``, ``look``: the head down
        and to the left. ``left_heel``, ``right_heel``: that foot pitched, toe down. ``gaze``: added to the attention to
        the other performer, which is 1. ``shrug``: both shoulders up.
        """
        self.channels[channel].append(signal)

    def reach(
        self,
        side: Side,
        weight: Signal,
        target: Target,
        twist: float = 0.0,
        curl: float = 0.15,
        pole: tuple[float, float, float] = (0.5, -0.6, -0.5),
    ) -> None:
        """Bring a palm to a target while ``weight`` is 1.

        Args:
            side: which arm.
            weight: 0 at home, 1 at the target.
            target: where the palm goes.
            twist: pronation of the hand in radians (0: thumb up in front of the body; positive: palm down or forward).
            curl: of the fingers; 0 flat, 1.2 a fist.
            pole: where the elbow points: outwards, up, ahead in the chest's axes.
        """
        self.reaches.append(Reach(side, weight, target, twist, curl, pole))

    def swing_leg(
        self, side: Side, weight: Signal, target: Callable[[Ground], Float[np.ndarray, "T 3"]], pitch: float = 0.0
    ) -> None:
        """Lift a foot off its plant towards a target of its toe while ``weight`` is above 0."""
        self.legs.append(LegSwing(side, weight, target, pitch))

    def _move(self, start: float, end: float, path: Path) -> Move:
        move = Move(start, end, path)
        self.moves.append(move)
        x, z, yaw = path(np.ones(1))[0]
        self.stand = (float(x), float(z), float(yaw))
        return move

    def _step(self, side: Side, start: float, end: float, plant: Stand, lift: float) -> None:
        change = plant - self.feet[side]
        self.swings[side].append(Swing(start, end, change, lift if np.abs(change).max() > 1e-3 else 0.0))
        self.feet[side] = plant

    # ---- sampling ------------------------------------------------------------------------------------------------

    def stands(self, time: Curve) -> Float[np.ndarray, "T 3"]:
        """Place and heading of the pelvis over the floor."""
        first = self.moves[0].path(np.zeros(1))[0] if self.moves else np.array(self.stand)
        stands = np.repeat(first[None], len(time), axis=0)
        for move in self.moves:
            stands = np.where((time >= move.start)[:, None], move.at(time), stands)
        return stands

    def curve(self, channel: str, time: Curve) -> Curve:
        """Sum of a channel's signals at each time."""
        return sum((signal(time) for signal in self.channels[channel]), np.zeros(len(time)))

    def trunk(self, time: Curve, other: Float[np.ndarray, "T 3"]) -> Trunk:
        """Pose all but the arms; ``other`` is where the other performer stands, for the gaze."""
        stand = self.stands(time)
        yaw, bend, twist, tilt = stand[:, 2], *(self.curve(name, time) for name in ("bend", "twist", "tilt"))
        rotations = np.broadcast_to(np.eye(3), (len(time), 55, 3, 3)).copy()
        rotations[:, 0] = turn("y", yaw) @ turn("x", 0.4 * bend) @ turn("z", 0.3 * tilt)
        third = turn("y", twist / 3) @ turn("x", 0.2 * bend) @ turn("z", 0.7 / 3 * tilt)
        for name in ("spine1", "spine2", "spine3"):
            rotations[:, INDEX[name]] = third

        shrug = self.curve("shrug", time)
        for side in SIDES:  # a reaching arm takes its shoulder along
            raised = sum((reach.weight(time) for reach in self.reaches if reach.side == side), np.zeros(len(time)))
            rotations[:, INDEX[f"{side}_collar"]] = turn("z", SIGNS[side] * (shrug + 0.12 * np.tanh(raised)))

        away = np.arctan2(other[:, 0] - stand[:, 0], other[:, 1] - stand[:, 1]) - yaw - 0.5 * twist
        # The sine keeps the head from snapping round when the other passes behind.
        look = 0.85 * np.sin(away) * (1.0 + self.curve("gaze", time)) + self.curve("look", time)
        nod = self.curve("nod", time) - 0.45 * bend
        for name, share in (("neck", 0.4), ("head", 0.6)):
            rotations[:, INDEX[name]] = turn("y", share * look) @ turn("x", share * nod)

        translation = np.empty((len(time), 3))
        hips = np.sin(0.4 * bend) * 0.25 * self.scale  # a bow sends the hips back
        surge, slide = self.curve("surge", time) - hips, self.curve("slide", time)
        translation[:, 0] = stand[:, 0] + np.sin(yaw) * surge + np.cos(yaw) * slide
        translation[:, 2] = stand[:, 1] + np.cos(yaw) * surge - np.sin(yaw) * slide
        translation[:, 1] = STANDING * self.scale - self.curve("drop", time)

        feet: dict[Side, tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3 3"], Curve]] = {}
        for side in SIDES:
            planted = self._foot(side, time, translation, rotations[:, 0])
            feet[side] = self._swung(side, time, Ground(stand, translation, self.scale), *planted)
        for side, (toe, frame, _) in feet.items():
            ankle = toe - apply(frame, self.scale * REST[INDEX[f"{side}_foot"]])
            limb = LIMBS[f"{side}_leg"]
            hip = apply(rotations[:, 0], self.scale * REST[limb.root])
            length = 0.99 * self.scale * (np.linalg.norm(limb.upper) + np.linalg.norm(limb.lower))
            aside = np.square(translation[:, ::2] + hip[:, ::2] - ankle[:, ::2]).sum(-1)
            rise = np.sqrt(np.maximum(length**2 - aside, (0.35 * length) ** 2))
            translation[:, 1] = timing.soft_min(ankle[:, 1] + rise - hip[:, 1], translation[:, 1], 0.012)
        positions, turned = body.forward_kinematics(rotations, translation, self.scale, TRUNK)
        trunk = Trunk(stand, translation, self.scale, rotations, positions, turned)
        for side, (toe, frame, lifted) in feet.items():
            self._leg(side, trunk, toe, frame, lifted)
        trunk.positions[:], trunk.turned[:] = body.forward_kinematics(rotations, translation, self.scale, TRUNK)
        return trunk

    def pose(self, scene: Scene) -> None:
        """Place both arms of this performer's trunk, in ``trunk.rotations``."""
        trunk = scene.trunks[self.index]
        for side in SIDES:
            self._arm(side, scene, trunk)

    def _foot(
        self, side: Side, time: Curve, pelvis: Float[np.ndarray, "T 3"], heading: Float[np.ndarray, "T 3 3"]
    ) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3 3"]]:
        """Place of the toe joint and rotation of the foot as the planned steps have it."""
        plant = np.repeat(self.starts[side][None], len(time), axis=0)
        height, airborne = np.full(len(time), SOLE), np.zeros(len(time))
        for swing in self.swings[side]:
            progress = timing.glide((time - swing.start) / (swing.end - swing.start), 0.35)
            plant = plant + progress[:, None] * swing.step
            arc = timing.bump(time, swing.start, swing.end)
            height, airborne = height + self.scale * swing.height * arc, airborne + arc
        toe = np.stack([plant[:, 0], height, plant[:, 1]], axis=-1)
        # The heel rises by itself as the body moves ahead of a foot, and the toe lifts a little before it lands.
        hip = pelvis + apply(heading, self.scale * REST[INDEX[f"{side}_hip"]])
        ahead = np.sin(plant[:, 2]) * (hip[:, 0] - toe[:, 0]) + np.cos(plant[:, 2]) * (hip[:, 2] - toe[:, 2])
        pitch = 1.0 * timing.ramp(ahead / self.scale, -0.02, 0.45) - 0.3 * airborne * timing.ramp(-ahead, 0.12, 0.35)
        pitch = pitch + self.curve(f"{side}_heel", time)
        return toe, turn("y", plant[:, 2]) @ turn("x", pitch)

    def _swung(
        self,
        side: Side,
        time: Curve,
        ground: "Ground",
        toe: Float[np.ndarray, "T 3"],
        frame: Float[np.ndarray, "T 3 3"],
    ) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3 3"], Curve]:
        """The toe, the foot's rotation and how far it is lifted, after kicks and the like."""
        lifted = np.zeros(len(time))
        for leg in self.legs:
            if leg.side == side:
                weight = leg.weight(time)
                toe = toe + weight[:, None] * (leg.target(ground) - toe)
                frame = frame @ turn("x", leg.pitch * weight)
                lifted = np.maximum(lifted, weight)
        return toe, frame, lifted

    def _leg(
        self, side: Side, trunk: Trunk, toe: Float[np.ndarray, "T 3"], frame: Float[np.ndarray, "T 3 3"], lifted: Curve
    ) -> None:
        limb = LIMBS[f"{side}_leg"]
        pelvis = trunk.rotations[:, 0]
        hip = trunk.translation + apply(pelvis, self.scale * REST[limb.root])
        ankle = toe - apply(frame, self.scale * REST[INDEX[f"{side}_foot"]])
        # Knees point where feet and pelvis point; of a leg stretched out ahead they point up.
        level = np.clip(1.15 - (hip[:, 1] - ankle[:, 1]) / (0.5 * self.scale), 0.0, 1.0)
        ahead = np.stack([np.sin(trunk.stand[:, 2]), np.zeros(len(toe)), np.cos(trunk.stand[:, 2])], axis=-1)
        out = np.stack([np.cos(trunk.stand[:, 2]), np.zeros(len(toe)), -np.sin(trunk.stand[:, 2])], axis=-1)
        pole = ahead + 0.1 * SIGNS[side] * out
        reaching = ((ankle - hip) * ahead).sum(-1)
        pole[:, 1] = np.maximum(lifted, level) * timing.ramp(reaching / self.scale, -0.1, 0.2)
        upper, lower = limb.solve(hip, ankle, pole, self.scale)
        rotations = trunk.rotations
        rotations[:, limb.root] = np.swapaxes(pelvis, -1, -2) @ upper
        rotations[:, limb.middle] = np.swapaxes(upper, -1, -2) @ lower
        rotations[:, INDEX[f"{side}_ankle"]] = np.swapaxes(lower, -1, -2) @ frame
        # Toes stay flat under a raised heel.
        pitch = np.arcsin(np.clip(-frame[:, 1, 2], -1.0, 1.0))
        rotations[:, INDEX[f"{side}_foot"]] = turn("x", -0.4 * (pitch + np.sqrt(pitch**2 + 0.01)))

    def _arm(self, side: Side, scene: Scene, trunk: Trunk) -> None:
        limb, sign = LIMBS[f"{side}_arm"], SIGNS[side]
        time, frames = scene.time, len(scene.time)
        chest = trunk.turned[:, INDEX[f"{side}_collar"]]
        shoulder = trunk.positions[:, limb.root]
        heading = turn("y", trunk.stand[:, 2])
        # Arms swing against the legs: each follows the opposite foot.
        opposite = INDEX["right_ankle" if side == "left" else "left_ankle"]
        stride = apply(np.swapaxes(heading, -1, -2), trunk.positions[:, opposite] - trunk.translation)[:, 2]
        home = self.scale * np.array([sign * PALMS[0], PALMS[1], PALMS[2]]) + np.zeros((frames, 3))
        home[:, 2] += self.arm_swing * np.tanh(stride / 0.4) * 0.4
        palm = shoulder + 0.5 * (apply(chest, home) + apply(heading, home))
        palm[:, 1] = -timing.soft_min(-0.125, -palm[:, 1], 0.02)
        pole = np.repeat(np.array([[0.35, -0.3, -0.8]]), frames, axis=0)
        twist, curl = np.zeros(frames), np.full(frames, 0.25)
        for reach in self.reaches:
            if reach.side == side:
                weight = reach.weight(time)
                way = reach.target(scene) - palm
                # A hand that rises goes out in front: straight up it would brush the shoulder and snap the elbow over.
                arc = (
                    self.scale
                    * np.array([sign * 0.35, 0.0, 0.85])
                    * (1.3 * weight * (1 - weight) * np.abs(way[:, 1]))[:, None]
                )
                palm = palm + weight[:, None] * way + apply(heading, arc)
                pole = pole + weight[:, None] * (np.array(reach.pole) - pole)
                twist = twist + weight * (reach.twist - twist)
                curl = curl + weight * (reach.curl - curl)
        world_pole = apply(chest, pole * np.array([sign, 1.0, 1.0]))
        upper, lower = limb.solve(shoulder, palm, world_pole, self.scale)
        rotations = trunk.rotations
        rotations[:, limb.root] = np.swapaxes(chest, -1, -2) @ upper
        rotations[:, limb.middle] = np.swapaxes(upper, -1, -2) @ lower
        rotations[:, INDEX[f"{side}_wrist"]] = turn("x", twist)
        first = INDEX[f"{side}_index1"]
        rotations[:, first : first + 15] = body.fingers(curl, side)


def line(start: tuple[float, float, float], end: tuple[float, float, float]) -> Path:
    """Straight path with an even turn."""
    first, change = np.array(start), np.array(end) - np.array(start)
    return lambda progress: first + progress[:, None] * change


def arc(centre: tuple[float, float], radius: float, start: float, sweep: float, facing: float) -> Path:
    """Circle about ``centre`` from bearing ``start`` by ``sweep`` (positive: counterclockwise seen from above).

    The heading keeps the angle ``facing`` to the bearing from the centre outwards: pi looks at the centre, +-pi/2
    along the circle.
    """

    def path(progress: Curve) -> Stand:
        bearing = start + sweep * progress
        return np.stack(
            [centre[0] + radius * np.sin(bearing), centre[1] + radius * np.cos(bearing), bearing + facing], axis=-1
        )

    return path
