"""The project's own files agree: Makefile, hooks before a commit, and continuous integration."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
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


def clean(folder: Path, profile: str) -> None:
    command = ["make", "--silent", "-f", str(ROOT / "Makefile"), "clean", f"PROFILE={profile}"]
    subprocess.run(command, cwd=folder, check=True)


def test_clean_keeps_the_papers_numbers(tmp_path: Path) -> None:
    results = tmp_path / "results/paper"
    (results / "reported").mkdir(parents=True)
    (results / "metrics.csv").touch()
    clean(tmp_path, "paper")
    assert [path.name for path in results.iterdir()] == ["reported"]


@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_clean_takes_the_links_of_a_run_with_storage_and_not_what_it_keeps(tmp_path: Path, profile: str) -> None:
    kept = [tmp_path / "kept" / name for name in ("data", "results")]
    for target in kept:
        target.mkdir(parents=True)
        (target / "artefact").touch()
        (tmp_path / target.name).mkdir()
        (tmp_path / target.name / profile).symlink_to(target)
    if profile == "paper":
        (kept[1] / "reported").mkdir()
    clean(tmp_path, profile)
    left = [str(path.relative_to(tmp_path)) for name in ("data", "results") for path in (tmp_path / name).rglob("*")]
    assert left == (["results/paper", "results/paper/reported"] if profile == "paper" else [])
    assert all((target / "artefact").exists() for target in kept)
