"""What each block reads and what it must not: padding, neighbours, the other person, later frames, later features.

docs/explanation/deviations.md has the same as a table; test_models.py tests whole models. Blocks are tested in both
readings of the paper, the default and the alternative.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import ablations
from intermamba.methods.intermamba import InterMambaOptions
from intermamba.models.astm import Astm, AstmBlock, Branch, ScanSizes, reverse
from intermamba.models.denoiser import partner
from intermamba.models.intermamba import Liia
from intermamba.models.options import AstmOptions

B, T, D, LONGEST = 3, 9, 24, 20
LENGTHS = torch.tensor([9, 6, 1])
MASK = torch.arange(T) < LENGTHS.unsqueeze(1)
FULL = torch.ones(B, T, dtype=torch.bool)
SIZES = ScanSizes(state=3, rank=4, kernel=4)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}

READINGS = {"default": {}, "alternative": ablations.load()["intermamba_alternative"].changes}
every_reading = pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
self_and_cross = pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
both_norms = pytest.mark.parametrize("per_person", [False, True], ids=["pair", "person"])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def woken(module: nn.Module) -> nn.Module:
    """With zero-initialised layers moved, so that every path matters."""
    for value in module.parameters():
        value.add_(0.1 * torch.randn_like(value))
    return module.eval()


def astm_block(cross: bool, **changes) -> nn.Module:
    options = InterMambaOptions(**changes)
    return woken(AstmBlock(D, LONGEST, SIZES, options, cross=options.h_inter if cross else None))


def liia(per_person: bool, convolve: bool = True) -> nn.Module:
    return woken(Liia(D, convolve=convolve, per_person=per_person))


def features(mask: Tensor = FULL) -> tuple[Tensor, Tensor, Tensor]:
    """Features of one person a clip, a condition, and h_inter, which is zero where padded."""
    return torch.randn(B, T, D), torch.randn(B, D), torch.randn(B, T, D) * mask.unsqueeze(2)


@every_reading
@self_and_cross
def test_a_clip_alone_and_unpadded_passes_an_astm_block_unchanged(reading, cross):
    block = astm_block(cross, **reading)
    h, emb, inter = features(MASK)
    source = inter if cross else None
    batch = block(h, emb, MASK, source)
    filled = block(torch.where(MASK.unsqueeze(2), h, 50.0), emb, MASK, source)
    torch.testing.assert_close(filled[MASK], batch[MASK], **CLOSE)
    for clip, length in enumerate(LENGTHS.tolist()):
        one, now = slice(clip, clip + 1), (slice(clip, clip + 1), slice(length))
        alone = block(h[now], emb[one], MASK[now], None if source is None else source[now])
        torch.testing.assert_close(alone[0], batch[clip, :length], **CLOSE)


@both_norms
@pytest.mark.parametrize("convolve", [True, False])
def test_a_clip_alone_and_unpadded_passes_liia_unchanged(per_person, convolve):
    block = liia(per_person, convolve)
    h, emb = torch.randn(2 * B, T, D), torch.randn(B, D)
    batch = block(h, emb, MASK)
    assert not batch[~MASK].any()
    assert batch[MASK].any()
    for clip, length in enumerate(LENGTHS.tolist()):
        one = slice(clip, clip + 1)
        alone = block(h[clip::B, :length], emb[one], MASK[one, :length])
        torch.testing.assert_close(alone[0], batch[clip, :length], **CLOSE)


@self_and_cross
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_temporal_branch_is_causal_over_frames_unless_bidirectional(cross, bidirectional):
    block = astm_block(cross, spatial=False, bidirectional=bidirectional)
    h, emb, inter = features()
    step = (torch.arange(T) >= 5).float()[:, None]
    before, after = (block(h + k * step, emb, FULL, inter + k * step if cross else None) for k in (0, 1))
    assert (after[:, 5:] - before[:, 5:]).abs().max() > 0.1
    assert torch.equal(after[:, :5], before[:, :5]) is not bidirectional


@self_and_cross
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_spatial_branch_sees_all_frames_and_is_causal_over_features_unless_bidirectional(cross, bidirectional):
    astm = woken(Astm(D, LONGEST, SIZES, AstmOptions(temporal=False, bidirectional=bidirectional)))
    h, _, inter = features()
    changed = h.clone()
    changed[:, 6, 5] += 1.0
    source = inter if cross else None
    difference = (astm(changed, FULL, source) - astm(h, FULL, source)).abs()
    assert (difference[:, 0, 5:9] > 0).all()
    assert bool(difference[..., :5].any()) is bidirectional


def test_temporal_and_spatial_branches_are_one_structure():
    """Eq. 8: the spatial branch is the temporal one on the transposed input."""
    astm = woken(Astm(T, T, SIZES, AstmOptions()))
    astm.spatial.load_state_dict(astm.temporal.state_dict())
    x = torch.randn(B, T, T)
    torch.testing.assert_close(astm.spatial(x), astm.spatial(x, real=FULL))
    torch.testing.assert_close(astm.temporal(x), astm.spatial(x))


def test_reversal_turns_real_steps_and_leaves_padded_ones_behind():
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    x = torch.tensor([[1.0, 2, 3, 9], [5, 6, 7, 8]]).unsqueeze(1)
    turned = reverse(x, mask)
    assert turned.squeeze(1).tolist() == [[3, 2, 1, 9], [8, 7, 6, 5]]
    assert torch.equal(reverse(turned, mask), x)
    assert torch.equal(reverse(x), x.flip(2))


@pytest.mark.parametrize("project", [False, True])
def test_two_directions_alike_make_a_branch_that_commutes_with_reversal(project):
    branch = woken(Branch(D, SIZES, AstmOptions(bidirectional=True), project=project))
    branch.back.load_state_dict(branch.ahead.state_dict())
    x, source = torch.randn(2, B, D, T)
    forth = branch(x, source, steps=MASK)
    back = branch(reverse(x, MASK), reverse(source, MASK), steps=MASK)
    for clip, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(back[clip, :, :length], forth[clip, :, :length].flip(1), **CLOSE)


def test_a_direction_that_gives_nothing_leaves_the_other():
    """Directions are added before the norm: without D and C the second scan adds zero."""
    two, one = (Branch(D, SIZES, AstmOptions(bidirectional=both)) for both in (True, False))
    one.load_state_dict({key: value for key, value in two.state_dict().items() if "back." not in key})
    two.back.ssm.scan.skip.zero_()
    two.back.ssm.project.weight.zero_()
    x = torch.randn(B, D, T)
    torch.testing.assert_close(two(x), one(x))


def test_projected_h_inter_is_mapped_convolved_and_activated():
    """Against the direct reading on what PyTorch's own layers make of h_inter."""
    projected, direct = (woken(Branch(D, SIZES, AstmOptions(), project=project)) for project in (True, False))
    direct.load_state_dict({key: value for key, value in projected.state_dict().items() if "source" not in key})
    x, inter = torch.randn(2, B, D, T)
    mapped = functional.linear(inter.mT, projected.linear_source.weight, projected.linear_source.bias).mT
    conv = projected.ahead.conv_source
    local = functional.conv1d(functional.pad(mapped, (3, 0)), conv.weight, conv.bias, groups=D)
    torch.testing.assert_close(projected(x, inter), direct(x, functional.silu(local)), **CLOSE)


