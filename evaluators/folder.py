"""Motions of another project, as files to be evaluated: one ``.npz`` each (docs/howto/own-motions.md).

A file names its clip of the test split and the caption it was made for. Files without ``sample`` form sets: one motion
for every test clip, and as many sets as the files have values of ``repeat``. Files with ``sample`` are several motions
for one caption, for MModality.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32

from evaluators import protocol as protocols
from evaluators.evaluation import Source
from evaluators.interx import UNIT
from evaluators.protocol import Protocol
from intermamba import files
from intermamba.config import Dataset, DatasetConfig
from intermamba.data import interhuman, interx, plausibility
from intermamba.data.dataset import Batch, EpochSampler, Item, collate
from intermamba.data.splits import SplitFile
from intermamba.datasets import family
from intermamba.errors import DataError, quoted, shortened
from intermamba.reading.arrays import check_numbers, read_archive
from intermamba.representation import representation
from intermamba.rotations import matrix_to_columns, matrix_to_rows

SHORTEST: Mapping[str, int] = {"interhuman": 1, "interx": UNIT}
"""Minimum number of feature frames for the evaluator of a family."""
_NAMES = ("clip", "caption", "repeat", "sample")
_ARRAYS = ("motion", "joints", "rotations", "translation")
_LAYOUTS: Mapping[str, str] = {
    "interhuman": "`motion` (T, 2, 262), or `joints` (T, 2, 22, 3) with `rotations` (T, 2, 21, 3, 3)",
    "interx": "`motion` (T, 2, 336) or (T, 56, 6), or `rotations` (T, 2, 55, 3, 3) with `translation` (T, 2, 3)",
}
_ORTHONORMAL = 1e-3  # largest entry of R R^T - I in rotations written in single precision, with room


@dataclass(frozen=True)
class MotionFile:
    """One file and its metadata."""

    path: Path
    clip: str
    caption: str
    repeat: int
    sample: int | None


class MotionFolder:
    """A source of motions from files, in the order of clips in which every other source of a repeat is evaluated.

    Repeat ``r`` of the protocol evaluates set ``r`` of the folder, starting over where there are fewer sets. With a
    single set the repeats still draw new batches, real motions and pairs, but ± does not include sampling noise.

    Args:
        folder: searched for ``.npz`` files at any depth.
        split: the test split.
        settings: settings of the dataset.
        protocol: gives the number of repeats and the samples of MModality.
        seed: root of the repeats' seeds, as :func:`evaluators.evaluation.evaluate` gets it.

    Raises:
        DataError: files are broken, do not belong to this test split, or do not form complete sets (all problems are
            listed); or the motions cannot be in metres.
    """

    warnings: tuple[str, ...]
    """Warnings on the motions' units, axes or speeds (:mod:`intermamba.data.plausibility`)."""

    def __init__(
        self, folder: str | Path, split: SplitFile, settings: DatasetConfig, protocol: Protocol, seed: int
    ) -> None:
        self.folder, self.split, self.settings, self.protocol = Path(folder), split, settings, protocol
        self.paths = tuple(sorted(self.folder.rglob("*.npz")))
        self._repeat: dict[int, int] = {}
        for repeat in range(protocol.repeats):
            drawn = protocols.repeat_seed(seed, repeat)
            self._repeat |= {protocols.source_seed(drawn): repeat, protocols.variations_seed(drawn): repeat}
        self._index = {clip: index for index, clip in enumerate(split.ids)}
        self._sets: dict[int, dict[int, MotionFile]] = defaultdict(dict)
        self._spreads: dict[int, dict[int, list[MotionFile]]] = defaultdict(lambda: defaultdict(list))
        self._kept: dict[Path, Item] = {}
        self._body = representation(split.dataset, split.offsets)
        self._sizes: list[plausibility.Size] = []
        problems = self._sort_in() if self.paths else [f"no .npz file in {self.folder}, at any depth."]
        if problems:
            raise DataError(
                f"{self.folder}: {len(problems)} problem(s) with the motions for {split.dataset}; "
                "nothing was evaluated. docs/howto/own-motions.md describes the layout.\n  "
                + "\n  ".join(shortened(problems))
            )
        self.warnings = plausibility.check(self._sizes, self._body.floor, str(self.folder))

    @property
    def sets(self) -> int:
        """Number of motions per test clip, without those for MModality."""
        return len(self._sets)

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        chosen = self._sets[self._repeat[repeat_seed] % self.sets]
        order = self._order(repeat_seed)
        for first in range(0, self.protocol.evaluated(len(order)), self.protocol.batch):
            places = order[first : first + self.protocol.batch]
            yield self._batch([chosen[index] for index in places], keep=self.sets == 1)

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch] | None:
        """``None`` if no file has a ``sample``."""
        if not self._spreads:
            return None
        spreads = self._spreads[self._repeat[repeat_seed] % len(self._spreads)]
        enough = [index for index in self._order(repeat_seed) if len(spreads.get(index, ())) >= samples]
        chosen = (spreads[index][:samples] for index in enough[:captions])
        return (self._batch(spread, keep=len(self._spreads) == 1) for spread in chosen)

    def _order(self, repeat_seed: int) -> list[int]:
        """Test clips in the order of the real source's draw with this seed."""
        sampler = EpochSampler(len(self.split), self.protocol.draws(repeat_seed))
        return [index for _, index in sampler]

    def _batch(self, motions: Sequence[MotionFile], keep: bool) -> Batch:
        """With ``keep``, items stay in memory for later repeats: reading files is the slow part."""
        items = [self._kept.get(file.path) or self._item(file) for file in motions]
        if keep:
            self._kept |= {file.path: item for file, item in zip(motions, items, strict=True)}
        return collate(items, self.settings.max_frames)

    def _item(self, file: MotionFile) -> Item:
        _, motion = read(file.path, self._dataset)
        index = self._index[file.clip]
        tokens = self.split.tokens(index)
        choice = self.split.captions(index).index(file.caption)
        return Item(motion, file.caption, tokens[choice] if tokens else (), file.clip)

    @property
    def _dataset(self) -> Dataset:
        return self.protocol.dataset

    def _sort_in(self) -> list[str]:
        """Read every file once and put it in its place; returns the problems found."""
        problems = []
        for path in self.paths:
            try:
                file, motion = read(path, self._dataset)
                self._check(file, motion)
            except DataError as error:
                problems.append(str(error))
                continue
            joints = self._body.joints(torch.from_numpy(motion)).numpy()
            self._sizes.append(plausibility.measure(joints, self._body.fps))
            index = self._index[file.clip]
            if file.sample is not None:
                self._spreads[file.repeat][index].append(file)
            elif (other := self._sets[file.repeat].setdefault(index, file)) is not file:
                problems.append(
                    f"{path}: clip {file.clip} has a motion in repeat {file.repeat} already, {other.path}. Number "
                    "further sets by `repeat`, several motions for a caption by `sample`."
                )
        return problems or [*self._whole_sets(), *self._whole_spreads()]

    def _check(self, file: MotionFile, motion: Float[np.ndarray, "T 2 F"]) -> None:
        if file.clip not in self._index:
            raise DataError(f"{file.path}: clip {file.clip!r} is not in the test split of {len(self.split)} clips.")
        known = self.split.captions(self._index[file.clip])
        if file.caption not in known:
            listed = "; ".join(map(repr, known))
            raise DataError(f"{file.path}: {file.caption!r} is not a caption of clip {file.clip}, which has {listed}.")
        shortest, longest = SHORTEST[family(self._dataset)], self.settings.max_frames
        if not shortest <= len(motion) <= longest:
            raise DataError(f"{file.path}: {len(motion)} feature frames; {shortest} to {longest} can be evaluated.")

    def _whole_sets(self) -> Iterator[str]:
        if not self._sets:
            yield "every file has a `sample`, for MModality only. One motion per test clip without it is needed."
        yield from _gaps(self._sets, "repeat")
        if (unused := len(self._sets) - self.protocol.repeats) > 0:
            yield (
                f"repeat: {len(self._sets)} sets, but protocol {self.protocol.name!r} repeats only "
                f"{self.protocol.repeats} times. Leave {unused} out."
            )
        for repeat, found in sorted(self._sets.items()):
            absent = [clip for index, clip in enumerate(self.split.ids) if index not in found]
            if absent:
                listed = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
                yield f"repeat {repeat}: {len(absent)} of {len(self.split)} test clips have no motion: {listed}."

    def _whole_spreads(self) -> Iterator[str]:
        yield from _gaps(self._spreads, "repeat of motions with a `sample`")
        wanted = self.protocol.multimodality
        for repeat, clips in sorted(self._spreads.items()):
            for index, spread in clips.items():
                spread.sort(key=lambda file: (file.sample, file.path))
                place = f"repeat {repeat}, clip {self.split.ids[index]}"
                if len({file.sample for file in spread}) < len(spread):
                    yield f"{place}: two motions have the same `sample`."
                if len({file.caption for file in spread}) > 1:
                    yield f"{place}: motions with a `sample` have several captions; MModality compares motions of one."
            enough = sum(len(spread) >= wanted.samples for spread in clips.values())
            if enough < wanted.captions:
                yield (
                    f"repeat {repeat}: {enough} clips have {wanted.samples} motions with a `sample`; MModality by "
                    f"protocol {self.protocol.name!r} needs {wanted.captions} such clips. To go without it, leave all "
                    "files with a `sample` out."
                )


