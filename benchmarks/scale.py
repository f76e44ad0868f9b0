"""The cost of the data path over the size of a dataset, up to the official datasets' own sizes.

    python benchmarks/scale.py --folder WORK --output docs/bench/scale.csv [--datasets interhuman interx]

Generates datasets in their owners' formats, as large as the official ones, and smaller ones of their clips, and runs
every stage that reads data on them, each as a process of its own: ``fetch`` (which checks a folder), ``preprocess``,
``encode-text``, an epoch of training's loader, and the evaluation of ground truth and chance with 20 repeats. The
evaluator is trained for an epoch on the smallest dataset. WORK keeps the datasets and what was measured, so that a
stopped run goes on where it was; measurements of other code are refused. The stages that read motions alone also run
on ten times InterHuman's clips: every clip by ten names. A row per dataset and stage:

- ``seconds``: processor time, which other work on the machine disturbs less than elapsed time (``wall``).
- ``held``: the most memory at once, in bytes, that is not of mapped files, looked at every :data:`LOOKS` seconds.
- ``resident``: the same with the mapped files, which the system drops when it needs room.
- ``read``, ``written``: bytes of the files that the stage reads and writes.

The stage ``disk`` reads the training split from the disk, not from memory: its rate gives the floor of all others.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from intermamba import datasets, files
from intermamba.config import Config, Dataset, load
from intermamba.cost.official import CLIPS
from intermamba.data import manifest as manifests
from intermamba.data.dataset import ClipDataset, loader
from intermamba.data.splits import SplitFile
from intermamba.paths import SPLITS, path
from intermamba.provenance import code_revision, recorded
from workflow.graph.stages import job
from workflow.publish.scale import RENAMED, SHARES

SECONDS = {
    "interhuman": {"usual": (1.0, 5.0), "short": (1.0, 1.6)},
    "interx": {"usual": (1.5, 5.0), "short": (1.5, 1.8)},
}
"""Lengths; InterHuman's clips take three on average, and Inter-X's are cut to five."""
PARTS = {"usual": (6, 3, 1), "short": (1,)}
"""One in so many of the generated clips of a length is used; a sixth has just enough test clips for the protocols."""
SHORT = 4
"""Short clips are generated for one in so many of the official number of clips."""
NAMES = 10
"""Names of every clip in the largest dataset."""
READING = ("fetch", "preprocess", "disk", "epoch")
STAGES = {
    "usual": (*READING, "encode-text", "evaluate-reference"),
    RENAMED: READING,
    "short": READING,  # the others' costs hardly depend on the length of clips
}
PROFILE = "scale"
LOOKS = 0.01


class Case(NamedTuple):
    """A dataset: every ``part``-th of the generated clips of a length, by so many ``names``."""

    dataset: Dataset
    lengths: str
    part: int
    names: int = 1

    @property
    def kind(self) -> str:
        return RENAMED if self.names > 1 else self.lengths

    @property
    def name(self) -> str:
        return f"{self.dataset}-{self.kind}-{self.part}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="datasets and measurements; kept")
    parser.add_argument("--datasets", nargs="+", default=list(CLIPS), choices=list(CLIPS))
    parser.add_argument("--stages", nargs="+", default=STAGES["usual"], choices=STAGES["usual"])
    parser.add_argument("--minutes", type=float, help="begin no stage after so many; run the same command again")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    cases = [Case(dataset, lengths, part) for dataset in asked.datasets for lengths in PARTS for part in PARTS[lengths]]
    if "interhuman" in asked.datasets:
        cases.append(Case("interhuman", "usual", 1, NAMES))
    config = {"clips": CLIPS, "shares": SHARES, "seconds": SECONDS, "parts": PARTS, "short": SHORT, "names": NAMES}
    deadline = time.monotonic() + 60 * (asked.minutes or math.inf)
    with recorded("scale", [asked.output], config=config):
        rows = [row for case in cases for row in measure(case, asked.stages, asked.folder.resolve(), deadline)]
        files.write_csv(asked.output, pd.DataFrame(rows))


def measure(case: Case, stages: Sequence[str], folder: Path, deadline: float) -> list[dict[str, Any]]:
    """A row per stage.

    Raises:
        SystemExit: the ``deadline`` has passed.
    """
    raw = generated(case.dataset, case.lengths, folder)
    tree = folder / case.name
    if not (tree / "raw").exists():
        shutil.rmtree(part := tree / "raw.part", ignore_errors=True)
        rename(raw, part, case.names) if case.names > 1 else select(raw, part, case.part)
        part.rename(tree / "raw")
    write_parameters(tree / "params.yaml", case.dataset)
    rows = []
    with chdir(tree):
        config = load(PROFILE)
        for stage in (one for one in STAGES[case.kind] if one in stages):
            if time.monotonic() > deadline and not Path(f"{stage}.json").exists():
                raise SystemExit(f"{case.name}: stopped before {stage}. Run the same command again.")
            if stage == "evaluate-reference":
                bring_evaluator(config, case, folder)
            cost = once(tree / f"{stage}.json", lambda stage=stage: run(stage, config, case.dataset))
            rows.append({"dataset": case.dataset, "lengths": case.kind, "stage": stage, **cost})
        split = {name: SplitFile(path("split", profile=PROFILE, dataset=case.dataset, split=name)) for name in SPLITS}
    size = {
        "clips": sum(map(len, split.values())),
        "training_clips": len(split["train"]),
        "test_clips": len(split["test"]),
        "frames": sum(one.frames(clip) for one in split.values() for clip in range(len(one))),
    }
    return [{**row, **size} for row in rows]


def once(place: Path, work: Any) -> dict[str, Any]:
    """What ``work`` gives, kept in ``place``.

    Raises:
        SystemExit: it is from other code.
    """
    code = code_revision_of_project()
    if place.exists():
        known = files.read_json(place)
        if known.pop("code") != code:
            raise SystemExit(f"{place}: measured with other code. Choose a new --folder, or delete the measurements.")
        return dict(known)
    found: dict[str, Any] = work()
    files.write_json(place, {**found, "code": code})
    return found


def code_revision_of_project() -> dict[str, Any]:
    with chdir(Path(__file__).parents[1]):
        return code_revision()


def generated(dataset: Dataset, lengths: str, folder: Path) -> Path:
    """The raw files of all clips of a length, in their owners' layout."""
    root = folder / "generated" / f"{dataset}-{lengths}"
    if not root.exists():
        clips = CLIPS[dataset] // (SHORT if lengths == "short" else 1)
        counts = {split: int(clips * share) for split, share in SHARES.items()}
        counts["train"] += clips - sum(counts.values())
        root.parent.mkdir(exist_ok=True)
        write = datasets.dataset(dataset).load("synthetic")
        write(root, *counts.values(), SECONDS[dataset][lengths], 1)
    return root


