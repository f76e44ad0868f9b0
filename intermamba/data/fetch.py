"""Stage ``fetch``: generate or find a dataset's raw files, check each of them, and write the manifest.

All problems are reported together, and nothing is written if there are any.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from intermamba import datasets, files, paths
from intermamba.config import Config, Dataset, DatasetConfig
from intermamba.data import SYNTHETIC_MARKER
from intermamba.data import manifest as manifests
from intermamba.data.layouts import Layout, layout
from intermamba.data.layouts.base import is_clip_id
from intermamba.data.manifest import Entry, Manifest
from intermamba.errors import ConfigError, DataError, quoted, shortened
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.reading import lines


@dataclass(frozen=True)
class Inspection:
    """Contents of a raw folder."""

    problems: list[str] = field(default_factory=list)
    clips: dict[str, list[str]] = field(default_factory=dict)
    """Usable ids of each split, in the order of its file."""
    ignored: list[str] = field(default_factory=list)
    """Ids of the splits that the ignore list removes."""
    missing_allowed: list[str] = field(default_factory=list)
    """Ids of the splits without files that ``allow_missing`` permits."""
    files: list[Path] = field(default_factory=list)
    """Every file that is used."""


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Generate the embedded dataset, or check the owners' files in place; write ``manifest.json``.

    ``progress`` counts clips.

    Raises:
        DataError: files are missing or broken; the message lists them by name.
    """
    dataset = job.dataset
    settings = config.datasets[dataset]
    root, synthetic = raw_root(config, dataset), settings.source == "synthetic"
    seeds = {"synthetic": settings.synthetic.seed} if synthetic else {}
    with job.recorded(config, seeds) as notes:
        if synthetic:
            write_synthetic(root, dataset, settings, progress)
        # Embedded clips advance the progress while they are generated, not again while they are checked.
        found = inspect(root, dataset, settings, SILENT if synthetic else progress)
        if found.problems:
            raise DataError(_summary(found.problems, root, dataset))
        counts = {split: len(clips) for split, clips in found.clips.items()}
        made = synthetic or (root / SYNTHETIC_MARKER).exists()
        place = layout(dataset, root, settings)
        about: dict[str, Any] = {
            "origin": "synthetic" if made else "official",
            "format": place.form,
            "skeleton": place.skeleton(),
        }
        notes |= {**about, "clips": counts}
        notes |= {"ignored": found.ignored, "missing_allowed": found.missing_allowed}
        manifests.write(
            job["manifest"],
            Manifest(
                dataset=dataset,
                **about,
                root=str(root),
                fps=place.file_fps,
                counts=counts,
                clips=found.clips,
                ignored=found.ignored,
                missing_allowed=found.missing_allowed,
                files={
                    _name(path, root): Entry(bytes=path.stat().st_size, sha256=files.sha256(path))
                    for path in sorted(set(found.files))
                },
            ),
        )


def _name(path: Path, root: Path) -> str:
    """Name of a file in the manifest: relative to the raw folder, unless it is outside."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def raw_root(config: Config, dataset: Dataset) -> Path:
    """Folder of a dataset's raw files: the user's, or that of the generated data."""
    source = config.datasets[dataset].source
    return paths.raw_folder(config.profile, dataset) if source == "synthetic" else Path(source)


def write_synthetic(
    root: Path, dataset: Dataset, settings: DatasetConfig, progress: Progress = SILENT, *, again: bool = False
) -> None:
    """Write the embedded dataset into ``root``; with ``again``, its test clips alone, performed again.

    Raises:
        ConfigError: the dataset's writer takes other arguments than :class:`~intermamba.datasets.DatasetSpec` says.
    """
    wanted, kind = settings.synthetic, datasets.dataset(dataset)
    write = kind.load("synthetic")
    arguments = root, wanted.train, wanted.val, wanted.test, wanted.seconds, wanted.seed, progress
    try:
        signature(write).bind(*arguments, again=again)
    except TypeError as error:
        raise ConfigError(
            f"dataset {dataset!r}: its writer {kind.synthetic} must take (root, train, val, test, seconds, seed, "
            f"progress, *, again=False), as `synthetic` of intermamba.datasets.DatasetSpec says; {error}."
        ) from error
    write(*arguments, again=again)


def inspect(root: Path, dataset: Dataset, settings: DatasetConfig, progress: Progress = SILENT) -> Inspection:
    """Read and check every file that the splits of ``dataset`` need."""
    if not root.is_dir():
        return Inspection([f"{root}: no such folder."])
    found = Inspection()
    place = _attempt(partial(layout, dataset, root, settings), found.problems)
    if place is None:
        return found
    splits = _read_splits(place, found.problems)
    ignored = _attempt(place.ignored, found.problems) or frozenset()
    progress.start(sum(map(len, splits.values())))
    for split, ids in splits.items():
        found.clips[split] = []
        for clip in ids:
            absent = place.absent(clip)
            if clip in ignored:
                found.ignored.append(clip)
            elif absent and clip in settings.allow_missing:
                found.missing_allowed.append(clip)
            elif absent:
                found.problems.extend(absent)
            else:
                found.clips[split].append(clip)
                _attempt(partial(place.read, clip), found.problems)
            progress()
    used = [clip for ids in found.clips.values() for clip in ids]
    for check in (*place.shared_checks(), place.unseen, place.held_out):
        _attempt(check, found.problems)
    found.problems[:] = dict.fromkeys(found.problems)  # a broken shared file is found once per clip
    found.files.extend(place.split_file(split) for split in splits)
    found.files.extend(place.shared_files())
    found.files.extend(place.lists())
    found.files.extend(path for clip in used for path in place.files(clip))
    return found


def _attempt(read: Callable[[], Any], found: list[str]) -> Any:
    """The result of ``read``, or ``None`` and one more problem in ``found``."""
    try:
        return read()
    except DataError as error:
        found.append(str(error))
        return None


def _read_splits(place: Layout, found: list[str]) -> dict[str, list[str]]:
    """Ids of each split that are safe as file names, without duplicates; problems are added to ``found``."""
    splits: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for split in paths.SPLITS:
        path = place.split_file(split)
        ids = _attempt(partial(lines, path), found)
        if ids is None:
            continue
        if not ids:
            found.append(f"{path}: no clip id; needs one per line.")
        found.extend(f"{path}: {quoted(clip)} is not a clip id." for clip in ids if not is_clip_id(clip))
        found.extend(f"{path}: {clip} appears {count} times." for clip, count in Counter(ids).items() if count > 1)
        found.extend(f"{path}: {clip} is in {owner[clip]}.txt as well." for clip in dict.fromkeys(ids) if clip in owner)
        splits[split] = [clip for clip in dict.fromkeys(ids) if is_clip_id(clip) and clip not in owner]
        owner |= dict.fromkeys(splits[split], split)
    return splits


def _summary(found: Iterable[str], root: Path, dataset: str) -> str:
    found = list(found)
    lines = [f"{dataset}: {len(found)} problem(s) under {root}; nothing was written."]
    lines += [f"  {problem}" for problem in shortened(found)]
    lines.append(
        f"Remedy: restore these files from the owners' download, or point datasets.{dataset}.source in params.yaml at "
        "a complete folder. To continue without absent clips, list their ids under "
        f"datasets.{dataset}.allow_missing."
    )
    return "\n".join(lines)
