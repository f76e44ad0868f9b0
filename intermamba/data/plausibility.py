"""Whether motions can be people in metres with y up: units and axes that are wrong would otherwise pass silently.

Measured per motion, decided on the medians of a whole set: a method may make a few bodies that no person has. What
cannot be metres is refused; what is only odd is a warning, since bad motions must remain measurable.
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
"""Metres a second. Sprinters reach 12.4 m/s at their fastest; joints of a pair that interacts stay below."""
BONES = 2.0
"""Factor by which adults' bones differ from those of :data:`intermamba.skeleton.OFFSETS`, with much room."""
FLOOR = 2 * FEET_HEIGHT[0]
"""Metres between the floor and the lowest joint; twice the height below which InterGen takes an ankle to stand."""
APART = 10.0
"""Metres between two people who interact; the data were captured in rooms smaller than that."""
IMPOSSIBLE = 20.0
"""Factor on bones, or metres between two people, beyond which it is the unit that is wrong, not the motion."""
UNITS = {"centimetres": 100.0, "millimetres": 1000.0, "inches": 39.37}
"""How many of each make a metre."""

_BONES = np.linalg.norm(np.array(OFFSETS)[list(BONE_ENDS)], axis=-1)  # each chain goes from parent to child
_HEAD, _ANKLES = 15, (FEET[0], FEET[2])
_AXES = "xyz"


@dataclass(frozen=True)
class Size:
    """Measurements of one motion: medians over frames and persons."""

    bones: float
    """Lengths over those of the project's neutral skeleton."""
    height: float
    """Metres between the lowest and the highest joint of a person."""
    upright: tuple[float, float, float]
    """Shares of x, y and z in the direction from the ankles to the head, each from 0 to 1."""
    lowest: float
    """Height in metres of the lowest joint of the motion."""
    speed: float
    """Metres a second, below which 95% of the joints' steps stay; zero for a single frame."""
    apart: float
    """Metres between the two pelvises."""


def measure(joints: Float[np.ndarray, "T 2 22 3"], fps: int) -> Size:
    """Sizes of a motion of at least one frame, whose joints are global positions taken to be metres, y up."""
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
    """What is odd about a set of motions: a sentence each, none where all is well.

    Args:
        sizes: of every motion.
        floor: its height in metres; ``None`` where it is the lowest joint of a motion.
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
        odd.append(f"bodies extend along {_AXES[longest]}, not y: they lie, or y is not up.{turned}")
    elif not low < height < high:
        odd.append(f"people are {height:.2f} m tall; {low} to {high} m is plausible.")
    if floor is not None and abs(lowest - floor) > FLOOR:
        odd.append(f"the lowest joint is {lowest - floor:+.2f} m from the floor at y = {floor:g}.")
    if speed > FASTEST:
        odd.append(f"joints move at {speed:.1f} m/s; people stay below {FASTEST:g} m/s. Is it 30 frames a second?")
    if apart > APART:
        odd.append(f"the two people are {apart:.1f} m apart; people who interact are within {APART:g} m.")
    return tuple(odd)


def _unit(factor: float) -> str:
    """Which unit makes lengths ``factor`` times too long (about: two people are some metres apart)."""
    for name, per_metre in UNITS.items():
        if 0.7 < factor / per_metre < 1.4:
            return f"this looks like {name}: divide by {per_metre:g}."
    for name, per_metre in UNITS.items():
        if 0.7 < factor * per_metre < 1.4:
            return f"this looks like metres taken for {name}: multiply by {per_metre:g}."
    return "metres are needed."
