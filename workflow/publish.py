"""Copy a finished smoke run into ``docs/smoke`` and its tables into the README: ``python -m workflow.publish``.

Results themselves are never committed where the pipeline writes them, since a fresh clone would take them for its own.
A test holds the README against the copies, so that no number in it is typed by hand.
"""

import re
import shutil
from pathlib import Path

from intermamba import files
from intermamba.errors import StateError
from intermamba.paths import path, record_of

COPIES = Path("docs/smoke")
BEGIN, END = "<!-- smoke: begin -->\n", "<!-- smoke: end -->\n"
SHOWN = (1, 2, 4, 5)
"""Tables whose reproduced block the README shows; Table 3's timings are the machine's."""


def own_block(table: str) -> str:
    """Heading and rows of this run's block of a Markdown table."""
    title = re.search(r"\*\*Table \d\.\*\* (.*?)\n", table)
    block = re.search(r"\*\*This run, profile smoke\*\*<br>(.*?)\n\n((?:\|.*\n)+)", table)
    if title is None or block is None:
        raise StateError("a smoke table without a block of this run; make the tables again")
    return f"{title[0].strip()} {block[1][0].upper()}{block[1][1:]}.\n\n{block[2]}\n"


def readme(text: str, folder: Path = COPIES) -> str:
    """The README with its smoke tables taken from ``folder``."""
    tables = "".join(own_block((folder / f"table{number}.md").read_text(encoding="utf-8")) for number in SHOWN)
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{tables}{END}{after}"


def main() -> None:
    """Publish ``results/smoke``."""
    sources = [path("table", profile="smoke", number=number, format="md") for number in range(1, 6)]
    sources += [path("figure", profile="smoke", number=8, format="png"), path("summary", profile="smoke")]
    sources += [record_of(path("metrics", profile="smoke"))]
    COPIES.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(files.require(source, "tables"), COPIES / source.name)
    files.write_text("README.md", readme(Path("README.md").read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
