"""InterMask against its official classes, on weights and inputs that are formulas of their index.

support/official/methods_intermask.json was computed by RVQVAE, Geometric_Losses, QuantizeEMAReset and MaskTransformer
of gohar-malik/InterMask with torch_geometric's SAGEConv, float64, eval mode, one clip at a time where the released
graph makes clips depend on their batch; its draws of tokens by the same numbers, and its ties by place.
"""

import json

import pytest
import torch
from formulas import wave, weigh
from places import NUMBERS

from intermamba.config import DiffusionConfig
from intermamba.methods.intermask.losses import tokenizer_losses
from intermamba.methods.intermask.masking import Hidden, draw, hide, padded, prediction_loss, reveal, unroll
from intermamba.methods.intermask.network import InterMask
from intermamba.methods.intermask.options import (
    InterMaskOptions,
    InterMaskSizes,
    Masking,
    TokenizerLosses,
    TokenizerSizes,
    TransformerSizes,
)
from intermamba.methods.intermask.sampling import InterMaskSampler, decoded, units
from intermamba.methods.intermask.tokenizer import Codebook, CodebookAverages, Tokenizer, from_grid, to_grid
from intermamba.methods.intermask.transformer import MaskedTransformer, Special
from intermamba.models import build, find
from intermamba.representation import representation

OFFICIAL = json.loads((NUMBERS / "methods_intermask.json").read_text())
DATASETS = {"interhuman": 262, "interx": 336}
SMALL = TokenizerSizes(width=16, code=16, codes=24)
CODES, B, U = 64, 3, 4
LENGTHS = torch.tensor([4, 3, 1])
REAL = torch.arange(U) < LENGTHS[:, None]
COUNT = torch.arange(B * 2 * 5 * U).reshape(B, 2, 5, U)
SPECIAL = Special(CODES, CODES + 1, CODES + 2)


def _tokenizer(features: int, **options: object) -> Tokenizer:
    made = Tokenizer(features, 48, 8, InterMaskSizes(tokenizer=SMALL), InterMaskOptions(**options))
    weigh(made)
    made.codebook.vectors.copy_(wave((24, 16), 2.3))
    return made.double().eval()


def _motion(features: int) -> torch.Tensor:
    motion = wave((2, 12, features), 1.1).double()
    if features == DATASETS["interx"]:
        motion[..., -3:] = 0  # the translation has three numbers
    return motion


def _same(ours: torch.Tensor, official: list[float], stride: int, within: float = 1e-7) -> None:
    expected = torch.tensor(official, dtype=torch.float64)
    torch.testing.assert_close(ours.flatten()[::stride], expected, rtol=within, atol=within)
    assert expected.std() > 0.01  # the comparison is about something


@pytest.mark.parametrize(("dataset", "features"), DATASETS.items())
def test_tokenizer_equals_the_official_one(dataset: str, features: int) -> None:
    tokenizer = _tokenizer(features)
    with torch.no_grad():
        encoded = tokenizer.encode(_motion(features))
        quantised = tokenizer.quantise(encoded)
        made = tokenizer.decode(tokenizer.codebook.lookup(quantised.tokens).permute(0, 3, 1, 2))
    _same(encoded, OFFICIAL[dataset]["encoded"], 5)
    assert quantised.tokens.flatten().tolist() == OFFICIAL[dataset]["tokens"]
    _same(made, OFFICIAL[dataset]["decoded"], 61)
    assert quantised.commitment.item() == pytest.approx(OFFICIAL[dataset]["commitment"], rel=1e-7)


def test_released_graph_joins_joints_in_the_first_frame_only() -> None:
    released, fixed = (_tokenizer(262, graph=graph).encoder.skeleton[0] for graph in ("as_released", "fixed"))
    joints = wave((2, 6, 22, 12), 0.7).double()
    with torch.no_grad():
        one, other = released(joints), fixed(joints)
        nudged = joints.clone()
        nudged[:, :, 0] += 1  # the pelvis, which the left hip is joined to
        heard = [(layer(nudged) - layer(joints))[:, :, 1].abs().amax((0, 2)) > 1e-6 for layer in (released, fixed)]
    torch.testing.assert_close(one[:, 0], other[:, 0])
    assert heard[0].tolist() == [True] + 5 * [False]
    assert heard[1].all()


@pytest.mark.parametrize("dataset", DATASETS)
def test_grid_keeps_what_it_says(dataset: str) -> None:
    motion = _motion(DATASETS[dataset])
    back = from_grid(to_grid(motion, dataset), dataset)
    kept = slice(0, 258) if dataset == "interhuman" else slice(0, 333)
    torch.testing.assert_close(back[..., kept], motion[..., kept])
    if dataset == "interx":
        torch.testing.assert_close(back[:, :-1, -3:], motion[..., -6:-3].diff(dim=1))


