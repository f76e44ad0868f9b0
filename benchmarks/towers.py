"""Comparison of text towers: denoisers trained with different towers, measured by one evaluator and on free prompts.

    python benchmarks/towers.py study-cpu --evaluator RUN --trained RUN [RUN ...] --output towers.csv

A RUN is a folder in which stages of the profile have run (with ``data/`` and ``results/`` in it). The evaluator, the
test split and the captions that the evaluator reads are those of ``--evaluator``. Each denoiser of ``--trained`` reads
its captions through the tower of its training. So rows differ only by tower and training, while two runs whose
evaluators read different towers cannot be compared. Rows that are already in the output are not measured again.

``prompts``: share of the prompts of ``free_prompts.csv`` whose motion is, for the evaluator, nearest to the captions
of the intended kind (chance: one over the number of kinds).
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

import pandas as pd
import torch
from measuring import Measurement, measurements, measuring_code, references
from torch import Tensor
from torch.nn.functional import normalize

from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.config import Config, Dataset, load
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.data.synthetic.interhuman import IGNORED
from intermamba.data.synthetic.interhuman import name_of as of_interhuman
from intermamba.data.synthetic.interx import name_of as of_interx
from intermamba.data.synthetic.plan import plan
from intermamba.generate import MotionGenerator
from intermamba.models import find
from intermamba.paths import path
from intermamba.provenance import recorded
from intermamba.seeds import derive
from intermamba.text.cache import TextCache
from intermamba.text.live import LiveText

PROMPTS = Path(__file__).with_name("free_prompts.csv")


class TowerMeasurement(Measurement):
    """Also finds the kind of interaction that the motion of a free prompt is nearest to."""

    def __init__(self, run: Path, config: Config, dataset: Dataset, repeats: int | None) -> None:
        super().__init__(run, config, dataset, repeats)
        self.training = SplitFile(run / path("split", profile=config.profile, dataset=dataset, split="train"))

    @cached_property
    def kinds(self) -> dict[str, Tensor]:
        """The mean direction of the training captions of each kind, in the evaluator's space."""
        size = self.config.datasets[self.dataset].synthetic
        more, name_of = (IGNORED, of_interhuman) if self.dataset == "interhuman" else (0, of_interx)
        planned = plan(size.train + more, size.val, size.test, size.seconds, size.seed)
        kind = {name_of(one): one.kind for one in planned}
        said: dict[str, list[int]] = defaultdict(list)
        for index, name in enumerate(self.training.ids):
            said[kind[name]].append(index)
        means = {}
        for name, clips in said.items():
            captions = [self.training.captions(index)[0] for index in clips]
            tokens = [self.training.tokens(index)[0] for index in clips] if self.dataset == "interx" else []
            batch = Batch(
                torch.zeros(len(clips), 1, 2, 1), torch.ones(len(clips)).long(), tuple(captions), tuple(tokens), ()
            )
            means[name] = normalize(normalize(self.evaluator.embed_text(batch), dim=-1).mean(0), dim=0)
        return means

    @torch.inference_mode()
    def prompts(self, generator: MotionGenerator, individual: bool) -> float:
        """Share of the free prompts whose motion is nearest to the intended kind."""
        asked = pd.read_csv(PROMPTS)
        frames = self.config.datasets[self.dataset].max_frames - 1
        seeds = [derive(self.config.seed, "free prompt", number) for number in range(len(asked))]
        captions, length = asked["prompt"].tolist(), torch.full((len(asked),), frames)
        pairs = list(zip(captions, captions, strict=True))
        made = generator(captions, length, frames, seeds, pairs if individual else ())
        batch = Batch(made, length, tuple(captions), ((),) * len(asked), tuple(map(str, seeds)))
        kinds = self.kinds
        nearest = (normalize(self.evaluator.embed_motion(batch), dim=-1) @ torch.stack([*kinds.values()]).T).argmax(-1)
        return float((pd.Series([list(kinds)[index] for index in nearest]) == asked["kind"]).mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("profile")
    arguments.add_argument("--evaluator", type=Path, required=True, help="run whose evaluator measures")
    arguments.add_argument("--trained", type=Path, nargs="+", required=True, help="runs whose denoisers are measured")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--repeats", type=int, help="instead of the protocol's; without MModality")
    asked = arguments.parse_args()
    config = load(asked.profile)
    torch.set_num_threads(config.runtime.threads)
    with recorded("towers", [asked.output], [PROMPTS.relative_to(Path.cwd())], config.model_dump(mode="json")) as notes:
        measure(asked.evaluator, asked.trained, config, asked.output, asked.repeats)
        notes["runs"] = {"evaluator": asked.evaluator.name, "trained": [run.name for run in asked.trained]}


def measure(evaluator: Path, trainings: Sequence[Path], config: Config, output: Path, repeats: int | None) -> None:
    """Add the missing rows to ``output``."""
    done = measurements(output) if output.exists() else pd.DataFrame()
    for dataset in dict.fromkeys(dataset for dataset, _, _ in config.rows()):
        if not len(done) or "real" not in set(done.loc[done["dataset"] == dataset, "method"]):
            reference = references(evaluator, config, dataset).assign(text_layers=-1)
            done = pd.concat([done, reference], ignore_index=True)
    measurement = cache(lambda dataset: TowerMeasurement(evaluator, config, dataset, repeats))
    for dataset, variant, seed in config.rows():
        for run in trainings:
            where = {"profile": config.profile, "dataset": dataset}
            weights = run / path("weights", variant=variant, seed=seed, **where)
            if not weights.exists():
                continue
            trained = checkpoints.load(weights)
            key = {
                "dataset": dataset,
                "method": variant,
                "training_seed": seed,
                "tower": trained.tower,
                "text_layers": getattr(trained.recipe.sizes, "text_layers", 0),
            }
            if (done[list(key)] == pd.Series(key)).all(axis=1).any():
                continue
            one = measurement(dataset)
            one.continues(done)
            cached, live = TextCache(run / path("text", **where)), LiveText(trained.recipe.text, trained.reduction)
            diffusion = find(variant).configured(config).diffusion
            by_cache, by_hand = (MotionGenerator(trained, text, diffusion, "cpu") for text in (cached, live))
            found = one.measure(by_cache)
            found.loc[len(found)] = {
                "repeat": 0,
                "metric": "prompts",
                "value": one.prompts(by_hand, trained.recipe.individual),
            }
            labels = {
                **key,
                "evaluator": one.fingerprint,
                "protocol": one.protocol.id,
                "weights": files.sha256(weights),
                "measured_by": measuring_code(),
            }
            done = pd.concat([done, found.assign(**labels)], ignore_index=True)
            files.write_csv(output, done)


if __name__ == "__main__":
    main()
