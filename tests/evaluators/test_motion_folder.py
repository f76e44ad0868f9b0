"""Another project's motions: what a folder may hold, what is refused, and that it is evaluated as our own rows are."""

import doctest
import json
import os
import pickle
import re
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from data_folders import dancer, smplx
from places import ROOT

from evaluators import evaluator as evaluators
from evaluators import protocol as protocols
from evaluators.folder import MotionFolder, export, read, write
from evaluators.results import LEARNED, NEARNESS, PHYSICAL, summarise
from evaluators.results import read as read_results
from evaluators.sources import RealSource
from intermamba import files, models, paths, requests
from intermamba.checkpoints import trained as checkpoint
from intermamba.checkpoints.recipe import describe
from intermamba.config import Config, InterClipConfig, InterXMatcherConfig, load
from intermamba.data import interhuman, interx
from intermamba.data.dataset import Batch, ClipDataset, all_captions
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.errors import ConfigError, DataError, StateError
from intermamba.job import Job, values
from intermamba.representation import representation
from intermamba.rotations import axis_angle_to_matrix, columns_to_matrix, matrix_to_columns
from intermamba.seeds import derive
from intermamba.skeleton import OFFSETS
from intermamba.text import cache, tower
from intermamba.text.names import tower_name
from workflow import api
from workflow.cli.commands import app
from workflow.evaluation import external as command
from workflow.evaluation import prompts, reference
from workflow.evaluation.setup import EvaluationSetup
from workflow.graph import stages

CLIPS = 24
SMALL = {"batch": 8, "repeats": 3, "diversity_pairs": 12}
SMALL_SPREAD = {"repeats": 2, "captions": 3, "samples": 4, "pairs": 2}


def config_of(dataset: str) -> Config:
    """The smoke profile with an evaluator and windows of the smallest size."""
    config = load("smoke", ROOT / "params.yaml")
    evaluator = config.evaluator.model_copy(
        update={
            "interclip": InterClipConfig(
                width=16, layers=1, heads=2, feedforward=16, dropout=0.1, embedding=8,
                text_layers=1, text_heads=2, text_feedforward=16,
            ),
            "interx": InterXMatcherConfig(movement=16, hidden=16, text_hidden=16, embedding=8, dropout=0.2),
        }
    )  # fmt: skip
    settings = config.datasets[dataset].model_copy(update={"source": "raw", "individual": False, "max_frames": 32})
    return config.model_copy(update={"evaluator": evaluator, "datasets": {**config.datasets, dataset: settings}})


def clip(dataset: str, number: int) -> Clip:
    frames = 25 + number % 7
    if dataset == "interhuman":
        people = (dancer(frames, 0.1 * number, phase=number), dancer(frames, 3.0, 0.2, 0.9, phase=2 * number))
        motion = np.stack([person.astype(np.float32) for person in people], axis=1)
    else:
        motion = interx.pair(*(interx.person_pose(**smplx(frames, number + who, float(who))) for who in (0, 1)))
    captions = (f"two people greet {number}", f"they wave {number}")
    tokens = tuple(tuple(f"{word}/NOUN" for word in text.split()) for text in captions)
    return Clip(f"c{number:02}", motion, captions, tokens if dataset == "interx" else ())


def build(config: Config, dataset: str) -> None:
    """A test split, its captions and an evaluator with random weights, where the stages would write them."""
    where = {"profile": "smoke", "dataset": dataset}
    for split in ("train", "val", "test"):
        clips = (clip(dataset, number) for number in range(CLIPS))
        write_split(paths.path("split", split=split, **where), clips, dataset=dataset, split=split, origin="synthetic")
    split = SplitFile(paths.path("split", split="test", **where))
    words = ["unk", "sos", "eos", "two", "people", "greet", "they", "wave"] if dataset == "interx" else []
    vectors = np.cos(np.outer(np.arange(len(words)) + 1.0, np.arange(300) + 1.0)) if words else None
    text, captions = paths.path("text", **where), all_captions([split], config.datasets[dataset])
    reduced = {"width": config.text.width, "fitted": captions}
    cache.write(text, tower.load(config.text), captions, torch.float32, words, vectors, **reduced)
    torch.manual_seed(0)
    network = evaluators.build(config, dataset, cache.TextCache(text)).network
    metadata = {"dataset": dataset, "origin": "synthetic", "weights": "trained", "tower": "untrained"}
    files.write_tensors(paths.path("evaluator", **where), network.state_dict(), metadata)
    reference.run_index(config, stages.job(config, "index-training", dataset=dataset))


def job_of(config: Config, dataset: str) -> Job:
    """A job with what every evaluation on a dataset reads."""
    return stages.job(config, "evaluate-reference", dataset=dataset)


def evaluated(study: tuple[Config, str], folder: Path, method: str | None = None) -> Path:
    """The ``metrics.csv`` of the motions in a folder."""
    job = stages.evaluation_of(*study, method or folder.name, folder)
    command.run(study[0], job)
    return job["metrics"]


def setup_of(config: Config, dataset: str) -> EvaluationSetup:
    return EvaluationSetup(config, job_of(config, dataset))


