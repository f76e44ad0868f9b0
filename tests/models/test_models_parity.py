"""Official checkpoints against the official code, on weights and inputs that are formulas of their index.

support/official/models_intergen.json was computed by running the official denoiser (InterDenoiser of tr3e/InterGen,
float32, eval mode) on exactly these weights and inputs; "names" lists the parts of parameter names that differ there.
"in2in" in models_official.json was computed in the same way by in2INDenoiser (pabloruizponce/in2IN, interaction mode),
and by its ddim_sample_loop (``ddim50``, weights 3, 3, 1) from the noise of tests/diffusion/test_diffusion.py.
"""

import copy
import json

import official_files
import pytest
import torch
from formulas import SIZES, B, F, T, inputs, wave, weigh
from places import NUMBERS

from intermamba.checkpoints import official
from intermamba.config import DiffusionConfig
from intermamba.diffusion import Diffusion
from intermamba.models import Denoiser, build

EXPECTED = json.loads((NUMBERS / "models_intergen.json").read_text())
IN2IN = json.loads((NUMBERS / "models_official.json").read_text())["in2in"]


@pytest.fixture(scope="module")
def official_intergen(tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    """Loaded from a Lightning checkpoint in the official layout."""
    model = build("intergen", features=F, **SIZES)
    weigh(model)
    file = tmp_path_factory.mktemp("official") / "intergen.ckpt"
    official_files.write_lightning(file, official_files.state_dict(model))
    return official.load(file, official.INTERGEN, heads=4)


@pytest.fixture(scope="module")
def official_in2in(tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    """Loaded from a bare state dict in the official layout."""
    model = build("in2in", features=F, **SIZES)
    weigh(model)
    file = tmp_path_factory.mktemp("official") / "in2in.pt"
    torch.save(official_files.state_dict(model, "_interaction"), file)
    return official.load(file, official.IN2IN, heads=4)


def test_denoiser_equals_the_official_one(official_intergen: Denoiser) -> None:
    x, timestep, cond, mask = inputs()
    with torch.no_grad():
        out = official_intergen(x, timestep, cond, mask)[mask]
    expected = torch.tensor(EXPECTED["output"])
    torch.testing.assert_close(out.flatten()[:: EXPECTED["stride"]], expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1  # the comparison is about something


def test_in2in_denoiser_equals_the_official_one(official_in2in: Denoiser) -> None:
    x, timestep, _, mask = inputs()
    with torch.no_grad():
        out = official_in2in(x, timestep, wave((B, 3, 768), 0.9), mask)[mask]
    expected = torch.tensor(IN2IN["denoiser"])
    torch.testing.assert_close(out.flatten()[:: EXPECTED["stride"]], expected, rtol=1e-5, atol=1e-5)


def test_in2in_guided_trajectory_equals_the_official_one(official_in2in: Denoiser) -> None:
    config = DiffusionConfig(
        solver="ddim",
        steps=1000,
        sampling_steps=50,
        eta=0.0,
        guidance=3.5,
        null_probability=0.1,
        sampling_precision="float32",
    )
    noise, cond = 1.4 * wave((B, T, 2, F), 12.9898), wave((B, 3, 768), 0.9)
    # In float64, so that the rounding of 50 guided steps on this processor does not add to that of the official run.
    model = copy.deepcopy(official_in2in).double()
    out = Diffusion(config).sample(model, cond.double(), torch.ones(B, T, dtype=torch.bool), noise.double()).float()
    expected = torch.tensor(IN2IN["ddim"])
    torch.testing.assert_close(out.flatten()[:: IN2IN["ddim_stride"]], expected, rtol=1e-5, atol=1e-5)
