"""What the checks of reading cost: clips in the owners' layouts, read with and without them, in turn.

    python benchmarks/reading.py --output docs/bench/reading.csv

Clips have the sizes of real ones. The side without checks reads the same files with NumPy alone and makes the same
clips of them. Both sides read a clip one after the other, in changing order, so that a busy machine slows both; times
are the processor's. Preparing is what ``preprocess`` does with a clip besides: its features, for the statistics.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from intermamba import files
from intermamba.config import load
from intermamba.data import interhuman, interx
from intermamba.data.layouts import layout
from intermamba.data.preprocess import interhuman_frames, interx_frames
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.data.synthetic.interhuman import write_interhuman
from intermamba.data.synthetic.interx import write_interx
from intermamba.provenance import recorded
from intermamba.reading.arrays import parsed_header

CLIPS = 24
SECONDS = (6.0, 10.0)
"""InterHuman's clips last 7.8 s on average, Inter-X's about as long."""


def plain_interhuman(root: Path, clip: str) -> Clip:
    """A clip of InterHuman, nothing checked."""
    places = [root / "motions_processed" / person / f"{clip}.npy" for person in interhuman.PERSONS]
    raw = [interhuman.raw_columns(np.load(place)) for place in places]
    return Clip(clip, np.stack(raw, axis=1), plain_captions(root / "annots" / f"{clip}.txt"))


def plain_interx(root: Path, clip: str) -> Clip:
    """A clip of Inter-X, nothing checked."""
    persons = []
    for person in ("P1", "P2"):
        with np.load(root / "motions" / clip / f"{person}.npz") as archive:
            arrays = {key: archive[key][:: interx.STEP] for key in interx.POSES}
        persons.append(interx.person_pose(**arrays))
    captions, words = [], []
    for line in (root / "texts_processed" / f"{clip}.txt").read_text(encoding="utf-8").splitlines():
        caption, tagged, *_ = line.split("#")
        captions.append(caption)
        words.append(tuple(tagged.split()))
    return Clip(clip, interx.pair(*persons), tuple(captions), tuple(words))


def plain_captions(path: Path) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, path.read_text(encoding="utf-8").splitlines())))


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(dataset: str, root: Path, repeats: int) -> pd.DataFrame:
    """Seconds of each clip and repeat: both sides of reading, and preparing."""
    settings = load("paper").datasets[dataset].model_copy(update={"source": str(root), "individual": False})
    write, plain, frames = {
        "interhuman": (write_interhuman, plain_interhuman, interhuman_frames),
        "interx": (write_interx, plain_interx, interx_frames),
    }[dataset]
    write(root, CLIPS, 1, 1, SECONDS, 0)
    place = layout(dataset, root, settings)
    clips = place.split_file("train").read_text(encoding="utf-8").split()
    held = root.with_name(f"{dataset}.safetensors")
    write_split(held, map(place.read, clips), dataset=dataset, split="train", origin="synthetic")
    split = SplitFile(held)
    rows = []
    for repeat in range(-1, repeats):  # the first reads files into memory and compiles loops
        for index, clip in enumerate(clips):
            sides = {"checked": lambda clip=clip: place.read(clip), "plain": lambda clip=clip: plain(root, clip)}
            parsed_header.cache_clear()  # a clip is read once; another one has another header
            order = list(sides) if (repeat + index) % 2 else list(sides)[::-1]
            seconds = {side: timed(sides[side]) for side in order}
            seconds["preparing"] = timed(lambda index=index: list(frames(split, index, settings)))
            if repeat >= 0:
                rows.append({"dataset": dataset, "clip": clip, "repeat": repeat, **seconds})
        if repeat < 0 and not all(same(place.read(clip), plain(root, clip)) for clip in clips):
            raise SystemExit("both sides must read the same")
    return pd.DataFrame(rows)


def same(one: Clip, other: Clip) -> bool:
    return np.array_equal(one.motion, other.motion) and (one.captions, one.tokens) == (other.captions, other.tokens)


def summary(measured: pd.DataFrame) -> pd.DataFrame:
    """Median milliseconds of a clip, and what checks add to reading, and to reading and preparing, in percent."""
    sides = ["checked", "plain", "preparing"]
    best = measured.groupby(["dataset", "clip"])[sides].median()
    rows = (1000 * best.groupby("dataset")[sides].mean()).rename(columns=lambda name: f"{name}_ms")
    added = rows["checked_ms"] - rows["plain_ms"]
    rows["of_reading"] = 100 * added / rows["plain_ms"]
    rows["of_all"] = 100 * added / (rows["plain_ms"] + rows["preparing_ms"])
    return rows.round(3).reset_index()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=15)
    options.add_argument("--output", type=Path, required=True)
    given = options.parse_args()
    with recorded("reading", [given.output]) as notes, tempfile.TemporaryDirectory() as scratch:
        found = [measure(dataset, Path(scratch) / dataset, given.repeats) for dataset in ("interhuman", "interx")]
        table = summary(pd.concat(found))
        files.write_csv(given.output, table)
        notes |= {"clips": CLIPS, "seconds": SECONDS, "repeats": given.repeats}
    print(table.to_string(index=False))  # noqa: T201


if __name__ == "__main__":
    main()
