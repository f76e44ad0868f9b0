"""The files under ablations/: complete, consistent with the study's rows, and refused when broken."""

import subprocess
import sys

import pandas as pd
import pytest
import yaml

import ablations
from intermamba.config import load
from intermamba.errors import ConfigError
from intermamba.paths import path

GOOD = {"name": "row", "label": "Row", "base": "intermamba", "changes": {"modules": 1}, "hypothesis": "It changes."}


def test_rows_of_the_paper_are_all_there():
    """Every row of Tables 3 to 5 has its variant, as have the paper's own rows of Tables 1 and 2."""
    claimed = {(row.table, row.row) for variant in ablations.load().values() for row in variant.paper}
    ours = {1: {"InterMamba (Ours)", "InterMamba (light)", "InterGen", "in2IN"}, 2: {"InterMamba (Ours)", "InterGen"}}
    for number in range(1, 6):
        printed = set(pd.read_csv(path("reported", number=number))["method"])
        assert {row for table, row in claimed if table == number} == ours.get(number, printed)


def test_every_row_named_is_one_of_the_transcribed_tables():
    for variant in ablations.load().values():
        for place in variant.paper:
            reported = pd.read_csv(path("reported", number=place.table))
            assert place.row in set(reported["method"]), f"{variant.name}: table {place.table} has no {place.row!r}"


@pytest.mark.parametrize("profile", ["smoke", "study", "paper"])
def test_every_row_of_the_study_is_known(profile):
    known = ablations.load()
    assert all(variant in known for _, variant, _ in load(profile).rows())


def test_a_variant_differs_from_its_base_in_one_thing():
    """The alternative reading counts as one: it changes the same fields wherever they exist."""
    known = ablations.load()
    reading = known["intermamba_alternative"].changes
    for variant in known.values():
        alone = dict(variant.changes)
        if variant.name.endswith("_alternative"):
            for field in reading.keys() & type(variant.options()).model_fields:
                assert alone.pop(field) == reading[field]
            row = known[variant.name.removesuffix("_alternative")]
            assert (variant.base, alone) == (row.base, row.changes)
        assert len(alone) == (variant.name.removesuffix("_alternative") != variant.base)
        assert variant.hypothesis
        assert variant.note or variant.name == variant.base


def test_loading_needs_no_torch():
    code = "import sys, ablations; ablations.load(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"changes": {"module": 1}}, "unknown option 'module'.*Did you mean 'modules'"),
        ({"base": "intergem"}, "unknown base architecture 'intergem'.*Did you mean 'intergen'"),
        ({"name": "other"}, "name is 'other'"),
        ({"changes": {"liia": "none"}}, "variant row: changes.liia: Input should be 'conv' or 'mean' .given: 'none'"),
        ({"hypotesis": "x"}, "hypotesis: Extra inputs"),
    ],
)
def test_a_broken_file_is_named_with_its_problem(tmp_path, change, message):
    (tmp_path / "row.yaml").write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(ConfigError, match=f"row.yaml: .*{message}"):
        ablations.read(tmp_path)


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "row.yaml").write_text("name: [")
    with pytest.raises(ConfigError, match=r"row\.yaml: not valid YAML"):
        ablations.read(tmp_path)
