"""What limits a model: one factor of the recipe at a time, measured on the validation split.

    python benchmarks/levers.py RUN PROFILE --output docs/bench/levers.csv [--only NAME ...]

RUN is a folder in which ``preprocess``, ``encode-text`` and ``train-evaluator`` of the profile have run. Each lever of
``levers.yaml`` is a difference from the profile's recipe in training, or only in sampling. Trainings are kept under
RUN/levers and resumed; what is in the output already is not measured again. The test split is never read: a recipe
that is chosen by this table is not chosen on it.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from measuring import Measurement, in_run, measurements, measuring_code
from pydantic import BaseModel, ConfigDict

from evaluators.sources import OnePerCaption, RealSource, ShuffledSource
from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.checkpoints.trained import Trained
from intermamba.config import Config, DiffusionConfig, load, merged
from intermamba.data.dataset import Batch, ClipDataset, loader
from intermamba.diffusion import Diffusion
from intermamba.diffusion.solvers import Plan
from intermamba.generate import MotionGenerator
from intermamba.job import Job
from intermamba.models import find
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.progress import SILENT
from intermamba.provenance import recorded
from intermamba.reading.documents import checked, read_yaml
from intermamba.text.cache import TextCache
from workflow.graph.stages import job

LEVEL = 850
"""Diffusion step (of 1000) below which :class:`Started` starts."""
LEVERS = Path(__file__).with_suffix(".yaml")


class Lever(BaseModel):
    """A factor that is changed, with the rows on which it is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Mapping[str, Any] = {}
    """Differences from the profile in training."""
    sample: Mapping[str, Any] = {}
    """Differences from the profile in sampling alone."""
    rows: Mapping[Literal["interhuman", "interx"], Mapping[str, list[int]]] = {"interhuman": {"intermamba": [0]}}
    """Training seeds by dataset and variant."""


