"""Use of captions by a trained denoiser: error on test clips by noise level, with the clip's caption, with another
clip's, and without.

    python benchmarks/captions.py study-cpu [--dataset interx] [--seed 0]

Reads finished trainings of a profile. If a row does not follow the text, its errors are the same.
"""

import argparse

import pandas as pd
import torch
from rich.console import Console

from intermamba.checkpoints import trained as checkpoint
from intermamba.config import load
from intermamba.data.dataset import ClipDataset, collate
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.models import find
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.text.cache import TextCache

LEVELS = (100, 300, 500, 700, 900, 999)


@torch.inference_mode()
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("profile")
    arguments.add_argument("--dataset", default="interhuman")
    arguments.add_argument("--seed", type=int, default=0)
    asked = arguments.parse_args()
    config = load(asked.profile)
    where = {"profile": asked.profile, "dataset": asked.dataset}
    split = SplitFile(path("split", split="test", **where))
    tokens = TextCache(path("text", **where))
    clips = ClipDataset(split, config.datasets[asked.dataset], "fixed", config.seed)
    batch = collate([clips[0, index] for index in range(len(split))], config.datasets[asked.dataset].max_frames)
    mask = batch.mask[:, :, None, None]
    rows = []
    for variant in config.runs[asked.dataset]:
        method = find(variant).method
        if not method.diffuses or method.process.predicts != "motion":
            continue  # its error is no distance from the motion at a level of noise
        diffusion = Diffusion(find(variant).configured(config, asked.dataset).diffusion, process=method.process)
        trained = checkpoint.load(path("weights", variant=variant, seed=asked.seed, **where))
        model = trained.model.eval()
        x0 = (batch.motion - trained.mean) / trained.std * mask
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
        own = conditions(model, tokens, batch.caption, batch.individual)
        for level in LEVELS:
            timestep = torch.full((len(x0),), level)
            noisy = diffusion.add_noise(x0, noise, timestep)
            row = {"variant": variant, "noise level": level}
            for name, cond in (("own", own), ("another's", own.roll(1, 0)), ("none", torch.zeros_like(own))):
                error = (model(noisy, timestep, cond, batch.mask) - x0).square() * mask
                row[name] = float(error.sum() / mask.expand_as(error).sum())
            rows.append(row)
    Console(width=100).print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
