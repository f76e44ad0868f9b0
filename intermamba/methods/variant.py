"""Variants: rows of the tables, each a short difference from a method. Imports no torch."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator

from intermamba.config import METHOD_NAME, Config, Dataset, Section
from intermamba.errors import ConfigError, unknown
from intermamba.methods import methods
from intermamba.methods.method import Method, Options
from intermamba.paths import TAKEN
from intermamba.reading.documents import explaining

Chosen = TypeVar("Chosen", bound=Options)


class PaperRow(Section):
    """A row of the paper that reports a variant."""

    table: Annotated[int, Field(ge=1, le=5)]
    row: str
    """Row label as printed (or described, where the row has only ticks)."""


class Variant(Section):
    """A row of a table: a short difference from a base method, and its hypothesis."""

    name: Annotated[str, Field(pattern=f"^{METHOD_NAME}$")]
    label: str
    """Row label in tables."""
    base: str
    changes: dict[str, Any] = Field(default={})
    """Fields of the base's options that differ from their defaults."""
    recipe: dict[Literal["diffusion", "losses", "training"], dict[str, Any]] = Field(default={})
    """Knobs of the profile, by section, that differ for this row."""
    hypothesis: str
    """Expected effect of the difference, stated before measuring."""
    paper: tuple[PaperRow, ...] = ()
    """Rows of the paper that report it; none for rows of this project."""
    note: str = ""
    """Caveat for a fair comparison."""
    file: str | None = Field(default=None, exclude=True, repr=False)
    """The file that defines it, set when it is read."""

    @model_validator(mode="after")
    def _buildable(self) -> "Variant":
        if self.name in TAKEN:
            raise ValueError(f"name {self.name!r} is taken; so are {', '.join(sorted({*TAKEN} - {self.name}))}")
        if self.base not in (known := methods()):
            raise ValueError(unknown("base architecture", self.base, known, f"variant {self.name}"))
        self.options()
        return self

    @property
    def method(self) -> Method:
        """The method of which it is a variant."""
        return methods()[self.base]

    @property
    def ablation(self) -> bool:
        """Whether the paper reports it only among its ablations, Tables 4 and 5; rows of this project are not."""
        return bool(self.paper) and {row.table for row in self.paper} <= {4, 5}

    @property
    def individual(self) -> bool:
        """Whether it reads a caption for each person [in2IN]."""
        return self.method.individual

    def configured(self, config: Config, dataset: Dataset | None = None) -> Config:
        """The configuration of the row: its method's knobs, then those of its recipe.

        ``dataset`` is needed for its learning rate and losses, as in :meth:`~intermamba.config.Config.of`.

        Raises:
            ConfigError: an entry of the recipe is not a knob, or out of range.
        """
        own = config.of(self.base, dataset=dataset)
        try:
            return own.changed({str(section): knobs for section, knobs in self.recipe.items()}, "recipe")
        except ValueError as error:
            raise ConfigError(f"variant {self.name}: {error}.") from error

    def options_as(self, kind: type[Chosen]) -> Chosen:
        """:meth:`options` of a base whose options are of that kind."""
        options = self.options()
        assert isinstance(options, kind)
        return options

    def options(self) -> Options:
        """The base's options with the changes applied.

        Raises:
            ConfigError: a change is unknown to the base or not allowed.
        """
        choices = self.method.options
        for key in self.changes:
            if key not in choices.model_fields:
                raise ConfigError(unknown("option", key, choices.model_fields, f"variant {self.name}"))
            for part in self.method.parts:
                if key in part.options:
                    raise ConfigError(
                        f"variant {self.name}: {key} is read by the training {part.name!r}, which all rows of "
                        f"{self.base} share. Change another option, or add a method of your own "
                        "(docs/howto/own-method.md)."
                    )
        with explaining(f"variant {self.name}", ConfigError, within=("changes",)):
            return choices(**self.changes)
