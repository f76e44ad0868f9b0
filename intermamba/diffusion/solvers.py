"""Solvers as plans: the steps of diffusers' schedulers, and each step's update as one linear combination.

Known beforehand in float64, a plan leaves nothing for the host to decide while a model samples. Tests hold both to
the ``step`` of diffusers' schedulers.
"""

import warnings
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from jaxtyping import Float
from torch import Tensor

from intermamba.config import DiffusionConfig


def plan(config: DiffusionConfig) -> tuple[Any, Float[Tensor, "S 3"], list[float]]:
    """A scheduler, the factors of S steps, and how much noise each adds.

    The factors are those of the noisy motion, of the clean one predicted from it, and of the prediction of the step
    before.
    """
    settings = {"num_train_timesteps": config.steps, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample"}
    scheduler: Any
    if config.solver == "ddim":
        scheduler = DDIMScheduler(**settings, clip_sample=False, set_alpha_to_one=True, timestep_spacing="leading")
    else:
        scheduler = DPMSolverMultistepScheduler(**settings, algorithm_type="dpmsolver++", final_sigmas_type="zero")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation")  # diffusers' way of calling numpy
        scheduler.set_timesteps(config.sampling_steps)
    here = scheduler.alphas_cumprod.cpu().double()[scheduler.timesteps.cpu()]
    after = torch.cat((here[1:], here.new_ones(1)))  # alpha_bar of the step that follows; clean motion at last
    if config.solver == "ddim":
        return scheduler, *_ddim(here, after, config.eta)
    return scheduler, _dpm_solver(here, after), [0.0] * len(here)


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
