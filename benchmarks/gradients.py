"""What each term of InterGen's loss asks of a trained network: its value and the length of its gradient.

    python benchmarks/gradients.py RUN PROFILE DATASET ROW:SEED [ROW:SEED ...] --output docs/bench/gradients.csv

RUN is a folder with trainings of the profile. Terms have InterGen's weights, also where a row was trained with others.
Clips are those of validation, and noise levels are drawn as in training. The gradient is that of all weights of the
network, and its length a mean over several draws. What is in the output already is not measured again.
"""

import pandas as pd
import torch
from measuring import batch_of, measured_rows

from intermamba.checkpoints.trained import Trained
from intermamba.config import Config
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.models import find
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.representation import representation
from intermamba.text.cache import TextCache
from intermamba.training.losses import interaction_losses

DRAWS = 5
"""Draws of noise and noise levels for each clip."""


def main() -> None:
    with measured_rows(__doc__) as measured:
        for labels, trained in measured.missing():
            measured.add(gradients(measured.config, trained).assign(**labels))


def gradients(config: Config, trained: Trained) -> pd.DataFrame:
    """Columns ``term``, ``loss`` and ``gradient``: means over the draws."""
    row, where = find(trained.variant), {"profile": config.profile, "dataset": trained.dataset}
    split = SplitFile(path("split", split="val", **where))
    batch = batch_of(split, config, config.seed)
    body = representation(trained.dataset, split.offsets)
    motion = (batch.motion - trained.mean) / trained.std * batch.mask[:, :, None, None]
    model, generator = trained.model.eval(), torch.Generator().manual_seed(config.seed)
    weights = [weight.requires_grad_() for weight in model.parameters()]
    own = row.configured(config, trained.dataset)
    diffusion, text = Diffusion(own.diffusion, process=row.method.process), TextCache(path("text", **where))
    found = []
    for _ in range(DRAWS):
        step = diffusion.draw_steps(len(motion), own.training.noise_shift, generator)
        noise = torch.randn(motion.shape, generator=generator)
        cond = conditions(model, text, batch.caption, batch.individual)
        made = model(diffusion.add_noise(motion, noise, step), step, cond, batch.mask)
        terms = interaction_losses(made, motion, batch.mask, step, trained.mean, trained.std, body, config.losses)
        for name, value in terms.items():
            parts = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
            norm = torch.stack([part.norm() for part in parts if part is not None]).norm()
            found.append((name, value.item(), norm.item()))
    frame = pd.DataFrame(found, columns=["term", "loss", "gradient"])
    return frame.groupby("term", sort=False, as_index=False).mean()


if __name__ == "__main__":
    main()