@pytest.mark.parametrize(("dataset", "features"), DATASETS.items())
def test_tokenizer_losses_equal_the_official_ones(dataset: str, features: int) -> None:
    mean, std = 0.1 * wave((features,), 0.5).double(), 1 + 0.2 * wave((features,), 0.3).double()
    if dataset == "interhuman":
        true = 0.3 * wave((2, 12, features), 1.9).double()
        feet = [3 * joint + axis for joint in (7, 10, 8, 11) for axis in range(3)]
        true[..., feet] = (0.01 * true[..., feet] - mean[feet]) / std[feet]  # low and slow
        predicted = true + 0.05 * wave((2, 12, features), 0.77).double()
    else:
        mean, std = torch.zeros(features, dtype=torch.float64), torch.ones(features, dtype=torch.float64)
        moving = to_grid(0.2 * _motion(features), "interx").permute(0, 3, 2, 1).flatten(2)
        true = moving[:, :1] + 1e-3 * moving
        true[..., -5] -= 3.0
        predicted = true + 0.01 * wave((2, 12, features), 0.77).double()
    commitment = torch.tensor(0.5, dtype=torch.float64)
    made = tokenizer_losses(predicted, true, commitment, mean, std, representation(dataset), TokenizerLosses())
    expected = OFFICIAL[dataset]["losses"]
    # Bone lengths on Inter-X are those of one skeleton: the loss is rounding.
    assert {name: made[name].item() for name in expected} == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert made["total"].item() == pytest.approx(sum(expected.values()) + 0.02 * 0.5)
    assert expected["foot_contact"] > 0.01


def test_codebook_follows_as_the_official_one() -> None:
    codebook, averages = Codebook(SMALL).double(), CodebookAverages(SMALL).double()
    nothing = torch.zeros(24, 16, dtype=torch.float64)
    averages.begin(codebook, wave((30, 16), 0.6).double(), nothing)
    for step in range(12):
        rows = wave((30, 16), 0.6 + 0.01 * step).double() + 0.3 * step
        averages.follow(codebook, rows, (torch.arange(30) ** 2 + step) % 7, nothing)
    assert (averages.counts >= 1).sum() == 7  # the others became vectors of the batch
    _same(codebook.vectors, OFFICIAL["codebook"], 7)


@pytest.fixture(scope="module")
def transformer() -> MaskedTransformer:
    sizes = TransformerSizes(width=32, heads=4, layers=2, feedforward=48, text_feedforward=64)
    made = MaskedTransformer(CODES, 16, 768, sizes)
    weigh(made)
    return made.double().eval()


def _cond() -> torch.Tensor:
    return wave((B, 768), 0.9).double()


def _hidden() -> tuple[torch.Tensor, Hidden]:
    tokens = padded((COUNT**2 + 3) % CODES, REAL, SPECIAL)
    chosen = ((COUNT * 7) % 10 < 6) & REAL[:, None, None]
    hidden = chosen & ((COUNT * 3) % 7 < 6)
    return tokens, Hidden(torch.where(hidden, SPECIAL.mask, tokens), hidden, chosen)


def test_transformer_equals_the_official_one(transformer: MaskedTransformer) -> None:
    tokens = padded((COUNT**2 + 3) % CODES, REAL, SPECIAL)
    tokens[0, 1, 2] = SPECIAL.mask
    with torch.no_grad():
        logits = transformer(tokens, _cond(), REAL)
    _same(logits[REAL[:, None, None].expand(COUNT.shape)], OFFICIAL["logits"], 11)


def test_both_losses_equal_the_official_ones(transformer: MaskedTransformer) -> None:
    tokens, before = _hidden()
    with torch.no_grad():
        logits = transformer(before.tokens, _cond(), REAL)
        after = unroll(before, logits, 20)
        later = prediction_loss(transformer(after.tokens, _cond(), REAL), tokens, after.learned)
    assert prediction_loss(logits, tokens, before.learned).item() == pytest.approx(OFFICIAL["loss"], rel=1e-7)
    assert later.item() == pytest.approx(OFFICIAL["unrolled"], rel=1e-7)
    assert (before.hidden & ~after.hidden).any()


def _predict(transformer: MaskedTransformer, tokens: torch.Tensor) -> torch.Tensor:
    """Guided twofold."""
    with torch.no_grad():
        told, untold = (transformer(tokens, cond, REAL) for cond in (_cond(), torch.zeros_like(_cond())))
    return untold + 2 * (told - untold)


def _uniform(steps: int) -> torch.Tensor:
    return (0.5 * wave((B, steps, 2, 5, U), 0.37).double() + 0.5).clamp(0, 1 - 1e-9)


def test_decoding_equals_the_official_one(transformer: MaskedTransformer) -> None:
    made = reveal(lambda tokens: _predict(transformer, tokens), REAL, _uniform(6), SPECIAL, 0.1)
    official = torch.tensor(OFFICIAL["generated"]).reshape(made.shape)
    assert torch.where(REAL[:, None, None], made, -1).equal(official)
    assert official.unique().numel() > 4


