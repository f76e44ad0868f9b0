"""Modules that are checked have compiled files of their own, and no other module has.

While jaxtyping's loader runs a module, it renames the compiled files of all that this module imports, so that torch and
whatever else is first imported there would be compiled again, in every process of the tests. To be imported before
anything that is checked.
"""

from functools import partial
from importlib.machinery import SourceFileLoader
from types import CodeType
from unittest.mock import patch

from jaxtyping._import_hook import _JaxtypingLoader, _optimized_cache_from_source


def _own_code(loader: _JaxtypingLoader, name: str) -> CodeType | None:
    renamed = partial(_optimized_cache_from_source, loader._typechecker.get_hash())
    with patch("importlib._bootstrap_external.cache_from_source", renamed):
        return SourceFileLoader.get_code(loader, name)


_JaxtypingLoader.get_code = _own_code
_JaxtypingLoader.exec_module = SourceFileLoader.exec_module
