"""The embedded dataset in InterHuman's raw layout: 492 columns per person and frame, z up, 30 fps.

``annots_individual/person{1,2}/NNNN.txt`` holds a sentence about each person alone, in the layout of in2IN's extension
of the dataset. ``motions/*.pkl`` (raw SMPL parameters, not used for training) are not written.
"""

from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Float

from intermamba.data.interhuman import PERSONS
from intermamba.data.synthetic.body import REST
from intermamba.data.synthetic.choreography import Clip, clip
from intermamba.data.synthetic.plan import FPS, Planned, performed_again, plan
from intermamba.data.synthetic.writing import whole_folder, write_clips, write_lines
from intermamba.paths import SPLITS
from intermamba.progress import SILENT, Progress
from intermamba.skeleton import FACE, INDEX, JOINTS

SMPLH = [index for index, name in enumerate(JOINTS) if name not in FACE]
"""InterHuman's first 52 joints: SMPL-X's without jaw and eyes."""
TIPS = [
    INDEX[f"{side}_{finger}3"] for side in ("left", "right") for finger in ("thumb", "index", "middle", "ring", "pinky")
]
"""The last joint of each finger; the ten points beyond them complete the 62 (52-56 left, 57-61 right)."""
IGNORED = 2
"""Clips beyond the training size that are present, listed in train.txt and in ignore_list.txt."""


def write_interhuman(
    folder: Path,
    train: int,
    val: int,
    test: int,
    seconds: tuple[float, float],
    seed: int,
    progress: Progress = SILENT,
    *,
    again: bool = False,
) -> None:
    """Write a whole dataset; equal arguments give equal bytes.

    Args:
        folder: replaced as a whole once everything is written.
        train: clips for training; the split lists :data:`IGNORED` more, which the ignore list removes.
        val: clips for validation.
        test: clips for testing, half of them of held-out combinations.
        seconds: shortest and longest clip.
        seed: root seed.
        progress: counts the clips.
        again: write the test clips alone, performed again (:func:`~intermamba.data.synthetic.plan.performed_again`).

    Raises:
        ConfigError: counts or lengths out of range.
    """
    clips = plan(train + IGNORED, val, test, seconds, seed)
    ignored = [planned for planned in clips if planned.split == "train"][:IGNORED]
    if again:
        clips = performed_again(clips)
    with whole_folder(folder) as part:
        of_persons = product(("motions_processed", "annots_individual"), PERSONS)
        for name in ("annots", "split", *map("/".join, of_persons)):
            (part / name).mkdir(parents=True)
        for split in SPLITS:
            write_lines(
                part / "split" / f"{split}.txt", [name_of(planned) for planned in clips if planned.split == split]
            )
        write_lines(part / "split" / "ignore_list.txt", [name_of(planned) for planned in ignored])
        write_clips(part, clips, name_of, _write_clip, progress)


def name_of(planned: Planned) -> str:
    """Id of a clip: a number of at least four digits, from 0001."""
    return f"{planned.number + 1:04d}"


def columns(made: Clip) -> Float[np.ndarray, "T 2 492"]:
    """Raw columns of both persons: 62 positions in metres, then 51 local rotations in interleaved 6D columns.

    Raw axes are z up: (x, y, z) here is (x, -z, y) there, which the loader's (x, z, -y) undoes. Local rotations do not
    depend on it.
    """
    frames = len(made.translation)
    positions = made.positions()
    # A fingertip continues the direction of the last bone.
    scale = np.array(made.scale)[None, :, None, None]
    last, before = positions[:, :, TIPS], positions[:, :, [index - 1 for index in TIPS]]
    lengths = np.linalg.norm(REST[TIPS], axis=-1)[None, None, :, None]
    tips = last + 0.8 * scale * lengths * (last - before) / np.linalg.norm(last - before, axis=-1, keepdims=True)
    points = np.concatenate([positions[:, :, SMPLH], tips], axis=2)
    raw = np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)
    rotations = made.rotations[:, :, SMPLH[1:], :, :2]
    return np.concatenate([raw.reshape(frames, 2, -1), rotations.reshape(frames, 2, -1)], axis=-1)


def _write_clip(folder: Path, planned: Planned) -> list[str]:
    """Write one clip; returns its captions in phrasings that are absent from training."""
    made = clip(planned.kind, planned.seed, planned.seconds, FPS, planned.parameters, unseen=planned.split == "test")
    name, values = name_of(planned), columns(made).astype(np.float32)
    for person, folder_of_person in enumerate(PERSONS):
        np.save(folder / "motions_processed" / folder_of_person / f"{name}.npy", values[:, person])
        write_lines(folder / "annots_individual" / folder_of_person / f"{name}.txt", [made.individual[person]])
    write_lines(folder / "annots" / f"{name}.txt", made.captions)
    return made.unseen_captions
