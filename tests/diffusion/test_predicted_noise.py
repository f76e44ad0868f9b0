"""Sampling with a network that predicts noise: an oracle, closed forms, and diffusers' schedulers."""

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

from intermamba.config import DiffusionConfig
from intermamba.diffusion import Diffusion
from intermamba.diffusion.solvers import Schedule
from intermamba.methods.method import Process
from intermamba.methods.rig import METHOD
from intermamba.models.network import Network

CLIPS, FRAMES, FEATURES = 2, 3, 4
SAMPLERS = [(10, 0.0), (50, 0.5), (1000, 0.0), (1000, 1.0)]


def process_of(schedule: Schedule) -> Process:
    return Process(schedule=schedule, predicts="noise")


def diffusion(steps: int, eta: float, process: Process = METHOD.process) -> Diffusion:
    config = DiffusionConfig(
        solver="ddim",
        steps=1000,
        sampling_steps=steps,
        eta=eta,
        guidance=1.0,
        null_probability=0.0,
        sampling_precision="float32",
    )
    return Diffusion(config, process=process)


class Gaussian(Network):
    """The best prediction of the noise in motions whose features are normal with this mean and standard deviation.

    With a deviation of zero there is one motion, and the prediction is the very noise.
    """

    def __init__(self, alpha_bar: Tensor, mean: Tensor, deviation: float) -> None:
        super().__init__(mean.shape[-1], 1000, 1)
        self.alpha_bar, self.mean, self.deviation = alpha_bar.double(), mean, deviation

    def forward(self, x: Tensor, timestep: Tensor, cond: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002
        kept = self.alpha_bar[timestep].reshape(-1, 1, 1, 1)
        variance = kept * self.deviation**2 + 1 - kept
        return (1 - kept).sqrt() * (x - kept.sqrt() * self.mean) / variance


class Formula(Network):
    """Some function of the noisy motion and the step."""

    def forward(self, x: Tensor, timestep: Tensor, cond: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002
        return 0.9 * x + 0.3 * torch.sin(3 * x + timestep.reshape(-1, 1, 1, 1) / 100)


def sampled(by: Diffusion, model: Network, noise: Tensor) -> Tensor:
    mask = torch.ones(noise.shape[:2], dtype=torch.bool)
    return by.sample(model, noise.new_zeros(len(noise), 1, 1), mask, noise, generator=torch.Generator().manual_seed(3))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("steps", "eta"), SAMPLERS)
def test_the_very_noise_gives_the_motion(schedule: Schedule, steps: int, eta: float) -> None:
    by, motion = diffusion(steps, eta, process_of(schedule)), drawn(CLIPS, FRAMES, 2, FEATURES, seed=1)
    made = sampled(by, Gaussian(by.alpha_bar, motion, 0.0), drawn(CLIPS, FRAMES, 2, FEATURES))
    torch.testing.assert_close(made, motion, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("steps", "eta"), [(250, 0.0), (1000, 1.0)])
def test_the_best_prediction_gives_the_distribution(steps: int, eta: float) -> None:
    """To four standard errors of 5,000 draws."""
    by, mean = diffusion(steps, eta), torch.tensor([-1.0, 0.0, 0.4, 1.0], dtype=torch.float64)
    made = sampled(by, Gaussian(by.alpha_bar, mean, 0.6), drawn(20, 125, 2, FEATURES)).flatten(0, 2)
    torch.testing.assert_close(made.mean(0), mean, rtol=0, atol=4 * 0.6 / 5000**0.5)
    torch.testing.assert_close(made.std(0), torch.full_like(mean, 0.6), rtol=4 / 10000**0.5, atol=0)


@pytest.mark.parametrize(("steps", "eta"), SAMPLERS)
def test_a_trajectory_is_that_of_diffusers(steps: int, eta: float) -> None:
    """With all steps and ``eta`` 1 it is DDPM with the small fixed variance, as RIG is sampled officially."""
    by, noise = diffusion(steps, eta), drawn(1, FRAMES, 2, FEATURES).float()
    kind, settings = (DDPMScheduler, {"variance_type": "fixed_small"}) if eta == 1 else (DDIMScheduler, {})
    scheduler = kind(
        num_train_timesteps=1000,
        beta_schedule="linear",
        beta_start=1e-4,
        beta_end=0.02,
        prediction_type="epsilon",
        clip_sample=False,
        timestep_spacing="leading",
        **settings,
    )
    scheduler.set_timesteps(steps)
    model, draws, x = Formula(FEATURES, 1000, 1), torch.Generator().manual_seed(3), noise
    given = {} if eta == 1 else {"eta": eta}
    for step in scheduler.timesteps:
        out = model(x, step.reshape(1), x, x)
        x = scheduler.step(out, step, x, generator=draws, **given).prev_sample
    torch.testing.assert_close(sampled(by, model, noise), x, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [10, 1000])
def test_a_feature_without_its_noise_is_magnified(steps: int) -> None:
    """Why a network that predicts noise must pass on all of its input."""
    by, noise = diffusion(steps, 0.0), drawn(CLIPS, FRAMES, 2, FEATURES)

    class Blind(Gaussian):
        def forward(self, *given: Tensor) -> Tensor:
            return super().forward(*given) * torch.tensor([0.0, 1.0, 1.0, 1.0])

    made = sampled(by, Blind(by.alpha_bar, torch.zeros(FEATURES, dtype=torch.float64), 0.0), noise)
    assert made[..., 1:].abs().max() < 1e-6
    torch.testing.assert_close(
        made[..., 0], noise[..., 0] / by.alpha_bar[by.steps[0]].double().sqrt(), rtol=1e-5, atol=0
    )
