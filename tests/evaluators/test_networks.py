"""The two evaluators: equal to the official classes, safe to load, and indifferent to batch, padding and order."""

import json
import math
import pickle
from pathlib import Path

import pytest
import torch
from places import NUMBERS
from torch import Tensor

from evaluators.evaluator import InterXEvaluator, official
from evaluators.interclip import InterCLIP, info_nce
from evaluators.interx import TextMotionMatcher, contrastive_margin, side_by_side
from intermamba.data.dataset import Batch
from intermamba.errors import DataError
from intermamba.text import word_vectors
from intermamba.text.cache import TextCache

# Weights, inputs and how the numbers were computed: see "computed" in the file.
OFFICIAL = json.loads((NUMBERS / "evaluators_official.json").read_text())


def weight(name: str, shape: list[int]) -> Tensor:
    """Formula weights: varied, bounded, and never near zero where they are gains."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    value = torch.sin(0.01 * sum(map(ord, name)) + i * (0.7 + 0.001 * i))
    if len(shape) == 1 and name.endswith("weight"):
        value = 1 + 0.03 * value
    elif name == "latent_scale":
        value = 2.5 + 0 * value
    elif len(shape) > 1:
        value = 1.4 * value / shape[-1] ** 0.5
    else:
        value = 0.1 * value
    return value.reshape(shape).float()


def wave(*shape: int) -> Tensor:
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(i * (0.013 + 0.0001 * i)).float().reshape(shape)


def formula_weights(names: dict[str, list[int]]) -> dict[str, Tensor]:
    return {name: weight(name, shape) for name, shape in names.items()}


@pytest.fixture(scope="module")
def interclip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the layout of InterGen's interclip.ckpt."""
    path = tmp_path_factory.mktemp("official") / "interclip.ckpt"
    state = formula_weights(OFFICIAL["interclip"]["weights"])
    state["token_embedding.weight"], state["positional_embedding"] = torch.zeros(9, 768), torch.zeros(77, 768)
    state["motion_encoder.sequence_pos_encoder.pe"] = torch.zeros(2000, 16)
    torch.save({"state_dict": {f"model.{name}": value for name, value in state.items()}, "epoch": 5}, path)
    return path


@pytest.fixture(scope="module")
def matcher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the layout of Inter-X's finest.tar."""
    path = tmp_path_factory.mktemp("official") / "finest.tar"
    parts = {part: formula_weights(names) for part, names in OFFICIAL["interx"]["weights"].items()}
    torch.save(
        {**parts, "opt_text_encoder": {"state": {}, "param_groups": [{"lr": 1e-4}]}, "epoch": 2, "iter": 9}, path
    )
    return path


@pytest.fixture(scope="module")
def interclip(interclip_file: Path) -> InterCLIP:
    return InterCLIP.from_official(interclip_file).requires_grad_(False)


@pytest.fixture(scope="module")
def matcher(matcher_file: Path) -> TextMotionMatcher:
    return TextMotionMatcher.from_official(matcher_file).requires_grad_(False)


