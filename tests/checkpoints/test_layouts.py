"""Checkpoints of the baselines' authors: what is read makes what the official classes make; nothing else is read."""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import get_args

import numpy as np
import pytest
import released
import stages
import torch
from formulas import wave
from torch import Tensor

from intermamba import config
from intermamba.checkpoints import trained as checkpoint
from intermamba.checkpoints.layout import Adopted, Reader, Released
from intermamba.config import OfficialConfig, OfficialModel
from intermamba.datasets import DATASETS
from intermamba.errors import ConfigError, DataError
from intermamba.methods.intermask.network import InterMask
from intermamba.methods.t2m.network import T2M, Words
from intermamba.methods.t2m.official import interleaved
from intermamba.models import find, variants


def _read(folder: Path, model: str, variant: str, dataset: str = "interhuman", frames: int = 48) -> Adopted:
    files = [*released.write(folder, model), None]
    reader: Reader = resolve_name(find(variant).method.layout)
    return reader.read(Released(find(variant), dataset, frames, *files[:2]))


def _same(ours: Tensor, official: list[float], stride: int) -> None:
    expected = torch.tensor(official)
    torch.testing.assert_close(ours.detach().flatten()[::stride], expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.01  # the comparison is about something


@pytest.mark.parametrize("variant", ["t2m", "t2m_given"])
def test_t2m_makes_what_the_official_one_makes(tmp_path: Path, variant: str) -> None:
    model = _read(tmp_path, "t2m", variant, "interx", 48).model
    assert isinstance(model, T2M)
    tags = torch.nn.functional.one_hot(torch.arange(5).unsqueeze(0) * 7 % 15, 15).float()
    words = Words(wave((1, 5, 300), 0.9), tags, torch.tensor([5]))
    made = model.generator(words, torch.tensor([3]), wave((1, 3, 6), 1.7))
    motion = model.generator.movement_decoder(made.movements)
    official = torch.empty_like(motion)
    official[..., interleaved(336)] = motion
    _same(official, released.OFFICIAL["t2m"]["motion"], 37)
    _same(model.estimator(*words), released.OFFICIAL["t2m"]["lengths"], 1)


def test_columns_of_inter_x_are_joint_by_joint_officially() -> None:
    """The second person's translation is the four last numbers but three of a frame."""
    order = interleaved(336)
    assert order[:12].tolist() == [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17]
    assert order[336 : 336 + 6].tolist() == [6, 7, 8, 9, 10, 11]
    assert order[330:333].tolist() == [55 * 12, 55 * 12 + 1, 55 * 12 + 2]
    assert order[666:669].tolist() == [55 * 12 + 6, 55 * 12 + 7, 55 * 12 + 8]


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("variant", ["mdm", "mdm_gru", "com_mdm"])
def test_denoisers_make_what_the_official_ones_make(tmp_path: Path, variant: str, averaged: bool) -> None:
    (file,) = released.write(tmp_path, variant)
    if averaged:
        weights = torch.load(file, weights_only=True)
        torch.save({"model": {name: 0 * value for name, value in weights.items()}, "model_avg": weights}, file)
    found = resolve_name(find(variant).method.layout).read(Released(find(variant), "interhuman", 48, file))
    cond, mask = wave((1, 24), 0.9).unsqueeze(1), torch.ones(1, 6, dtype=torch.bool)
    motion = found.model(wave((1, 6, 524), 1.1).reshape(1, 6, 2, 262), torch.tensor([417]), cond, mask)
    _same(motion, released.OFFICIAL[variant]["motion"], 37)


@pytest.mark.parametrize("dataset", ["interhuman", "interx"])
def test_intermask_makes_what_the_official_one_makes(tmp_path: Path, dataset: str) -> None:
    model = _read(tmp_path, f"intermask-{dataset}", "intermask", dataset).model
    official = released.OFFICIAL[f"intermask-{dataset}"]
    assert isinstance(model, InterMask)
    tokens = ((torch.arange(2 * 5 * 3) ** 2 + 3) % 24).reshape(1, 2, 5, 3)
    logits = model(tokens, wave((1, 768), 0.9), torch.ones(1, 3, dtype=torch.bool))
    _same(logits, official["logits"], 7)
    vectors = model.tokenizer.codebook.lookup(tokens[:, 0]).permute(0, 3, 1, 2)
    _same(model.tokenizer.decode(vectors), official["motion"], 29)
    _same(model.encode_text(wave((1, 4, 768), 0.31), torch.tensor([3])), official["text"], 5)


@pytest.mark.parametrize(
    ("name", "variant", "dataset"),
    [("t2m", "t2m", "interx"), ("intermask-interx", "intermask", "interx"),
     ("intermask-interhuman", "intermask", "interhuman")],
)  # fmt: skip
def test_another_dataset_is_read_as_its_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, variant: str, dataset: str
) -> None:
    monkeypatch.setitem(DATASETS, "another", replace(DATASETS[dataset], name="another"))
    own, other = (_read(tmp_path, name, variant, one).model.state_dict() for one in (dataset, "another"))
    assert own.keys() == other.keys()
    assert all(torch.equal(value, other[key]) for key, value in own.items())


