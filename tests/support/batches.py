"""Batches of two people who move, on both datasets."""

import numpy as np
from data_folders import dancer, smplx

from intermamba.data import interhuman, interx
from intermamba.data.dataset import Batch, Item, collate

FRAMES = (30, 24, 36, 28)
LONGEST = 40


def clip(dataset: str, number: int, frames: int) -> np.ndarray:
    """(frames, 2, F) features of two people who move differently."""
    if dataset == "interhuman":
        people = (dancer(frames + 1, 0.4 * number, 0.3, 0.2, number), dancer(frames + 1, 2.0, 1.0, 0.5, number + 2))
        return interhuman.pair_features(*(person.astype(np.float32) for person in people))
    poses = (interx.person_pose(**smplx(frames, number + 0.7 * person, float(person))) for person in (0, 1))
    return interx.features(interx.pair(*poses))


def batch_of(dataset: str, frames: tuple[int, ...] = FRAMES) -> Batch:
    items = []
    for n, count in enumerate(frames):
        motion = clip(dataset, n, count).astype(np.float32)
        items.append(Item(motion, f"caption {n}", (f"word{n}/NOUN",), f"clip{n}", (f"a{n}", f"b{n}")))
    return collate(items, LONGEST)
