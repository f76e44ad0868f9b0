"""Snakemake's graph and DVC's are one: each tool is asked for what it resolved, and the answers are compared."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from places import ROOT

from intermamba import config
from intermamba.errors import ConfigError, StateError
from intermamba.paths import committed
from workflow.graph import dvc as compiler
from workflow.graph.lock import exclusive
from workflow.graph.stages import table, targets

PROFILES = ("smoke", "study-cpu", "paper")


class Job(NamedTuple):
    command: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    knobs: frozenset[str]


class Resolved(NamedTuple):
    jobs: set[Job]
    gpus: int
    """Number of jobs that request a GPU."""


def of_table(profile: str) -> set[Job]:
    stages = table(config.load(profile)).values()
    return {
        Job(job.command, frozenset(map(str, job.reads)), frozenset(map(str, job.writes)), frozenset(job.knobs))
        for stage in stages
        for job in stage.jobs()
    }


_ASK_SNAKEMAKE = """
import json, sys
from pathlib import Path
from snakemake.api import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings, SnakemakeApi
from snakemake.settings.types import Quietness
from workflow.graph import machine

found = []
for profile, *machine.DRIVERS in json.loads(sys.argv[1]):
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        flow = api.workflow(
            snakefile=Path("Snakefile"),
            resource_settings=ResourceSettings(cores=2),
            config_settings=ConfigSettings(config={"profile": profile}),
        )
        flow.dag(DAGSettings(forceall=True)).execute_workflow(executor="dryrun")
        found.append([
            [job.shellcmd, list(map(str, job.input)), list(map(str, job.output)), [*job.params], job.resources.gpu]
            for job in flow._workflow.dag.jobs if job.shellcmd
        ])
