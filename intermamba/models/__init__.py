"""Every denoiser by name: :func:`build` makes it, :func:`variants` lists them.

Importing this package imports no torch; :class:`Denoiser` and the model classes load when first asked for.
"""

import inspect
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from intermamba.config import ModelConfig
from intermamba.errors import ConfigError, unknown
from intermamba.models import options
from intermamba.models.options import OPTIONS, In2InOptions, InterGenOptions, InterMambaOptions, PaperRow, Variant

if TYPE_CHECKING:
    from intermamba.models.denoiser import AdaptiveWeight, Denoiser

__all__ = [
    "PAPER",
    "AdaptiveWeight",
    "Denoiser",
    "PaperRow",
    "Variant",
    "build",
    "check_sizes",
    "find",
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
"""The paper's sizes; where it is silent, InterGen's or ours."""


def variants() -> dict[str, Variant]:
    """Every known variant: what entry points of group ``intermamba.variants`` load, and the bare base architectures.

    Each entry point is a function without arguments that returns ``{name: Variant}``.

    Raises:
        ConfigError: two sources claim one name.
    """
    found: dict[str, Variant] = {}
    for point in entry_points(group="intermamba.variants"):
        for name, variant in point.load()().items():
            if name in found and found[name] != variant:
                raise ConfigError(f"variant {name!r} from {point.value} is already taken; rename one of the two.")
            found[name] = variant
    bare = {name: Variant(name=name, label=name, base=name, hypothesis="") for name in OPTIONS}
    return bare | found


def find(name: str) -> Variant:
    """The variant of that name.

    Raises:
        ConfigError: unknown name; the message has the nearest match and the whole list.
    """
    known = variants()
    if name not in known:
        raise ConfigError(unknown("model variant", name, known, "the bases and the ablations folder"))
    return known[name]


def source(name: str) -> Path:
    """The file that defines a variant: its own, else the module of the entry point that offers it.

    Raises:
        ConfigError: unknown name.
    """
    if file := find(name).file:
        return Path(file)
    for point in entry_points(group="intermamba.variants"):
        offered = point.load()
        if name in offered() and (module := inspect.getsourcefile(offered)):
            return Path(module)
    return Path(options.__file__)  # a bare architecture


def build(
    name: str | Variant, *, features: int = 262, max_frames: int = 300, text_width: int = 768, **sizes: Any
) -> "Denoiser":
    """A freshly initialised denoiser.

    Args:
        name: of a base or a variant (:func:`variants`), or a variant itself.
        features: F, of one person.
        max_frames: the longest window it can take.
        text_width: W of the text tower.
        sizes: fields of :class:`intermamba.config.ModelConfig` that differ from the paper's (:data:`PAPER`).

    Raises:
        ConfigError: unknown name or size, or a size out of range.
    """
    from intermamba.models.in2in import In2In
    from intermamba.models.intergen import InterGen
    from intermamba.models.intermamba import InterMamba

    variant = name if isinstance(name, Variant) else find(name)
    shape = (features, max_frames, text_width, _sizes(sizes, text_width))
    match variant.options():
        case InterMambaOptions() as options:
            return InterMamba(*shape, options)
        case In2InOptions() as options:
            return In2In(*shape, options)
        case InterGenOptions() as options:
            return InterGen(*shape, options)
        case options:
            raise ConfigError(f"variant {variant.name!r}: no model takes {type(options).__name__}")


def _sizes(changes: dict[str, Any], text_width: int) -> ModelConfig:
    for key in changes:
        if key not in ModelConfig.model_fields:
            raise ConfigError(unknown("size", key, ModelConfig.model_fields, "build"))
    try:
        sizes = ModelConfig(**{**PAPER.model_dump(), **changes})
    except ValidationError as error:
        problem = error.errors()[0]
        raise ConfigError(f"size {problem['loc'][0]}: {problem['msg']} (given: {problem['input']!r})") from error
    check_sizes(sizes, text_width)
    return sizes


def check_sizes(sizes: ModelConfig, text_width: int) -> None:
    """Whether attention heads divide the widths.

    Raises:
        ConfigError: they do not.
    """
    for whole, name, heads in ((sizes.width, "width", sizes.heads), (text_width, "text_width", sizes.text_heads)):
        if whole % heads:
            raise ConfigError(f"{name} {whole} is not a multiple of its {heads} attention heads")


def __getattr__(name: str) -> Any:
    if name in ("Denoiser", "AdaptiveWeight"):
        from intermamba.models import denoiser

        return getattr(denoiser, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
