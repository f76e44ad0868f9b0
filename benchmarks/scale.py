"""The cost of the data path over the size of a dataset, up to the official datasets' own sizes.

    python benchmarks/scale.py --output docs/bench/scale.csv [--parts 8 3 1] [--datasets interhuman interx]

Generates datasets of an eighth, a third and the whole of the official number of clips in their owners' formats, in a
temporary working tree, and runs every stage that reads data on them: the checks of ``fetch``, ``preprocess``,
``encode-text``, an epoch of training's loader, an evaluator's training of one epoch, and the evaluation of ground truth
and chance with 20 repeats. Each is a process of its own. A row per size and stage: ``seconds`` of processor time, which
other work on the machine disturbs less than elapsed time, ``memory`` (largest resident set), ``read`` and ``written``
(bytes of the files that the stage reads and writes).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from intermamba import files
from intermamba.config import Config, Dataset, load
from intermamba.data.dataset import ClipDataset, loader
from intermamba.data.splits import SplitFile
from intermamba.paths import path
from intermamba.provenance import recorded
from workflow.graph.stages import job

CLIPS: dict[Dataset, int] = {"interhuman": 7779, "interx": 11388}
"""Clips of the official datasets, all splits [InterHuman, Inter-X]."""
SHARES = {"train": 0.78, "val": 0.08, "test": 0.14}
"""Of the clips; about the official splits'."""
SECONDS = {"interhuman": [1.0, 5.0], "interx": [1.5, 5.0]}
"""Lengths; InterHuman's clips take three on average, and Inter-X's are cut to five."""
STAGES = ("fetch", "preprocess", "encode-text", "epoch", "train-evaluator", "evaluate-reference")
PROFILE = "scale"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--parts", type=int, nargs="+", default=[8, 3, 1], help="a size is the official one over it")
    arguments.add_argument("--datasets", nargs="+", default=list(CLIPS), choices=list(CLIPS))
    arguments.add_argument("--epoch", choices=list(CLIPS), help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.epoch:
        epoch(load(PROFILE), asked.epoch)
        return
    sizes = {dataset: [CLIPS[dataset] // part for part in asked.parts] for dataset in asked.datasets}
    with recorded("scale", [asked.output], config={"clips": sizes, "shares": SHARES, "seconds": SECONDS}):
        rows = [row for dataset, counts in sizes.items() for clips in counts for row in measure(dataset, clips)]
        files.write_csv(asked.output, pd.DataFrame(rows))


def measure(dataset: Dataset, clips: int) -> Iterator[dict[str, Any]]:
    """A row per stage."""
    with tempfile.TemporaryDirectory() as folder:
        write_parameters(Path(folder, "params.yaml"), dataset, clips)
        for stage in STAGES:
            words = ["-m", "workflow.cli", stage, "--profile", PROFILE, "--dataset", dataset]
            if stage == "epoch":
                words = [__file__, "--output", "-", "--epoch", dataset]
            seconds, memory = spent([sys.executable, *words], folder)
            with chdir(folder):
                read, written = volumes(load(PROFILE), stage, dataset)
            cost = {"seconds": seconds, "memory": memory, "read": read, "written": written}
            yield {"dataset": dataset, "clips": clips, "stage": stage, **cost}


def write_parameters(file: Path, dataset: Dataset, clips: int) -> None:
    """``params.yaml`` with the profile ``study`` at another size, under a name of its own."""
    known = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    profile = known["profiles"]["study"]
    counts = {split: int(clips * share) for split, share in SHARES.items()}
    counts["train"] += clips - sum(counts.values())
    frames = known["base"]["datasets"][dataset]["max_frames"]
    profile["datasets"] = {dataset: {"synthetic": {**counts, "seconds": SECONDS[dataset]}, "max_frames": frames}}
    profile["evaluator"]["training"][dataset]["epochs"] = 1
    files.write_text(file, yaml.safe_dump({**known, "profiles": {PROFILE: profile}, "profile": PROFILE}))


def spent(words: list[str], folder: str) -> tuple[float, int]:
    """Processor seconds and largest resident bytes of a command."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(words)} failed:\n{said[-2000:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def volumes(config: Config, stage: str, dataset: Dataset) -> tuple[int, int]:
    """Bytes of the files that a stage reads and writes."""
    if stage == "epoch":
        return path("split", profile=PROFILE, dataset=dataset, split="train").stat().st_size, 0
    one = job(config, stage, dataset=dataset)
    raw = sum(file.stat().st_size for file in Path("data", PROFILE, "raw").rglob("*") if file.is_file())
    read = sum(file.stat().st_size for file in one.reads if file.is_file())
    written = sum(file.stat().st_size for file in one.writes if file.is_file())
    return read + raw * (stage == "preprocess"), written + raw * (stage == "fetch")


def epoch(config: Config, dataset: Dataset) -> None:
    """Every clip of the training split once, as a training without worker processes reads it."""
    settings, split = (
        config.datasets[dataset],
        SplitFile(path("split", profile=PROFILE, dataset=dataset, split="train")),
    )
    clips = ClipDataset(split, settings, mode="train", seed=0)
    for batch in loader(clips, config.training.batch, settings.max_frames, shuffle=True, drop_last=True):
        assert np.isfinite(batch.motion[0, 0, 0, 0])


if __name__ == "__main__":
    main()
