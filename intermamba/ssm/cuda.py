"""Backends for CUDA, loaded when first used: Triton kernels, and the official kernel if it is installed."""

from functools import cache
from importlib.util import find_spec

from jaxtyping import Float
from torch import Tensor

from intermamba.errors import ConfigError
from intermamba.ssm.inputs import Inputs
from intermamba.ssm.threads import SINGLE


def supports(u: Float[Tensor, "B E L"], discretisation: str) -> bool:
    """Whether these backends support an input: on a GPU, of single precision or less, discretised as mamba."""
    return u.device.type == "cuda" and u.dtype in SINGLE and discretisation == "mamba"


@cache
def available() -> bool:
    """Whether Triton is installed; it comes with PyTorch for CUDA."""
    return find_spec("triton") is not None


def fuses(x: Float[Tensor, "..."]) -> bool:
    """Whether the passes around the scan (:mod:`intermamba.ssm.triton_passes`) take such a tensor."""
    return x.device.type == "cuda" and x.dtype in SINGLE and available()


def triton_scan(scan: Inputs, discretisation: str) -> Float[Tensor, "B E L"]:
    """The project's own kernels (:mod:`intermamba.ssm.triton`).

    Raises:
        ConfigError: an input they do not support, or no Triton.
    """
    _check("triton", scan.u, discretisation)
    from intermamba.ssm.triton import selective_scan

    return selective_scan(scan)


def mamba_ssm_scan(scan: Inputs, discretisation: str) -> Float[Tensor, "B E L"]:
    """The official kernel of mamba-ssm, its compiled extension ``selective_scan_cuda``.

    Releases up to 2.3.2.post1 build the extension by default; later code does only with ``MAMBA_KEEP_CUDA_BUILD=TRUE``.

    Raises:
        ConfigError: an input it does not support, no such package, or a package without the extension.
    """
    _check("mamba_ssm", scan.u, discretisation)
    if find_spec("selective_scan_cuda") is None:
        raise ConfigError(
            "selective_scan(backend='mamba_ssm'): the installed mamba-ssm was built without its Mamba-1 kernel "
            "(selective_scan_cuda). Install it again as `MAMBA_KEEP_CUDA_BUILD=TRUE pip install mamba-ssm "
            "--no-build-isolation`, or version 2.3.2.post1 or earlier without MAMBA_SKIP_CUDA_BUILD. Or use "
            "backend='triton'."
        )
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    u, delta, A, B, C, *vectors, softplus = scan
    shortcut, bias = (None if value is None else value.float() for value in vectors)
    y: Tensor = selective_scan_fn(u, delta, A.float(), B, C, shortcut, None, bias, softplus)
    return y


def _check(backend: str, u: Tensor, discretisation: str) -> None:
    if not supports(u, discretisation):
        raise ConfigError(
            f"selective_scan(backend={backend!r}) computes in float32 on CUDA with discretisation='mamba'; got "
            f"{u.dtype} on {u.device} with {discretisation!r}. Use backend='auto' or 'reference'."
        )
    if find_spec(backend) is None:
        raise ConfigError(f"selective_scan(backend={backend!r}): the package {backend} is not installed.")
