"""Items that stages repeat over (datasets, runs, parts, checkpoints, motions), with the paths that differ by item."""

from collections.abc import Iterable
from functools import cache, cached_property, partial
from typing import Any

from intermamba.config import Config, OfficialConfig
from intermamba.errors import ConfigError, unknown
from intermamba.methods import MOST_NEEDED, methods
from intermamba.methods.method import Training
from intermamba.models import find, source, variants
from intermamba.names import FULL_MODEL
from intermamba.paths import local, statistics_of, template
from intermamba.text.names import own_tower, weights_of
from workflow.graph.stage import Item


class Items:
    """Items of a profile. A method makes one from the values of a stage's fields, also one that no profile names."""

    def __init__(self, config: Config) -> None:
        self.config = config
        every = variants()  # which looks into the folders of variants each time
        self.variant = cache(partial(find, known=every))
        self.recipe = cache(lambda variant: local(source(variant, every)))

    def at(self, name: str, **fields: object) -> str:
        """Template of a path of the profile."""
        return template(name, profile=self.config.profile, **fields)

    def dataset(self, dataset: str) -> Item:
        """A dataset, with the official checkpoint of its evaluator."""
        return {"dataset": dataset, "evaluator_checkpoint": self.config.evaluator.checkpoint.get(dataset) or ""}

    def run(self, dataset: str, variant: str, seed: str) -> Item:
        """A training of a row, with its recipe and what it builds on."""
        base = self.variant(variant).base
        item = {"dataset": dataset, "variant": variant, "seed": seed, "recipe": self.recipe(variant), "base": base}
        return {**item, **self._reads(base, dataset, seed, methods()[base].row)}

    def part(self, dataset: str, part: str, seed: str) -> Item:
        """A training on which rows of a method build.

        Raises:
            ConfigError: the method has no such part.
        """
        base = part.partition(".")[0]
        known = {f"{base}.{one.name}": one for one in self.variant(base).method.parts}
        if part not in known:
            raise ConfigError(unknown("part", part, known, f"method {base!r}"))
        item = {"dataset": dataset, "part": part, "seed": seed, "recipe": self.recipe(base), "base": base}
        return {**item, **self._reads(base, dataset, seed, known[part])}

    def captions(self, dataset: str, tower: str) -> Item:
        """The captions of a dataset for a method's own text tower.

        Raises:
            ConfigError: no method has such a tower.
        """
        bases = [base for base in methods() if own_tower(self.config, base) == tower]
        if not bases:
            known = {name for base in methods() if (name := own_tower(self.config, base))}
            raise ConfigError(unknown("text tower of a method", tower, known, f"profile {self.config.profile!r}"))
        weights = weights_of(self.config.of(bases[0]).text)
        return {"dataset": dataset, "tower": tower, "base": bases[0], "weights": weights}

    def official(self, dataset: str, variant: str) -> Item:
        """An official checkpoint.

        Raises:
            ConfigError: the profile does not name it.
        """
        one: OfficialConfig = self._named("official", "official checkpoint", dataset, variant)
        mean, std = statistics_of(one.normalisation, variant) if one.normalisation else ("", "")
        places = {"checkpoint": one.checkpoint, "beside": one.beside or "", "mean": str(mean), "std": str(std)}
        base = self.variant(variant).base
        own = self._reads(base, dataset, "", methods()[base].row)["own_text"]
        return {"dataset": dataset, "variant": variant, "base": base, "own_text": own, **places}

    def motions(self, dataset: str, method: str) -> Item:
        """A folder of another project's motions.

        Raises:
            ConfigError: the profile does not name it.
        """
        folder = self._named("motions", "motions", dataset, method).folder
        return {"dataset": dataset, "method": method, "folder": folder}

    def _reads(self, base: str, dataset: str, seed: str, training: Training) -> Item:
        """Paths of the trainings that one builds on, and of the text features of the method's own tower."""
        names = [f"{base}.{name}" for name in training.needs]
        places = [self.at("part_weights", dataset=dataset, part=name, seed=seed) for name in names]
        places += [""] * (MOST_NEEDED - len(places))
        tower = own_tower(self.config, base)
        own = self.at("own_text", dataset=dataset, tower=tower) if tower else ""
        return {**{f"part{number}": place for number, place in enumerate(places, start=1)}, "own_text": own}

    def _named(self, section: str, kind: str, dataset: str, name: str) -> Any:
        """An entry of ``official`` or ``motions``."""
        named = getattr(self.config, section).items()
        entries = {f"{data}.{one}": entry for data, of in named for one, entry in of.items()}
        if (place := f"{dataset}.{name}") not in entries:
            raise ConfigError(
                unknown(kind, place, entries, f"{section} of profile {self.config.profile!r} in params.yaml")
            )
        return entries[place]

    # --- those of the profile ---

    @cached_property
    def datasets(self) -> tuple[Item, ...]:
        """Datasets with rows."""
        return tuple(self.dataset(name) for name in self.config.runs)

    @cached_property
    def rows(self) -> tuple[Item, ...]:
        """Every training of every row."""
        return tuple(self.run(data, name, str(seed)) for data, name, seed in self.config.rows())

    @cached_property
    def parts(self) -> tuple[Item, ...]:
        """Trainings on which these build, each once."""
        found = (
            (data, f"{self.variant(name).base}.{one.name}", str(seed))
            for data, name, seed in self.config.rows()
            for one in self.variant(name).method.parts
        )
        return tuple(self.part(*one) for one in dict.fromkeys(found))

    @cached_property
    def own_captions(self) -> tuple[Item, ...]:
        """Captions for towers of the rows' own, each once."""
        found = (
            (data, tower)
            for data, name in [*(row[:2] for row in self.config.rows()), *self.config.adopted()]
            if (tower := own_tower(self.config, self.variant(name).base))
        )
        return tuple(self.captions(*one) for one in dict.fromkeys(found))

    @cached_property
    def adopted(self) -> tuple[Item, ...]:
        """Official checkpoints."""
        return tuple(self.official(data, name) for data, name in self.config.adopted())

    @cached_property
    def external(self) -> tuple[Item, ...]:
        """Motions of other projects."""
        return tuple(self.motions(data, method) for data, method in self.config.external())

    @cached_property
    def first(self) -> tuple[Item, ...]:
        """The first training of every row."""
        return tuple(
            row for row in self.rows if int(row["seed"]) == self.config.runs[row["dataset"]][row["variant"]][0]
        )

    @cached_property
    def performers(self) -> tuple[Item, ...]:
        """Those whose motions the report shows: no ablations."""
        return tuple(row for row in self.first if not self.variant(row["variant"]).ablation)

    @cached_property
    def full(self) -> tuple[Item, ...]:
        """The first training of the full model on each dataset."""
        return tuple(row for row in self.performers if row["variant"] == FULL_MODEL)

    @cached_property
    def guided(self) -> tuple[Item, ...]:
        """Those that are sampled with several guidance scales."""
        return tuple(self._listed(self.config.guidance.variants, self.first))

    @cached_property
    def fused(self) -> tuple[Item, ...]:
        """Those whose fusion weights are changed."""
        return tuple(self._listed(self.config.fusion.variants, self.rows))

    @cached_property
    def recipes(self) -> tuple[str, ...]:
        """Files of the rows' variants."""
        return tuple(dict.fromkeys(self.recipe(name) for name in sorted({row["variant"] for row in self.rows})))

    def _listed(self, variants: Any, rows: Iterable[Item]) -> Iterable[Item]:
        named = {(data, self.variant(name).name) for data, names in variants.items() for name in names}
        return (row for row in rows if (row["dataset"], row["variant"]) in named)
