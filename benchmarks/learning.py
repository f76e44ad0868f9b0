"""Whether every baseline learns: short trainings over several seeds, measured beside ground truth and chance.

    python benchmarks/learning.py PROFILE --output docs/bench/learning.csv [--measure-only]

Run it in a study's folder in which ``encode-text`` and ``evaluate-reference`` of the profile, and the stages before
them, have run. ``learning.yaml`` has the rows and what differs from the profile. A killed training continues; what is
in the output already is not measured again.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from measuring import Measurement, measurements, measuring_code, references
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional

from evaluators.sources import OnePerCaption, RealSource
from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.config import Config, Dataset, load, merged
from intermamba.data.dataset import Batch
from intermamba.generate import MotionGenerator
from intermamba.methods.intermask.network import InterMask
from intermamba.methods.intermask.options import UNIT
from intermamba.methods.intermask.sampling import decoded, units
from intermamba.models import find
from intermamba.names import revision_name
from intermamba.paths import path, record_of
from intermamba.provenance import recorded
from intermamba.reading.documents import checked, read_yaml
from intermamba.text.cache import TextCache
from intermamba.text.names import own_tower
from workflow.graph.stages import table

TRIAL = Path(__file__).with_suffix(".yaml")


class Trial(BaseModel):
    """What is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    changes: Mapping[str, Any]
    """Differences from the profile."""
    of_dataset: Mapping[Dataset, Mapping[str, Any]] = {}
    """Further differences for the rows of a dataset."""
    runs: Mapping[Dataset, Mapping[str, tuple[int, ...]]]
    """Training seeds by dataset and variant."""

    def configs(self, profile: str) -> dict[Dataset, Config]:
        """The profile with the trial's differences and the rows of one dataset."""
        return {
            dataset: load(profile, changes=merged(self.changes, self.of_dataset.get(dataset, {}))).model_copy(
                update={"runs": {dataset: rows}}
            )
            for dataset, rows in self.runs.items()
        }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("profile")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--repeats", type=int, help="in place of the protocol's; then without MModality")
    arguments.add_argument("--measure-only", action="store_true", help="only the trainings that are finished")
    asked = arguments.parse_args()
    trial = checked(Trial, read_yaml(TRIAL), str(TRIAL))
    configs = trial.configs(asked.profile)
    torch.set_num_threads(load(asked.profile).runtime.threads)
    if not asked.measure_only:
        for config in configs.values():
            train(config)
    knobs = {dataset: config.model_dump(mode="json") for dataset, config in configs.items()}
    with recorded("learning", [asked.output], [], knobs):
        for dataset, config in configs.items():
            measure(config, dataset, asked.output, asked.repeats)


def train(config: Config) -> None:
    """Run what the rows need and has not run."""
    stages = table(config)
    for stage in ("encode-own-text", "train-part", "train"):
        for job in stages[stage].jobs():
            if not all(file.exists() for file in job.writes):
                job.run(config)


def measure(config: Config, dataset: Dataset, output: Path, repeats: int | None) -> None:
    """Add to ``output`` what is not in it yet of a dataset."""
    done = measurements(output) if output.exists() else pd.DataFrame(columns=["dataset", "method", "training_seed"])
    measurement = Measurement(Path(), config, dataset, repeats)
    measurement.continues(done)
    where = {"profile": config.profile, "dataset": dataset}
    if "real" not in set(done.loc[done["dataset"] == dataset, "method"]):
        done = pd.concat([done, references(Path(), config, dataset).assign(steps=0, part_steps=0)], ignore_index=True)
    for variant, seed in ((name, seed) for name, seeds in config.runs[dataset].items() for seed in seeds):
        weights = path("weights", variant=variant, seed=seed, **where)
        key = {"dataset": dataset, "method": variant, "training_seed": seed}
        if not weights.exists() or (done[list(key)] == pd.Series(key)).all(axis=1).any():
            continue
        row, trained = find(variant), checkpoints.load(weights)
        own = own_tower(config, row.base)
        text = path("own_text", tower=own, **where) if own else path("text", **where)
        generator = MotionGenerator(trained, TextCache(text), row.configured(config).diffusion, "cpu")
        parts = [path("part_log", part=f"{row.base}.{one.name}", seed=seed, **where) for one in row.method.parts]
        labels = {
            **key,
            "tower": trained.tower,
            "evaluator": measurement.fingerprint,
            "protocol": measurement.protocol.id,
            "weights": files.sha256(weights),
            "measured_by": measuring_code(),
            "code": revision_name(files.read_json(record_of(weights))),
            "steps": steps(path("training_log", variant=variant, seed=seed, **where)),
            "part_steps": sum(map(steps, parts)),
        }
        made = [measurement.measure(generator)]
        if isinstance(trained.model, InterMask):
            kept = measurement.of(Reconstructed(trained.model, trained.mean, trained.std, measurement.real))
            made.append(kept[kept["metric"] == "top3"].assign(metric="reconstructed"))
        done = pd.concat([done, pd.concat(made).assign(**labels)], ignore_index=True)
        files.write_csv(output, done)


@dataclass(frozen=True)
class Reconstructed(OnePerCaption):
    """Real motions, turned into InterMask's tokens and back: no sample can be better."""

    model: InterMask
    mean: Tensor
    std: Tensor
    real: RealSource

    @torch.inference_mode()
    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        tokenizer = self.model.tokenizer
        for batch in self.real.batches(repeat_seed):
            shown = batch.mask[:, :, None, None]
            motion = (batch.motion - self.mean) / self.std * shown
            whole = functional.pad(motion, (0, 0, 0, 0, 0, -motion.shape[1] % UNIT))
            tokens = tokenizer.tokens(whole.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, 2))
            made = decoded(tokenizer, tokens, units(batch.mask).sum(1))[:, : motion.shape[1]]
            yield replace(batch, motion=(made * self.std + self.mean) * shown)


def steps(log: Path) -> int:
    """Steps of a training."""
    return int(pd.read_csv(log)["step"].max())


if __name__ == "__main__":
    main()
