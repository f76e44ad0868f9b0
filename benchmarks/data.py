"""The data pipeline side by side with the official code: equality on every clip, then clips per second.

    python benchmarks/data.py --intergen CLONE --interx CLONE [--output data.csv]

Both sides read the same files in one run: an embedded dataset in the owners' layouts, written to a temporary folder,
and for Inter-X a body model file of SMPL-X's format and size with the project's skeleton in it. The official modules
run unmodified in this process; only their random draws are fixed for the comparison. Passes alternate,
and medians are reported. Nothing of the official repositories is part of this project; give paths of clones of
tr3e/InterGen and liangxuy/Inter-X.
"""

import argparse
import importlib.util
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from intermamba import files
from intermamba.config import DatasetConfig, load
from intermamba.data import interhuman, interx, synthetic
from intermamba.data.dataset import ClipDataset
from intermamba.data.layouts import Layout, layout
from intermamba.data.splits import SplitFile, write_split
from intermamba.skeleton import PARENTS

TOLERANCE = 1e-5
"""Largest difference of any feature [docs/howto/real-data.md]."""
VERTICES = 10475
"""Number of vertices of SMPL-X's mesh, which the official preprocessing skins in every frame."""
ITEMS = 1000
"""Items of one timed pass of this project, which repeats the clips; an official pass takes each clip once."""
OFFICIAL_CLIPS = 4
"""Clips of one official pass of Inter-X's preprocessing, which takes seconds for each."""

Pass = Callable[[], float]
"""One timed pass: clips per second."""


# --- the official code ------------------------------------------------------------------------------------------------


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Remove the imported modules of one official repository: the next one uses the same names, such as ``utils``."""
    before, silent = set(sys.modules), ModuleType("silent")
    silent.set_trace = None  # type: ignore[attr-defined]
    sys.path.insert(0, str(folder))
    try:
        with patch.dict(sys.modules, dict.fromkeys(("ipdb", "joblib", "spacy"), silent)):
            yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]


def module_at(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def official_interhuman(clone: Path, root: Path, cache: bool) -> tuple[Any, Any]:
    """InterGen's module and its dataset of all training clips, mirrored copies included."""
    with importing_from(clone):
        module = module_at(clone / "datasets" / "interhuman.py")
    options = SimpleNamespace(MOTION_REP="global", CACHE=cache, MODE="train", DATA_ROOT=str(root))
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        return module, module.InterHumanDataset(options)


def official_interx(clone: Path, model: Path, vertices: int) -> Any:
    """The owners' preprocessing with a new body model of ``vertices`` vertices, which it reads from a fixed path."""
    write_body_model(model, vertices)
    work = model.parent / "work" / "preprocess"
    work.mkdir(parents=True)
    (work.parent / "body_models").symlink_to(model.parent.parent)
    back = Path.cwd()
    os.chdir(work)
    try:
        with importing_from(clone / "preprocess"):
            return module_at(clone / "preprocess" / "1_prepare_data.py")
    finally:
        os.chdir(back)


def official_evaluator_input(clone: Path) -> Callable[[np.ndarray], Any]:
    """``to_rot_6d`` of the owners' evaluation dataset: (T, 56, 6) to (T, 672)."""
    with importing_from(clone / "evaluation" / "text2motion"):
        module = module_at(clone / "evaluation" / "text2motion" / "data" / "dataset.py")
    return partial(module.Text2MotionDatasetV2HHI.to_rot_6d, SimpleNamespace(num_person=2))


def write_body_model(path: Path, vertices: int) -> None:
    """A file of SMPL-X's format: the project's neutral skeleton, its pelvis beside the origin as SMPL-X's is."""
    places = interx.NEUTRAL.copy()
    places[0] = [0.003, -0.35, 0.012]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        places[joint] += places[parent]
    template, regressor = np.zeros((vertices, 3)), np.zeros((len(PARENTS), vertices))
    template[: len(PARENTS)], regressor[:, : len(PARENTS)] = places, np.eye(len(PARENTS))
    path.parent.mkdir(parents=True)
    np.savez(
        path,
        v_template=template,
        J_regressor=regressor,
        kintree_table=np.array([PARENTS, range(len(PARENTS))]),
        shapedirs=np.zeros((vertices, 3, 20)),
        posedirs=np.zeros((vertices, 3, 9 * (len(PARENTS) - 1))),
        weights=np.full((vertices, len(PARENTS)), 1 / len(PARENTS)),
        f=np.zeros((1, 3), np.uint32),
    )


@contextmanager
def fixed_draws(module: Any, *coins: float) -> Iterator[None]:
    """The first caption and window, and these values of the two random choices that exchange the persons."""
    first = SimpleNamespace(choice=lambda options: options[0], shuffle=lambda _: None)
    with patch.object(module, "random", first), patch.object(np.random, "rand", side_effect=itertools.cycle(coins)):
        yield


# --- the same results? ------------------------------------------------------------------------------------------------


