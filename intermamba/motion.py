"""One generated motion, and its file formats, selected by suffix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from intermamba import files
from intermamba.errors import ConfigError, unknown
from intermamba.prompts import Prompt
from intermamba.skeleton import BODY, BODY_PARENTS, INDEX, JOINTS, PARENTS

FILMS = ("gif", "mp4")
EXPORTS = ("bvh", "glb")
FORMATS = ("npz", *EXPORTS, *FILMS)
UNITS = "metres, y up; rotations as matrices relative to the parent joint; fps in frames per second"


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion of two people.

    Example:
        >>> import intermamba
        >>> motion = intermamba.load().generate("Two people bow to each other.", frames=45)
        >>> motion.joints.shape
        (45, 2, 22, 3)
        >>> motion.joint_names[:3]
        ('pelvis', 'left_hip', 'right_hip')
        >>> [path.name for path in motion.save("bow.bvh")]
        ['bow.a.bvh', 'bow.b.bvh']
    """

    prompt: Prompt
    joints: Float32[np.ndarray, "T 2 22 3"]
    """Global positions, metres, y up."""
    rotations: Float32[np.ndarray, "T 2 J 3 3"]
    """Rotation of each of ``rotation_joint_names`` relative to its parent; the pelvis's is global."""
    rotation_joint_names: tuple[str, ...]
    translation: Float32[np.ndarray, "T 2 3"]
    """Global position of the pelvis, metres."""
    features: Float32[np.ndarray, "T 2 F"]
    """The generated features, un-normalised, in the representation of the model's dataset."""
    fps: int
    """Frames per second."""
    floor: float
    """Height of the floor, metres."""
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict)
    """Its origin: variant, dataset and origin of its training, text tower, SHA-256 of the checkpoint, guidance
    weights of each pass, sampling steps."""
    joint_names: tuple[str, ...] = BODY
    bones: Float[np.ndarray, "55 3"] | None = None
    """Offsets of joints from their parents, metres, of the body in the model's training; none: the project's neutral
    skeleton."""

    def __repr__(self) -> str:
        return f"Motion({self.caption!r}, {len(self.joints)} frames, seed {self.seed})"

    @property
    def caption(self) -> str:
        """The prompt's caption."""
        return self.prompt.caption

    @property
    def note(self) -> str:
        """Caption of films: the model, its training data and the seed."""
        made = [str(self.details["variant"])] if "variant" in self.details else []
        if self.details.get("origin") == "synthetic":
            made.append("trained on synthetic data")
        return " · ".join([*made, f"seed {self.seed}"])

    def arrays(self) -> dict[str, Any]:
        """All fields by name, as arrays and text that can be read without this project.

        Example:
            >>> import intermamba
            >>> motion = intermamba.load().generate("Two people bow to each other.", frames=30)
            >>> str(motion.arrays()["units"])
            'metres, y up; rotations as matrices relative to the parent joint; fps in frames per second'
        """
        return {
            "joints": self.joints,
            "joint_names": self.joint_names,
            "parents": BODY_PARENTS,
            "rotations": self.rotations,
            "rotation_joint_names": self.rotation_joint_names,
            "rotation_relative_to": [_parent(name) for name in self.rotation_joint_names],
            "translation": self.translation,
            "floor": self.floor,
            "fps": self.fps,
            "units": UNITS,
            "caption": self.caption,
            "individual": self.prompt.persons or ("", ""),
            "seed": self.seed,
            **self._answer(),
            **({} if self.bones is None else {"bones": self.bones}),
            **self.details,
        }

    def _answer(self) -> dict[str, Any]:
        """Fields for `intermamba evaluate --motions`, if the motion answers a request."""
        if (request := self.prompt.request) is None:
            return {}
        which = {} if self.prompt.sample is None else {"sample": self.prompt.sample}
        place = {"clip": request.clip, "caption_index": request.caption_index, "repeat": request.repeat}
        return {**place, **which, "motion": self.features}

    def save(self, path: str | Path) -> list[Path]:
        """Write the motion in the format of the path's suffix, atomically; returns the files written.

        npz has every array, bvh is one file per person (``.a.bvh``, ``.b.bvh``), glb holds both, mp4 and gif are films.

        Example:
            >>> import intermamba
            >>> motion = intermamba.load().generate("Two people bow to each other.", frames=15)
            >>> motion.save("bow.glb")
            [PosixPath('bow.glb')]

        Raises:
            ConfigError: unknown suffix.
            StateError: an MP4 on a machine without ffmpeg.
        """
        path = Path(path)
        kind = path.suffix.removeprefix(".").lower()
        if kind not in FORMATS:
            raise ConfigError(unknown("suffix", path.suffix, [f".{name}" for name in FORMATS], str(path)))
        path = path.with_suffix(f".{kind}")
        if kind == "npz":
            arrays = {name: np.asarray(value) for name, value in self.arrays().items()}
            with files.atomic(path) as part:
                np.savez_compressed(part, allow_pickle=False, **arrays)
        elif kind in EXPORTS:
            from intermamba import export

            export.save(path, self.arrays())
        else:
            from intermamba.render.film import film, save

            images = film(self.joints, self.caption, self.fps, self.floor, self.note, self.prompt.persons)
            save(path, images, self.fps)
        return places(path)


def places(path: Path) -> list[Path]:
    """The files that :meth:`Motion.save` writes for a path."""
    return [path.with_suffix(f".{side}.bvh") for side in "ab"] if path.suffix.lower() == ".bvh" else [path]


def _parent(joint: str) -> str:
    parent = PARENTS[INDEX[joint]]
    return "world" if parent < 0 else JOINTS[parent]
