"""The tutorial is followed to the letter, in a copy of the project whose profile ``smoke`` takes seconds."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from micro import MICRO
from places import ROOT

from intermamba.config import merged

PAGE = (ROOT / "docs/tutorial.md").read_text()


def blocks() -> Iterator[tuple[str, str, str]]:
    """Language, title and text of each block of code. Blocks in ``sh`` install; those in ``text`` are outputs."""
    yield from re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of the project, with a small profile ``smoke`` under the name that YAML refers to it by."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith(("tests/", "docs/", "results/study-cpu/")) and (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    params = tmp_path / "params.yaml"
    document = yaml.safe_load(params.read_text())
    document["profiles"]["smoke"] = merged(document["profiles"]["smoke"], MICRO)
    params.write_text(yaml.safe_dump(document, sort_keys=False).replace("\n  smoke:\n", "\n  smoke: &smoke\n"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tutorial_works_as_written(copy: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(copy)}
    said = []
    for language, title, text in blocks():
        if language == "yaml":
            name, _, at_end = title.partition(", ")
            assert at_end in ("", "at the end")
            with (copy / name).open("a" if at_end else "x") as file:
                file.write(text)
        elif language == "bash":
            done = subprocess.run(["bash", "-ec", text], cwd=copy, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            said.append(done.stdout)
    plan, _, first, second, again, _ = said
    assert re.search(r"^train +1$", plan, re.MULTILINE)
    assert "| InterMamba |" in first
    assert "(chance) |" in first
    assert "| beta frozen at 0.5 |" not in first
    assert "| InterMamba |" in second
    assert "| beta frozen at 0.5 |" in second
    assert re.search(r"^train +1$", again, re.MULTILINE)
    assert "| beta frozen at 0.25 |" in (copy / "results/tutorial/tables/table1.md").read_text()
