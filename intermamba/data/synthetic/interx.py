"""The embedded dataset in Inter-X's raw layout: SMPL-X parameters at 120 fps, y up, with texts, order and word vectors.

Bodies have neutral size: the owners' processing ignores ``betas``, so a scaled body would slide and miss its contacts.
As in SMPL-X, the pelvis is at ``trans`` plus its rest offset, which is zero for this project's skeleton.
"""

import pickle
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from intermamba.data.synthetic.choreography import clip
from intermamba.data.synthetic.kinds import KINDS
from intermamba.data.synthetic.lexicon import vector, vocabulary
from intermamba.data.synthetic.plan import Planned, performed_again, plan
from intermamba.data.synthetic.writing import whole_folder, write_clips, write_lines
from intermamba.paths import SPLITS
from intermamba.progress import SILENT, Progress
from intermamba.seeds import derive
from intermamba.skeleton import BODY, INDEX

FPS = 120
GROUPS = 59
"""Pairs of people in Inter-X, the ggg of an id."""
PICKLE_PROTOCOL = 4


def write_interx(
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
        train: clips for training.
        val: clips for validation.
        test: clips for testing, half of them of held-out combinations.
        seconds: shortest and longest clip.
        seed: root seed.
        progress: counts the clips.
        again: write the test clips alone, performed again (:func:`~intermamba.data.synthetic.plan.performed_again`).

    Raises:
        ConfigError: counts or lengths out of range.
    """
    clips = plan(train, val, test, seconds, seed)
    if again:
        clips = performed_again(clips)
    with whole_folder(folder) as part:
        for name in ("motions", "texts", "texts_processed", "splits", "annots", "glove"):
            (part / name).mkdir(parents=True)
        for split in (*SPLITS, "all"):
            names = sorted(name_of(planned) for planned in clips if split in (planned.split, "all"))
            write_lines(part / "splits" / f"{split}.txt", names)
        _write_pickle(
            part / "annots" / "interaction_order.pkl", {name_of(planned): actor_of(planned) for planned in clips}
        )
        _write_vectors(part / "glove")
        write_clips(part, clips, name_of, _write_clip, progress)


def name_of(planned: Planned) -> str:
    """Id ``GgggTtttAaaaRrrr``: the action is the number of the kind; group, shoot and repetition count its takes."""
    take, group = divmod(planned.take, GROUPS)
    repetition, shoot = divmod(take, 1000)
    return f"G{group + 1:03d}T{shoot:03d}A{list(KINDS).index(planned.kind):03d}R{repetition:03d}"


def actor_of(planned: Planned) -> int:
    """The initiator, from the clip's own seed: 0 for P1, 1 for P2."""
    return derive(planned.seed, "actor") % 2


def _write_clip(folder: Path, planned: Planned) -> list[str]:
    """Write one clip; returns its captions in phrasings that are absent from training."""
    unseen = planned.split == "test"
    made = clip(planned.kind, planned.seed, planned.seconds, FPS, planned.parameters, variation=0.0, unseen=unseen)
    name = name_of(planned)
    (folder / "motions" / name).mkdir()
    for person in (0, 1):
        vectors = axis_angle(made.rotations[:, person])
        np.savez_compressed(
            folder / "motions" / name / f"P{person + 1}.npz",
            root_orient=vectors[:, 0],
            pose_body=vectors[:, 1 : len(BODY)],
            pose_lhand=vectors[:, INDEX["left_index1"] : INDEX["left_index1"] + 15],
            pose_rhand=vectors[:, INDEX["right_index1"] : INDEX["right_index1"] + 15],
            trans=made.translation[:, person].astype(np.float32),
            betas=np.zeros((1, 10), np.float32),
            gender=np.array("neutral"),
        )
    write_lines(folder / "texts" / f"{name}.txt", made.captions)
    pairs = zip(made.captions, made.tokens, strict=True)
    processed = (f"{caption}#{tokens}#0.0#0.0" for caption, tokens in pairs)
    write_lines(folder / "texts_processed" / f"{name}.txt", processed)
    return made.unseen_captions


def axis_angle(matrices: Float[np.ndarray, "T J 3 3"]) -> Float[np.ndarray, "T J 3"]:
    """Rotation vectors, float32."""
    skew = matrices - np.swapaxes(matrices, -1, -2)
    vectors = np.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], axis=-1) / 2
    sine, cosine = np.linalg.norm(vectors, axis=-1), (np.trace(matrices, axis1=-2, axis2=-1) - 1) / 2
    safe = np.maximum(sine, 1e-12)
    vectors *= np.where(sine > 1e-12, np.arctan2(sine, cosine) / safe, 1.0)[..., None]
    half_turn = (sine < 1e-6) & (cosine < 0)  # the skew part vanishes there; SciPy's slower method does not need it
    if half_turn.any():
        vectors[half_turn] = Rotation.from_matrix(matrices[half_turn]).as_rotvec()
    return vectors.astype(np.float32)


def _write_vectors(folder: Path) -> None:
    words = vocabulary()
    np.save(folder / "hhi_vab_data.npy", np.stack([vector(word) for word in words]))
    _write_pickle(folder / "hhi_vab_words.pkl", words)
    _write_pickle(folder / "hhi_vab_idx.pkl", {word: index for index, word in enumerate(words)})


def _write_pickle(path: Path, value: object) -> None:
    path.write_bytes(pickle.dumps(value, protocol=PICKLE_PROTOCOL))