@pytest.fixture(scope="module", params=["interhuman", "interx"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Config, str]]:
    """Everything a folder of motions is evaluated with, in a folder that becomes the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(request.param))
        config = config_of(request.param)
        build(config, request.param)
        # Small enough for seconds; the protocols themselves are held by other tests.
        plain = protocols.load(config.protocol[request.param])
        spread = plain.multimodality.model_copy(update=SMALL_SPREAD)
        small = plain.model_copy(update={**SMALL, "multimodality": spread})
        patch.setattr(protocols, "load", lambda _: small)
        yield config, request.param


@dataclass(frozen=True)
class Shaken:
    """A model's motions, as if: real ones with noise that the repeat decides, several of some."""

    real: RealSource

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch in self.real.batches(repeat_seed):
            yield self._shaken(batch, repeat_seed)

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch]:
        batch = next(self.real.batches(repeat_seed))
        return (self._shaken(batch.take([row] * samples), derive(repeat_seed, row)) for row in range(captions))

    @staticmethod
    def _shaken(batch: Batch, seed: int) -> Batch:
        noise = torch.randn(batch.motion.shape, generator=torch.Generator().manual_seed(seed))
        return replace(batch, motion=(batch.motion + 0.1 * noise) * batch.mask[:, :, None, None])


def open_folder(study: tuple[Config, str], folder: Path) -> MotionFolder:
    setup = setup_of(*study)
    return MotionFolder(folder, setup.split, setup.settings, setup.protocol, setup.root)


def shown(batches: Iterator[Batch] | None) -> list[Batch]:
    assert batches is not None
    return list(batches)


