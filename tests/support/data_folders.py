"""Tiny raw folders in the owners' layouts, made from closed forms: nothing random, nothing from the generator."""

import pickle
import shutil
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from places import ROOT

from intermamba.config import Config, load
from intermamba.skeleton import BODY_PARENTS, OFFSETS, PARENTS

IDS = {"train": ("11", "12", "13"), "val": ("21",), "test": ("31", "32")}
CAPTIONS = ("One person waves with the left hand.", "They greet each other.", "  ", "Two people meet.")


def dancer(frames: int, yaw: float = 0.0, x: float = 0.0, y: float = 0.0, phase: float = 0.0) -> np.ndarray:
    """(frames, 192) raw InterHuman columns of a swaying person at (x, y) on the ground, z up, float64."""
    rest = np.zeros((22, 3))
    for joint in range(1, 22):
        rest[joint] = rest[BODY_PARENTS[joint]] + OFFSETS[joint]
    time = np.arange(frames)[:, None, None]
    sway = 0.03 * np.sin(0.2 * time + np.arange(22)[None, :, None] * 0.1 + np.arange(3) + phase)
    moving = (rest[:, 1:2] > -0.8) | np.isin(np.arange(22), (8, 11))[:, None]  # the left foot stays behind
    drift = 0.03 * time * np.array([1.0, 0.0, 0.5]) * moving
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    points = (rest + sway * moving + drift) @ turn + [x, 1.0, -y]
    z_up = np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)
    rotations = np.sin(0.1 * time[:, 0] + np.arange(126) + phase)
    return np.concatenate([z_up.reshape(frames, 66), rotations], axis=1)


def smplx(frames: int, phase: float = 0.0, x: float = 0.0) -> dict[str, np.ndarray]:
    """SMPL-X arrays of a swaying person, ``frames`` at 120 fps."""
    time = np.arange(frames)[:, None, None] / 30 + phase

    def wave(joints: int, size: float) -> np.ndarray:
        return size * np.sin(time + np.arange(joints * 3).reshape(joints, 3))

    return {
        "root_orient": wave(1, 0.4)[:, 0],
        "pose_body": wave(21, 0.3),
        "pose_lhand": wave(15, 0.2),
        "pose_rhand": wave(15, 0.1),
        "trans": wave(1, 0.1)[:, 0] + np.array([x, 0.9, 0.2]),
    }


def interhuman_file(raw: np.ndarray) -> np.ndarray:
    """A file's 492 columns around the 192 that are used."""
    file = np.zeros((len(raw), 492), dtype=np.float32)
    file[:, 0:66], file[:, 186:312] = raw[:, :66], raw[:, 66:]
    return file


def write_interhuman(root: Path, ids: Mapping[str, Sequence[str]] = IDS, frames: int = 40) -> Path:
    for folder in ("annots", "split"):
        (root / folder).mkdir(parents=True)
    for folder, person in product(("motions_processed", "annots_individual"), (1, 2)):
        (root / folder / f"person{person}").mkdir(parents=True)
    (root / "split/ignore_list.txt").write_text("")
    for split, names in ids.items():
        (root / f"split/{split}.txt").write_text("\n".join(names) + "\n")
        for number, name in enumerate(names):
            for person in (1, 2):
                raw = dancer(frames + number, yaw=0.3 * person + number, x=float(person), phase=number + person)
                np.save(root / f"motions_processed/person{person}/{name}.npy", interhuman_file(raw))
                said = f"Person {person} of {name} raises the left hand.\nPerson {person} waves.\n"
                (root / f"annots_individual/person{person}/{name}.txt").write_text(said)
            (root / f"annots/{name}.txt").write_text("\n".join(CAPTIONS) + "\n")
    return root


def write_interx(root: Path, ids: Mapping[str, Sequence[str]] = IDS, frames: int = 160) -> Path:
    for folder in ("texts", "texts_processed", "splits", "glove", "annots"):
        (root / folder).mkdir(parents=True)
    for split, names in ids.items():
        (root / f"splits/{split}.txt").write_text("\n".join(names) + "\n")
        for number, name in enumerate(names):
            (root / "motions" / name).mkdir(parents=True)
            for person in (1, 2):
                arrays = smplx(frames + 4 * number, phase=number + person, x=float(person))
                np.savez(root / f"motions/{name}/P{person}.npz", betas=np.zeros((1, 10)), gender="neutral", **arrays)
            captions = [caption for caption in CAPTIONS if caption.strip()]
            (root / f"texts/{name}.txt").write_text("\n".join(captions) + "\n")
            lines = [f"{text}#{' '.join(f'{word}/NOUN' for word in text[:-1].split())}#0.0#0.0" for text in captions]
            (root / f"texts_processed/{name}.txt").write_text("\n".join(lines) + "\n")
    words = ["sos", "eos", "unk", "wave", "left"]
    np.save(root / "glove/hhi_vab_data.npy", np.arange(1500.0).reshape(5, 300))
    dump(root / "glove/hhi_vab_words.pkl", words)
    dump(root / "glove/hhi_vab_idx.pkl", {word: index for index, word in enumerate(words)})
    order = {name: number % 2 for names in ids.values() for number, name in enumerate(names)}
    dump(root / "annots/interaction_order.pkl", order)
    return root


def rest_pose() -> np.ndarray:
    """(55, 3) joints of the neutral skeleton in the rest pose, the pelvis where SMPL-X's is: not at the origin."""
    places = np.array(OFFSETS)
    places[0] = [0.003, -0.35, 0.012]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        places[joint] += places[parent]
    return places


def body_model() -> dict[str, np.ndarray]:
    """The arrays of a SMPL-X model file that are read: each joint is the mean of two vertices."""
    regressor = np.concatenate([np.eye(55), np.eye(55)], axis=1) / 2
    template = np.concatenate([rest_pose() - 0.01, rest_pose() + 0.01])
    tree = np.array([PARENTS, range(55)], dtype=np.int64)
    return {"v_template": template, "J_regressor": regressor, "kintree_table": tree}


def to_hdf5(root: Path, poses: Mapping[str, np.ndarray] | None = None, frames: int = 40) -> Path:
    """Put the owners' processed files in the place of the clips' folders of :func:`write_interx`: (T, 56, 6) a clip."""
    shutil.rmtree(root / "motions")
    shutil.rmtree(root / "texts")
    (root / "motions").mkdir()
    for split in ("train", "val", "test"):
        with h5py.File(root / f"motions/{split}.h5", "w") as file:
            for name in (root / f"splits/{split}.txt").read_text().split():
                sway = 0.3 * np.sin(np.arange(frames * 336).reshape(frames, 56, 6) / 50 + int(name))
                file.create_dataset(name, data=sway if poses is None else poses[name], dtype="f4")
    return root


def dump(path: Path, value: Any) -> None:
    path.write_bytes(pickle.dumps(value))


def config_for(dataset: str, source: Path | str, **changes: Any) -> Config:
    """The smoke profile with ``dataset`` read from ``source``."""
    config = load("smoke", ROOT / "params.yaml")
    settings = config.datasets[dataset].model_copy(update={"source": str(source), **changes})
    return config.model_copy(update={"datasets": {**config.datasets, dataset: settings}})