def interhuman_difference(module: Any, official: Any, split: SplitFile) -> tuple[int, float]:
    """Number of compared items and largest difference, over clips, mirroring, orders of persons and windows."""
    compared, largest = 0, 0.0
    index = {name: number for number, name in enumerate(split.ids)}
    for longest in (official.max_gt_length, 40):
        with patch.multiple(official, max_gt_length=longest, max_length=longest):
            for before, after in itertools.product((0, 1), repeat=2):
                with fixed_draws(module, before, after):
                    items = [official[number] for number in range(len(official))]
                for name, _, first, second, frames in items:
                    raw = split.clip(index[name.removesuffix("_swap")], 0, longest)
                    if name.endswith("_swap"):
                        raw = interhuman.mirror(raw)
                    if before:
                        raw = raw[:, ::-1]
                    found = interhuman.pair_features(raw[:, 0], raw[:, 1])
                    expected = np.stack([second, first] if after else [first, second], axis=1)[:frames]
                    assert found.shape == expected.shape
                    compared, largest = compared + 1, max(largest, float(np.abs(found - expected).max()))
    return compared, largest


def interx_difference(
    official: Any, to_input: Callable[[np.ndarray], Any], root: Path, read: Callable[[str], Any], ids: Sequence[str]
) -> tuple[int, float]:
    """Clips compared and the largest difference, over (T, 56, 6) and the 672 columns that the evaluator sees."""
    largest = 0.0
    for name in ids:
        expected = official_pose(official, root, name).astype(np.float32)
        motion = read(name).motion
        pose = np.concatenate(np.split(motion.reshape(len(motion), 2, 56, 3), 2, axis=1), axis=-1)[:, 0]
        sixes = interx.features(motion).reshape(len(motion), 2, 56, 6)
        columns = np.concatenate([sixes[:, 0], sixes[:, 1]], axis=-1).reshape(len(motion), 672)
        for found, wanted in ((pose, expected), (columns, to_input(expected).numpy())):
            assert found.shape == wanted.shape
            largest = max(largest, float(np.abs(found - wanted).max()))
    return len(ids), largest


def official_pose(module: Any, root: Path, name: str) -> np.ndarray:
    """Output of the owners' script for one clip: (T, 56, 6)."""
    persons = (module.parse_motion_file(str(root / "motions" / name / f"{person}.npz")) for person in ("P1", "P2"))
    return np.concatenate(module.normalize_transl(*persons), axis=-1)


# --- timing -----------------------------------------------------------------------------------------------------------


def timed(work: Callable[[Any], object], items: Sequence[Any], threads: int = 1) -> float:
    """Items per second, in ``threads`` threads with equal shares."""
    shares = [items[number::threads] for number in range(threads)]

    def run(share: Sequence[Any]) -> None:
        for item in share:
            work(item)

    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(run, shares))
        return len(items) / (time.perf_counter() - started)


def measure(what: str, official: Pass, ours: dict[str, Pass], repeats: int) -> list[dict[str, Any]]:
    """Alternate passes; one row for each of this project's ways, with medians and the quartiles of the ratio."""
    for one in (official, *ours.values()):
        one()  # imports, compilation, file caches
    passes = [(official(), {name: one() for name, one in ours.items()}) for _ in range(repeats)]
    theirs = np.array([one for one, _ in passes])
    rows = []
    for name in ours:
        mine = np.array([other[name] for _, other in passes])
        low, ratio, high = np.quantile(mine / theirs, (0.25, 0.5, 0.75))
        rows.append(
            {"what": what, "ours": name, "official_clips_per_second": np.median(theirs)}
            | {"our_clips_per_second": np.median(mine), "ratio": ratio, "ratio_q1": low, "ratio_q3": high}
        )
    return rows


def benchmark_interhuman(
    clone: Path, folder: Path, settings: DatasetConfig, given: argparse.Namespace
) -> tuple[list[dict[str, Any]], tuple[str, int, float]]:
    """Rows of timings, and the number of compared items with the largest difference."""
    root = folder / "interhuman"
    synthetic.write_interhuman(root, given.clips, 2, 2, tuple(given.seconds), seed=1)
    for path in (root / "split").iterdir():  # the official loader expects them beside the data
        (root / path.name).write_bytes(path.read_bytes())
    module, cached = official_interhuman(clone, root, cache=True)
    uncached = official_interhuman(clone, root, cache=False)[1]

    place = layout("interhuman", root, settings)
    ids = [name for name in (root / "train.txt").read_text().split() if name not in place.ignored()]
    path = folder / "interhuman.safetensors"
    write_split(path, map(place.read, ids), dataset="interhuman", split="train", origin="synthetic")
    split = SplitFile(path)
    compared = "InterHuman: features", *interhuman_difference(module, cached, split)

    items = ClipDataset(split, settings, "train", seed=0)
    keys = cycled([(0, number) for number in range(len(items))], ITEMS)
    raw = cycled([split.clip(number) for number in range(len(split))], ITEMS)
    rows = measure(
        "InterHuman loader, clips in memory",
        partial(timed, cached.__getitem__, range(len(cached))),
        {
            "features, 1 thread": partial(timed, _features, raw),
            f"features, {given.threads} threads": partial(timed, _features, raw, given.threads),
            "items with all draws, 1 thread": partial(timed, items.__getitem__, keys),
            f"items with all draws, {given.threads} threads": partial(timed, items.__getitem__, keys, given.threads),
        },
        given.repeats,
    )
    from_files = partial(_features_of_files, place)
    rows += measure(
        "InterHuman loader, files to features",
        partial(timed, uncached.__getitem__, range(0, len(uncached), 2)),  # every second item is a mirrored copy
        {"checked, 1 thread": partial(timed, from_files, cycled(ids, ITEMS))},
        given.repeats,
    )
    return rows, compared


