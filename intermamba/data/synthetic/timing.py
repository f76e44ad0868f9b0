"""Smooth curves over time, of which all motion of the embedded dataset is made, at any frame rate.

Times are fractions of the clip: 0 at its first moment, 1 at its last.
"""

import numpy as np
from jaxtyping import Float

Curve = Float[np.ndarray, " T"]


def ramp(time: Curve, start: float, end: float) -> Curve:
    """Minimum-jerk rise from 0 at ``start`` to 1 at ``end`` (Flash and Hogan 1985); constant outside."""
    x = np.clip((time - start) / (end - start), 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def pulse(time: Curve, rise: float, full: float, fade: float, end: float) -> Curve:
    """0, up to 1 between ``rise`` and ``full``, held until ``fade``, back to 0 at ``end``."""
    return ramp(time, rise, full) - ramp(time, fade, end)


def glide(x: Curve, share: float = 0.3) -> Curve:
    """Progress 0..1 at a steady speed with a smooth start and stop, each of length ``share``: a short walk."""
    x = np.clip(x, 0.0, 1.0)

    def started(part: Curve) -> Curve:  # integral of a cubic speed ramp
        part = np.clip(part, 0.0, 1.0)
        return share * (part**3 - part**4 / 2)

    speeding = started(x / share) + np.maximum(x - share, 0.0)
    braking = np.maximum(x - (1 - share), 0.0) - (share / 2 - started((1 - x) / share)) * (x > 1 - share)
    return (speeding - braking) / (1 - share)


def bump(time: Curve, start: float, end: float) -> Curve:
    """0, up to 1 in the middle of the interval and back to 0, with smooth velocity and acceleration."""
    x = np.clip((time - start) / (end - start), 0.0, 1.0)
    return 64 * (x * (1 - x)) ** 3


def cycles(time: Curve, start: float, end: float, count: int) -> Curve:
    """``count`` smooth strokes in the interval: 0 at its ends, ``count`` peaks of 1, touching 0 between them."""
    x = np.clip((time - start) / (end - start), 0.0, 1.0)
    return np.sin(np.pi * count * x) ** 2


def soft_min(limit: float | Curve, value: Curve, width: float) -> Curve:
    """The minimum of two curves with the corner rounded over about ``width``; never above either."""
    gap = (np.asarray(limit) - value) / width
    return value - width * np.logaddexp(0.0, -gap)
