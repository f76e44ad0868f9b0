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
    """The operator ``torch.ops.intermamba.<name>`` of a schema, ``name(Tensor x, ...) -> Tensor``, for those who trace;
    for others, what it computes.

    Args:
        schema: name, arguments and results.
        run: computes the results, which share no memory with the arguments; only the first has a gradient.
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

    class Eager(torch.autograd.Function):
        """The same without the operator around it, which costs a tenth of a millisecond, forward and backward."""

        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            output = run(*inputs)
            ctx.set_materialize_grads(False)
            if keep is not None:
                keep(ctx, inputs, output)
            return output

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            # What else a pass returns is for its backward pass: zeros need not be made for those gradients.
            if keep is not None and gradients[0] is None:
                return (None,) * len(ctx.needs_input_grad)
            return backward(ctx, *gradients)

    def call(*inputs: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
            return made(*inputs)
        if not torch.is_grad_enabled():
            return run(*inputs)
        # Autograd does not look into lists.
        return made(*inputs) if any(isinstance(value, list) for value in inputs) else Eager.apply(*inputs)

    return call
