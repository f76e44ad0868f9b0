"""What denoisers cannot repeat, beside what is lost where only the data's leading principal components are kept.

    python benchmarks/components.py RUN PROFILE DATASET [ROW:SEED ...] --output docs/bench/components.csv

RUN is a folder with the data of the profile, and trainings of the rows. A denoiser of clean motions gets validation
clips with the noise of step 0, next to none, and has only to repeat them. ``error`` is the mean square error of
normalised features, ``pelvis`` the root mean square distance of the persons' pelvises in centimetres. Components are
those of single frames and persons in the training split. What is in the output already is not measured again.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from measuring import batch_of, in_run, measuring_code, unmeasured
from torch import Tensor

from intermamba import files
from intermamba.checkpoints.trained import Trained
from intermamba.config import Config, load
from intermamba.data import normalisation
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.models import find
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.provenance import recorded
from intermamba.representation import Representation, representation
from intermamba.seeds import derive
from intermamba.text.cache import TextCache

KEPT = (0, 8, 16, 24, 32, 48, 64)
"""Numbers of components."""
CLIPS = 1000
"""Training clips of which components are computed."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("profile")
    arguments.add_argument("dataset")
    arguments.add_argument("rows", nargs="*")
    arguments.add_argument("--output", type=Path, required=True)
    asked = arguments.parse_args()
    output = in_run(asked.run, asked.output)
    config = load(asked.profile)
    torch.set_num_threads(config.runtime.threads)
    done = [pd.read_csv(output)] if output.exists() else []
    body = representation(asked.dataset, split(config, asked.dataset, "train").offsets)
    about = {"dataset": asked.dataset, "measured_by": measuring_code()}
    with recorded("components", [output], [], config.model_dump(mode="json")) as notes:
        if not any((one["dataset"] == asked.dataset).any() for one in done):
            found = components(config, asked.dataset, body)
            done.append(pd.DataFrame(found, columns=["kept", "error", "pelvis"]).assign(**about, method="components"))
        for labels, trained in unmeasured(asked.rows, config, asked.dataset, done):
            error, pelvis = repeated(config, trained, body)
            done.append(pd.DataFrame([labels | {"error": error, "pelvis": pelvis}]))
        files.write_csv(output, pd.concat(done))
        notes["run"] = asked.run.name


def split(config: Config, dataset: str, name: str) -> SplitFile:
    return SplitFile(path("split", split=name, profile=config.profile, dataset=dataset))


def clips(config: Config, dataset: str, name: str, count: int | None = None) -> Batch:
    return batch_of(split(config, dataset, name), config, derive(config.seed, "components"), count)


def components(config: Config, dataset: str, body: Representation) -> list[tuple[int, float, float]]:
    """Number of components kept, and both errors of validation clips."""
    mean, std = normalisation.read(path("stats", profile=config.profile, dataset=dataset), body.features)
    train, held = (clips(config, dataset, name, count) for name, count in (("train", CLIPS), ("val", None)))
    known, motion = ((one.motion[one.mask] - mean) / std for one in (train, held))
    centre = known.flatten(0, 1).mean(0)
    _, _, axes = torch.linalg.svd(known.flatten(0, 1) - centre, full_matrices=False)
    found = []
    for kept in KEPT:
        left = (motion - centre) @ axes[:kept].T @ axes[:kept] + centre
        found.append((kept, *errors(left, motion, mean, std, body)))
    return found


@torch.inference_mode()
def repeated(config: Config, trained: Trained, body: Representation) -> tuple[float, float]:
    """Both errors of a denoiser that is given validation clips.

    Raises:
        SystemExit: the row predicts no clean motion.
    """
    row = find(trained.variant)
    if not row.method.diffuses or row.method.process.predicts != "motion":
        raise SystemExit(f"error: {row.name} is no denoiser that predicts motions.")
    held = clips(config, trained.dataset, "val")
    motion = (held.motion - trained.mean) / trained.std * held.mask[:, :, None, None]
    text = TextCache(path("text", profile=config.profile, dataset=trained.dataset))
    cond = conditions(trained.model, text, held.caption, held.individual)
    step = torch.zeros(len(motion), dtype=torch.long)
    noise = torch.randn(motion.shape, generator=torch.Generator().manual_seed(config.seed))
    process = Diffusion(row.configured(config, trained.dataset).diffusion, process=row.method.process)
    found = trained.model.eval()(process.add_noise(motion, noise, step), step, cond, held.mask)
    return errors(found[held.mask], motion[held.mask], trained.mean, trained.std, body)


def errors(
    found: Float[Tensor, "N 2 F"],
    motion: Float[Tensor, "N 2 F"],
    mean: Float[Tensor, " F"],
    std: Float[Tensor, " F"],
    body: Representation,
) -> tuple[float, float]:
    """Mean square error of normalised features; root mean square distance of pelvises, centimetres."""
    apart = body.translation(found * std + mean) - body.translation(motion * std + mean)
    return (found - motion).square().mean().item(), 100 * apart.square().sum(-1).mean().sqrt().item()


if __name__ == "__main__":
    main()
