"""Every variant as a whole model: lengths, persons, gradients. Single blocks are in test_models_blocks.py, counts of
parameters in test_models_parameters.py."""

import pytest
import torch
import yaml
from places import ROOT
from torch import Tensor

import ablations
from intermamba.config import ModelConfig, load
from intermamba.datasets import datasets
from intermamba.errors import ConfigError, DataError
from intermamba.methods import methods
from intermamba.models import PAPER, Denoiser, Variant, build, build_for, variants
from intermamba.models.options import AstmOptions

VARIANTS = {name: one for name, one in ablations.load().items() if issubclass(one.method.options, AstmOptions)}
SIZES = {
    "width": 16,
    "heads": 2,
    "feedforward": 24,
    "modules": 2,
    "blocks_per_module": 1,
    "state": 3,
    "rank": 2,
    "transformer_blocks": 2,
    "text_heads": 2,
    "text_feedforward": 24,
}
B, T, F, W, LONGEST = 3, 9, 10, 12, 14
LENGTHS = torch.tensor([9, 6, 1])
every_variant = pytest.mark.parametrize("name", VARIANTS)


def tiny(name: str, **changes):
    """A small model of the variant whose zero-initialised layers have been woken, so that every path matters."""
    torch.manual_seed(0)
    variant = VARIANTS[name]
    if changes:
        variant = variant.model_copy(update={"changes": {**variant.changes, **changes}})
    model = build(variant, features=F, max_frames=LONGEST, text_width=W, **SIZES).eval()
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.1 * torch.randn_like(value))
    return model


def inputs(model: Denoiser) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(B, T, 2, F, generator=generator)
    cond = torch.randn(B, model.groups, W, generator=generator)
    return x, torch.tensor([3, 500, 999]), cond, torch.arange(T) < LENGTHS.unsqueeze(1)


def test_default_sizes_are_those_of_the_configuration_file():
    base = yaml.safe_load((ROOT / "params.yaml").read_text())["base"]
    assert ModelConfig(**base["model"]) == PAPER


@every_variant
def test_padding_never_changes_the_result(name):
    model = tiny(name)
    x, timestep, cond, mask = inputs(model)
    with torch.no_grad():
        padded = model(x, timestep, cond, mask)
        other = model(torch.where(mask[..., None, None], x, 50.0), timestep, cond, mask)
        torch.testing.assert_close(other[mask], padded[mask], rtol=1e-5, atol=1e-6)
        for clip, length in enumerate(LENGTHS.tolist()):
            exact = model(
                x[clip : clip + 1, :length],
                timestep[clip : clip + 1],
                cond[clip : clip + 1],
                mask[clip : clip + 1, :length],
            )
            torch.testing.assert_close(exact[0], padded[clip, :length], rtol=1e-5, atol=1e-6)


@every_variant
def test_real_frames_and_the_condition_do_change_the_result(name):
    model = tiny(name)
    x, timestep, cond, mask = inputs(model)
    with torch.no_grad():
        out = model(x, timestep, cond, mask)
        changed = x.clone()
        changed[0, 4] += 1.0
        assert (model(changed, timestep, cond, mask)[0] - out[0]).abs().max() > 1e-3
        assert (model(x, timestep, cond + 1, mask) - out)[mask].abs().max() > 1e-3
        assert (model(x, timestep.flip(0), cond, mask) - out)[mask].abs().max() > 1e-3


@every_variant
def test_starts_by_predicting_nothing(name):
    torch.manual_seed(0)
    model = build(VARIANTS[name], features=F, max_frames=LONGEST, text_width=W, **SIZES)
    assert not model(*inputs(model)).any()


@every_variant
def test_one_step_of_training_moves_every_trainable_parameter(name):
    model = tiny(name).train()
    x, timestep, _, mask = inputs(model)
    tokens, end = torch.randn(B, 5, W, generator=torch.Generator().manual_seed(2)), torch.tensor([4, 2, 1])
    cond = model.encode_text(tokens, end).unsqueeze(1).expand(-1, model.groups, -1)
    out = model(x, timestep, cond, mask)
    (out - x)[mask].square().mean().backward()
    for parameter, value in model.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, parameter
            assert value.grad.isfinite().all(), parameter
            assert value.grad.any() or "in_proj_bias" in parameter, parameter


def exchanged(model: Denoiser) -> tuple[Tensor, Tensor]:
    """Result for exchanged persons, and exchanged result."""
    x, timestep, cond, mask = inputs(model)
    with torch.no_grad():
        return model(x.flip(2), timestep, cond, mask)[mask], model(x, timestep, cond, mask).flip(2)[mask]


