"""The package where it is installed: a wheel in a fresh environment, used from an empty folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from places import ROOT

from workflow.graph import starter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SOURCE = ("intermamba", "evaluators", "ablations", "workflow", "profiles", "results/paper/reported")
BOW = "Two people bow to each other."


def source_in(folder: Path) -> Path:
    """A copy of what a wheel is made of."""
    source = folder / "source"
    for name in SOURCE:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "params.yaml", "Snakefile"):
        shutil.copy(ROOT / name, source / name)
    return source


def test_two_builds_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = shutil.which("uv") or pytest.skip("no uv on this machine")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    wheels = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        source = source_in(tmp_path / name)
        for number, path in enumerate(source.rglob("*")):
            os.utime(path, (1.6e9 + number, 1.6e9 + number + len(wheels)), follow_symlinks=False)
        subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path / name, source], check=True)
        (wheel,) = (tmp_path / name).glob("*.whl")
        wheels.append(wheel.read_bytes())
    assert wheels[0] == wheels[1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of a fresh environment that holds the wheel and what it depends on."""
    uv = shutil.which("uv") or pytest.skip("no uv on this machine")
    folder = tmp_path_factory.mktemp("installed")
    source, environment = source_in(folder), folder / "environment"
    for words in (
        ["build", "--quiet", "--wheel", "--out-dir", folder, source],
        ["venv", "--quiet", "--python", sys.executable, environment],
    ):
        subprocess.run([uv, *map(str, words)], check=True)
    (wheel,) = folder.glob("*.whl")
    install = [uv, "pip", "install", "--quiet", "--constraints", str(ROOT / "constraints.txt"), str(wheel)]
    subprocess.run(install, check=True, env=os.environ | {"VIRTUAL_ENV": str(environment)})
    return environment / "bin"


def test_an_installed_wheel_works_in_an_empty_folder(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "DVC_STAGE", "INTERMAMBA_RUNNER"):
        monkeypatch.delenv(name, raising=False)

    def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(environment / program), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    def works(program: str, *words: str) -> str:
        done = run(program, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(message: str, *words: str) -> None:
        done = run("intermamba", *words)
        assert done.returncode == 2, done.stdout
        assert len(done.stderr.splitlines()) == 1
        assert message in done.stderr

    written = works("intermamba", "sample", BOW, "--frames", "20", "--format", "gif,bvh").split()
    assert all((tmp_path / name).exists() for name in written)
    call = f"import intermamba as i; print(i.__file__, i.load().generate({BOW!r}, frames=15).joints.shape, i.evaluate)"
    printed = works("python", "-c", call)
    assert "(15, 2, 22, 3)" in printed
    assert str(environment.parent) in printed

    motions = ("evaluate", "--dataset", "interhuman", "--motions", str(Path(written[0]).parent))
    for words in (("complexity", "--counts-only"), motions, ("validate",)):
        refused("params.yaml: cannot be read", *words)
        refused("`intermamba init` starts one", *words)

    assert works("intermamba", "init").splitlines()[:-1] == list(map(str, starter.sources()))
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]
    refused("already; init overwrites nothing", "init")
    works("intermamba", "complexity", "--counts-only")
    assert "intermamba" in set(pd.read_csv(tmp_path / "results/smoke/complexity.csv")["method"])
    refused("does not exist. Run `intermamba", *motions)
    works("intermamba", "fetch", "--dataset", "interhuman")
    works("intermamba", "preprocess", "--dataset", "interhuman")
    assert (tmp_path / "data/smoke/interhuman/test.safetensors").exists()
    planned = works("snakemake", "--dry-run", "--cores", "2")
    assert "report" in planned
