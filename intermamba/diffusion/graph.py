"""A function of CUDA tensors as one CUDA graph: the host launches it as a whole instead of kernel by kernel."""

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor

Function = Callable[..., Tensor]


def captured(function: Function, *examples: Shaped[Tensor, "..."]) -> Function:
    """The function for arguments of the examples' shapes, or itself, with a warning, where it cannot be captured.

    The result of the captured function is overwritten by its next call, which may take it as an argument.
    """
    try:
        return _capture(function, examples)
    except RuntimeError as error:  # a kernel that waits for the host, or no memory for a second set of activations
        warnings.warn(f"sampling without a CUDA graph: {error}", stacklevel=2)
        return function


def _capture(function: Function, examples: tuple[Tensor, ...]) -> Function:
    held = [example.clone() for example in examples]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # first calls allocate workspaces and compile kernels, which a graph cannot hold
        for _ in range(2):
            function(*held)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = function(*held)

    def replay(*values: Tensor) -> Tensor:
        for place, value in zip(held, values, strict=True):
            place.copy_(value)
        graph.replay()
        return out

    return replay
