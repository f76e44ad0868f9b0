"""A study whose whole pipeline takes seconds: knobs that differ from the profile ``smoke``, and its working tree."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT
from towers import UNTRAINED

from intermamba.config import Config, load, merged
from intermamba.job import Job

FILES = ("Snakefile", "params.yaml", "dvc.yaml", "profiles", "ablations", "results/paper/reported")
"""Files of a study itself, beside the packages."""

MICRO = {
    "datasets": {
        name: {"synthetic": {"train": 16, "val": 32, "test": 64, "seconds": [1.5, 1.6]}, "max_frames": 24}
        for name in ("interhuman", "interx")
    },
    "text": {"width": 16, "layers": 1, "context": 40},
    "model": {"width": 16, "heads": 2, "feedforward": 16, "text_heads": 2, "text_feedforward": 16, "rank": 2},
    "diffusion": {"sampling_steps": 2},
    "training": {"epochs": 4, "batch": 8, "checkpoint_every_epochs": 1, "log_every_steps": 1},
    "learning_rates": {"interhuman": {"intergen": 1.5e-3}},
    "evaluator": {
        "interclip": {"width": 16, "layers": 1, "heads": 2, "feedforward": 16, "embedding": 8, "text_layers": 1},
        "interx": {"movement": 16, "hidden": 16, "text_hidden": 16, "embedding": 8},
        "training": {"interhuman": {"epochs": 1, "batch": 8}, "interx": {"epochs": 1, "batch": 8}},
    },
    "sensitivity": {"repeats": 2},
    "steps": {"solvers": {"ddim": [1, 2], "dpm-solver++": [2, 3]}, "repeats": 2},
    "guidance": {"variants": {"interhuman": ["intermamba"], "interx": []}, "scales": [1.0, 2.0], "repeats": 2},
    "complexity": {"frames": 24, "repeats": {"cpu": 1}},
    "report": {"prompts": 2},
}


OFFICIAL = {
    "interhuman": {
        "intergen": {"checkpoint": "official/intergen/official.ckpt", "normalisation": "official/intergen"},
        "in2in": {"checkpoint": "official/in2in/official.ckpt", "normalisation": "official/in2in"},
    }
}
RUNS = {"interhuman": {"intermamba": [0], "intergen": [0]}, "interx": {"intermamba": [0]}}


def write_tree(tree: Path) -> None:
    """A study's own files in a working tree without artefacts."""
    for name in FILES:
        source, target = ROOT / name, tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    for module in (tree / "ablations").glob("*.py"):
        module.unlink()  # the package comes from the checkout


def enter(tree: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a working tree the current directory, and find the packages in the checkout."""
    patch.chdir(tree)
    patch.setenv("PYTHONPATH", str(ROOT))
    patch.delenv("DVC_STAGE", raising=False)
    patch.delenv("INTERMAMBA_RUNNER", raising=False)


def shrink(tree: Path, runs: Mapping[str, Any] = RUNS) -> None:
    """Make the smoke profile of a working tree micro, with official checkpoints to adopt."""
    import official_files  # imports torch

    document = yaml.safe_load((tree / "params.yaml").read_text())
    # Official checkpoints are not adopted beside a sentence encoder, which they never read.
    changes = MICRO | {"official": OFFICIAL, "text": MICRO["text"] | UNTRAINED}
    document["profiles"]["smoke"] = merged(document["profiles"]["smoke"], changes)
    document["base"]["runs"] = dict(runs)
    (tree / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    for variant, names in zip(("intergen", "in2in"), official_files.STATISTICS, strict=True):
        folder = tree / "official" / variant
        folder.mkdir(parents=True)
        official_files.write(folder, names, variant, text_width=MICRO["text"]["width"])


def missing(config: Config) -> Iterator[Job]:
    """Jobs of the graph in order, but for those whose results are there when it is their turn."""
    from workflow.graph.stages import table

    for stage in table(config).values():
        for job in stage.jobs():
            if not all(place.exists() for place in job.outputs.values()):
                yield job


def run_all() -> None:
    """The whole graph, each job by its own command line, in this process: imports are paid once."""
    from workflow.cli.commands import app

    for job in missing(load()):
        app(job.command.split()[1:], standalone_mode=False)


def begin(tree: Path, complete: Path) -> None:
    """Take data, evaluators and reference metrics, all that comes before the first training, from a complete study."""
    shutil.copytree(complete / "data", tree / "data")
    for dataset in ("interhuman", "interx"):
        for folder in ("evaluator", "real"):
            place = f"results/smoke/{dataset}/{folder}"
            shutil.copytree(complete / place, tree / place)


def repeatable(stages: Mapping[str, Any]) -> list[Path]:
    """Every artefact of the smoke profile that must not differ between two runs: what holds times may."""
    from intermamba.paths import path

    jobs = [job for stage in stages.values() for job in stage.jobs()]
    timed = {path(name, profile="smoke") for name in ("claims", "document", "report")}  # which show times
    found = {output for job in jobs for name, output in job.outputs.items() if name not in job.measured}
    return sorted(found - timed)
