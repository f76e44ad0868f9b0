"""InterMamba, the paper's method (Section 4)."""

from typing import Annotated, Literal

from pydantic import Field

from intermamba.methods.method import Method
from intermamba.models.options import AstmOptions


class InterMambaOptions(AstmOptions):
    """Choices of InterMamba (Section 4)."""

    modules: Annotated[int, Field(gt=0)] | None = None
    """Stacked ASTM modules in place of the configured number [UltraLight: one]."""
    liia: Literal["conv", "mean"] = "conv"
    """How the pair's features become one sequence: the two convolutions of Eq. 11, or the mean of the two persons after
    the same AdaLN (the ablation "without LIIA"; the paper does not define it, and Cross-ASTM needs some h_inter)."""
    liia_norm: Literal["pair", "person"] = "pair"
    """What LIIA's AdaLN normalises: the concatenated pair, as Eq. 11 prints, or each person with the same weights."""
    h_inter: Literal["direct", "projected"] = "direct"
    """How Cross-ASTM reads B, C and Delta from h_inter: as it is (Section 4.4), or in each branch through a linear map,
    convolution and SiLU of its own, as the person's features go (one way to take Eq. 13's parentheses)."""
    cross: bool = True
    """Have Cross-ASTM. Without it nothing reads h_inter, so LIIA goes too and the persons share only text and noise."""


METHOD = Method(
    name="intermamba",
    network="intermamba.models.intermamba:InterMamba",
    options=InterMambaOptions,
    sources={"all": "the paper, Section 5.1; where it is silent InterGen or ours (docs/explanation/deviations.md)"},
)
