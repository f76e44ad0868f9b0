"""Command ``sample``: prompts to motions by a trained denoiser, as arrays (npz), films (GIF, MP4), BVH and GLB.

docs/architecture.md describes the arrays. A record of provenance lies beside each.
"""

import hashlib
import math
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from intermamba import export, files, provenance
from intermamba.checkpoints.trained import Trained, load
from intermamba.config import Config, DiffusionConfig
from intermamba.device import device_for
from intermamba.errors import ConfigError, DataError, StateError, unknown
from intermamba.generate import MotionGenerator
from intermamba.paths import SAMPLES
from intermamba.render.film import FORMATS as FILMS
from intermamba.render.film import check_format, film, save
from intermamba.representation import Representation, floor_under, representation
from intermamba.seeds import derive
from intermamba.skeleton import BODY, BODY_PARENTS, INDEX, JOINTS, PARENTS
from intermamba.text.live import LiveText

UNITS = "metres, y up; rotations as matrices relative to the parent joint; fps in frames a second"
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Prompt:
    """What to generate."""

    caption: str
    """What the two people do."""
    persons: tuple[str, str] | None = None
    """What each of them does, for models that read it."""

    @property
    def folder(self) -> str:
        """The caption's words with dashes; where letters are lost or too many, with some digits of its hash as well."""
        plain = unicodedata.normalize("NFKD", re.sub("['’]", "", self.caption)).encode("ascii", "ignore").decode()
        words = re.findall("[a-z0-9]+", plain.lower())
        name = "-".join(words)
        if len(name) <= _LONGEST_NAME and sum(map(len, words)) == sum(map(str.isalnum, self.caption)):
            return name
        digest = hashlib.sha256(self.caption.encode()).hexdigest()[:8]
        return f"{name[:_LONGEST_NAME].strip('-')}-{digest}".strip("-")