class TestFolder:
    def test_our_own_motions_get_our_own_numbers(self, study: tuple[Config, str], tmp_path: Path) -> None:
        """Written out and read back, a source is evaluated to the last bit as it was: clips, batches, pairs and all."""
        config, dataset = study
        setup = setup_of(config, dataset)
        source = Shaken(setup.real)
        expected = setup.measure({"mine": source}, "re-evaluated")
        export(tmp_path / "mine", source, setup.protocol, setup.root, sets=3)
        output = evaluated(study, tmp_path / "mine", "mine")
        assert output == Path(f"results/smoke/{dataset}/mine/motions/metrics.csv")
        pd.testing.assert_frame_equal(pd.read_csv(output), _through_csv(expected, tmp_path))
        assert set(expected["metric"]) >= {"top1", "fid", "multimodality"}

    def test_the_record_tells_what_was_evaluated(self, study: tuple[Config, str], tmp_path: Path) -> None:
        config, dataset = study
        setup = setup_of(config, dataset)
        digests = []
        for name in ("a", "b"):
            export(tmp_path / name, Shaken(setup.real), setup.protocol, setup.root, sets=1)
            output = evaluated(study, tmp_path / name, "twice")
            record = json.loads(paths.record_of(output).read_text())
            digests.append(record["inputs"][str(tmp_path / name)])
        assert digests[0] == digests[1]  # of the motions, not of where they lie
        assert record["stage"] == "evaluate-motions"
        assert record["notes"]["sets"] == 1
        assert record["notes"]["files"] == CLIPS + 3 * 4
        assert {"origin", "tower", "evaluator", "skeleton"} <= set(record["notes"])
        assert record["seeds"]["root"] == setup.root
        job = stages.evaluation_of(config, dataset, "twice", tmp_path / "b")
        assert record["config"] == values(config, job.knobs)
        assert set(record["inputs"]) == set(map(str, job.reads))

    def test_one_set_is_shown_in_every_repeat(self, study: tuple[Config, str], tmp_path: Path) -> None:
        setup = setup_of(*study)
        export(tmp_path, Shaken(setup.real), setup.protocol, setup.root, sets=1)
        folder = open_folder(study, tmp_path)
        assert folder.sets == 1
        seen = []
        for repeat in range(3):
            seed = protocols.source_seed(protocols.repeat_seed(setup.root, repeat))
            batches, real = shown(folder.batches(seed)), shown(setup.real.batches(seed))
            assert [batch.clip for batch in batches] == [batch.clip for batch in real]  # in the order of the real ones
            rows = {name: batch.motion[row] for batch in batches for row, name in enumerate(batch.clip)}
            seen.append((list(rows), rows))
        assert seen[0][0] != seen[1][0]
        assert all(torch.equal(seen[0][1][name], seen[2][1][name]) for name in seen[0][1])

    def test_without_samples_there_is_no_mmodality(self, study: tuple[Config, str], tmp_path: Path) -> None:
        motions_of(study, tmp_path)
        found = pd.read_csv(evaluated(study, tmp_path))
        assert found["method"].unique().tolist() == [tmp_path.name]  # called after its folder
        assert set(found["metric"]) == {*LEARNED, *PHYSICAL, *NEARNESS} - {"multimodality"}
        assert set(found["block"]) == {"re-evaluated"}
        assert found["training_seed"].isna().all()

    def test_a_fixed_protocol_shows_one_order(
        self, study: tuple[Config, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fixed = protocols.load("").model_copy(update={"mode": "fixed"})
        monkeypatch.setattr(protocols, "load", lambda _: fixed)
        setup = setup_of(*study)
        motions_of(study, tmp_path)
        folder = open_folder(study, tmp_path)
        for source in (folder, setup.real):
            seeds = [protocols.source_seed(protocols.repeat_seed(setup.root, repeat)) for repeat in range(3)]
            draws = [[batch.clip for batch in shown(source.batches(seed))] for seed in seeds]
            assert draws[0] == draws[1] == draws[2]


def _through_csv(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    files.write_csv(folder / "expected.csv", frame)
    return pd.read_csv(folder / "expected.csv")


def motions_of(study: tuple[Config, str], folder: Path) -> Path:
    """One good motion for every test clip."""
    dataset = study[1]
    split = SplitFile(paths.path("split", profile="smoke", dataset=dataset, split="test"))
    features = interhuman.FEATURES if dataset == "interhuman" else interx.FEATURES
    for index, name in enumerate(split.ids):
        motion = np.cos(np.arange(16 * 2 * features) / 99 + index).reshape(16, 2, features).astype(np.float32)
        write(folder / f"{name}.npz", name, split.captions(index)[0], motion)
    return folder


def recorded(study: tuple[Config, str], folder: Path, change: Callable[[str, dict[str, Any]], None]) -> Path:
    """The motions of the test split in the layout of joints or rotations, each changed."""
    dataset, setup = study[1], setup_of(*study)
    for batch in setup.real.batches(0):
        for row, name in enumerate(batch.clip):
            motion = batch.motion[row, : batch.length[row]]
            content: dict[str, Any] = {"clip": name, "caption": batch.caption[row]}
            content["rotations"] = setup.body.rotations(motion).numpy()
            if dataset == "interhuman":
                content["joints"] = setup.body.joints(motion).numpy()
            else:
                content["translation"] = setup.body.translation(motion).numpy()
            change(dataset, content)
            folder.mkdir(exist_ok=True)
            np.savez(folder / f"{name}.npz", **content)
    return folder


def _scaled(dataset: str, content: dict[str, Any]) -> None:
    name = "joints" if dataset == "interhuman" else "translation"
    content[name] = 100 * content[name]


def _z_up(dataset: str, content: dict[str, Any]) -> None:
    """As a program gives it whose z points up and whose y points away: (x, -z, y)."""
    axes = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    name = "joints" if dataset == "interhuman" else "translation"
    content[name] = content[name] @ axes.T
    if dataset == "interx":  # of the rotations only the pelvis's is global
        content["rotations"][:, :, 0] = axes @ content["rotations"][:, :, 0]


class TestUnits:
    """Mistakes in units and axes used to pass silently."""

    def test_metres_with_y_up_are_not_remarked_upon(
        self, study: tuple[Config, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = evaluated(study, recorded(study, tmp_path / "good", lambda *_: None))
        assert json.loads(paths.record_of(output).read_text())["notes"]["warnings"] == []
        assert "warning" not in capsys.readouterr().err

    def test_centimetres_are_refused(self, study: tuple[Config, str], tmp_path: Path) -> None:
        folder = recorded(study, tmp_path / "centimetres", _scaled)
        with pytest.raises(DataError, match="this looks like centimetres: divide by 100") as error:
            evaluated(study, folder)
        assert str(error.value).startswith(f"{folder}: ")
        assert not Path(f"results/smoke/{study[1]}/centimetres").exists()

    def test_z_up_is_warned_of_and_recorded(
        self, study: tuple[Config, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = recorded(study, tmp_path / "z_up", _z_up)
        notes = json.loads(paths.record_of(evaluated(study, folder)).read_text())["notes"]
        assert any("y is not up" in sentence for sentence in notes["warnings"])
        assert f"warning: {folder}: bodies extend along" in capsys.readouterr().err


def answered(study: tuple[Config, str], folder: Path, sets: int) -> Path:
    """A folder that answers each request of ``prompts``: the ground truth of its length, with noise."""
    setup = setup_of(*study)
    prompts.run(*study, sets, folder / "requests.jsonl")
    noise = np.random.default_rng(0)
    for number, request in enumerate(requests.read(folder / "requests.jsonl")):
        index = setup.split.ids.index(request.clip)
        motion = ClipDataset(setup.split, setup.settings, "fixed", 0)[0, index].motion
        motion = np.resize(motion, (request.frames, *motion.shape[1:]))
        for sample in range(request.samples or 1):
            write(
                folder / f"{number}-{sample}.npz",
                request.clip,
                request.caption,
                motion + noise.normal(0, 0.01, motion.shape).astype(np.float32),
                request.repeat,
                None if request.samples is None else sample,
            )
    return folder


def danced(frames: int) -> tuple[list[np.ndarray], np.ndarray, torch.Tensor]:
    """Two dancers: raw columns of each, joints (T, 2, 22, 3) with y up, and rotations (T, 2, 21, 3, 3)."""
    people = [dancer(frames, 0.4, 0.3, 0.2, phase) for phase in (0.0, 2.0)]
    points = np.stack([raw[:, :66].reshape(frames, 22, 3) for raw in people], axis=1)
    y_up = np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
    columns = torch.from_numpy(np.stack([raw[:, 66:].reshape(frames, 21, 6) for raw in people], axis=1))
    return people, y_up, columns_to_matrix(columns)


def untrained(config: Config, dataset: str, path: Path) -> Path:
    """A checkpoint of a small denoiser that has seen nothing: its motions are noise around a rest pose."""
    features = representation(dataset).features
    torch.manual_seed(0)
    model = models.build(
        "intermamba", features=features, max_frames=32, text_width=config.text.width, **config.model.model_dump()
    )
    for weight in model.parameters():
        if not weight.any():  # what starts at zero would hide noise and text
            torch.nn.init.normal_(weight, std=0.1)
    about = describe(config, dataset, "intermamba", origin="synthetic", tower=tower_name(config.text))
    mean, std = torch.zeros(features), torch.full((features,), 0.05)
    if dataset == "interhuman":
        mean[:66] = torch.tensor(OFFSETS[:22]).cumsum(0).flatten()
    else:
        mean.view(56, 6)[:55] = torch.tensor([1.0, 0, 0, 0, 1, 0])
    reduction = cache.TextCache(paths.path("text", profile="smoke", dataset=dataset)).reduction
    checkpoint.save(path, checkpoint.Trained(model, mean, std, about, reduction=reduction))
    return path


class TestPrompts:
    @pytest.mark.parametrize(("study", "sets"), [("interhuman", 1), ("interx", 3)], indirect=["study"])
    def test_a_folder_that_answers_every_request_is_whole(
        self, study: tuple[Config, str], tmp_path: Path, sets: int
    ) -> None:
        found = pd.read_csv(evaluated(study, answered(study, tmp_path, sets), "answers"))
        assert set(found["metric"]) == {*LEARNED, *PHYSICAL, *NEARNESS}  # MModality too
        assert open_folder(study, tmp_path).sets == sets

    def test_the_script_of_the_guide_answers_every_request(
        self, study: tuple[Config, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if study[1] != "interhuman":
            pytest.skip("the script is for InterHuman")
        prompts.run(*study, 2, tmp_path / "prompts.jsonl")
        script = re.search(r"```python\n(.*?)```", (ROOT / "docs/howto/own-motions.md").read_text(), re.DOTALL)
        assert script

        def generate(caption: str, frames: int) -> tuple[np.ndarray, torch.Tensor]:
            return danced(frames)[1:]

        method = ModuleType("my_method")
        monkeypatch.setattr(method, "generate", generate, raising=False)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "my_method", method)
            patch.chdir(tmp_path)
            exec(script[1], {})
        folder = open_folder(study, tmp_path / "motions")
        assert folder.sets == 2
        assert not folder.warnings

    def test_requests_are_what_the_models_here_are_sampled_with(
        self, study: tuple[Config, str], tmp_path: Path
    ) -> None:
        setup = setup_of(*study)
        prompts.run(*study, 3, tmp_path / "requests.jsonl")
        asked = requests.read(tmp_path / "requests.jsonl")
        for repeat in range(3):
            drawn = protocols.repeat_seed(setup.root, repeat)
            plain = {one.clip: one for one in asked if one.repeat == repeat and one.samples is None}
            assert list(plain) == list(setup.split.ids)
            seen = 0
            for batch in setup.real.batches(protocols.source_seed(drawn)):
                for name, caption, length in zip(batch.clip, batch.caption, batch.length.tolist(), strict=True):
                    assert (plain[name].caption, plain[name].frames) == (caption, length)
                    assert setup.split.captions(setup.split.ids.index(name))[plain[name].caption_index] == caption
                    seen += 1
            assert seen == CLIPS
            varied = [one for one in asked if one.repeat == repeat and one.samples]
            first = next(setup.real.batches(protocols.variations_seed(drawn)))
            expected = list(zip(first.clip, first.caption, first.length.tolist(), strict=True))[:3]
            assert [(one.clip, one.caption, one.frames) for one in varied] == (expected if repeat < 2 else [])
            assert {one.samples for one in varied} <= {4}

    def test_the_terminal_shows_clip_caption_and_frames(
        self, study: tuple[Config, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        prompts.run(*study)
        shown = capsys.readouterr().out
        for column in ("clip", "caption index", "caption", "frames"):
            assert column in shown
        assert "c23" in shown
        assert "27 requests for 36 motions" in shown  # 24 clips, and 3 captions with 4 motions each

    @pytest.mark.parametrize("study", ["interx"], indirect=True)
    def test_samples_of_the_requests_can_be_evaluated(self, study: tuple[Config, str], tmp_path: Path) -> None:
        config, dataset = study
        prompts.run(config, dataset, 1, tmp_path / "requests.csv")
        weights = untrained(config, dataset, tmp_path / "weights.safetensors")
        words = ["sample", "--checkpoint", str(weights), "--prompts", str(tmp_path / "requests.csv")]
        app([*words, "--output", str(tmp_path / "made"), "--format", "npz"], standalone_mode=False)
        source = open_folder(study, tmp_path / "made")
        assert (len(source.paths), source.sets) == (CLIPS + 3 * 4, 1)
        asked = requests.read(tmp_path / "requests.csv")
        for one in asked:
            (made, *_) = [path for path in source.paths if path.parent.name.startswith(f"{one.clip}-repeat-0")]
            file, motion = read(made, dataset)
            assert file.clip == one.clip
            if one.samples is None:
                assert (file.caption, len(motion)) == (one.caption, one.frames)
        assert len({read(path, dataset)[1].tobytes() for path in source.paths}) == len(source.paths)
        found = pd.read_csv(evaluated(study, tmp_path / "made"))
        assert set(found["metric"]) == {*LEARNED, *PHYSICAL, *NEARNESS}

    def test_more_sets_than_repeats_are_refused(self, study: tuple[Config, str]) -> None:
        with pytest.raises(ConfigError, match="--sets 4: 1 to 3, the repeats of protocol"):
            prompts.run(*study, sets=4)


class TestBeside:
    """A number has a scale: ground truth, chance and finished runs are printed beside it."""

    @pytest.mark.parametrize("study", ["interhuman"], indirect=True)
    def test_finished_rows_are_printed(
        self, study: tuple[Config, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config, dataset = study
        motions_of(study, tmp_path / "mine")
        assert "run `intermamba evaluate-reference" in " ".join(self.shown(study, tmp_path, capsys).split())
        reference.run(config, job_of(config, dataset))
        run = paths.path("run_metrics", profile="smoke", dataset=dataset, variant="intermamba", seed=0)
        setup = setup_of(config, dataset)
        made = setup.measure({"intermamba": Shaken(setup.real)}, "reproduced", 0)
        files.write_csv(run, made)
        text = self.shown(study, tmp_path, capsys)
        assert text.index("│ mine") < text.index("chance") < text.index("InterMamba")
        assert "evaluate-reference" not in text
        top3 = made.query("metric == 'top3'")["value"].mean()
        assert f"{top3:.3f}" in text
        files.write_csv(run, made.assign(evaluator="another"))
        assert "InterMamba" not in self.shown(study, tmp_path, capsys)  # not comparable
        for left in (run, paths.path("reference_metrics", profile="smoke", dataset=dataset)):
            left.unlink()

    def shown(self, study: tuple[Config, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
        evaluated(study, tmp_path / "mine")
        return capsys.readouterr().out


class TestPython:
    """``intermamba.evaluate``."""

    @pytest.fixture(autouse=True)
    def _profile(self, study: tuple[Config, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api, "load", lambda _: study[0])

    @pytest.mark.parametrize("study", ["interx"], indirect=True)
    def test_a_folder_and_its_arrays_get_the_numbers_of_the_command(
        self, study: tuple[Config, str], tmp_path: Path
    ) -> None:
        config, dataset = study
        folder = motions_of(study, tmp_path / "mine")
        with pytest.warns(UserWarning, match="bodies|people|bones|joint"):  # these motions are cosines
            found = api.evaluate(folder, dataset)
        assert found.index.unique("method").tolist() == ["mine", "real", "shuffled", "nearest"]
        written = summarise(read_results(evaluated(study, folder)))
        for row in written.to_dict("records"):
            # The ground truth is embedded in other batches, which changes rounding.
            expected = pytest.approx((row["mean"], row["interval"]), rel=1e-5, abs=1e-7)
            assert tuple(found.loc[("mine", row["metric"]), ["mean", "interval"]]) == expected
        reference.run(config, job_of(config, dataset))
        place = paths.path("reference_metrics", profile="smoke", dataset=dataset)
        for row in summarise(read_results(place)).to_dict("records"):
            assert found.loc[(row["method"], row["metric"]), "mean"] == pytest.approx(row["mean"], rel=1e-5, abs=1e-7)
        place.unlink()
        arrays = {file.clip: motion for file, motion in (read(path, dataset) for path in folder.glob("*.npz"))}
        clip = next(iter(arrays))
        named = arrays | {clip: {"motion": arrays[clip], "clip": np.array(clip)}}
        with pytest.warns(UserWarning, match="bodies|people|bones|joint"):
            again = api.evaluate(named, dataset, method="mine")
        with pytest.raises(DataError, match=f"motions.'{clip}'.: its field clip is 'another'"):
            api.evaluate(arrays | {clip: {"motion": arrays[clip], "clip": np.array("another")}}, dataset)
        pd.testing.assert_frame_equal(again, found)

    def test_arrays_by_name_and_problems(self, study: tuple[Config, str], tmp_path: Path) -> None:
        dataset = study[1]
        folder = recorded(study, tmp_path / "fields", lambda *_: None)
        fields = {}
        for path in folder.glob("*.npz"):
            with np.load(path) as content:
                fields[str(content["clip"])] = {key: content[key] for key in content if key != "clip"}
        assert api.evaluate(fields, dataset).index.unique("method").tolist()[0] == "motions"
        del fields["c05"]
        with pytest.raises(DataError, match="1 of 24 test clips have no motion: c05"):
            api.evaluate(fields, dataset)

    def test_an_unknown_dataset_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match="Did you mean 'interhuman'"):
            api.evaluate("m", "interhumans")  # type: ignore[arg-type]


@pytest.mark.parametrize("study", ["interhuman"], indirect=True)
def test_the_example_of_evaluate_runs(study: tuple[Config, str], monkeypatch: pytest.MonkeyPatch) -> None:
    import intermamba

    recorded(study, Path("my_motions"), lambda *_: None)
    monkeypatch.setattr(api, "load", lambda _: study[0])
    monkeypatch.setattr(intermamba, "evaluate", api.evaluate, raising=False)
    example = doctest.DocTestFinder(recurse=False).find(api.evaluate, "evaluate", globs={})[0]
    outcome = doctest.DocTestRunner().run(example)
    assert (outcome.failed, outcome.attempted) == (0, 4)


def test_evaluate_is_an_entry_point_of_the_api() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["intermamba.api"]
    point = EntryPoint("evaluate", declared["evaluate"], "intermamba.api")
    assert point.load() is api.evaluate


class TestLayouts:
    """Each layout of a motion gives the features of the dataset's own pipeline."""

    def test_interhuman_joints_and_rotations(self, tmp_path: Path) -> None:
        people, y_up, turned = danced(20)
        np.savez(tmp_path / "a.npz", clip="c", caption="t", joints=y_up, rotations=turned.numpy())
        file, motion = read(tmp_path / "a.npz", "interhuman")
        raw = [
            np.concatenate([person[:, :66], matrix_to_columns(turned[:, who]).flatten(1).numpy()], axis=1)
            for who, person in enumerate(people)
        ]
        expected = interhuman.pair_features(*(person.astype(np.float32) for person in raw))
        np.testing.assert_allclose(motion, expected, rtol=0, atol=1e-5)
        assert motion.shape == (19, 2, 262)
        assert (file.clip, file.caption, file.repeat, file.sample) == ("c", "t", 0, None)

    def test_interx_poses_and_rotations(self, tmp_path: Path) -> None:
        raw = interx.pair(*(interx.person_pose(**smplx(20, phase)) for phase in (0.0, 1.0)))
        expected = interx.features(raw)
        poses = raw.reshape(20, 2, 56, 3)
        side_by_side = np.concatenate([poses[:, 0], poses[:, 1]], axis=-1)  # as the owners' files have it
        turned = axis_angle_to_matrix(torch.from_numpy(poses[:, :, :55])).numpy()
        forms: tuple[dict[str, np.ndarray], ...] = (
            {"motion": expected}, {"motion": side_by_side}, {"rotations": turned, "translation": poses[:, :, 55]},
        )  # fmt: skip
        for form in forms:
            np.savez(tmp_path / "a.npz", clip="c", caption="t", **form)
            _, motion = read(tmp_path / "a.npz", "interx")
            assert motion.dtype == np.float32
            np.testing.assert_allclose(motion, expected, rtol=0, atol=1e-5)

    def test_features_come_back_as_they_were_written(self, tmp_path: Path) -> None:
        motion = np.cos(np.arange(9 * 2 * 262.0)).reshape(9, 2, 262).astype(np.float32)
        write(tmp_path / "deep/er/a.npz", "c", "two people", motion, repeat=3, sample=7)
        file, found = read(tmp_path / "deep/er/a.npz", "interhuman")
        assert np.array_equal(found, motion)
        assert (file.repeat, file.sample) == (3, 7)


class Payload:
    """What a hostile file would hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


Break = Callable[[Path, dict[str, Any]], object]


def put(**changes: Any) -> Break:
    """Change fields of one file; ``None`` takes a field away."""

    def write_changed(folder: Path, content: dict[str, Any]) -> None:
        fields = content | changes
        np.savez(folder / "c05.npz", **{key: value for key, value in fields.items() if value is not None})

    return write_changed


def another(**changes: Any) -> Break:
    """One more file with changed fields."""
    return lambda folder, content: np.savez(folder / "more.npz", **(content | changes))


def replaced(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Break:
    return lambda folder, content: put(**{name: make(content[name])})(folder, content)


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(motion: np.ndarray) -> np.ndarray:
        changed = motion.copy()
        changed[3, 1, 5] = value
        return changed

    return change


def spread(clips: int, samples: int, **changes: Any) -> Break:
    """Further files with a ``sample``, ``samples`` for each of ``clips`` clips."""

    def write_all(folder: Path, content: dict[str, Any]) -> None:
        for number in range(clips):
            said = {"clip": f"c{number:02}", "caption": f"two people greet {number}"}
            for sample in range(samples):
                np.savez(folder / f"s{number}-{sample}.npz", **(content | said | {"sample": sample} | changes))

    return write_all


def turned(matrix: np.ndarray) -> dict[str, Any]:
    """InterHuman's other layout, every rotation being ``matrix``."""
    raw = np.stack([dancer(16, phase=phase)[:, :66].reshape(16, 22, 3) for phase in (0.0, 1.0)], axis=1)
    return {"motion": None, "joints": raw, "rotations": np.broadcast_to(matrix, (16, 2, 21, 3, 3))}


MALFORMED: dict[str, tuple[Break, str]] = {
    "no clip": (put(clip=None), r"c05\.npz: needs `clip`, one string; found none"),
    "clip a number": (put(clip=5), r"c05\.npz: needs `clip`, one string; found int64 5"),
    "several clips": (put(clip=np.array(["c05", "c06"])), r"needs `clip`, one string; found <U3 of shape \(2,\)"),
    "blank clip": (put(clip=" "), "needs `clip`, one string"),
    "clip of another split": (put(clip="x99"), r"c05\.npz: clip 'x99' is not in the test split of 24 clips"),
    "no caption": (put(caption=None), r"c05\.npz: needs `caption`, one string; found none"),
    "caption of bytes": (put(caption=np.array(b"two people")), r"needs `caption`, one string; found \|S10"),
    "another's caption": (put(caption="they wave 6"), "'they wave 6' is not a caption of clip c05, which"),
    "caption of one's own": (put(caption="They dance."), r"c05\.npz: 'They dance\.' is not a caption of clip c05"),
    "repeat below zero": (put(repeat=-1), "`repeat` is an integer from 0 where it is given; found int64 -1"),
    "repeat a fraction": (put(repeat=0.5), "`repeat` is an integer from 0"),
    "repeat a list": (put(repeat=np.array([0, 1])), "`repeat` is an integer from 0"),
    "sample a word": (put(sample="first"), "`sample` is an integer from 0"),
    "no motion": (put(motion=None), r"c05\.npz: holds none of these; interhuman needs `motion` \(T, 2, 262\)"),
    "features of another dataset": (replaced("motion", lambda m: m[..., :258]), r"holds motion \(16, 2, 258\); inter"),
    "one person": (replaced("motion", lambda m: m[:, :1]), r"holds motion \(16, 1, 262\)"),
    "a batch": (replaced("motion", lambda m: m[None]), r"holds motion \(1, 16, 2, 262\)"),
    "flat": (replaced("motion", lambda m: m.reshape(16, -1)), r"holds motion \(16, 524\)"),
    "one number": (put(motion=np.float32(1)), r"c05\.npz: motion has no frame"),
    "no frame": (replaced("motion", lambda m: m[:0]), r"c05\.npz: motion has no frame"),
    "too long": (replaced("motion", lambda m: np.tile(m, (3, 1, 1))), r"48 feature frames; 1 to 32 can be evaluated"),
    "integers": (replaced("motion", lambda m: m.astype(int)), r"c05\.npz: motion: type int64; needs floating-point"),
    "complex": (replaced("motion", lambda m: m.astype(complex)), r"motion: type complex128; needs floating-point"),
    "NaN": (replaced("motion", with_value(np.nan)), r"c05\.npz: motion: NaN or infinite values in frame 3 \(1 of 16"),
    "infinite": (replaced("motion", with_value(-np.inf)), "motion: NaN or infinite values in frame 3"),
    "beyond single precision": (
        replaced("motion", lambda m: with_value(1e300)(m.astype(float))), r"motion: values beyond 1e\+06 in frame 3",
    ),
    "objects": (put(motion=np.array([Payload()], dtype=object)), r"c05\.npz: motion: Python objects, which are never"),
    "object for a caption": (put(caption=np.array(Payload(), dtype=object)), "caption: Python objects"),
    "joints alone": (put(motion=None, joints=np.zeros((16, 2, 22, 3))), r"holds joints \(16, 2, 22, 3\); interhuman"),
    "joints of SMPL": (put(**turned(np.eye(3)) | {"joints": np.ones((16, 2, 24, 3))}), r"joints \(16, 2, 24, 3\)"),
    "joints and rotations of unequal length": (
        put(**turned(np.eye(3)) | {"joints": np.ones((9, 2, 22, 3))}), "of one number T of frames",
    ),
    "one frame of joints": (
        put(motion=None, joints=np.ones((1, 2, 22, 3)), rotations=np.tile(np.eye(3), (1, 2, 21, 1, 1))),
        "joints of 1 frame; features need two frames or more",
    ),
    "both hips in one place": (
        put(**turned(np.eye(3)) | {"joints": np.ones((16, 2, 22, 3))}), "are both hips at one place",
    ),
    "no rotation": (put(**turned(2 * np.eye(3))), r"not rotation matrices \(R R\^T differs from 1 by up to 3"),
    "mirrored rotation": (put(**turned(np.diag([1.0, 1, -1]))), "rotations are not rotation matrices"),
    "not an archive": (lambda folder, _: (folder / "c05.npz").write_text("nothing"), r"c05\.npz: truncated or not an"),
    "empty file": (lambda folder, _: os.truncate(folder / "c05.npz", 0), r"c05\.npz: truncated or not an .npz"),
    "cut file": (lambda folder, _: os.truncate(folder / "c05.npz", 3000), r"c05\.npz: truncated or not an .npz"),
    "a pickle": (
        lambda folder, _: (folder / "c05.npz").write_bytes(pickle.dumps(Payload())), r"c05\.npz: truncated or not an",
    ),
    "empty member": (
        lambda folder, _: zipfile.ZipFile(folder / "c05.npz", "w").writestr("clip.npy", b""), r"c05\.npz: truncated",
    ),
    "a clip is missing": (
        lambda folder, _: (folder / "c05.npz").unlink(), "repeat 0: 1 of 24 test clips have no motion: c05",
    ),
    "a clip twice": (another(), r"more\.npz: clip c05 has a motion in repeat 0 already, .*c05\.npz"),
    "an incomplete set": (another(repeat=1), "repeat 1: 23 of 24 test clips have no motion: c00, c01, c02, c03, c04"),
    "a gap between sets": (another(repeat=2), r"repeat: counted from 0 without gaps, but 1 is absent; there are \[0"),
    "samples of too few clips": (spread(2, 4), "2 clips have 4 motions with a `sample`; MModality .* needs 3 such"),
    "too few samples": (spread(3, 3), "0 clips have 4 motions with a `sample`"),
    "a sample twice": (spread(3, 4, sample=1), "clip c00: two motions have the same `sample`"),
    "samples of a later repeat": (spread(3, 4, repeat=1), "repeat of motions with a `sample`: counted from 0"),
    "nothing there": (
        lambda folder, _: [path.unlink() for path in folder.glob("*")], r"no \.npz file in .*, at any depth",
    ),
}  # fmt: skip


@pytest.mark.parametrize("study", ["interhuman"], indirect=True)
class TestMalformed:
    @pytest.mark.parametrize("name", MALFORMED)
    def test_names_file_and_remedy_and_writes_nothing(
        self, study: tuple[Config, str], tmp_path: Path, name: str
    ) -> None:
        damage, message = MALFORMED[name]
        folder = motions_of(study, tmp_path / "theirs")
        with np.load(folder / "c05.npz") as content:
            damage(folder, dict(content))
        with pytest.raises(DataError, match=message) as error:
            evaluated(study, folder, "theirs")
        assert str(error.value).startswith(f"{folder}: ")
        assert "nothing was evaluated. docs/howto/own-motions.md describes the layout" in str(error.value)
        assert not Path("results/smoke/interhuman/theirs").exists()
        assert not Path("executed").exists()

    def test_samples_for_several_captions(self, study: tuple[Config, str], tmp_path: Path) -> None:
        folder = motions_of(study, tmp_path)
        for sample in range(4):
            motion = np.zeros((8, 2, 262), np.float32)
            caption = ("two people greet 0", "they wave 0")[sample % 2]
            write(folder / f"s{sample}.npz", "c00", caption, motion, sample=sample)
        with pytest.raises(DataError, match="clip c00: motions with a `sample` have several captions"):
            open_folder(study, folder)

    def test_samples_alone(self, study: tuple[Config, str], tmp_path: Path) -> None:
        write(tmp_path / "a.npz", "c00", "they wave 0", np.zeros((8, 2, 262), np.float32), sample=0)
        with pytest.raises(DataError, match="every file has a `sample`"):
            open_folder(study, tmp_path)

    def test_more_sets_than_repeats(self, study: tuple[Config, str], tmp_path: Path) -> None:
        folder = motions_of(study, tmp_path)
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as content:
                for repeat in (1, 2, 3):
                    np.savez(folder / f"{path.stem}-{repeat}.npz", **(dict(content) | {"repeat": repeat}))
        with pytest.raises(DataError, match="repeat: 4 sets, but protocol 'interhuman-brief' repeats only 3 times"):
            open_folder(study, folder)

    def test_all_problems_come_at_once_and_the_list_is_bounded(self, study: tuple[Config, str], tmp_path: Path) -> None:
        folder = motions_of(study, tmp_path)
        for path in folder.glob("*.npz"):
            path.write_text("nothing")
        with pytest.raises(DataError, match=f"{CLIPS} problem") as error:
            open_folder(study, folder)
        assert str(error.value).count("truncated") == 20
        assert f"... and {CLIPS - 20} more." in str(error.value)

    def test_huge_claims_are_not_read(
        self, study: tuple[Config, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = motions_of(study, tmp_path)
        monkeypatch.setattr("intermamba.reading.arrays.MEMBER_LIMIT", 9000)
        with pytest.raises(DataError, match=r"motion\.npy unpacks to more than 9,000 bytes"):
            open_folder(study, folder)

    @pytest.mark.parametrize("method", ["intermamba", "real", "shuffled", "nearest"])
    def test_names_of_our_rows_are_taken(self, study: tuple[Config, str], tmp_path: Path, method: str) -> None:
        with pytest.raises(ConfigError, match="is the name of a row of this project"):
            evaluated(study, tmp_path, method)

    @pytest.mark.parametrize("method", ["../x", "a b", "-x", "ü"])
    def test_a_method_is_a_plain_name(self, study: tuple[Config, str], tmp_path: Path, method: str) -> None:
        with pytest.raises(ConfigError, match="letters, digits and"):
            evaluated(study, tmp_path, method)

    def test_without_an_evaluator_the_stage_is_named(
        self, study: tuple[Config, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(StateError, match="intermamba preprocess"):
            evaluated(study, tmp_path, "theirs")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--motions", "m", "--variant", "intermamba"],
        ["--motions", "m", "--seed", "1"],
        ["--variant", "intermamba", "--method", "mine"],
        ["--method", "mine"],
    ],
)
def test_either_a_row_or_a_folder(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=r"either a trained run .* or a folder of motions"):
        app(["evaluate", "--dataset", "interhuman", *words], standalone_mode=False)


def test_a_folder_that_is_not_there_is_one_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=f"--motions {tmp_path}/none: no such folder"):
        app(["evaluate", "--dataset", "interhuman", "--motions", f"{tmp_path}/none"], standalone_mode=False)
