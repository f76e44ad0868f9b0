"""The stage of one clip: two performers, the parameters of the interaction, and the places where hands can meet."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from intermamba.data.synthetic import timing
from intermamba.data.synthetic.performer import SIGNS, Ground, Path, Performer, Scene, Side, Signal, Target, arc, line

TIMES = {"once": 1, "twice": 2, "three times": 3}
PACES = {"slowly": 0.85, "quickly": 1.7}
"""Walking speeds of the captions' words, metres per second."""
OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


def side(word: str) -> Side:
    """The side that a caption's word names; other words mean right."""
    return "left" if word == "left" else "right"


def sides(limb: str) -> tuple[Side, ...]:
    """Sides of ``left``, ``right`` or ``both``."""
    return ("left", "right") if limb == "both" else (side(limb),)


@dataclass
class Stage:
    """The two performers and the parameters of a choreography.

    ``a`` initiates and ``b`` responds. Both are placed near the origin; the finished clip is turned and moved.
    """

    a: Performer
    b: Performer
    parameters: Mapping[str, str]
    seconds: float
    random: np.random.Generator

    def __getitem__(self, parameter: str) -> str:
        return self.parameters[parameter]

    @property
    def size(self) -> float:
        """Mean scale of the two bodies, which scales the height at which hands meet."""
        return (self.a.scale + self.b.scale) / 2

    @property
    def count(self) -> int:
        """How many times the action is done."""
        return TIMES[self["count"]]

    def vary(self, value: float, share: float = 0.06) -> float:
        """The value with a random deviation of up to ``share`` of it, so that clips differ."""
        return value * (1 + share * self.random.uniform(-1, 1))

    def span(self, start: float = 0.12, end: float | None = None) -> tuple[float, float]:
        """Interval of the main action in fractions of the clip: quick is over early, slow fills the clip."""
        if end is None:
            end = {"slowly": 0.94, "quickly": 0.58}.get(self.parameters.get("speed", ""), 0.86)
        return start + self.random.uniform(-0.03, 0.03), end + self.random.uniform(-0.025, 0.025)

    def stroll(self, start: float, end: float) -> float:
        """Metres walked in an interval at the pace of the caption."""
        pace = self.vary(PACES[self["speed"]])
        return pace * (end - start) * self.seconds

    def face(self, distance: float) -> None:
        """``a`` at the origin looking along +z, ``b`` opposite at ``distance`` (of neutral bodies)."""
        wobble = self.random.uniform(-0.06, 0.06, 2)
        self.a.place(0.0, 0.0, wobble[0])
        self.b.place(0.0, distance * self.size, math.pi + wobble[1])

    def between(
        self, height: float, toward: float = 0.5, aside: float = 0.0, gap: float = 0.0, shake: Signal | None = None
    ) -> Target:
        """A point between the two: ``toward`` 0 at a, 1 at b; ``aside`` to a's left; ``gap`` metres nearer to a.

        ``shake`` moves it up and down in metres.
        """
        size = self.size

        def target(scene: Scene) -> Float[np.ndarray, "T 3"]:
            first, second = (trunk.translation for trunk in scene.trunks)
            line_of_two = second - first
            line_of_two[:, 1] = 0.0
            ahead = line_of_two / np.linalg.norm(line_of_two, axis=-1, keepdims=True)
            left = np.stack([ahead[:, 2], np.zeros(len(ahead)), -ahead[:, 0]], axis=-1)
            point = first + toward * line_of_two + aside * left - gap * ahead
            point[:, 1] = height * size + (shake(scene.time) if shake else 0.0)
            return point

        return target


