"""The sample command: files for any prompt and any denoiser, and a message for everything that cannot be."""

import json
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import official_files
import pytest
import stages
import torch
from PIL import Image
from towers import untrained_tower
from typer.testing import CliRunner

from intermamba import files
from intermamba.checkpoints import trained as checkpoint
from intermamba.checkpoints.recipe import describe
from intermamba.config import Config, Dataset, load
from intermamba.errors import ConfigError, DataError, InterMambaError, StateError
from intermamba.generate import MotionGenerator
from intermamba.models import build
from intermamba.paths import record_of
from intermamba.prompts import Prompt, pair_up, read_prompts
from intermamba.representation import representation
from intermamba.rotations import forward_kinematics
from intermamba.sample import run
from intermamba.skeleton import JOINTS, OFFSETS, PARENTS
from intermamba.text import cache
from intermamba.text.live import LiveText
from intermamba.text.reduction import Reduction
from intermamba.text.tower import load as load_tower
from workflow.cli.commands import app

BOW = "Two people bow to each other."
TOWER = "all-MiniLM-L6-v2-pca64"
REDUCTION = Reduction(torch.zeros(384), torch.eye(384, 64) * 384**0.5)


@pytest.fixture
def config(study: Path) -> Config:
    """The smoke profile, for models of up to 32 frames."""
    settings = load("smoke")
    datasets = {name: data.model_copy(update={"max_frames": 32}) for name, data in settings.datasets.items()}
    model = settings.model.model_copy(update={"width": 16, "feedforward": 16, "text_feedforward": 16})
    return settings.model_copy(update={"datasets": datasets, "model": model})


def trained(config: Config, dataset: Dataset = "interhuman", variant: str = "intermamba", tower: str = TOWER) -> Path:
    """A checkpoint of a small denoiser that has seen nothing: its motions are noise around a rest pose."""
    features, text_width = representation(dataset).features, config.text.width
    torch.manual_seed(0)
    model = build(variant, features=features, max_frames=32, text_width=text_width, **config.model.model_dump())
    for weight in model.parameters():
        if not weight.any():  # what starts at zero would hide text, time and partner
            torch.nn.init.normal_(weight, std=0.1)
    mean, std = torch.zeros(features), torch.full((features,), 0.05)
    if dataset == "interhuman":
        mean[:66] = torch.tensor(OFFSETS[:22]).cumsum(0).flatten()
    else:
        mean.view(56, 6)[:55] = torch.tensor([1.0, 0, 0, 0, 1, 0])
    path = Path(f"{dataset}-{variant}.safetensors")
    about = describe(config, dataset, variant, origin="synthetic", tower=tower).model_copy(update={"min_frames": 15})
    reduction = REDUCTION if about.reduced else None
    checkpoint.save(path, checkpoint.Trained(model, mean, std, about, reduction=reduction))
    return path


@pytest.mark.parametrize(("dataset", "kind", "rotations"), [("interhuman", "mp4", 21), ("interx", "gif", 55)])
def test_one_command_from_a_prompt_to_files(config: Config, dataset: Dataset, kind: str, rotations: int) -> None:
    weights = trained(config, dataset)
    words = ["sample", BOW, "--checkpoint", str(weights), "--frames", "26", "--seeds", "2", "--format", kind]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    folder = Path("results/samples/two-people-bow-to-each-other")
    assert done.stdout.split() == [str(folder / f"seed{seed}.{suffix}") for seed in (0, 1) for suffix in ("npz", kind)]

    arrays = [dict(np.load(folder / f"seed{seed}.npz", allow_pickle=False)) for seed in (0, 1)]
    one, other = arrays
    assert one["joints"].shape == (26, 2, 22, 3)
    assert one["rotations"].shape == (26, 2, rotations, 3, 3)
    assert one["translation"].shape == (26, 2, 3)
    assert len(one["joint_names"]) == len(one["parents"]) == 22
    assert len(one["rotation_joint_names"]) == len(one["rotation_relative_to"]) == rotations
    assert (one["caption"], one["dataset"], one["origin"], one["tower"]) == (BOW, dataset, "synthetic", TOWER)
    assert (one["checkpoint"], one["fps"], one["seed"], other["seed"]) == (files.sha256(weights), 30, 0, 1)
    assert "metres" in str(one["units"])
    assert not np.allclose(one["joints"], other["joints"])

    if kind == "gif":
        with Image.open(folder / "seed1.gif") as image:
            assert image.n_frames == 26
    else:
        assert imageio_ffmpeg.count_frames_and_secs(str(folder / "seed1.mp4"))[0] == 26
    record = json.loads((folder / "seed1.npz.prov.json").read_text())
    assert record["stage"] == "sample"
    assert record["inputs"] == {str(weights): files.sha256(weights)}
    assert set(record["outputs"]) == {str(folder / f"seed1.{suffix}") for suffix in ("npz", kind)}
    assert record["seeds"]["sample"] == 1
    assert record["notes"]["caption"] == BOW
    assert record["config"]["frames"] == 26


