"""A stage of the graph: one declaration, and the jobs that it makes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from intermamba.job import Job
from intermamba.paths import record_of

Item = Mapping[str, str]
Threads = Literal["one", "runtime", "machine"]
Work = Literal["light", "data", "training", "evaluation"]
Devices = Literal["none", "one", "all", "trained"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage, for every item it repeats over."""

    name: str
    profile: str
    function: str
    """``module:function`` that runs it: ``function(config, job, ...)``."""
    message: str
    """What it does to an item, for progress on the terminal."""
    inputs: Mapping[str, tuple[str, ...]]
    """Templates by name. A template that is empty for an item is no input of that item."""
    outputs: Mapping[str, str]
    """Templates by name, the main one first."""
    knobs: tuple[str, ...]
    """Sections of the configuration whose change makes the stage run again."""
    fields: tuple[str, ...] = ()
    """Names of the fields that identify an item; options of the command line."""
    items: tuple[Item, ...] = ({},)
    """Values of the braces, one mapping per repetition: a single empty one for a stage that runs once, none for a stage
    that a profile does not use. Besides ``fields``, they may hold paths that differ by item."""
    complete: Callable[..., Item] = dict
    """From the values of ``fields`` to a whole item, also for one that is not in the study."""
    measured: tuple[str, ...] = ()
    """Names of outputs that hold timings and so differ between runs."""
    threads: Threads = "one"
    """One; those of the profile's runtime; or all of the machine, so that nothing else runs."""
    work: Work = "light"
    """Resources of its jobs in a batch system: an entry of the profile's ``cluster``."""
    devices: Devices = "none"
    """With GPUs: none; one; all of ``runtime``; or as many as the training can use (:func:`devices`)."""
    category: str = ""
    """Section of ``snakemake --report`` for its outputs; empty for outputs not meant for readers."""
    reported: bool = False
    """Whether the report shows its outputs."""

    @property
    def command(self) -> str:
        """Its command line, with fields of an item in braces."""
        options = [f"--{name} {{{name}}}" for name in self.fields]
        return " ".join(["intermamba", self.name, "--profile", self.profile, *options])

    @property
    def rule(self) -> str:
        """Its name under Snakemake."""
        return self.name.replace("-", "_")

    @property
    def log(self) -> str:
        """Path of a job's log under Snakemake, without suffix."""
        place = "-".join(f"{{{name}}}" for name in self.fields)
        return f"results/{self.profile}/logs/{self.name}" + (f"/{place}" if place else "")

    @property
    def record(self) -> str:
        """Template of its provenance record."""
        return str(record_of(next(iter(self.outputs.values()))))

    @cached_property
    def jobs_by_item(self) -> tuple[tuple[Item, Job], ...]:
        """The jobs of the study with their items; made once, since the graph goes through them many times."""
        return tuple((item, self._job(item)) for item in self.items)

    def jobs(self) -> Iterator[Job]:
        """The jobs of the study."""
        return (job for _, job in self.jobs_by_item)

    def job(self, **identity: str) -> Job:
        """The job of one item, also of one that is not in the study.

        Raises:
            ConfigError: the item cannot be completed: an unknown variant, a checkpoint that no profile names.
        """
        for item, job in self.jobs_by_item:
            if identity.items() <= item.items():
                return job
        return self._job(self.complete(**identity))

    def _job(self, item: Item) -> Job:
        places = {name: (text.format(**item) for text in texts) for name, texts in self.inputs.items()}
        inputs = {name: tuple(Path(place) for place in some if place) for name, some in places.items()}
        return Job(
            stage=self.name,
            command=self.command.format(**item),
            item={name: item[name] for name in self.fields},
            inputs=inputs,
            outputs={name: Path(text.format(**item)) for name, text in self.outputs.items()},
            knobs=tuple(knob.format(**item) for knob in self.knobs),
            measured=frozenset(self.measured),
            function=self.function,
            log=Path(self.log.format(**item)),
        )

    def filled(self, item: Item) -> dict[str, tuple[str, ...]]:
        """Templates of those inputs that ``item`` has."""
        return {name: tuple(one for one in texts if one.format(**item)) for name, texts in self.inputs.items()}


def as_wildcards(text: str) -> str:
    """``text`` with its braces as Snakemake's wildcards."""
    return re.sub(r"\{(\w+)\}", r"{wildcards.\1}", text)
