"""Weights: official checkpoints read without running what is in them, and loading that names every misfit."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from intermamba.errors import DataError


def read_official(path: str | Path) -> dict[str, Any]:
    """A ``torch.save`` file as plain tensors and containers; anything that would run code is refused.

    Raises:
        DataError: missing, broken or unsafe file.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such checkpoint. docs/data.md says where official evaluators come from."
        ) from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: holds more than tensors, or is no checkpoint at all, and is not opened for safety ({error})."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise DataError(f"{path}: cannot be read as a PyTorch checkpoint ({error}). Download it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary of weights, found {type(content).__name__}.")
    return content


def load_strictly(network: nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Load ``weights`` into ``network``; both must name and shape the same parameters.

    Raises:
        DataError: names every missing, unexpected and misshapen weight.
    """
    own = network.state_dict()
    problems = [f"missing {name}" for name in own if name not in weights]
    problems += [f"unexpected {name}" for name in weights if name not in own]
    problems += [
        f"{name} is {tuple(weights[name].shape)}, expected {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if problems:
        raise DataError(f"{path}: its weights do not fit {type(network).__name__}: " + "; ".join(problems) + ".")
    network.load_state_dict(dict(weights))
