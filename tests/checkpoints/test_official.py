"""Official checkpoints: the map of names is one-to-one, loading gives every weight back, and misfits are named."""

import json
from pathlib import Path

import numpy as np
import official_files
import pytest
import torch
from places import NUMBERS
from torch import Tensor

from intermamba.checkpoints import official
from intermamba.checkpoints.reading import read_checkpoint
from intermamba.errors import ConfigError, DataError
from intermamba.models import Denoiser, build

# "names": the state dicts of the official classes with one block and one layer of text encoder, frozen CLIP left out.
NAMES = json.loads((NUMBERS / "models_official.json").read_text())["names"]
SIZES = {
    "width": 16, "heads": 8, "feedforward": 24, "transformer_blocks": 3, "text_layers": 1, "text_heads": 8,
    "text_feedforward": 40, "features": 20, "text_width": 32,
}  # fmt: skip


@pytest.fixture
def model() -> Denoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build("intergen", **SIZES)


@pytest.fixture
def state(model: Denoiser) -> dict[str, Tensor]:
    return official_files.state_dict(model)


def load_intergen(path: Path, heads: int = official.HEADS) -> Denoiser:
    return official.load(path, official.INTERGEN, heads)


def written(folder: Path, content: object, name: str = "weights.pt") -> Path:
    torch.save(content, folder / name)
    return folder / name


@pytest.mark.parametrize("layout", official.LAYOUTS.values(), ids=lambda layout: layout.title)
def test_our_names_and_the_official_ones_are_in_bijection(layout: official.Layout) -> None:
    own = list(build("intergen", **SIZES | {"transformer_blocks": 1}).state_dict())
    names = layout.names(own)
    assert list(names) == own
    constants = {f"decoder.net{layout.suffix}.{name}" for name in official.POSITIONS}
    assert sorted(names.values()) == sorted(set(NAMES[layout.variant]) - constants)
    assert constants < set(NAMES[layout.variant])


def test_a_lightning_checkpoint_gives_back_every_weight(model: Denoiser, state: dict, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    loaded = load_intergen(official_files.write_lightning(tmp_path / "intergen.ckpt", state))
    assert torch.equal(torch.get_rng_state(), before)
    assert not loaded.training
    assert loaded.max_frames == 300
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


@pytest.mark.parametrize("kind", ["bare", "half", "safetensors"])
def test_other_containers_hold_the_same(model: Denoiser, state: dict, tmp_path: Path, kind: str) -> None:
    if kind == "safetensors":
        from safetensors.torch import save_file

        file = tmp_path / "weights.safetensors"
        save_file({name: value.clone() for name, value in state.items()}, file)
    else:
        file = written(tmp_path, {name: value.half() if kind == "half" else value for name, value in state.items()})
    loaded = load_intergen(file)
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-3 if kind == "half" else 0, atol=1e-5)


def test_loaded_weights_outlive_the_file(state: dict, tmp_path: Path) -> None:
    file = written(tmp_path, state)
    loaded = load_intergen(file)
    before = loaded.out.weight.clone()
    file.write_bytes(b"\0" * file.stat().st_size)
    assert torch.equal(loaded.out.weight, before)


def test_every_misfit_is_named_as_in_the_file(state: dict, tmp_path: Path) -> None:
    net = "decoder.net"
    del state[f"{net}.blocks.2.ffn.linear2.bias"]
    state[f"{net}.stray"] = torch.zeros(1)
    state["clip_ln.weight"] = torch.zeros(5)
    state[f"{net}.out.linear.bias"][3] = torch.nan
    state[f"{net}.out.linear.weight"] = state[f"{net}.out.linear.weight"].int()
    with pytest.raises(DataError) as caught:
        load_intergen(written(tmp_path, state))
    for piece in (
        "weights.pt",
        "InterGen",
        f"missing {net}.blocks.2.ffn.linear2.bias",
        f"unexpected {net}.stray",
        "clip_ln.weight is (5,), expected (32,)",
        f"{net}.out.linear.bias holds values that are not finite",
        f"{net}.out.linear.weight holds torch.int32, expected floating-point numbers",
    ):
        assert piece in str(caught.value)


def test_a_missing_block_is_missing(state: dict, tmp_path: Path) -> None:
    kept = {name: value for name, value in state.items() if ".blocks.1." not in name}
    with pytest.raises(
        DataError, match=r"missing decoder\.net\.blocks\.1\.sa_block.*unexpected decoder\.net\.blocks\.2"
    ):
        load_intergen(written(tmp_path, kept))


