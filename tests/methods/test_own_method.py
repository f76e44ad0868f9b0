"""A method of another package, as docs/howto/own-method.md writes it, through every door of the suite."""

import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from micro import MICRO, begin, missing
from places import ROOT
from towers import UNTRAINED
from typer.testing import CliRunner

import intermamba.methods
from intermamba import api, config
from intermamba.config import merged
from intermamba.errors import ConfigError
from intermamba.methods import mdm, methods
from intermamba.models import variants
from intermamba.paths import path
from workflow.cli.commands import app
from workflow.figures.figure2 import measured_panels
from workflow.results.reproduced import read

PAGE = (ROOT / "docs/howto/own-method.md").read_text()


@pytest.fixture
def guide(study: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The guide's package installed, and its row in the study."""
    described, written = map(textwrap.dedent, re.findall(r"```python\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL))
    (row,) = (
        textwrap.dedent(one) for one in re.findall(r"```yaml\n( +name: .*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
    )
    package = study / "installed" / "my_project"  # the study's own folder would hide the package `ablations`
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "description.py").write_text(described)
    (package / "my_method.py").write_text(written)
    (study / "ablations" / "my_method.yaml").write_text(row)
    document = yaml.safe_load(Path("params.yaml").read_text())
    document["profiles"]["smoke"] = merged(
        document["profiles"]["smoke"], MICRO | {"text": MICRO["text"] | UNTRAINED}
    ) | {"runs": {}}
    document["base"]["runs"] = {"interhuman": {"my_method": [0]}}
    Path("params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    monkeypatch.syspath_prepend(str(package.parent))

    class Point:
        value = "my_project.description:METHOD"

        @staticmethod
        def load() -> object:
            from my_project.description import METHOD  # type: ignore[import-not-found]

            return METHOD

    monkeypatch.setattr(intermamba.methods, "points", lambda _: [Point])
    methods.cache_clear()
    yield study
    methods.cache_clear()
    for name in [name for name in sys.modules if name.startswith("my_project")]:
        del sys.modules[name]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_method_of_another_package_runs_everywhere(guide: Path, complete: Path) -> None:
    """Trainer, evaluation, tables, Figure 2, learning curves, costs, report, command line and Python API."""
    begin(guide, complete)
    loaded = config.load()
    for job in missing(loaded):
        job.run(loaded)
    where = {"profile": "smoke", "dataset": "interhuman", "variant": "my_method", "seed": 0}
    metrics = pd.read_csv(path("run_metrics", **where))
    assert set(metrics["method"]) == {"my_method"}
    assert metrics["value"].notna().all()
    counted = pd.read_csv(path("complexity", profile="smoke"))
    assert set(counted["sampling_steps"]) == {1}
    assert set(pd.read_csv(path("learning", profile="smoke"))["method"]) == {"my_method"}
    for number in ("table1", "table3"):
        assert "| My method |" in path("table", profile="smoke", table=number, format="md").read_text()
    (panel,) = measured_panels(read(loaded, variants()))
    assert [point.label for point in panel.points] == ["My method"]
    assert "My method" in path("report", profile="smoke").read_text()

    weights = path("weights", **where)
    asked = ["sample", "They bow.", "--checkpoint", str(weights), "--frames", "20", "--format", "bvh"]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    assert [file.suffix for file in sorted(Path("results/samples").rglob("*seed*.*")) if file.suffix == ".npz"] == [
        ".npz"
    ]
    motion = api.load(weights, device="cpu").generate("They bow.", frames=20)
    assert motion.joints.shape == (20, 2, 22, 3)
    with pytest.raises(ConfigError, match="samples without guidance"):
        api.load(weights, device="cpu").generate("They bow.", frames=20, guidance=2.0)


def test_the_authors_values_hold_unless_the_profile_sets_others(guide: Path) -> None:
    assert config.load("paper").of("my_method").training.learning_rate == 1e-3
    assert config.load("smoke").of("my_method").training == config.load("smoke").training
    assert config.load("paper").of("intermamba").training == config.load("paper").training


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"my_methd": {}}, "unknown method 'my_methd'.*Did you mean 'my_method'"),
        ({"my_method": {"training": {"epoch": 3}}}, "methods.my_method.training.epoch: Extra inputs"),
        ({"com_mdm": {"parts": {"pior": {}}}}, "unknown training 'pior'.*Did you mean 'prior'"),
    ],
)
def test_a_wrong_difference_is_named(guide: Path, given: dict, message: str) -> None:
    document = yaml.safe_load(Path("params.yaml").read_text())
    document["base"]["methods"] = given
    Path("params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=message):
        config.load()


def test_two_methods_of_one_name_are_refused(guide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        @staticmethod
        def load() -> object:
            return replace(mdm.METHOD)

    monkeypatch.setattr(intermamba.methods, "points", lambda _: [Point])
    with pytest.raises(ConfigError, match="two methods are called 'mdm'"):
        methods()
