"""InterGen (Liang et al. 2024), the attention baseline."""

from typing import Literal

from pydantic import model_validator

from intermamba.methods.method import Method
from intermamba.models.options import AstmOptions


class InterGenOptions(AstmOptions):
    """Choices of InterGen; those of ASTM apply where it replaces the self-attention."""

    self_mixer: Literal["attention", "astm"] = "attention"
    """Mixer of one person's frames: InterGen's self-attention, or Self-ASTM (Table 5, row 2)."""

    @model_validator(mode="after")
    def _relevant(self) -> "InterGenOptions":
        idle = sorted(self.model_fields_set & set(AstmOptions.model_fields))
        if self.self_mixer == "attention" and idle:
            raise ValueError(f"{', '.join(idle)}: no effect unless self_mixer is 'astm'")
        return self


METHOD = Method(
    name="intergen",
    network="intermamba.models.intergen:InterGen",
    options=InterGenOptions,
    layout="intermamba.checkpoints.official:INTERGEN_READER",
    sources={"all": "tr3e/InterGen, configs; epochs and batch as for every row"},
)
