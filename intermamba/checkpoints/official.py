"""Checkpoints of InterGen and in2IN as their authors released them, read into this project's models.

A file holds a state dict: bare (in2IN's ``.pt``), or under ``state_dict`` with a prefix ``model.`` to every name
(Lightning, InterGen's ``.ckpt``). Its names correspond one to one to this project's; ``{}`` is empty for InterGen and
``_interaction`` for in2IN:

======================================  ===========================================================
here                                    official
======================================  ===========================================================
text.layers.*                           clipTransEncoder{}.*
text.norm.*                             clip_ln{}.*
embed_text.*                            decoder.net{}.text_embed.*
embed_step.*                            decoder.net{}.embed_timestep.time_embed.*
embed_motion.*                          decoder.net{}.motion_embed.*
out.*                                   decoder.net{}.out.linear.*
blocks.N.self_attention.*               decoder.net{}.blocks.N.sa_block.*
blocks.N.cross_attention.*              decoder.net{}.blocks.N.ca_block.*
blocks.N.feedforward.up.*               decoder.net{}.blocks.N.ffn.linear1.*
blocks.N.feedforward.down.*             decoder.net{}.blocks.N.ffn.linear2.*
blocks.N.*.norm.modulation.*            decoder.net{}.blocks.N.*.norm.emb_layers.1.*
blocks.N.*.norm_other.modulation.*      decoder.net{}.blocks.N.*.xf_norm.emb_layers.1.*
======================================  ===========================================================

Constants in the file are not loaded: the frozen CLIP (:data:`CLIP`) is set aside, and tables of sinusoidal positions
(``*sequence_pos_encoder.pe``) are compared with this project's. Sizes are read off the weights, except for the numbers
of heads, which do not show in their shapes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from intermamba.checkpoints.layout import Adopted, Reader, Released, Weights, fill, renamed
from intermamba.checkpoints.reading import read_checkpoint, state_dict
from intermamba.errors import DataError
from intermamba.models import build
from intermamba.models.denoiser import Denoiser

MAX_FRAMES = 300
"""Longest window of the official models; nothing in their weights depends on it."""
HEADS = 8
"""Attention heads of the official models, in the denoiser and in the text encoder."""

CLIP = ("token_embedding.", "clip_transformer.", "positional_embedding", "ln_final.")
"""Prefixes of the frozen CLIP's weights."""
POSITIONS = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
"""Names of the two position tables in the network: of frames and of diffusion steps."""


@dataclass(frozen=True)
class Layout:
    """One of the official layouts."""

    variant: str
    """The variant here that loads its weights."""
    title: str
    suffix: str
    """Value of ``{}`` in the table above."""

    def names(self, own: Iterable[str]) -> dict[str, str]:
        """The official name of each parameter here."""
        return {name: self._name(name) for name in own}

    def _name(self, name: str) -> str:
        name = renamed(name, ((here, there.format(self.suffix)) for here, there in _MODULES))
        if ".blocks." in name:
            for here, there in _IN_BLOCKS:
                name = name.replace(here, there)
        return name


INTERGEN = Layout("intergen", "InterGen", "")
IN2IN = Layout("in2in", "in2IN", "_interaction")
LAYOUTS = {layout.variant: layout for layout in (INTERGEN, IN2IN)}

_MODULES = (
    ("text.layers.", "clipTransEncoder{}."),
    ("text.norm.", "clip_ln{}."),
    ("embed_text.", "decoder.net{}.text_embed."),
    ("embed_step.", "decoder.net{}.embed_timestep.time_embed."),
    ("embed_motion.", "decoder.net{}.motion_embed."),
    ("out.", "decoder.net{}.out.linear."),
    ("blocks.", "decoder.net{}.blocks."),
)
_IN_BLOCKS = (
    (".self_attention.", ".sa_block."),
    (".cross_attention.", ".ca_block."),
    (".feedforward.up.", ".ffn.linear1."),
    (".feedforward.down.", ".ffn.linear2."),
    (".feedforward.", ".ffn."),
    (".norm.modulation.", ".norm.emb_layers.1."),
    (".norm_other.modulation.", ".xf_norm.emb_layers.1."),
)


def load(path: str | Path, layout: Layout, heads: int = HEADS) -> Denoiser:
    """The model of an official checkpoint, float32, in evaluation mode.

    Raises:
        DataError: the file cannot be read safely, is of another model, or its weights do not fit; unknown, missing and
            misshapen ones are named as in the file.
        ConfigError: its width is not a multiple of ``heads``.
    """
    weights = _weights(Path(path), layout)
    weights.drop(*CLIP)
    _check_model(weights, layout)
    sizes = _sizes(weights, layout)
    weights.drop_positions(*(f"decoder.net{layout.suffix}.{name}" for name in POSITIONS), width=sizes["width"])
    with torch.device("meta"):  # names and shapes alone: nothing is allocated or drawn
        model = build(layout.variant, **sizes, max_frames=MAX_FRAMES, heads=heads, text_heads=HEADS)
    assert isinstance(model, Denoiser)
    fill(model, (weights, layout.names(model.state_dict())))
    return model


def _adopted(released: Released, layout: Layout) -> Adopted:
    model = load(released.checkpoint, layout)
    return Adopted(model, model.sizes, MAX_FRAMES)


def _weights(path: Path, layout: Layout) -> Weights:
    """The state dict of a file, unwrapped."""
    content = read_checkpoint(path)
    state = state_dict(path, content.get("state_dict", content))
    prefix = "model." if all(name.startswith("model.") for name in state) else ""
    return Weights(path, layout.title, {name.removeprefix(prefix): value for name, value in state.items()})


def _check_model(weights: Weights, layout: Layout) -> None:
    """Refuse checkpoints of other models by name, before their keys are reported as missing."""
    path = weights.path
    networks = {name.split(".")[1] for name in weights.named if name.startswith("decoder.net")}
    if networks == {f"net{layout.suffix}"}:
        return
    if "net_individual" in networks:
        what = (
            "in2IN's single-person prior" if len(networks) == 1 else "DualMDM, in2IN and a single-person prior in one"
        )
        raise DataError(f"{path}: a checkpoint of {what}, which is out of scope here; expected {layout.title}.")
    for other in LAYOUTS.values():
        if networks == {f"net{other.suffix}"}:
            raise DataError(f"{path}: a checkpoint of {other.title} ({other.variant}); expected {layout.title}.")
    raise DataError(f"{path}: no weight of decoder.net{layout.suffix} in it; expected a checkpoint of {layout.title}.")


def _sizes(weights: Weights, layout: Layout) -> dict[str, Any]:
    """Sizes for :func:`intermamba.models.build`, from the shapes of a few weights."""
    net, text = f"decoder.net{layout.suffix}", f"clipTransEncoder{layout.suffix}"
    width, features = weights.matrix(f"{net}.motion_embed.weight")
    return {
        "width": width,
        "features": features,
        "feedforward": weights.matrix(f"{net}.blocks.0.ffn.linear1.weight")[0],
        "transformer_blocks": weights.depth(f"{net}.blocks."),
        "text_width": weights.matrix(f"{net}.text_embed.weight")[1],
        "text_feedforward": weights.matrix(f"{text}.layers.0.linear1.weight")[0],
        "text_layers": weights.depth(f"{text}.layers."),
    }


INTERGEN_READER, IN2IN_READER = (
    Reader(title=layout.title, read=partial(_adopted, layout=layout)) for layout in (INTERGEN, IN2IN)
)
