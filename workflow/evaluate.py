"""Stages ``judge-real``, ``evaluate`` and ``re-evaluate``: where a judge, a protocol and a source of motions meet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from evaluators import judge as judges
from evaluators import protocol as protocols
from evaluators.judge import fingerprint
from evaluators.protocol import Protocol, Source
from evaluators.results import BlockName, Origin, rows
from evaluators.sources import RealSource, ShuffledSource
from intermamba import checkpoint, files, paths, provenance
from intermamba.config import Config, Dataset
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.errors import StateError
from intermamba.generate import MotionGenerator, device_for
from intermamba.seeds import derive
from intermamba.text.cache import TextCache

Progress = Callable[[int], None] | None


@dataclass(frozen=True)
class GeneratedSource:
    """Motions a trained model makes for the captions and lengths of real test clips."""

    generator: MotionGenerator
    conditions: RealSource
    chunk: int
    """Clips generated at once."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch in self.conditions.batches(repeat_seed):
            seeds = [derive(repeat_seed, "noise", clip) for clip in batch.clip]
            yield replace(batch, motion=self._generate(batch, seeds))

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch]:
        """``samples`` motions for each of ``captions`` captions, a batch a caption."""
        drawn = 0
        for batch in self.conditions.batches(repeat_seed):
            for index in range(len(batch.clip)):
                if drawn == captions:
                    return
                drawn += 1
                one = _repeated(batch, index, samples)
                seeds = [derive(repeat_seed, "variation", batch.clip[index], sample) for sample in range(samples)]
                yield replace(one, motion=self._generate(one, seeds))

    def _generate(self, batch: Batch, seeds: list[int]) -> torch.Tensor:
        frames = batch.motion.shape[1]
        pieces = []
        for first in range(0, len(seeds), self.chunk):
            part = slice(first, first + self.chunk)
            pieces.append(
                self.generator(
                    batch.caption[part], batch.length[part], frames, seeds[part], batch.individual[part]
                ).cpu()
            )
        return torch.cat(pieces)


def _repeated(batch: Batch, index: int, times: int) -> Batch:
    """One clip of a batch, ``times`` over."""
    return Batch(
        batch.motion[index : index + 1].expand(times, -1, -1, -1),
        batch.length[index : index + 1].expand(times),
        (batch.caption[index],) * times,
        (batch.tokens[index],) * times if batch.tokens else (),
        (batch.clip[index],) * times,
        (batch.individual[index],) * times if batch.individual else (),
    )


def run_real(config: Config, dataset: Dataset, progress: Progress = None) -> None:
    """Judge the real test motions, with their own captions and with captions shuffled."""
    bench = _Bench(config, dataset)
    output = paths.path("reference_metrics", profile=config.profile, dataset=dataset)
    with provenance.recorded("judge-real", [output], bench.inputs, bench.knobs, bench.seeds) as notes:
        found = [
            bench.measure(source, "reference", method, None, progress)
            for method, source in (("real", bench.real), ("shuffled", ShuffledSource(bench.real)))
        ]
        files.write_csv(output, pd.concat(found, ignore_index=True))
        notes.update(bench.notes)


def run(config: Config, dataset: Dataset, variant: str, seed: int | None, progress: Progress = None) -> None:
    """Judge a model: the row trained here with ``seed``, or the official checkpoint (``None``). One rule for both."""
    kind = _OFFICIAL if seed is None else _TRAINED
    bench = _Bench(config, dataset)
    where = {"profile": config.profile, "dataset": dataset, "variant": variant, "seed": seed}
    weights = files.require(paths.path(kind.weights, **where), kind.maker)
    output = paths.path(kind.metrics, **where)
    trained = checkpoint.load(weights)
    if (trained.variant, trained.dataset) != (variant, dataset):
        raise StateError(
            f"{weights}: holds {trained.variant!r} trained on {trained.dataset!r}, not {variant!r} on {dataset!r}. "
            f"Delete it and run `intermamba {kind.maker}` again."
        )
    knobs = bench.knobs | {"diffusion": config.section("diffusion")}
    with provenance.recorded(kind.stage, [output], [*bench.inputs, weights], knobs, bench.seeds) as notes:
        generator = MotionGenerator(trained, bench.cache, config.diffusion, bench.device)
        source = GeneratedSource(generator, bench.real, config.runtime.sampling_batch)
        files.write_csv(output, bench.measure(source, kind.block, variant, seed, progress))
        notes.update(bench.notes)


@dataclass(frozen=True)
class _Kind:
    """What differs between judging a model trained here and judging its authors' weights: places and labels."""

    stage: str
    maker: str
    """The stage that makes its weights."""
    weights: str
    metrics: str
    block: BlockName


_TRAINED = _Kind("evaluate", "train", "weights", "run_metrics", "reproduced")
_OFFICIAL = _Kind("re-evaluate", "adopt", "official_weights", "official_metrics", "re-evaluated")


class _Bench:
    """What every evaluation on a dataset shares: the judge, the protocol, the real test clips."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        torch.set_num_threads(config.runtime.threads)
        where = {"profile": config.profile, "dataset": dataset}
        test, text, weights = (paths.path(name, split="test", **where) for name in ("split", "text", "evaluator"))
        self.inputs: list[Path] = [
            files.require(test, "preprocess"),
            files.require(text, "encode-text"),
            files.require(weights, "train-evaluator"),
        ]
        self.device = device_for(config.runtime)
        self.protocol: Protocol = protocols.load(config.protocol[dataset])
        split = SplitFile(test)
        self.real = RealSource(split, config.datasets[dataset], self.protocol, config.runtime.workers)
        self.judge = judges.load(config, dataset, self.device)
        self.cache: TextCache = self.judge.cache
        # One root for all rows of a dataset: repeat r of every method is drawn for the same clips and captions.
        self.root = derive(config.seed, "evaluate", dataset)
        self.seeds = {
            "root": self.root,
            "repeats": [derive(self.root, "repeat", r) for r in range(self.protocol.repeats)],
        }
        self.knobs = {
            "protocol": self.protocol.model_dump(mode="json"),
            "dataset": config.section(f"datasets.{dataset}"),
        }
        self.notes = {"origin": split.origin, "skeleton": split.skeleton or "recorded"}
        self.notes |= {"tower": self.cache.tower, "evaluator": fingerprint(weights)}
        self.dataset = dataset

    def measure(
        self, source: Source, block: BlockName, method: str, training_seed: int | None, progress: Progress
    ) -> pd.DataFrame:
        """Rows of metrics.csv for one method."""
        found = protocols.evaluate(self.judge, self.protocol, self.real, source, self.root, progress)
        labels = {"dataset": self.dataset, "protocol": self.protocol.id, **self.notes}
        return rows(Origin(**labels, block=block, method=method, training_seed=training_seed), found)
