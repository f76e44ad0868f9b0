"""Whether this machine has a GPU, found without importing torch."""

from pathlib import Path

DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Device files of the GPU drivers that PyTorch uses: CUDA's, CUDA's under WSL, and ROCm's."""


def has_gpu() -> bool:
    """Whether a GPU's driver is loaded here."""
    return any(Path(driver).exists() for driver in DRIVERS)
