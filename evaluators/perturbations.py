"""Kinds and strengths of damage to real motion, which show what metrics detect. Needs no torch.

:mod:`evaluators.perturbed` applies them; :mod:`evaluators.sensitivity` compares.
"""

from dataclasses import dataclass

from intermamba.config import Dataset
from intermamba.datasets import family

NOISES = {"interhuman": ("cm", (1.0, 3.0, 10.0)), "interx": ("degrees", (2.0, 6.0, 20.0))}
"""Unit and strengths of noise on joints, by family: on a bone of 30 cm, Inter-X's degrees are about as much."""
HARMLESS = "exchanged"
"""The kind that leaves the interaction as it is, so that no metric should notice it."""


@dataclass(frozen=True)
class Perturbation:
    """One kind and strength of damage."""

    kind: str
    label: str
    level: float = 0.0
    """Strength, in the unit of the label; 0 for a kind that has none."""

    @property
    def name(self) -> str:
        """Name of the method in its rows."""
        return f"{self.kind}-{self.level:g}" if self.level else self.kind


def catalogue(dataset: Dataset) -> tuple[Perturbation, ...]:
    """Every perturbation of a dataset's motions, mild ones of a kind first."""
    unit, noises = NOISES[family(dataset)]
    return (
        *(Perturbation("joints", f"Joints, noise of {level:g} {unit}", level) for level in noises),
        *(Perturbation("trajectory", f"Trajectories, noise of {level:g} cm", level) for level in (3.0, 10.0, 30.0)),
        *(Perturbation("sliding", f"Feet slide, {level:g} cm/s", level) for level in (10.0, 50.0)),
        Perturbation("reversed", "Time reversed"),
        Perturbation("frozen", "Second person frozen"),
        Perturbation("stranger", "Second person of another clip"),
        Perturbation(HARMLESS, "Persons exchanged"),
        Perturbation("captions", "Captions swapped"),
    )