class Levers(BaseModel):
    """What is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Mapping[str, Any]
    """Differences of every lever from the profile, in training and sampling."""
    levers: Mapping[str, Lever]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("profile")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--only", nargs="+", help="names of levers")
    arguments.add_argument("--repeats", type=int, default=5)
    asked = arguments.parse_args()
    known = checked(Levers, read_yaml(LEVERS), str(LEVERS))
    output = in_run(asked.run, asked.output)
    base = load(asked.profile, changes=known.base)
    torch.set_num_threads(base.runtime.threads)
    for name in asked.only or known.levers:
        with recorded("levers", [output], [], base.model_dump(mode="json")) as notes:
            lever = known.levers[name]
            whole = lever.model_copy(update={"train": merged(known.base, lever.train)})
            measure(name, whole, asked.profile, output, asked.repeats)
            notes["run"] = asked.run.name


def measure(name: str, lever: Lever, profile: str, output: Path, repeats: int) -> None:
    """Add the missing rows of a lever to ``output``."""
    done = measurements(output) if output.exists() else pd.DataFrame(columns=["dataset", "lever", "method"])
    for dataset, variants in lever.rows.items():
        config = load(profile, changes=lever.train)
        sampling = load(profile, changes=merged(lever.train, lever.sample))
        measurement = Measurement(Path(), config, dataset, repeats, split="val")
        measurement.continues(done)
        for label, source in references(measurement).items():
            if not len(done[(done["dataset"] == dataset) & (done["method"] == label)]):
                found = measurement.of(source)
                done = pd.concat([done, found.assign(dataset=dataset, method=label)], ignore_index=True)
        for variant, seed in ((variant, seed) for variant, seeds in variants.items() for seed in seeds):
            key = {"dataset": dataset, "lever": name, "method": variant, "training_seed": seed}
            if "training_seed" in done and (done[list(key)] == pd.Series(key)).all(axis=1).any():
                continue
            one = training(config, lever, dataset, variant, seed)
            if not one["weights"].exists():
                one.run(config, progress=SILENT)
            trained = checkpoints.load(one["weights"])
            text = TextCache(path("text", profile=profile, dataset=dataset))
            settings = find(variant).configured(sampling).diffusion
            generator = MotionGenerator(trained, text, settings, "cpu")
            log = pd.read_csv(one["training_log"])
            labels = {
                **key,
                "evaluator": measurement.fingerprint,
                "weights": files.sha256(one["weights"]),
                "measured_by": measuring_code(),
                "steps": int(log["step"].max()),
                "loss": float(log.loc[log["split"] == "val", find(variant).method.row.error.term].iloc[-1]),
            }
            started = measurement.of(Started(trained, text, settings, measurement.real))
            found = pd.concat(
                [
                    measurement.measure(generator),
                    started[started["metric"] == "top3"].assign(metric="started"),
                    pd.DataFrame([{"repeat": 0, "metric": "copied", "value": copied(trained, measurement, text)}]),
                ]
            )
            done = pd.concat([done, found.assign(**labels)], ignore_index=True)
            files.write_csv(output, done)


@torch.inference_mode()
def copied(trained: Trained, measurement: Measurement, text: TextCache) -> float:
    """Mean square error (normalised features) of a denoiser that is given motions without noise, at step 0.

    No sample can be nearer to real motions than this: it is what the network cannot even copy.
    """
    settings = measurement.config.datasets[measurement.dataset]
    clips = ClipDataset(measurement.split, settings, "fixed", 0)
    total, count = 0.0, 0
    for batch in loader(clips, 64, settings.max_frames, shuffle=False, drop_last=False, workers=0):
        motion = (batch.motion - trained.mean) / trained.std
        cond = conditions(trained.model, text, batch.caption, batch.individual)
        made = trained.model.eval()(motion, torch.zeros(len(motion), dtype=torch.long), cond, batch.mask)
        total += float((made - motion)[batch.mask].square().sum())
        count += int(batch.mask.sum()) * motion[0, 0].numel()
    return total / count


@dataclass(frozen=True)
class Started(OnePerCaption):
    """Samples that start from real motions of the caption, noised to :data:`LEVEL`, in place of noise.

    What is lost against real motions is lost below that level; what samples from noise lose more is lost above it,
    where the text alone decides what will happen.
    """

    trained: Trained
    text: TextCache
    config: DiffusionConfig
    real: RealSource

    @torch.inference_mode()
    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        random, mean, std = torch.Generator().manual_seed(repeat_seed), self.trained.mean, self.trained.std
        diffusion = Diffusion(self.config)
        below = diffusion.plan.steps < LEVEL
        diffusion.plan = Plan(
            diffusion.plan.steps[below],
            diffusion.plan.factors[below],
            [spread for spread, kept in zip(diffusion.plan.spread, below, strict=True) if kept],
            diffusion.plan.clean[below],
        )
        for batch in self.real.batches(repeat_seed):
            motion = (batch.motion - mean) / std
            noise = torch.randn(motion.shape, generator=random)
            noisy = diffusion.add_noise(motion, noise, diffusion.plan.steps[:1].expand(len(motion)))
            cond = conditions(self.trained.model, self.text, batch.caption, batch.individual)
            made = diffusion.sample(self.trained.model, cond, batch.mask, noisy)
            yield replace(batch, motion=(made * std + mean) * batch.mask[:, :, None, None])


def references(measurement: Measurement) -> dict[str, Any]:
    """Real motions with their own captions and with others."""
    return {"real": measurement.real, "chance": ShuffledSource(measurement.real)}


def training(config: Config, lever: Lever, dataset: str, variant: str, seed: int) -> Job:
    """The training of a row under a lever, in a folder named by what the lever changes."""
    name = hashlib.sha256(json.dumps(lever.train, sort_keys=True).encode()).hexdigest()[:12]
    declared = job(config, "train", dataset=dataset, variant=variant, seed=seed)
    folder = Path("levers", name, dataset, variant, f"seed{seed}")
    return replace(declared, outputs={key: folder / file.name for key, file in declared.outputs.items()})


if __name__ == "__main__":
    main()
