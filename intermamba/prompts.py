"""Prompts and their checks, without torch, so that errors appear at once."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermamba.checkpoints.recipe import GUIDANCE, Recipe
from intermamba.errors import ConfigError, DataError, quoted
from intermamba.reading import lines
from intermamba.requests import Request

LONGEST = 2000
"""Characters of a prompt; the text tower reads at most the first few hundred."""
LARGEST_FILE = 10_000_000
"""Bytes of a file of prompts."""
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Prompt:
    """A description of the motion to generate."""

    caption: str
    """What the two people do."""
    persons: tuple[str, str] | None = None
    """What each of them does, for models that read it."""
    request: Request | None = None
    """The request that it answers, if any; written into the npz."""
    sample: int | None = None
    """Number of the motion among several for one request."""

    @property
    def frames(self) -> int | None:
        """Number of frames of the request, if any."""
        return None if self.request is None else self.request.frames

    @property
    def folder(self) -> str:
        """Name of its folder: clip and repeat of a request; else the caption's words with dashes, with some digits of
        its hash where characters are lost or too many.
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
        DataError: the file cannot be read, is too large, or has no caption.
    """
    try:
        captions = lines(path, LARGEST_FILE)
    except DataError as error:
        raise DataError(f"--prompts {error}") from error
    if captions:
        return captions
    raise DataError(f"--prompts {path}: holds no prompt. Write one per line.")


def from_requests(wanted: Iterable[Request]) -> list[Prompt]:
    """One prompt per requested motion; with captions of the persons where a request has both."""
    return [
        Prompt(one.caption, (one.person_a, one.person_b) if one.person_a and one.person_b else None, one, sample)
        for one in wanted
        for sample in ([None] if one.samples is None else range(one.samples))
    ]


def pair_up(captions: Sequence[str], persons_a: Sequence[str], persons_b: Sequence[str]) -> list[Prompt]:
    """Prompts from captions of pairs and, if there are any, as many captions of each person.

    Raises:
        ConfigError: the numbers of captions differ.
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
    """Check that there are prompts, that all have words and are text, and that none is absurdly long.

    Raises:
        ConfigError: there is no prompt, a blank one, one beyond :data:`LONGEST`, or one that is not valid Unicode.
    """
    if not prompts:
        raise ConfigError("no prompt. Give at least one, for example 'Two people bow to each other.'")
    for prompt in prompts:
        for text in (prompt.caption, *(prompt.persons or ())):
            if len(text) > LONGEST:
                raise ConfigError(f"prompt {text[:40] + '...'!r}: {len(text)} characters; at most {LONGEST}.")
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ConfigError(f"prompt {quoted(text)} is not valid UTF-8. Check the terminal's encoding.") from None
            if not any(map(str.isalnum, text)):
                raise ConfigError(f"prompt {quoted(text)} has no words. Say what the two people do.")


def check_folders(prompts: Sequence[Prompt]) -> None:
    """Check that every prompt has its own folder.

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
    seeds: Sequence[int] = (),
    frames: int | None = None,
    guidance: float | None = None,
    steps: int | None = None,
) -> None:
    """Check a request against the limits of a denoiser.

    Args:
        recipe: recipe of the denoiser.
        name: name of its file, for messages.
        prompts: prompts, with captions of the persons if and only if the denoiser reads them.
        seeds: seeds of the noise.
        frames: number of frames; none: as many as the longest motion of its training.
        guidance: scale of classifier-free guidance; none: the recipe's.
        steps: steps of the sampler; none: the recipe's.

    Raises:
        ConfigError: a value is out of range, or of another type; the message has the allowed range.
    """
    for what, value in (("frames", frames), ("steps", steps), *(("seed", seed) for seed in seeds)):
        if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__")):
            raise ConfigError(f"{what} {quoted(value)}: needs a whole number.")
    check_prompts(prompts)
    who = f"{name} ({recipe.variant.name})"
    if frames is not None and any(prompt.frames for prompt in prompts):
        raise ConfigError(f"frames {frames}: each request has its own number of frames. Leave it out.")
    if frames is not None and not recipe.min_frames <= frames <= recipe.longest:
        raise ConfigError(f"frames {frames}: {who} generates {recipe.min_frames} to {recipe.longest} frames.")
    # A window of an evaluation may be shorter than a training clip.
    if (longest := max(prompt.frames or 0 for prompt in prompts)) > recipe.longest:
        raise ConfigError(f"a request needs {longest} frames; {who} generates at most {recipe.longest}.")
    if steps is not None and not 1 <= steps <= recipe.diffusion.steps:
        raise ConfigError(f"steps {steps}: 1 to {recipe.diffusion.steps}, the length of the noise schedule of {who}.")
    if guidance is not None and not 0 <= guidance <= GUIDANCE:
        raise ConfigError(
            f"guidance {guidance}: 0 to {GUIDANCE:g}, for example 3.5; 0 ignores the prompt, 1 uses it as it is."
        )
    method = recipe.variant.method
    if guidance is not None and method.guided != "scale":
        why = "has its own guidance weights" if method.guided == "own" else "samples without guidance"
        raise ConfigError(f"guidance {guidance}: {who} {why}. Leave it out.")
    if steps is not None and not method.stepwise:
        raise ConfigError(f"steps {steps}: {who} does not sample in steps. Leave it out.")
    if recipe.individual and any(prompt.persons is None for prompt in prompts):
        raise ConfigError(
            f"{who} reads a caption for each person: `persons=` in Python, --person-a and --person-b on the command "
            "line."
        )
    if not recipe.individual and any(prompt.persons for prompt in prompts):
        raise ConfigError(f"{who} reads only the caption of the pair. Leave out those of the persons.")
