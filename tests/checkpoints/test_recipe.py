"""A checkpoint describes itself completely, and what it claims is checked before anything is built."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from towers import untrained_tower

from intermamba import files
from intermamba.checkpoints import recipe as recipes
from intermamba.checkpoints import trained as checkpoint
from intermamba.config import ModelConfig, load
from intermamba.data.interx import NEUTRAL
from intermamba.errors import ConfigError, DataError
from intermamba.models import build, find, variants
from intermamba.representation import representation
from intermamba.text.names import tower_name
from intermamba.text.reduction import Reduction


def small(folder: Path, dataset: str = "interhuman", variant: str = "intermamba", offsets: Any = None) -> Path:
    config = untrained_tower(load("smoke"))
    recipe = recipes.describe(config, dataset, variant, origin="synthetic", tower="untrained-64x2-seed0")
    features = representation(dataset).features
    sizes = {"features": features, "max_frames": recipe.max_frames, "text_width": 64}
    model = build(variant, **sizes, **config.model.model_dump())
    path = folder / "weights.safetensors"
    checkpoint.save(path, checkpoint.Trained(model, torch.zeros(features), torch.ones(features), recipe, offsets))
    return path


def rewritten(path: Path, change: Callable[[dict], object]) -> Path:
    tensors, metadata = files.read_tensors(path)
    content = json.loads(metadata["recipe"])
    change(content)
    files.write_tensors(path, tensors, metadata | {"recipe": json.dumps(content)})
    return path


def test_a_reduction_of_the_towers_features_travels_with_the_weights(tmp_path: Path) -> None:
    config, path = load("smoke"), small(tmp_path)
    trained = checkpoint.load(path)
    assert trained.reduction is None
    recipe = recipes.describe(config, "interhuman", "intermamba", origin="synthetic", tower=tower_name(config.text))
    assert recipe.reduced
    assert any("all-MiniLM-L6-v2-pca64, not the paper's CLIP" in caveat for caveat in recipe.caveats)
    reduction = Reduction(torch.randn(384), torch.randn(384, 64))
    checkpoint.save(path, replace(trained, recipe=recipe, reduction=reduction))
    assert reduction.same(checkpoint.load(path).reduction)
    checkpoint.save(path, replace(trained, recipe=recipe))
    with pytest.raises(DataError, match=r"missing text\.mean; missing text\.basis"):
        checkpoint.load(path)
    checkpoint.save(path, replace(trained, recipe=recipe, reduction=replace(reduction, basis=torch.randn(384, 8))))
    with pytest.raises(DataError, match=r"text\.basis is \(384, 8\), expected \(384, 64\)"):
        checkpoint.load(path)


@pytest.mark.parametrize("variant", ["intermamba", "in2in"])
def test_what_is_saved_comes_back(tmp_path: Path, variant: str) -> None:
    config, path = untrained_tower(load("smoke")), small(tmp_path, variant=variant)
    recipe = recipes.read(path)
    assert (recipe.text, recipe.diffusion, recipe.sizes) == (config.text, config.diffusion, config.model)
    assert (recipe.variant.name, recipe.variant.base) == (variant, variant)
    assert (recipe.min_frames, recipe.max_frames, recipe.seed) == (15, 48, config.seed)
    first = path.read_bytes()
    found = checkpoint.load(path)
    assert found.recipe == recipe
    assert not found.model.training
    tensors, _ = files.read_tensors(path)
    for name, value in found.model.state_dict().items():
        assert torch.equal(value, tensors[f"model.{name}"]), name
    checkpoint.save(path, found)
    assert path.read_bytes() == first


def test_a_variant_is_rebuilt_as_it_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as its file under ablations/ says today, which may be gone."""
    path = small(tmp_path, variant="without_temporal")
    monkeypatch.setattr("intermamba.models.variants", dict)
    with pytest.raises(ConfigError):
        find("without_temporal")
    assert checkpoint.load(path).recipe.variant.changes == {"temporal": False}


def test_a_users_body_goes_with_the_weights(tmp_path: Path) -> None:
    taller = NEUTRAL * 1.1
    found = checkpoint.load(small(tmp_path, "interx", offsets=taller))
    assert found.offsets is not None
    np.testing.assert_array_equal(found.offsets, taller)
    motion = torch.zeros(2, 336)
    motion.view(2, 56, 6)[:, :55] = torch.tensor([1.0, 0, 0, 0, 1, 0])
    torch.testing.assert_close(found.body.joints(motion), 1.1 * representation("interx").joints(motion))
    assert checkpoint.load(small(tmp_path, "interx", offsets=NEUTRAL)).offsets is None