def run(
    config: Config,
    weights: str | Path,
    prompts: Sequence[Prompt],
    *,
    frames: int | None = None,
    seeds: int = 1,
    output: str | Path = SAMPLES,
    formats: Sequence[str] = ("mp4",),
    guidance: float | None = None,
    steps: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write ``seeds`` motions of every prompt; returns the files in the order they were written.

    They lie in ``<output>/<folder of the prompt>/seed<k>.{npz,gif,mp4,a.bvh,b.bvh,glb}``. A seed gives the same noise
    for every prompt, and up to rounding the same motion however many are asked for. ``runtime.sampling_batch`` are
    generated at once.

    Args:
        config: its text tower and noise schedule must be those the denoiser was trained with.
        weights: checkpoint of any denoiser.
        prompts: with captions of each person where, and only where, the denoiser reads them.
        frames: of the motions; by default as many as the denoiser can make.
        seeds: how many, from 0.
        output: folder of the prompts' folders.
        formats: what to write beside the npz: mp4, gif, bvh, glb.
        guidance: scale of classifier-free guidance; by default the profile's.
        steps: of the sampler; by default the profile's.
        progress: called with 1 after every motion.

    Raises:
        ConfigError: a blank prompt, two prompts with one folder, another argument out of range, or a profile that does
            not fit the checkpoint.
        StateError: no such checkpoint, an ``output`` that cannot be written to, or a motion that is not finite.
        DataError: ``weights`` is no checkpoint of a denoiser.
    """
    _check_prompts(prompts)
    if seeds < 1:
        raise ConfigError(f"--seeds {seeds}: at least 1 motion a prompt.")
    check_formats(formats)
    diffusion = _diffusion(config, guidance, steps)
    trained = load(weights)
    _check_fit(prompts, frames, guidance, trained, weights)
    _check_writable(Path(output))

    torch.set_num_threads(config.runtime.threads)
    generator = MotionGenerator(
        trained, LiveText(config.text), diffusion, device_for(config.runtime), config.runtime.sampler
    )
    body = representation(trained.dataset)
    length = trained.model.max_frames if frames is None else frames
    model = {
        "variant": trained.variant,
        "dataset": trained.dataset,
        "origin": trained.origin,
        "tower": trained.tower,
        "checkpoint": files.sha256(weights),
        "guidance": [one.weight for one in trained.model.guidance(diffusion.guidance)],
        "sampling_steps": diffusion.sampling_steps,
    }
    made_by = f"{trained.variant} trained on {trained.dataset} ({trained.origin} data) · text tower {trained.tower}"
    knobs = {"text": config.section("text"), "diffusion": diffusion.model_dump(mode="json"), "frames": length}
    noises = [derive(config.seed, "sample", seed) for seed in range(seeds)]
    motions = _motions(generator, prompts, noises, length, config.runtime.sampling_batch)
    written = []
    for (prompt, seed), motion in zip(product(prompts, range(seeds)), motions, strict=True):
        stem = Path(output) / prompt.folder / f"seed{seed}"
        others = {name: _places(stem, name) for name in formats}
        outputs = [stem.with_suffix(".npz"), *(file for targets in others.values() for file in targets)]
        drawn = {"sample": seed, "noise": noises[seed]}
        with provenance.recorded("sample", outputs, [weights], knobs, drawn) as notes:
            asked = {"caption": prompt.caption, "individual": prompt.persons or ("", ""), "seed": seed}
            notes.update(asked | model)
            if not motion.isfinite().all():
                raise StateError(f"{weights}: {prompt.caption!r}, seed {seed}: the motion is not finite.")
            content = describe(motion, body)
            _write_arrays(outputs[0], content | asked | model)
            note = f"{made_by} · seed {seed}"
            for name, targets in others.items():
                if name in export.FORMATS:
                    export.save(stem, name, content | asked)
                else:
                    images = film(content["joints"], prompt.caption, body.fps, content["floor"], note, prompt.persons)
                    save(targets[0], images, body.fps)
        written += outputs
        if progress:
            progress(1)
    return written


def check_formats(names: Sequence[str]) -> None:
    """Whether this machine can write these formats beside the npz.

    Raises:
        ConfigError: an unknown one.
        StateError: an MP4 on a machine without ffmpeg.
    """
    for name in names:
        if name not in (*FILMS, *export.FORMATS):
            raise ConfigError(unknown("format", name, (*FILMS, *export.FORMATS), "--format"))
        if name in FILMS:
            check_format(name, "--format")


def _places(stem: Path, name: str) -> list[Path]:
    return export.places(stem, name) if name in export.FORMATS else [stem.with_suffix(f".{name}")]


def _motions(
    generator: MotionGenerator, prompts: Sequence[Prompt], seeds: Sequence[int], frames: int, batch: int
) -> Iterator[Float[Tensor, "T 2 F"]]:
    """A motion of each prompt and seed, ``batch`` at once; each prompt is encoded once."""
    cond = generator.encode([one.caption for one in prompts], [one.persons for one in prompts if one.persons])
    wanted = list(product(range(len(prompts)), seeds))
    for first in range(0, len(wanted), batch):
        rows, noises = zip(*wanted[first : first + batch], strict=True)
        yield from generator.generate(cond[list(rows)], torch.full((len(rows),), frames), frames, noises).cpu()


def describe(motion: Float[Tensor, "T 2 F"], body: Representation) -> dict[str, Any]:
    """What a motion is, in arrays that need none of this project's code to read."""
    joints = body.joints(motion).numpy()
    return {
        "joints": joints,
        "joint_names": BODY,
        "parents": BODY_PARENTS,
        "rotations": body.rotations(motion).numpy(),
        "rotation_joint_names": body.rotation_joints,
        "rotation_relative_to": [_parent(name) for name in body.rotation_joints],
        "translation": body.translation(motion).numpy(),
        "floor": floor_under(joints, body),
        "fps": body.fps,
        "units": UNITS,
    }


def _parent(joint: str) -> str:
    parent = PARENTS[INDEX[joint]]
    return "world" if parent < 0 else JOINTS[parent]


def _write_arrays(path: Path, content: dict[str, Any]) -> None:
    arrays = {name: np.asarray(value) for name, value in content.items()}
    with files.atomic(path) as part:
        np.savez_compressed(part, allow_pickle=False, **arrays)


def read_prompts(path: str | Path) -> list[str]:
    """Captions of a text file, one a line; blank lines are skipped.

    Raises:
        DataError: a file that cannot be read, or without any caption.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--prompts {path}: cannot be read as text ({error}).") from error
    if captions := [line.strip() for line in lines if line.strip()]:
        return captions
    raise DataError(f"--prompts {path}: holds no prompt. Write one a line.")


def pair_up(captions: Sequence[str], persons_a: Sequence[str], persons_b: Sequence[str]) -> list[Prompt]:
    """Prompts from captions of pairs and, if there are any, as many captions of each person.

    Raises:
        ConfigError: not one caption of each person for each prompt.
    """
    if not persons_a and not persons_b:
        return [Prompt(caption) for caption in captions]
    given = len(persons_a), len(persons_b)
    if given != (len(captions), len(captions)):
        raise ConfigError(
            f"{len(captions)} prompt(s), but --person-a {given[0]} and --person-b {given[1]} times. Give each once a "
            "prompt, in the prompts' order."
        )
    return [Prompt(pair, (a, b)) for pair, a, b in zip(captions, persons_a, persons_b, strict=True)]


def _check_prompts(prompts: Sequence[Prompt]) -> None:
    if not prompts:
        raise ConfigError("no prompt. Give one in quotation marks, or --prompts FILE with one a line.")
    owners: dict[str, Prompt] = {}
    for prompt in prompts:
        for text in (prompt.caption, *(prompt.persons or ())):
            if not any(map(str.isalnum, text)):
                raise ConfigError(f"prompt {text!r} has no words. Say what the two people do.")
        if (other := owners.setdefault(prompt.folder, prompt)) is not prompt:
            raise ConfigError(
                f"prompts {other.caption!r} and {prompt.caption!r} would share the folder {prompt.folder!r}. "
                "Leave out one."
            )


def _diffusion(config: Config, guidance: float | None, steps: int | None) -> DiffusionConfig:
    most = config.diffusion.steps
    if steps is not None and not 1 <= steps <= most:
        raise ConfigError(f"--steps {steps}: 1 to {most}, the diffusion.steps of profile {config.profile!r}.")
    if guidance is not None and not math.isfinite(guidance):
        raise ConfigError(f"--guidance {guidance}: a finite number, for example 3.5.")
    changes = {"guidance": guidance, "sampling_steps": steps}
    return config.diffusion.model_copy(update={key: value for key, value in changes.items() if value is not None})


def _check_fit(
    prompts: Sequence[Prompt], frames: int | None, guidance: float | None, trained: Trained, weights: str | Path
) -> None:
    """Refuse what this denoiser cannot do."""
    model, name = trained.model, f"{weights} ({trained.variant})"
    if frames is not None and not trained.recipe.min_frames <= frames <= model.max_frames:
        raise ConfigError(f"--frames {frames}: {name} makes {trained.recipe.min_frames} to {model.max_frames} frames.")
    if model.individual and any(prompt.persons is None for prompt in prompts):
        raise ConfigError(f"{name} reads a caption of each person as well. Give --person-a and --person-b.")
    if not model.individual and any(prompt.persons for prompt in prompts):
        raise ConfigError(f"{name} reads only the caption of the pair. Leave out --person-a and --person-b.")
    if guidance is not None and model.guidance(1.0) == model.guidance(2.0):
        raise ConfigError(f"--guidance {guidance}: {name} has guidance weights of its own. Leave it out.")


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StateError(f"--output {folder}: cannot be written to ({error.strerror}). Name another folder.") from error