@every_reading
@self_and_cross
def test_persons_meet_only_in_h_inter(reading, cross):
    """Given h_inter, neither block lets one person see the other, and exchanging the persons exchanges the results."""
    block = astm_block(cross, **reading)
    h, emb, inter = (torch.cat((x, y)) for x, y in zip(features(MASK), features(MASK), strict=True))
    emb[B:], inter[B:] = emb[:B], inter[:B]
    mask, source = torch.cat((MASK, MASK)), inter if cross else None
    out = block(h, emb, mask, source)
    torch.testing.assert_close(block(partner(h), emb, mask, source), partner(out), **CLOSE)
    changed = h.clone()
    changed[B:] += torch.randn(D)
    after = block(changed, emb, mask, source)
    torch.testing.assert_close(after[:B], out[:B])
    assert (after[B:] - out[B:]).abs().max() > 0.1


@pytest.mark.parametrize(
    ("per_person", "convolve", "symmetric"),
    [(False, True, False), (True, True, False), (False, False, False), (True, False, True)],
)
def test_liia_is_symmetric_in_the_persons_only_as_a_mean_of_persons_normalised_apart(per_person, convolve, symmetric):
    block = liia(per_person, convolve)
    h, emb = torch.randn(2 * B, T, D), torch.randn(B, D)
    difference = (block(partner(h), emb, MASK) - block(h, emb, MASK)).abs().max()
    assert difference < 1e-6 if symmetric else difference > 0.01


@both_norms
def test_liia_reaches_one_frame_either_side(per_person):
    block = liia(per_person)
    h, emb = torch.randn(2 * B, T, D), torch.randn(B, D)
    changed = h.clone()
    changed[:, 4] += torch.randn(D)
    reached = (block(changed, emb, FULL) != block(h, emb, FULL)).any(2)
    assert reached.tolist() == [[frame in (3, 4, 5) for frame in range(T)]] * B
