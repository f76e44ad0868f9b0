"""The protocol: its data, its repeats and seeds, and what it refuses."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from weakref import ref

import numpy as np
import pandas as pd
import pytest
import torch
from counted import Counted
from torch import Tensor

from evaluators import evaluation
from evaluators import evaluator as evaluators
from evaluators import protocol as protocols
from evaluators.evaluation import Source
from evaluators.evaluator import Remembering
from evaluators.protocol import Protocol
from evaluators.results import BY_COMBINATION, BY_PHRASING
from evaluators.sources import ShuffledSource
from intermamba.config import load as load_config
from intermamba.data.dataset import Batch
from intermamba.errors import ConfigError, DataError
from intermamba.progress import SILENT
from intermamba.seeds import derive


@dataclass(frozen=True)
class Toy:
    """Clips whose caption is their number; a motion is that number as a direction, plus noise drawn for the repeat."""

    protocol: Protocol
    clips: int = 64
    noise: float = 0.0
    shift: float = 0.0
    samples: bool = False

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        draws = np.random.default_rng(repeat_seed)
        order = draws.permutation(self.clips)
        for first in range(0, self.clips - self.protocol.batch + 1, self.protocol.batch):
            yield self.batch(order[first : first + self.protocol.batch], draws)

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch] | None:
        if not self.samples:
            return None
        draws = np.random.default_rng(repeat_seed)
        chosen = draws.choice(self.clips, captions, replace=False)
        return iter([self.batch(np.repeat(chosen, samples), draws)])

    def batch(self, numbers: np.ndarray, draws: np.random.Generator) -> Batch:
        values = np.array([[np.cos(n), np.sin(n), np.cos(2 * n)] for n in numbers]) + self.shift
        values = values + self.noise * draws.normal(size=values.shape)
        motion = torch.tensor(values, dtype=torch.float32)[:, None, None].expand(-1, 4, 2, -1)
        names = tuple(map(str, numbers))
        return Batch(motion, torch.full((len(numbers),), 4), names, ((),) * len(names), names)


class ToyEvaluator:
    def embed_text(self, batch: Batch) -> Tensor:
        return torch.tensor([[np.cos(n), np.sin(n), np.cos(2 * n)] for n in map(int, batch.caption)]).float()

    def embed_motion(self, batch: Batch) -> Tensor:
        return batch.motion[:, 0, 0]


TINY = protocols.load("interhuman-tiny")


def evaluate(
    evaluator, protocol: Protocol, reference: Source, source: Source, seed: int, progress=SILENT
) -> pd.DataFrame:
    """One source, evaluated."""
    return evaluation.evaluate(evaluator, protocol, reference, {"toy": source}, seed, progress)


def means(frame: pd.DataFrame) -> dict[str, float]:
    return frame.groupby("metric")["value"].mean().to_dict()


class TestData:
    def test_the_official_protocols(self) -> None:
        human, x = protocols.load("interhuman"), protocols.load("interx")
        assert (human.batch, human.emb_scale, human.diversity_halved) == (96, 6.0, True)
        assert (x.batch, x.emb_scale, x.diversity_halved) == (32, 1.0, False)
        for protocol in (human, x):
            assert protocol.drop_last
            assert (protocol.repeats, protocol.diversity_pairs, protocol.interval) == (20, 300, 1.96)
            assert protocol.multimodality.model_dump() == {"repeats": 5, "captions": 100, "samples": 30, "pairs": 10}

    @pytest.mark.parametrize("profile", ["smoke", "study-cpu", "study-gpu", "paper"])
    def test_every_profile_has_a_protocol_that_fits_its_test_split(self, profile: str) -> None:
        config = load_config(profile)
        for dataset, name in config.protocol.items():
            protocol = protocols.load(name)
            assert protocol.dataset == dataset
            if profile != "paper":
                protocol.require(config.datasets[dataset].synthetic.test, "test split")
                assert protocol.multimodality.captions <= config.datasets[dataset].synthetic.test

    def test_reduced_protocols_differ_from_the_official_in_size_only(self) -> None:
        for name in protocols.names():
            reduced, official = protocols.load(name), protocols.load(protocols.load(name).dataset)
            for field in ("emb_scale", "diversity_halved", "interval", "top_k", "drop_last"):
                assert getattr(reduced, field) == getattr(official, field), (name, field)
            # Those of the smoke run, whose numbers are no evidence of anything, are repeated less often.
            assert reduced.repeats == (4 if "-brief" in name else official.repeats), name

    def test_each_protocol_has_both_modes_by_name(self) -> None:
        plain = [name for name in protocols.names() if not name.endswith("-fixed")]
        assert len(protocols.names()) == 2 * len(plain)
        for name in plain:
            official, fixed = protocols.load(name), protocols.load(f"{name}-fixed")
            assert (official.mode, fixed.mode) == ("official", "fixed")
            differing = {key for key, value in fixed.model_dump().items() if value != official.model_dump()[key]}
            assert differing == {"name", "mode", "source"}

    def test_identity_and_chance(self) -> None:
        assert TINY.id == "interhuman-tiny/1"
        assert [TINY.chance(k) for k in (1, 2, 3)] == [1 / 32, 2 / 32, 3 / 32]

    def test_unknown_names_get_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match=r"'interhumen'.*Did you mean 'interhuman'.*interx-tiny"):
            protocols.load("interhumen")

    def test_is_frozen_and_checked(self) -> None:
        values = TINY.model_dump()
        with pytest.raises(ValueError, match="frozen"):
            TINY.batch = 3  # type: ignore[misc]
        for wrong in ({"batch": 0}, {"top_k": 40}, {"colour": 1}, {"repeats": 2}, {"mode": "free"}):
            with pytest.raises(ValueError):
                Protocol(**{**values, **wrong})
        with pytest.raises(ValueError, match="must exceed"):
            Protocol(**{**values, "multimodality": {"repeats": 5, "captions": 4, "samples": 2, "pairs": 2}})

    @pytest.mark.parametrize(
        ("name", "clips", "pieces"),
        [
            ("interhuman", 64, ("64 clips, of which 0", "more than 300", "batches of 96", "interhuman-tiny")),
            ("interhuman", 350, ("of which 288", "interhuman-small, interhuman-tiny")),
            ("interx-tiny", 31, ("31 clips, of which 0", "Use a larger test split")),
        ],
    )
    def test_too_few_clips(self, name: str, clips: int, pieces: tuple[str, ...]) -> None:
        with pytest.raises(ConfigError) as caught:
            protocols.load(name).require(clips, "test split")
        assert all(piece in str(caught.value) for piece in pieces), caught.value


class TestEvaluate:
    def test_a_perfect_evaluator(self) -> None:
        found = means(evaluate(ToyEvaluator(), TINY, Toy(TINY), Toy(TINY), seed=3))
        assert found["top1"] == found["top2"] == found["top3"] == 1
        assert found["mm_dist"] == pytest.approx(0, abs=1e-7)
        assert found["fid"] == pytest.approx(0, abs=1e-9)
        assert found["diversity"] > 0
        assert "multimodality" not in found

    def test_rows_repeats_and_seeds(self) -> None:
        counted = Counted()
        frame = evaluate(ToyEvaluator(), TINY, Toy(TINY), Toy(TINY, noise=0.3, samples=True), 3, counted)
        assert counted.parts == [(20, 0, "")]
        assert counted.steps == [1] * 20
        assert list(frame.columns) == ["method", "repeat", "repeat_seed", "metric", "value"]
        counts = frame["metric"].value_counts().to_dict()
        assert counts.pop("multimodality") == 5
        assert set(counts) == {"top1", "top2", "top3", "fid", "mm_dist", "diversity"}
        assert set(counts.values()) == {20}
        assert frame[["repeat", "repeat_seed"]].drop_duplicates().values.tolist() == [
            [repeat, derive(3, "repeat", repeat)] for repeat in range(20)
        ]
        assert frame[frame["metric"] == "multimodality"]["repeat"].tolist() == [0, 1, 2, 3, 4]

    def test_equal_seeds_give_equal_numbers(self) -> None:
        source = Toy(TINY, noise=0.3, samples=True)
        one, two, other = (evaluate(ToyEvaluator(), TINY, Toy(TINY), source, seed) for seed in (3, 3, 4))
        pd.testing.assert_frame_equal(one, two)
        assert not np.allclose(one["value"], other["value"])

    def test_real_motions_are_compared_with_another_draw_of_themselves(self) -> None:
        real = Toy(TINY, noise=0.3)
        found = means(evaluate(ToyEvaluator(), TINY, real, real, seed=3))
        assert 0 < found["fid"] < means(evaluate(ToyEvaluator(), TINY, real, replace(real, shift=1.0), seed=3))["fid"]

    def test_scale_reaches_fid_and_diversity_and_nothing_else(self) -> None:
        plain = TINY.model_copy(update={"emb_scale": 1.0})
        source = Toy(TINY, noise=0.3, samples=True)
        six, one = (means(evaluate(ToyEvaluator(), p, Toy(p, noise=0.3), source, seed=3)) for p in (TINY, plain))
        assert six["fid"] == pytest.approx(36 * one["fid"], rel=1e-9)
        assert six["diversity"] == pytest.approx(6 * one["diversity"], rel=1e-9)
        for metric in ("top1", "mm_dist", "multimodality"):
            assert six[metric] == one[metric]

    def test_shuffled_captions_are_at_chance(self) -> None:
        real = Toy(TINY, clips=320)
        found = means(evaluate(ToyEvaluator(), TINY, real, ShuffledSource(real), seed=3))
        for k in (1, 2, 3):
            assert found[f"top{k}"] == pytest.approx(TINY.chance(k), abs=0.015)
        assert found["fid"] == pytest.approx(0, abs=1e-6)

    def test_several_sources_are_evaluated_as_if_alone(self) -> None:
        sources = {"near": Toy(TINY, noise=0.1), "far": Toy(TINY, noise=0.5, samples=True)}
        found = evaluation.evaluate(ToyEvaluator(), TINY, Toy(TINY), sources, seed=3)
        assert found["method"].unique().tolist() == ["near", "far"]
        for name, source in sources.items():
            alone = evaluate(ToyEvaluator(), TINY, Toy(TINY), source, seed=3)
            together = found[found["method"] == name].drop(columns="method").reset_index(drop=True)
            pd.testing.assert_frame_equal(together, alone.drop(columns="method"))

    def test_seen_and_unseen_phrasings_are_counted_apart(self) -> None:
        """Texts of clips from 40 on are exchanged in pairs: these are never found at once, all others are."""

        class Confused(ToyEvaluator):
            def embed_text(self, batch: Batch) -> Tensor:
                swapped = tuple(str(int(n) ^ 1) if int(n) >= 40 else n for n in batch.caption)
                return super().embed_text(replace(batch, caption=swapped))

        toy = Toy(TINY)
        unseen = {str(number) for number in range(40, 64)}
        found = evaluation.evaluate(Confused(), TINY, toy, {"toy": toy}, 0, beside=evaluation.Beside(unseen=unseen))
        whole = means(found)
        assert whole["top3_seen"] == 1.0
        assert whole["top3_unseen"] < whole["top3"] < 1.0
        # each text counts once, in the same batches
        for _, one in found.groupby("repeat"):
            value = means(one)
            shown = TINY.evaluated(toy.clips)
            assert shown == toy.clips
            assert value["top3"] == pytest.approx((40 * value["top3_seen"] + 24 * value["top3_unseen"]) / 64)
        by_clip = evaluation.evaluate(Confused(), TINY, toy, {"toy": toy}, 0, beside=evaluation.Beside(held_out=unseen))
        pd.testing.assert_series_equal(by_clip["value"], found["value"])  # a clip is called like its caption
        assert set(by_clip["metric"]) - set(found["metric"]) == set(BY_COMBINATION)
        plain = evaluation.evaluate(Confused(), TINY, toy, {"toy": toy}, 0)
        rest = found[~found["metric"].isin(BY_PHRASING)].reset_index(drop=True)
        pd.testing.assert_frame_equal(rest, plain)

    def test_nothing_is_embedded_twice(self) -> None:
        class Counting(ToyEvaluator):
            texts, motions = 0, 0

            def embed_text(self, batch: Batch) -> Tensor:
                self.texts += len(batch.caption)
                return super().embed_text(batch)

            def embed_motion(self, batch: Batch) -> Tensor:
                self.motions += len(batch.caption)
                return super().embed_motion(batch)

        counting = Counting()
        real = Toy(TINY)  # without noise its 64 motions are the same in every draw
        plain = evaluation.evaluate(counting, TINY, real, {"real": real, "shuffled": ShuffledSource(real)}, seed=3)
        assert (counting.texts, counting.motions) == (64, 64)
        assert plain["repeat"].nunique() == 20

    def test_a_last_batch_that_is_kept_counts_by_its_size(self) -> None:
        @dataclass(frozen=True)
        class Uneven(Toy):
            def batches(self, repeat_seed: int) -> Iterator[Batch]:
                draws = np.random.default_rng(repeat_seed)
                yield self.batch(np.arange(40), draws)
                wrong = self.batch(np.arange(40, 50), draws)
                yield replace(wrong, motion=wrong.motion.roll(1, dims=0))

        keep = TINY.model_copy(update={"drop_last": False})
        found = means(evaluate(ToyEvaluator(), keep, Uneven(keep), Uneven(keep), seed=3))
        assert found["top1"] == pytest.approx(40 / 50)

    def test_a_broken_motion_is_named_by_its_clip(self) -> None:
        @dataclass(frozen=True)
        class Broken(Toy):
            def batch(self, numbers: np.ndarray, draws: np.random.Generator) -> Batch:
                batch = super().batch(numbers, draws)
                motion = batch.motion.clone()
                motion[list(batch.clip).index("7") if "7" in batch.clip else []] = torch.nan
                return replace(batch, motion=motion)

        with pytest.raises(DataError, match="motion of clip 7"):
            evaluate(ToyEvaluator(), TINY, Toy(TINY), Broken(TINY), seed=0)

    def test_a_source_with_too_few_variations(self) -> None:
        @dataclass(frozen=True)
        class Short(Toy):
            def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch]:  # noqa: ARG002
                return super().variations(repeat_seed, captions, samples=1)

        with pytest.raises(DataError, match="4 captions x 4 motions, the source gave 4"):
            evaluate(ToyEvaluator(), TINY, Toy(TINY), Short(TINY, samples=True), seed=0)

    def test_a_test_set_smaller_than_a_batch(self) -> None:
        with pytest.raises(ConfigError, match="reference motions"):
            evaluate(ToyEvaluator(), TINY, Toy(TINY, clips=20), Toy(TINY), seed=0)


class TestRemembering:
    def batch(self, *numbers: int) -> Batch:
        return Toy(TINY).batch(np.array(numbers), np.random.default_rng(0))

    def test_answers_stand_in_the_order_of_the_question(self) -> None:
        evaluator, plain = Remembering(ToyEvaluator()), ToyEvaluator()
        for numbers in ((3, 1, 2), (2, 5, 3, 3), (1,), (5, 4)):
            batch = self.batch(*numbers)
            torch.testing.assert_close(evaluator.embed_motion(batch), plain.embed_motion(batch), rtol=0, atol=0)
            torch.testing.assert_close(evaluator.embed_text(batch), plain.embed_text(batch), rtol=0, atol=0)

    def test_motions_are_told_apart_by_their_real_frames(self) -> None:
        class Last(ToyEvaluator):
            def embed_motion(self, batch: Batch) -> Tensor:
                return batch.motion[torch.arange(len(batch.length)), batch.length - 1, 0]

        evaluator, batch = Remembering(Last()), self.batch(1)
        motion = batch.motion + torch.arange(4.0)[:, None, None]
        whole, cut = replace(batch, motion=motion), replace(batch, motion=motion, length=torch.tensor([2]))
        garbage = replace(cut, motion=torch.cat([motion[:, :2], 7 * motion[:, 2:]], dim=1))
        assert not torch.equal(evaluator.embed_motion(whole), evaluator.embed_motion(cut))
        assert torch.equal(evaluator.embed_motion(garbage), evaluator.embed_motion(cut))

    def test_the_oldest_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(evaluators, "REMEMBERED", 3)
        evaluator = Remembering(counting := Counting())
        for numbers in ((1, 2, 3), (2, 4), (2, 3, 4), (1, 5, 6, 7)):
            batch = self.batch(*numbers)
            assert torch.equal(evaluator.embed_motion(batch), ToyEvaluator().embed_motion(batch))
        assert counting.embedded == [1, 2, 3, 4, 1, 5, 6, 7]


class Counting(ToyEvaluator):
    def __init__(self) -> None:
        self.embedded: list[int] = []

    def embed_motion(self, batch: Batch) -> Tensor:
        self.embedded += map(int, batch.clip)
        return super().embed_motion(batch)


@pytest.mark.parametrize("clips", [64, 320])
def test_memory_holds_one_batch_however_large_the_test_set(clips: int) -> None:
    given: list[ref[Batch]] = []
    most = 0

    class Watched(Toy):
        def batches(self, repeat_seed: int) -> Iterator[Batch]:
            nonlocal most
            for batch in super().batches(repeat_seed):
                given.append(ref(batch))
                most = max(most, sum(one() is not None for one in given))
                yield batch

    real = Watched(TINY, clips=clips)
    evaluation.evaluate(ToyEvaluator(), TINY, real, {"real": real, "chance": ShuffledSource(real)}, seed=0)
    assert most == 2  # the one in use and the next


def test_batches_can_be_taken_apart() -> None:
    batch = Toy(TINY).batch(np.arange(4), np.random.default_rng(0))
    taken = batch.take([2, 0, 2])
    assert taken.clip == taken.caption == ("2", "0", "2")
    assert torch.equal(taken.motion, batch.motion[[2, 0, 2]])
    assert taken.individual == ()
