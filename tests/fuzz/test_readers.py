"""Damaged files end in one clear error or are taken, never in a traceback or as nonsense. The long run: `make fuzz`."""

import random
import shutil
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent))

from mutations import mutated
from targets import TARGETS

from intermamba.errors import InterMambaError

BUDGET = 8
"""Inputs of each reader in the usual tests."""
LONGEST_MESSAGE = 6000


@cache
def valid(name: str) -> Path:
    folder = Path(mkdtemp())
    TARGETS[name].write(folder)
    return folder


@pytest.mark.parametrize("name", list(TARGETS))
@seed(0)
@settings(max_examples=BUDGET, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_damage_ends_in_a_clear_error_or_is_taken(name: str, drawn: int) -> None:
    target, chance = TARGETS[name], random.Random(drawn)
    folder = Path(mkdtemp())
    try:
        shutil.copytree(valid(name), folder, dirs_exist_ok=True)
        path = chance.choice([path for path in sorted(folder.rglob(target.files)) if path.is_file()])
        path.write_bytes(mutated(path.read_bytes(), path.name, chance))
        message = ""
        try:
            target.read(folder)
        except InterMambaError as error:
            message = str(error)
        assert len(message) <= LONGEST_MESSAGE
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", list(TARGETS))
def test_valid_files_are_read(name: str) -> None:
    TARGETS[name].read(valid(name))
