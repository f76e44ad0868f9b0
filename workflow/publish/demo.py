"""The demo checkpoint of the package: one training of the committed study, chosen by :data:`RULE`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.config import Dataset, load
from intermamba.errors import StateError
from intermamba.paths import COMMITTED, DEMO, path, record_of

DATASET: Dataset = "interhuman"
VARIANT = "intermamba_long"
"""The full model, in its longest training on this dataset."""
RULE = "lowest total validation loss at its last step"
LARGEST = 3_000_000
"""Bytes that a checkpoint inside the package may take."""
LOGS = Path("docs/demo")
"""Where the training logs behind the choice are published, one per training seed."""


def logs(seeds: Sequence[int]) -> dict[int, Path]:
    """The training log of each training, by training seed."""
    return {
        seed: path("training_log", profile=COMMITTED, dataset=DATASET, variant=VARIANT, seed=seed) for seed in seeds
    }


def published(seed: int) -> Path:
    """Where the log of a training is published."""
    return LOGS / f"seed{seed}.csv"


def last_loss(log: Path) -> float:
    """Total validation loss at the last step of a training.

    Raises:
        StateError: there is no such log.
    """
    rows = pd.read_csv(files.require(log, "train"))
    return float(rows[rows["split"] == "val"].sort_values("step")["total"].iloc[-1])


def publish(target: Path = DEMO) -> None:
    """Put the chosen weights into the package, with the record of their training and the reason for the choice.

    The default number of sampling steps becomes the paper's: with the study's few, joints tremble: in a trial, their
    mean acceleration was 1.7 times that with fifty.

    Raises:
        StateError: the training has not run here, its weights are not what its record describes, or they are too large.
    """
    seeds = load(COMMITTED).runs[DATASET][VARIANT]
    found = {seed: last_loss(log) for seed, log in logs(seeds).items()}
    chosen = min(seeds, key=lambda seed: found[seed])
    weights = path("weights", profile=COMMITTED, dataset=DATASET, variant=VARIANT, seed=chosen)
    stage = f"train --profile {COMMITTED} --dataset {DATASET} --variant {VARIANT} --seed {chosen}"
    record = files.read_json(files.require(record_of(weights), stage))
    if files.sha256(files.require(weights, stage)) != record["outputs"][str(weights)]:
        raise StateError(f"{weights}: not what its record describes. Delete it and run `intermamba {stage}`.")
    if (size := weights.stat().st_size) > LARGEST:
        raise StateError(f"{weights}: {size} bytes; at most {LARGEST} go into the package.")
    sentence = (
        f"{VARIANT} on {DATASET}, profile {COMMITTED}, training seed {chosen} of {', '.join(map(str, seeds))}: {RULE}."
    )
    notes = record["notes"] | {
        "chosen": sentence,
        "validation_losses": {str(seed): found[seed] for seed in seeds},
        "logs": {str(log): files.sha256(log) for log in logs(seeds).values()},
    }
    trained = checkpoints.load(weights)
    diffusion = trained.recipe.diffusion.model_copy(update={"sampling_steps": load("paper").diffusion.sampling_steps})
    checkpoints.save(target, replace(trained, recipe=trained.recipe.model_copy(update={"diffusion": diffusion})))
    notes |= {"sampling_steps": diffusion.sampling_steps, "sha256": files.sha256(target)}
    files.write_json(record_of(target), record | {"notes": notes})
    for seed, log in logs(seeds).items():
        files.write_text(published(seed), log.read_text(encoding="utf-8"))
