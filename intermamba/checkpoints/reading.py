"""Foreign checkpoints, read without executing their content, and strict loading that names every misfit."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Size, Tensor, nn

from intermamba.errors import DataError, brief, quoted, shortened
from intermamba.reading import opened, regular
from intermamba.reading.arrays import open_archive

SIZE_LIMIT = 1 << 34
"""Largest checkpoint that is opened, in bytes; InterGen with CLIP and its optimiser's state is below 3 GB."""

DIRECTORY_LIMIT = 1 << 22
"""Largest table of contents of a checkpoint, in bytes: some forty thousand tensors."""
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

_REFUSED = "holds more than tensors, or is not a checkpoint, and is not opened for safety"

# The official schedulers compute learning rates with numpy, so they are pickled as numpy scalars: a function that makes
# a number from bytes, under its names before and since numpy 2.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)),
]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A ``torch.save`` or safetensors file as plain tensors and containers; files that would run code are refused.

    Tensors stay on disk until they are used: the file must not change meanwhile.

    Raises:
        DataError: missing, broken or unsafe file.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such checkpoint. See docs/howto/official-checkpoint.md.")
    regular(path, SIZE_LIMIT)
    if path.suffix != ".safetensors":
        _check_archive(path)
    try:
        content = _load(path)
    except Exception as error:  # a malformed file can raise nearly anything
        # torch first explains how to open the file unsafely; the cause comes after.
        reason = (str(error).partition("WeightsUnpickler error:")[2] or str(error)).strip().partition("\n")[0]
        raise DataError(f"{path}: {_REFUSED} ({brief(reason)}).") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary of weights, found {type(content).__name__}.")
    return content


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    with torch.serialization.safe_globals(_NUMBERS):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _check_archive(path: Path) -> None:
    """Refuse files that cannot be memory-mapped: a mapped file uses no more memory than its size."""
    try:
        with opened(path) as file, open_archive(file, DIRECTORY_LIMIT) as archive:
            packed = [item.filename for item in archive.infolist() if item.compress_type != zipfile.ZIP_STORED]
    except Exception as error:  # a malformed file can raise nearly anything
        raise DataError(
            f"{path}: {_REFUSED} ({brief(error)}). It must be written by torch.save of PyTorch 1.6 or newer, or be "
            "safetensors."
        ) from error
    if packed:
        raise DataError(f"{path}: {_REFUSED} ({packed[0]} is compressed, which torch.save never does).")


def state_dict(path: str | Path, value: Any) -> dict[str, Tensor]:
    """``value``, if it is a dictionary of tensors by name whose storage fits their shapes.

    Raises:
        DataError: it is not.
    """
    if not isinstance(value, dict) or not value:
        raise DataError(f"{path}: holds no state dict where one is expected.")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise DataError(
                f"{path}: {quoted(name)} is {type(tensor).__name__} where a state dict has a tensor by its name."
            )
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            kind = f"{tensor.layout} on {tensor.device}".replace("torch.", "")
            raise DataError(f"{path}: {name} is {kind}; needs plain numbers.")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise DataError(f"{path}: {name} claims {tuple(tensor.shape)} and holds fewer numbers.")
    return value


def check_fit(path: str | Path, weights: Mapping[str, Tensor], expected: Mapping[str, Size], what: str) -> None:
    """Compare names, shapes and values with what a network needs.

    Raises:
        DataError: some do not fit; up to twenty missing, unexpected, misshapen or non-finite weights are named.
    """
    missing = [f"missing {name}" for name in expected if name not in weights]
    unexpected = [f"unexpected {name:.100}" for name in weights if name not in expected]
    unfit = []
    for name in expected:
        if (value := weights.get(name)) is None:
            continue
        if value.shape != expected[name]:
            unfit.append(f"{name} is {tuple(value.shape)}, expected {tuple(expected[name])}")
        elif value.dtype not in _FLOATS:
            unfit.append(f"{name} holds {value.dtype}, expected floating-point numbers")
        elif not value.isfinite().all():
            unfit.append(f"{name} holds values that are not finite")
    if problems := [*shortened(missing), *shortened(unexpected), *shortened(unfit)]:
        raise DataError(f"{path}: its weights do not fit {what}: " + "; ".join(problems) + ".")


def load_strictly(network: nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Load ``weights`` into ``network``; both must name and shape the same parameters.

    Raises:
        DataError: as :func:`check_fit`.
    """
    expected = {name: value.shape for name, value in network.state_dict().items()}
    check_fit(path, weights, expected, type(network).__name__)
    network.load_state_dict(dict(weights))
