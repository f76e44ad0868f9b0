"""What a kind of interaction is: its parameters, its choreography and the sentences that tell it."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from intermamba.data.synthetic.stage import Stage
from intermamba.seeds import derive

Combination = tuple[str, ...]
"""One value of every parameter, in the order of ``Kind.parameters``."""


@dataclass(frozen=True)
class Kind:
    """One kind of interaction.

    Sentences use the notation of :mod:`intermamba.data.synthetic.captions`; every one in ``captions`` names every
    parameter, those in ``loose`` leave some open. ``individual`` tells the part of the initiator, then of the other.
    """

    name: str
    parameters: dict[str, tuple[str, ...]]
    perform: Callable[[Stage], None]
    captions: tuple[str, ...]
    loose: tuple[str, ...]
    individual: tuple[str, str]

    @property
    def combinations(self) -> list[Combination]:
        return list(itertools.product(*self.parameters.values()))

    @property
    def held_out(self) -> set[Combination]:
        """Combinations that training and validation never see: about a sixth, while each value stays seen elsewhere."""
        order = sorted(self.combinations, key=lambda combination: derive(0, "held out", self.name, *combination))
        wanted, held = max(1, round(len(order) / 6)), set[Combination]()
        for combination in order:
            rest = [other for other in order if other not in held and other != combination]
            seen = [{other[place] for other in rest} for place in range(len(self.parameters))]
            if len(held) < wanted and all(
                len(values) == len(all_) for values, all_ in zip(seen, self.parameters.values(), strict=True)
            ):
                held.add(combination)
        return held
