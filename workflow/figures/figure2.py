"""Figure 2: R-precision over inference time, a bubble's area being the model's parameters [paper, Figure 2].

The paper's numbers and this run's have separate panels, each with its own axes and scale of bubbles, because they
differ in data, evaluator, sizes and device.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from evaluators.results import SHUFFLED
from intermamba.job import Job
from intermamba.methods.variant import Variant
from workflow.figures.style import colours_of, plain_log
from workflow.results import reported
from workflow.results.reproduced import Study, measured_on, timing

METRIC = "top1"
"""Metric of the vertical axis [paper, caption of Figure 2]."""
LARGEST = 1100.0
"""Area of a panel's largest bubble."""
GAPS = (2, 7, 12, 18, 24, 36)
"""Points between a bubble and its label, the nearest first."""
SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Above, below, right, left, and the corners."""
FIGURE_SPACE = "\N{FIGURE SPACE}"
"""As wide as a digit."""
CHANCE = "captions shuffled (chance)"
MOST_NAMED = 6
"""Models of a panel that have their names written beside them; more are numbered and listed."""
WIDE = 8.0
"""Ratio of the longest to the shortest time beyond which the time's axis is logarithmic."""


@dataclass(frozen=True)
class Point:
    """One model."""

    method: str
    label: str
    seconds: float
    precision: float
    interval: float
    """Half width of R-precision's 95% interval."""
    millions: float
    """Parameters."""
    quartiles: tuple[float, float] | None = None
    """Quartiles of the time, where it was measured."""


@dataclass(frozen=True)
class Panel:
    """Models that may be compared with each other, and where their numbers come from."""

    title: str
    caption: str
    points: tuple[Point, ...]
    chance: float | None = None
    """R-precision of shuffled captions."""

    @property
    def largest(self) -> float:
        """Most parameters of a model, in millions."""
        return max(point.millions for point in self.points)

    @property
    def numbered(self) -> bool:
        """Whether ranks stand for names, of which there are too many."""
        return len(self.points) > MOST_NAMED

    @property
    def marks(self) -> tuple[str, ...]:
        """What is written beside each bubble: its name, or its rank by R-precision."""
        if not self.numbered:
            return tuple(point.label for point in self.points)
        order = sorted(range(len(self.points)), key=lambda index: -self.points[index].precision)
        return tuple(str(1 + order.index(index)) for index in range(len(self.points)))

    @property
    def listed(self) -> list[tuple[str, Point]]:
        """Marks and what they stand for, the best first."""
        return sorted(zip(self.marks, self.points, strict=True), key=lambda one: -one[1].precision)


def draw(study: Study, _job: Job) -> Figure:
    """From the results of a profile."""
    return figure2([reported_panel(study.variants), *measured_panels(study)])


def reported_panel(variants: Mapping[str, Variant]) -> Panel:
    """The paper's Tables 1 and 3, of the models that both report.

    The two tables label some rows differently; ``variants`` know which rows are one model.
    """
    quality, cost = reported.read(1), reported.read(3)
    known: dict[str, tuple[str, str]] = {}
    for variant in variants.values():
        rows = {place.table: place.row for place in variant.paper}
        if 1 in rows and 3 in rows:
            known.setdefault(rows[3], (variant.name, rows[1]))
    points = []
    for row in dict.fromkeys(cost["method"]):
        method, label = known.get(row, (row, row))
        found = quality[(quality["method"] == label) & (quality["metric"] == METRIC)]
        spent = cost[cost["method"] == row].set_index("metric")["value"].astype(float)
        if len(found) == 1:
            precision, interval = found[["value", "interval"]].astype(float).iloc[0]
            points.append(
                Point(method, label, spent["inference_seconds"], precision, interval, spent["parameters_millions"])
            )
    caption = "InterHuman; Tables 1 and 3 as printed; times on one RTX 4090. Bars: 95% interval of R-precision."
    return Panel("Reported in the paper", caption, tuple(points))


