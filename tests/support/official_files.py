"""Checkpoints in the official layouts, made of our own models' weights.

The names are built by a map of their own, from the parts that official/models_intergen.json lists, so that the loader's
map is not tested against itself.
"""

import json
import re
from pathlib import Path

import numpy as np
import torch
from places import NUMBERS
from torch import Tensor, nn

from intermamba.config import OfficialConfig
from intermamba.models import build
from intermamba.positions import sinusoids

SIZES = {"width": 16, "heads": 8, "feedforward": 24, "transformer_blocks": 1, "text_heads": 8, "text_feedforward": 40}
STATISTICS = (("global_mean.npy", "global_std.npy"), ("interhuman_mean.npy", "interhuman_std.npy"))

PARTS: dict[str, str] = json.loads((NUMBERS / "models_intergen.json").read_text())["names"]
CLIP = {
    "positional_embedding": (77, 768),
    "token_embedding.weight": (9, 768),
    "clip_transformer.resblocks.0.attn.in_proj_weight": (4, 4),
    "ln_final.bias": (768,),
}
"""A few of the frozen CLIP's weights, which lie in every official checkpoint."""


def official_name(name: str, suffix: str) -> str:
    for ours, theirs in {"text.layers": f"clipTransEncoder{suffix}", "text.norm": f"clip_ln{suffix}"}.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    for ours, theirs in PARTS.items():
        name = re.sub(rf"\b{re.escape(ours)}\b", theirs, name)
    return f"decoder.net{suffix}.{name}"


def state_dict(model: nn.Module, suffix: str = "") -> dict[str, Tensor]:
    """Weights of an InterGen (or with ``_interaction`` an in2IN) as the official class gives them, CLIP included."""
    weights = {official_name(name, suffix): value for name, value in model.state_dict().items()}
    table = sinusoids(torch.arange(5000), model.width)
    places = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
    return (
        weights
        | {f"decoder.net{suffix}.{name}": table for name in places}
        | {name: torch.zeros(shape) for name, shape in CLIP.items()}
    )


def write_lightning(path: Path, state: dict[str, Tensor]) -> Path:
    """As Lightning saves a training: a prefix to every name, and an optimiser whose rate a numpy scheduler computed."""
    optimizer = {"state": {}, "param_groups": [{"lr": np.float64(1e-4) * 0.5, "params": [0, 1]}]}
    torch.save(
        {
            "epoch": 1999,
            "state_dict": {f"model.{name}": value for name, value in state.items()},
            "optimizer_states": [optimizer],
            "lr_schedulers": [{"base_lrs": [1e-4], "_last_lr": [np.float64(5e-5)]}],
        },
        path,
    )
    return path


def write(
    folder: Path, names: tuple[str, str] = STATISTICS[0], variant: str = "intergen", text_width: int = 64
) -> OfficialConfig:
    """A small checkpoint and its normalisation in ``folder``, for a text tower of that width (the smoke profile's)."""
    model = build(variant, text_width=text_width, **SIZES)
    for place, parameter in enumerate(model.parameters()):
        nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(place))
    state = state_dict(model, "" if variant == "intergen" else "_interaction")
    file = write_lightning(folder / "official.ckpt", state)
    np.save(folder / names[0], np.linspace(-1, 1, 262, dtype=np.float32))
    np.save(folder / names[1], np.linspace(0.5, 1, 262))
    return OfficialConfig(checkpoint=str(file), normalisation=str(folder))
