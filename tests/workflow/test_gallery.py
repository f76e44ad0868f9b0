"""The motions that the report shows: which prompts, which motions, and what survives their file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from intermamba import files
from intermamba.errors import DataError, StateError
from workflow.evaluation.gallery import Gallery, read, write
from workflow.evaluation.gallery_motions import choose


def shown(*motions: np.ndarray, method: str = "real") -> Gallery:
    clips = tuple(f"clip{index}" for index in range(len(motions)))
    captions = tuple(f"Caption <{index}>." for index in range(len(motions)))
    pairs = tuple((f"a{index}", f"b{index}") for index in range(len(motions)))
    return Gallery("interhuman", method, "synthetic", "", 30, clips, captions, pairs, motions, (0.0,) * len(motions))


def test_the_first_caption_and_then_the_one_least_like_it() -> None:
    captions = ["A waves to B.", "A waves at B.", "They push and pull.", "They pull and push!", "a waves"]
    assert choose(captions, 2) == [0, 2]
    assert choose(captions, 3) == [0, 2, 4]  # shares half of its words with the first, and the second caption 3 of 5
    assert sorted(choose(captions, 9)) == [0, 1, 2, 3, 4]


def test_the_choice_does_not_see_words_order_or_case() -> None:
    assert choose(["One two", "two ONE", "three"], 2) == [0, 2]


@pytest.mark.parametrize("size", [0.001, 1.0, 30.0])
def test_a_file_keeps_positions_to_its_rounding(tmp_path: Path, size: float) -> None:
    random = np.random.default_rng(0)
    motions = [random.uniform(-size, size, (frames, 2, 22, 3)).astype(np.float32) for frames in (3, 5)]
    write(tmp_path / "gallery.safetensors", shown(*motions))
    found = read(tmp_path / "gallery.safetensors")
    assert replace(found, joints=()) == replace(shown(*motions), joints=())
    for motion, kept in zip(motions, found.joints, strict=True):
        np.testing.assert_allclose(kept, motion, atol=0.51 * size / 32767, rtol=0)


def test_equal_motions_give_equal_bytes(tmp_path: Path) -> None:
    motion = np.ones((2, 2, 22, 3), dtype=np.float32)
    for name in ("one", "other"):
        write(tmp_path / name, shown(motion))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_what_is_no_motion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="intergen on interhuman, clip clip0: the motion is not finite"):
        write(tmp_path / "gallery", shown(np.full((2, 2, 22, 3), np.nan, dtype=np.float32), method="intergen"))
    files.write_tensors(tmp_path / "other", {"weight": torch.zeros(2)})
    with pytest.raises(DataError, match=r"not a gallery of motions \(no floor, joints, scale, start\)"):
        read(tmp_path / "other")
