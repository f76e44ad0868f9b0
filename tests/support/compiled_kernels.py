"""Resources of the scan's Triton kernels as JSON, for one precision: a program of its own, since the checks that tests
put into functions would be in the kernels too.

    python tests/support/compiled_kernels.py float32 [exhaustive]

By default each candidate tile is compiled for one architecture and precision, in turn, and only the largest tile of the
fewest and of the most states for all of them.
"""

import json
import sys
from itertools import cycle, product

from intermamba.cost import kernels


def chosen(precision: str, exhaustive: bool) -> list[tuple[str, int, str, int, tuple[int, int]]]:
    """Arguments of :func:`intermamba.cost.kernels.resources`."""
    cells = []
    turns = cycle(product(kernels.PRECISIONS, kernels.ARCHITECTURES))
    for which, states in product(kernels.KERNELS, kernels.STATES):
        *_, largest = tiles = sorted(kernels.tiles(states), key=lambda tile: (tile[0] / tile[1], tile[0]))
        for tile in tiles:
            extreme = tile == largest and states in (min(kernels.STATES), max(kernels.STATES))
            turn = next(turns)
            cells += [
                (which, architecture, precision, states, tile)
                for architecture in kernels.ARCHITECTURES
                if exhaustive or extreme or turn == (precision, architecture)
            ]
    return cells


if __name__ == "__main__":
    found = [(cell, kernels.resources(*cell)._asdict()) for cell in chosen(sys.argv[1], "exhaustive" in sys.argv)]
    print(json.dumps(found))  # noqa: T201