class TestInterClip:
    @pytest.fixture
    def motion(self) -> tuple[Tensor, Tensor]:
        mask = torch.arange(30) < torch.tensor(OFFICIAL["interclip"]["length"])[:, None]
        return wave(3, 30, 2, 262), mask

    def test_equal_to_the_official_class(self, interclip: InterCLIP, motion: tuple[Tensor, Tensor]) -> None:
        moving = interclip.encode_motion(*motion)
        text = interclip.encode_text(wave(3, 6, 768), torch.tensor(OFFICIAL["interclip"]["end"]))
        torch.testing.assert_close(moving[:, :8], torch.tensor(OFFICIAL["interclip"]["motion"]), rtol=0, atol=1e-5)
        torch.testing.assert_close(text[:, :8], torch.tensor(OFFICIAL["interclip"]["text"]), rtol=0, atol=1e-5)
        assert info_nce(text, moving, interclip.latent_scale).item() == pytest.approx(
            OFFICIAL["interclip"]["loss"], abs=1e-5
        )

    def test_embeddings_lie_on_the_sphere(self, interclip: InterCLIP, motion: tuple[Tensor, Tensor]) -> None:
        torch.testing.assert_close(interclip.encode_motion(*motion).norm(dim=-1), torch.full((3,), 2.5))

    def test_batch_and_padding_do_not_matter(self, interclip: InterCLIP, motion: tuple[Tensor, Tensor]) -> None:
        values, mask = motion
        whole = interclip.encode_motion(values, mask)
        alone = interclip.encode_motion(values[1:2, :17], mask[1:2, :17])
        garbage = interclip.encode_motion(values.masked_fill(~mask[:, :, None, None], 7.0), mask)
        order = [2, 0, 1]
        torch.testing.assert_close(alone, whole[1:2], rtol=0, atol=1e-5)
        torch.testing.assert_close(garbage, whole, rtol=0, atol=1e-5)
        torch.testing.assert_close(interclip.encode_motion(values[order], mask[order]), whole[order], rtol=0, atol=1e-5)

    def test_foot_contacts_are_not_seen(self, interclip: InterCLIP, motion: tuple[Tensor, Tensor]) -> None:
        values, mask = motion
        changed = values.clone()
        changed[..., -4:] += 1
        torch.testing.assert_close(interclip.encode_motion(changed, mask), interclip.encode_motion(values, mask))

    def test_loss_of_a_perfect_and_of_a_blind_evaluator(self) -> None:
        axes = torch.eye(4)
        scale = torch.tensor([10.0])
        assert info_nce(axes, axes, scale).item() == pytest.approx(0, abs=1e-6)
        flat = torch.ones(4, 3)
        assert info_nce(flat, flat, scale).item() == pytest.approx(math.log(4), rel=1e-6)


class TestTextMotionMatcher:
    @pytest.fixture
    def motion(self) -> tuple[Tensor, Tensor]:
        length = torch.tensor(OFFICIAL["interx"]["length"])
        columns = wave(4, 150, 672) * (torch.arange(150) < length[:, None])[..., None]
        return columns.reshape(4, 150, 56, 2, 6).transpose(2, 3).reshape(4, 150, 2, 336), length

    @pytest.fixture
    def text(self) -> tuple[Tensor, Tensor, Tensor]:
        tags = torch.nn.functional.one_hot((torch.arange(36) * 7 % 15).reshape(4, 9), 15).float()
        return wave(4, 9, 12), tags, torch.tensor(OFFICIAL["interx"]["caption_length"])

    def test_equal_to_the_official_classes(self, matcher, motion, text) -> None:
        moving, said = matcher.encode_motion(*motion), matcher.encode_text(*text)
        torch.testing.assert_close(moving, torch.tensor(OFFICIAL["interx"]["motion"]), rtol=0, atol=1e-5)
        torch.testing.assert_close(said, torch.tensor(OFFICIAL["interx"]["text"]), rtol=0, atol=1e-5)
        loss = contrastive_margin(said, moving, OFFICIAL["interx"]["margin"])
        # The official loss draws one shift of the batch at random; ours is its mean over all shifts that mismatch.
        assert loss.item() == pytest.approx(OFFICIAL["interx"]["loss"], abs=1e-4)

    def test_order_of_lengths_does_not_matter(self, matcher, motion, text) -> None:
        order = [3, 0, 2, 1]
        moved = matcher.encode_motion(*(value[order] for value in motion))
        torch.testing.assert_close(moved, matcher.encode_motion(*motion)[order], rtol=0, atol=1e-5)
        said = matcher.encode_text(*(value[order] for value in text))
        torch.testing.assert_close(said, matcher.encode_text(*text)[order], rtol=0, atol=1e-5)

    def test_a_clip_is_embedded_alike_in_every_buffer(self, matcher, motion) -> None:
        values, length = motion[0][:2], torch.tensor([24, 17])
        evaluator = InterXEvaluator(matcher, TextCache.__new__(TextCache), frames=28)  # texts are not asked for

        def embedded(frames: int) -> Tensor:
            return evaluator.embed_motion(Batch(values[:, :frames], length, ("a", "b"), (), ("1", "2")))

        for frames in (24, 25, 40):
            torch.testing.assert_close(embedded(frames), embedded(28), rtol=0, atol=0)
        evaluator.frames = 20
        with pytest.raises(ValueError, match="a motion of 24 frames; the evaluator sees at most 20"):
            embedded(28)

    def test_padding_does_not_matter(self, matcher, motion) -> None:
        values, length = motion
        short = matcher.encode_motion(values[[1, 3], :28], length[[1, 3]])
        torch.testing.assert_close(short, matcher.encode_motion(values, length)[[1, 3]], rtol=0, atol=1e-5)

    def test_columns_are_joint_by_joint_both_persons(self) -> None:
        motion = torch.arange(2 * 336).reshape(1, 1, 2, 336).float()
        assert side_by_side(motion)[0, 0, :13].tolist() == [*range(6), *range(336, 342), 6]

    def test_margin_loss_in_closed_form(self) -> None:
        text, motion = torch.tensor([[0.0], [4.0]]), torch.tensor([[3.0], [4.0]])
        # Matched distances 3 and 0; mismatched 4 and 1, short of the margin 5 by 1 and 4.
        assert contrastive_margin(text, motion, 5.0).item() == pytest.approx((9 + 0) / 2 + (1 + 16) / 2, abs=1e-4)


