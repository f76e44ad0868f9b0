"""All GPU measurements in one command of at most ten minutes: ``make gpu``.

    python benchmarks/gpu.py [--methods intermamba intergen ...]

requires an evaluated first row of the profile smoke. It writes, each with a record: ``tests.csv``, the outcomes of the
tests marked ``gpu``; the tables of ``intermamba bench`` at the paper's sizes (the scan beside mamba_ssm's kernel where
that is installed, whole samplings, optimisation steps, time and memory over frames); ``crossover.csv``, attention
beside Mamba-1 over the length; and ``precision.csv``, the metrics of the demo checkpoint sampled in float32 and in
bfloat16, on the same clips and noise, by smoke's evaluator. ``python -m workflow.publish gpu`` puts them into the
documentation.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import torch
from rich.console import Console
from speed import crossing

from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.config import Config, load
from intermamba.cost import bench
from intermamba.generate import MotionGenerator
from intermamba.paths import DEMO
from intermamba.provenance import recorded
from intermamba.text.live import LiveText
from workflow.evaluation.generated import GeneratedSource
from workflow.evaluation.setup import EvaluationSetup
from workflow.graph.stages import job
from workflow.publish import gpu as published

METHODS = ("intermamba", "intermamba_light", "intergen", "in2in")
"""Models whose sampling time the paper gives (Table 3)."""
FRAMES, BATCHES = (75, 150, 300, 600, 1200, 2400, 4096), (1, 8, 64)
REPEATS, SECONDS = 10, 4.0
"""Repeats of each side of a measurement, and seconds after which a side is dropped: what fits into ten minutes."""
EVALUATIONS = 20


def main(words: Sequence[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--methods", nargs="+", default=METHODS, help="rows of params.yaml to measure")
    arguments.add_argument("--check", action="store_true", help="only look for a GPU")
    asked = arguments.parse_args(words)
    if not torch.cuda.is_available():
        sys.exit("error: no GPU that PyTorch can use, so nothing was measured. See docs/reference/costs.md.")
    if asked.check:
        return 0
    failed = tests()
    bench.run(shortened(load("paper"), asked.methods))
    crossover("cuda")
    precision(load("smoke"), "cuda")
    Console().print(published.render(published.MEASURED))
    return failed


def tests() -> int:
    """Run those marked ``gpu``; 1 if one failed. One row per outcome: ``outcome``, ``tests``."""
    output = published.MEASURED / "tests.csv"
    with recorded("gpu-tests", [output]), tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "tests.xml")
        words = ["-q", "-n", "0", "-m", "gpu", f"--junitxml={report}", "tests/test_gpu.py"]
        failed = subprocess.run([sys.executable, "-m", "pytest", *words], check=False).returncode
        suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - pytest's own
        assert suite is not None
        counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
        passed = counts.pop("tests") - sum(counts.values())
        files.write_csv(output, pd.DataFrame({"passed": passed, **counts}.items(), columns=["outcome", "tests"]))
    return int(bool(failed))


def shortened(config: Config, methods: Sequence[str]) -> Config:
    """The bench of a profile, of these methods, in a few minutes."""
    update = {"frames": FRAMES, "batch": BATCHES, "repeats": REPEATS, "seconds": SECONDS}
    runs = {"interhuman": dict.fromkeys(methods, (0,))}
    return config.model_copy(update={"bench": config.bench.model_copy(update=update), "runs": runs})


def crossover(device: str, repeats: int = REPEATS) -> None:
    """Attention beside Mamba-1 over the length."""
    output = published.MEASURED / "crossover.csv"
    with recorded("gpu-crossover", [output]) as notes:
        notes.update(device=device)
        files.write_csv(output, crossing(repeats, device=device))


def precision(config: Config, device: str, repeats: int = EVALUATIONS) -> None:
    """Evaluate the demo checkpoint in both precisions with the evaluator of a profile; long rows, a repeat each."""
    one = job(config, "evaluate", dataset="interhuman", variant="intermamba", seed=0)
    setup, trained = EvaluationSetup(config, one, repeats), checkpoints.load(DEMO)
    text, output = LiveText(trained.recipe.text, trained.reduction), published.MEASURED / "precision.csv"
    with recorded(
        "gpu-precision",
        [output],
        config={"diffusion": trained.recipe.diffusion.model_dump(mode="json")},
        seeds=setup.seeds,
    ) as notes:
        notes.update(setup.notes, device=device, weights=files.sha256(DEMO))
        sources = {}
        for name in ("float32", "bfloat16"):
            diffusion = trained.recipe.diffusion.model_copy(update={"sampling_precision": name})
            generator = MotionGenerator(trained, text, diffusion, device)
            sources[name] = GeneratedSource(generator, setup.real, config.runtime.sampling_batch)
        files.write_csv(output, setup.measure(sources, "reproduced", 0))


if __name__ == "__main__":
    sys.exit(main())
