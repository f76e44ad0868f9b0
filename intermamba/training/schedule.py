"""Learning-rate schedule of InterGen's training code: linear warm-up, then half a cosine to zero."""

import math


def cosine_with_warmup(epoch: float, warmup: int, epochs: int) -> float:
    """Factor on the base learning rate at a (fractional) epoch.

    The official code changes it once an epoch and starts from zero, so that a whole first epoch learns nothing; here it
    follows every step (docs/explanation/deviations.md).
    """
    factor = 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))
    return factor * min(epoch / warmup, 1.0) if warmup else factor


def constant_with_warmup(epoch: float, warmup: int, epochs: int) -> float:  # noqa: ARG001
    """Factor on the base learning rate at a (fractional) epoch."""
    return min(epoch / warmup, 1.0) if warmup else 1.0


SCHEDULES = {"cosine": cosine_with_warmup, "constant": constant_with_warmup}
"""By the name of the knob."""
