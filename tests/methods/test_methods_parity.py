"""MDM, ComMDM and RIG against the released classes, on weights and inputs that are formulas of their index.

support/official/models_baselines.json was computed in float64 and eval mode by running MDM (GuyTevet/
motion-diffusion-model d4fd88c; ``fixed`` is its ``--mask_frames``, and for the GRU ``batch_first=False``), ComMDM
(priorMDM/priorMDM 587d10b, without the pose's token, which its ``--no_6dof`` path cannot join) and
MotionInteractionTransformer (line/Human-Interaction-Generation 5b494e9) on exactly these weights and inputs. Clips are
7, 5 and 2 frames long in a batch of 7.
"""

import json
from typing import Any

import pytest
import torch
from formulas import B, T, inputs, wave, weigh
from places import NUMBERS

from intermamba.methods.variant import Variant
from intermamba.models import build

EXPECTED: dict[str, Any] = json.loads((NUMBERS / "models_baselines.json").read_text())
F, W = 10, 16


def variant(base: str, **changes: Any) -> Variant:
    return Variant(name=base, label=base, base=base, hypothesis="", changes=changes)


def agree(out: torch.Tensor, mask: torch.Tensor, name: str) -> None:
    found = out[mask].flatten()[:: EXPECTED["stride"]]
    expected = torch.tensor(EXPECTED["output"][name], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)
    assert expected.std() > 0.1  # the comparison is about something


@pytest.mark.parametrize("form", ["as_released", "fixed"])
@pytest.mark.parametrize(("name", "backbone"), [("mdm", "transformer"), ("mdm_gru", "gru")])
def test_mdm_equals_the_released_one(name: str, backbone: str, form: str) -> None:
    sizes = EXPECTED["sizes"]
    model = build(variant("mdm", form=form, backbone=backbone), features=F, max_frames=T, text_width=W, **sizes)
    weigh(model)
    _, step, _, mask = inputs()
    with torch.no_grad():
        out = model.double().eval()(wave((B, T, 2, F), 1.1).double(), step, wave((B, 1, W), 0.9).double(), mask)
    agree(out, mask, f"{name}/{form}")


def test_com_mdm_equals_the_released_one() -> None:
    model = build("com_mdm", features=F, max_frames=T, text_width=W, **EXPECTED["sizes"])
    weigh(model)
    _, step, _, mask = inputs()
    with torch.no_grad():
        out = model.double().eval()(wave((B, T, 2, F), 1.1).double(), step, wave((B, 1, W), 0.9).double(), mask)
    agree(out, mask, "com_mdm/as_released")


def test_rig_equals_the_released_one() -> None:
    sizes = EXPECTED["rig_sizes"]
    model = build(variant("rig", text_width=16), features=F, max_frames=T, text_width=512, **sizes)
    weigh(model)
    model = model.double().eval()
    _, step, _, mask = inputs()
    with torch.no_grad():
        said = model.encode_text(wave((2 * B, 5, 512), 0.77, 2.0).double(), torch.tensor([4, 2, 3, 1, 4, 2]))
        out = model(wave((B, T, 2, F), 1.1).double(), step, torch.stack(said.chunk(2), 1), mask)
    agree(out, mask, "rig")


@pytest.mark.parametrize(("place", "expected"), EXPECTED["parameters"].items())
def test_parameters_equal_the_released_classes(place: str, expected: int) -> None:
    name, features = place.split("/")
    frames = {"262": 300, "336": 150}[features]
    with torch.device("meta"):
        row = variant("mdm", backbone="gru") if name == "mdm_gru" else name
        model = build(row, features=int(features), max_frames=frames)
    assert sum(value.numel() for value in model.parameters()) == expected


@pytest.mark.parametrize("backbone", ["transformer", "gru"])
@pytest.mark.parametrize("form", ["as_released", "fixed"])
def test_fixed_ignores_padding_and_neighbours_and_as_released_does_not(form: str, backbone: str) -> None:
    model = build(
        variant("mdm", form=form, backbone=backbone), features=F, max_frames=T, text_width=W, **EXPECTED["sizes"]
    )
    weigh(model)
    model = model.double().eval()
    x, cond = wave((2, T, 2, F), 1.1).double(), wave((2, 1, W), 0.9).double()
    mask, step = torch.arange(T) < torch.tensor([T, 4])[:, None], torch.tensor([3, 500])
    with torch.no_grad():
        whole = model(x, step, cond, mask)[1, :4]
        padded = model(torch.where(mask[..., None, None], x, 5.0), step, cond, mask)[1, :4]
        alone = model(x[1:], step[1:], cond[1:], mask[1:])[0, :4]
    same_padding, same_alone = torch.allclose(whole, padded), torch.allclose(whole, alone)
    assert same_padding == (form == "fixed" or backbone == "gru")
    assert same_alone == (form == "fixed" or backbone == "transformer") == model.independent
