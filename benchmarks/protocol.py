"""The evaluation protocol side by side with the official code: equality in every repeat, then time.

    python benchmarks/protocol.py --intergen CLONE [--output protocol.csv]

Both sides evaluate the same files in one run, real motions and one method's ready ones, by the protocol `interhuman`:
20 repeats, MModality in all of them as in the official script. The files are an embedded test split and motions made
from it by noise. Both sides use one evaluator, of InterCLIP's architecture but narrower, with random weights; at the
official sizes it would dominate the time, so the number of embeddings, which is the expected ratio there, is printed
too. The difference: the official code embeds every caption and motion in every repeat, this project each distinct one
once. Clips are too short to be cut to windows, whose random positions would make more motions distinct, and the method
has one set of motions for all repeats. The official code (`tools/eval.py`, `utils/metrics.py` and the loaders under
`datasets/`) runs unmodified in this process; only its random draws are replaced by this project's, to compare every
number. Reading raw files into memory and preprocessing are not timed. Nothing of the official repository is part of
this project; give the path of a clone of tr3e/InterGen.
"""

import argparse
import importlib.util
import io
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader

from evaluators import evaluation
from evaluators import protocol as protocols
from evaluators.evaluator import InterClipEvaluator
from evaluators.folder import MotionFolder, export
from evaluators.interclip import InterCLIP
from evaluators.protocol import Protocol
from evaluators.sources import RealSource
from intermamba import files
from intermamba.config import DatasetConfig, InterClipConfig, TextConfig, load
from intermamba.data import interhuman, synthetic
from intermamba.data.dataset import Batch, EpochSampler, all_captions
from intermamba.data.layouts import layout
from intermamba.data.splits import SplitFile, write_split
from intermamba.seeds import derive
from intermamba.text import cache, tower

SEED = 0
TEXT = TextConfig(
    tower="untrained",
    weights=None,
    architecture="",
    width=64,
    heads=2,
    layers=1,
    context=48,
    seed=0,
    precision="float32",
)
TOLERANCE = 1e-5
"""Largest relative difference of a metric: embeddings are float32, and the sides form different batches."""


@dataclass(frozen=True)
class Noisy:
    """Ready motions: real ones with noise, one set, and many of some clips for MModality."""

    real: RealSource

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        whole = replace(self.real, protocol=self.real.protocol.model_copy(update={"drop_last": False}))
        for batch in whole.batches(repeat_seed):
            yield self._noisy(batch, repeat_seed)

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch]:
        clips = (batch.take([row]) for batch in self.real.batches(repeat_seed) for row in range(len(batch.clip)))
        for clip in islice(clips, captions):
            yield self._noisy(clip.take([0] * samples), derive(repeat_seed, clip.clip[0]))

    @staticmethod
    def _noisy(batch: Batch, seed: int) -> Batch:
        draws = torch.Generator().manual_seed(seed)
        noise = 0.05 * torch.randn(batch.motion.shape, generator=draws)
        return replace(batch, motion=(batch.motion + noise) * batch.mask[:, :, None, None])


class Evaluator(InterClipEvaluator):
    """Counts embeddings and their time."""

    counts: dict[str, int]
    seconds: float

    def start(self) -> None:
        self.counts, self.seconds = {"texts": 0, "motions": 0}, 0.0

    def embed_text(self, batch: Batch) -> Tensor:
        return self._timed("texts", len(batch.caption), lambda: super(Evaluator, self).embed_text(batch))

    def embed_motion(self, batch: Batch) -> Tensor:
        return self._timed("motions", len(batch.length), lambda: super(Evaluator, self).embed_motion(batch))

    def _timed(self, what: str, count: int, embed: Callable[[], Tensor]) -> Tensor:
        started = time.perf_counter()
        found = embed()
        self.counts[what] += count
        self.seconds += time.perf_counter() - started
        return found


@dataclass(frozen=True)
class Setting:
    """Input of both sides."""

    evaluator: Evaluator
    protocol: Protocol
    raw: Path
    """Real motions in the files of the dataset's owners."""
    real: RealSource
    """The same, preprocessed."""
    folder: Path
    """Folder of the method's motions."""


