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
    """Input of LIIA's AdaLN: the concatenated pair, as printed in Eq. 11, or each person with the same weights."""
    h_inter: Literal["direct", "projected"] = "direct"
    """How Cross-ASTM computes B, C and Delta from h_inter: directly (Section 4.4), or in each branch through its own
    linear map, convolution and SiLU, like the person's features (one reading of Eq. 13's parentheses)."""
    cross: bool = True
    """Use Cross-ASTM. Without it nothing reads h_inter, so LIIA is removed too and the persons share only the text."""


METHOD = Method(
    name="intermamba",
    network="intermamba.models.intermamba:InterMamba",
    options=InterMambaOptions,
    sources={
        "all": "the paper, Section 5.1; where it is silent, InterGen or a choice of this project "
        "(docs/explanation/deviations.md)"
    },
)
