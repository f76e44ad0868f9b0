"""What a denoiser that predicts noise loses of it, and what becomes of its samples.

    python benchmarks/noise.py RUN PROFILE WEIGHTS [WEIGHTS ...] --output docs/bench/noise.csv

RUN is a folder in which the data and captions of the profile are; WEIGHTS are trainings of one of its rows. On test
clips with the most noise, which is then nearly all of the input, the best prediction is the input itself. ``lost``
counts the directions, of as many as a person has features, of which less than half is passed on: singular values of
the map from noise to its prediction, fitted by least squares. ``spread`` is the standard deviation of samples, of
motions that are normalised, so that it should be one; ``top3`` is their R-precision by the run's evaluator.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from measuring import Measurement
from torch import Tensor

from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.checkpoints.trained import Trained
from intermamba.config import Config, load
from intermamba.data.dataset import ClipDataset, collate
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.generate import MotionGenerator
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.provenance import recorded
from intermamba.text.cache import TextCache

CLIPS, SAMPLED = 32, 4
STEPS = (100, 400, 999)
"""Diffusion steps at which the prediction is compared with the noise."""
SAMPLERS = ((10, 0.0), (50, 0.0), (50, 1.0))
"""Sampling steps and eta: DDIM, and its form that draws noise at every step as DDPM does."""
KEPT = 0.5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("profile")
    arguments.add_argument("weights", type=Path, nargs="+")
    arguments.add_argument("--output", type=Path, required=True)
    asked = arguments.parse_args()
    config = load(asked.profile, asked.run / "params.yaml")
    torch.set_num_threads(config.runtime.threads)
    with recorded("noise", [asked.output], [], config.model_dump(mode="json")):
        rows = [row for weights in asked.weights for row in measure(asked.run, config, checkpoints.load(weights))]
        files.write_csv(asked.output, pd.DataFrame(rows))


@torch.inference_mode()
def measure(run: Path, config: Config, trained: Trained) -> Iterator[dict[str, Any]]:
    """One row per measured number."""
    where, model = {"profile": config.profile, "dataset": trained.dataset}, trained.model.eval()
    split = ClipDataset(
        SplitFile(run / path("split", split="test", **where)), config.datasets[trained.dataset], "fixed", 0
    )
    batch = collate([split[0, index] for index in range(CLIPS)], config.datasets[trained.dataset].max_frames)
    mask, generator = batch.mask, torch.Generator().manual_seed(0)
    motion = (batch.motion - trained.mean) / trained.std * mask[:, :, None, None]
    captions = TextCache(run / path("text", **where))
    cond = conditions(model, captions, batch.caption, batch.individual)
    labels = {"method": trained.variant, "width": trained.recipe.sizes.width, "features": model.features}
    settings, process = config.of(trained.variant).diffusion, trained.recipe.variant.method.process

    def row(measure: str, at: str, value: float) -> dict[str, Any]:
        return {**labels, "measure": measure, "at": at, "value": value}

    diffusion = Diffusion(settings, process=process)
    for step in STEPS:
        noise = torch.randn(motion.shape, generator=generator)
        timestep = torch.full((CLIPS,), step)
        found = model(diffusion.add_noise(motion, noise, timestep), timestep, cond, mask)
        yield row("error", f"step {step}", (found - noise)[mask].square().mean().item())
    yield row("lost", f"step {STEPS[-1]}", lost(noise[mask].flatten(0, 1), found[mask].flatten(0, 1)))
    for steps, eta in SAMPLERS:
        few = settings.model_copy(update={"sampling_steps": steps, "eta": eta})
        start, some = torch.randn(motion[:SAMPLED].shape, generator=generator), mask[:SAMPLED]
        made = Diffusion(few, process=process).sample(model, cond[:SAMPLED], some, start, generator=generator)
        yield row("spread", f"{steps} steps, eta {eta:g}", made[some].std().item())
    measurement = Measurement(run, config, trained.dataset, repeats=1)
    for steps, eta in SAMPLERS:
        few = settings.model_copy(update={"sampling_steps": steps, "eta": eta})
        found = measurement.measure(MotionGenerator(trained, captions, few, "cpu"))
        yield row("top3", f"{steps} steps, eta {eta:g}", found.loc[found["metric"] == "top3", "value"].item())


def lost(noise: Tensor, predicted: Tensor) -> int:
    """Directions of which less than half is passed on."""
    return int((torch.linalg.svdvals(torch.linalg.lstsq(noise, predicted).solution) < KEPT).sum())


if __name__ == "__main__":
    main()