def benchmark_interx(
    clone: Path, folder: Path, settings: DatasetConfig, given: argparse.Namespace
) -> tuple[list[dict[str, Any]], tuple[str, int, float]]:
    """Rows of timings, and the number of compared clips with the largest difference."""
    root = folder / "interx"
    synthetic.write_interx(root, given.clips, 2, 2, tuple(given.seconds), seed=1)
    # A body of as many vertices as joints has nothing to skin: the official loop at its cheapest.
    models = {vertices: folder / f"{vertices}" / "smplx" / "SMPLX_NEUTRAL.npz" for vertices in (len(PARENTS), VERTICES)}
    lean, full = (official_interx(clone, model, vertices) for vertices, model in models.items())
    place = layout("interx", root, settings.model_copy(update={"skeleton": str(models[VERTICES])}))
    ids = (root / "splits" / "train.txt").read_text().split()
    to_input = official_evaluator_input(clone)
    compared = "Inter-X: (T, 56, 6) and 672 columns", *interx_difference(lean, to_input, root, place.read, ids)

    read = partial(_read, place)
    ours: dict[str, Pass] = {"checked, 1 thread": partial(timed, read, cycled(ids, ITEMS))}
    rows = []
    for name, module in ((f"{VERTICES} vertices", full), ("joints only", lean)):
        theirs = partial(timed, partial(official_pose, module, root), ids[:OFFICIAL_CLIPS])
        rows += measure(f"Inter-X preprocessing, body of {name}", theirs, ours, given.repeats)
    motions = [place.read(name).motion for name in ids]
    poses = [official_pose(lean, root, name).astype(np.float32) for name in ids]
    rows += measure(
        "Inter-X evaluator input from (T, 56, 6)",
        partial(timed, to_input, poses),
        {"1 thread": partial(timed, interx.features, cycled(motions, ITEMS))},
        given.repeats,
    )
    return rows, compared


def _features(clip: np.ndarray) -> np.ndarray:
    return interhuman.pair_features(clip[:, 0], clip[:, 1])


def _features_of_files(place: Layout, name: str) -> int:
    return len(_features(place.read(name).motion))


def _read(place: Layout, name: str) -> int:
    return len(place.read(name).motion)


def cycled(items: Sequence[Any], count: int) -> list[Any]:
    return list(itertools.islice(itertools.cycle(items), count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intergen", type=Path, help="clone of tr3e/InterGen")
    parser.add_argument("--interx", type=Path, help="clone of liangxuy/Inter-X")
    parser.add_argument("--clips", type=int, default=48, help="clips of each embedded dataset")
    parser.add_argument("--seconds", type=float, nargs=2, default=(1.0, 5.0), help="shortest and longest clip")
    parser.add_argument("--threads", type=int, default=2, help="threads of this project where they help")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, help="CSV file")
    given = parser.parse_args()

    console, rows = Console(), []
    datasets = load("paper").datasets
    with tempfile.TemporaryDirectory() as name:
        for dataset, clone, benchmark in (
            ("interhuman", given.intergen, benchmark_interhuman),
            ("interx", given.interx, benchmark_interx),
        ):
            if clone is None:
                continue
            found, (what, compared, largest) = benchmark(clone.resolve(), Path(name), datasets[dataset], given)
            console.print(f"{what}: {compared} compared, largest difference {largest:.1e} (allowed: {TOLERANCE:.0e})")
            if not largest <= TOLERANCE:
                raise SystemExit(1)
            rows += found
    frame = pd.DataFrame(rows)
    table = Table("what", "official clips/s", "ours", "clips/s", "ratio (quartiles)")
    for row in rows:
        ratio = f"{row['ratio']:.1f} ({row['ratio_q1']:.1f} to {row['ratio_q3']:.1f})"
        speeds = (f"{row[key]:,.1f}" for key in ("official_clips_per_second", "our_clips_per_second"))
        theirs, mine = speeds
        table.add_row(row["what"], theirs, row["ours"], mine, ratio)
    console.print(table)
    if given.output:
        files.write_csv(given.output, frame)


if __name__ == "__main__":
    main()
