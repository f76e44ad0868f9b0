"""Choices of the shared ASTM block that are not sizes; each method's own are in its folder. Imports no torch.

Every choice that the paper does not state is a field, here or there, with its reason.
"""

from typing import Literal

from pydantic import model_validator

from intermamba.methods.method import Options


class AstmOptions(Options):
    """Choices of the adaptive spatio-temporal Mamba block, wherever it is used (Section 4.1)."""

    temporal: bool = True
    """Scan over frames (Eq. 7)."""
    spatial: bool = True
    """Scan over features within the window of frames (Eq. 8)."""
    adaptive: bool = True
    """Learn the fusion weights of Eq. 9 and 13; else both stay at their initial value."""
    initial_alpha: float = 1.0
    """Initial weight of the temporal branch. Not stated; with one, both normalised branches have equal weight."""
    initial_beta: float = 1.0
    """Initial weight of the spatial branch."""
    normalisation: Literal["adaln", "layernorm"] = "adaln"
    """Normalisation of Self-ASTM. Eq. 10 prints LayerNorm; AdaLN is a deliberate deviation: only with it do the
    parameter counts of Tables 3 and 5 fit, and Section 5.2.2 credits AdaLN with following the prompt."""
    discretisation: Literal["mamba", "zoh"] = "mamba"
    """Eq. 5 prints the exact zero-order hold; Mamba's released code, on which the paper builds, uses delta B."""
    bidirectional: bool = False
    """Scan each branch in both directions, each with its own convolution and SSM, and add the two, as in Vision Mamba.
    The paper does not mention it."""
    rank: Literal["configured", "mamba"] = "configured"
    """Rank of the step-size projection (Eq. 6 prints 1): the configured one, or Mamba's default, a sixteenth of the
    branch's channels rounded up."""

    @model_validator(mode="after")
    def _one_branch(self) -> "AstmOptions":
        if not (self.temporal or self.spatial):
            raise ValueError("temporal and spatial cannot both be false: no branch would be left")
        return self