print(json.dumps(found))
"""


def of_snakemake(*questions: tuple[str, ...]) -> list[Resolved]:
    """Jobs Snakemake would run in a tree without artefacts, as Snakemake itself resolved them, for each profile on a
    machine whose GPUs have the device files that follow it. One process answers all: it takes seconds to import.
    """
    command = [sys.executable, "-c", _ASK_SNAKEMAKE, json.dumps(questions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(map(_resolved, json.loads(done.stdout)))


def _resolved(found: list) -> Resolved:
    jobs = {
        Job(
            re.sub(r" > \S+ 2>&1$", "", shell),
            frozenset(inputs),
            frozenset(outputs),
            frozenset(knob.split()[0] for knob in knobs if not shell.startswith(knob)),  # a name and a hash each
        )
        for shell, inputs, outputs, knobs, _ in found
    }
    return Resolved(jobs, sum(gpus > 0 for *_, gpus in found))


def of_dvc(tree: Path, expected: set[Job]) -> set[Job]:
    """Stages DVC resolved from dvc.yaml, from its own index.

    It tracks keys of params.yaml: a stage's knobs, or a section around one that some item does not have by itself.
    """
    knobs = {job.command: job.knobs for job in expected}
    with Repo.init(str(tree), no_scm=True, force=True) as repo:
        return {
            Job(
                stage.cmd,
                frozenset(str(dep.def_path) for dep in stage.deps if not isinstance(dep, ParamsDependency)),
                frozenset(str(out.def_path) for out in stage.outs),
                frozenset(knob for knob in knobs[stage.cmd] if _tracked(knob, stage.deps)),
            )
            for stage in repo.index.stages
        }


def _tracked(knob: str, deps: list) -> bool:
    keys = {key for dep in deps if isinstance(dep, ParamsDependency) for key in dep.params}
    return any(f"base.{knob}.".startswith(f"{key}.") for key in keys)


def test_one_graph(study: Path) -> None:
    drivers = str(study / "no-driver"), str(study / "params.yaml")
    *found, on_gpus, not_asked_to = of_snakemake(
        *((one,) for one in PROFILES), ("paper", *drivers), ("smoke", *drivers)
    )
    for profile, resolved in zip(PROFILES, found, strict=True):
        expected = of_table(profile)
        assert resolved == (expected, 0)
        (study / "dvc.yaml").write_text(compiler.compile_document(config.load(profile)))
        assert of_dvc(study, expected) == expected
    # Jobs request a GPU where there is one, but for those of a profile whose accelerator is the processor.
    computing = [stage for stage in table(config.load("paper")).values() if stage.devices != "none"]
    assert on_gpus.gpus == sum(1 for stage in computing for _ in stage.jobs())
    assert not_asked_to.gpus == 0


THEIRS = "{interhuman: {theirs: {folder: submissions/theirs, label: Theirs}}}"


def test_official_checkpoints_and_motions_join_the_graph_where_a_profile_names_them(
    study: Path, edit_params: Callable[[str, str], None]
) -> None:
    joining = ("intermamba adopt", "intermamba re-evaluate", "intermamba evaluate-motions")
    assert not [job for job in of_table("smoke") if job.command.startswith(joining)]
    entry = "{checkpoint: models/intergen.ckpt, normalisation: models}"
    edit_params("official: {} #", f"official: {{interhuman: {{intergen: {entry}, in2in: {entry}}}}} #")
    edit_params("motions: {} #", f"motions: {THEIRS} #")
    (study / "submissions/theirs").mkdir(parents=True)
    (study / "models").mkdir()
    for name in ("intergen.ckpt", "global_mean.npy", "global_std.npy"):
        (study / "models" / name).touch()
    document = compiler.compile_document(config.load())
    assert {"interhuman-intergen", "interhuman-in2in"} <= yaml.safe_load(document)["stages"]["adopt"]["foreach"].keys()
    (study / "dvc.yaml").write_text(document)
    expected = of_table("smoke")
    assert len([job for job in expected if job.command.startswith(joining[:2])]) == 4
    (job,) = (one for one in expected if one.command.startswith(joining[2]))
    assert job.command.endswith("--dataset interhuman --method theirs")
    assert "submissions/theirs" in job.inputs
    assert "results/smoke/interhuman/theirs/motions/metrics.csv" in job.outputs
    (found,) = of_snakemake(("smoke",))
    assert found.jobs == expected
    assert of_dvc(study, expected) == expected
    (aggregate,) = (one for one in expected if one.command.startswith("intermamba aggregate"))
    for row in ("intergen/official", "theirs/motions"):
        assert f"results/smoke/interhuman/{row}/metrics.csv" in aggregate.inputs


def test_motions_that_are_not_there_are_one_error(study: Path, edit_params: Callable[[str, str], None]) -> None:
    edit_params("motions: {} #", f"motions: {THEIRS} #")
    message = "motions.interhuman.theirs of profile 'smoke' in params.yaml: no folder submissions/theirs"
    with pytest.raises(ConfigError, match=message):
        table(config.load())


@pytest.mark.parametrize("name", ["intermamba", "real", "nearest", "my motions"])
def test_motions_have_a_name_of_their_own(study: Path, edit_params: Callable[[str, str], None], name: str) -> None:
    (study / "submissions/theirs").mkdir(parents=True)
    edit_params("motions: {} #", f"motions: {THEIRS} #".replace("theirs: {", f"{name}: {{"))
    with pytest.raises(ConfigError, match=f"motions.interhuman.{name} .*(name of a row|letters, digits)"):
        table(config.load())


def test_committed_dvc_yaml_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert Path("dvc.yaml").read_text() == compiler.compile_document(config.load())


def test_git_ignores_what_is_not_committed_and_dvc_leaves_the_rest_to_git(study: Path) -> None:
    outputs = sorted(path for job in of_table("study-cpu") for path in job.outputs)
    asked = ["git", "check-ignore", "--stdin", "--no-index"]
    done = subprocess.run(asked, cwd=ROOT, input="\n".join(outputs), capture_output=True, text=True, check=False)
    assert [path for path in outputs if not committed(path)] == done.stdout.splitlines()
    (study / "dvc.yaml").write_text(compiler.compile_document(config.load("study-cpu")))
    with Repo.init(str(study), no_scm=True, force=True) as repo:
        kept = {str(out.def_path): out.use_cache for stage in repo.index.stages for out in stage.outs}
    assert kept == {path: not committed(path) for path in outputs}


@pytest.mark.parametrize("profile", PROFILES)
def test_data_flows_one_way(profile: str) -> None:
    """Every input is a file of the repository or the output of an earlier job, of an earlier stage but where a method's
    trainings build on each other; nothing is written twice.
    """
    written: set[Path] = set()
    for stage in table(config.load(profile)).values():
        before = set(written)
        for job in stage.jobs():
            for path in job.reads:
                assert path in (written if stage.name == "train-part" else before) or str(path).startswith(
                    ("ablations/", "evaluators/", "results/paper/reported/")
                ), path
            assert not written & set(job.writes)
            written |= set(job.writes)


def test_one_pipeline_at_a_time(study: Path) -> None:
    exclusive("smoke")
    with pytest.raises(StateError, match="another pipeline is running this profile"):
        exclusive("smoke")


def test_an_unknown_key_of_snakemakes_configuration_is_refused(study: Path) -> None:
    asked = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "--config", "proflie=study"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "unknown key 'proflie' in --config" in (said := done.stdout + done.stderr)
    assert "Did you mean 'profile'?" in said
    assert "Using workflow specific profile profiles/default" in said


def test_targets_are_the_results_a_user_is_promised() -> None:
    found = set(targets(table(config.load("smoke"))))
    promised = {f"results/smoke/tables/table{n}.{kind}" for n in range(1, 6) for kind in ("tex", "md", "csv")}
    promised |= {
        f"results/smoke/{name}"
        for name in (
            "summary.json",
            *(
                f"figures/{name}.{kind}"
                for name in ("figure2", "figure7", "figure8", "learning", "steps", "sensitivity", "fusion", "guidance")
                for kind in ("pdf", "png")
            ),
            *(
                f"tables/{name}.{kind}"
                for name in ("sensitivity", "consistency", "claims", "physical", "newer_methods", "copying")
                for kind in ("tex", "md", "csv")
            ),
            "report/index.html",
        )
    }
    assert promised <= found


def test_every_knob_that_changes_results_is_tracked() -> None:
    """A section no stage depends on would change results without a rerun."""
    smoke = config.load("smoke")
    tracked = {knob.split(".")[0] for stage in table(smoke).values() for knob in stage.knobs}
    assert set(type(smoke).model_fields) - tracked == {"profile", "bench", "cluster"}  # neither changes results


def test_weights_of_a_methods_own_tower_are_inputs(tmp_path: Path) -> None:
    loaded, folder = config.load("smoke"), tmp_path / "glove"
    folder.mkdir()
    (folder / "hhi_vab_data.npy").touch()
    own = loaded.methods["t2m"].text | {"weights": str(folder)}
    t2m = loaded.methods["t2m"].model_copy(update={"text": own})
    loaded = loaded.model_copy(update={"methods": loaded.methods | {"t2m": t2m}})
    (job,) = (one for one in table(loaded)["encode-own-text"].jobs() if one.dataset == "interhuman")
    assert job.inputs["tower"] == (folder,)
