"""CLIP's text tower, through open_clip: ``clip``, with weights from open_clip's registry or a local file, and
``untrained``, open_clip's own text transformer, small and seeded.

The untrained one still maps captions to distinct, order-aware features that a text encoder can learn from, but without
pre-trained meaning. Artefacts made with it are marked as such.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from intermamba.config import TextConfig
from intermamba.errors import ConfigError, brief
from intermamba.text.names import tower_name
from intermamba.text.tower import Encoded


class ClipTower:
    """Features after the last transformer layer and the final norm, as InterGen uses them."""

    def __init__(self, model: nn.Module, context: int, name: str, trained: bool) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        # Any: open_clip's CLIP and TextTransformer share these attributes, but no type with them.
        self.model: Any = model.eval().requires_grad_(False)
        self.context, self.name, self.trained = context, name, trained
        self._tokenizer = SimpleTokenizer(context_length=context)

    @property
    def width(self) -> int:
        return self.token_embedding.shape[1]

    def tokenize(self, captions: Sequence[str]) -> Int[Tensor, "B S"]:
        """CLIP's byte-pair tokens, zero-padded; a longer caption is cut and still ends with end-of-text."""
        tokens: Tensor = self._tokenizer(list(captions))
        return tokens

    def cuts(self, caption: str) -> bool:
        """Whether the tower reads only the beginning of a caption."""
        return len(self._tokenizer.encode(caption)) + 2 > self.context  # start and end

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> Encoded:
        """Captions after the tower; ``end`` is the end-of-text token, the largest id in CLIP's vocabulary."""
        tokens = self.tokenize(captions)
        hidden = self.model.token_embedding(tokens) + self.model.positional_embedding[: tokens.shape[1]]
        mask = self.model.attn_mask[: tokens.shape[1], : tokens.shape[1]]
        features = self.model.ln_final(self.model.transformer(hidden, attn_mask=mask))
        return Encoded(tokens, features, tokens.argmax(dim=-1), torch.full((len(tokens),), tokens.shape[1]))

    @property
    def token_embedding(self) -> Float[Tensor, "V W"]:
        weight: Tensor = self.model.token_embedding.weight
        return weight

    @property
    def positional_embedding(self) -> Float[Tensor, "S W"]:
        positions: Tensor = self.model.positional_embedding[: self.context]
        return positions


def load(config: TextConfig) -> ClipTower:
    """The tower of a profile whose ``tower`` is ``clip`` or ``untrained``.

    Raises:
        ConfigError: unknown architecture, or unavailable weights.
    """
    return _clip(config) if config.tower == "clip" else _untrained(config)


def _untrained(config: TextConfig) -> ClipTower:
    from open_clip.transformer import TextTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = TextTransformer(
            context_length=config.context, width=config.width, heads=config.heads, layers=config.layers, output_dim=None
        )
        # open_clip's 0.02 is for training; at unit scale tokens dominate the residual stream, as in trained CLIP.
        nn.init.normal_(model.token_embedding.weight, std=1.0)
        nn.init.normal_(model.positional_embedding, std=0.5)
    return ClipTower(model, config.context, tower_name(config), trained=False)


def _clip(config: TextConfig) -> ClipTower:
    import open_clip

    if config.weights is None:
        raise ConfigError("text.weights: null. Give an open_clip tag such as `openai`, or the path of a weights file.")
    if config.architecture not in open_clip.list_models():
        raise ConfigError(
            f"text.architecture: {config.architecture!r} is not an open_clip model; see open_clip.list_models()."
        )
    try:
        # A local file is read with weights_only=True; it may be safetensors or a state dict.
        clip = open_clip.create_model(config.architecture, pretrained=config.weights, weights_only=True)
    except Exception as error:  # the hub, the file system and torch raise many types
        kind = "file" if Path(config.weights).suffix else "tag"
        raise ConfigError(
            f"text.weights: the {kind} {config.weights!r} for {config.architecture} cannot be loaded ({brief(error)}). "
            "Download the weights once and give their path, or use a profile with `tower: sentence`, whose weights are "
            "installed, or `tower: untrained`."
        ) from error
    if clip.token_embedding.weight.shape[1] != config.width:
        raise ConfigError(
            f"text.width: {config.width}, but {config.architecture} is {clip.token_embedding.weight.shape[1]} wide."
        )
    return ClipTower(clip, config.context, tower_name(config), trained=True)
