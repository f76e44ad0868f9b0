"""Networks by name: :func:`build` creates one, :func:`variants` lists them.

Importing this package imports no torch; :class:`Denoiser` and the model classes are imported on first use.
"""

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from intermamba.config import Config, ModelConfig, Section
from intermamba.errors import ConfigError, unknown
from intermamba.methods import methods
from intermamba.methods.method import Method
from intermamba.methods.variant import PaperRow, Variant
from intermamba.plugins import points
from intermamba.reading.documents import explaining

if TYPE_CHECKING:
    from intermamba.models.denoiser import Denoiser
    from intermamba.models.network import AdaptiveWeight, Network

__all__ = [
    "PAPER",
    "AdaptiveWeight",
    "Denoiser",
    "Network",
    "PaperRow",
    "Variant",
    "build",
    "build_for",
    "check_noise",
    "check_sizes",
    "find",
    "label_of",
    "sizes_of",
    "source",
    "variants",
]

PAPER = ModelConfig(
    width=1024,
    heads=8,
    feedforward=2048,
    dropout=0.1,
    modules=2,
    blocks_per_module=4,
    state=16,
    rank=16,
    kernel=4,
    transformer_blocks=8,
    text_layers=2,
    text_heads=8,
    text_feedforward=2048,
)
"""The paper's sizes; where it is silent, InterGen's or this project's."""
TEXT_WIDTH = 768
"""W of CLIP ViT-L/14, which InterGen reads and the paper keeps."""


def variants() -> dict[str, Variant]:
    """Every known variant: those of entry points of group ``intermamba.variants``, and the bare methods.

    Each entry point is a function without arguments that returns ``{name: Variant}``.

    Raises:
        ConfigError: two sources use the same name.
    """
    found: dict[str, Variant] = {}
    for point in points("intermamba.variants"):
        for name, variant in point.load()().items():
            if name in found and found[name] != variant:
                raise ConfigError(f"variant {name!r} from {point.value} is already taken; rename one of the two.")
            found[name] = variant
    return {name: _bare(name) for name in methods()} | found


@cache
def _bare(name: str) -> Variant:
    """A method without changes."""
    return Variant(name=name, label=name, base=name, hypothesis="")


def label_of(name: str) -> str:
    """Label of a variant; an unknown name stays."""
    known = variants()
    return known[name].label if name in known else name


def find(name: str, known: Mapping[str, Variant] | None = None) -> Variant:
    """The variant of that name, among ``known`` or all.

    Raises:
        ConfigError: unknown name; the message has the nearest match and the whole list.
    """
    known = variants() if known is None else known
    if name not in known:
        raise ConfigError(unknown("model variant", name, known, "the bases and the ablations folder"))
    return known[name]


def source(name: str, known: Mapping[str, Variant] | None = None) -> Path:
    """The file that defines a variant: its own, else the module of the entry point that offers it.

    Raises:
        ConfigError: unknown name.
    """
    if file := find(name, known).file:
        return Path(file)
    for point in points("intermamba.variants"):
        offered = point.load()
        if name in offered() and (module := inspect.getsourcefile(offered)):
            return Path(module)
    module = inspect.getsourcefile(find(name, known).method.options)
    assert module is not None
    return Path(module)


def build(
    name: str | Variant,
    *,
    features: int = 262,
    max_frames: int = 300,
    text_width: int | None = None,
    part: str | None = None,
    **sizes: Any,
) -> "Network":
    """A freshly initialised network, at its authors' sizes except for given ones.

    Args:
        name: name of a method or a variant (:func:`variants`), or a variant itself.
        features: F, features of one person.
        max_frames: the longest window.
        text_width: W of the text tower; none: that of the method's own tower.
        part: name of an earlier training whose network is wanted; none: the row's.
        sizes: fields of the method's sizes (:class:`intermamba.config.ModelConfig`, or its own class) that differ
            from its authors'.

    Raises:
        ConfigError: unknown name or size, or a size out of range.
    """
    variant = name if isinstance(name, Variant) else find(name)
    method = variant.method
    width = text_width or method.defaults.get("text", {}).get("width", TEXT_WIDTH)
    chosen = _sizes(method, sizes, width)
    if method.process.predicts == "noise" and isinstance(chosen, ModelConfig):
        check_noise(chosen.width, features, method.name)
    made: Network = resolve_name((method.training(part).network if part else "") or method.network)(
        features, max_frames, width, chosen, variant.options()
    )
    return made


def sizes_of(config: Config, base: str) -> Section:
    """The sizes of a method's networks in a profile.

    Raises:
        ConfigError: a size is unknown to the method, or out of range.
    """
    method = methods()[base]
    if method.sizes is ModelConfig:
        return config.of(base).model
    return _sizes(method, config.methods[base].sizes if base in config.methods else {}, config.of(base).text.width)


def build_for(
    config: Config, variant: str | Variant, *, features: int, max_frames: int, part: str | None = None
) -> "Network":
    """A freshly initialised network at a profile's sizes."""
    variant = find(variant) if isinstance(variant, str) else variant
    base = variant.base
    sizes = sizes_of(config, base).model_dump()
    width = config.of(base).text.width
    return build(variant, features=features, max_frames=max_frames, text_width=width, part=part, **sizes)


def _sizes(method: Method, changes: Mapping[str, Any], text_width: int) -> Section:
    choices = method.sizes
    for key in changes:
        if key not in choices.model_fields:
            raise ConfigError(unknown("size", key, choices.model_fields, method.name))
    known = PAPER.model_dump() | dict(method.defaults.get("model", {})) if choices is ModelConfig else {}
    with explaining(f"sizes of {method.name}", ConfigError):
        sizes = choices(**{**known, **changes})
    if isinstance(sizes, ModelConfig):
        check_sizes(sizes, text_width)
    return sizes


def check_sizes(sizes: ModelConfig, text_width: int) -> None:
    """Check that attention heads divide the widths.

    Raises:
        ConfigError: they do not.
    """
    for whole, name, heads in ((sizes.width, "width", sizes.heads), (text_width, "text_width", sizes.text_heads)):
        if whole % heads:
            raise ConfigError(f"{name} {whole} is not a multiple of its {heads} attention heads")


def check_noise(width: int, features: int, method: str) -> None:
    """Whether a frame's noise fits through a denoiser. Motion is smooth and fits through fewer features; noise is not.

    Raises:
        ConfigError: it does not.
    """
    if width < features:
        lost = 1 - width / features
        raise ConfigError(
            f"width {width} is less than the {features} features of a person, whose noise {method} predicts: at least "
            f"{lost:.0%} of the noise would be out of its reach, and its samples would be noise. Set "
            f"methods.{method}.model.width to {features} or more."
        )


def __getattr__(name: str) -> Any:
    if name in ("Denoiser", "Network", "AdaptiveWeight"):
        from intermamba.models import denoiser

        return getattr(denoiser, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
