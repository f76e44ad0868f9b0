"""How every figure looks, and how it is saved so that equal data give equal bytes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from intermamba import files

COLOURS = {
    "intermamba": "#009E73",
    "intermamba_light": "#B8860B",
    "intergen": "#303030",
    "in2in": "#56B4E9",
}
"""Colours of models, the same in every figure. Blue and orange are the two people's, here and in the viewer."""
OTHERS = ("#CC79A7", "#332288", "#882255", "#999933", "#999999")
"""Colours of other models: ablations and users' own."""
BRANCHES = {"alpha": "#6A3D9A", "beta": "#8C6D1F"}
"""Colours of the fusion weights."""
FOOLED = "#F2A7CF"
"""Colour of a metric that improves under damage."""


def colours_of(methods: Iterable[str]) -> dict[str, str]:
    """A colour for each model: its own in the style, or one of those left over in order of appearance."""
    names = list(dict.fromkeys(methods))
    spare = iter(OTHERS * len(names))
    return {name: COLOURS[name] if name in COLOURS else next(spare) for name in names}


_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that no machine substitutes another
    "axes.titlesize": "medium",
    "axes.labelsize": "medium",
    "legend.frameon": False,
    "legend.fontsize": "small",
    "lines.solid_capstyle": "round",
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
}


def plain_log(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis: the more of each decade the fewer it has, in even steps if less than one."""
    low, high = axis.get_view_interval()
    of_decade = (1, 3) if high > 100 * low else (1, 2, 5)
    axis.set_major_locator(LogLocator(subs=of_decade) if high > 10 * low else MaxNLocator(5))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


@contextmanager
def themed() -> Iterator[None]:
    """Draw with the project's style, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        sns.set_theme(context="paper", style="ticks", rc=_SETTINGS)
        yield


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` in the format of the suffix (pdf or png), without the date and versions of the moment."""
    metadata = (
        {"CreationDate": None, "Producer": None, "Creator": None} if path.suffix == ".pdf" else {"Software": None}
    )
    with files.atomic(path) as part:
        figure.savefig(part, bbox_inches="tight", metadata=metadata)


def absent(title: str, reason: str) -> Figure:
    """A figure without data: its title, and why there is nothing to draw."""
    figure = Figure(figsize=(6.4, 1.6), layout="constrained")
    figure.suptitle(title, fontsize="medium", fontweight="bold")
    figure.text(0.5, 0.4, reason, ha="center", va="center", color="0.35")
    return figure
