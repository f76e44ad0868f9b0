"""T2M against its official classes, on weights and inputs that are formulas of their index.

support/official/methods_t2m.json was computed by the networks and trainers of liangxuy/Inter-X
(``evaluation/text2motion``: CompTrainerV6, DecompTrainerV3, MotionLenEstimatorBiGRU), float64, eval mode, with the same
noise; motions are drawn for one caption at a time, as its evaluation draws them.
"""

import json
from itertools import starmap
from pathlib import Path

import pytest
import torch
import yaml
from formulas import wave, weigh
from places import NUMBERS

from intermamba.config import load
from intermamba.errors import ConfigError
from intermamba.methods.t2m.network import (
    Generator,
    LengthEstimator,
    Words,
    generator_losses,
    movement_losses,
)
from intermamba.methods.t2m.options import GeneratorLosses, MovementLosses, T2MSizes
from intermamba.methods.t2m.sampling import T2MSampler
from intermamba.models import build, find
from intermamba.text.tower import load as load_tower

OFFICIAL = json.loads((NUMBERS / "methods_t2m.json").read_text())
F, B, S, U = 262, 3, 4, 3
SIZES = T2MSizes(movement=16, text=8, hidden=24, attended=12, latent=6)
LEFT = torch.tensor([12, 16, 21]) // 4


@pytest.fixture(scope="module")
def generator() -> Generator:
    made = Generator(F, 10, 15, SIZES)
    weigh(made, _one_gru)
    return made.double().eval()


def _one_gru(name: str) -> str:
    """Name of a weight if both directions were one module, as officially."""
    if ".back." in name:
        return name.replace(".back.", ".gru.") + "_reverse"
    return name.replace(".ahead.", ".gru.")


def _words() -> Words:
    tags = torch.nn.functional.one_hot(torch.arange(B * S).reshape(B, S) * 7 % 15, 15)
    return Words(wave((B, S, 10), 0.9).double(), tags.double(), torch.tensor([4, 3, 1]))


def _motion() -> torch.Tensor:
    return wave((B, 4 * U, 2 * F), 1.1).double()


def _noise() -> torch.Tensor:
    return wave((B, U, 6), 1.7).double()


def _same(ours: torch.Tensor, official: list[float], stride: int) -> None:
    expected = torch.tensor(official, dtype=torch.float64)
    # Tables of positions are float32 on both sides, and their rounding differs.
    torch.testing.assert_close(ours.flatten()[::stride], expected, rtol=1e-6, atol=1e-7)
    assert expected.std() > 0.01  # the comparison is about something


@pytest.mark.parametrize("teacher", [True, False])
def test_learning_equals_the_official_one(generator: Generator, teacher: bool) -> None:
    official = OFFICIAL["teacher" if teacher else "free"]
    with torch.no_grad():
        true = generator.movements(_motion())
        made = generator(_words(), LEFT, _noise(), true, teacher)
        decoded = generator.movement_decoder(made.movements)
        losses = generator_losses(made, decoded, _motion(), true, GeneratorLosses())
    _same(decoded, official["motion"], 97)
    _same(made.movements, official["movements"], 5)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(official["losses"], rel=1e-6)


def test_drawing_equals_the_official_one(generator: Generator) -> None:
    with torch.no_grad():
        together = generator.movement_decoder(generator(_words(), LEFT, _noise()).movements)
        alone = list(starmap(_alone(generator), enumerate((4, 3, 1))))
    _same(together, OFFICIAL["drawn"], 97)
    torch.testing.assert_close(together, torch.cat(alone))


def _alone(generator: Generator):
    """Draws the motion of one caption, without padding."""

    def drawn(row: int, length: int) -> torch.Tensor:
        words = Words(*(part[row : row + 1, :length] for part in _words()[:2]), torch.tensor([length]))
        made = generator(words, LEFT[row : row + 1], _noise()[row : row + 1])
        motion: torch.Tensor = generator.movement_decoder(made.movements)
        return motion

    return drawn


