"""Plausibility of motions: wrong units and axes would otherwise pass silently.

Sizes are measured per motion and checked by their medians over a set, since a method may generate a few implausible
bodies. Values that cannot be metres are refused; implausible ones give a warning, since bad motions must remain
measurable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from intermamba.errors import DataError
from intermamba.skeleton import BONE_ENDS, BONE_STARTS, FEET, FEET_HEIGHT, OFFSETS

HEIGHT = (0.5, 2.5)
"""Metres between the lowest and the highest joint of a person: crawling children to the tallest adults."""
FASTEST = 12.0
"""Metres per second. Sprinters reach 12.4 m/s; joints of two interacting people stay below."""
BONES = 2.0
"""Largest plausible factor between adults' bones and those of :data:`intermamba.skeleton.OFFSETS`."""
FLOOR = 2 * FEET_HEIGHT[0]
"""Metres between the floor and the lowest joint: twice the height below which InterGen's ankles are in contact."""
APART = 10.0
"""Metres between two interacting people; the capture volumes were smaller."""
IMPOSSIBLE = 20.0
"""Factor on bones, or metres between two people, beyond which the unit must be wrong."""
UNITS = {"centimetres": 100.0, "millimetres": 1000.0, "inches": 39.37}
"""Units per metre."""

_BONES = np.linalg.norm(np.array(OFFSETS)[list(BONE_ENDS)], axis=-1)  # chains go from parent to child
_HEAD, _ANKLES = 15, (FEET[0], FEET[2])
_AXES = "xyz"


@dataclass(frozen=True)
class Size:
    """Measurements of one motion: medians over frames and persons."""

    bones: float
    """Bone lengths over those of the project's neutral skeleton."""
    height: float
    """Metres between the lowest and the highest joint of a person."""
    upright: tuple[float, float, float]
    """Shares of x, y and z in the direction from the ankles to the head, each from 0 to 1."""
    lowest: float
    """Height in metres of the lowest joint of the motion."""
    speed: float
    """95% quantile of the joints' speeds, metres per second; zero for a single frame."""
    apart: float
    """Metres between the two pelvises."""


def measure(joints: Float[np.ndarray, "T 2 22 3"], fps: int) -> Size:
    """Sizes of a motion of at least one frame, whose joints are global positions, assumed to be metres, y up."""
    joints = joints.astype(np.float64)
    bones = np.linalg.norm(joints[:, :, BONE_ENDS] - joints[:, :, BONE_STARTS], axis=-1)
    direction = np.abs(joints[:, :, _HEAD] - joints[:, :, _ANKLES].mean(axis=2))
    direction /= np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-9)
    x, y, z = np.median(direction, axis=(0, 1))
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * fps
    return Size(
        bones=float(np.median(bones / _BONES)),
        height=float(np.median(np.ptp(joints[..., 1], axis=2))),
        upright=(float(x), float(y), float(z)),
        lowest=float(joints[..., 1].min()),
        speed=float(np.quantile(speed, 0.95)) if len(speed) else 0.0,
        apart=float(np.median(np.linalg.norm(joints[:, 0, 0] - joints[:, 1, 0], axis=-1))),
    )


def check(sizes: Sequence[Size], floor: float | None, what: str) -> tuple[str, ...]:
    """Warnings on a set of motions, one sentence each; empty where all is plausible.

    Args:
        sizes: sizes of all motions.
        floor: height of the floor in metres; ``None`` where it is the lowest joint of a motion.
        what: the motions' name in messages.

    Raises:
        DataError: the motions cannot be in metres.
    """
    bones, height, lowest, speed, apart = (
        float(np.median([getattr(size, name) for size in sizes]))
        for name in ("bones", "height", "lowest", "speed", "apart")
    )
    if not 1 / IMPOSSIBLE < bones < IMPOSSIBLE:
        raise DataError(f"{what}: bones are {bones:.3g} times as long as a person's; {_unit(bones)}")
    if apart > IMPOSSIBLE:
        raise DataError(f"{what}: the two people are {apart:.3g} m apart; {_unit(apart)}")
    longest = int(np.argmax(np.median([size.upright for size in sizes], axis=0)))
    low, high = HEIGHT
    odd = []
    if not 1 / BONES < bones < BONES:
        odd.append(f"bones are {bones:.2f} times as long as an adult's. Are the joints in metres?")
    if longest != 1:
        turned = " Is z up? Then give (x, z, -y) for (x, y, z)." if longest == 2 else ""
        odd.append(f"bodies extend along {_AXES[longest]}, not y: people are lying, or y is not up.{turned}")
    elif not low < height < high:
        odd.append(f"people are {height:.2f} m tall; {low} to {high} m is plausible.")
    if floor is not None and abs(lowest - floor) > FLOOR:
        odd.append(f"the lowest joint is {lowest - floor:+.2f} m from the floor at y = {floor:g}.")
    if speed > FASTEST:
        odd.append(f"joints move at {speed:.1f} m/s; people stay below {FASTEST:g} m/s. Is it 30 frames per second?")
    if apart > APART:
        odd.append(f"the two people are {apart:.1f} m apart; people who interact are within {APART:g} m.")
    return tuple(odd)


def _unit(factor: float) -> str:
    """The unit that explains lengths ``factor`` times too long (approximately: two people are some metres apart)."""
    for name, per_metre in UNITS.items():
        if 0.7 < factor / per_metre < 1.4:
            return f"this looks like {name}: divide by {per_metre:g}."
    for name, per_metre in UNITS.items():
        if 0.7 < factor * per_metre < 1.4:
            return f"this looks like metres converted from {name}: multiply by {per_metre:g}."
    return "metres are needed."
