"""What is fuzzed: for each reader, how valid files are written and how they are read to the end.

A reader is given a folder and reads all of it; what it returns is looked through for what no valid file holds. Any
exception but :class:`InterMambaError` is a defect, and so is :class:`NonsenseError`.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import official_files
import pandas as pd
import torch
import workflow_study
from data_folders import body_model, config_for, dancer, to_hdf5, write_interhuman, write_interx
from places import ROOT
from towers import untrained_tower

import ablations
from evaluators import folder as motions
from evaluators import protocol, results
from intermamba import export, files, prompts, requests
from intermamba.checkpoints import official, recipe, trained
from intermamba.config import TextConfig, load
from intermamba.data import fetch, manifest, normalisation
from intermamba.data.fetch import inspect
from intermamba.data.layouts import layout
from intermamba.data.raw import read_skeleton
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.models import build
from intermamba.representation import representation
from intermamba.requests import Request
from intermamba.text import cache as text_cache
from intermamba.text import tower
from workflow.evaluation import gallery
from workflow.results import claims

LARGEST = 1e7
"""No coordinate of a motion that was read may be beyond it."""


class NonsenseError(Exception):
    """A reader took what cannot be."""


@dataclass(frozen=True)
class Target:
    """A reader, and the valid files that are damaged for it."""

    name: str
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    files: str = "*"
    """Which of the files written are damaged."""


def finite(*values: Any) -> None:
    for value in values:
        array = np.asarray(value)
        if array.dtype.kind == "f" and not (np.abs(array.astype(np.float64)) <= LARGEST).all():
            raise NonsenseError(f"values that are not finite or absurd: {np.abs(array).max()}")


def _copied(source: Path, *names: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name in names:
            shutil.copy(source / name, folder / Path(name).name)

    return write


def _raw(dataset: str, **changes: Any) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        settings = config_for(dataset, folder, **changes).datasets[dataset]
        if inspect(folder, dataset, settings).problems:
            raise fetch.DataError("problems")
        place = layout(dataset, folder, settings)
        for clip in fetch.lines(place.split_file("test")):
            finite(place.read(clip).motion)

    return read


def _write_split(folder: Path) -> None:
    clips = [Clip(f"c{number}", _motion(9 + number), ("One bows.", "Two wave.")) for number in range(4)]
    write_split(folder / "test.safetensors", clips, dataset="interhuman", split="test", origin="synthetic")


def _motion(frames: int) -> np.ndarray:
    return np.stack([dancer(frames, x=0.0), dancer(frames, x=1.0)], axis=1).astype(np.float32)


def _read_split(folder: Path) -> None:
    split = SplitFile(folder / "test.safetensors")
    for index in range(len(split)):
        if split.clip(index).shape != (split.frames(index), 2, 192):
            raise NonsenseError("a clip of another shape")
        if not all(isinstance(text, str) for text in split.captions(index)):
            raise NonsenseError("captions that are no text")


TOWER = TextConfig(
    tower="untrained", weights=None, architecture="-", width=32, heads=2, layers=1, context=16, seed=0,
    precision="float32",
)  # fmt: skip


@cache
def _tower() -> Any:
    return tower.load(TOWER)


def _read_cache(folder: Path) -> None:
    cache = text_cache.TextCache(folder / "text.safetensors")
    captions = list(cache._index)[:4]
    cache.features(captions)
    cache.embedded(captions)


def _write_weights(folder: Path) -> None:
    config = untrained_tower(load("smoke", ROOT / "params.yaml"))
    told = recipe.describe(config, "interhuman", "intermamba", origin="synthetic", tower="untrained-64x2-seed0")
    features = representation("interhuman").features
    sizes = {"features": features, "max_frames": told.max_frames, "text_width": 64}
    model = build("intermamba", **sizes, **config.model.model_dump())
    whole = trained.Trained(model, torch.zeros(features), torch.ones(features), told, None)
    trained.save(folder / "weights.safetensors", whole)


def _write_manifest(folder: Path) -> None:
    entry = manifest.Entry(bytes=1, sha256="0" * 64)
    manifest.write(
        folder / "manifest.json",
        manifest.Manifest(
            dataset="interx", origin="official", format="npz", skeleton=None, root="raw", fps=120, counts={"test": 1},
            clips={"test": ["a", "b"]}, ignored=[], missing_allowed=[], files={"a.npz": entry, "b.npz": entry},
        ),
    )  # fmt: skip


def _write_motion(folder: Path) -> None:
    motions.write(folder / "motion.npz", "31", "They greet each other.", np.zeros((9, 2, 262), np.float32), 0, 1)


def _write_sample(folder: Path) -> None:
    joints = np.random.default_rng(0).normal(size=(5, 2, 22, 3)).astype(np.float32)
    turns = np.tile(np.eye(3, dtype=np.float32), (5, 2, 21, 1, 1))
    names = [f"j{number}" for number in range(21)]
    np.savez(folder / "a.npz", joints=joints, rotations=turns, rotation_joint_names=names, fps=30, caption="They bow.")


def _read_sample(folder: Path) -> None:
    content = export.read(folder / "a.npz")
    finite(content["joints"], content["rotations"])
    int(content["fps"])


def _write_requests(folder: Path) -> None:
    wanted = [
        Request(clip="31", caption_index=0, caption="They bow.", frames=30, repeat=0, samples=n) for n in (None, 3)
    ]
    requests.write(folder / "wanted.jsonl", wanted)
    requests.write(folder / "wanted.csv", wanted)


def _read_requests(folder: Path) -> None:
    for name in ("wanted.jsonl", "wanted.csv"):
        asked = prompts.from_requests(requests.read(folder / name)[:50])
        prompts.check_prompts(asked)
        prompts.check_folders(asked)


def _read_prompts(folder: Path) -> None:
    asked = [prompts.Prompt(caption) for caption in prompts.read_prompts(folder / "prompts.txt")]
    prompts.check_prompts(asked)
    for one in asked[:3]:
        _tower().cuts(one.caption)


def _write_metrics(folder: Path) -> None:
    row = {"dataset": "interhuman", "block": "reproduced", "method": "intermamba", "metric": "fid", "value": 1.5}
    frame = pd.DataFrame([{name: row.get(name, 0) for name in results.COLUMNS} for _ in range(3)])
    for name, kind in results.COLUMNS.items():
        if "str" in str(kind) and name not in row:
            frame[name] = "x"
    files.write_csv(folder / "metrics.csv", frame)


def _write_glove(folder: Path) -> None:
    write_interx(folder / "raw")


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target("params.yaml", _copied(ROOT, "params.yaml"), lambda folder: load(None, folder / "params.yaml")),
        Target("ablation", _copied(ROOT, "ablations/intermamba.yaml"), ablations.read),
        Target(
            "protocols.yaml",
            _copied(ROOT, "evaluators/protocols.yaml"),
            lambda folder: protocol.read(folder / "protocols.yaml"),
        ),
        Target(
            "claims.yaml",
            _copied(ROOT, "results/paper/reported/claims.yaml"),
            lambda folder: claims.load(folder / "claims.yaml"),
        ),
        Target(
            "InterHuman's folder",
            lambda folder: write_interhuman(folder / "raw"),
            lambda f: _raw("interhuman", individual=True)(f / "raw"),
        ),
        Target("Inter-X's folder, parameters", _write_glove, lambda folder: _raw("interx")(folder / "raw")),
        Target(
            "Inter-X's folder, HDF5",
            lambda folder: to_hdf5(write_interx(folder / "raw")),
            lambda f: _raw("interx")(f / "raw"),
        ),
        Target(
            "SMPL-X model",
            lambda f: np.savez(f / "m.npz", **body_model()),
            lambda f: finite(read_skeleton(f / "m.npz")),
        ),
        Target(
            "motions of other projects",
            _write_motion,
            lambda f: finite(motions.read(f / "motion.npz", "interhuman")[1]),
        ),
        Target("split file", _write_split, _read_split),
        Target(
            "text cache",
            lambda f: text_cache.write(f / "text.safetensors", _tower(), ["One bows.", "Two wave."], torch.float32),
            _read_cache,
        ),
        Target(
            "statistics",
            lambda f: normalisation.write(f / "stats.safetensors", torch.zeros(262), torch.ones(262)),
            lambda f: finite(*normalisation.read(f / "stats.safetensors", 262)),
        ),
        Target("weights", _write_weights, lambda f: trained.load(f / "weights.safetensors")),
        Target(
            "official checkpoint",
            official_files.write,
            lambda f: official.load(f / "official.ckpt", official.INTERGEN),
            "*.ckpt",
        ),
        Target("manifest", _write_manifest, lambda f: manifest.read(f / "manifest.json")),
        Target(
            "shown motions",
            lambda f: gallery.write(f / "s.safetensors", workflow_study.performed("interhuman", results.REAL)),
            lambda f: gallery.read(f / "s.safetensors"),
        ),
        Target("sample", _write_sample, _read_sample),
        Target(
            "prompts", lambda f: (f / "prompts.txt").write_text("They bow.\nTwo people wave.\n") and None, _read_prompts
        ),
        Target("requests", _write_requests, _read_requests),
        Target("metrics.csv", _write_metrics, lambda f: results.read(f / "metrics.csv")),
    )
}
