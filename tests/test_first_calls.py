"""The tests' own checks of types and shapes: they find a mistake, and stop where they would only cost time."""

import sys
from importlib.util import find_spec

import jaxtyping
import numpy as np
import pytest
from first_calls import FIRST

from intermamba.data.synthetic.body import turn, unit

WRONG = np.ones((3, 2))  # a vector has three entries


def test_a_wrong_shape_is_found_in_the_first_call_of_a_test() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        unit(WRONG)


def test_later_calls_of_a_test_are_not_checked() -> None:
    for _ in range(FIRST):
        unit(np.ones((2, 3)))
    assert unit(WRONG).shape == (3, 2)
    with pytest.raises(jaxtyping.TypeCheckError):
        turn("x", "not an angle")


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton has no package for this system")
def test_a_kernel_of_triton_is_compiled_from_its_own_module() -> None:
    """A wrapper's names are another module's: the compiler would not find what the kernel calls."""
    from intermamba.ssm import triton as kernels

    assert {"tl", "_read", "_compose"} <= set(kernels._forward.get_capture_scope())


def test_modules_that_are_not_checked_keep_their_compiled_files() -> None:
    specs = {name: getattr(module, "__spec__", None) for name, module in list(sys.modules.items())}
    cached = {name: spec.cached for name, spec in specs.items() if spec and spec.cached}
    assert "numpy" in cached
    assert [name for name, file in cached.items() if ".opt-jaxtyping" in file] == []
