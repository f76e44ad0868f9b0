"""Copy finished results into ``docs`` and the README: ``python -m workflow.publish [smoke|paper|bench]``.

``smoke`` publishes a whole run of that profile, ``paper`` what was measured at the paper's sizes without data, and
``bench`` what ``intermamba bench --profile smoke`` measured. Results themselves are never committed where the pipeline
writes them: a fresh clone would take them for its own, and DVC refuses outputs that Git tracks. A test holds the README
against the copies, so that no number in it is typed by hand.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from intermamba import files
from intermamba.errors import ConfigError, StateError, unknown
from intermamba.models import variants
from intermamba.paths import RECORD, path, record_of
from workflow import paper_size, speed

SMOKE = Path("docs/smoke")
FIGURES = {2: "Quality over time of sampling", 7: "Motions", 8: "Adaptive weights over training"}
SHOWN = (1, 2, 4, 5)
"""Tables whose reproduced block the README shows; Table 3's timings are the machine's."""


def own_block(table: str) -> str:
    """Heading and rows of this run's block of a Markdown table."""
    title = re.search(r"\*\*Table \d\.\*\* (.*?)\n", table)
    block = re.search(r"\*\*This run, profile smoke\*\*<br>(.*?)\n\n((?:\|.*\n)+)", table)
    if title is None or block is None:
        raise StateError("a smoke table without a block of this run; make the tables again")
    return f"{title[0].strip()} {block[1][0].upper()}{block[1][1:]}.\n\n{block[2]}\n"


def readme(text: str, root: Path = Path()) -> str:
    """The README with its tables and figures taken from the copies under ``root``."""
    tables = [own_block((root / SMOKE / f"table{number}.md").read_text(encoding="utf-8")) for number in SHOWN]
    shown = {SMOKE / f"figure{number}.png": caption for number, caption in FIGURES.items()}
    figures = [f"![{caption}]({file})\n\n" for file, caption in shown.items() if (root / file).exists()]
    text = _between(text, "smoke", "".join(tables + figures))
    text = _between(text, "paper size", paper_size.render(variants(), root))
    return _between(text, "bench", speed.summary(root))


def _between(text: str, name: str, content: str) -> str:
    """``text`` with what stands between the marks called ``name`` replaced."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{content}{end}{after}"


def publish(what: str) -> None:
    """Copy the results called ``what`` and write the README again.

    Raises:
        ConfigError: unknown name.
        StateError: results that have not been made.
    """
    if what == "smoke":
        sources = [path("table", profile="smoke", number=number, format="md") for number in range(1, 6)]
        sources += [path("own_table", profile="smoke", table="sensitivity", format="md")]
        sources += [path("figure", profile="smoke", number=number, format="png") for number in FIGURES]
        sources += [path("summary", profile="smoke"), record_of(path("metrics", profile="smoke"))]
        _copy(sources, SMOKE, "tables")
    elif what == "paper":
        for main, others in paper_size.MEASURED.items():
            if record_of(main).exists() or main == paper_size.COUNTS:
                for stale in (main, *others):
                    (paper_size.FOLDER / stale.name).unlink(missing_ok=True)
                stage = f"{main.stem} --profile paper"
                _copy([*_recorded(main, stage), record_of(main)], paper_size.FOLDER, stage)
    elif what == "bench":
        main = path("bench", profile="smoke", table=speed.TABLES[0], format="csv")
        shown = [main.with_name(name) for name in ("bench.md", "scan.png", "growth.png")]
        _copy([*_recorded(main, "bench --profile smoke"), *shown, record_of(main)], speed.FOLDER, "bench")
    else:
        raise ConfigError(unknown("results", what, ("smoke", "paper", "bench"), "workflow.publish"))
    files.write_text("README.md", readme(Path("README.md").read_text(encoding="utf-8")))


def _recorded(main: Path, stage: str) -> list[Path]:
    """The files of the run that ``main``'s record is about.

    Raises:
        StateError: there is no such run, or a later one that did not end changed them.
    """
    outputs = files.read_json(files.require(record_of(main), stage))["outputs"]
    for name, digest in outputs.items():
        if files.sha256(files.require(name, stage)) != digest:
            raise StateError(f"{name}: not what its record describes. Run `intermamba {stage}` again, to its end.")
    return [Path(name) for name in outputs]


def _copy(sources: Sequence[Path], folder: Path, stage: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.name.endswith(RECORD):
            record = files.read_json(files.require(source, stage))
            files.write_json(folder / source.name, record | {"command": _without_places(record["command"])})
        else:
            shutil.copyfile(files.require(source, stage), folder / source.name)


def _without_places(command: str) -> str:
    """A command for the public: of a place on the machine it ran on, only the last name."""
    return shlex.join(Path(word).name if Path(word).is_absolute() else word for word in shlex.split(command))


if __name__ == "__main__":
    publish(*sys.argv[1:] or ["smoke"])