def test_other_programs_are_served_too(config: Config) -> None:
    words = ["sample", BOW, "--checkpoint", str(trained(config)), "--frames", "15", "--format", "npz,bvh,glb"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    names = [Path(name).name for name in done.stdout.split()]
    assert names == ["seed0.npz", "seed0.a.bvh", "seed0.b.bvh", "seed0.glb"]
    record = json.loads(Path(done.stdout.split()[0] + ".prov.json").read_text())
    assert [Path(name).name for name in record["outputs"]] == sorted(names)


def test_a_file_explains_itself(config: Config) -> None:
    """Names and parents in the file are enough to find the joints from the rotations."""
    found = np.load(run(config, trained(config, "interx"), [Prompt(BOW)], formats=("glb",))[0])
    names = list(found["rotation_joint_names"])
    parents = [names.index(name) if name in names else -1 for name in found["rotation_relative_to"]]
    assert tuple(parents) == PARENTS
    assert str(found["rotation_relative_to"][0]) == "world"
    rotations, translation = torch.from_numpy(found["rotations"]), torch.from_numpy(found["translation"])
    joints = forward_kinematics(rotations, translation, torch.tensor(OFFSETS), parents)
    body = [names.index(name) for name in found["joint_names"]]
    np.testing.assert_allclose(joints[..., body, :], found["joints"], atol=1e-5)


def test_a_users_body_shapes_the_sample(config: Config) -> None:
    """Joints and exports of a model that was trained with a user's SMPL-X body have that body's bones."""
    weights = trained(config, "interx")
    bones = np.array(OFFSETS) * np.random.default_rng(0).uniform(0.8, 1.2, (55, 1))
    checkpoint.save(weights, replace(checkpoint.load(weights), offsets=bones))
    written = run(None, weights, [Prompt(BOW)], formats=("bvh",))
    found = np.load(written[0])
    for joint, parent in enumerate(PARENTS[:22]):
        if parent >= 0:
            length = np.linalg.norm(found["joints"][:, :, joint] - found["joints"][:, :, parent], axis=-1)
            np.testing.assert_allclose(length, np.linalg.norm(bones[joint]), atol=1e-4)
    np.testing.assert_array_equal(found["bones"], bones)
    finger = written[1].read_text().split("left_index1")[1].split("OFFSET")[1].split()[:3]
    np.testing.assert_allclose(np.array(finger, float), bones[JOINTS.index("left_index1")], atol=1e-4)


def test_a_motion_depends_on_its_seed_and_prompt_alone(config: Config) -> None:
    weights = trained(config)
    many = run(config, weights, [Prompt("Hug!"), Prompt(BOW)], frames=15, seeds=2, output="many", formats=("glb",))
    one = run(config, weights, [Prompt(BOW)], frames=15, output="one", formats=("glb",))
    joints, alone = (np.load(paths[index])["joints"] for paths, index in ((many, 4), (one, 0)))
    np.testing.assert_allclose(joints, alone, atol=1e-5)  # metres; batches round differently
    assert not np.array_equal(np.load(many[0])["joints"], np.load(many[4])["joints"])
    # The profile's knobs can be overruled, and that shows in the motion and is written down.
    for name, knob in (("guided", {"guidance": 1.0}), ("slow", {"steps": 20})):
        other = np.load(run(config, weights, [Prompt(BOW)], frames=15, output=name, formats=("glb",), **knob)[0])
        assert not np.array_equal(other["joints"], np.load(one[0])["joints"])
        assert other["guidance"].tolist() == ([1.0, 0.0] if name == "guided" else [3.5, -2.5])
        assert other["sampling_steps"] == (20 if name == "slow" else config.diffusion.sampling_steps)


def test_what_a_prompt_is_taken_for_is_said(config: Config) -> None:
    weights, prompts = trained(config), ["Old friends embrace after many years.", "The stock market fell on Monday."]
    done = CliRunner().invoke(
        app,
        ["sample", *prompts, "--checkpoint", str(weights), "--frames", "15", "--format", "glb"],
        catch_exceptions=False,
    )
    assert "note: 'Old friends embrace after many years.' is nearest to: hug (" in done.stderr
    assert (
        "'The stock market fell on Monday.' is unlike every kind of interaction that the model was trained on"
        in done.stderr
    )
    assert done.stderr.count("is unlike every kind") == 1


def test_batches_change_nothing_and_a_prompt_is_encoded_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    features = LiveText.features
    monkeypatch.setattr(LiveText, "features", lambda self, captions: asked.extend(captions) or features(self, captions))
    weights, prompts = trained(config), [Prompt("Hug!"), Prompt(BOW), Prompt("They dance.")]
    found = []
    for batch in (1, 4):
        runtime = config.runtime.model_copy(update={"sampling_batch": batch})
        settings = config.model_copy(update={"runtime": runtime})
        written = run(settings, weights, prompts, frames=15, seeds=2, output=f"by{batch}", formats=("glb",))
        found.append([np.load(path)["joints"] for path in written[::2]])
    assert asked == 2 * [prompt.caption for prompt in prompts]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)  # metres


