"""Checkpoints in the layouts of the baselines' authors, on weights that are formulas.

official/checkpoints_official.json was computed by the released classes, float32, evaluation mode: the names and shapes
of their weights, and what they made of inputs that are formulas. Weights are waves, by the place of their name in the
sorted list of all of a model. Repositories: liangxuy/Inter-X 7902f35 (T2M), priorMDM/priorMDM 587d10b (MDM, MDM (GRU),
ComMDM without the token of the first pose), gohar-malik/InterMask e69d496.
"""

import collections
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from formulas import wave
from places import NUMBERS
from torch import Tensor

from intermamba.positions import sinusoids

OFFICIAL: dict[str, dict[str, Any]] = json.loads((NUMBERS / "checkpoints_official.json").read_text())
GENERATOR = ("text_enc", "seq_post", "att_layer", "seq_dec", "seq_pri", "mov_enc", "mov_dec")
TRAINING = {
    "opt": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
    "scheduler": {"milestones": collections.Counter([7, 9]), "_last_lr": [1e-4]},
    "ep": 12,
}
"""What a training keeps beside its weights."""


def weights(model: str) -> dict[str, Tensor]:
    """By official name; parts of a model, if any, are prefixes."""
    found = {}
    for place, (name, shape) in enumerate(sorted(OFFICIAL[model]["names"].items())):
        fan_in = torch.Size(shape[1:]).numel() if len(shape) > 2 else shape[-1]
        found[name] = wave(tuple(shape), 0.7 + 0.013 * place, 1.5 * fan_in**-0.5)
    return found


def part(named: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): value for name, value in named.items() if name.startswith(f"{prefix}.")}


def content(model: str) -> list[dict[str, Any]]:
    """What the official code saves: the file, and the second one of a method that has two."""
    named = weights(model)
    if model == "t2m":
        generator = {name: part(named, name) for name in GENERATOR}
        for name in ("seq_post", "seq_dec", "seq_pri"):
            generator[name]["positional_encoder.pe"] = sinusoids(torch.arange(300), 24)
        return [generator | TRAINING, {"estimator": part(named, "estimator")} | TRAINING]
    if model.startswith("intermask"):
        transformer = part(named, "t2m_transformer")
        transformer |= {
            "clip_ln_final.bias": torch.zeros(2),
            "position_enc.positional_encoding.inv_freq": torch.ones(6),
        }
        return [{"t2m_transformer": transformer} | TRAINING, {"vq_model": part(named, "vq_model")} | TRAINING]
    table = sinusoids(torch.arange(5000), 32).unsqueeze(1)
    places = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
    return [named | dict.fromkeys(places, table)]


def write(folder: Path, model: str) -> list[Path]:
    """The files of a model in ``folder``."""
    files = []
    for number, one in enumerate(content(model)):
        torch.save(one, file := folder / f"{model}{number}.tar")
        files.append(file)
    return files