EQUIVARIANT = ("intergen", "intergen_long", "self_astm_only", "self_astm_only_alternative", "without_cross")


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_exchanging_persons_exchanges_results(name):
    after, expected = exchanged(tiny(name))
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-6)


def test_exchanging_persons_exchanges_results_where_liia_is_symmetric():
    """What breaks the symmetry of InterMamba is LIIA alone: its convolutions, and its AdaLN over the pair."""
    after, expected = exchanged(tiny("without_liia", liia_norm="person"))
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"in2in", *EQUIVARIANT}))
def test_otherwise_liia_tells_the_persons_apart(name):
    after, expected = exchanged(tiny(name))
    assert (after - expected).abs().max() > 1e-4


def test_in2in_is_intergen_where_all_captions_are_one():
    model, plain = tiny("in2in"), tiny("intergen")
    plain.load_state_dict(model.state_dict())
    x, timestep, cond, mask = inputs(plain)
    with torch.no_grad():
        torch.testing.assert_close(
            model(x, timestep, cond.expand(-1, 3, -1), mask), plain(x, timestep, cond, mask), rtol=1e-5, atol=1e-6
        )


def test_in2in_exchanges_persons_with_their_captions():
    model = tiny("in2in")
    x, timestep, cond, mask = inputs(model)
    with torch.no_grad():
        out = model(x, timestep, cond, mask)
        both = model(x.flip(2), timestep, cond[:, [0, 2, 1]], mask)
        persons_only = model(x.flip(2), timestep, cond, mask)
    torch.testing.assert_close(both.flip(2)[mask], out[mask], rtol=1e-5, atol=1e-6)
    assert (persons_only.flip(2) - out)[mask].abs().max() > 1e-3


@pytest.mark.parametrize("name", VARIANTS)
def test_guidance_is_the_identity_where_all_passes_agree(name):
    passes = tiny(name).guidance(3.5)
    assert sum(one.weight for one in passes) == pytest.approx(1.0)
    assert not any(passes[-1].sees)
    assert all(passes[0].sees)


def test_persons_without_cross_astm_do_not_see_each_other():
    model = tiny("without_cross")
    x, timestep, cond, mask = inputs(model)
    changed = x.clone()
    changed[:, :, 1] += 1.0
    with torch.no_grad():
        torch.testing.assert_close(
            model(changed, timestep, cond, mask)[:, :, 0], model(x, timestep, cond, mask)[:, :, 0]
        )


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"without_cross"}))
def test_persons_otherwise_do(name):
    model = tiny(name)
    x, timestep, cond, mask = inputs(model)
    changed = x.clone()
    changed[:, :, 1] += 1.0
    with torch.no_grad():
        difference = model(changed, timestep, cond, mask) - model(x, timestep, cond, mask)
    assert difference[:, :, 0][mask].abs().max() > 1e-4


@pytest.mark.parametrize("name", ["intermamba", "intermamba_alternative"])
def test_shorter_windows_equal_zero_padding_to_the_longest(name):
    """The leading weights of a branch give what padding to the longest window and cropping gives."""
    model = tiny(name)
    x, timestep, cond, mask = inputs(model)
    longest = torch.zeros(B, LONGEST, 2, F)
    longest[:, :T] = x
    padded_mask = torch.zeros(B, LONGEST, dtype=torch.bool)
    padded_mask[:, :T] = mask
    with torch.no_grad():
        torch.testing.assert_close(
            model(longest, timestep, cond, padded_mask)[:, :T][mask],
            model(x, timestep, cond, mask)[mask],
            rtol=1e-5,
            atol=1e-6,
        )


def test_adaptive_weights_are_named_and_learned():
    weights = tiny("intermamba").adaptive_weights()
    assert [weight[:3] for weight in weights[:4]] == [
        (0, "self", "temporal"),
        (0, "self", "spatial"),
        (0, "cross", "temporal"),
        (0, "cross", "spatial"),
    ]
    assert len(weights) == 8
    assert all(weight.value.requires_grad for weight in weights)
    assert {weight.branch for weight in tiny("without_temporal").adaptive_weights()} == {"spatial"}
    assert tiny("intergen").adaptive_weights() == []
    assert len(tiny("self_astm_only").adaptive_weights()) == 4


def test_without_adaptive_both_weights_stay_one():
    weights = tiny("without_adaptive").adaptive_weights()
    assert len(weights) == 8
    assert all(weight.value.item() == 1.0 and not weight.value.requires_grad for weight in weights)


@pytest.mark.parametrize("change", [{"discretisation": "zoh"}, {"normalisation": "layernorm"}, {"initial_beta": 0.5}])
def test_inferred_choices_have_an_effect(change):
    models = tiny("intermamba"), tiny("intermamba", **change)
    x, timestep, cond, mask = inputs(models[0])
    with torch.no_grad():
        plain, changed = (model(x, timestep, cond, mask)[mask] for model in models)
    assert (plain - changed).abs().max() > 1e-4


