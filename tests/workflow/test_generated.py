"""Weights that an evaluation reads are those of its profile, dataset and variant."""

from pathlib import Path

import pytest
import torch
from places import ROOT

from intermamba import paths
from intermamba.checkpoints import trained as checkpoint
from intermamba.checkpoints.recipe import describe
from intermamba.config import Config, load
from intermamba.errors import StateError
from intermamba.models import build
from intermamba.representation import representation
from workflow.evaluation import generated
from workflow.graph import stages

ITEM = {"dataset": "interhuman", "variant": "intermamba", "seed": 0}


def put(config: Config, path: Path, variant: str = "intermamba") -> None:
    """A denoiser of a profile that has learnt nothing."""
    recipe = describe(config, "interhuman", variant, origin="synthetic", tower="untrained")
    features = representation("interhuman").features
    model = build(
        variant,
        features=features,
        max_frames=recipe.max_frames,
        text_width=config.text.width,
        **config.model.model_dump(),
    )
    checkpoint.save(path, checkpoint.Trained(model, torch.zeros(features), torch.ones(features), recipe))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    return load("study-cpu", ROOT / "params.yaml")


def test_weights_of_the_profile_are_taken(study: Config) -> None:
    job = stages.job(study, "evaluate", **ITEM)
    put(study, job["weights"])
    assert generated.load(study, job).variant == "intermamba"


def test_weights_of_another_profile_are_refused(study: Config) -> None:
    job = stages.job(study, "evaluate", **ITEM)
    put(load("smoke", ROOT / "params.yaml"), job["weights"])
    wrong = (
        "not trained with profile 'study-cpu': model.width 64 in place of 128, model.feedforward 128 in place of 256, "
        "model.state 4 in place of 8, model.rank 4 in place of 8, model.text_feedforward 128 in place of 256"
    )
    again = (
        "Delete it and run `intermamba train --profile study-cpu --dataset interhuman --variant intermamba --seed 0`"
    )
    with pytest.raises(StateError, match=rf"{paths.path('weights', profile='study-cpu', **ITEM)}: {wrong}.*{again}"):
        generated.load(study, job)


def test_weights_of_another_variant_are_refused(study: Config) -> None:
    job = stages.job(study, "evaluate", **ITEM)
    put(study, job["weights"], "without_temporal")
    with pytest.raises(StateError, match="holds 'without_temporal' trained on 'interhuman', not 'intermamba'"):
        generated.load(study, job)