def measured_panels(study: Study) -> list[Panel]:
    """One panel, of this run's rows of Table 1 at the profile's own sizes; none where nothing was run on InterHuman."""
    methods = study.members(1, "interhuman")
    if not methods:
        return []
    points = []
    for method in methods:
        results = study.results("interhuman", "reproduced", method).set_index("metric")
        precision, interval = (float(results[key][METRIC]) for key in ("mean", "interval"))
        lower, median, upper = study.seconds(method).quantile([0.25, 0.5, 0.75])
        millions = study.counts(method, "profile")["parameters"] / 1e6
        points.append(Point(method, study.label(method), median, precision, interval, millions, (lower, upper)))
    shuffled = study.results("interhuman", "reference", SHUFFLED).set_index("metric")["mean"]
    caption = (
        f"InterHuman, {measured_on(study, 'interhuman')}. Time: median of {timing(study.times)}. Bars: 95% interval of "
        "R-precision over repeats of the evaluation, and quartiles of time."
    )
    title = f"This run, profile {study.config.profile}"
    return [Panel(title, caption, tuple(points), float(shuffled[METRIC]))]


def figure2(panels: Sequence[Panel]) -> Figure:
    """One axes per panel; below it the legend of bubble sizes and the source of its numbers."""
    figure = Figure(figsize=(0.5 + 3.8 * len(panels), 4.7))
    figure.subplots_adjust(left=0.08, right=0.99, top=0.87, bottom=0.38, wspace=0.2)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    colours = colours_of(point.method for panel in panels for point in panel.points)
    for axis, panel in zip(axes, panels, strict=True):
        _bubbles(axis, panel, colours)
        _legend(axis, panel)
        if panel.numbered:
            _key(axis, panel, colours)
    axes[0].set_ylabel("R-precision, top 1")
    sns.despine(fig=figure)
    figure.suptitle("Quality over time of sampling, by size of the model", fontsize="medium", fontweight="bold")
    for axis, panel in zip(axes, panels, strict=True):
        _label(axis, panel)
    return figure


def _bubbles(axis: Axes, panel: Panel, colours: Mapping[str, str]) -> None:
    for point in sorted(panel.points, key=lambda point: -point.millions):  # small bubbles on top
        colour, area = colours[point.method], _area(panel, point.millions)
        axis.scatter(point.seconds, point.precision, area, colour, alpha=0.8, edgecolor="white")
        lower, upper = point.quartiles or (point.seconds, point.seconds)
        spread = [[point.seconds - lower], [upper - point.seconds]]
        axis.errorbar(
            point.seconds, point.precision, point.interval, spread, ecolor="0.25", elinewidth=0.9, fmt="none", zorder=3
        )
    low = min(point.precision - point.interval for point in panel.points)
    high = max(point.precision + point.interval for point in panel.points)
    if panel.chance is not None:
        low = min(low, panel.chance)
        axis.axhline(panel.chance, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
        axis.annotate(
            CHANCE, (1, panel.chance), (0, 2), ("axes fraction", "data"), "offset points",
            ha="right", fontsize="x-small", color="0.4",
        )  # fmt: skip
    room = 0.25 * (high - low) or 0.01  # all may be equal
    axis.set_ylim(max(low - room, 0), high + room)
    _times(axis, panel)
    axis.set_title(panel.title, loc="left")


def _times(axis: Axes, panel: Panel) -> None:
    """The horizontal axis, from zero where the times are of one order."""
    shortest = min(point.seconds for point in panel.points)
    longest = max(max(point.seconds, *(point.quartiles or (0,))) for point in panel.points)
    axis.set_xlabel("Time of one sampling (s)")
    if longest < WIDE * shortest:
        axis.set_xlim(0, 1.2 * longest)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        return
    axis.set_xscale("log")
    axis.set_xlim(shortest / 1.8, longest * 1.8)
    plain_log(axis.xaxis)


def _key(axis: Axes, panel: Panel, colours: Mapping[str, str]) -> None:
    """The models behind the numbers, the best first, beside the panel."""
    listed = [(colours[point.method], f"{mark:{FIGURE_SPACE}>2} {point.label}") for mark, point in panel.listed]
    handles = [Line2D([], [], color=colour, marker="o", linestyle="", label=label) for colour, label in listed]
    assert axis.figure is not None
    axis.figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.06),
        bbox_transform=axis.transAxes,
        borderaxespad=0,
        handletextpad=0.2,
        labelspacing=0.35,
    )


