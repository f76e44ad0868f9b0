"""Copy finished results into ``docs`` and the README: ``python -m workflow.publish [WHAT]``.

``smoke`` publishes a whole run of that profile, ``paper`` the measurements at the paper's sizes, which need no data,
``bench`` those of ``intermamba bench --profile smoke``, and ``gpu`` those of ``make gpu``. ``study`` copies nothing:
the results of the committed profile are where the pipeline writes them. ``demo`` puts one of its trainings into the
package. A test compares the README with all of them.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from intermamba import files
from intermamba.config import load
from intermamba.errors import ConfigError, InterMambaError, StateError, unknown
from intermamba.paths import RECORD, path, record_of
from workflow.publish import demo, gpu, paper_size, readme, run_time, speed
from workflow.tables import TABLES


def publish(what: str) -> None:
    """Copy the results called ``what`` and regenerate the README.

    Raises:
        ConfigError: unknown name.
        StateError: results that have not been made.
    """
    if what == "smoke":
        papers = [name for name, one in TABLES.items() if one.in_paper]
        sources = [path("table", profile="smoke", table=name, format="md") for name in papers]
        sources += [path("summary", profile="smoke"), record_of(path("metrics", profile="smoke"))]
        facts, stages = readme.facts(load("smoke")), run_time.measured(load("smoke"))
        _copy(sources, readme.SMOKE, "tables")
        files.write_json(readme.SMOKE / readme.RUN, facts)
        files.write_csv(readme.SMOKE / run_time.STAGES, stages)
    elif what == "paper":
        for main, others in paper_size.MEASURED.items():
            if record_of(main).exists() or main == paper_size.COUNTS:
                stage = f"{main.stem} --profile paper"
                measured = [*_recorded(main, stage), record_of(main)]
                for stale in (main, *others):
                    (paper_size.FOLDER / stale.name).unlink(missing_ok=True)
                _copy(measured, paper_size.FOLDER, stage)
    elif what == "bench":
        main = path("bench", profile="smoke", table=speed.TABLES[0], format="csv")
        _copy([*_recorded(main, "bench --profile smoke"), record_of(main)], speed.FOLDER, "bench")
    elif what == "gpu":
        mains = [gpu.MEASURED / name for name in gpu.MAINS]
        measured = [one for main in mains for one in (*_recorded(main, "make gpu"), record_of(main))]
        _copy(measured, gpu.FOLDER, "make gpu")
    elif what == "demo":
        demo.publish()
    elif what != "study":
        raise ConfigError(
            unknown("results", what, ("smoke", "paper", "bench", "gpu", "study", "demo"), "workflow.publish")
        )
    readme.write()


def _recorded(main: Path, stage: str) -> list[Path]:
    """The files of the run that ``main``'s record describes.

    Raises:
        StateError: there is no such run, or a later, unfinished one changed them.
    """
    outputs = files.read_json(files.require(record_of(main), stage))["outputs"]
    for name, digest in outputs.items():
        if files.sha256(files.require(name, stage)) != digest:
            raise StateError(
                f"{name}: not what its record describes. Run `intermamba {stage}` again and let it finish."
            )
    return [Path(name) for name in outputs]


def _copy(sources: Sequence[Path], folder: Path, stage: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.name.endswith(RECORD):
            record = files.read_json(files.require(source, stage))
            files.write_json(folder / source.name, record | {"command": _without_places(record["command"])})
        else:
            files.copy(files.require(source, stage), folder / source.name)


def _without_places(command: str) -> str:
    """A command for publication: absolute paths are reduced to their last part."""
    return shlex.join(Path(word).name if Path(word).is_absolute() else word for word in shlex.split(command))


def main() -> None:
    """The command."""
    try:
        publish(*sys.argv[1:] or ["smoke"])
    except InterMambaError as error:
        raise SystemExit(f"error: {error}") from None