def test_the_caption_is_read_at_its_end_token():
    model = tiny("intermamba")
    tokens = torch.randn(2, 5, W, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = (model.encode_text(tokens, torch.tensor(ends)) for ends in ([1, 4], [1, 2]))
        half = model.encode_text(tokens.half(), torch.tensor([1, 4]))
    torch.testing.assert_close(first[0], second[0])
    assert (first[1] - second[1]).abs().max() > 0.1
    torch.testing.assert_close(half, first, rtol=0, atol=0.02)  # cached features may be float16


def test_too_many_frames_are_refused():
    model = tiny("intergen")
    x, timestep, cond, _ = inputs(model)
    long = x.repeat(1, 2, 1, 1)
    with pytest.raises(DataError, match="18 frames given to a denoiser built for at most 14"):
        model(long, timestep, cond, torch.ones(B, 18, dtype=torch.bool))


def test_variants_come_from_entry_points(monkeypatch):
    class Point:
        value = "elsewhere:load"

        def __init__(self, found):
            self.found = found

        def load(self):
            return lambda: self.found

    extra = VARIANTS["without_cross"].model_copy(update={"name": "extra"})
    monkeypatch.setattr("intermamba.models.points", lambda _: [Point({"extra": extra})])
    assert variants().keys() == {*methods(), "extra"}
    assert variants()["extra"] == extra
    build("extra", features=F, max_frames=LONGEST, text_width=W, **SIZES)
    monkeypatch.setattr("intermamba.models.points", lambda _: [Point(VARIANTS), Point({"intergen": extra})])
    with pytest.raises(ConfigError, match="'intergen' from elsewhere:load is already taken"):
        variants()


def test_unknown_names_and_sizes_say_what_is_allowed():
    with pytest.raises(ConfigError, match=r"'intermanba'.*Did you mean 'intermamba'.*intergen"):
        build("intermanba")
    with pytest.raises(ConfigError, match=r"'widht'.*Did you mean 'width'"):
        build("intermamba", widht=3)
    with pytest.raises(ConfigError, match=r"sizes of intermamba: state: .*given: 0"):
        build("intermamba", state=0)
    with pytest.raises(ConfigError, match="width 10 is not a multiple of its 8"):
        build("intermamba", width=10)


def test_noise_needs_a_width_of_all_features():
    """A linear output of rank W cannot explain more than W of F features of white noise."""
    message = r"width 64 is less than the 262 features.*at least 76%.*methods\.rig\.model\.width"
    with pytest.raises(ConfigError, match=message):
        build("rig", **SIZES | {"width": 64, "heads": 4})
    build("mdm", **SIZES | {"width": 64, "heads": 4})  # motion fits through less


@pytest.mark.parametrize("profile", ["smoke", "study-cpu"])
def test_every_row_can_be_built_at_the_sizes_of_a_profile(profile):
    loaded = load(profile)
    base = load("paper")
    for dataset in base.runs:
        for name in base.runs[dataset]:
            with torch.device("meta"):
                build_for(
                    loaded, name, features=datasets()[dataset].features, max_frames=loaded.datasets[dataset].max_frames
                )


def test_variants_are_checked_when_made():
    good = {"name": "x", "label": "x", "base": "intermamba", "hypothesis": "none"}
    with pytest.raises(ConfigError, match=r"'spatail'.*Did you mean 'spatial'"):
        Variant(**good, changes={"spatail": False})
    with pytest.raises(ConfigError, match="no branch would be left"):
        Variant(**good, changes={"spatial": False, "temporal": False})
    with pytest.raises(ConfigError, match="no effect unless self_mixer is 'astm'"):
        Variant(**{**good, "base": "intergen"}, changes={"spatial": False})


@every_variant
def test_mixed_precision_trains_and_stays_near(name):
    model = tiny(name)
    x, timestep, cond, mask = inputs(model)
    exact = model(x, timestep, cond, mask)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(x, timestep, cond, mask)
    rough.float().square().mean().backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())
    assert (rough - exact)[mask].abs().max() < 0.1 * exact[mask].abs().max()


def test_without_text_layers_only_the_feature_at_the_end_is_read():
    torch.manual_seed(0)
    model = build("intergen", features=F, max_frames=LONGEST, text_width=W, **SIZES, text_layers=0).eval()
    assert not [name for name in model.state_dict() if name.startswith("text.layers")]
    tokens, end = torch.randn(B, 7, W), torch.tensor([0, 3, 6])
    cond = model.encode_text(tokens, end)
    torch.testing.assert_close(cond, torch.nn.functional.layer_norm(tokens[torch.arange(B), end], (W,)))
