"""Statistics of the training split for normalising features: ``stats.safetensors``."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from intermamba import files
from intermamba.errors import DataError
from intermamba.reading.arrays import LARGEST


def write(path: str | Path, mean: Float[Tensor, " F"], std: Float[Tensor, " F"]) -> None:
    """Write the statistics of one person's features.

    Raises:
        DataError: as :func:`check`.
    """
    check("statistics of the training split", mean, std)
    files.write_tensors(path, {"mean": mean, "std": std})


def read(path: str | Path, features: int) -> tuple[Float[Tensor, " F"], Float[Tensor, " F"]]:
    """Mean and standard deviation of one person's features.

    Raises:
        DataError: it is another kind of file, or as :func:`check`.
    """
    tensors, _ = files.read_tensors(path)
    for name in ("mean", "std"):
        value = tensors.get(name)
        if value is None or value.shape != (features,) or value.dtype != torch.float32:
            found = "absent" if value is None else f"{value.dtype} of shape {tuple(value.shape)}"
            raise DataError(f"{path}: {name} is {found}; needs {features} float32. Run `intermamba preprocess` again.")
    check(str(path), tensors["mean"], tensors["std"])
    return tensors["mean"], tensors["std"]


def check(where: str, mean: Float[Tensor, " F"], std: Float[Tensor, " F"]) -> None:
    """Refuse statistics that cannot normalise features.

    Raises:
        DataError: a value is beyond the range of motions, or a standard deviation is not positive.
    """
    if not (mean.abs() <= LARGEST).all() or not (std <= LARGEST).all():  # also false for NaN
        raise DataError(f"{where}: NaN or infinite values, or values beyond {LARGEST:g}.")
    if not (std > 0).all():
        raise DataError(f"{where}: a standard deviation that is not positive.")
