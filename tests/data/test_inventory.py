"""``fetch --check`` tells of every dataset and weight, writes nothing, and answers with its exit code."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_folders import body_model, config_for, to_hdf5, write_interhuman, write_interx
from places import ROOT

from intermamba.config import Config, MethodConfig, OfficialConfig, load
from intermamba.data import inventory, pos_tags
from intermamba.datasets import dataset

EVERYTHING = ("InterHuman", "Inter-X", "SMPL-X", "CLIP", "evaluator of InterHuman", "evaluator of Inter-X")


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def status(config: Config) -> dict[str, str]:
    return {entry.what: entry.status for entry in inventory.entries(config)}


def found(config: Config, what: str) -> str:
    return next(entry.found for entry in inventory.entries(config) if entry.what == what)


def test_embedded_data_are_all_a_profile_needs(tmp_path: Path) -> None:
    config = config_for("interhuman", "synthetic")
    assert status(config)["InterHuman"] == status(config)["Inter-X"] == "embedded"
    assert inventory.run(config)
    for entry in inventory.entries(config):
        assert entry.purpose
        assert entry.source
    assert all(any(name in what for what in status(config)) for name in (*EVERYTHING, "intergen", "in2in"))
    assert not list(tmp_path.iterdir())


def test_a_complete_folder(tmp_path: Path) -> None:
    config = config_for("interhuman", write_interhuman(tmp_path / "raw"))
    parts = {what: state for what, state in status(config).items() if what.startswith("InterHuman:")}
    assert parts == {f"InterHuman: {part}": "present" for part in dataset("interhuman").parts}
    assert "12 of 12 files" in found(config, "InterHuman: motions_processed")
    assert inventory.run(config)


def test_missing_files_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_interhuman(tmp_path / "raw")
    for name in ("11", "12", "13", "31"):
        (root / f"annots/{name}.txt").unlink()
    shutil.rmtree(root / "annots_individual")
    config = config_for("interhuman", root, individual=False, allow_missing=("31",))
    assert status(config)["InterHuman: annots"] == "missing"
    assert status(config)["InterHuman: annots_individual"] == "not requested"
    assert status(config)["InterHuman: motions_processed"] == "present"
    assert found(config, "InterHuman: annots").endswith(
        "2 of 5 files; missing: annots/11.txt, annots/12.txt, annots/13.txt"
    )
    assert not inventory.run(config)
    assert "1 missing: InterHuman: annots." in capsys.readouterr().out


def test_without_a_folder_every_part_is_missing(tmp_path: Path) -> None:
    states = status(config_for("interhuman", tmp_path / "nowhere"))
    assert all(states[f"InterHuman: {part}"] == "missing" for part in dataset("interhuman").parts)
    states = status(config_for("interx", tmp_path / "nowhere", order="official"))
    assert all(states[f"Inter-X: {part}"] == "missing" for part in dataset("interx").parts)


def test_paths_and_commands_are_printed_whole_in_a_narrow_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    root = tmp_path / "a folder with quite a long name" / "interx"
    assert not inventory.run(config_for("interx", root))
    printed = capsys.readouterr().out
    for part in dataset("interx").parts:
        assert f"  where:  {root / part}" in printed
    assert f"{root / 'splits'}: 0 of 3 files; missing: splits/train.txt, splits/val.txt, splits/test.txt\n" in printed
    assert "pip install -e '.[spacy]'" in printed
    assert printed.count("the lists of clips, which determine the files, are missing") == 1


def test_inter_x_in_either_form(tmp_path: Path) -> None:
    root = write_interx(tmp_path / "raw")
    states = status(config_for("interx", root))
    assert all(states[f"Inter-X: {part}"] == "present" for part in dataset("interx").parts)
    to_hdf5(root)
    states = status(config_for("interx", root))
    assert states["Inter-X: motions"] == "present"
    assert states["Inter-X: texts"] == "not requested"
    (root / "motions/val.h5").unlink()
    assert status(config_for("interx", root))["Inter-X: motions"] == "missing"
    (root / "motions/12").mkdir()
    assert "two forms" in found(config_for("interx", root), "Inter-X")


def test_weights_that_a_profile_names(tmp_path: Path) -> None:
    config = config_for("interx", write_interx(tmp_path / "raw"), skeleton="body.npz")
    text = config.text.model_copy(update={"tower": "clip", "weights": "openai"})
    official = {
        "interhuman": {
            "intergen": OfficialConfig(checkpoint="intergen.ckpt", normalisation="data"),
            "mdm": OfficialConfig(checkpoint="intergen.ckpt", normalisation="data"),
        },
        "interx": {"t2m": OfficialConfig(checkpoint="intergen.ckpt", beside="interclip.ckpt")},
    }
    evaluator = config.evaluator.model_copy(update={"checkpoint": {"interhuman": "interclip.ckpt", "interx": None}})
    config = config.model_copy(update={"text": text, "official": official, "evaluator": evaluator})
    states = status(config)
    tower = next(what for what in states if what.startswith("CLIP"))
    assert states[tower] == "on first use"
    named = (
        *("SMPL-X neutral body", "official intergen: checkpoint", "official intergen: normalisation"),
        *("official mdm: checkpoint", "official t2m on interx: checkpoint", "official t2m on interx: beside"),
    )
    assert all(states[what] == "missing" for what in named)
    assert states["official in2in: checkpoint"] == "not requested"
    assert states["official evaluator of InterHuman (interclip.ckpt)"] == "missing"

    np.savez("body.npz", **body_model())
    for name in ("intergen.ckpt", "interclip.ckpt"):
        Path(name).touch()
    Path("data").mkdir()
    assert all(status(config)[what] == "present" for what in named)
    local = config.model_copy(update={"text": text.model_copy(update={"weights": "clip.safetensors"})})
    assert status(local)[tower] == "missing"


@pytest.mark.parametrize(("dataset", "other"), [("interhuman", "Inter-X"), ("interx", "InterHuman")])
def test_a_dataset_that_is_not_configured_is_not_listed(dataset: str, other: str) -> None:
    config = load("smoke", ROOT / "params.yaml")
    alone = {"datasets": {dataset: config.datasets[dataset]}, "runs": {dataset: config.runs[dataset]}}
    config = config.model_copy(update=alone)
    assert inventory.run(config)
    named = [what for what in status(config) if other in what or "SMPL-X" in what or "official" in what]
    assert not any(other in what for what in named)
    assert any("SMPL-X" in what for what in named) == (dataset == "interx")
    assert any(what.startswith("official intergen") for what in named) == (dataset == "interhuman")
    assert any(what.startswith("official t2m on interx") for what in named) == (dataset == "interx")


def test_text_towers_of_methods_are_named_with_their_readers() -> None:
    towers = {
        one.what: (one.status, one.purpose)
        for one in inventory.entries(load("paper", ROOT / "params.yaml"))
        if "text tower" in one.what
    }
    assert towers == {
        "CLIP text tower ViT-L-14-336-quickgelu": ("on first use", "captions of every other model and evaluator"),
        "CLIP text tower ViT-B-32-quickgelu": ("on first use", "captions of mdm and com_mdm and rig"),
        "text tower distilbert-base-uncased": ("missing", "captions of temos"),
    }


def test_the_tagger_is_listed_for_captions_without_parts_of_speech(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = f"spaCy's model {pos_tags.MODEL}"

    def purpose(config: Config) -> str:
        (entry,) = (one for one in inventory.entries(config) if one.what == what)
        return entry.purpose if entry.status == "missing" else entry.status

    monkeypatch.setattr(pos_tags, "find_spec", lambda _: None)
    of_interx = "Inter-X's captions, in place of texts_processed"
    of_interhuman = "InterHuman's captions, for the word vectors"
    root = write_interx(tmp_path / "raw")
    real = config_for("interx", root)
    assert purpose(real) == "not requested"
    words = MethodConfig(text={"tower": "words", "weights": str(root / "glove"), "width": 315, "context": 37})
    with_words = real.model_copy(update={"methods": {"t2m": words}, "runs": {"interhuman": {"t2m_given": (0,)}}})
    assert purpose(with_words) == f"parts of speech of {of_interhuman}"
    assert purpose(with_words.model_copy(update={"runs": {"interx": {"t2m": (0,)}}})) == "not requested"
    shutil.rmtree(root / "texts_processed")
    assert purpose(real) == f"parts of speech of {of_interx}"
    assert purpose(with_words) == f"parts of speech of {of_interx} and {of_interhuman}"
    monkeypatch.setattr(pos_tags, "find_spec", lambda name: name)
    assert purpose(with_words) == "present"


@pytest.mark.parametrize(("profile", "code"), [("smoke", 0), ("paper", 1)])
def test_command_answers_with_its_exit_code_and_writes_nothing(study: Path, profile: str, code: int) -> None:
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    command = (
        f"import sys; sys.argv = ['intermamba', 'fetch', '--check', '--profile', '{profile}']\n"
        "from workflow.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert 'torch' not in sys.modules, 'heavy import'\n"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert not done.stderr
    for word in ("InterHuman", "Inter-X", "SMPL-X", "CLIP"):
        assert word in done.stdout
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before


def test_fetch_needs_a_dataset_or_the_question(study: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "workflow.cli", "fetch"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "give --dataset interhuman or --dataset interx, or --check" in done.stderr
