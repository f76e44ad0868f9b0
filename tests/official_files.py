"""Checkpoints in the official layouts, made of our own models' weights.

The names are built by a map of their own, from the parts that tests/data/models_intergen.json lists, so that the
loader's map is not tested against itself.
"""

import json
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from intermamba.models.layers import sinusoids

PARTS: dict[str, str] = json.loads((Path(__file__).parent / "data/models_intergen.json").read_text())["names"]
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