def _gaps(found: Mapping[int, object], what: str) -> Iterator[str]:
    absent = [number for number in range(len(found)) if number not in found]
    if absent:
        yield f"{what}: counted from 0 without gaps, but {absent[0]} is absent; there are {sorted(found)}."


def read(path: Path, dataset: Dataset) -> tuple[MotionFile, Float32[np.ndarray, "T 2 F"]]:
    """A file, and its motion as un-normalised features.

    Raises:
        DataError: the file is broken, has another layout, or values that are not finite.
    """
    content = read_archive(path, {}, optional=(*_NAMES, *_ARRAYS))
    file = MotionFile(
        path,
        _text(path, content, "clip"),
        _text(path, content, "caption"),
        _number(path, content, "repeat") or 0,
        _number(path, content, "sample"),
    )
    arrays = {name: value for name, value in content.items() if name in _ARRAYS}
    for name, value in arrays.items():
        if not value.ndim or not len(value):
            raise DataError(f"{path}: {name} has no frame.")
        check_numbers(path, value, f"{name}: ")
    with np.errstate(over="ignore"):  # values beyond single precision are refused below
        motion = (_interhuman if family(dataset) == "interhuman" else _interx)(path, arrays).astype(np.float32)
    if not np.isfinite(motion).all():
        raise DataError(
            f"{path}: features of these joints are not finite; are both hips at one place in the first frame?"
        )
    return file, motion