def prepare(folder: Path, clips: int, seconds: tuple[float, float], width: int, layers: int) -> Setting:
    """An embedded test split in its split file, a method's motions in files, and an evaluator."""
    config = load("paper")
    longest = math.ceil(seconds[1] * interhuman.FPS) + 1
    settings: DatasetConfig = config.datasets["interhuman"].model_copy(
        update={"individual": False, "max_frames": longest}
    )
    raw = folder / "raw"
    synthetic.write_interhuman(raw, 2, 2, clips, seconds, seed=1)
    for listed in (raw / "split").iterdir():  # the official loader expects them beside the data
        (raw / listed.name).write_bytes(listed.read_bytes())
    place = layout("interhuman", raw, settings)
    ids = [name for name in (raw / "split" / "test.txt").read_text().split() if name not in place.ignored()]
    path = folder / "test.safetensors"
    write_split(path, map(place.read, ids), dataset="interhuman", split="test", origin="synthetic")
    split = SplitFile(path)
    captions = all_captions([split], settings)
    cache.write(folder / "text.safetensors", tower.load(TEXT), captions, torch.float32)
    sizes = InterClipConfig(
        width=width, layers=layers, heads=4, feedforward=2 * width, dropout=0.1, embedding=width // 2,
        text_layers=layers, text_heads=4, text_feedforward=2 * width,
    )  # fmt: skip
    torch.manual_seed(SEED)
    network = InterCLIP(sizes, interhuman.FEATURES, TEXT.width)
    evaluator = Evaluator(network, cache.TextCache(folder / "text.safetensors")).eval().requires_grad_(False)
    named = protocols.load("interhuman")
    often = named.multimodality.model_copy(update={"repeats": named.repeats})
    protocol = named.model_copy(update={"multimodality": often})
    real = RealSource(split, settings, protocol)
    export(folder / "motions", Noisy(real), protocol, SEED, sets=1)
    return Setting(evaluator, protocol, raw, real, folder / "motions")


def ours(setting: Setting) -> pd.DataFrame:
    """The protocol for real motions and for the folder, from files to numbers."""
    folder = MotionFolder(setting.folder, setting.real.split, setting.real.settings, setting.protocol, SEED)
    sources = {"real": setting.real, "method": folder}
    return evaluation.evaluate(setting.evaluator, setting.protocol, setting.real, sources, SEED)


class Adapter:
    """The evaluator as the official wrapper calls it; embeddings in float64, so that rounding does not count."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def encode_motion(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        motion, length = batch["motions"].unflatten(-1, (2, -1)), batch["motion_lens"]
        names = ("",) * len(length)
        return {"motion_emb": self.evaluator.embed_motion(Batch(motion, length, names, (), names)).double()}

    def encode_text(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        said = tuple(batch["text"])
        nothing = torch.zeros(len(said), 1, 2, 1)
        return {
            "text_emb": self.evaluator.embed_text(Batch(nothing, nothing[:, 0, 0, 0].long(), said, (), said)).double()
        }


@contextmanager
def official_script(clone: Path) -> Iterator[Any]:
    """``tools/eval.py`` as a module, without its imports of models and CLIP, which are not used."""
    absent = {name: ModuleType(name) for name in ("models", "configs", "clip")}
    absent["configs"].get_config = None  # type: ignore[attr-defined]
    vars(absent["models"]).update(torch=torch, np=np)  # the others import these from it by `import *`
    taken = {"utils", "common", "datasets", "tools", *absent}
    if known := sorted(taken & set(sys.modules)):
        raise SystemExit(f"modules of these names are imported already: {', '.join(known)}")
    sys.modules.update(absent)
    sys.path[:0] = [str(clone / "tools"), str(clone)]
    try:
        spec = importlib.util.spec_from_file_location("official_eval", clone / "tools" / "eval.py")
        assert spec is not None
        assert spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        with patch.dict(os.environ):
            spec.loader.exec_module(script)
        yield script
    finally:
        sys.path[:] = [place for place in sys.path if not place.startswith(str(clone))]
        for name in [name for name in sys.modules if name.split(".")[0] in taken]:
            del sys.modules[name]


@dataclass(frozen=True)
class Replayed:
    """The official loader of real motions, with this project's draws for a repeat."""

    module: Any
    dataset: Any
    places: Sequence[int]
    """Positions of the split's clips in the official list."""
    seed: int

    def __getitem__(self, index: int) -> Any:
        draws = np.random.default_rng(derive(self.seed, 0, index))
        self.module.random = SimpleNamespace(choice=lambda options: options[int(draws.integers(len(options)))])
        with patch.object(np.random, "rand", draws.random):
            return self.dataset[self.places[index]]


