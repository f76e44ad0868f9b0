"""Tests compute on one thread, whatever the machine: they run side by side, and rounding stays the same."""

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import compiled_once  # noqa: F401  # before anything that it and the next change
import first_calls
import pytest
from micro import enter, run_all, shrink, write_tree
from once import once

os.environ.setdefault("OMP_NUM_THREADS", "1")

MEMORY = Path("/dev/shm")
"""Files in memory, where the system has them."""
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 * 2**30:
    # Tests write twenty thousand files, a gigabyte; some disks take minutes to delete them.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive", action="store_true", help="all combinations, where tests take some of them (minutes)"
    )


@pytest.fixture(autouse=True)
def _check_first_calls_again() -> None:
    first_calls.calls.clear()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Files that a power failure could take need not survive one here: tests write thousands of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _yaml_is_parsed_once() -> Iterator[None]:
    """Configurations are loaded in a thousand places, and parsing is most of that."""
    from intermamba import config

    parse, known = config.read_yaml, dict[bytes, Any]()

    def read(path: str | Path) -> Any:
        file = Path(path)
        if not file.is_file() or file.stat().st_size > 100_000 or not os.access(file, os.R_OK):
            return parse(path)
        if (content := file.read_bytes()) not in known:
            known[content] = parse(path)
        return copy.deepcopy(known[content])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "read_yaml", read)
        yield


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working tree of the study's own files, without artefacts, as the current directory."""
    tree = tmp_path / "study"
    write_tree(tree)
    enter(tree, monkeypatch)
    return tree


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A micro study after its whole pipeline, for tests to read or to copy."""

    def make(tree: Path) -> None:
        write_tree(tree)
        shrink(tree)
        with pytest.MonkeyPatch.context() as patch:
            enter(tree, patch)
            run_all()

    return once(tmp_path_factory, "complete", make)


@pytest.fixture
def edit_params(study: Path) -> Callable[[str, str], None]:
    """Replace a piece of the tree's params.yaml."""

    def edit(old: str, new: str) -> None:
        path = study / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit


BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome", "google-chrome-stable", "chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A browser of this machine: one in the path, or playwright's own."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with api.sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no browser here: {str(error).splitlines()[0]}")
        yield launched
        launched.close()
