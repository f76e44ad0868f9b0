"""Names of datasets, origins of data, solvers and code, as tables and figures print them."""

from collections.abc import Mapping
from typing import Any

from intermamba.datasets import datasets

REFERENCES = {"synthetic": "Ground truth", "official": "Real"}
"""Label of the reference motions, by origin: only recorded motions are real."""
ORIGINS = {"synthetic": "synthetic embedded split", "official": "official data"}

FULL_MODEL = "intermamba"
"""The row whose parts the ablations leave out."""
SOLVERS = {"ddim": "DDIM", "dpm-solver++": "DPM-Solver++ (2M)"}


def dataset_name(dataset: str) -> str:
    """A dataset as documents spell it; an unknown name stays."""
    known = datasets()
    return known[dataset].label if dataset in known else dataset


def origin_name(origin: str) -> str:
    """An origin of data in words; an unknown name stays."""
    return ORIGINS.get(origin, origin)


def reference_name(origin: str, method: str = "real") -> str:
    """Label in tables and figures of a row that is no model: the reference motions, chance, or copies."""
    name = REFERENCES[origin]
    labels = {
        "real": name,
        "retaken": f"{name}, performed again",
        "shuffled": f"{name}, captions shuffled (chance)",
        "nearest": "Nearest training clip (copy)",
    }
    return labels[method]


def solver_name(solver: str) -> str:
    """A solver as papers spell it; an unknown name stays."""
    return SOLVERS.get(solver, solver)


def revision_name(record: Mapping[str, Any]) -> str:
    """The code of a provenance record: the short commit, if there was a checkout, and whether the tree had changes."""
    commit = record["code"]["revision"]
    return (commit[:7] if commit else "no checkout") + (" with changes" if record["code"]["dirty"] else "")
