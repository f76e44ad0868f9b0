"""What modules import, by name: the cost of starting up stays with those who need it, whatever the machine's speed."""

import subprocess
import sys

import pytest

from workflow.figures import FIGURES
from workflow.tables import TABLES

HEAVY = {
    "torch", "torch._dynamo", "lightning", "torchvision", "open_clip", "diffusers", "pandas", "scipy.stats",
    "matplotlib", "seaborn", "numba", "snakemake", "sympy",
}  # fmt: skip
"""What takes more than a tenth of a second of processor time."""

EXHIBITS = " ".join(
    [one.function.partition(":")[0] for one in (*TABLES.values(), *FIGURES.values())]
    + ["workflow.tables.build workflow.figures.build workflow.report.build"]
)
"""Modules of the stages ``tables``, ``figures`` and ``report``, which read numbers and no tensors."""
NUMBERS = [
    ("workflow.cli workflow.graph.warm", set()),
    ("workflow.cli.commands workflow.graph.stages workflow.graph.starter workflow.graph.validate", set()),
    ("intermamba.data.fetch intermamba.sample", set()),
    ("workflow.results.aggregate", {"pandas"}),
    ("workflow.results.claims", {"pandas", "scipy.stats"}),
    (EXHIBITS, {"pandas", "scipy.stats", "matplotlib", "seaborn"}),
]
TENSORS = [
    ("intermamba.ssm", {"torch"}),
    ("intermamba.data.preprocess intermamba.text.cache intermamba.checkpoints.adopt intermamba.api", {"torch"}),
    (
        "workflow.evaluation.generated workflow.evaluation.external workflow.evaluation.gallery_motions",
        {"torch", "pandas"},
    ),
    ("workflow.evaluation.sampling intermamba.cost.complexity", {"torch", "pandas"}),
]

ASK = """
import json, sys
from importlib import import_module
for line in sys.stdin:
    for name in line.split():
        import_module(name)
    print(*sys.modules)
"""


@pytest.mark.parametrize("steps", [NUMBERS, TENSORS], ids=["numbers", "tensors"])
def test_modules_import_no_more_than_they_need(steps: list[tuple[str, set[str]]]) -> None:
    """Modules one line after the other in one process, and what it has imported of :data:`HEAVY` after each."""
    lines = "\n".join(names for names, _ in steps)
    done = subprocess.run([sys.executable, "-c", ASK], input=lines, capture_output=True, text=True, check=True)
    found = [HEAVY & set(line.split()) for line in done.stdout.splitlines()]
    assert found == [allowed for _, allowed in steps]