class Captions(TextCache):
    """The sizes of an embedded text and of a word, without any caption."""

    def __init__(self, text: int = 768, words: int = 0) -> None:
        self.tower, self.word_vectors = "some-tower", torch.zeros(5, words)
        self._features, self._position = torch.zeros(0, 77, text), torch.zeros(77, 768)


class TestCheckpoints:
    def test_missing_unexpected_and_misshapen_weights_are_named(self, interclip_file: Path, tmp_path: Path) -> None:
        content = torch.load(interclip_file, weights_only=True)
        state = content["state_dict"]
        del state["model.text_ln.bias"]
        state["model.stray"] = torch.zeros(1)
        state["model.motion_encoder.query_token"] = torch.zeros(1, 3)
        torch.save(content, tmp_path / "bad.ckpt")
        with pytest.raises(DataError) as caught:
            InterCLIP.from_official(tmp_path / "bad.ckpt")
        for piece in (
            "bad.ckpt",
            "missing text_ln.bias",
            "unexpected stray",
            "query_token is (1, 3), expected (1, 16)",
        ):
            assert piece in str(caught.value)

    def test_a_network_trained_with_another_text_tower_is_refused(self, interclip_file: Path, tmp_path: Path) -> None:
        content = torch.load(interclip_file, weights_only=True)
        positions = wave(77, 768)
        content["state_dict"]["model.positional_embedding"] = positions.half().float()  # CLIP's are half precision
        torch.save(content, tmp_path / "clip.ckpt")
        for table in (positions, positions[:40]):  # a shorter context of the same tower will do
            InterCLIP.from_official(tmp_path / "clip.ckpt", positions=table)
        for table in (positions.flip(0), torch.cat([positions, positions]), positions[:, :512]):
            with pytest.raises(DataError, match=r"clip\.ckpt: trained with another text tower.*ViT-L-14-336"):
                InterCLIP.from_official(tmp_path / "clip.ckpt", positions=table)

    def test_heads_that_do_not_divide_the_widths(self, interclip_file: Path) -> None:
        with pytest.raises(DataError, match=r"5 heads do not divide its widths 16 \(motion\) and 768 \(text\)"):
            InterCLIP.from_official(interclip_file, heads=5)

    def test_captions_and_motions_must_fit(self, interclip_file: Path, matcher_file: Path) -> None:
        assert official("interhuman", interclip_file, Captions()).features == 262
        assert official("interx", matcher_file, Captions(words=12)).features == 336
        with pytest.raises(DataError, match=r"captions embedded 768 wide, .*text tower some-tower\) are 64 wide"):
            official("interhuman", interclip_file, Captions(text=64))
        with pytest.raises(DataError, match=r"captions embedded 12 wide, .*word vectors\) are 300 wide"):
            official("interx", matcher_file, Captions(words=300))

    def test_motions_of_another_width(self, matcher_file: Path, tmp_path: Path) -> None:
        content = torch.load(matcher_file, weights_only=True)
        content["movement_encoder"]["main.0.weight"] = torch.zeros(6, 2 * 262, 4)
        torch.save(content, tmp_path / "other.tar")
        with pytest.raises(DataError, match=r"other\.tar: reads 262 features per person; interx has 336"):
            official("interx", tmp_path / "other.tar", Captions(words=12))

    @pytest.mark.parametrize("network", [InterCLIP, TextMotionMatcher])
    def test_other_files_are_refused(self, network, tmp_path: Path, matcher_file: Path, interclip_file: Path) -> None:
        with pytest.raises(DataError, match="no such checkpoint"):
            network.from_official(tmp_path / "nowhere.tar")
        (tmp_path / "text.tar").write_text("not a checkpoint")
        with pytest.raises(DataError, match=r"text\.tar"):
            network.from_official(tmp_path / "text.tar")
        with pytest.raises(DataError, match="expected In"):
            network.from_official(matcher_file if network is InterCLIP else interclip_file)

    def test_nothing_in_a_file_is_run(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "sprung",))

        torch.save({"state_dict": Trap()}, tmp_path / "trap.ckpt")
        (tmp_path / "trap.pkl").write_bytes(pickle.dumps(Trap(), protocol=2))
        for name in ("trap.ckpt", "trap.pkl"):
            with pytest.raises(DataError, match="not opened for safety"):
                InterCLIP.from_official(tmp_path / name)
        assert not (tmp_path / "sprung").exists()