def on(performer: Performer, joint: str, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Target:
    """A point on a performer's body: ``offset`` left, up and ahead in the joint's own axes."""
    return lambda scene: scene.trunks[performer.index].point(joint, offset)


def near(performer: Performer, offset: tuple[float, float, float]) -> Target:
    """A point left of, above the floor below, and ahead of a performer's pelvis."""
    return lambda scene: scene.trunks[performer.index].beside(offset)


def moved(target: Target, signal: Signal, by: tuple[float, float, float]) -> Target:
    """A target displaced by ``by`` (world axes) as ``signal`` goes to 1."""
    return lambda scene: target(scene) + signal(scene.time)[:, None] * np.array(by)


def mixed(first: Target, second: Target, signal: Signal) -> Target:
    """From the first target to the second as ``signal`` goes from 0 to 1."""

    def target(scene: Scene) -> Float[np.ndarray, "T 3"]:
        weight = signal(scene.time)[:, None]
        return (1 - weight) * first(scene) + weight * second(scene)

    return target


def pulse(rise: float, full: float, fade: float = 2.0, end: float = 3.0) -> Signal:
    """Curve of :func:`timing.pulse`; with two arguments it stays up to the end of the clip."""
    return lambda time: timing.pulse(time, rise, full, fade, end)


def cycles(start: float, end: float, count: int, scale: float = 1.0) -> Signal:
    """Curve of :func:`timing.cycles`, times ``scale``."""
    return lambda time: scale * timing.cycles(time, start, end, count)


def sway(start: float, end: float, count: int, scale: float) -> Signal:
    """``count`` full swings to both sides within the interval, fading in and out at its ends."""

    def signal(time: timing.Curve) -> timing.Curve:
        x = np.clip((time - start) / (end - start), 0.0, 1.0)
        edge = timing.ramp(x, 0.0, 0.25) - timing.ramp(x, 0.75, 1.0)
        return scale * edge * np.sin(2 * np.pi * count * x)

    return signal


def constant(value: float) -> Signal:
    """A signal with one value at all times."""
    return lambda time: np.full(len(time), value)


def times(signal: Signal, scale: float) -> Signal:
    """``signal``, multiplied by ``scale``."""
    return lambda time: scale * signal(time)


def toe_at(offset: tuple[float, float, float]) -> Callable[[Ground], Float[np.ndarray, "T 3"]]:
    """Target of a kicking toe, in the axes of its own performer."""
    return lambda ground: ground.beside(offset)


def curved(stand: tuple[float, float, float], length: float, way: str, radius: float = 1.6) -> Path:
    """Path of ``length`` ahead from ``stand``: ``straight``, or an arc to the ``left`` or ``right``."""
    x, z, yaw = stand
    if way == "straight":
        return line((x, z, yaw), (x + math.sin(yaw) * length, z + math.cos(yaw) * length, yaw))
    sign = SIGNS[way]
    centre = (x + sign * radius * math.cos(yaw), z - sign * radius * math.sin(yaw))
    return arc(centre, radius, yaw - sign * math.pi / 2, sign * length / radius, sign * math.pi / 2)


def behind(gap: float, length: float, way: str, radius: float = 1.6) -> Path:
    """Path of a follower from the origin in the track of a leader who began ``gap`` ahead; both walk ``length``."""
    track = curved((0.0, gap, 0.0), length, way, radius)

    def path(progress: timing.Curve) -> Float[np.ndarray, "T 3"]:
        walked = progress * length
        to_track = np.stack([0 * walked, walked, 0 * walked], axis=-1)
        return np.where((walked < gap)[:, None], to_track, track(np.maximum(walked - gap, 0.0) / length))

    return path


def wave(stage: Stage, who: Performer, hand: Side, start: float, end: float, count: int) -> None:
    """Raise a hand and swing it outwards ``count`` times."""
    raised, lowering = start + 0.28 * (end - start), end - 0.2 * (end - start)
    sign, height = SIGNS[hand], stage.vary(1.52, 0.03)
    inner, outer = near(who, (sign * 0.2, height, 0.2)), near(who, (sign * 0.44, height - 0.03, 0.18))
    strokes = mixed(inner, outer, cycles(raised - 0.02, lowering, count))
    who.reach(hand, pulse(start, raised, lowering, end), strokes, twist=1.5, curl=0.05, pole=(0.6, -0.8, -0.1))