def test_draws_have_the_probabilities_of_the_likeliest_entries() -> None:
    logits = torch.tensor([0.5, 2.0, 1.0, -3.0, 0.0]).expand(1, 20_000, 5)
    uniform = torch.rand(1, 20_000, generator=torch.Generator().manual_seed(0))
    drawn = draw(logits, uniform, 0.6)
    expected = torch.zeros(5).scatter(0, torch.tensor([1, 2, 0]), torch.tensor([2.0, 1.0, 0.5]).softmax(0))
    torch.testing.assert_close(torch.bincount(drawn[0], minlength=5) / 20_000, expected, atol=0.015, rtol=0)


def test_hiding_has_the_shares_it_says() -> None:
    real = torch.arange(8) < 6
    tokens = padded(torch.randint(CODES, (40, 2, 5, 8)), real.expand(40, -1), SPECIAL)
    alone = 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        one = hide(tokens, real.expand(40, -1), SPECIAL, Masking(), generator)
        assert not one.learned[..., ~real].any()  # padding is never learned from
        assert (one.tokens == SPECIAL.mask).equal(one.hidden)
        assert one.tokens[~one.learned].equal(tokens[~one.learned])
        share = one.learned[..., real].float().mean((2, 3))
        alone += bool(((share == 0) | (share == 1)).all())
        if ((share == 0) | (share == 1)).all():
            assert (share.sum(1) == 1).all()  # one of the two
            assert share[:20, 0].unique().numel() == 1  # the same in half of the batch
            assert (share[0] != share[-1]).all()  # and the other in the other half
    assert 4 <= alone <= 22  # a fifth of 60
    chosen = hide(tokens, real.expand(40, -1), SPECIAL, Masking(one_person=1), torch.Generator().manual_seed(1))
    wrong = (chosen.learned & ~chosen.hidden & (chosen.tokens != tokens)).sum() / chosen.learned.sum()
    assert wrong.item() == pytest.approx(0.1 * (CODES - 1) / CODES, abs=0.03)
    assert (chosen.hidden.sum() / chosen.learned.sum()).item() == pytest.approx(0.9 * 0.88, abs=0.03)


@pytest.mark.parametrize(("features", "tokenizer"), [(262, 43_031_208), (336, 45_418_502)])
def test_parameters_are_the_official_ones(features: int, tokenizer: int) -> None:
    with torch.device("meta"):
        network, part = build("intermask", features=features), build("intermask", features=features, part="tokenizer")
    trained = [value.numel() for value in network.parameters() if value.requires_grad]
    text = sum(value.numel() for value in network.transformer.text.parameters())
    assert (sum(trained), sum(trained) - text) == (54_272_896, 43_243_392)
    assert sum(value.numel() for value in part.parameters()) == tokenizer
    assert part.codebook.vectors.numel() == 524_288


def _small() -> InterMask:
    sizes = InterMaskSizes(
        tokenizer=TokenizerSizes(width=8, code=8, codes=16, depth=1),
        transformer=TransformerSizes(width=16, heads=2, layers=1, feedforward=16, text_heads=2, text_feedforward=16),
    )
    torch.manual_seed(0)
    network = InterMask(262, 48, 8, sizes, InterMaskOptions())
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.3)
    network.tokenizer.codebook.vectors.normal_()
    return network.double().eval()


def _sampling(**changes: float) -> DiffusionConfig:
    known = {"steps": 1000, "solver": "ddim", "eta": 0.0, "null_probability": 0.1, "sampling_precision": "float32"}
    return DiffusionConfig(**{**known, "sampling_steps": 5, "guidance": 2.0, **changes})


def test_a_clip_comes_out_the_same_whatever_its_batch() -> None:
    network, sampler = _small(), InterMaskSampler(find("intermask"), _sampling())
    cond = wave((3, 1, 8), 0.9).double()
    mask = torch.arange(20) < torch.tensor([20, 13, 4])[:, None]
    with torch.no_grad():
        together = sampler.sample(network, cond, mask, [3, 4, 5])
        alone = sampler.sample(network, cond[1:2], mask[1:2], [4])
        other = sampler.sample(network, cond[1:2], mask[1:2], [6])
    assert together.shape == (3, 20, 2, 262)
    torch.testing.assert_close(together[1, :13], alone[0, :13])
    assert (alone - other).abs().max() > 1e-3


def test_motions_are_decoded_at_their_own_length() -> None:
    tokenizer = _tokenizer(262)
    tokens = torch.randint(24, (2, 2, 5, 4), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = decoded(tokenizer, tokens, torch.tensor([4, 2]))
        short = tokenizer.motion(tokens[1, :, :, :2])
    torch.testing.assert_close(made[1, :8].transpose(0, 1), short)
    assert not made[1, 8:].any()


def test_units_with_a_real_frame_are_real() -> None:
    mask = torch.arange(10) < torch.tensor([10, 8, 5, 1])[:, None]
    assert units(mask).sum(1).tolist() == [3, 2, 2, 1]


def test_tokenizer_stays_frozen_in_the_transformers_training() -> None:
    network = _small().train()
    assert network.transformer.training
    assert not any(module.training for module in network.tokenizer.modules())
    assert not any(value.requires_grad for value in network.tokenizer.parameters())