class Official:
    """`tools/eval.py` on the same files."""

    def __init__(self, setting: Setting, script: Any) -> None:
        self.setting, self.script = setting, script
        module, self.loaders = sys.modules["datasets.interhuman"], sys.modules["datasets.evaluator"]
        options = SimpleNamespace(MOTION_REP="global", CACHE=True, MODE="test", DATA_ROOT=str(setting.raw))
        real = module.InterHumanDataset(options)
        real.max_gt_length = real.max_length = setting.real.settings.max_frames
        places = {one["name"]: place for place, one in enumerate(real.data_list)}
        self.real = partial(Replayed, module, real, [places[clip] for clip in setting.real.split.ids])
        wrapper = object.__new__(in_order_of_inputs(self.loaders.EvaluatorModelWrapper))
        wrapper.model, wrapper.device = Adapter(setting.evaluator), torch.device("cpu")
        script.eval_wrapper, script.diversity_times = wrapper, setting.protocol.diversity_pairs
        script.mm_num_times = setting.protocol.multimodality.pairs

    def __call__(self) -> pd.DataFrame:
        dataset = object.__new__(self.loaders.EvaluationDataset)
        found = official_motions(self.setting.folder, self.setting.real.split, self.setting.real.settings.max_frames)
        dataset.generated_motions, dataset.mm_generated_motions = found
        spread = DataLoader(self.loaders.MMGeneratedDataset(dataset), batch_size=1)
        rows = []
        for repeat in range(self.setting.protocol.repeats):
            drawn = protocols.repeat_seed(SEED, repeat)
            source = protocols.source_seed(drawn)
            streams = {"real": self.stream(self.real(source), source), "method": self.stream(dataset, source)}
            other = derive(drawn, "reference")
            reference = self.stream(self.real(other), other)
            measured = official_repeat(self.script, reference, streams, spread, drawn)
            rows += [(name, repeat, metric, value) for name, metric, value in measured]
        return pd.DataFrame(rows, columns=["method", "repeat", "metric", "value"])

    def stream(self, dataset: Any, seed: int) -> Iterable[Any]:
        """One pass in this project's batches."""
        batch = self.setting.protocol.batch
        order = [index for _, index in EpochSampler(len(self.setting.real.split), seed)]
        whole = range(0, self.setting.protocol.evaluated(len(order)), batch)
        return DataLoader(dataset, batch_sampler=[order[first : first + batch] for first in whole])


def official_repeat(
    script: Any, reference: Iterable[Any], streams: dict[str, Iterable[Any]], spread: Iterable[Any], drawn: int
) -> list[tuple[str, str, float]]:
    """One replication of `tools/eval.py`, with this project's seeds for a repeat."""
    nowhere = io.StringIO()
    distance, precision, embedded = script.evaluate_matching_score(streams, nowhere)
    fid = script.evaluate_fid(reference, embedded, nowhere)
    rows: list[tuple[str, str, float]] = []
    for name in streams:
        np.random.seed(derive(drawn, "diversity") % 2**32)  # noqa: NPY002
        diversity = script.evaluate_diversity({name: embedded[name]}, nowhere)[name]
        rows += [(name, f"top{k + 1}", value) for k, value in enumerate(precision[name])]
        rows += [(name, "fid", fid[name]), (name, "mm_dist", distance[name]), (name, "diversity", diversity)]
    np.random.seed(derive(drawn, "multimodality") % 2**32)  # noqa: NPY002
    return [*rows, ("method", "multimodality", script.evaluate_multimodality({"method": spread}, nowhere)["method"])]


