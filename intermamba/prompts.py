"""What to generate, and whether a model can: checked without torch, so that a refusal takes no time."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermamba.checkpoints.recipe import Recipe
from intermamba.errors import ConfigError, DataError, shown
from intermamba.reading import lines
from intermamba.requests import Request

LONGEST = 2000
"""Characters of a prompt; the text tower reads the first few hundred at most."""
LARGEST_FILE = 10_000_000
"""Bytes of a file of prompts."""
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Prompt:
    """What to generate."""

    caption: str
    """What the two people do."""
    persons: tuple[str, str] | None = None
    """What each of them does, for models that read it."""
    request: Request | None = None
    """Of a motion of a test clip, if it is one; written into the npz."""
    sample: int | None = None
    """Which of the several motions that the request asks for."""

    @property
    def frames(self) -> int | None:
        """As many as the request asks for."""
        return None if self.request is None else self.request.frames

    @property
    def folder(self) -> str:
        """The clip and its place in the evaluation, of a request; else the caption's words with dashes, and some digits
        of its hash where letters are lost or too many.
        """
        if self.request is not None:
            which = "" if self.sample is None else f" sample {self.sample}"
            return _folder_name(f"{self.request.clip} repeat {self.request.repeat}{which}")
        return _folder_name(self.caption)


def _folder_name(text: str) -> str:
    plain = unicodedata.normalize("NFKD", re.sub("['’]", "", text)).encode("ascii", "ignore").decode()
    words = re.findall("[a-z0-9]+", plain.lower())
    name = "-".join(words)
    if len(name) <= _LONGEST_NAME and sum(map(len, words)) == sum(map(str.isalnum, text)):
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{name[:_LONGEST_NAME].strip('-')}-{digest}".strip("-")


def read_prompts(path: str | Path) -> list[str]:
    """Captions of a text file, one per line; blank lines are skipped.

    Raises:
        DataError: a file that cannot be read, is too large, or has no caption.
    """
    try:
        captions = lines(path, LARGEST_FILE)
    except DataError as error:
        raise DataError(f"--prompts {error}") from error
    if captions:
        return captions
    raise DataError(f"--prompts {path}: holds no prompt. Write one per line.")


def from_requests(wanted: Iterable[Request]) -> list[Prompt]:
    """A prompt per motion that is asked for; captions of each person where a request has both."""
    return [
        Prompt(one.caption, (one.person_a, one.person_b) if one.person_a and one.person_b else None, one, sample)
        for one in wanted
        for sample in ([None] if one.samples is None else range(one.samples))
    ]


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
            f"{len(captions)} prompt(s), but --person-a {given[0]} and --person-b {given[1]} times. Give each once per "
            "prompt, in the prompts' order."
        )
    return [Prompt(pair, (a, b)) for pair, a, b in zip(captions, persons_a, persons_b, strict=True)]


def check_prompts(prompts: Sequence[Prompt]) -> None:
    """Whether every prompt says something and none is absurdly long.

    Raises:
        ConfigError: there is no prompt, a blank one, or one beyond :data:`LONGEST`.
    """
    if not prompts:
        raise ConfigError("no prompt. Give at least one, for example 'Two people bow to each other.'")
    for prompt in prompts:
        for text in (prompt.caption, *(prompt.persons or ())):
            if len(text) > LONGEST:
                raise ConfigError(f"prompt {text[:40] + '...'!r}: {len(text)} characters; at most {LONGEST}.")
            if not any(map(str.isalnum, text)):
                raise ConfigError(f"prompt {shown(text)} has no words. Say what the two people do.")


def check_folders(prompts: Sequence[Prompt]) -> None:
    """Whether every prompt has a folder of its own.

    Raises:
        ConfigError: two prompts would share one.
    """
    owners: dict[str, Prompt] = {}
    for prompt in prompts:
        if (other := owners.setdefault(prompt.folder, prompt)) is not prompt:
            raise ConfigError(
                f"prompts {other.caption!r} and {prompt.caption!r} would share the folder {prompt.folder!r}. "
                "Leave out one."
            )


def check_request(
    recipe: Recipe,
    name: str,
    prompts: Sequence[Prompt],
    *,
    frames: int | None = None,
    guidance: float | None = None,
    steps: int | None = None,
) -> None:
    """Whether a denoiser can do what it is asked.

    Args:
        recipe: of the denoiser.
        name: of its file, for messages.
        prompts: with captions of each person where, and only where, the denoiser reads them.
        frames: of the motions; none: the most it can.
        guidance: scale of classifier-free guidance; none: the recipe's.
        steps: of the sampler; none: the recipe's.

    Raises:
        ConfigError: the message names what is out of range and what is allowed.
    """
    check_prompts(prompts)
    who = f"{name} ({recipe.variant.name})"
    if frames is not None and any(prompt.frames for prompt in prompts):
        raise ConfigError(f"frames {frames}: each request says how many frames it asks for. Leave it out.")
    if frames is not None and not recipe.min_frames <= frames <= recipe.max_frames:
        raise ConfigError(f"frames {frames}: {who} makes {recipe.min_frames} to {recipe.max_frames} frames.")
    # A window of an evaluation may be shorter than a training clip.
    if (longest := max(prompt.frames or 0 for prompt in prompts)) > recipe.max_frames:
        raise ConfigError(f"a request asks for {longest} frames; {who} makes at most {recipe.max_frames}.")
    if steps is not None and not 1 <= steps <= recipe.diffusion.steps:
        raise ConfigError(f"steps {steps}: 1 to {recipe.diffusion.steps}, the length of the noise schedule of {who}.")
    if guidance is not None and not math.isfinite(guidance):
        raise ConfigError(f"guidance {guidance}: a finite number, for example 3.5.")
    method = recipe.variant.method
    if guidance is not None and method.guided != "scale":
        why = "has guidance weights of its own" if method.guided == "own" else "samples without guidance"
        raise ConfigError(f"guidance {guidance}: {who} {why}. Leave it out.")
    if steps is not None and not method.stepwise:
        raise ConfigError(f"steps {steps}: {who} does not sample in steps. Leave it out.")
    if recipe.individual and any(prompt.persons is None for prompt in prompts):
        raise ConfigError(f"{who} reads a caption of each person as well. Give them (--person-a and --person-b).")
    if not recipe.individual and any(prompt.persons for prompt in prompts):
        raise ConfigError(f"{who} reads only the caption of the pair. Leave out those of each person.")
