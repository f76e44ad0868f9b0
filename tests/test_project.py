"""The project's own files agree: Makefile, hooks before a commit, and continuous integration."""

import re
import tomllib

import yaml
from places import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def test_hooks_run_what_make_check_runs() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"  # tools come from .venv, at pinned versions
    hooks = [one["entry"].removeprefix(".venv/bin/").replace(" --force-exclude", "") for one in repository["hooks"]]
    check = re.search(r"^check: install\n\t@(.*)$", MAKEFILE, re.MULTILINE)
    assert check
    assert hooks == [command.removesuffix(" .") for command in check[1].split(" && ")]


def test_continuous_integration_runs_the_script_on_supported_pythons() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["run"]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert python == job["strategy"]["matrix"]["python"][0]


def test_make_targets_of_the_script_exist() -> None:
    targets = set(re.findall(r"^([\w.]+):", MAKEFILE, re.MULTILINE))
    for file in (".ci/run", ".ci/audit", ".github/workflows/ci.yml"):
        assert set(re.findall(r"\bmake (\w+)", (ROOT / file).read_text())) <= targets
