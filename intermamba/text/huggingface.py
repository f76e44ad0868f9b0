"""Any text model of Hugging Face's format in a local folder, through transformers: T5, DistilBERT, CLIP and others."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from intermamba.config import TextConfig
from intermamba.errors import ConfigError
from intermamba.positions import sinusoids
from intermamba.text.names import tower_name
from intermamba.text.pooled import PooledTower


def load(config: TextConfig) -> PooledTower:
    """The tower of a profile whose ``tower`` is ``huggingface``: the model in the folder ``weights``.

    Only safetensors are read, no code from the folder is run, and nothing is fetched.

    Raises:
        ConfigError: the folder has no such model.
    """
    name = tower_name(config)  # reports missing files before the library is imported
    from transformers import AutoConfig, AutoModelForTextEncoding, AutoTokenizer, CLIPTextModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        kind = AutoConfig.from_pretrained(config.weights, local_files_only=True).model_type
        family: Any = CLIPTextModel if kind == "clip" else AutoModelForTextEncoding
        model = family.from_pretrained(config.weights, local_files_only=True, use_safetensors=True, dtype=torch.float32)
        model.eval()
        tokenizer = AutoTokenizer.from_pretrained(config.weights, local_files_only=True).backend_tokenizer
        tokens = model.get_input_embeddings().weight.detach()
    except Exception as error:  # the library, the file system and torch raise many types
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"text.weights: {config.weights} holds no text model that transformers can read ({reason}). It must be a "
            "folder with config.json, model.safetensors and tokenizer.json."
        ) from error

    def encode(ids: Int[Tensor, "B S"]) -> Float[Tensor, "B S W"]:
        hidden: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return hidden

    positions = _positions(model, tokens.shape[1], config.context)
    if config.context > len(positions):
        raise ConfigError(f"text.context: {config.context}, but {name} reads at most {len(positions)} tokens.")
    return PooledTower(name, config.context, encode, tokenizer, tokens, positions, pools=not kind.startswith("clip"))


def _positions(model: nn.Module, width: int, context: int) -> Float[Tensor, "S W"]:
    """The model's table of positions; sinusoids for a model that has none, such as T5, whose positions are relative."""
    for name, weight in model.named_parameters():
        if "position" in name and weight.ndim == 2 and weight.shape[1] == width:
            return weight.detach()
    return sinusoids(torch.arange(context), width)