class TestWords:
    WORDS = {"unk": 0, "sos": 1, "eos": 2, "wave": 3, "left": 4}  # noqa: RUF012
    VECTORS = torch.arange(15.0).reshape(5, 3)

    def vectorise(self, *tokens: str) -> tuple[list[int], list[str], int]:
        vectors, tags, length = word_vectors.vectorise([tokens], self.WORDS, self.VECTORS)
        rows = (vectors[0, :, 0] / 3).int().tolist()
        return rows, [word_vectors.POS_TAGS[i] for i in tags[0].argmax(-1).tolist()], int(length[0])

    def test_bounds_and_tags(self) -> None:
        assert self.vectorise("wave/VERB", "left/NOUN", "wave/XYZ") == (
            [1, 3, 4, 3, 2],
            ["OTHER", "VERB", "Loc_VIP", "OTHER", "OTHER"],
            5,
        )

    @pytest.mark.parametrize("token", ["nowhere/VERB", "wave", "wave/VERB/NOUN", ""])
    def test_what_has_no_vector_is_unknown(self, token: str) -> None:
        assert self.vectorise(token) == ([1, 0, 2], ["OTHER"] * 3, 3)

    def test_long_captions_are_cut_and_short_ones_padded(self) -> None:
        vectors, tags, length = word_vectors.vectorise([["wave/VERB"] * 50, ["wave/VERB"]], self.WORDS, self.VECTORS)
        assert length.tolist() == [37, 3]
        assert vectors.shape == (2, 37, 3)
        assert (vectors[1, 3:] == self.VECTORS[0]).all()
        assert tags.sum(-1).eq(1).all()

    def test_a_table_without_unknown_is_refused(self) -> None:
        with pytest.raises(DataError, match="unk"):
            word_vectors.vectorise([["wave/VERB"]], {"wave": 0}, self.VECTORS)
