"""The frozen towers and their cache."""

import json
from pathlib import Path

import pytest
import torch

from intermamba.config import TextConfig
from intermamba.errors import ConfigError, StateError
from intermamba.text import tower
from intermamba.text.cache import TextCache, write
from intermamba.text.clip import ClipTower

SETTINGS = TextConfig(
    tower="untrained",
    weights=None,
    architecture="-",
    width=32,
    heads=2,
    layers=2,
    context=16,
    seed=0,
    precision="float32",
)
CAPTIONS = ("One person bows to the other.", "Two people hug each other.", "the other bows to one person")


@pytest.fixture(scope="module")
def small() -> ClipTower:
    return tower.load(SETTINGS)


def test_the_seeded_tower_is_the_same_every_time(small: ClipTower) -> None:
    again = tower.load(SETTINGS)
    assert torch.equal(again.encode(CAPTIONS).features, small.encode(CAPTIONS).features)
    other = tower.load(SETTINGS.model_copy(update={"seed": 1}))
    assert not torch.equal(other.encode(CAPTIONS).features, small.encode(CAPTIONS).features)
    assert not small.trained
    assert "untrained" in small.name


def test_loading_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    tower.load(SETTINGS)
    assert torch.equal(torch.rand(3), expected)


def test_features_equal_open_clips_own_forward(small: ClipTower) -> None:
    """Our token features, pooled at the end-of-text token, are what open_clip's text transformer returns."""
    encoded = small.encode(CAPTIONS)
    pooled = encoded.features[torch.arange(len(CAPTIONS)), encoded.end]
    assert torch.allclose(pooled, small.model(encoded.tokens), atol=1e-6)


def test_end_is_the_end_of_text_even_of_a_cut_caption(small: ClipTower) -> None:
    encoded = small.encode(["bow", "bow " * 100])
    assert encoded.end.tolist() == [2, 15]
    assert (encoded.tokens[torch.arange(2), encoded.end] == 49407).all()


def test_order_of_words_matters(small: ClipTower) -> None:
    encoded = small.encode(["the first person pushes the second person", "the second person pushes the first person"])
    ends = encoded.features[torch.arange(2), encoded.end]
    assert (ends[0] - ends[1]).norm() > 0.1


def test_cache_gives_back_what_the_tower_said(small: ClipTower, tmp_path: Path) -> None:
    write(tmp_path / "text.safetensors", small, sorted(CAPTIONS), torch.float32)
    cache = TextCache(tmp_path / "text.safetensors")
    features, end = cache.features(CAPTIONS)
    encoded = small.encode(CAPTIONS)
    assert torch.equal(features, encoded.features)
    assert torch.equal(end, encoded.end)
    assert torch.equal(cache.whole(CAPTIONS), features[torch.arange(len(CAPTIONS)), end])
    embedded, _ = cache.embedded(CAPTIONS)
    expected = small.token_embedding[encoded.tokens] + small.positional_embedding
    assert torch.equal(embedded, expected)
    assert (cache.tower, cache.trained, cache.width, cache.context) == (small.name, False, 32, 16)


def test_a_caption_that_was_not_encoded_is_named(small: ClipTower, tmp_path: Path) -> None:
    write(tmp_path / "text.safetensors", small, CAPTIONS[:1], torch.float16)
    with pytest.raises(StateError, match=r"Two people hug each other\..*encode-text"):
        TextCache(tmp_path / "text.safetensors").features(CAPTIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "text.weights: null"),
        ({"weights": "openai", "architecture": "ViT-X"}, "'ViT-X' is not an open_clip model"),
        ({"weights": "missing.safetensors", "architecture": "ViT-B-32"}, "missing.safetensors.*tower: untrained"),
    ],
)
def test_clip_that_cannot_be_had_says_what_to_do(change: dict[str, str | None], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tower.load(SETTINGS.model_copy(update={"tower": "clip", **change}))


def test_a_long_message_of_open_clip_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("size mismatch\n\t" * 1000)

    monkeypatch.setattr(open_clip, "create_model", fail)
    with pytest.raises(ConfigError, match=r"cannot be loaded \(size mismatch.*tower: untrained") as caught:
        tower.load(SETTINGS.model_copy(update={"tower": "clip", "architecture": "RN50", "weights": "openai"}))
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_clip_weights_load_from_a_local_file(tmp_path: Path) -> None:
    """A state dict as a user would download it, of a small architecture that open_clip is told of."""
    import open_clip
    from safetensors.torch import save_file

    sizes = {"embed_dim": 32, "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}}
    sizes["text_cfg"] = {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2}
    (tmp_path / "small.json").write_text(json.dumps(sizes))
    open_clip.add_model_config(tmp_path / "small.json")
    torch.manual_seed(0)
    model = open_clip.create_model("small", pretrained=None)
    weights = tmp_path / "clip.safetensors"
    save_file(model.state_dict(), weights)
    settings = SETTINGS.model_copy(
        update={"tower": "clip", "architecture": "small", "weights": str(weights), "width": 128, "context": 77}
    )
    loaded = tower.load(settings)
    assert loaded.trained
    encoded = loaded.encode(CAPTIONS)
    expected = model.encode_text(encoded.tokens).detach()
    pooled = encoded.features[torch.arange(3), encoded.end] @ model.text_projection.detach()
    assert torch.allclose(pooled, expected, atol=1e-5)
    with pytest.raises(ConfigError, match=r"text\.width: 64, but small is 128 wide"):
        tower.load(settings.model_copy(update={"width": 64}))
