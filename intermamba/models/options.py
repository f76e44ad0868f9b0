"""Architecture choices that are not sizes, one frozen class a base architecture, and what a variant is.

The paper leaves much unsaid; every choice we had to infer is a field here with its reason, and a variant is a short
dictionary of fields that differ from the defaults. Imports no torch, so that the command line can list variants fast.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from intermamba.errors import ConfigError, unknown


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class AstmOptions(Frozen):
    """Choices of the adaptive spatio-temporal Mamba block, wherever it is used (Section 4.1)."""

    temporal: bool = True
    """Scan over frames (Eq. 7)."""
    spatial: bool = True
    """Scan over features within the window of frames (Eq. 8)."""
    adaptive: bool = True
    """Learn the fusion weights of Eq. 9 and 13; else both stay at their initial value."""
    initial_alpha: float = 1.0
    """Initial weight of the temporal branch. Not stated; one leaves both branches, normalised alike, with equal say."""
    initial_beta: float = 1.0
    """Initial weight of the spatial branch."""
    normalisation: Literal["adaln", "layernorm"] = "adaln"
    """Of Self-ASTM. Eq. 10 prints LayerNorm; AdaLN is our one deliberate deviation: only with it do the parameter
    counts of Tables 3 and 5 fit, and Section 5.2.2 credits AdaLN with following the prompt."""
    discretisation: Literal["mamba", "zoh"] = "mamba"
    """Eq. 5 prints the exact zero-order hold; Mamba's released code, which the paper builds on, takes delta B."""
    bidirectional: bool = False
    """Scan each branch in both directions, each with a convolution and SSM of its own, and add the two as Vision Mamba
    does. The paper does not mention it."""
    rank: Literal["configured", "mamba"] = "configured"
    """Rank of the step-size projection (Eq. 6 prints 1): the configured one, or Mamba's default, a sixteenth of the
    branch's channels rounded up."""

    @model_validator(mode="after")
    def _one_branch(self) -> "AstmOptions":
        if not (self.temporal or self.spatial):
            raise ValueError("temporal and spatial cannot both be false: no branch would be left")
        return self


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


class InterGenOptions(AstmOptions):
    """Choices of InterGen; those of ASTM apply where it replaces the self-attention."""

    self_mixer: Literal["attention", "astm"] = "attention"
    """What mixes one person's frames: InterGen's self-attention, or Self-ASTM (Table 5, row 2)."""

    @model_validator(mode="after")
    def _relevant(self) -> "InterGenOptions":
        idle = sorted(self.model_fields_set & set(AstmOptions.model_fields))
        if self.self_mixer == "attention" and idle:
            raise ValueError(f"{', '.join(idle)}: without effect unless self_mixer is 'astm'")
        return self


class In2InOptions(InterGenOptions):
    """Choices of in2IN; guidance is a weighted sum over what each pass sees [in2IN ``configs/models/in2IN.yaml``]."""

    guidance_all: float = 3.0
    """Weight of the pass that sees all three captions."""
    guidance_pair: float = 3.0
    """Weight of the pass that sees the caption of the pair alone."""
    guidance_persons: float = 1.0
    """Weight of the pass that sees the captions of the persons alone; the null pass gets the rest, up to one."""


OPTIONS: dict[str, type[AstmOptions]] = {
    "intermamba": InterMambaOptions,
    "intergen": InterGenOptions,
    "in2in": In2InOptions,
}
"""Base architectures and their choices."""


class PaperRow(Frozen):
    """Where the paper reports a variant."""

    table: Annotated[int, Field(ge=1, le=5)]
    row: str
    """Row label as printed (or described, where the row has only ticks)."""


class Variant(Frozen):
    """A row of a table: a short difference from a base architecture, and what it is meant to show."""

    name: str
    label: str
    """Row label in tables."""
    base: str
    changes: dict[str, Any] = {}
    """Fields of the base's options that differ from their defaults."""
    hypothesis: str
    """What the difference should do, said before measuring."""
    paper: tuple[PaperRow, ...] = ()
    """Rows of the paper that report it; none for rows of our own."""
    note: str = ""
    """What a reader must know to compare it fairly."""
    file: str | None = Field(default=None, exclude=True, repr=False)
    """The file that defines it, filled in where it is read."""

    @model_validator(mode="after")
    def _buildable(self) -> "Variant":
        if self.base not in OPTIONS:
            raise ValueError(unknown("base architecture", self.base, OPTIONS, f"variant {self.name}"))
        self.options()
        return self

    @property
    def ablation(self) -> bool:
        """Whether the paper reports it only among its ablations, Tables 4 and 5; rows of our own are compared."""
        return bool(self.paper) and {row.table for row in self.paper} <= {4, 5}

    @property
    def individual(self) -> bool:
        """Whether it reads a caption of each person besides the pair's, and has guidance weights of its own [in2IN]."""
        return issubclass(OPTIONS[self.base], In2InOptions)

    def options(self) -> AstmOptions:
        """The base's options with the changes applied.

        Raises:
            ConfigError: a change the base does not know or allow.
        """
        choices = OPTIONS[self.base]
        for key in self.changes:
            if key not in choices.model_fields:
                raise ConfigError(unknown("option", key, choices.model_fields, f"variant {self.name}"))
        try:
            return choices(**self.changes)
        except ValidationError as error:
            raise ConfigError(f"variant {self.name}: {error.errors()[0]['msg']} (changes: {self.changes})") from error