def test_length_estimator_equals_the_official_one() -> None:
    estimator = LengthEstimator(10, 15, 38, SIZES)
    weigh(estimator, _one_gru)
    with torch.no_grad():
        logits = estimator.double().eval()(*_words())
    _same(logits, OFFICIAL["length"], 3)


def test_autoencoder_equals_the_official_one(generator: Generator) -> None:
    official = OFFICIAL["autoencoder"]
    with torch.no_grad():
        movements = generator.movement_encoder(_motion())
        losses = movement_losses(_motion(), movements, generator.movement_decoder(movements), MovementLosses())
    _same(movements, official["movements"], 5)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(official["losses"], rel=1e-6)


@pytest.mark.parametrize("base", ["interhuman", "interx"])
def test_whole_network_has_the_trained_parts(base: str) -> None:
    features, frames = {"interhuman": (262, 300), "interx": (336, 150)}[base]
    with torch.device("meta"):
        model = build("t2m", features=features, max_frames=frames)
    lengths = frames // 4 + 1
    known = {"interhuman": 41_629_646, "interx": 42_413_158}[base]
    assert sum(value.numel() for value in model.parameters()) == known + (lengths - 38) * (128 + 1)


def test_motions_depend_on_nothing_else_in_their_batch() -> None:
    sizes = SIZES.model_dump()
    torch.manual_seed(0)
    model = build("t2m", max_frames=48, text_width=25, **sizes).eval()
    words = torch.cat((wave((B, S, 10), 0.9), _words().tags.float()), dim=2)
    with torch.no_grad():
        cond = model.encode_text(words, torch.tensor([3, 2, 0])).unsqueeze(1)
        sampler = T2MSampler(find("t2m"), load("smoke").diffusion)
        mask = torch.arange(44) < torch.tensor([44, 22, 3]).unsqueeze(1)
        motion = sampler.sample(model, cond, mask, [5, 6, 7])
        for row, length in enumerate((44, 22, 3)):
            alone = sampler.sample(model, cond[row : row + 1, :, : 4 - row], mask[row : row + 1, :length], [5 + row])
            torch.testing.assert_close(motion[row : row + 1, :length], alone)
        drawn = sampler.lengths(model, cond, torch.tensor([40, 40, 40]), 44, [5, 6, 7])
        given = T2MSampler(find("t2m_given"), load("smoke").diffusion)
        assert given.lengths(model, cond, torch.tensor([40, 41, 42]), 44, [5, 6, 7]).tolist() == [40, 41, 42]
    assert ((drawn >= 24) & (drawn <= 44) & (drawn % 4 == 0)).all()


def test_words_are_read_as_vectors_and_parts_of_speech() -> None:
    tower = load_tower(load("smoke").of("t2m").text, {"They wave.": ("they/PRON", "wave/VERB")})
    found = tower.encode(["They wave.", "One person xyzzy."])
    assert found.features.shape == (2, 37, 315)
    assert found.end.tolist() == [3, 4]
    assert found.features[:, :, 300:].sum(2).sum(1).tolist() == [4, 5]
    assert (tower.token_embedding[found.tokens] == found.features).all()
    assert not tower.trained


def test_a_real_run_refuses_seeded_words(tmp_path: Path) -> None:
    document = yaml.safe_load(Path("params.yaml").read_text())
    document["profiles"]["paper"] = {"methods": {"t2m": {"text": {"weights": None}}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=r"methods\.t2m\.text\.tower.*stand-in"):
        load("paper", tmp_path / "params.yaml")


# 38 lengths are those of Inter-X, 0 to 37 movements.
@pytest.mark.parametrize(("features", "expected"), [(262, 41_629_646), (336, 42_413_158)])
def test_parameters_are_the_official_ones(features: int, expected: int) -> None:
    sizes = T2MSizes()
    with torch.device("meta"):
        networks = Generator(features, 300, 15, sizes), LengthEstimator(300, 15, 38, sizes)
    assert sum(value.numel() for network in networks for value in network.parameters()) == expected
