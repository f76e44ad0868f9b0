"""The methods, one folder each; :func:`methods` lists them, with those of other packages. Imports no torch."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from intermamba.errors import ConfigError
from intermamba.methods.method import MOST_NEEDED, Method
from intermamba.plugins import points

GROUP = "intermamba.methods"
"""Entry points by which another package adds methods; each is a :class:`~intermamba.methods.method.Method`."""


@cache
def methods() -> dict[str, Method]:
    """Every method by name: the folders beside this file, then those of entry points.

    Raises:
        ConfigError: two methods have the same name, or one needs more trainings than the graph supports.
    """
    folders = [import_module(f"{__name__}.{one.name}") for one in iter_modules(__path__) if one.ispkg]
    found: dict[str, Method] = {}
    for method in [*(folder.METHOD for folder in folders), *(point.load() for point in points(GROUP))]:
        if found.setdefault(method.name, method) is not method:
            raise ConfigError(f"two methods are called {method.name!r}, the second with {method.network}; rename one.")
        if any(len(training.needs) > MOST_NEEDED for training in method.trainings):
            raise ConfigError(f"method {method.name!r}: a training needs more than {MOST_NEEDED} others.")
    return found