def _legend(axis: Axes, panel: Panel) -> None:
    """The sizes of bubbles and the panel's caption, below the axis: places are shares of the axis, set by eye."""
    ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(0, panel.largest)
    sizes = [size for size in ticks if 0 < size <= panel.largest]
    handles = [axis.scatter([], [], s=_area(panel, size), color="0.85", label=f"{size:g} M") for size in sizes]
    axis.legend(
        handles=handles,
        title="Parameters",
        title_fontsize="small",
        labelspacing=1.4,
        loc="upper left",
        bbox_to_anchor=(0.01, -0.215),
        ncols=len(sizes),
        borderaxespad=0,
        borderpad=0,
        handletextpad=1.2,
        columnspacing=2.0,
        alignment="left",
    )
    text = textwrap.fill(panel.caption, 74)
    axis.text(0, -0.49, text, transform=axis.transAxes, va="top", fontsize="x-small", color="0.35", linespacing=1.4)


def _area(panel: Panel, millions: float) -> float:
    """Area of a bubble in matplotlib's unit, square points: the square of its diameter."""
    return LARGEST * millions / panel.largest


def _label(axis: Axes, panel: Panel) -> None:
    """Write each model's mark at the nearest free place around its bubble, else above it.

    A line connects a mark with its bubble if the mark had to move away.
    """
    to_points = 72 / axis.figure.dpi
    bubbles, drawn = [], []
    for point in panel.points:
        ends = [(point.seconds, point.precision + sign * point.interval) for sign in (-1, 0, 1)]
        (_, bottom), (x, y), (_, top) = axis.transData.transform(ends)
        radius = _area(panel, point.millions) ** 0.5 / 2 / to_points
        bubbles.append(Bbox.from_extents(x - radius, y - radius, x + radius, y + radius))
        drawn += [bubbles[-1], Bbox.from_extents(x - 1, bottom, x + 1, top)]
    taken = [*drawn, *(text.get_window_extent() for text in axis.texts if text.get_text() == CHANCE)]
    for point, mark, bubble in zip(panel.points, panel.marks, bubbles, strict=True):
        name = axis.annotate(
            mark, (point.seconds, point.precision), xytext=(0, 0), textcoords="offset points", ha="center",
            va="center", fontsize="small", in_layout=False,
        )  # fmt: skip
        size = name.get_window_extent()
        places = [(gap, side, _beside(bubble, size, side, gap / to_points)) for gap in GAPS for side in SIDES]
        gap, side, box = next((place for place in places if _fits(place[-1], axis, taken)), places[0])
        x, y = (_centre(box) - _centre(bubble)) * to_points
        name.set_position((x, y))
        if gap > GAPS[0] or all(side):
            reach = max(0.0, 1 - 0.5 * size.height * to_points / float(np.hypot(x, y)))
            axis.annotate(
                "", (point.seconds, point.precision), xytext=(reach * x, reach * y), textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": "0.4", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
                in_layout=False,
            )  # fmt: skip
        taken.append(box)


def _beside(bubble: Bbox, size: Bbox, side: tuple[int, int], gap: float) -> Bbox:
    """Box of a label of ``size`` on one side of a bubble, all in pixels."""
    reach = np.array([bubble.width + size.width, bubble.height + size.height]) / 2 + gap
    x, y = _centre(bubble) + np.array(side) * reach
    return Bbox.from_bounds(x - size.width / 2, y - size.height / 2, size.width, size.height)


def _centre(box: Bbox) -> np.ndarray:
    return (box.p0 + box.p1) / 2


def _fits(box: Bbox, axis: Axes, taken: Iterable[Bbox]) -> bool:
    """Whether a label is within the axes and overlaps nothing."""
    inside = (axis.bbox.p0 <= box.p0).all() and (box.p1 <= axis.bbox.p1).all()
    return bool(inside) and not any(box.overlaps(other) for other in taken)