def write(
    path: str | Path,
    clip: str,
    caption: str,
    motion: Float[np.ndarray, "T 2 F"],
    repeat: int = 0,
    sample: int | None = None,
) -> None:
    """One motion, given as un-normalised features, as a file that :func:`read` reads."""
    content: dict[str, Any] = {"clip": clip, "caption": caption, "motion": motion, "repeat": repeat}
    if sample is not None:
        content["sample"] = sample
    with files.atomic(path) as part:
        np.savez(part, **content)


def export(folder: str | Path, source: Source, protocol: Protocol, seed: int, sets: int) -> None:
    """Write the motions of ``source`` in the first ``sets`` repeats as files that :class:`MotionFolder` reads."""
    settings = protocol.multimodality
    for repeat in range(sets):
        drawn = protocols.repeat_seed(seed, repeat)
        for batch in source.batches(protocols.source_seed(drawn)):
            for row, clip in enumerate(batch.clip):
                place = Path(folder) / str(repeat) / f"{clip}.npz"
                write(place, clip, batch.caption[row], _frames(batch, row), repeat)
        batches = source.variations(protocols.variations_seed(drawn), settings.captions, settings.samples)
        if batches is None or repeat >= settings.repeats:
            continue
        counts: dict[str, int] = defaultdict(int)
        for batch in batches:
            for row, clip in enumerate(batch.clip):
                place = Path(folder) / str(repeat) / clip / f"{counts[clip]}.npz"
                write(place, clip, batch.caption[row], _frames(batch, row), repeat, counts[clip])
                counts[clip] += 1