def test_prompts_come_from_a_file_too(config: Config) -> None:
    Path("prompts.txt").write_text("\nOne pushes the other.\n   \nOne falls.\n", encoding="utf-8")
    weights = trained(config)
    done = CliRunner().invoke(
        app,
        ["sample", "--checkpoint", str(weights), "--prompts", "prompts.txt", "--output", "here", "--format", "glb"],
        catch_exceptions=False,
    )
    assert [Path(name).parent.name for name in done.stdout.split()[::2]] == ["one-pushes-the-other", "one-falls"]
    with np.load("here/one-falls/seed0.npz") as found:
        assert len(found["joints"]) == 31  # as many as its training can have shown


def test_a_model_of_three_captions_reads_all_three(config: Config) -> None:
    weights = trained(config, variant="in2in")
    words = ["sample", BOW, "--checkpoint", str(weights), "--frames", "15", "--format", "glb"]
    made = {}
    for person_b in ("A person bows.", "A person kneels."):
        CliRunner().invoke(
            app, [*words, "--person-a", "A person bows.", "--person-b", person_b], catch_exceptions=False
        )
        made[person_b] = dict(np.load("results/samples/two-people-bow-to-each-other/seed0.npz"))
    first, second = made.values()
    assert not np.array_equal(first["joints"], second["joints"])
    assert second["individual"].tolist() == ["A person bows.", "A person kneels."]
    assert second["guidance"].tolist() == [3.0, 3.0, 1.0, -6.0]
    with pytest.raises(ConfigError, match=r"in2in\) reads a caption for each person: `persons=` in Python, --person-a"):
        run(config, weights, [Prompt(BOW)])
    with pytest.raises(ConfigError, match=r"guidance 2\.0: .*in2in\) has its own guidance weights"):
        run(config, weights, [Prompt(BOW, ("Bows.", "Bows."))], guidance=2.0)