def select(source: Path, target: Path, part: int) -> None:
    """A folder with the files of ``source`` and with every ``part``-th clip in its lists."""
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name not in ("split", "splits"):
            (target / entry.name).symlink_to(entry)
            continue
        (target / entry.name).mkdir()
        for listed in entry.iterdir():
            clips = listed.read_text(encoding="utf-8").splitlines()
            chosen = clips if listed.stem == "ignore_list" else clips[::part]
            files.write_text(target / entry.name / listed.name, "".join(f"{clip}\n" for clip in chosen))


def rename(source: Path, target: Path, names: int) -> None:
    """A folder in which every clip of InterHuman's layout has ``names`` names, of links to its files."""
    for file in (one for one in source.rglob("*") if one.is_file()):
        folder = target / file.parent.relative_to(source)
        folder.mkdir(parents=True, exist_ok=True)
        if folder.name == "split":
            clips = file.read_text(encoding="utf-8").splitlines()
            files.write_text(folder / file.name, "".join(f"{clip}{name}\n" for clip in clips for name in range(names)))
        elif folder == target:
            (folder / file.name).symlink_to(file)
        else:
            for name in range(names):
                (folder / f"{file.stem}{name}{file.suffix}").hardlink_to(file)


def write_parameters(place: Path, dataset: Dataset) -> None:
    """``params.yaml`` with the profile ``study-cpu``, renamed, on the folder ``raw`` and with the paper's frames."""
    known = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))
    profile = known["profiles"]["study-cpu"]
    profile["datasets"] = {dataset: {"source": "raw", "max_frames": known["base"]["datasets"][dataset]["max_frames"]}}
    profile["evaluator"]["training"][dataset]["epochs"] = 1
    files.write_text(place, yaml.safe_dump({**known, "profiles": {PROFILE: profile}, "profile": PROFILE}))


