"""Registry of tables and figures: name, caption and inputs of each, and the function that makes it.

``workflow.tables`` and ``workflow.figures`` list this project's. Other packages add theirs as entry points of the
groups ``intermamba.tables`` and ``intermamba.figures``, each of which names an :class:`Exhibit`. The stage table, the
stages, the report and the documents read the registry.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any, Literal

from intermamba.config import Config
from intermamba.plugins import offered


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One table or figure."""

    name: str
    """Name of its files, without suffix."""
    title: str
    text: str = ""
    """What a figure shows: its caption and alternative text."""
    function: str
    """``module:function`` that makes it from the results and the job of its stage: ``function(study, job)`` returns a
    :class:`workflow.cells.Table` or a matplotlib figure."""
    inputs: tuple[str, ...] = ()
    """Inputs beside the study's summary and costs, by their names in the stage table (``job.all(name)``)."""
    knobs: tuple[str, ...] = ()
    """Sections of the configuration beside those of every table or figure."""
    needs: str = ""
    """Knob without which it is not made, such as ``copying``; empty: every profile has it."""
    timed: bool = False
    """Whether it shows timings, which differ between identical runs."""
    number: int = 0
    """0: the next free number."""
    in_paper: bool = False
    """Whether the paper has it, under the same number."""

    def make(self, *given: Any) -> Any:
        """Call its function."""
        return resolve_name(self.function)(*given)


def numbered(exhibits: Iterable[Exhibit]) -> dict[str, Exhibit]:
    """By name, in the order of their numbers; those without a number get the next ones."""
    fixed = sorted((one for one in exhibits if one.number), key=lambda one: one.number)
    free = [one for one in exhibits if not one.number]
    last = max((one.number for one in fixed), default=0)
    return {one.name: one for one in (*fixed, *(replace(one, number=last + n) for n, one in enumerate(free, 1)))}


def registered(group: str, own: Mapping[str, Exhibit]) -> dict[str, Exhibit]:
    """Numbered exhibits of this project, and those of other packages after them.

    Raises:
        ConfigError: an entry point of ``group`` is not an exhibit, or its name is taken.
    """
    return numbered(offered(group, Exhibit, own).values())


def of_profile(exhibits: Mapping[str, Exhibit], config: Config | None) -> dict[str, Exhibit]:
    """Those of ``exhibits`` that a profile makes; all without one."""
    return {name: one for name, one in exhibits.items() if config is None or not one.needs or config.section(one.needs)}


def numbering(what: str, exhibits: Iterable[Exhibit]) -> str:
    """Which numbers are the paper's: "Tables 1 to 5 are numbered as in the paper; ..."."""
    known = list(exhibits)
    papers = [one.number for one in known if one.in_paper]
    own = min(one.number for one in known if not one.in_paper)
    run = papers == list(range(papers[0], papers[-1] + 1))
    listed = f"{papers[0]} to {papers[-1]}" if run else f"{', '.join(map(str, papers[:-1]))} and {papers[-1]}"
    return f"{what} {listed} are numbered as in the paper; those from {own} on are of this project alone."


def union(exhibits: Mapping[str, Exhibit], field: Literal["inputs", "knobs"]) -> tuple[str, ...]:
    """Values of a field of all exhibits, each once."""
    return tuple(dict.fromkeys(value for one in exhibits.values() for value in getattr(one, field)))
