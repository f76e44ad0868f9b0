"""The long fuzzing campaign: every reader, thousands of damaged files, each batch in a process of its own.

    python tests/fuzz/campaign.py --inputs 20000 --output build/fuzz/fuzz.csv        (or `make fuzz`)

A process has a limit of memory, and each input a limit of processor time. What ends in anything but a clear error or an
accepted file is kept beside the table, as a file that `tests/fuzz/test_readers.py` replays once it is in the corpus.
"""

import argparse
import csv
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(Path(__file__).parent)]

import torch  # noqa: E402
from mutations import mutated  # noqa: E402
from targets import TARGETS, Target  # noqa: E402

from intermamba.errors import InterMambaError  # noqa: E402

BATCH = 50
SECONDS = 5.0
"""Processor time of one input; more is a hang."""
MEMORY = 1 << 30
"""Bytes that an input may take beyond what the process held before; more is a fault."""
COLUMNS = (
    "target", "inputs", "clean", "taken", "tracebacks", "nonsense", "hangs", "crashes", "worst_seconds", "worst_mib",
    "longest_message",
)  # fmt: skip


class Hang(BaseException):
    """An input took too long; no reader can mistake it for a malformed file."""


def _too_long(*_: Any) -> None:
    raise Hang


def attempt(target: Target, folder: Path) -> tuple[str, str]:
    """What becomes of reading ``folder``: a kind of outcome, and what was said."""
    try:
        target.read(folder)
    except InterMambaError as error:
        return "clean", str(error)
    except Hang:
        return "hangs", ""
    except Exception as error:
        kind = "nonsense" if type(error).__name__ == "NonsenseError" else "tracebacks"
        return kind, traceback.format_exc()
    return "taken", ""


def batch(target: Target, valid: Path, seed: int, count: int, out: Path) -> None:
    """Read ``count`` damaged copies of the files in ``valid``; a line of JSON for each."""
    signal.signal(signal.SIGPROF, _too_long)
    chance = random.Random(seed)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    damaged = [path for path in sorted(valid.rglob(target.files)) if path.is_file()]
    with tempfile.TemporaryDirectory() as scratch, out.open("a") as lines:
        for number in range(count):
            folder = Path(scratch) / str(number)
            shutil.copytree(valid, folder)
            for path in {chance.choice(damaged) for _ in range(chance.choice((1, 1, 1, 2)))}:
                changed = mutated(path.read_bytes(), path.name, chance)
                (folder / path.relative_to(valid)).write_bytes(changed)
            start = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            outcome, said = attempt(target, folder)
            signal.setitimer(signal.ITIMER_PROF, 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held
            line = {
                "outcome": outcome,
                "seconds": time.process_time() - start,
                "mib": peak / 1024,
                "said": said[-3000:],
            }
            line["length"] = len(said) if outcome == "clean" else 0
            if outcome in ("tracebacks", "nonsense", "hangs"):
                kept = out.parent / "found" / f"{target.name.replace(' ', '-')}-{seed}-{number}"
                shutil.copytree(folder, kept, dirs_exist_ok=True)
                line["kept"] = str(kept)
            lines.write(json.dumps(line) + "\n")
            lines.flush()
            shutil.rmtree(folder)


def campaign(target: Target, inputs: int, seed: int, out: Path) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, 0) | {"target": target.name}
    with tempfile.TemporaryDirectory() as scratch:
        valid = Path(scratch) / "valid"
        valid.mkdir()
        target.write(valid)
        target.read(valid)  # loads what reading needs, and is a check of the target
        done = 0
        while done < inputs:
            count, lines = min(BATCH, inputs - done), out / "lines"
            lines.unlink(missing_ok=True)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    space = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                    resource.setrlimit(resource.RLIMIT_AS, (max(space, pages) + 3 * MEMORY,) * 2)
                    batch(target, valid, seed + done, count, lines)
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            found = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
            for line in found:
                row["inputs"] += 1
                row[line["outcome"]] += 1
                row["worst_seconds"] = max(row["worst_seconds"], round(line["seconds"], 2))
                row["worst_mib"] = max(row["worst_mib"], round(line["mib"]))
                row["longest_message"] = max(row["longest_message"], line["length"])
                if line["outcome"] in ("tracebacks", "nonsense", "hangs"):
                    print(target.name, line["kept"], line["said"][-1200:], flush=True)  # noqa: T201
            if status:  # the input that ended the process has no line
                row["crashes"] += 1
                row["inputs"] += 1
                print(target.name, "batch", seed + done, "ended with", os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
            done += max(1, len(found) + bool(status))
    return row


def commit() -> str:
    """What is checked out."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = " with uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def figures(rows: list[dict[str, Any]], seed: int, of: str) -> str:
    """The figures as a part of a page."""
    names = COLUMNS[:-1]
    total = {name: sum(row[name] for row in rows) for name in names[1:8]}
    found = ", ".join(f"{count:,} {name}" for name, count in total.items() if name != "inputs")
    about = f"seed {seed}, commit {of}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    cells = [names, ("---",) * len(names), *([row[name] for name in names] for row in rows)]
    lines = ["| " + " | ".join(map(str, row)).replace("_", " ") + " |" for row in cells]
    return f"{total['inputs']:,} inputs: {found} ({about}).\n\n" + "\n".join(lines)


def rewrite(page: Path, text: str) -> None:
    """Put ``text`` between the marks of ``page``."""
    begin, end = "<!-- campaign: begin -->\n", "\n<!-- campaign: end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(f"{before}{begin}{text}{end}{rest.partition(end)[2]}", encoding="utf-8")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--inputs", type=int, default=20_000, help="over all targets")
    options.add_argument("--targets", default="", help="names between semicolons; by default all")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--output", type=Path, required=True)
    options.add_argument("--page", type=Path, help="also put the figures between the marks of this page")
    given = options.parse_args()
    of = commit()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    chosen = [TARGETS[name] for name in given.targets.split(";") if name] or list(TARGETS.values())
    each = -(-given.inputs // len(chosen))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for target in chosen:
            start = time.monotonic()
            rows.append(campaign(target, each, given.seed, Path(scratch)))
            print(rows[-1], f"{time.monotonic() - start:.0f} s", flush=True)  # noqa: T201
            found = Path(scratch) / "found"
            if found.exists():
                shutil.copytree(found, given.output.parent / "found", dirs_exist_ok=True)
                shutil.rmtree(found)
            with given.output.open("w", encoding="utf-8", newline="") as file:
                table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
    if given.page:
        rewrite(given.page, figures(rows, given.seed, of))


if __name__ == "__main__":
    main()
