"""The public interface: a checkpoint in, motions out, from any folder; every docstring's example runs."""

import doctest
import inspect
import json
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType

import imageio_ffmpeg
import numpy as np
import pandas as pd
import pytest
import torch
from places import ROOT
from typer.testing import CliRunner

import intermamba
from intermamba import export, files
from intermamba.api import Model
from intermamba.checkpoints import recipe as recipes
from intermamba.checkpoints import trained as checkpoints
from intermamba.config import load as load_config
from intermamba.errors import ConfigError, StateError
from intermamba.motion import FORMATS, Motion
from intermamba.paths import COMMITTED, DEMO, path, record_of
from intermamba.prompts import Prompt, check_request
from workflow.cli.commands import app
from workflow.publish import demo

BOW = "Two people bow to each other."


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, without params.yaml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def model() -> Model:
    return intermamba.load()


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "pandas", "scipy", "matplotlib", "pydantic", "yaml", "importlib.metadata"}
    code = (
        "import sys; before = set(sys.modules); import intermamba; dir(intermamba); "
        f"print(sorted({heavy!r} & (set(sys.modules) - before)), len(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, count = done.stdout.rsplit(maxsplit=1)
    assert found == "[]"
    assert int(count) < 20


def documented() -> Iterator[tuple[str, object]]:
    """Everything public of the package and of its classes, by name; names of packages above are theirs to test."""
    for name in sorted({"Model", "Motion", "load"}):
        found = getattr(intermamba, name)
        yield name, found
        if inspect.isclass(found):
            yield from (
                (f"{name}.{part}", value)
                for part, value in vars(found).items()
                if not part.startswith("_") and isinstance(value, FunctionType)
            )


@pytest.mark.parametrize(("name", "thing"), list(documented()))
def test_every_public_docstring_has_an_example_that_runs(name: str, thing: object) -> None:
    examples = [
        test for test in doctest.DocTestFinder(recurse=False).find(thing, name, module=False, globs={}) if test.examples
    ]
    assert len(examples) == 1, f"{name}: no example"
    report: list[str] = []
    assert doctest.DocTestRunner().run(examples[0], out=report.append).failed == 0, "".join(report)


def test_the_package_exports_what_it_lists() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["intermamba.api"]
    assert {"Model", "Motion", "load", *points} == set(intermamba.__all__) <= set(dir(intermamba))
    for name, place in points.items():
        assert find_spec(EntryPoint(name, place, "intermamba.api").module)
    with pytest.raises(AttributeError, match="has no attribute 'sample'"):
        intermamba.__getattr__("sample")


def test_a_batch_gives_what_single_calls_give(model: Model) -> None:
    captions = [BOW, "Two people dance and mirror each other."]
    together = model.generate(captions, frames=20, seed=3)
    alone = [model.generate(caption, frames=20, seed=3) for caption in captions]
    assert [motion.caption for motion in together] == captions
    for one, other in zip(together, alone, strict=True):
        assert one.joints.shape == (20, 2, 22, 3)
        np.testing.assert_allclose(one.joints, other.joints, atol=1e-4)  # metres; batches round differently
    assert not np.allclose(together[0].joints, together[1].joints, atol=0.01)
    assert not np.allclose(model.generate(BOW, frames=20, seed=4).joints, alone[0].joints, atol=0.01)


def test_guidance_and_steps_reach_the_sampler(model: Model) -> None:
    usual, strong, slow = (model.generate(BOW, frames=20, **knobs) for knobs in ({}, {"guidance": 1.0}, {"steps": 3}))
    assert usual.details["sampling_steps"] == model.recipe.diffusion.sampling_steps
    assert (strong.details["guidance"], slow.details["sampling_steps"]) == ([1.0, 0.0], 3)
    for other in (strong, slow):
        assert not np.array_equal(other.joints, usual.joints)


def test_without_guidance_the_prompt_has_no_effect(model: Model) -> None:
    """The lower bound: at 0 the guided prediction is the unconditional one, and there is nothing below it."""
    bow, hug = (model.generate(prompt, frames=20, guidance=0.0).joints for prompt in (BOW, "They hug each other."))
    np.testing.assert_allclose(bow, hug, atol=1e-4)
    with pytest.raises(ConfigError, match=r"guidance -1\.0: 0 to"):
        model.generate(BOW, guidance=-1.0)


def test_a_batch_of_no_motions_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch 0: at least 1"):
        Model(DEMO, batch=0)


def test_joints_are_of_people_in_metres(model: Model) -> None:
    motion = model.generate(BOW, seed=0)
    # The network's last frame is never trained: a window of InterHuman has one feature frame less than raw frames.
    assert (model.recipe.longest, model.recipe.max_frames) == (47, 48)
    assert repr(motion) == f"Motion({BOW!r}, 47 frames, seed 0)"
    joints = motion.joints
    assert len(joints) == 47
    heights = joints[..., 1].max(-1) - joints[..., 1].min(-1)
    assert 1.2 < np.median(heights) < 2.2
    apart = np.linalg.norm(joints[:, 0, 0] - joints[:, 1, 0], axis=-1)
    assert 0.1 < np.median(apart) < 4


@pytest.fixture(scope="module")
def short(model: Model) -> Motion:
    """A motion to write: a few steps are enough."""
    return model.generate(BOW, frames=15, steps=3)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_motion_is_saved_by_ending(short: Motion, ending: str) -> None:
    motion = short
    written = motion.save(Path("new") / f"bow.{ending}")
    assert sorted(written) == sorted(Path("new").iterdir())
    if ending == "npz":
        content = export.read(written[0])
        np.testing.assert_array_equal(content["joints"], motion.joints)
        assert (str(content["caption"]), int(content["fps"])) == (BOW, 30)
    elif ending == "mp4":
        assert imageio_ffmpeg.count_frames_and_secs(str(written[0]))[0] == 15
    else:
        starts = {"bvh": b"HIERARCHY", "glb": b"glTF", "gif": b"GIF8"}
        assert len(written) == (2 if ending == "bvh" else 1)
        assert all(file.read_bytes().startswith(starts[ending]) for file in written)


@pytest.mark.parametrize("suffix", ["NPZ", "BVH", "Glb"])
def test_a_suffix_in_other_letters_is_written_in_small_ones(short: Motion, suffix: str) -> None:
    written = short.save(Path("new") / f"bow.{suffix}")
    assert sorted(written) == sorted(Path("new").iterdir())
    assert all(file.suffix == f".{suffix.lower()}" and file.stat().st_size for file in written)


def test_values_of_other_types_are_refused(model: Model) -> None:
    check, generate = inspect.unwrap(check_request), inspect.unwrap(Model.generate)  # without the tests' own checks
    for message, options in (
        ("frames 30.0", {"frames": 30.0}),
        ("steps 2.5", {"steps": 2.5}),
        ("seed True", {"seeds": [True]}),
        (r"seed \[0, 1\]", {"seeds": [[0, 1]]}),
    ):
        with pytest.raises(ConfigError, match=f"{message}: needs a whole number"):
            check(model.recipe, "weights", [Prompt(BOW)], **options)
    for message, prompt, options in (
        ("no prompt", None, {}),
        ("prompt 1: needs a text", [1], {}),
        ("persons 3: each prompt needs two", BOW, {"persons": 3}),
    ):
        with pytest.raises(ConfigError, match=message):
            generate(model, prompt, **options)


def test_a_wrong_call_says_what_is_allowed(model: Model) -> None:
    for message, prompt, options in (
        (r"frames 180: .*weights\.safetensors \(intermamba_long\) generates 15 to 47 frames", BOW, {"frames": 180}),
        ("no prompt", [], {}),
        ("2 prompt.*captions of each person for 1", [BOW, "They hug."], {"persons": [("Bows.", "Bows.")]}),
        ("persons 'Bows.': each prompt needs two", [BOW, "They hug."], {"persons": ("Bows.", "Bows.")}),
        ("reads only the caption of the pair", BOW, {"persons": ("Bows.", "Bows.")}),
        ("is not valid UTF-8", "caf\udce9 dance", {}),
        ("steps 0: 1 to 1000", BOW, {"steps": 0}),
        ("2001 characters; at most 2000", "a" * 2001, {}),
    ):
        with pytest.raises(ConfigError, match=message):
            model.generate(prompt, **options)
    with pytest.raises(ConfigError, match=r"suffix '.obj'.*bow.obj.*\.glb"):
        model.generate(BOW, frames=15).save("bow.obj")
    with pytest.raises(ConfigError, match=r"device 'gpu'.*auto, cpu, cuda"):
        intermamba.load(device="gpu")
    with pytest.raises(StateError, match=r"absent\.safetensors: no such file"):
        intermamba.load("absent.safetensors")
    with pytest.warns(UserWarning, match="longer than the text tower's .* tokens; the rest of it is ignored"):
        model.generate("They bow. " * 20, frames=15)


def test_sample_works_in_an_empty_folder(model: Model) -> None:
    done = CliRunner().invoke(app, ["sample", BOW, "--frames", "20", "--format", "gif"], catch_exceptions=False)
    folder = Path("results/samples/two-people-bow-to-each-other")
    assert done.stdout.split() == [str(folder / "seed0.npz"), str(folder / "seed0.gif")]
    for sentence in ("demo checkpoint: ", demo.RULE, "trained on synthetic data", "nearest to"):
        assert sentence in done.stderr
    motion = model.generate(BOW, frames=20, seed=0)
    np.testing.assert_allclose(np.load(folder / "seed0.npz")["joints"], motion.joints, atol=1e-5)


def test_the_readmes_commands_and_lines_of_python_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", (ROOT / "README.md").read_text(), re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    (command,) = (shlex.split(line) for line in lines if line.startswith("intermamba sample"))
    done = CliRunner().invoke(app, command[1:], catch_exceptions=False)
    assert all(Path(written).exists() for written in done.stdout.split())
    (python,) = (block for block in blocks if "import intermamba" in block)
    exec(compile(textwrap.dedent(python), "README.md", "exec"), {})
    assert capsys.readouterr().out == "(45, 2, 22, 3)\n"
    assert Path("bow.glb").read_bytes().startswith(b"glTF")


def test_a_refused_sample_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from workflow.cli.commands import app; from typer.testing import CliRunner; "
        f"done = CliRunner().invoke(app, ['sample', {BOW!r}, '--frames', '180']); print(done.exception); "
        "print(sorted({'torch', 'open_clip', 'diffusers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "generates 15 to 47 frames" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_the_demo_is_the_training_that_its_record_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    record = json.loads(record_of(DEMO).read_text())
    losses = {int(seed): loss for seed, loss in record["notes"]["validation_losses"].items()}
    assert sorted(losses) == list(load_config(COMMITTED).runs[demo.DATASET][demo.VARIANT])
    assert losses == {seed: demo.last_loss(demo.published(seed)) for seed in losses}
    assert sorted(record["notes"]["logs"].values()) == sorted(files.sha256(demo.published(seed)) for seed in losses)
    chosen = min(losses, key=lambda seed: losses[seed])
    weights = path("weights", profile=COMMITTED, dataset=demo.DATASET, variant=demo.VARIANT, seed=chosen)
    assert str(weights) in record["outputs"]
    assert record["notes"]["sha256"] == files.sha256(DEMO)
    assert f"training seed {chosen}" in record["notes"]["chosen"]
    assert record["notes"]["chosen"].endswith(f"{demo.RULE}.")
    assert record["code"]["dirty"] is False
    assert DEMO.stat().st_size <= demo.LARGEST
    about = recipes.read(DEMO)
    assert (about.dataset, about.variant.name, about.origin) == (demo.DATASET, demo.VARIANT, record["notes"]["origin"])
    assert about.diffusion.sampling_steps == load_config("paper").diffusion.sampling_steps


def test_the_demo_is_chosen_by_the_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("params.yaml", "ablations"):
        (tmp_path / name).symlink_to(ROOT / name)
    written = {}
    for seed, losses in ((0, [1.0, 0.3]), (1, [0.1, 0.2]), (2, [0.9, 0.4])):
        log, weights = (
            path(name, profile=COMMITTED, dataset=demo.DATASET, variant=demo.VARIANT, seed=seed)
            for name in ("training_log", "weights")
        )
        rows = {"step": [1, 2, 2], "split": ["val", "val", "train"], "total": [*losses, 0.0]}
        files.write_csv(log, pd.DataFrame(rows))
        trained = checkpoints.load(DEMO)
        checkpoints.save(weights, replace(trained, mean=trained.mean + seed))
        written[seed] = weights
        record = {"outputs": {str(weights): files.sha256(weights)}, "notes": {"origin": "synthetic"}}
        files.write_json(record_of(weights), record)
    demo.publish(Path("demo/weights.safetensors"))
    found, best = checkpoints.load("demo/weights.safetensors"), checkpoints.load(written[1])
    assert torch.equal(found.mean, best.mean)
    assert found.recipe == best.recipe
    notes = json.loads(Path("demo/weights.safetensors.prov.json").read_text())["notes"]
    assert notes["validation_losses"] == {"0": 0.3, "1": 0.2, "2": 0.4}
    assert "training seed 1 of 0, 1, 2: lowest total validation loss" in notes["chosen"]
    assert [demo.last_loss(demo.published(seed)) for seed in (0, 1, 2)] == [0.3, 0.2, 0.4]
    written[1].write_text("changed")
    with pytest.raises(StateError, match=r"not what its record describes.*intermamba train.*--seed 1"):
        demo.publish(Path("demo/weights.safetensors"))
