"""What a variant is: a row of the tables, a short difference from a method. Imports no torch."""

from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from intermamba.errors import ConfigError, unknown
from intermamba.methods import methods
from intermamba.methods.method import Frozen, Method, Options
from intermamba.reading.documents import explained


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
    changes: dict[str, Any] = Field(default={})
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
        if self.base not in (known := methods()):
            raise ValueError(unknown("base architecture", self.base, known, f"variant {self.name}"))
        self.options()
        return self

    @property
    def method(self) -> Method:
        """What it is a variant of."""
        return methods()[self.base]

    @property
    def ablation(self) -> bool:
        """Whether the paper reports it only among its ablations, Tables 4 and 5; rows of our own are compared."""
        return bool(self.paper) and {row.table for row in self.paper} <= {4, 5}

    @property
    def individual(self) -> bool:
        """Whether it reads a caption of each person besides the pair's, and has guidance weights of its own [in2IN]."""
        return self.method.individual

    def options(self) -> Options:
        """The base's options with the changes applied.

        Raises:
            ConfigError: a change the base does not know or allow.
        """
        choices = self.method.options
        for key in self.changes:
            if key not in choices.model_fields:
                raise ConfigError(unknown("option", key, choices.model_fields, f"variant {self.name}"))
        try:
            return choices(**self.changes)
        except ValidationError as error:
            raise ConfigError(f"variant {self.name}: {explained(error, ('changes',))}") from error
