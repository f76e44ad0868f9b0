"""The files under ablations/: complete, consistent with the study's rows, and refused when broken."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import ablations
from intermamba.config import load
from intermamba.errors import ConfigError
from intermamba.paths import TAKEN, TEMPLATES, path
from workflow.results.aggregate import REFERENCES

GOOD = {"name": "row", "label": "Row", "base": "intermamba", "changes": {"modules": 1}, "hypothesis": "It changes."}


def test_rows_of_the_paper_are_all_there():
    """Every row of every table has its variant, but for captured motion and T2M*, which nothing here trains."""
    claimed = {(row.table, row.row) for variant in ablations.load().values() for row in variant.paper}
    without = {1: {"Real"}, 2: {"Real", "T2M*"}}
    for number in range(1, 6):
        printed = set(pd.read_csv(path("reported", number=number))["method"])
        assert {row for table, row in claimed if table == number} == printed - without.get(number, set())


def test_no_row_may_have_the_name_of_another_folder_or_of_motions_that_no_model_made():
    beside = {Path(place).parts[3] for place in TEMPLATES.values() if place.startswith("results/{profile}/{dataset}/")}
    assert {*REFERENCES} | beside - {"{variant}", "{method}"} == set(TAKEN)


def test_every_row_named_is_one_of_the_transcribed_tables():
    for variant in ablations.load().values():
        for place in variant.paper:
            reported = pd.read_csv(path("reported", number=place.table))
            assert place.row in set(reported["method"]), f"{variant.name}: table {place.table} has no {place.row!r}"


@pytest.mark.parametrize("profile", ["smoke", "study-cpu", "study-gpu", "paper"])
def test_every_row_of_the_study_is_known(profile):
    known = ablations.load()
    assert all(variant in known for _, variant, _ in load(profile).rows())


def test_a_variant_differs_from_its_base_in_one_thing():
    """The other reading of a row counts as one: it changes the same fields wherever they exist."""
    known = ablations.load()
    readings = {"_alternative": known["intermamba_alternative"].changes, "_fixed": known["mdm_fixed"].changes}
    for variant in known.values():
        alone, name = dict(variant.changes), variant.name
        for suffix, reading in readings.items():
            if variant.name.endswith(suffix):
                name = variant.name.removesuffix(suffix)
                for field in reading.keys() & type(variant.options()).model_fields:
                    assert alone.pop(field) == reading[field]
                assert (variant.base, alone) == (known[name].base, known[name].changes)
        assert len(alone) + bool(variant.recipe) == (name != variant.base)
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
        ({"name": "my row"}, "name: String should match pattern"),
        ({"name": "real"}, "name 'real' is taken; so are evaluator, nearest, parts, retaken, shuffled"),
        ({"changes": {"liia": "none"}}, "variant row: changes.liia: Input should be 'conv' or 'mean' .given: 'none'"),
        ({"base": "t2m", "changes": {"teacher": 1.0}}, "variant row: teacher is read by the training 'generator'"),
        ({"base": "com_mdm", "changes": {"form": "fixed"}}, "form is read by the training 'prior', which all rows of"),
        ({"base": "intermask", "changes": {"graph": "fixed"}}, "graph is read by the training 'tokenizer'"),
        ({"hypotesis": "x"}, "hypotesis: Extra inputs"),
        ({"recipe": {"model": {"width": 8}}}, "recipe.model.*'diffusion', 'losses' or 'training'"),
    ],
)
def test_a_broken_file_is_named_with_its_problem(tmp_path, change, message):
    (tmp_path / "row.yaml").write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(ConfigError, match=f"row.yaml: .*{message}"):
        ablations.read(tmp_path)


def test_a_row_has_a_recipe_of_its_own(tmp_path):
    """Its method's knobs remain where the row does not change them."""
    config = load("study-cpu")
    variant = ablations.load()["mdm"].model_copy(update={"recipe": {"diffusion": {"guidance": 7.0}}})
    method, row = config.of("mdm"), variant.configured(config)
    assert row.diffusion == method.diffusion.model_copy(update={"guidance": 7.0})
    assert row.training == method.training


def test_a_learning_rate_of_one_dataset_is_over_its_methods_and_below_its_rows():
    changes = {"learning_rates": {"interx": {"mdm": 3e-4}}, "methods": {"mdm": {"training": {"learning_rate": 7e-4}}}}
    config, mdm = load("study-cpu", changes=changes), ablations.load()["mdm"]
    row = mdm.model_copy(update={"recipe": {"training": {"learning_rate": 1e-5}}})
    rates = [mdm.configured(config, name).training.learning_rate for name in ("interhuman", "interx")]
    assert rates == [7e-4, 3e-4]
    assert row.configured(config, "interx").training.learning_rate == 1e-5
    assert mdm.configured(config, "interx").training.batch == mdm.configured(config).training.batch


def test_loss_weights_of_one_dataset_are_over_its_methods_and_below_its_rows():
    changes = {"loss_weights": {"interx": {"intergen": {"velocity": 2.0}}}}
    config, intergen = load("smoke", changes=changes), ablations.load()["intergen"]
    row = intergen.model_copy(update={"recipe": {"losses": {"velocity": 0.0}}})
    weights = [intergen.configured(config, name).losses for name in ("interhuman", "interx")]
    assert weights[0] == config.losses
    assert weights[1] == config.losses.model_copy(update={"velocity": 2.0})
    assert row.configured(config, "interx").losses == config.losses.model_copy(update={"velocity": 0.0})


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"diffusion": {"guidence": 2.0}}, "variant row: recipe.diffusion.guidence: "),
        ({"training": {"batch": 0}}, "variant row: recipe.training.batch: .*greater than 0"),
    ],
)
def test_a_recipe_that_is_none_is_named(tmp_path, recipe, message):
    (tmp_path / "row.yaml").write_text(yaml.safe_dump({**GOOD, "recipe": recipe}))
    with pytest.raises(ConfigError, match=message):
        ablations.read(tmp_path)["row"].configured(load("study-cpu"))


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "row.yaml").write_text("name: [")
    with pytest.raises(ConfigError, match=r"row\.yaml: not valid YAML"):
        ablations.read(tmp_path)
