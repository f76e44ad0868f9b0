"""TEMOS against its official classes, on weights and inputs that are formulas of their index.

support/official/methods_temos.json was computed by ActorAgnosticEncoder, DistilbertActorAgnosticEncoder (its tower
replaced by the formula of the tokens), ActorAgnosticDecoder and TemosComputeLosses of Mathux/TEMOS, float64, eval mode.
"""

import json

import pytest
import torch
from formulas import F, wave, weigh
from places import NUMBERS

from intermamba.config import DiffusionConfig
from intermamba.methods.temos.network import Gaussian, Temos, temos_losses
from intermamba.methods.temos.options import TemosLosses, TemosOptions, TemosSizes
from intermamba.methods.temos.sampling import TemosSampler
from intermamba.models import build, find

OFFICIAL = json.loads((NUMBERS / "methods_temos.json").read_text())
B, T, S, W = 3, 7, 5, 24
SAMPLING = DiffusionConfig(
    steps=1000,
    solver="ddim",
    sampling_steps=10,
    eta=0.0,
    guidance=1.0,
    null_probability=0.1,
    sampling_precision="float32",
)


@pytest.fixture(scope="module")
def network() -> Temos:
    sizes = TemosSizes(width=32, feedforward=48, layers=2)
    network = Temos(F, 300, W, sizes, TemosOptions())
    weigh(network)
    return network.double().eval()


def _inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, position of the last of each caption, motion, mask."""
    mask = torch.arange(T) < torch.tensor([7, 5, 2])[:, None]
    motion = wave((B, T, 2, F), 1.1).double() * mask[:, :, None, None]
    return wave((B, S, W), 0.9).double(), torch.tensor([4, 2, 0]), motion, mask


def _noise() -> tuple[torch.Tensor, torch.Tensor]:
    return wave((B, 32), 1.3).double(), wave((B, 32), 1.7).double()


def _same(ours: torch.Tensor, official: list[float], stride: int) -> None:
    expected = torch.tensor(official, dtype=torch.float64)
    torch.testing.assert_close(ours.flatten()[::stride], expected, rtol=1e-7, atol=1e-7)
    assert expected.std() > 0.05  # the comparison is about something


def test_encoders_equal_the_official_ones(network: Temos) -> None:
    tokens, end, motion, mask = _inputs()
    with torch.no_grad():
        text = network.latent(network.encode_text(tokens, end)[:, None])
        seen = network.encode_motion(motion, mask)
    for name, one in (("text", text), ("motion", seen)):
        _same(one.mean, OFFICIAL[f"{name}_mean"], 7)
        _same(torch.exp(0.5 * one.log_variance), OFFICIAL[f"{name}_std"], 7)


def test_decoder_equals_the_official_one(network: Temos) -> None:
    tokens, end, _, mask = _inputs()
    with torch.no_grad():
        latent = network.latent(network.encode_text(tokens, end)[:, None]).draw(_noise()[0])
        made = network(latent, mask)
    _same(made[mask], OFFICIAL["decoded"], OFFICIAL["stride"])
    assert not made[~mask].any()


def test_losses_equal_the_official_ones(network: Temos) -> None:
    tokens, end, motion, mask = _inputs()
    with torch.no_grad():
        text = network.latent(network.encode_text(tokens, end)[:, None])
        losses = temos_losses(network, text, motion, mask, _noise(), TemosLosses())
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(OFFICIAL["losses"], rel=1e-7)


def test_divergence_is_torchs() -> None:
    one, other = (Gaussian(wave((2, 5), pitch), wave((2, 5), 1 + pitch)) for pitch in (0.3, 0.8))
    normal = [torch.distributions.Normal(each.mean, torch.exp(0.5 * each.log_variance)) for each in (one, other)]
    expected = torch.distributions.kl_divergence(*normal).mean()
    torch.testing.assert_close(one.divergence(other), expected)
    zero = Gaussian(torch.zeros(2, 5), torch.zeros(2, 5))
    torch.testing.assert_close(one.divergence(), one.divergence(zero))


@pytest.mark.parametrize(("features", "expected"), [(262, 16_264_716), (336, 16_340_640)])
def test_parameters_are_the_official_ones(features: int, expected: int) -> None:
    with torch.device("meta"):
        network = build("temos", features=features)
    assert sum(value.numel() for value in network.parameters()) == expected


def test_a_clip_comes_out_the_same_whatever_its_batch(network: Temos) -> None:
    tokens, end, _, mask = _inputs()
    sampler = TemosSampler(find("temos"), SAMPLING)
    with torch.no_grad():
        cond = network.encode_text(tokens, end)[:, None]
        together = sampler.sample(network, cond, mask, [3, 4, 5])
        alone = sampler.sample(network, cond[1:2], mask[1:2, :5], [4])
        other = sampler.sample(network, cond[1:2], mask[1:2, :5], [6])
    torch.testing.assert_close(together[1, :5], alone[0])
    assert (alone - other).abs().max() > 1e-3
