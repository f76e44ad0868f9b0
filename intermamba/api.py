"""The public interface: ``intermamba.load`` and ``intermamba.Model`` generate motions from a checkpoint."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor

from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.config import DiffusionConfig, Sampler, TextConfig
from intermamba.device import device_for
from intermamba.errors import ConfigError, StateError, quoted, unknown
from intermamba.generate import MotionGenerator
from intermamba.motion import Motion
from intermamba.paths import DEMO
from intermamba.prompts import Prompt, check_request
from intermamba.representation import floor_under
from intermamba.seeds import derive
from intermamba.text.live import LiveText
from intermamba.text.nearest import Nearest

DEVICES = ("auto", "cpu", "cuda")
BATCH = 64
"""Motions generated at once."""


def load(path: str | Path | None = None, *, device: str = "auto") -> "Model":
    """A trained model from its checkpoint, which holds all that sampling needs.

    Example:
        >>> import intermamba
        >>> model = intermamba.load()
        >>> model.recipe.dataset
        'interhuman'

    Args:
        path: a ``weights.safetensors`` of ``intermamba train`` or ``adopt``; none: the demo checkpoint of the
            package, a small model trained on synthetic data. ``model.recipe.caveats`` lists its limits.
        device: ``cpu``, ``cuda``, or ``auto``, a GPU if there is one.

    Raises:
        StateError: no such file, or no GPU where one is asked for.
        DataError: not a checkpoint of this version.
        ConfigError: an unknown device, or text tower weights that cannot be loaded.
    """
    if device not in DEVICES:
        raise ConfigError(unknown("device", device, DEVICES, "load"))
    if device == "cuda" and not torch.cuda.is_available():
        raise StateError("device 'cuda': no GPU that torch can use. Choose cpu or auto.")
    return Model(DEMO if path is None else path, device="cuda" if device == "cuda" else device_for(device))


class Model:
    """A trained denoiser with its text tower.

    Example:
        >>> import intermamba
        >>> intermamba.load()
        Model('intermamba_long', trained on interhuman (synthetic data), 15 to 47 frames)

    Args:
        path: path of the checkpoint.
        device: a torch device.
        text: settings of the text tower; none: the checkpoint's.
        diffusion: default sampling settings; none: the checkpoint's.
        seed: root of the seeds of noise; none: the checkpoint's.
        sampler: how a GPU runs a sampling step (``runtime.sampler``).
        batch: motions generated at once.

    Raises:
        ConfigError: a ``batch`` below one.
        StateError: no such file.
        DataError: not a checkpoint of this version.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        device: str | torch.device = "cpu",
        text: TextConfig | None = None,
        diffusion: DiffusionConfig | None = None,
        seed: int | None = None,
        sampler: Sampler = "plain",
        batch: int = BATCH,
    ) -> None:
        if batch < 1:
            raise ConfigError(f"batch {batch}: at least 1.")
        self.path = Path(path)
        self._trained = checkpoints.load(path)
        self.recipe = self._trained.recipe
        self._text = LiveText(text or self.recipe.text, self._trained.reduction)
        self._diffusion = diffusion or self.recipe.diffusion
        self._seed = self.recipe.seed if seed is None else seed
        self._device, self._sampler, self._batch = device, sampler, batch
        self._sha256 = files.sha256(path)

    def __repr__(self) -> str:
        recipe = self.recipe
        return (
            f"Model({recipe.variant.name!r}, trained on {recipe.dataset} ({recipe.origin} data), "
            f"{recipe.min_frames} to {recipe.longest} frames)"
        )

    @overload
    def generate(
        self,
        prompt: str,
        *,
        frames: int | None = None,
        seed: int = 0,
        persons: tuple[str, str] | None = None,
        guidance: float | None = None,
        steps: int | None = None,
    ) -> Motion: ...

    @overload
    def generate(
        self,
        prompt: list[str] | tuple[str, ...],
        *,
        frames: int | None = None,
        seed: int = 0,
        persons: Sequence[tuple[str, str]] | None = None,
        guidance: float | None = None,
        steps: int | None = None,
    ) -> list[Motion]: ...

    def generate(
        self,
        prompt: str | list[str] | tuple[str, ...],
        *,
        frames: int | None = None,
        seed: int = 0,
        persons: tuple[str, str] | Sequence[tuple[str, str]] | None = None,
        guidance: float | None = None,
        steps: int | None = None,
    ) -> Motion | list[Motion]:
        """A motion for a prompt, or a list of motions for a list of prompts, generated as a batch.

        The same seed gives the same motion as ``intermamba sample`` with that seed, up to rounding.

        Example:
            >>> import intermamba
            >>> model = intermamba.load()
            >>> motion = model.generate("Two people bow to each other.", frames=45, seed=0)
            >>> motion.joints.shape, motion.fps
            ((45, 2, 22, 3), 30)
            >>> motions = model.generate(["They hug.", "One pushes the other."], frames=30, seed=1)
            >>> [motion.caption for motion in motions]
            ['They hug.', 'One pushes the other.']

        Args:
            prompt: what the two people do.
            frames: number of frames, at 30 per second; at most so many for a method that draws lengths (T2M); none: as
                many as the longest motion of its training.
            seed: seed of the noise.
            persons: what person a and person b do, one pair per prompt; for models that read it (in2IN).
            guidance: scale of classifier-free guidance, 0 or more: 0 ignores the prompt, 1 uses it as it is, more
                exaggerates its effect; none: the checkpoint's default.
            steps: steps of the sampler; none: the checkpoint's default.

        Raises:
            ConfigError: an argument out of range, an empty prompt, or one that is too long.
            StateError: a generated motion is not finite.
        """
        single = isinstance(prompt, str)
        captions = [prompt] if isinstance(prompt, str) else list(prompt or ())
        if wrong := [caption for caption in captions if not isinstance(caption, str)]:
            raise ConfigError(f"prompt {quoted(wrong[0])}: needs a text, or a list of texts.")
        each = [persons] if single else persons
        pairs = [None] * len(captions) if persons is None else list(each or ())
        if len(pairs) != len(captions):
            raise ConfigError(f"{len(captions)} prompt(s), but captions of each person for {len(pairs)}.")
        for pair in pairs:
            if pair is not None and not (isinstance(pair, (list, tuple)) and len(pair) == 2):
                raise ConfigError(f"persons {quoted(pair)}: each prompt needs two captions, of person a and person b.")
        prompts = [
            Prompt(caption, None if pair is None else (str(pair[0]), str(pair[1])))
            for caption, pair in zip(captions, pairs, strict=True)
        ]
        made = list(self.motions(prompts, [seed], frames=frames, guidance=guidance, steps=steps))
        for warning in self.remarks(prompts):
            warnings.warn(warning, stacklevel=2)
        return made[0] if single else made

    def motions(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[int],
        *,
        frames: int | None = None,
        guidance: float | None = None,
        steps: int | None = None,
    ) -> Iterator[Motion]:
        """A motion of every seed for every prompt, prompt by prompt; each prompt is encoded once.

        Arguments are those of :meth:`generate`.

        Raises:
            ConfigError: as :meth:`generate`.
            StateError: a generated motion is not finite.

        Example:
            >>> import intermamba
            >>> from intermamba.prompts import Prompt
            >>> motions = intermamba.load().motions([Prompt("Two people bow to each other.")], [0, 1], frames=30)
            >>> [motion.seed for motion in motions]
            [0, 1]
        """
        check_request(self.recipe, str(self.path), prompts, seeds=seeds, frames=frames, guidance=guidance, steps=steps)
        diffusion = self.diffusion(guidance=guidance, steps=steps)
        generator = MotionGenerator(self._trained, self._text, diffusion, self._device, self._sampler)
        details = {
            "variant": self.recipe.variant.name,
            "dataset": self.recipe.dataset,
            "origin": self.recipe.origin,
            "tower": self.recipe.tower,
            "checkpoint": self._sha256,
            "guidance": [one.weight for one in self._trained.model.guidance(diffusion.guidance)],
            "sampling_steps": diffusion.sampling_steps,
        }
        # Noise depends on the number of frames for which it is drawn, so that number is the same for all requests.
        lengths = [one.frames or frames or self.recipe.longest for one in prompts]
        drawn = self.recipe.longest if any(one.frames for one in prompts) else max(lengths)
        wanted = list(product(range(len(prompts)), seeds))
        cond = generator.encode([one.caption for one in prompts], [one.persons for one in prompts if one.persons])
        batch = self._batch if self._trained.model.independent else 1
        for first in range(0, len(wanted), batch):
            part = wanted[first : first + batch]
            own, asked = cond[[row for row, _ in part]], torch.tensor([lengths[row] for row, _ in part])
            noise = [self.noise_seed(seed, prompts[row]) for row, seed in part]
            given = generator.lengths(own, asked, drawn, noise)
            made = generator.generate(own, given, drawn, noise)
            for (row, seed), padded, length in zip(part, made.cpu(), given.tolist(), strict=True):
                features = padded[:length]
                if not features.isfinite().all():
                    raise StateError(f"{self.path}: {prompts[row].caption!r}, seed {seed}: the motion is not finite.")
                yield self._motion(features, prompts[row], seed, details)

    def diffusion(self, *, guidance: float | None = None, steps: int | None = None) -> DiffusionConfig:
        """The sampling settings of a request: the model's own, with the given changes.

        Example:
            >>> import intermamba
            >>> intermamba.load().diffusion(steps=7).sampling_steps
            7
        """
        changes = {"guidance": guidance, "sampling_steps": steps}
        known = {key: value for key, value in changes.items() if value is not None}
        return self._diffusion.model_copy(update=known)

    def noise_seed(self, seed: int, prompt: Prompt | None = None) -> int:
        """The seed of torch's generator for a motion's seed: the same for all prompts, but one per motion of a request,
        since evaluations assume that motions are independent.

        Example:
            >>> import intermamba
            >>> model = intermamba.load()
            >>> model.noise_seed(0) == model.noise_seed(1)
            False
        """
        if prompt is None or prompt.request is None:
            return derive(self._seed, "sample", seed)
        return derive(self._seed, "sample", seed, prompt.folder)

    def remarks(self, prompts: Sequence[Prompt]) -> list[str]:
        """Warnings on prompts: those longer than the text tower reads, and those unlike the model's training data.

        Example:
            >>> import intermamba
            >>> from intermamba.prompts import Prompt
            >>> model = intermamba.load()
            >>> model.remarks([Prompt("They bow.")]), len(model.remarks([Prompt("They bow. " * 20)]))
            ([], 1)
        """
        texts = [text for prompt in prompts for text in (prompt.caption, *(prompt.persons or ()))]
        cut = [
            f"prompt {text[:40] + '...'!r} is longer than the text tower's {self._text.context} tokens; the rest of it "
            "is ignored."
            for text in dict.fromkeys(texts)
            if self._text.cuts(text)
        ]
        strange = [
            f"prompt {_short(text)!r} is unlike every kind of interaction that the model was trained on (the nearest "
            f"is {found.kinds[0]!r}): do not expect the motion to follow it."
            for text, found in self.nearest_kinds(prompts).items()
            if found.outside
        ]
        return cut + strange

    def nearest_kinds(self, prompts: Sequence[Prompt]) -> dict[str, Nearest]:
        """The kinds of interaction nearest to each prompt, with their similarity.

        Empty for a model that was not trained on synthetic data, whose kinds are known, or that has no sentence encoder
        as its text tower to compare sentences.

        Example:
            >>> import intermamba
            >>> from intermamba.prompts import Prompt
            >>> found = intermamba.load().nearest_kinds([Prompt("Old friends embrace after many years.")])
            >>> [one.kinds[0] for one in found.values()] in ([], ["hug"])  # none: the model reads no sentences
            True
        """
        known = self.recipe.origin == "synthetic" and self.recipe.text.tower == "sentence"
        texts = list(dict.fromkeys(one.caption for one in prompts if one.request is None)) if known else []
        return dict(zip(texts, self._text.nearest_kinds(texts), strict=True)) if texts else {}

    def _motion(self, features: Float[Tensor, "T 2 F"], prompt: Prompt, seed: int, details: dict) -> Motion:
        body = self._trained.body
        joints = body.joints(features).numpy()
        return Motion(
            prompt,
            joints,
            body.rotations(features).numpy(),
            body.rotation_joints,
            body.translation(features).numpy(),
            features.numpy(),
            fps=body.fps,
            floor=floor_under(joints, body),
            seed=seed,
            details=details,
            bones=self._trained.offsets,
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."
