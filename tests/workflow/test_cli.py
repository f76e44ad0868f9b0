"""The command line: fast help, messages instead of tracebacks, one owner a tree."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from places import ROOT
from typer.testing import CliRunner

from intermamba.config import load
from intermamba.errors import StateError
from workflow.cli import main
from workflow.cli.commands import app
from workflow.graph import lock, starter

STAGES = (
    "fetch", "preprocess", "encode-text", "train-evaluator", "train", "evaluate", "adopt", "re-evaluate", "sensitivity",
    "complexity", "tables", "figures", "sample", "validate", "budget",
)  # fmt: skip


def intermamba(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "workflow.cli", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("command", "named"), [((), STAGES), (("sample",), ("--checkpoint", "--seeds", "--person-a"))])
def test_help_comes_without_heavy_imports(command: tuple[str, ...], named: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom workflow.cli.commands import app\nfrom typer.testing import CliRunner\n"
        f"result = CliRunner().invoke(app, [*{command!r}, '--help'])\nprint(result.output)\n"
        "assert not {'torch', 'pandas', 'lightning', 'matplotlib', 'scipy'} & set(sys.modules), 'heavy import'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in named:
        assert name in done.stdout


def test_every_command_has_an_example_that_parses() -> None:
    command = typer.main.get_command(app)
    context = command.make_context("intermamba", ["validate"])
    for name, sub in command.commands.items():
        words = shlex.split((sub.epilog or "").removeprefix("Example: "))
        assert words[:2] == ["intermamba", name], name
        assert sub.make_context(name, words[2:], parent=context), name
        done = CliRunner().invoke(app, [name, "--help"])
        assert "Example: intermamba" in done.stdout, name


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["fetch", "--dataset", "interhumans"], ["interhumans", "Did you mean 'interhuman'", "interx"]),
        (
            ["train", "--dataset", "interhuman", "--variant", "intermambo"],
            ["variant 'intermambo'", "Did you mean 'intermamba'"],
        ),
        (["tables", "--profile", "smok"], ["Did you mean 'smoke'", "params.yaml"]),
        (["preprocess", "--dataset", "interhuman"], ["manifest.json", "intermamba fetch"]),
        (["evaluate", "--dataset", "interhuman", "--variant", "intermamba"], ["does not exist", "intermamba"]),
        (["adopt", "--dataset", "interhuman", "--variant", "intergen"], ["unknown official checkpoint", "params.yaml"]),
        (
            ["adopt", "--dataset", "interhuman", "--variant", "intergen", "--checkpoint", "intergen.ckpt"],
            ["--normalisation", "belong together"],
        ),
        (["sample", "Two people bow.", "--checkpoint", "no.pt"], ["no.pt: no such file"]),
    ],
)
def test_a_wrong_request_is_one_message(
    study: Path,
    words: list[str],
    parts: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("workflow.cli.signal.signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["intermamba", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    for part in parts:
        assert part in said
    assert not list(study.rglob("*.safetensors"))


def test_init_starts_a_study_and_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", "mine"], catch_exceptions=False)
    written = [Path(name) for name in done.stdout.splitlines()[:-1]]
    assert written == [Path("mine") / name for name in starter.sources()]
    for name in (
        "params.yaml",
        "Snakefile",
        "profiles/default/config.yaml",
        "profiles/slurm/config.yaml",
        "results/paper/reported/table1.csv",
    ):
        assert not (tmp_path / "mine" / name).is_symlink()
        assert (tmp_path / "mine" / name).read_bytes() == (ROOT / name).read_bytes()
    monkeypatch.chdir(tmp_path / "mine")
    assert load("study-cpu").profile == "study-cpu"
    for kept in written[1:]:
        (tmp_path / kept).unlink()
    Path("Snakefile").write_text("my own")
    with pytest.raises(StateError, match=r"Snakefile exists already; init overwrites nothing"):
        starter.write(".")
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["Snakefile"]
    assert Path("Snakefile").read_text() == "my own"
    with pytest.raises(StateError, match=r"cannot be written"):
        starter.write("Snakefile/below")


def test_without_a_study_a_command_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = intermamba("complexity")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "params.yaml: cannot be read" in done.stderr
    assert "`intermamba init` starts one" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_row_of_the_study_stops_validation(study: Path, edit_params: Callable[[str, str], None]) -> None:
    edit_params("      without_liia: [0]", "      without_lia: [0]")
    done = intermamba("validate")
    assert done.returncode == 2
    assert "Did you mean 'without_liia'" in done.stderr
    assert "runs.interhuman" in done.stderr


def test_the_second_tool_is_refused(study: Path) -> None:
    lock.take("smoke", None)
    assert not (study / "results/smoke").exists()
    lock.take("smoke", "snakemake")
    lock.take("smoke", "snakemake")
    with pytest.raises(StateError, match=r"belong to snakemake, and dvc must not.*make clean PROFILE=smoke"):
        lock.take("smoke", "dvc")
    lock.take("study", "dvc")


def test_snakemake_stops_before_touching_dvcs_results(study: Path) -> None:
    lock.take("smoke", "dvc")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "belong to dvc" in done.stdout + done.stderr
    assert sorted(path.name for path in (study / "results/smoke").iterdir()) == [".owner"]


def test_dvc_is_recognised_by_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "fetch@interhuman")
    assert lock.runner() == "dvc"
    monkeypatch.delenv("DVC_STAGE")
    monkeypatch.setenv(lock.RUNNER, "snakemake")
    assert lock.runner() == "snakemake"