@pytest.mark.parametrize("part", ["decoder.net.motion_embed.weight", "clipTransEncoder.layers.0.linear1.weight"])
def test_weights_that_tell_sizes_are_needed_first(state: dict, tmp_path: Path, part: str) -> None:
    with pytest.raises(DataError, match=f"missing {part}"):
        load_intergen(written(tmp_path, {name: value for name, value in state.items() if name != part}))
    state[part] = torch.zeros(3)
    with pytest.raises(DataError, match=rf"{part} is \(3,\), expected a matrix"):
        load_intergen(written(tmp_path, state))


def test_other_positions_are_refused(state: dict, tmp_path: Path) -> None:
    place = "decoder.net.sequence_pos_encoder.pe"
    load_intergen(written(tmp_path, {name: value for name, value in state.items() if name != place}))
    state[place] = state[place].roll(1, 0)
    with pytest.raises(DataError, match=r"sequence_pos_encoder\.pe is not the table of sinusoids"):
        load_intergen(written(tmp_path, state))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (["_interaction"], r"a checkpoint of in2IN \(in2in\); expected InterGen"),
        (["_individual"], "single-person prior, which is out of scope"),
        (["_interaction", "_individual"], "DualMDM.*out of scope"),
        ([], "expected a checkpoint of InterGen"),
    ],
)
def test_other_models_are_called_by_their_names(
    model: Denoiser, tmp_path: Path, networks: list[str], message: str
) -> None:
    content = {"positional_embedding": torch.zeros(2)}
    for suffix in networks:
        content |= official_files.state_dict(model, suffix)
    with pytest.raises(DataError, match=message):
        load_intergen(written(tmp_path, content))


def test_an_intergen_is_no_in2in(state: dict, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a checkpoint of InterGen \(intergen\); expected in2IN"):
        official.load(written(tmp_path, state), official.IN2IN)


def test_a_width_that_its_heads_do_not_divide_is_refused(state: dict, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="width 16 is not a multiple of its 5"):
        load_intergen(written(tmp_path, state), heads=5)


class TestReading:
    def test_nothing_in_a_file_is_run(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "sprung",))

        with pytest.raises(DataError, match="not opened for safety"):
            read_checkpoint(written(tmp_path, {"state_dict": {}, "hyper_parameters": Trap()}))
        assert not (tmp_path / "sprung").exists()

    def test_numbers_of_numpy_are_let_through(self, tmp_path: Path) -> None:
        assert read_checkpoint(written(tmp_path, {"lr": np.float64(0.5)}))["lr"] == 0.5
        assert read_checkpoint(written(tmp_path, {"lr": [np.float32(0.5), 1]}))["lr"] == [0.5, 1]

    @pytest.mark.parametrize("kind", ["packed", "legacy", "cut", "empty"])
    def test_archives_that_torch_does_not_write_are_refused(self, tmp_path: Path, kind: str) -> None:
        import zipfile

        file = tmp_path / "weights.ckpt"
        torch.save({"a": torch.zeros(1000)}, file, _use_new_zipfile_serialization=kind != "legacy")
        if kind == "packed":
            with zipfile.ZipFile(file) as archive:
                members = {item: archive.read(item) for item in archive.namelist()}
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for item, data in members.items():
                    archive.writestr(item, data)
        elif kind in ("cut", "empty"):
            file.write_bytes(file.read_bytes()[: 700 if kind == "cut" else 0])
        with pytest.raises(DataError, match=r"weights\.ckpt.*not opened for safety"):
            read_checkpoint(file)

    def test_a_shape_that_claims_more_than_there_is_is_refused(self, state: dict, tmp_path: Path) -> None:
        state["decoder.net.motion_embed.weight"] = torch.zeros(1).expand(1 << 40, 20)
        with pytest.raises(DataError, match=r"motion_embed\.weight claims \(1099511627776, 20\)"):
            load_intergen(written(tmp_path, state))

    def test_what_is_no_tensor_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="'epoch' is int where"):
            load_intergen(written(tmp_path, {"epoch": 3}))
        with pytest.raises(DataError, match="no state dict"):
            load_intergen(written(tmp_path, {"state_dict": None}))
        with pytest.raises(DataError, match="no such checkpoint"):
            load_intergen(tmp_path / "nowhere.ckpt")
