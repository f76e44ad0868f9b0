"""Learning-rate schedules by name. ``cosine`` is InterGen's: linear warm-up, then half a cosine to zero."""

import math
from collections.abc import Callable
from functools import partial


def cosine_with_warmup(epoch: float, warmup: int | float, epochs: int) -> float:  # noqa: PYI041 (checked at run time)
    """Factor on the base learning rate at a (fractional) epoch.

    The official code changes it once per epoch and starts from zero, so that nothing is learned in the first epoch;
    here it changes with every step (docs/explanation/deviations.md).
    """
    factor = 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))
    return factor * min(epoch / warmup, 1.0) if warmup else factor


def constant_with_warmup(epoch: float, warmup: int | float, epochs: int) -> float:  # noqa: ARG001, PYI041
    """Factor on the base learning rate at a (fractional) epoch."""
    return min(epoch / warmup, 1.0) if warmup else 1.0


def falling(at: tuple[float, ...], to: float, epoch: float, warmup: int | float, epochs: int) -> float:  # noqa: PYI041 (checked at run time)
    """Factor that is multiplied by ``to`` at each share ``at`` of the epochs [InterMask]."""
    passed = sum(epoch > share * epochs for share in at)
    return to**passed * constant_with_warmup(epoch, warmup, epochs)


SCHEDULES: dict[str, Callable[[float, int | float, int], float]] = {
    "cosine": cosine_with_warmup,
    "constant": constant_with_warmup,
    "tenths": partial(falling, (0.7, 0.85), 1 / 10),
    "thirds": partial(falling, (0.5, 0.7, 0.85), 1 / 3),
}
"""By the name of the knob."""