def test_every_variant_fits_its_own_recipe() -> None:
    for name, variant in variants().items():
        recipe = recipes.describe(load("paper"), "interhuman", name, origin="official", tower="t")
        # RIG predicts noise, which a narrower network cannot.
        sizes = {"width": 264, "transformer_blocks": 1} if variant.method.sizes is ModelConfig else {}
        with torch.device("meta"):
            network = build(name, **sizes)
        assert recipe.individual == variant.individual == (network.groups > 1)


def put(*place: str, value: Any) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        for key in place[:-1]:
            content = content[key]
        content[place[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("dataset", value="interhumam"), r"dataset: .*unknown dataset 'interhumam'.*Did you mean 'interhuman'"),
        (put("dataset", value=None), "dataset: "),
        (put("sizes", value=None), "sizes: "),
        (put("sizes", "modules", value=10**7), r"sizes\.modules: 10000000, at most 64"),
        (put("sizes", "width", value=2**20), r"sizes\.width: 1048576, at most 8192"),
        (put("sizes", "width", value="wide"), r"sizes\.width: .*valid integer"),
        (put("sizes", "heads", value=3), "width 64 is not a multiple of its 3 attention heads"),
        (put("variant", "changes", value={"modules": 10**7}), "modules: 10000000, at most 64"),
        (put("variant", "changes", value={"tempral": False}), "Did you mean 'temporal'"),
        (put("variant", "base", value="gpt"), "unknown base architecture 'gpt'"),
        (put("max_frames", value=10**9), "max_frames: 1000000000, at most 10000"),
        (put("min_frames", value=49), "min_frames: 49, at most 48"),
        (put("text", "width", value=8192), "weights of the untrained text tower"),
        (put("text", "context", value=10**6), r"text\.context: 1000000, at most 1024"),
        (put("diffusion", "steps", value=10**8), r"diffusion\.steps: 100000000, at most"),
        (put("diffusion", "guidance", value=float("nan")), r"diffusion\.guidance"),
        (put("diffusion", "guidance", value=-1), r"diffusion\.guidance: .*greater than or equal to 0"),
        (put("diffusion", "guidance", value=1e7), r"diffusion\.guidance: 10000000\.0, at most 1000000\.0"),
        (put("diffusion", "sampling_steps", value=2000), "sampling_steps 2000 exceeds the 1000 steps"),
        (put("extra", value=1), "extra: Extra inputs are not permitted"),
        (lambda content: content.pop("text"), "text: Field required"),
        (lambda content: content.clear(), "Field required"),
    ],
)
def test_a_broken_recipe_is_one_clear_error(tmp_path: Path, change: Callable[[dict], object], message: str) -> None:
    path = rewritten(small(tmp_path), change)
    with pytest.raises(DataError, match=rf"weights\.safetensors: broken recipe in its metadata: .*{message}") as caught:
        checkpoint.load(path)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("text", ["null", "", "[]", "{", "9" * 5000, "[" * 100_000])
def test_metadata_that_are_no_recipe_are_refused(tmp_path: Path, text: str) -> None:
    path = small(tmp_path)
    tensors, metadata = files.read_tensors(path)
    files.write_tensors(path, tensors, metadata | {"recipe": text})
    with pytest.raises(DataError, match="broken recipe") as caught:
        recipes.read(path)
    assert len(str(caught.value)) < 1500


def test_other_versions_are_told_apart(tmp_path: Path) -> None:
    path = small(tmp_path)
    tensors, metadata = files.read_tensors(path)
    files.write_tensors(path, tensors, metadata | {"format": "3"})
    with pytest.raises(DataError, match=r"checkpoint format '3'; this version of intermamba reads '2'"):
        recipes.read(path)
    files.write_tensors(path, tensors, {"variant": "intermamba", "dataset": "interhuman", "build": "{}"})
    with pytest.raises(DataError, match=r"earlier version.*train again"):
        recipes.read(path)


def test_weights_that_do_not_fit_their_recipe_are_named(tmp_path: Path) -> None:
    path = rewritten(small(tmp_path), put("sizes", "state", value=8))
    with pytest.raises(DataError, match=r"its weights do not fit 'intermamba' on interhuman: .*expected"):
        checkpoint.load(path)
    path = small(tmp_path)
    tensors, metadata = files.read_tensors(path)
    for name, value in (("mean", torch.full((262,), torch.nan)), ("std", torch.zeros(262)), ("std", torch.ones(3))):
        files.write_tensors(path, tensors | {name: value}, metadata)
        with pytest.raises(DataError, match=name):
            checkpoint.load(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"[]", b"\x05" + b"\0" * 7 + b"hello"])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as safetensors"):
        recipes.read(path)
    with pytest.raises(DataError, match="a folder; needs a regular file"):
        recipes.read(tmp_path)
