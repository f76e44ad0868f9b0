"""InterMamba: text-driven generation of two people interacting, with a benchmark that retrains and re-evaluates it.

One legend of axes, for every signature in this repository (jaxtyping strings such as ``"B T P F"``):

====  ==========================================================================================
B     batch
P     person, always 2: index 0 is the first person of the pair, 1 the second
T     frame, at 30 frames per second; ``L`` where a function is about a generic sequence
J     joint (22 for SMPL bodies, 55 or 56 for SMPL-X; see :mod:`intermamba.skeleton`)
F     feature of one person (262 for InterHuman, 336 for Inter-X)
D     width of a denoiser
E     channels of a selective scan
N     state size of a selective scan
R     rank of the step-size projection
G     caption that conditions one clip: of the pair (1), or of the pair and of each person (3, in2IN)
S     token of a caption
W     width of the text tower (768 for CLIP ViT-L/14)
K     width of an evaluator's embedding, or entries of a codebook
A     body part with tokens (5, InterMask)
U     unit of four frames
Z     dimension of a latent vector
====  ==========================================================================================

Units: metres, radians, frames; y is up once a dataset is preprocessed. A ``mask`` is boolean and true on real frames.
Data flows one way: ``intermamba <- evaluators <- ablations <- workflow``; a package imports only those to its left.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intermamba.api import Model, load
    from intermamba.motion import Motion

__version__ = "0.1.0"
__all__ = ["Model", "Motion", "evaluate", "load"]

_HERE = {"Model": "intermamba.api", "load": "intermamba.api", "Motion": "intermamba.motion"}


def __getattr__(name: str) -> Any:
    """The public names, imported on first use: importing the package itself imports nothing heavy.

    Names of packages above this one, such as ``evaluate``, are entry points of the group ``intermamba.api``.
    """
    from importlib import import_module
    from importlib.metadata import entry_points

    found: Any = None
    if name in _HERE:
        found = getattr(import_module(_HERE[name]), name)
    elif name in __all__:
        found = next((point.load() for point in entry_points(group="intermamba.api", name=name)), None)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
