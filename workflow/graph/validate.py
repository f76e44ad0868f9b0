"""Stage-independent check: knobs, rows, and every artefact present against its provenance record.

It answers a reviewer's first question, whether the files on disk are the ones their records describe, and says which
artefacts came from another code revision or a dirty tree.
"""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evaluators.protocol import load as load_protocol
from intermamba import files
from intermamba.config import Config
from intermamba.errors import ConfigError, DataError, unknown
from intermamba.models import variants
from intermamba.names import revision_name
from intermamba.paths import COMMITTED, committed, record_of
from workflow.graph.stages import Stage, table


def run(config: Config) -> None:
    """Print one line a stage; fail if a row is unknown or an artefact does not match its record.

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

    shown = Table(
        "stage", "done", "code revision", "data and weights", title=f"profile {config.profile}", title_justify="left"
    )
    wrong: list[str] = []
    finished: list[Stage] = []
    for stage in table(config).values():
        if not (jobs := list(stage.jobs())):
            continue
        done = [job for job in jobs if record_of(job.results[0]).exists()]
        records = [files.read_json(record_of(job.results[0])) for job in done]
        wrong += [problem for job in done for problem in _problems(job)]
        finished += done
        notes = {
            f"{key}={record['notes'][key]}"
            for record in records
            for key in ("origin", "skeleton", "tower")
            if record["notes"].get(key)
        }
        shown.add_row(
            stage.name,
            f"{len(records)}/{len(jobs)}",
            ", ".join(sorted(map(revision_name, records))[-1:]),
            ", ".join(sorted(notes)),
        )
    Console().print(shown)
    if absent := sum(not Path(path).exists() and _left_out(path, job) for job in finished for path in job.outputs):
        Console().print(f"{absent} files of data and weights are not part of the repository and not here.")
    if wrong:
        raise DataError("artefacts that are not what their records say:\n  " + "\n  ".join(wrong))


def _problems(job: Stage) -> Iterator[str]:
    """Files of a finished job that are gone or changed since its record was written."""
    for path, digest in files.read_json(record_of(job.results[0]))["outputs"].items():
        if not Path(path).exists():
            if not _left_out(path, job):
                yield f"{path}: recorded by `{job.command}`, but gone; run it again"
        elif files.sha256(path) != digest:
            yield f"{path}: changed after `{job.command}` wrote it; delete it and run the stage again"


def _left_out(path: str, job: Stage) -> bool:
    """Whether a file of the committed profile is not committed itself."""
    return job.profile == COMMITTED and not committed(path)
