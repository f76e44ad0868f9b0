"""The interface of a method's network for training, sampling and counting."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from intermamba.config import DiffusionConfig
from intermamba.errors import DataError

PassArguments = tuple[Float[Tensor, "B T P F"], Int[Tensor, " B"], Float[Tensor, "B ..."], Bool[Tensor, "B T"]]
"""Arguments of a denoising pass: motion, diffusion step, condition, mask."""


class GuidedPass(NamedTuple):
    """One pass of classifier-free guidance: its weight, and which of the G captions it sees (the others are null)."""

    weight: float
    sees: tuple[bool, ...]


def guided(scale: float) -> tuple[GuidedPass, ...]:
    """Classifier-free guidance with one caption: ``scale`` conditional + (1 - ``scale``) unconditional."""
    return GuidedPass(scale, (True,)), GuidedPass(1 - scale, (False,))


class AdaptiveWeight(NamedTuple):
    """One learned fusion weight: alpha of a temporal branch or beta of a spatial one."""

    block: int
    module: Literal["self", "cross"]
    branch: Literal["temporal", "spatial"]
    value: nn.Parameter


class Network(nn.Module):
    """All networks of a method that sampling needs, as one module.

    ``features`` is F of one person, ``max_frames`` the longest motion, ``text_width`` the text tower's W. ``forward``
    is one pass, as it is counted; :meth:`calls` is the number of passes of a sampled motion.
    """

    independent = True
    """Whether a clip's result does not depend on the others of its batch. If it does, an evaluation generates whole
    batches of its protocol, and the Python API one motion at a time, so that results do not depend on ``runtime``."""
    groups = 1
    """G, captions of a clip: 1, the pair's; 2, the persons'; 3, the pair's and the persons'."""

    def __init__(self, features: int, max_frames: int, text_width: int) -> None:
        super().__init__()
        self.features, self.max_frames, self.text_width = features, max_frames, text_width

    def check_length(self, frames: int) -> None:
        """Refuse longer motions than the network was built for.

        Raises:
            DataError: more than ``max_frames``.
        """
        if frames > self.max_frames:
            raise DataError(f"{frames} frames given to a denoiser built for at most {self.max_frames}: cut the clip.")

    def parameter_count(self) -> int:
        """Number of trained parameters, before the network is frozen for sampling."""
        return sum(value.numel() for value in self.parameters() if value.requires_grad)

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B ..."]:
        """Condition of captions, from the tower's token features and the position of each end-of-text token."""
        raise NotImplementedError

    def example(self, frames: int, batch: int = 1) -> tuple[Any, ...]:
        """Arguments of one pass; cost does not depend on their values."""
        raise NotImplementedError

    def example_step(self, frames: int, batch: int, *condition: int, persons: int = 2) -> PassArguments:
        """Arguments of a denoising pass, whose condition has the given shape per clip."""
        weight = next(self.parameters())
        return (
            weight.new_zeros(batch, frames, persons, self.features),
            weight.new_zeros(batch, dtype=torch.long),
            weight.new_zeros(batch, *condition),
            weight.new_ones(batch, frames, dtype=torch.bool),
        )

    def guidance(self, scale: float) -> tuple[GuidedPass, ...]:  # noqa: ARG002
        """Passes whose weighted sum is the guided prediction; here one, with all captions."""
        return (GuidedPass(1.0, (True,) * self.groups),)

    def calls(self, sampling: DiffusionConfig) -> int:
        """Passes of :meth:`forward` for one motion."""
        return len(self.guidance(1.0)) * self.steps(sampling)

    def steps(self, sampling: DiffusionConfig) -> int:
        """Steps of one sampling; one for a network that needs a single pass."""
        return sampling.sampling_steps

    def adaptive_weights(self) -> list[AdaptiveWeight]:
        """Fusion weights of every block, module and branch; empty for networks without ASTM."""
        return []


def recompute(network: nn.Module) -> None:
    """Keep of each repeated block what goes in, and compute the rest once more for its gradients."""
    for block in _blocks(network):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Elements of lists of modules; not those inside such an element."""
    for child in module.children():
        yield from child if isinstance(child, nn.ModuleList) else _blocks(child)