def test_an_adopted_official_checkpoint_is_like_any_other(config: Config) -> None:
    official, config = official_files.write(Path.cwd()), untrained_tower(config)
    stages.adopt(config, "interhuman", "intergen", official, Path("adopted.safetensors"))
    with np.load(run(None, "adopted.safetensors", [Prompt(BOW)], frames=15, formats=("glb",))[0]) as found:
        assert (found["variant"], found["origin"], found["tower"]) == ("intergen", "official", "untrained-64x2-seed0")
        assert len(found["joints"]) == 15
    with pytest.raises(DataError, match=r"official\.ckpt: .*`intermamba adopt` converts"):
        run(config, official.checkpoint, [Prompt(BOW)])


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([], {}, "no prompt"),
        ([""], {}, "prompt '' has no words"),
        ([" \t"], {}, "has no words"),
        (["?!"], {}, r"prompt '\?!' has no words"),
        ([BOW, BOW.upper()], {}, "'Two people bow.*'TWO PEOPLE.*share the folder 'two-people-bow-to-each-other'"),
        ([BOW, BOW], {}, "share the folder"),
        ([BOW], {"frames": 14}, r"frames 14: .*safetensors \(intermamba\) generates 15 to 31 frames"),
        ([BOW], {"frames": 33}, "frames 33: .*generates 15 to 31 frames"),
        ([BOW], {"seeds": 0}, "seeds 0: at least 1"),
        ([BOW], {"formats": ("avi",)}, "format 'avi' in --format.*Allowed: bvh, gif, glb, mp4"),
        ([BOW], {"steps": 0}, "steps 0: 1 to 1000, the length of the noise schedule"),
        ([BOW], {"steps": 1001}, "steps 1001"),
        ([BOW], {"guidance": float("nan")}, r"guidance nan: 0 to 1e\+06"),
        ([BOW], {"guidance": -1.0}, r"guidance -1\.0: 0 to 1e\+06, .*0 ignores the prompt"),
    ],
)
def test_a_wrong_request_says_what_is_allowed(config: Config, prompts: list[str], options: dict, message: str) -> None:
    weights = trained(config)
    with pytest.raises(ConfigError, match=message):
        run(config, weights, [Prompt(text) for text in prompts], **options)
    assert not Path("results/samples").exists()


def test_captions_of_persons_are_for_models_that_read_them(config: Config) -> None:
    with pytest.raises(ConfigError, match=r"intermamba\) reads only the caption of the pair"):
        run(config, trained(config), [Prompt(BOW, ("Bows.", "Bows."))])
    with pytest.raises(ConfigError, match=r"2 prompt\(s\), but --person-a 2 and --person-b 1 times"):
        pair_up(["One.", "Two."], ["a", "b"], ["c"])


def test_every_prompt_has_a_folder_name() -> None:
    assert Prompt("The other's café, No. 3").folder == "the-others-cafe-no-3"
    assert Prompt("两个人拥抱。").folder.isalnum()
    assert Prompt("两个人拥抱。").folder != Prompt("两个人鞠躬。").folder
    long = [Prompt("they bow " * 20 + last).folder for last in ("once", "twice")]
    assert long[0] != long[1]
    assert all(len(name) < 80 for name in long)
    assert not {"/", ".", " "} & set("".join(long))


