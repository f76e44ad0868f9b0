"""A kind of interaction: its parameters, its choreography and the sentences that describe it."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from intermamba.data.synthetic.stage import Stage
from intermamba.seeds import derive

Combination = tuple[str, ...]
"""One value of every parameter, in the order of ``Kind.parameters``."""

MIRRORED = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}


def mirrored(combination: Combination) -> Combination:
    """The combination that the mirrored motion shows."""
    return tuple(MIRRORED.get(value, value) for value in combination)


@dataclass(frozen=True)
class Kind:
    """One kind of interaction.

    Sentences use the notation of :mod:`intermamba.data.synthetic.grammar`; every one in ``captions`` names every
    parameter, those in ``loose`` leave some open. ``individual`` describes the initiator's part, then the other's.
    """

    name: str
    parameters: dict[str, tuple[str, ...]]
    perform: Callable[[Stage], None]
    captions: tuple[str, ...]
    loose: tuple[str, ...]
    individual: tuple[str, str]

    @property
    def combinations(self) -> list[Combination]:
        """Every combination of values of its parameters."""
        return list(itertools.product(*self.parameters.values()))

    @property
    def held_out(self) -> set[Combination]:
        """Combinations that training and validation never see: about a sixth, while each value stays seen elsewhere.

        A combination is held out together with its mirror image: InterHuman trains on mirrored copies as well.
        """
        order = sorted(self.combinations, key=lambda combination: derive(0, "held out", self.name, *combination))
        wanted, held = max(1, round(len(order) / 6)), set[Combination]()
        for combination in order:
            images = {combination, mirrored(combination)}
            rest = [other for other in order if other not in held | images]
            seen = [{other[place] for other in rest} for place in range(len(self.parameters))]
            if len(held) < wanted and seen == [set(values) for values in self.parameters.values()]:
                held |= images
        return held
