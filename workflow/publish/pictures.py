"""The two pictures of the architecture, as SVG: the packages by the import contract, the stages by the stage table."""

import pkgutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import fmean

from intermamba.config import load
from workflow.graph.stages import table

WIDTH = 960.0
BOX, ROW = (146.0, 30.0), 66.0
"""Width and height of a stage's box, and distance of rows, in pixels."""
STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1a237e;text-anchor:middle}"
    "rect{fill:#e8eaf6;stroke:#5c6bc0}path{fill:none;stroke:#7986cb;stroke-width:1.5}.inner{fill:#fff}"
)


def packages() -> str:
    """The layers of the import contract over all packages (``pyproject.toml``), highest first, with their contents."""
    contracts = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one["type"] == "layers" and "containers" not in one)
    parts, top = [], 10.0
    for number, name in enumerate(layers):
        inside = sorted(one.name for one in pkgutil.iter_modules(_folder(name)) if one.ispkg)
        lines = [inside[start : start + 6] for start in range(0, len(inside), 6)]
        height = 34 + 36 * len(lines)
        parts.append(f'<rect x="10" y="{top:.0f}" width="{WIDTH - 20:.0f}" height="{height}" rx="6"/>')
        parts.append(_text(WIDTH / 2, top + 22, name, "font-weight:bold"))
        for row, line in enumerate(lines):
            for column, one in enumerate(line):
                x, y = WIDTH / 2 + (column - len(line) / 2) * 150 + 7, top + 34 + 36 * row
                parts.append(f'<rect class="inner" x="{x:.0f}" y="{y:.0f}" width="136" height="28" rx="4"/>')
                parts.append(_text(x + 68, y + 19, one))
        top += height + 36
        if number < len(layers) - 1:
            parts.append(_arrow((WIDTH / 2, top - 36), (WIDTH / 2, top)))
    return _svg(parts, top - 26)


def _folder(package: str) -> Iterable[str]:
    spec = find_spec(package)
    return (spec.submodule_search_locations if spec else None) or []


Place = str | tuple[str, str, int]
"""A stage by its name, or where an arrow between two stages passes a row."""


def stages() -> str:
    """The stages of the default profile from top to bottom; arrows that follow from others are left out."""
    rows, followers = _rows(reduced(_followers()))
    places = {one: (x, 25.0 + ROW * number) for number, row in enumerate(rows) for one, x in _spread(row)}

    def end(one: Place, side: int) -> tuple[float, float]:
        x, y = places[one]
        return x, y + side * BOX[1] / 2 * isinstance(one, str)

    parts = [
        _arrow(end(one, 1), end(other, -1), head=isinstance(other, str))
        for one, others in followers.items()
        for other in sorted(others, key=str)
    ]
    for one, (x, y) in places.items():
        if isinstance(one, str):
            corner = f'x="{x - BOX[0] / 2:.0f}" y="{y - BOX[1] / 2:.0f}"'
            parts += [f'<rect {corner} width="{BOX[0]}" height="{BOX[1]}" rx="4"/>', _text(x, y + 5, one)]
    return _svg(parts, ROW * (len(rows) - 1) + 50)


def _followers() -> dict[str, set[str]]:
    """For each stage, the stages that read its outputs."""
    used = [one for one in table(load()).values() if one.items]
    maker = {file: one.name for one in used for job in one.jobs() for file in job.writes}
    reads = {one.name: {maker.get(file) for job in one.jobs() for file in job.reads} for one in used}
    return {
        one.name: {other for other, makers in reads.items() if one.name in makers and other != one.name} for one in used
    }


def reduced(followers: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The transitive reduction of an acyclic graph: without arrows that a longer path implies."""

    def beyond(name: str) -> set[str]:
        return {far for near in followers[name] for far in followers[near] | beyond(near)}

    return {name: others - beyond(name) for name, others in followers.items()}


def _rows(graph: Mapping[str, set[str]]) -> tuple[list[list[Place]], dict[Place, set[Place]]]:
    """Rows from top to bottom, and the arrows between neighbouring rows; a long arrow passes through those between.

    A stage is as far down as its readers allow, and is placed in its row near the stages that it reads.
    """

    def height(name: str) -> int:
        return 1 + max(map(height, graph[name]), default=-1)

    heights: dict[Place, int] = {name: height(name) for name in graph}
    arrows: dict[Place, set[Place]] = {name: set() for name in graph}
    for one, others in graph.items():
        for other in sorted(others):
            passed: list[Place] = [(one, other, level) for level in range(height(one) - 1, height(other), -1)]
            heights |= {place: place[2] for place in passed if not isinstance(place, str)}
            for start, end in pairwise([one, *passed, other]):
                arrows.setdefault(start, set()).add(end)
    rows = [[one for one in heights if heights[one] == level] for level in range(max(heights.values()), -1, -1)]
    for near, row in [*pairwise(rows), *pairwise(reversed(rows))] * 4:
        _sort(row, near, arrows)
    return rows, arrows


def _sort(row: list[Place], near: Sequence[Place], arrows: Mapping[Place, set[Place]]) -> None:
    """Order ``row`` by the mean position of each place's neighbours in the row ``near``."""
    share = {one: (number + 0.5) / len(near) for number, one in enumerate(near)}

    def middle(one: Place) -> float:
        return fmean([share[other] for other in near if one in arrows[other] or other in arrows[one]] or [1])

    row.sort(key=middle)


def _spread(row: Sequence[Place]) -> Iterator[tuple[Place, float]]:
    """The places of a row with their middles, in pixels from the left."""
    widths = [BOX[0] if isinstance(one, str) else 10 for one in row]
    gap = (WIDTH - sum(widths)) / (len(row) + 1)
    for one, width, right in zip(row, widths, accumulate(gap + width for width in widths), strict=True):
        yield one, right - width / 2


def _arrow(start: tuple[float, float], end: tuple[float, float], head: bool = True) -> str:
    (x, y), (u, v) = start, end
    middle = (y + v) / 2
    way = f'd="M{x:.0f} {y:.0f}C{x:.0f} {middle:.0f} {u:.0f} {middle:.0f} {u:.0f} {v:.0f}"'
    return f"<path {way}" + (' marker-end="url(#head)"/>' if head else "/>")


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}"' + (f' style="{style}"' if style else "") + f">{text}</text>"


def _svg(parts: Sequence[str], height: float) -> str:
    size = f'viewBox="0 0 {WIDTH:.0f} {height:.0f}" width="{WIDTH:.0f}" height="{height:.0f}"'
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#7986cb;stroke:none"/></marker>'
    )
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{STYLE}</style>", f"<defs>{head}</defs>"]
    return "\n".join([*lines, *parts, "</svg>"]) + "\n"