def in_order_of_inputs(wrapper: type) -> type:
    """The official wrapper, without its sorting by length: random pairs are then the same pairs."""

    class InOrder(wrapper):  # type: ignore[misc]
        def get_co_embeddings(self, batch: Any) -> tuple[Tensor, ...]:
            return tuple(found[self._back(batch)] for found in super().get_co_embeddings(batch))

        def get_motion_embeddings(self, batch: Any) -> Tensor:
            return super().get_motion_embeddings(batch)[self._back(batch)]

        @staticmethod
        def _back(batch: Any) -> np.ndarray:
            return np.argsort(np.argsort(batch[-1].tolist())[::-1])

    return InOrder


def official_motions(folder: Path, split: SplitFile, longest: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The files in the form that the official datasets keep in memory: padded, by clip; and several of some clips."""
    single: dict[str, dict[str, Any]] = {}
    several: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path) as content:
            clip, motion = str(content["clip"]), content["motion"]
            padded = np.pad(motion, ((0, longest - len(motion)), (0, 0), (0, 0)))
            one = {"text": str(content["caption"]), "motion_lens": len(motion), "motion": padded}
            if "sample" in content:
                several.setdefault(clip, []).append(one | {"sample": int(content["sample"])})
            else:
                single[clip] = one | {"motion1": padded[:, 0], "motion2": padded[:, 1]}
    for found in several.values():
        found.sort(key=lambda one: one["sample"])
    spreads = [found[0] | {"mm_motions": np.stack([one["motion"] for one in found])} for found in several.values()]
    return [single[clip] for clip in split.ids], spreads


def difference(one: pd.DataFrame, other: pd.DataFrame) -> pd.Series:
    """Largest relative difference of each metric over repeats and methods."""
    keys = ["method", "repeat", "metric"]
    pair = one.merge(other, on=keys, how="outer", validate="one_to_one")
    gap = (pair["value_x"] - pair["value_y"]).abs() / pair["value_y"].abs().clip(lower=1e-12)
    return gap.fillna(np.inf).groupby(pair["metric"]).max()


def measured(evaluator: Evaluator, work: Callable[[], pd.DataFrame]) -> tuple[pd.DataFrame, dict[str, float]]:
    """Results and cost of one side."""
    evaluator.start()
    wall, processor = time.perf_counter(), time.process_time()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        values = work()
    cost = {"wall (s)": time.perf_counter() - wall, "CPU (s)": time.process_time() - processor}
    counts = {f"{what} embedded": float(count) for what, count in evaluator.counts.items()}
    return values, cost | {"of it embedding (s)": evaluator.seconds} | counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intergen", type=Path, required=True, help="clone of tr3e/InterGen")
    parser.add_argument("--clips", type=int, default=1000, help="clips of the test split")
    parser.add_argument("--seconds", type=float, nargs=2, default=(1.0, 2.0), help="shortest and longest clip")
    parser.add_argument("--width", type=int, default=128, help="of the evaluator [official: 1024]")
    parser.add_argument("--layers", type=int, default=2, help="of each encoder of the evaluator [official: 8]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="CSV file")
    given = parser.parse_args()

    torch.set_num_threads(given.threads)
    console = Console()
    with tempfile.TemporaryDirectory() as name, official_script(given.intergen.resolve()) as script:
        setting = prepare(Path(name), given.clips, tuple(given.seconds), given.width, given.layers)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            official = Official(setting, script)
        results, own = measured(setting.evaluator, partial(ours, setting))
        expected, theirs = measured(setting.evaluator, official)
    gaps = difference(results, expected)
    console.print("largest relative difference in any repeat: " + ", ".join(f"{k} {v:.1e}" for k, v in gaps.items()))
    rows = [
        {"what": what, "official": theirs[what], "ours": own[what], "ratio": theirs[what] / own[what]} for what in own
    ]
    table = Table("", "official", "ours", "ratio")
    for row in rows:
        table.add_row(row["what"], f"{row['official']:,.1f}", f"{row['ours']:,.1f}", f"{row['ratio']:.1f}")
    console.print(table)
    if given.output:
        files.write_csv(given.output, pd.DataFrame(rows))
    if not (gaps <= TOLERANCE).all():
        raise SystemExit(f"results differ by more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
