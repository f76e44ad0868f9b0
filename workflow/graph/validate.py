"""Stage-independent check: knobs, rows, and every artefact present against its provenance record.

It checks whether the files on disk are those that their records describe, and shows which artefacts come from another
code revision or a dirty tree.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evaluators.protocol import load as load_protocol
from intermamba import files, provenance
from intermamba.config import Config
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.job import Job
from intermamba.models import variants
from intermamba.names import revision_name
from intermamba.paths import COMMITTED, committed
from workflow.graph.stages import table


def run(config: Config) -> None:
    """Print one line per stage; fail if a row is unknown or an artefact does not match its record.

    Raises:
        ConfigError: an unknown variant in ``runs`` or an unknown protocol.
        DataError: files that changed after their stage wrote them, all named.
    """
    known = variants()
    for dataset, variant, _ in config.rows():
        if variant not in known:
            raise ConfigError(unknown("variant", variant, known, f"runs.{dataset} of profile {config.profile!r}"))
    for name in config.protocol.values():
        load_protocol(name)

    overview = Table(
        "stage", "done", "code revision", "data and weights", title=f"profile {config.profile}", title_justify="left"
    )
    sha256 = cache(files.sha256)  # the output of one job is the input of others
    wrong: list[str] = []
    finished: list[Job] = []
    for stage in table(config).values():
        if not (jobs := list(stage.jobs())):
            continue
        done, records = [], []
        for job in (job for job in jobs if job.record.exists()):
            try:
                record = provenance.read(job.record)
            except DataError as error:
                wrong.append(f"{error} Delete it and run `{job.command}` again")
                continue
            done.append(job)
            records.append(record)
            wrong += problems(job, record, sha256)
        finished += done
        notes = {
            f"{key}={record['notes'][key]}"
            for record in records
            for key in ("origin", "skeleton", "tower")
            if record["notes"].get(key)
        }
        overview.add_row(
            stage.name,
            f"{len(records)}/{len(jobs)}",
            ", ".join(dict.fromkeys(map(revision_name, records))),
            ", ".join(sorted(notes)),
        )
    Console().print(overview)
    if absent := sum(not path.exists() and _left_out(path) for job in finished for path in job.writes):
        Console().print(f"{absent} files of data and weights are absent: they are not part of the repository.")
    if wrong:
        raise DataError("artefacts that differ from their records:\n  " + "\n  ".join(wrong))


def problems(job: Job, record: Mapping[str, Any], sha256: Callable[[str], str]) -> Iterator[str]:
    """Outputs and inputs of a finished job that are missing, or changed since its record was written."""
    gone = {
        "outputs": f"recorded by `{job.command}`, but missing; run it again",
        "inputs": f"read by `{job.command}`, but missing",
    }
    changed = {
        "outputs": f"changed after `{job.command}` wrote it; delete it and run the stage again",
        "inputs": f"changed after `{job.command}` read it; run the stage again",
    }
    for kind in gone:
        for path, digest in record[kind].items():
            if not Path(path).exists():
                if not _left_out(path):
                    yield f"{path}: {gone[kind]}"
            elif sha256(path) != digest:
                yield f"{path}: {changed[kind]}"


def _left_out(path: str | Path) -> bool:
    """Whether a file belongs to the committed profile without being committed itself."""
    parts = Path(path).parts
    return parts[:2] in (("data", COMMITTED), ("results", COMMITTED)) and not committed(path)
