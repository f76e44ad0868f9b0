"""The noise schedule, and solvers as plans: each step's update as one linear combination.

A plan is computed beforehand in float64, so that sampling needs no decision of the host. Tests compare schedule, steps
and updates with those of diffusers' schedulers.
"""

import math
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from intermamba.config import DiffusionConfig


class Plan(NamedTuple):
    """The S steps of a solver from noise to motion."""

    steps: Int[Tensor, " S"]
    """Diffusion steps at which the denoiser is evaluated, from the noisiest down."""
    factors: Float[Tensor, "S 3"]
    """Factors of the noisy motion, of the clean one predicted from it, and of the prediction of the step before."""
    spread: list[float]
    """Standard deviation of the noise that each step adds."""
    clean: Float[Tensor, "S 2"]
    """Factors of the noisy motion and of the noise in it that give the clean one."""


Level = TypeVar("Level", Tensor, np.ndarray)
Schedule = Literal["cosine", "linear"]


def alpha_bar(steps: int, schedule: Schedule = "cosine") -> Float[Tensor, " N"]:
    """Remaining share of the motion's variance (alpha bar); float32, as in diffusers.

    The squared-cosine schedule, its betas capped at 0.999 (Nichol and Dhariwal 2021), or the linear one, whose betas go
    from 1e-4 to 0.02 over 1000 steps (Ho et al. 2020), steeper over fewer.
    """
    if schedule == "linear":
        scale = 1000 / steps
        return (1 - torch.linspace(scale * 1e-4, min(scale * 0.02, 0.999), steps, dtype=torch.float32)).cumprod(0)

    def kept(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - kept((step + 1) / steps) / kept(step / steps), 0.999) for step in range(steps)]
    return (1 - torch.tensor(betas, dtype=torch.float32)).cumprod(0)


def plan(config: DiffusionConfig, schedule: Schedule = "cosine") -> Plan:
    """The plan of a solver.

    DDIM takes every ``steps // sampling_steps``-th step down to 0; DPM-Solver++ takes evenly spaced steps from the
    last towards 0, without 0 itself. With a ``sampling_shift`` both take its steps.
    """
    most, count = config.steps, config.sampling_steps
    if config.sampling_shift is not None:
        asked = _from_last(most, count, config.sampling_shift)
    elif config.solver == "ddim":
        asked = np.arange(count)[::-1] * (most // count)
    else:
        asked = _falling(np.linspace(0, most - 1, count + 1).round()[:0:-1])
    steps = torch.from_numpy(asked.astype(np.int64))
    here = alpha_bar(most, schedule).double()[steps]
    after = torch.cat((here[1:], here.new_ones(1)))  # alpha_bar of the following step; finally clean motion
    clean = torch.stack((here.rsqrt(), -(1 / here - 1).sqrt()), dim=1)
    if config.solver == "ddim":
        return Plan(steps, *_ddim(here, after, config.eta), clean)
    return Plan(steps, _dpm_solver(here, after), [0.0] * count, clean)


def _from_last(most: int, count: int, shift: float) -> Int[np.ndarray, " S"]:
    """Shifted steps from the last one down."""
    return _falling((most * shifted(1 - np.arange(count) / count, shift)).round().astype(np.int64) - 1)


def _falling(steps: Num[np.ndarray, " S"]) -> Num[np.ndarray, " S"]:
    """Each step below the one before, also where rounding made them equal."""
    order = np.arange(len(steps))
    return np.minimum.accumulate(steps + order) - order


def shifted(level: Level, shift: float) -> Level:
    """Noise levels between 0 and 1, moved towards noise (Esser et al. 2024, Eq. 23); ``shift`` 1 moves none."""
    return shift * level / (1 + (shift - 1) * level)


def _ddim(here: Tensor, after: Tensor, eta: float) -> tuple[Tensor, list[float]]:
    """Song et al. 2021, Eq. 12, with the predicted noise written out as ``(x - sqrt(a) x0) / sqrt(1 - a)``."""
    spread = eta * ((1 - after) / (1 - here) * (1 - here / after)).sqrt()
    direction = ((1 - after - spread.square()) / (1 - here)).clamp_min(0).sqrt()
    clean = after.sqrt() - direction * here.sqrt()
    return torch.stack((direction, clean, torch.zeros_like(clean)), dim=1), spread.tolist()


def _dpm_solver(here: Tensor, after: Tensor) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2); the first step and the last are of first order."""
    signal, noise, next_signal, next_noise = here.sqrt(), (1 - here).sqrt(), after.sqrt(), (1 - after).sqrt()
    kept = next_noise / noise
    clean = next_signal - kept * signal
    log_ratio = (signal / noise).log()  # lambda, half the log of signal to noise
    step = log_ratio.diff()
    share = torch.zeros_like(clean)  # 1 / 2r of each step: how far the last two predictions are extrapolated
    share[1:-1] = 0.5 * step[1:] / step[:-1]
    return torch.stack((kept, clean * (1 + share), -clean * share), dim=1)
