"""The stage run that made a file: the records of all stages, indexed by their outputs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from intermamba import files
from intermamba.config import Config
from intermamba.names import revision_name
from workflow.graph.stage import Stage
from workflow.graph.stages import table


@dataclass(frozen=True)
class Lineage:
    """The records of a profile's stages."""

    records: Mapping[str, Mapping[str, Any]]
    """Contents of each record, by its path, upstream stages first."""
    made: Mapping[str, str]
    """Path of the record of every file that a stage wrote."""

    @classmethod
    def of(cls, stages: Iterable[Stage]) -> "Lineage":
        """Read the records of ``stages``.

        Raises:
            StateError: a stage has not run.
        """
        records: dict[str, Mapping[str, Any]] = {}
        made: dict[str, str] = {}
        for stage in stages:
            for job in stage.jobs():
                record = str(job.record)
                records[record] = files.read_json(files.require(record, job.command.removeprefix("intermamba ")))
                made |= dict.fromkeys(map(str, job.outputs.values()), record)
        return cls(records, made)

    @classmethod
    def of_run(cls, config: Config) -> "Lineage":
        """All records of a finished run, but that of the report, which shows the others.

        Raises:
            StateError: a stage has not run.
        """
        return cls.of(one for name, one in table(config).items() if name != "report")

    @property
    def revisions(self) -> list[str]:
        """Code revisions (:func:`revision_name`)."""
        return sorted({revision_name(record) for record in self.records.values()})

    @property
    def devices(self) -> list[str]:
        """Devices that stages ran on."""
        return sorted({str(record["device"]) for record in self.records.values()})

    @property
    def seconds(self) -> float:
        """Wall time of all stage runs together."""
        return float(sum(record["wall_seconds"] for record in self.records.values()))
