"""The clips of a dataset: ids, splits, kinds and parameters, all decided before any motion is generated.

Every split has (within one) the same number of clips of each kind. Training and validation never see the held-out
combinations of :attr:`Kind.held_out`; half of the test split consists of them, the other half of combinations seen in
training, so a model must compose what it has learnt, and not copy its nearest training clip.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from intermamba.data.synthetic.kinds import KINDS
from intermamba.data.synthetic.kinds.kind import Combination, Kind
from intermamba.errors import ConfigError
from intermamba.paths import SPLITS
from intermamba.seeds import derive

FPS = 30
"""Lengths are whole frames at this rate, so that InterHuman's 30 fps and Inter-X's 120 fps end at the same moment."""


@dataclass(frozen=True)
class Planned:
    """One clip to be generated. ``number`` counts from 0 over the dataset, ``take`` over the clips of its kind."""

    number: int
    split: str
    kind: str
    take: int
    parameters: Mapping[str, str]
    seconds: float
    seed: int
    held_out: bool
    """Whether training never shows its combination of parameters."""


def plan(train: int, val: int, test: int, seconds: tuple[float, float], seed: int) -> list[Planned]:
    """All clips in the order of their numbers, which is shuffled over splits and kinds.

    Args:
        train: clips for training, none of a held-out combination.
        val: clips for validation, likewise.
        test: clips for testing, every other one of a held-out combination.
        seed: root seed.
        seconds: shortest and longest clip; slow variants take the longer half of the range, quick ones the shorter.

    Raises:
        ConfigError: a negative count, no clip at all, or a range that is empty or shorter than half a second.
    """
    low, high = seconds
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    if min(counts.values()) < 0 or sum(counts.values()) == 0:
        raise ConfigError(f"synthetic data: clips per split must be 0 or more and not all 0; got {counts}.")
    if not 0.5 <= low <= high:
        raise ConfigError(f"synthetic data: seconds needs 0.5 <= shortest <= longest; got {low}, {high}.")
    random = np.random.default_rng(derive(seed, "plan"))
    names = list(KINDS)
    wanted: list[tuple[str, str, Combination]] = []
    for split, count in counts.items():
        order = [names[index] for index in random.permutation(len(names))]
        decks = {name: _deck(KINDS[name], split, random) for name in names}
        for index in range(count):
            name, turn = order[index % len(order)], index // len(order)
            wanted.append((split, name, decks[name][turn % len(decks[name])]))
    held = {name: KINDS[name].held_out for name in names}
    planned, takes = [], dict.fromkeys(names, 0)
    for number, index in enumerate(random.permutation(len(wanted))):
        split, name, combination = wanted[index]
        parameters = dict(zip(KINDS[name].parameters, combination, strict=True))
        length = _length(low, high, parameters.get("speed"), random)
        new, own_seed = combination in held[name], derive(seed, "clip", number)
        planned.append(Planned(number, split, name, takes[name], parameters, length, own_seed, new))
        takes[name] += 1
    return planned


def performed_again(clips: Iterable[Planned]) -> list[Planned]:
    """The test clips with other seeds: the same kinds, parameters and lengths, in other performances."""
    return [replace(one, seed=derive(one.seed, "again")) for one in clips if one.split == "test"]


def _deck(kind: Kind, split: str, random: np.random.Generator) -> list[Combination]:
    """Combinations of a kind in the order in which a split cycles through them."""
    held = kind.held_out
    seen = [combination for combination in kind.combinations if combination not in held]
    seen = [seen[index] for index in random.permutation(len(seen))]
    if split != "test":
        return seen
    new = sorted(held)
    start = int(random.integers(2))  # of kinds with a single test clip, half show a held-out combination
    deck: list[Combination] = []
    for index, combination in enumerate(seen):
        pair = [new[index % len(new)], combination]
        deck += pair[::-1] if start else pair
    return deck


def _length(low: float, high: float, speed: str | None, random: np.random.Generator) -> float:
    middle = (low + high) / 2
    low, high = {"slowly": (middle, high), "quickly": (low, middle)}.get(speed or "", (low, high))
    shortest, longest = int(np.ceil(low * FPS - 1e-9)), int(np.floor(high * FPS + 1e-9))
    return int(random.integers(shortest, max(longest, shortest) + 1)) / FPS
