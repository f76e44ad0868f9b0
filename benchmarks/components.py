"""What denoisers cannot repeat, beside what is lost where only the data's leading principal components are kept.

    python benchmarks/components.py RUN PROFILE DATASET [ROW:SEED ...] --output docs/bench/components.csv

RUN is a folder with data and evaluator of the profile, and trainings of the rows. A denoiser of clean motions gets
validation clips with the noise of step 0, next to none, and has only to repeat them. ``error`` is the mean square error
of normalised features, ``pelvis`` the root mean square distance of the persons' pelvises in centimetres, ``body`` that
of their joints, each relative to its pelvis, and ``top3`` and ``fid`` are what the evaluator says of the repeated
motions. Components are those of single frames and persons in the training split. What is in the output already is not
measured again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from measuring import Measurement, batch_of, measured_rows, measuring_code
from torch import Tensor

from evaluators.sources import OnePerCaption, RealSource
from intermamba.checkpoints.trained import Trained
from intermamba.config import Config
from intermamba.data import normalisation
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.models import find
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.representation import representation
from intermamba.seeds import derive
from intermamba.text.cache import TextCache

KEPT = (0, 8, 16, 24, 32, 48, 64)
"""Numbers of components."""
CLIPS = 1000
"""Training clips of which components are computed."""


REPEATS = 5
"""Repeats of the evaluation."""
BRIEF = {"protocol": {"interhuman": "interhuman-brief", "interx": "interx-brief"}}
"""The validation split of the profile has 64 clips."""
Repeat = Callable[[Batch], Float[Tensor, "B T 2 F"]]
"""Normalised motions, from those of a batch."""


def main() -> None:
    with measured_rows(__doc__, BRIEF) as measured:
        config, dataset = measured.config, measured.dataset
        held = Held(config, dataset)
        for one in measured.done:
            held.measurement.continues(one)
        about = {"dataset": dataset, "measured_by": measuring_code(), "evaluator": held.measurement.fingerprint}
        if not any((one["dataset"] == dataset).any() for one in measured.done):
            axes = held.components()
            found = [{"kept": kept, **held.measured(partial(held.projected, axes, kept))} for kept in KEPT]
            found.append(held.measured(held.normalised))
            measured.add(pd.DataFrame(found).assign(**about, method="components"))
        for labels, trained in measured.missing():
            measured.add(pd.DataFrame([labels | about | held.measured(denoised(config, trained))]))


class Held:
    """The validation clips of a dataset, and what is said of motions that should repeat them."""

    def __init__(self, config: Config, dataset: str) -> None:
        self.config, self.dataset = config, dataset
        self.measurement = Measurement(Path(), config, dataset, REPEATS, split="val")
        split = self.measurement.split
        self.body = representation(dataset, split.offsets)
        self.mean, self.std = normalisation.read(
            path("stats", profile=config.profile, dataset=dataset), self.body.features
        )
        self.clips = batch_of(split, config, derive(config.seed, "components"))

    def normalised(self, batch: Batch) -> Float[Tensor, "B T 2 F"]:
        return (batch.motion - self.mean) / self.std * batch.mask[:, :, None, None]

    def components(self) -> tuple[Float[Tensor, " F"], Float[Tensor, "C F"]]:
        """Centre and principal axes of the training clips' frames."""
        where = path("split", split="train", profile=self.config.profile, dataset=self.dataset)
        train = batch_of(SplitFile(where), self.config, derive(self.config.seed, "components"), CLIPS)
        known = self.normalised(train)[train.mask].flatten(0, 1)
        centre = known.mean(0)
        return centre, torch.linalg.svd(known - centre, full_matrices=False).Vh

    def projected(self, axes: tuple[Tensor, Tensor], kept: int, batch: Batch) -> Float[Tensor, "B T 2 F"]:
        centre, directions = axes
        return (self.normalised(batch) - centre) @ directions[:kept].T @ directions[:kept] + centre

    def measured(self, repeat: Repeat) -> dict[str, float]:
        """Errors of the repeated clips, and what the evaluator says of them."""
        motion, found = (one[self.clips.mask] for one in (self.normalised(self.clips), repeat(self.clips)))
        joints, truth = (self.body.joints(one * self.std + self.mean) for one in (found, motion))
        apart = joints - truth
        pelvis, body = apart[..., :1, :], (apart - apart[..., :1, :])[..., 1:, :]
        said = self.measurement.of(Repeated(self.measurement.real, repeat, self.mean, self.std))
        means = said.groupby("metric")["value"].mean()
        return {
            "error": (found - motion).square().mean().item(),
            "pelvis": centimetres(pelvis),
            "body": centimetres(body),
            **{name: float(means[name]) for name in ("top3", "fid")},
        }


@dataclass(frozen=True)
class Repeated(OnePerCaption):
    """The clips of another source, repeated."""

    real: RealSource
    repeat: Repeat
    mean: Tensor
    std: Tensor

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch in self.real.batches(repeat_seed):
            motion = self.repeat(batch) * self.std + self.mean
            yield replace(batch, motion=motion * batch.mask[:, :, None, None])


def denoised(config: Config, trained: Trained) -> Repeat:
    """What a denoiser makes of motions with next to no noise.

    Raises:
        SystemExit: the row predicts no clean motion.
    """
    row = find(trained.variant)
    if not row.method.diffuses or row.method.process.predicts != "motion":
        raise SystemExit(f"error: {row.name} is no denoiser that predicts motions.")
    text = TextCache(path("text", profile=config.profile, dataset=trained.dataset))
    process = Diffusion(row.configured(config, trained.dataset).diffusion, process=row.method.process)
    model = trained.model.eval()

    @torch.inference_mode()
    def repeat(batch: Batch) -> Float[Tensor, "B T 2 F"]:
        motion = (batch.motion - trained.mean) / trained.std * batch.mask[:, :, None, None]
        cond = conditions(model, text, batch.caption, batch.individual)
        step = torch.zeros(len(motion), dtype=torch.long)
        noise = torch.randn(motion.shape, generator=torch.Generator().manual_seed(config.seed))
        made: Tensor = model(process.add_noise(motion, noise, step), step, cond, batch.mask)
        return made

    return repeat


def centimetres(apart: Float[Tensor, "*axes 3"]) -> float:
    """Root mean square length of vectors in metres."""
    return 100 * apart.square().sum(-1).mean().sqrt().item()


if __name__ == "__main__":
    main()