def _frames(batch: Batch, row: int) -> Float[np.ndarray, "T 2 F"]:
    return batch.motion[row, : batch.length[row]].numpy()


def _interhuman(path: Path, arrays: Mapping[str, np.ndarray]) -> Float[np.ndarray, "T 2 F"]:
    """Features unchanged; joints through the dataset's own processing."""
    if "motion" in arrays:
        return _shaped(path, arrays, "interhuman", motion=(2, interhuman.FEATURES))["motion"]
    parts = _shaped(path, arrays, "interhuman", joints=(2, 22, 3), rotations=(2, 21, 3, 3))
    joints, frames = parts["joints"], len(parts["joints"])
    if frames < 2:
        raise DataError(f"{path}: joints of {frames} frame; features need two frames or more.")
    z_up = np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1).reshape(frames, 2, -1)
    columns = matrix_to_columns(_rotations(path, parts["rotations"])).flatten(-2).numpy()
    raw = np.concatenate([z_up, columns], axis=-1, dtype=np.float32)
    return interhuman.pair_features(raw[:, 0], raw[:, 1])


def _interx(path: Path, arrays: Mapping[str, np.ndarray]) -> Float[np.ndarray, "T 2 F"]:
    if "motion" in arrays and arrays["motion"].shape[1:] == (interx.JOINTS + 1, 6):
        persons = np.stack(np.split(arrays["motion"].astype(np.float32), 2, axis=-1), axis=1)
        return interx.features(persons.reshape(len(persons), 2, interx.RAW))
    if "motion" in arrays:
        return _shaped(path, arrays, "interx", motion=(2, interx.FEATURES))["motion"]
    parts = _shaped(path, arrays, "interx", rotations=(2, interx.JOINTS, 3, 3), translation=(2, 3))
    rows = matrix_to_rows(_rotations(path, parts["rotations"])).numpy()
    place = np.pad(parts["translation"], ((0, 0), (0, 0), (0, 3)))[:, :, None]
    return np.concatenate([rows, place], axis=2).reshape(len(rows), 2, interx.FEATURES)


def _shaped(
    path: Path, arrays: Mapping[str, np.ndarray], dataset: Dataset, **shapes: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """The named arrays, with these shapes after the frames and equal numbers of frames."""
    wrong = [name for name, shape in shapes.items() if name not in arrays or arrays[name].shape[1:] != shape]
    if wrong or len({len(arrays[name]) for name in shapes}) > 1:
        found = ((name, value.shape) for name, value in arrays.items())
        listed = ", ".join(f"{name} {shape}" for name, shape in found) or "none of these"
        raise DataError(
            f"{path}: holds {listed}; {dataset} needs {_LAYOUTS[family(dataset)]}, of one number T of frames."
        )
    return {name: arrays[name] for name in shapes}


def _rotations(path: Path, matrices: Float[np.ndarray, "T 2 J 3 3"]) -> Float[torch.Tensor, "T 2 J 3 3"]:
    turned = torch.from_numpy(matrices.astype(np.float32))
    error = (turned @ turned.mT - torch.eye(3)).abs().max()
    if error > _ORTHONORMAL or (torch.linalg.det(turned) < 0).any():
        raise DataError(f"{path}: rotations are not rotation matrices (R R^T differs from 1 by up to {error:.3g}).")
    return turned


def _text(path: Path, content: Mapping[str, np.ndarray], name: str) -> str:
    value = content.get(name)
    if value is None or value.shape or value.dtype.kind != "U" or not value.item().strip():
        raise DataError(f"{path}: needs `{name}`, one string; found {_described(value)}.")
    return str(value.item())


def _number(path: Path, content: Mapping[str, np.ndarray], name: str) -> int | None:
    value = content.get(name)
    if value is not None and (value.shape or value.dtype.kind not in "iu" or value < 0):
        raise DataError(f"{path}: `{name}` is an integer from 0 where it is given; found {_described(value)}.")
    return None if value is None else int(value)


def _described(value: np.ndarray | None) -> str:
    if value is None:
        return "none"
    return (
        f"{value.dtype!s:.60} of shape {value.shape}" if value.shape else f"{value.dtype!s:.20} {quoted(value.item())}"
    )
