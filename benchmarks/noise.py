"""Noise that a denoiser which predicts noise loses, and the effect on its samples.

    python benchmarks/noise.py RUN PROFILE WEIGHTS [WEIGHTS ...] --steps 10 --output docs/bench/noise.csv

RUN is a folder in which the data and the evaluator of the profile are; WEIGHTS are trainings of one of its rows. On
validation clips with the most noise, which is then nearly all of the input, the best prediction is the input itself.
``lost`` counts the directions, of as many as a person has features, of which less than half is passed on: singular
values of the map from noise to its prediction, fitted by least squares. ``spread`` is the standard deviation of
samples, of motions that are normalised, so that it should be one; ``top3`` and ``fid`` are their metrics by the run's
evaluator. What is in the output already is not measured again. The test split is never read: a sampler that is chosen
by this table is not chosen on it.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from measuring import Measurement, batch_of, measurements, measuring_code
from torch import Tensor

from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.checkpoints.trained import Trained
from intermamba.config import Config, DiffusionConfig, load
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.generate import MotionGenerator
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.provenance import recorded
from intermamba.text.live import LiveText
from workflow.evaluation.generated import GeneratedSource

CLIPS = 32
STEPS = (100, 400, 999)
"""Diffusion steps at which the prediction is compared with the noise."""
ETAS = (0.0, 1.0)
"""DDIM, and its form that draws noise at every step as DDPM does."""
KEPT = 0.5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("profile")
    arguments.add_argument("weights", type=Path, nargs="+")
    arguments.add_argument("--steps", type=int, nargs="+", default=[10], help="of sampling")
    arguments.add_argument("--output", type=Path, required=True)
    asked = arguments.parse_args()
    config = load(asked.profile, asked.run / "params.yaml")
    torch.set_num_threads(config.runtime.threads)
    done = measurements(asked.output) if asked.output.exists() else pd.DataFrame(columns=["weights", "at"])
    with recorded("noise", [asked.output], [], config.model_dump(mode="json")) as notes:
        for weights in asked.weights:
            trained, known = checkpoints.load(weights), done[done["weights"] == (digest := files.sha256(weights))]
            found = [] if len(known) else list(predicted(asked.run, config, trained))
            for steps, eta in product(asked.steps, ETAS):
                if (at := f"{steps} steps, eta {eta:g}") not in set(known["at"]):
                    update = {"sampling_steps": steps, "eta": eta}
                    settings = trained.recipe.variant.configured(config).diffusion.model_copy(update=update)
                    found += [(name, at, value) for name, value in sampled(asked.run, config, trained, settings)]
            about = {
                "measured_by": measuring_code(),
                "weights": digest,
                "method": trained.variant,
                "width": trained.recipe.sizes.width,
            }
            rows = pd.DataFrame(found, columns=["measure", "at", "value"])
            done = pd.concat([done, rows.assign(**about, features=trained.model.features)], ignore_index=True)
            files.write_csv(asked.output, done)
        notes["run"] = asked.run.name


@torch.inference_mode()
def predicted(run: Path, config: Config, trained: Trained) -> Iterator[tuple[str, str, float]]:
    """Measure, step and value of predictions for validation clips."""
    model = trained.model.eval()
    where = {"profile": config.profile, "dataset": trained.dataset}
    batch = batch_of(SplitFile(run / path("split", split="val", **where)), config, 0, CLIPS)
    mask, generator = batch.mask, torch.Generator().manual_seed(0)
    motion = (batch.motion - trained.mean) / trained.std * mask[:, :, None, None]
    cond = conditions(model, text(config, trained), batch.caption, batch.individual)
    variant = trained.recipe.variant
    diffusion = Diffusion(variant.configured(config).diffusion, process=variant.method.process)
    for step in STEPS:
        noise = torch.randn(motion.shape, generator=generator)
        timestep = torch.full((CLIPS,), step)
        found = model(diffusion.add_noise(motion, noise, timestep), timestep, cond, mask)
        yield "error", f"step {step}", (found - noise)[mask].square().mean().item()
    yield "lost", f"step {STEPS[-1]}", lost(noise[mask].flatten(0, 1), found[mask].flatten(0, 1))


def sampled(run: Path, config: Config, trained: Trained, settings: DiffusionConfig) -> Iterator[tuple[str, float]]:
    """Measure and value of samples for validation captions."""
    measurement = Measurement(run, config, trained.dataset, repeats=1, split="val")
    generator = MotionGenerator(trained, text(config, trained), settings, "cpu")
    source = GeneratedSource(generator, measurement.real, config.runtime.sampling_batch)
    batch = next(iter(source.batches(0)))
    yield "spread", ((batch.motion - trained.mean) / trained.std)[batch.mask].std().item()
    found = measurement.of(source).set_index("metric")["value"]
    yield from ((name, float(found[name])) for name in ("top3", "fid"))


def text(config: Config, trained: Trained) -> LiveText:
    """Captions as the training read them: the cache of another run may be reduced for other clips."""
    return LiveText(config.text, trained.reduction)


def lost(noise: Tensor, predicted: Tensor) -> int:
    """Directions of which less than half is passed on."""
    return int((torch.linalg.svdvals(torch.linalg.lstsq(noise, predicted).solution) < KEPT).sum())


if __name__ == "__main__":
    main()