def bring_evaluator(config: Config, case: Case, folder: Path) -> None:
    """Copy the evaluator of the smallest dataset, which is trained there first."""
    smallest = folder / Case(case.dataset, "usual", max(PARTS["usual"])).name
    weights = job(config, "train-evaluator", dataset=case.dataset)["evaluator"]
    if not (smallest / weights).exists():
        spent(command("train-evaluator", case.dataset))
    if not weights.exists():
        weights.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(smallest / weights, weights)


def command(stage: str, dataset: Dataset) -> list[str]:
    return [sys.executable, "-m", "workflow.cli", stage, "--profile", PROFILE, "--dataset", dataset]


def run(stage: str, config: Config, dataset: Dataset) -> dict[str, Any]:
    """The cost of a stage."""
    training = path("split", profile=PROFILE, dataset=dataset, split="train")
    if stage == "disk":
        return read_from_disk(training)
    if stage == "epoch":
        return spent([sys.executable, __file__, PROFILE, dataset]) | {"read": training.stat().st_size, "written": 0}
    cost, one = spent(command(stage, dataset)), job(config, stage, dataset=dataset)
    read = sum(file.stat().st_size for file in one.reads if file.is_file())
    if stage in ("fetch", "preprocess"):
        read += sum(
            entry.bytes for entry in manifests.read(path("manifest", profile=PROFILE, dataset=dataset)).files.values()
        )
    return cost | {"read": read, "written": sum(file.stat().st_size for file in one.writes if file.is_file())}


def spent(words: list[str]) -> dict[str, Any]:
    """Processor and elapsed seconds and memory of a command."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    start = time.perf_counter()
    with Path("said.txt").open("wb") as said:
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        held = 0
        while True:
            held = max(held, held_memory(process.pid))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(LOOKS)
    if status:
        raise RuntimeError(f"{' '.join(words)} failed:\n{Path('said.txt').read_text(encoding='utf-8')[-2000:]}")
    seconds = used.ru_utime + used.ru_stime
    wall = time.perf_counter() - start
    return {"seconds": seconds, "wall": wall, "held": held, "resident": used.ru_maxrss * 1024}


def held_memory(process: int) -> int:
    """Resident bytes of a process that belong to no file."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
    return sum(sizes)


def read_from_disk(file: Path) -> dict[str, Any]:
    """Read ``file``, of which the system has dropped all that it held in memory."""
    size = file.stat().st_size
    with file.open("rb", buffering=0) as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        block, start, seconds = bytearray(1 << 22), time.perf_counter(), time.process_time()
        while opened.readinto(block):
            pass
        wall, seconds = time.perf_counter() - start, time.process_time() - seconds
    return {"seconds": seconds, "wall": wall, "held": 0, "resident": 0, "read": size, "written": 0}


def epoch(dataset: Dataset) -> None:
    """Every clip of the training split once, as a training without worker processes reads it."""
    config = load(PROFILE)
    settings = config.datasets[dataset]
    split = SplitFile(path("split", profile=PROFILE, dataset=dataset, split="train"))
    clips = ClipDataset(split, settings, mode="train", seed=0)
    for batch in loader(clips, config.training.batch, settings.max_frames, shuffle=True, drop_last=True):
        assert batch.motion.isfinite().all()


if __name__ == "__main__":
    if sys.argv[1:2] == [PROFILE]:
        epoch(sys.argv[2])
    else:
        main()
