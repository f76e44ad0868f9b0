"""in2IN (Ruiz-Ponce et al. 2024): InterGen with a caption for each person besides the caption of the pair."""

from intermamba.config import Weight
from intermamba.methods.intergen import InterGenOptions
from intermamba.methods.method import Method


class In2InOptions(InterGenOptions):
    """Choices of in2IN; guidance is a weighted sum over passes with other captions [``configs/models/in2IN.yaml``]."""

    guidance_all: Weight = 3.0
    """Weight of the pass that sees all three captions."""
    guidance_pair: Weight = 3.0
    """Weight of the pass that sees only the caption of the pair."""
    guidance_persons: Weight = 1.0
    """Weight of the pass that sees only the captions of the persons; the null pass gets the rest, up to one."""


METHOD = Method(
    name="in2in",
    network="intermamba.models.in2in:In2In",
    options=In2InOptions,
    individual=True,
    guided="own",
    layout="intermamba.checkpoints.official:IN2IN_READER",
    sources={"all": "pabloruizponce/in2IN, configs; epochs and batch as for every row"},
)
