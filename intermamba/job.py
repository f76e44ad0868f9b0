"""A job: one run of a stage on one item. The graph declares it, and the stage's function receives it.

Its inputs are checked and hashed, its knobs and outputs are recorded, and the stage's function takes its paths from it;
stages that read a whole study find the same files by their names (:mod:`intermamba.paths`). The stage table
(:mod:`workflow.graph.stages`) creates jobs.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from intermamba import provenance
from intermamba.config import Config, Dataset
from intermamba.errors import StateError
from intermamba.paths import record_of

RUNTIME = ("threads", "accelerator", "devices", "nodes", "accumulate")
"""Knobs of ``runtime`` that can change bytes (by rounding); the others never change results."""
SINGLE = (("nodes", 1), ("accumulate", 1))


@dataclass(frozen=True)
class Job:
    """Inputs, outputs and knobs of one run of a stage.

    ``job["weights"]`` is the file of that name among inputs and outputs, ``job.all("metrics")`` all files of a name.
    """

    stage: str
    command: str
    """Its command line."""
    item: Mapping[str, str]
    """Its item: those of ``dataset``, ``variant``, ``seed`` that the stage has."""
    inputs: Mapping[str, tuple[Path, ...]]
    outputs: Mapping[str, Path]
    """The main one first; its provenance record is beside it."""
    knobs: tuple[str, ...] = ()
    """Sections of the configuration that it depends on."""
    measured: frozenset[str] = frozenset()
    """Names of outputs that hold timings, and so differ between equal runs."""
    function: str = ""
    """``module:function`` that runs it."""
    log: Path = Path()
    """Its log under Snakemake, without suffix."""
    makers: Mapping[Path, str] = field(default_factory=dict, compare=False)
    """Commands that make those inputs which stages make."""

    def __getitem__(self, name: str) -> Path:
        (path,) = self.all(name)
        return path

    def all(self, name: str) -> tuple[Path, ...]:
        """Every file called ``name``; none for an input that this item does not have.

        Raises:
            KeyError: the stage declares no such name.
        """
        return (self.outputs[name],) if name in self.outputs else self.inputs[name]

    @property
    def dataset(self) -> Dataset:
        """Dataset of its item."""
        return self.item["dataset"]

    @property
    def variant(self) -> str:
        """Row of its item."""
        return self.item["variant"]

    @property
    def seed(self) -> int | None:
        """Training seed; ``None`` if the model was not trained here."""
        return int(self.item["seed"]) if "seed" in self.item else None

    @property
    def reads(self) -> tuple[Path, ...]:
        """All inputs, each once."""
        return tuple(dict.fromkeys(path for paths in self.inputs.values() for path in paths))

    @property
    def record(self) -> Path:
        """Its provenance record."""
        return record_of(next(iter(self.outputs.values())))

    @property
    def writes(self) -> tuple[Path, ...]:
        """All outputs and the record."""
        return (*self.outputs.values(), self.record)

    def run(self, config: Config, **how: Any) -> Any:
        """Run it in this process; ``how`` are further arguments of its function, such as ``progress``."""
        return resolve_name(self.function)(config, self, **how)

    def require(self) -> None:
        """Check that all inputs exist.

        Raises:
            StateError: an input does not exist; the message has the command that makes it.
        """
        for path in self.reads:
            if not path.exists():
                raise StateError(f"{path} does not exist. {self.remedy(path)}")

    def remedy(self, path: Path) -> str:
        """Remedy for a missing or wrong input."""
        if path in self.makers:
            return f"Run `{self.makers[path]}` first, or `snakemake --cores all` for everything."
        return "No stage makes it: restore it, or correct its path in params.yaml."

    def again(self, path: Path) -> str:
        """Remedy for an input whose content does not fit: make it again, if a stage makes it."""
        return f"Delete it and run `{self.makers[path]}` again." if path in self.makers else "Give another file."

    @contextmanager
    def recorded(self, config: Config, seeds: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Run the stage and, if it succeeds, write its record: see :func:`intermamba.provenance.recorded`.

        Raises:
            StateError: an input does not exist.
        """
        self.require()
        with provenance.recorded(
            self.stage, self.outputs.values(), self.reads, values(config, self.knobs), seeds
        ) as notes:
            yield notes


def values(config: Config, knobs: Iterable[str]) -> dict[str, Any]:
    """Values of the named sections that are set, without the knobs that do not change results."""
    found = {name: config.section(name) for name in knobs}
    if "runtime" in found:
        runtime = {name: found["runtime"][name] for name in RUNTIME}
        # One node and one pass are left out, so that runs from before these knobs remain valid.
        found["runtime"] = {name: value for name, value in runtime.items() if (name, value) not in SINGLE}
    return {name: value for name, value in found.items() if value is not None}


def digest(config: Config, knob: str) -> str:
    """A section's name and a hash of its values."""
    text = json.dumps(values(config, [knob]), sort_keys=True)
    return f"{knob} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
