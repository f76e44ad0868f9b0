"""Public functions and classes say what they are, and which of this project's errors they raise."""

import ast
from collections.abc import Iterator
from logging import Handler
from pathlib import Path

import lightning as L
import pytest
import torch
from places import ROOT
from torch.utils.data import Dataset
from typer.core import TyperGroup as Group

PACKAGES = ("intermamba", "evaluators", "ablations", "workflow")
ERRORS = {"ConfigError", "DataError", "StateError", "ValueError"}
DECORATORS = {"overload", "_check"}
"""An overload is described by its function; a check of the paper's consistency by the claim of its name."""


def public(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not {one.id for one in node.decorator_list if isinstance(one, ast.Name)} & DECORATORS:
                yield within + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


def walk(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        yield from ast.walk(statement)


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def documented() -> set[str]:
    """Names of methods that this project or a library documents; a class that overrides one may leave it at that."""
    own = {
        name.rsplit(".", 1)[1]
        for path in modules()
        for name, node in public(ast.parse(path.read_text()).body)
        if "." in name and ast.get_docstring(node)
    }
    return own.union(*map(dir, (torch.nn.Module, L.LightningModule, L.Callback, Dataset, Group, Handler)))


@pytest.mark.parametrize("package", PACKAGES)
def test_public_functions_classes_and_methods_are_documented(package: str) -> None:
    inherited = documented()
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, node in public(ast.parse(path.read_text()).body)
        if ast.get_docstring(node) is None and not ("." in name and name.rsplit(".", 1)[1] in inherited)
    ]
    assert not missing


def test_errors_raised_are_in_the_docstring() -> None:
    missing = []
    for path in modules():
        for name, node in public(ast.parse(path.read_text()).body):
            text = ast.get_docstring(node)
            # The docstrings of commands are their help.
            if not isinstance(node, ast.FunctionDef) or text is None or path.parent.name == "cli":
                continue
            caught = {id(one) for found in ast.walk(node) if isinstance(found, ast.Try) for one in walk(found.body)}
            raised = {
                one.exc.func.id
                for one in ast.walk(node)
                if isinstance(one, ast.Raise) and isinstance(one.exc, ast.Call) and isinstance(one.exc.func, ast.Name)
                if id(one) not in caught
            }
            missing += [f"{path.relative_to(ROOT)}: {name}: {one}" for one in raised & ERRORS if one not in text]
    assert not missing


TENSORS = {"Tensor", "torch.Tensor", "np.ndarray"}


def annotations(node: ast.AST) -> Iterator[ast.expr]:
    """Annotations of a function's parameters and result, or of a class's fields."""
    if isinstance(node, ast.ClassDef):
        yield from (one.annotation for one in node.body if isinstance(one, ast.AnnAssign))
    elif isinstance(node, ast.FunctionDef):
        found = [one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg)]
        yield from filter(None, [*found, node.returns])


def alternatives(annotation: ast.expr) -> Iterator[str]:
    """Members of a union and items of a tuple; collections by name, such as weights, have no shape of their own."""
    if isinstance(annotation, ast.BinOp):
        yield from [*alternatives(annotation.left), *alternatives(annotation.right)]
    elif isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "tuple":
        items = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        yield from (one for item in items for one in alternatives(item))
    else:
        yield ast.unparse(annotation)


def test_tensors_have_a_shape() -> None:
    """``"..."`` where any is accepted. Overloads repeat a function's parameters, whose shapes it states."""
    assert not [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        for name, node in public(ast.parse(path.read_text()).body)
        for annotation in annotations(node)
        if TENSORS & set(alternatives(annotation))
    ]