def test_rows_with_official_checkpoints_have_a_reader() -> None:
    """All of a method with a reader but for ablations."""
    readable = {name for name, one in variants().items() if one.method.layout and not one.ablation}
    assert set(get_args(OfficialModel)) <= readable
    assert {one.base for one in map(find, readable)} == {find(name).base for name in get_args(OfficialModel)}


def test_an_adopted_t2m_is_like_any_other(tmp_path: Path) -> None:
    """With the seeded words: the row then says that it means nothing."""
    smoke, files = config.load("smoke"), released.write(tmp_path, "t2m")
    given = OfficialConfig(checkpoint=str(files[0]), beside=str(files[1]))
    output = tmp_path / "out" / "weights.safetensors"
    refused = [
        ({"beside": None}, "official.interx.t2m.beside: missing; give the length estimator"),
        ({"normalisation": str(tmp_path)}, "normalisation: given, but T2M sees features of interx as they are"),
        ({"beside": given.checkpoint}, "holds no 'estimator'; expected T2M's length estimator"),
        ({"checkpoint": given.beside}, "holds no 'text_enc', 'att_layer'"),
        ({"checkpoint": str(tmp_path / "no.tar")}, "no.tar: no such file"),
    ]
    for changes, message in refused:
        with pytest.raises((ConfigError, DataError), match=message):
            stages.adopt(smoke, "interx", "t2m", given.model_copy(update=changes), output)
        assert not output.parent.exists()
    stages.adopt(smoke, "interx", "t2m", given, output)
    trained = checkpoint.load(output)
    assert (trained.variant, trained.origin, trained.model.max_frames) == ("t2m", "official", 48)
    assert trained.tower.startswith("untrained")
    assert not trained.mean.any()
    assert (trained.std == 1).all()


@pytest.mark.parametrize(
    ("variant", "name", "message"),
    [
        ("mdm", "mdm_gru", "missing seqTransEncoder.layers.0.linear1.weight.*expected a checkpoint of MDM"),
        ("mdm_gru", "mdm", r"missing gru\.weight_ih_l0, .* expected a checkpoint of MDM \(GRU\)"),
        ("com_mdm", "mdm", "its block has 0 layers; expected 2"),
        ("intermask", "mdm", "holds no 't2m_transformer'; expected InterMask's transformer"),
        ("t2m", "mdm", "holds no 'text_enc'"),
    ],
)
def test_another_model_is_one_clear_error(tmp_path: Path, variant: str, name: str, message: str) -> None:
    (file,) = released.write(tmp_path, name)
    with pytest.raises(DataError, match=message):
        resolve_name(find(variant).method.layout).read(Released(find(variant), "interhuman", 48, file, file))


def test_comm_mdm_with_a_first_pose_is_refused(tmp_path: Path) -> None:
    (file,) = released.write(tmp_path, "com_mdm")
    torch.save(torch.load(file, weights_only=True) | {"multi_person.canon_agg.weight": torch.ones(32, 8)}, file)
    with pytest.raises(DataError, match="a token of the relative first pose"):
        resolve_name(find("com_mdm").method.layout).read(Released(find("com_mdm"), "interhuman", 48, file))


def test_what_is_no_table_of_sinusoids_is_refused(tmp_path: Path) -> None:
    (file,) = released.write(tmp_path, "mdm")
    torch.save(torch.load(file, weights_only=True) | {"sequence_pos_encoder.pe": torch.ones(5, 1, 32)}, file)
    with pytest.raises(DataError, match=r"sequence_pos_encoder\.pe is not a table of sinusoids"):
        resolve_name(find("mdm").method.layout).read(Released(find("mdm"), "interhuman", 48, file))


def test_a_pickle_of_another_class_is_refused(tmp_path: Path) -> None:
    torch.save({"text_enc": np.random.default_rng()}, file := tmp_path / "latest.tar")
    with pytest.raises(DataError, match="not opened for safety"):
        resolve_name(find("t2m").method.layout).read(Released(find("t2m"), "interx", 48, file, file))