def test_a_file_of_prompts_must_hold_some(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--prompts .*absent\.txt: missing"):
        read_prompts(tmp_path / "absent.txt")
    (tmp_path / "blank.txt").write_text("\n  \n")
    with pytest.raises(DataError, match=r"blank\.txt: holds no prompt"):
        read_prompts(tmp_path / "blank.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"binary\.txt: not UTF-8 text"):
        read_prompts(tmp_path / "binary.txt")


def test_what_is_no_checkpoint_is_refused(config: Config) -> None:
    def refused(path: str, kind: type[InterMambaError], message: str) -> None:
        with pytest.raises(kind, match=message):
            run(config, path, [Prompt(BOW)])

    refused("absent.safetensors", StateError, r"absent\.safetensors: no such file")
    Path("notes.txt").write_text("no weights")
    refused("notes.txt", DataError, r"notes\.txt: cannot be read as safetensors.*`intermamba adopt`")
    files.write_tensors("evaluator.safetensors", {"scale": torch.ones(1)}, {"dataset": "interhuman"})
    refused("evaluator.safetensors", DataError, r"evaluator\.safetensors: not a denoiser .*earlier version")
    weights = trained(config)
    tensors, metadata = files.read_tensors(weights)
    huge = tensors | {"model.out.weight": torch.full_like(tensors["model.out.weight"], 1e38)}
    files.write_tensors("huge.safetensors", huge, metadata)
    refused("huge.safetensors", StateError, r"huge\.safetensors: 'Two people.*seed 0: the motion is not finite")
    assert not list(Path("results/samples").rglob("*.npz"))


def test_an_output_that_cannot_be_written_is_named(config: Config) -> None:
    weights = trained(config)
    Path("taken").write_text("a file")
    for folder in ("taken", "taken/below"):
        with pytest.raises(StateError, match=rf"--output {folder}: cannot be written"):
            run(config, weights, [Prompt(BOW)], output=folder)


def test_a_denoiser_keeps_to_the_tower_and_schedule_it_knows(config: Config) -> None:
    other = trained(config, tower="ViT-L-14-336-quickgelu/openai")
    with pytest.raises(ConfigError, match=rf"tower 'ViT-L-14-336-quickgelu/openai', but .* from '{TOWER}'. Use the"):
        MotionGenerator(checkpoint.load(other), LiveText(config.text, REDUCTION), config.diffusion, "cpu")
    with pytest.raises(ConfigError, match=rf"--profile smoke does not fit {other}: text tower {TOWER}, but .* ViT-L"):
        run(config, other, [Prompt(BOW)])
    known = checkpoint.load(trained(config))
    assert (known.tower, known.recipe.min_frames, known.recipe.diffusion.steps) == (TOWER, 15, 1000)
    shorter = config.diffusion.model_copy(update={"steps": 500})
    with pytest.raises(ConfigError, match=r"diffusion\.steps: 500, but .* was trained with 1000"):
        MotionGenerator(known, LiveText(config.text, REDUCTION), shorter, "cpu")
    assert MotionGenerator(
        replace(known, recipe=known.recipe.model_copy(update={"diffusion": shorter})),
        LiveText(config.text, REDUCTION),
        shorter,
        "cpu",
    )


def test_a_profile_gives_a_row_its_own_settings(config: Config) -> None:
    """Those of its recipe and method, not those of other rows."""
    weights = trained(config, variant="intermamba_printed")
    wider = config.changed({"diffusion": {"sampling_shift": 8.0, "guidance": 2.0, "sampling_steps": 3}}, "test")
    (file, *_) = run(wider, weights, [Prompt(BOW)], frames=15, formats=())
    used = files.read_json(record_of(file))["config"]["diffusion"]
    assert (used["sampling_shift"], used["guidance"], used["sampling_steps"]) == (None, 3.5, 3)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_live_tower_gives_what_the_cache_holds(config: Config, tmp_path: Path, precision: str) -> None:
    settings = untrained_tower(config).text.model_copy(update={"precision": precision})
    captions = [BOW, "One person waves."]
    cache.write(tmp_path / "text.safetensors", load_tower(settings), captions, getattr(torch, precision))
    stored, live = cache.TextCache(tmp_path / "text.safetensors"), LiveText(settings)
    assert live.tower == stored.tower
    for one, other in zip(live.features(captions), stored.features(captions), strict=True):
        assert torch.equal(one, other)
