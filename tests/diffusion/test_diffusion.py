"""Schedule, noising and guided DDIM: closed forms, the official trajectory, and independence of clips.

tests/data/models_ddim.json was computed by running the official ddim_sample_loop (tr3e/InterGen, ``ddim50``, guidance
3.5) with its own denoiser on the weights and inputs of tests/test_models_parity.py, from the noise below.
"""

import json
import math
import warnings
from itertools import count
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from formulas import SIZES, B, F, T, inputs, wave, weigh
from places import NUMBERS
from torch._subclasses.fake_tensor import FakeTensorMode
from transfers import Transfers

from intermamba.config import DiffusionConfig
from intermamba.diffusion import Diffusion
from intermamba.diffusion.graph import captured
from intermamba.errors import ConfigError
from intermamba.models import build
from intermamba.models.astm import Scan

EXPECTED = json.loads((NUMBERS / "models_ddim.json").read_text())
CONFIG = DiffusionConfig(
    solver="ddim",
    steps=1000,
    sampling_steps=50,
    eta=0.0,
    guidance=3.5,
    null_probability=0.1,
    sampling_precision="float32",
)


def config(**changes) -> DiffusionConfig:
    return CONFIG.model_copy(update=changes)


def diffusers_scheduler(config: DiffusionConfig) -> Any:
    """The oracle: diffusers' scheduler of the same settings."""
    settings = {"num_train_timesteps": config.steps, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample"}
    scheduler: Any
    if config.solver == "ddim":
        spacing = "leading" if config.sampling_shift is None else "trailing"
        scheduler = DDIMScheduler(**settings, clip_sample=False, set_alpha_to_one=True, timestep_spacing=spacing)
    else:
        scheduler = DPMSolverMultistepScheduler(**settings, algorithm_type="dpmsolver++", final_sigmas_type="zero")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation")  # diffusers' way of calling numpy
        scheduler.set_timesteps(config.sampling_steps)
    return scheduler


@pytest.fixture(scope="module")
def model():
    model = build("intergen", features=F, **SIZES)
    weigh(model)
    return model


def test_schedule_is_the_capped_squared_cosine():
    bar = Diffusion(CONFIG).alpha_bar.double()

    def f(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    exact = torch.tensor([f((t + 1) / 1000) / f(0) for t in range(999)], dtype=torch.float64)
    torch.testing.assert_close(bar[:999], exact, rtol=1e-4, atol=0)
    assert bar[999] / bar[998] == pytest.approx(1e-3, rel=1e-4)  # the cap
    for step, value in EXPECTED["alphas_cumprod"].items():
        assert bar[int(step)].item() == pytest.approx(value, rel=2e-5)


def test_steps_are_the_official_ones():
    assert Diffusion(CONFIG).steps == list(range(980, -1, -20))


@pytest.mark.parametrize("steps", [10, 500, 1000])
def test_schedule_and_noising_are_those_of_diffusers_to_the_bit(steps):
    diffusion, scheduler = (
        Diffusion(config(steps=steps, sampling_steps=5)),
        diffusers_scheduler(config(steps=steps, sampling_steps=5)),
    )
    assert torch.equal(diffusion.alpha_bar, scheduler.alphas_cumprod)
    x0, noise = torch.randn(2, 4, 20, 2, 5, generator=torch.Generator().manual_seed(0))
    timestep = torch.tensor([0, steps // 3, steps // 2, steps - 1])
    assert torch.equal(diffusion.add_noise(x0, noise, timestep), scheduler.add_noise(x0, noise, timestep))


def test_steps_of_training_are_uniform_or_shifted_towards_noise():
    count = 20000
    uniform = Diffusion(CONFIG).draw_steps(count, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(uniform, torch.randint(1000, (count,), generator=torch.Generator().manual_seed(0)))
    shifted = Diffusion(CONFIG).draw_steps(count, 3.0, torch.Generator().manual_seed(0))
    assert shifted.min() >= 0
    assert shifted.max() <= 999
    for level in (0.25, 0.5, 0.9):  # where a level u ends up below x: u < x / (s - (s - 1) x)
        share = (shifted < 1000 * level).double().mean().item()
        assert share == pytest.approx(level / (3 - 2 * level), abs=4 * math.sqrt(0.25 / count))


def test_noising_keeps_unit_variance_and_ends_in_noise():
    diffusion = Diffusion(CONFIG)
    x0, noise = torch.randn(2, 4, 200, 2, 50, generator=torch.Generator().manual_seed(0))
    noisy = diffusion.add_noise(x0, noise, torch.tensor([0, 300, 700, 999]))
    torch.testing.assert_close(noisy.flatten(1).std(1), torch.ones(4), rtol=0.02, atol=0)
    torch.testing.assert_close(noisy[3], noise[3], rtol=0, atol=1e-3)


def test_trajectory_equals_the_official_one(model):
    _, _, cond, _ = inputs()
    noise = 1.4 * wave((B, T, 2, F), 12.9898)
    out = Diffusion(CONFIG).sample(model, cond, torch.ones(B, T, dtype=torch.bool), noise)
    torch.testing.assert_close(
        out.flatten()[:: EXPECTED["stride"]], torch.tensor(EXPECTED["output"]), rtol=1e-5, atol=1e-5
    )


def test_last_step_returns_the_guided_prediction(model):
    """One step from 0: nothing of the noise is left but what the model saw."""
    x, _, cond, mask = inputs()
    out = Diffusion(config(steps=1, sampling_steps=1, guidance=2.0)).sample(model, cond, mask, x)
    model.eval()
    with torch.no_grad():
        zero = torch.zeros(B, dtype=torch.long)
        expected = 2 * model(x, zero, cond, mask) - model(x, zero, torch.zeros_like(cond), mask)
    torch.testing.assert_close(out[mask], expected[mask], rtol=1e-5, atol=1e-5)


def test_clips_are_independent_of_neighbours_and_of_padding(model):
    diffusion = Diffusion(config(sampling_steps=5))
    x, _, cond, mask = inputs()
    together = diffusion.sample(model, cond, mask, x)
    noisy_padding = torch.where(mask[..., None, None], x, 9.0)
    torch.testing.assert_close(diffusion.sample(model, cond, mask, noisy_padding)[mask], together[mask])
    for clip in range(B):
        frames = int(mask[clip].sum())
        alone = diffusion.sample(
            model, cond[clip : clip + 1], mask[clip : clip + 1, :frames], x[clip : clip + 1, :frames]
        )
        torch.testing.assert_close(alone[0], together[clip, :frames], rtol=1e-4, atol=1e-5)


def test_sampling_leaves_the_mode_and_takes_every_step(model):
    x, _, cond, mask = inputs()
    seen = []
    model.register_forward_pre_hook(lambda _, arguments: seen.append(int(arguments[1][0])))
    model.train()
    Diffusion(config(sampling_steps=4)).sample(model, cond, mask, x)
    assert seen == [750, 500, 250, 0]
    assert model.training


def test_noisy_sampling_needs_and_obeys_a_generator(model):
    x, _, cond, mask = inputs()
    diffusion = Diffusion(config(sampling_steps=3, eta=1.0))
    with pytest.raises(ConfigError, match="generator"):
        diffusion.sample(model, cond, mask, x)
    first, second = (
        diffusion.sample(model, cond, mask, x, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("shift", [None, 1.0])
@pytest.mark.parametrize(("steps", "eta"), [(1, 0.0), (4, 0.0), (8, 0.4), (50, 1.0)])
def test_update_is_that_of_diffusers(steps, eta, shift):
    """The sampler's linear combination against ``DDIMScheduler.step``, to 1e-5."""
    diffusion = Diffusion(config(sampling_steps=steps, eta=eta, sampling_shift=shift))
    draws = torch.Generator().manual_seed(0)
    x, clean, noise = torch.randn(3, 2, 5, 2, 4, generator=draws)
    scheduler = diffusers_scheduler(diffusion.config)
    assert scheduler.timesteps.tolist() == diffusion.steps
    for index, step in enumerate(diffusion.steps):
        expected = scheduler.step(clean, step, x, eta=eta, variance_noise=noise).prev_sample
        of_x, of_clean, of_last = diffusion.plan.factors[index].tolist()
        assert of_last == 0.0
        torch.testing.assert_close(
            of_x * x + of_clean * clean + diffusion.plan.spread[index] * noise, expected, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 20, 50])
def test_multistep_update_is_that_of_diffusers(steps):
    """Whole trajectories of DPM-Solver++(2M) against ``DPMSolverMultistepScheduler.step``, to 1e-4 of its values."""
    diffusion = Diffusion(config(solver="dpm-solver++", sampling_steps=steps))
    draws = torch.Generator().manual_seed(0)
    x, last = torch.randn(2, 5, 2, 4, generator=draws).double(), torch.zeros(2, 5, 2, 4, dtype=torch.float64)
    theirs = x
    scheduler = diffusers_scheduler(diffusion.config)
    assert scheduler.timesteps.tolist() == diffusion.steps
    for index, step in enumerate(scheduler.timesteps):
        clean = torch.randn(x.shape, generator=draws).double()
        theirs = scheduler.step(clean, step, theirs).prev_sample
        of_x, of_clean, of_last = diffusion.plan.factors[index].tolist()
        x, last = of_x * x + of_clean * clean + of_last * last, clean
        torch.testing.assert_close(x, theirs.double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(x, clean)


def test_solvers_agree_where_steps_are_many(model):
    """Both follow the same path from the same noise, so they meet as steps grow."""
    x, _, cond, mask = inputs()
    few, many = (
        [
            Diffusion(config(solver=solver, sampling_steps=steps)).sample(model, cond, mask, x)
            for solver in ("ddim", "dpm-solver++")
        ]
        for steps in (5, 200)
    )
    real = mask[:, :, None, None]
    apart = [((one - other) * real).abs().max().item() for one, other in (few, many)]
    assert apart[1] < 0.2 * apart[0]


@pytest.mark.parametrize("count", [999, 1000])
def test_steps_without_a_shift_do_not_repeat(count):
    """Rounded, evenly spaced steps would, and DPM-Solver++ divides by the distance of two."""
    plan = Diffusion(config(solver="dpm-solver++", sampling_steps=count)).plan
    assert (plan.steps.diff() < 0).all()
    assert plan.factors.isfinite().all()


@pytest.mark.parametrize("count", [1, 10, 100, 1000])
@pytest.mark.parametrize("shift", [1.0, 8.0, 50.0])
def test_shifted_steps_begin_in_noise_and_go_down(count, shift):
    steps = torch.tensor(Diffusion(config(sampling_steps=count, sampling_shift=shift)).steps)
    assert len(steps) == count
    assert steps[0] == 999
    assert steps[-1] >= 0
    assert (steps.diff() < 0).all()
    if count == 10:
        half = 1000 * shift * 0.5 / (1 + (shift - 1) * 0.5)  # level 1/2 is the sixth of ten
        assert steps[5] == pytest.approx(half - 1, abs=1)


@pytest.mark.parametrize("solver", ["ddim", "dpm-solver++"])
def test_few_steps_from_the_last_meet_a_distribution_far_from_noise(solver, monkeypatch):
    """Motions around 3 with a deviation of 0.5, whose best denoiser is known: steps that begin at 900 take pure noise
    for a motion with noise, and their samples' mean stays behind."""
    mean, spread = 3.0, 0.5
    bar = Diffusion(CONFIG).alpha_bar.double()

    def denoise(half, state, timestep, factors, *rest):  # the expected clean motion of a Gaussian one
        x, last = state
        signal, noise = bar[timestep].sqrt(), 1 - bar[timestep]
        clean = mean + signal * spread**2 / (signal**2 * spread**2 + noise) * (x - signal * mean)
        return torch.stack((factors[0] * x + factors[1] * clean + factors[2] * last, clean))

    monkeypatch.setattr("intermamba.diffusion._guided_step", lambda _, *arguments: denoise(*arguments))
    noise = torch.randn(1, 4000, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask, cond = torch.ones(1, 4000, dtype=torch.bool), torch.zeros(1, 1, 8)
    network = build("intergen", features=3, **SIZES)

    def sampled(shift):
        settings = config(solver=solver, sampling_steps=10, sampling_shift=shift)
        return Diffusion(settings).sample(network, cond, mask, noise)

    own, shifted = sampled(None), sampled(8.0)
    assert shifted.mean() == pytest.approx(mean, abs=0.02)
    if solver == "ddim":
        assert own.mean() < mean - 0.1


def test_a_solver_without_noise_refuses_eta():
    with pytest.raises(ValueError, match=r"eta is 0\.5, but dpm-solver\+\+ adds no noise"):
        DiffusionConfig(**CONFIG.model_dump() | {"solver": "dpm-solver++", "eta": 0.5})


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # torch's own representation of one
@pytest.mark.parametrize("name", ["intermamba", "intergen", "in2in"])
def test_the_loop_never_waits_for_the_host(name):
    """On an imaginary GPU: no value is read back and no tensor crosses over between the first step and the last."""
    diffusion = Diffusion(config(sampling_steps=3))
    passes = count()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"), Transfers() as transfers:
        model = build(name, features=F, max_frames=T, blocks_per_module=1, **SIZES)
        for module in model.modules():
            if isinstance(module, Scan):
                module.backend = "reference"  # a kernel cannot run on what has no data
        x, cond = torch.zeros(B, T, 2, F), torch.zeros(B, model.groups, 768)

        def begin(*_):
            if next(passes) == 0:
                transfers.found.clear()

        model.register_forward_pre_hook(begin)
        assert diffusion.sample(model, cond, torch.ones(B, T, dtype=torch.bool), x).device.type == "cuda"
        assert next(passes) == 3
        assert not transfers.found
        x.cpu()
        assert transfers.found == ["_to_copy"]  # as the mode would have seen it


def test_a_graph_serves_all_samplings_of_its_shapes(monkeypatch):
    made = []
    monkeypatch.setattr(
        "intermamba.diffusion.captured", lambda step, *examples: made.append(examples[0].shape[1]) or step
    )
    diffusion = Diffusion(config(sampling_steps=2), sampler="graph")
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        model = build("intergen", features=F, max_frames=T, **SIZES)
        for batch in (2, 2, 3, 3, 2):
            mask = torch.ones(batch, T, dtype=torch.bool)
            diffusion.sample(model, torch.zeros(batch, 1, 768), mask, torch.zeros(batch, T, 2, F))
    assert made == [2, 3, 2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to capture on")
def test_what_cannot_be_captured_runs_as_it_is():
    with pytest.warns(UserWarning, match="without a CUDA graph"):
        double = captured(lambda x: 2 * x, torch.ones(1))
    assert double(torch.ones(1)) == 2


def test_more_sampling_steps_than_steps_is_refused():
    with pytest.raises(ConfigError, match="sampling_steps 20 exceeds"):
        Diffusion(config(steps=10, sampling_steps=20))
