"""Compiled passes as operators of PyTorch: autograd, ``torch.compile`` and ``torch.export`` then see one step each.

Built from ``torch.library``'s parts, since ``torch.library.custom_op`` loads the compiler when first called, which
takes seconds.
"""

from collections.abc import Callable
from typing import Any

import torch

_LIBRARY = torch.library.Library("intermamba", "DEF")


def _refuse(*_: Any) -> None:
    raise RuntimeError("this operator has no derivative: scans and fused passes have first derivatives only")


def operator(
    schema: str,
    run: Callable[..., Any],
    fake: Callable[..., Any],
    *,
    device: str | None = None,
    keep: Callable[..., None] | None = None,
    backward: Callable[..., Any] = _refuse,
) -> Callable[..., Any]:
    """The operator ``torch.ops.intermamba.<name>`` of a schema, ``name(Tensor x, ...) -> Tensor``.

    Args:
        schema: name, arguments and results.
        run: computes the results, which share no memory with the arguments.
        fake: allocates the results without reading values.
        device: ``CPU`` or ``CUDA``; none: any.
        keep: called with autograd's context, the inputs and the output; saves the tensors that ``backward`` needs.
        backward: called with the context and the gradient of each result; returns the gradient of each argument.
    """
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, run, device or "CompositeExplicitAutograd")
    torch.library.register_fake(f"intermamba::{name}", fake, lib=_LIBRARY)
    torch.library.register_autograd(f"intermamba::{name}", backward, setup_context=keep, lib=_LIBRARY)
    made: Callable[..., Any] = getattr(torch.ops.intermamba, name).default
    return made
