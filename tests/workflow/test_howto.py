"""Steps of the how-to guides, taken from the documents and followed to the letter in a small study."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest
from micro import enter
from places import ROOT

from intermamba import files
from intermamba.paths import RECORD, path
from workflow.cli.commands import app

VARIANT = (ROOT / "docs/howto/own-variant.md").read_text()
MOTIONS = (ROOT / "docs/howto/own-motions.md").read_text()
TRAINED = "results/smoke/interhuman/intermamba/seed0/weights.safetensors"


def add_to_profile(line: str) -> None:
    """Add a line to the profile smoke of params.yaml."""
    text = Path("params.yaml").read_text()
    assert text.count("\n  smoke:\n") == 1
    Path("params.yaml").write_text(text.replace("\n  smoke:\n", f"\n  smoke:\n    {line}"))


def snakemake() -> "subprocess.CompletedProcess[str]":
    """The command that both guides end with."""
    (command,) = set(re.findall(r"`(snakemake [^`]*)`", VARIANT + MOTIONS))
    return subprocess.run([sys.executable, "-m", *command.split()], capture_output=True, text=True, check=False)


def for_readers() -> dict[str, str]:
    """Hashes of tables, figures and report."""
    found = (file for name in ("tables", "figures", "report") for file in Path("results/smoke", name).glob("*.*"))
    return {str(file): files.sha256(file) for file in found if not file.name.endswith(RECORD)}


@pytest.mark.slow
@pytest.mark.timeout(1200)  # some twelve processes, each of which imports torch
def test_guides_add_rows_and_keep_the_others(complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = shutil.copytree(complete, tmp_path / "study")
    enter(study, monkeypatch)
    # The package of variants is that of the tree, as in a checkout.
    shutil.copy(ROOT / "ablations/__init__.py", study / "ablations/__init__.py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(study), str(ROOT)]))
    before = {file: file.stat().st_mtime_ns for file in Path("results/smoke").rglob("weights.safetensors")}

    (place,) = re.findall(r"Write `(ablations/[^`]*)`", VARIANT)
    variant, line, recipe = map(textwrap.dedent, re.findall(r"```yaml\n(.*?)^ *```", VARIANT, re.MULTILINE | re.DOTALL))
    Path(place).write_text(variant + recipe)
    add_to_profile(line)

    fill = {"FOLDER": "submissions/mine", "WEIGHTS": TRAINED}
    said = re.sub("FOLDER|WEIGHTS", lambda name: fill[name[0]], MOTIONS)
    commands = dict(re.findall(r"^ {4}intermamba (prompts|sample|evaluate) ([^[\n]*)", said, re.MULTILINE))
    for command in ("prompts", "sample", "evaluate"):
        app([command, *commands[command].split()], standalone_mode=False)
    assert path("motions_metrics", profile="smoke", dataset="interhuman", method="mine").exists()
    (line,) = re.findall(r"^ {4}(motions: .*\n)", said, re.MULTILINE)
    add_to_profile(line)

    done = snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    after = {file: file.stat().st_mtime_ns for file in Path("results/smoke").rglob("weights.safetensors")}
    assert after.pop(path("weights", profile="smoke", dataset="interhuman", variant="my_idea", seed=0))
    assert after == before  # nothing else was trained again
    rows = pd.read_csv(path("table", profile="smoke", table="table1", format="csv")).groupby("block")["method"].agg(set)
    assert rows["reproduced"] == {"real", "retaken", "shuffled", "nearest", "intermamba", "intergen", "my_idea"}
    assert rows["re-evaluated"] == {"real", "retaken", "shuffled", "nearest", "intergen", "in2in", "my_motions"}
    page = path("report", profile="smoke").read_text()
    (label,) = re.findall(r"^label: (.*)$", variant, flags=re.MULTILINE)
    assert label in page
    assert "My method" in page
    app(["validate"], standalone_mode=False)

    kept = for_readers()
    assert {Path(name).parent.name for name in kept} == {"tables", "figures", "report"}
    path("reported", number=1).write_text("broken\n")
    assert snakemake().returncode == 1
    assert for_readers() == kept  # a stage that fails costs no good output
