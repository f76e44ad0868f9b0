"""Command ``sample``: prompts to motions by a trained denoiser, as arrays (npz), films (GIF, MP4), BVH and GLB.

docs/reference/files.md describes the arrays. A provenance record is written beside each.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from intermamba import files, provenance
from intermamba.checkpoints import recipe as recipes
from intermamba.checkpoints.recipe import Recipe
from intermamba.config import Config
from intermamba.errors import ConfigError, StateError, unknown
from intermamba.motion import EXPORTS, FILMS, places
from intermamba.paths import DEMO, SAMPLES, record_of
from intermamba.progress import SILENT, Progress
from intermamba.prompts import Prompt, check_folders, check_prompts, check_request


def run(
    config: Config | None,
    weights: str | Path | None,
    prompts: Sequence[Prompt],
    *,
    frames: int | None = None,
    seeds: int = 1,
    output: str | Path = SAMPLES,
    formats: Sequence[str] = ("mp4",),
    guidance: float | None = None,
    steps: int | None = None,
    progress: Progress = SILENT,
    remark: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write ``seeds`` motions of every prompt; returns the files in the order of writing.

    They go to ``<output>/<folder of the prompt>/seed<k>.{npz,gif,mp4,a.bvh,b.bvh,glb}``. A seed gives the same noise
    for every prompt (each motion of a request has its own), and up to rounding the same motion for any number of
    seeds. All arguments are checked before torch is imported.

    Args:
        config: a profile whose path of the text tower, sampling settings and runtime are used; none: the checkpoint's
            settings.
        weights: checkpoint of any denoiser; none: the demo checkpoint of the package.
        prompts: with captions of each person if, and only if, the denoiser reads them.
        frames: number of frames; none: as many as the longest motion of its training.
        seeds: number of seeds, from 0.
        output: parent of the prompts' folders.
        formats: formats besides npz: mp4, gif, bvh, glb.
        guidance: scale of classifier-free guidance; none: the default.
        steps: steps of the sampler; none: the default.
        progress: counts the motions.
        remark: called with each remark on the result.

    Raises:
        ConfigError: a blank prompt, two prompts with one folder, another argument out of range, or a profile that does
            not match the checkpoint.
        StateError: no such checkpoint, an ``output`` that cannot be written, or a motion that is not finite.
        DataError: ``weights`` is not a checkpoint of a denoiser.
    """
    check_prompts(prompts)
    check_folders(prompts)
    if seeds < 1:
        raise ConfigError(f"seeds {seeds}: at least 1 motion per prompt.")
    check_formats(formats)
    weights = DEMO if weights is None else Path(weights)
    recipe = recipes.read(weights)
    if not recipe.individual:  # requests have them only for models that read them
        prompts = [replace(one, persons=None) if one.request else one for one in prompts]
    check_request(recipe, str(weights), prompts, frames=frames, guidance=guidance, steps=steps)
    if config is not None:
        config = recipe.variant.configured(config)
        check_profile(config, recipe, weights)
    _check_writable(Path(output))
    progress.start(len(prompts) * seeds)
    # Torch is imported from here on.
    model = _open(weights, config)
    if remark:
        for sentence in (*_about_demo(weights), *recipe.caveats, *_understood(model, prompts), *model.remarks(prompts)):
            remark(sentence)

    length = recipe.longest if frames is None else frames
    used = recipe if config is None else config
    diffusion = model.diffusion(guidance=guidance, steps=steps).model_dump(mode="json")
    knobs = {"text": used.text.model_dump(mode="json"), "diffusion": diffusion}
    motions = model.motions(prompts, range(seeds), frames=frames, guidance=guidance, steps=steps)
    written = []
    for prompt, seed in product(prompts, range(seeds)):
        stem = Path(output) / prompt.folder / f"seed{seed}"
        targets = [stem.with_suffix(f".{name}") for name in ("npz", *formats)]
        outputs = [file for target in targets for file in places(target)]
        drawn = {"sample": seed, "noise": model.noise_seed(seed, prompt)}
        asked_for = {**knobs, "frames": prompt.frames or length}
        with provenance.recorded("sample", outputs, [weights], asked_for, drawn) as notes:
            motion = next(motions)
            asked = {"caption": prompt.caption, "individual": prompt.persons or ("", ""), "seed": seed}
            if prompt.request is not None:
                asked["clip"] = prompt.request.clip
            notes.update(asked | dict(motion.details))
            for target in targets:
                motion.save(target)
        written += outputs
        progress()
    return written


def _about_demo(weights: Path) -> list[str]:
    """Origin of the demo checkpoint, and the rule by which it was chosen; empty for other checkpoints."""
    return [f"demo checkpoint: {files.read_json(record_of(DEMO))['notes']['chosen']}"] if weights == DEMO else []


def _understood(model: Any, prompts: Sequence[Prompt]) -> list[str]:
    """The kinds of interaction that are nearest to the prompts, if the model can compare them."""
    return [
        f"{prompt!r} is nearest to: "
        + ", ".join(f"{kind} ({share:.0%})" for kind, share in zip(found.kinds, found.probabilities, strict=True))
        for prompt, found in model.nearest_kinds(prompts).items()
    ]


def _open(weights: Path, config: Config | None) -> Any:  # a Model, which needs torch
    from intermamba import api
    from intermamba.device import device_for, prepare_processor

    if config is None:
        return api.load(weights)
    prepare_processor(config.runtime.threads)
    return api.Model(
        weights,
        device=device_for(config.runtime.accelerator),
        text=config.text,
        diffusion=config.diffusion,
        seed=config.seed,
        sampler=config.runtime.sampler,
        batch=config.runtime.sampling_batch,
    )


def check_profile(config: Config, recipe: Recipe, weights: Path) -> None:
    """Check that a row's configuration matches a checkpoint: same text tower, context and noise schedule.

    Raises:
        ConfigError: it does not match.
    """
    from intermamba.text.names import tower_name

    pairs = {
        "text tower": (tower_name(config.text), recipe.tower),
        "text.context": (config.text.context, recipe.text.context),
        "diffusion.steps": (config.diffusion.steps, recipe.diffusion.steps),
    }
    for what, (given, known) in pairs.items():
        if given != known:
            raise ConfigError(
                f"--profile {config.profile} does not fit {weights}: {what} {given}, but the checkpoint was trained "
                f"with {known}. Leave --profile out to use the checkpoint's own settings."
            )


def check_formats(names: Sequence[str]) -> None:
    """Check that this machine can write these formats besides npz.

    Raises:
        ConfigError: an unknown format.
        StateError: an MP4 on a machine without ffmpeg.
    """
    for name in names:
        if name not in (*FILMS, *EXPORTS):
            raise ConfigError(unknown("format", name, (*FILMS, *EXPORTS), "--format"))
    if "mp4" in names:
        from intermamba.render.ffmpeg import check_ffmpeg

        check_ffmpeg("--format")


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StateError(f"--output {folder}: cannot be written ({error.strerror}). Choose another folder.") from error
