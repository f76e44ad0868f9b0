"""What an evaluator notices: verdicts in closed form, and evaluators that are blind by construction."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from batches import batch_of
from counted import Counted
from scipy import stats
from torch import Tensor

from evaluators import protocol as protocols
from evaluators.perturbations import catalogue
from evaluators.perturbed import measure
from evaluators.protocol import Protocol
from evaluators.sensitivity import changes, half_width, verdict
from intermamba.data import interhuman
from intermamba.data.dataset import Batch
from intermamba.errors import DataError

REAL = [0.50, 0.48, 0.52, 0.50]


def frame(**methods: list[float]) -> pd.DataFrame:
    """One metric, top1, of each method in its repeats."""
    rows = [
        {"method": method, "repeat": repeat, "metric": "top1", "value": value}
        for method, values in methods.items()
        for repeat, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def shifted(*by: float) -> list[float]:
    return [value + shift for value, shift in zip(REAL, by, strict=True)]


class TestVerdicts:
    def test_changes_are_paired_by_repeat(self) -> None:
        found = changes(frame(real=REAL, worse=shifted(-0.2, -0.1, -0.2, -0.1))).set_index("method")
        assert found.loc["real", ["mean", "repeats", "verdict"]].tolist() == [pytest.approx(0.5), 4, ""]
        assert found.loc["worse", "mean"] == pytest.approx(-0.15)
        # Deviation of (-.2, -.1, -.2, -.1) with ddof 1 is .1 / sqrt(3), of the real row sqrt(.0008 / 3).
        t = stats.t.ppf(0.975, 3)
        assert found.loc["worse", "interval"] == pytest.approx(t * 0.1 / np.sqrt(3) / 2)
        assert found.loc["real", "interval"] == pytest.approx(t * np.sqrt(0.0008 / 3) / 2)
        assert found.loc["worse", "verdict"] == "detects"

    @pytest.mark.parametrize(
        ("shift", "expected"),
        [
            ((0.0, 0.0, 0.0, 0.0), "blind"),
            ((-0.2, 0.2, -0.2, 0.2), "blind"),  # moves, but to and fro
            ((-0.01, -0.01, -0.01, -0.01), "blind"),  # always the same way, but less than the real row's interval
            ((-0.2, -0.2, -0.2, -0.2), "detects"),
            ((0.2, 0.2, 0.2, 0.2), "fooled"),  # damaged motions are called better
        ],
    )
    def test_blind_noticing_and_fooled(self, shift: tuple[float, ...], expected: str) -> None:
        found = changes(frame(real=REAL, damaged=shifted(*shift))).set_index("method")
        assert found.loc["damaged", "verdict"] == expected

    @pytest.mark.parametrize(
        ("metric", "up", "down"),
        [("top3", "fooled", "detects"), ("fid", "detects", "fooled"), ("diversity", "detects", "detects")],
    )
    def test_directions(self, metric: str, up: str, down: str) -> None:
        assert (verdict(metric, 1.0, 0.1), verdict(metric, -1.0, 0.1)) == (up, down)

    def test_rounding_is_no_change(self) -> None:
        fixed = frame(real=[0.5] * 4, damaged=[0.5 + 1e-8] * 4)
        assert changes(fixed).set_index("method").loc["damaged", "verdict"] == "blind"

    def test_the_interval_covers_as_often_as_it_says(self) -> None:
        draws = np.random.default_rng(0).normal(size=(4000, 5))
        inside = [abs(values.mean()) <= half_width(pd.Series(values)) for values in draws]
        assert np.mean(inside) == pytest.approx(0.95, abs=0.014)  # 4 standard errors

    @pytest.mark.parametrize(
        "broken",
        [frame(worse=REAL), frame(real=REAL, worse=REAL[:3]), frame(real=REAL[:1], worse=REAL[:1])],
        ids=["no real row", "a repeat is missing", "one repeat"],
    )
    def test_what_cannot_be_compared(self, broken: pd.DataFrame) -> None:
        with pytest.raises(DataError, match="Run `intermamba sensitivity` again"):
            changes(broken)


@dataclass(frozen=True)
class Rotating:
    """Eight real clips, 40 of each with a caption of its own, in another order in every repeat."""

    protocol: Protocol

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        whole, size = batch_of("interhuman", tuple(range(24, 32))), self.protocol.batch
        order = np.random.default_rng(repeat_seed).permutation(40)
        for first in range(0, len(order) - size + 1, size):
            yield whole.take([int(index) % 8 for index in order[first : first + size]])

    def variations(self, repeat_seed: int, captions: int, samples: int) -> None:  # noqa: ARG002
        return


class OfTheFirst:
    """Looks at the first person's mean pose only, about its pelvis."""

    def embed_motion(self, batch: Batch) -> Tensor:
        points = batch.motion[:, :, 0, interhuman.POSITIONS].unflatten(-1, (22, 3))
        pose = (points - points[:, :, :1])[:, :, [7, 8, 15, 20, 21], 1]
        return (pose * batch.mask[..., None]).sum(1) / batch.length[:, None]

    def embed_text(self, batch: Batch) -> Tensor:
        clips = batch_of("interhuman", tuple(range(24, 32)))
        return self.embed_motion(clips)[[int(caption.split()[1]) for caption in batch.caption]]


def test_blindness_by_construction_is_found() -> None:
    small = {"batch": 8, "repeats": 4, "diversity_pairs": 20}
    protocol = protocols.load("interhuman-tiny").model_copy(update=small)
    counted = Counted()
    found = measure(OfTheFirst(), protocol, Rotating(protocol), seed=1, progress=counted)
    assert sum(counted.steps) == counted.parts[0][0] == 4 * found["method"].nunique()
    assert found["method"].unique().tolist() == ["real", *(one.name for one in catalogue("interhuman"))]
    verdicts = changes(found).set_index(["method", "metric"])["verdict"]
    for metric in ("top1", "fid", "mm_dist", "diversity"):
        assert verdicts["frozen", metric] == "blind"  # only the first person is looked at
        assert verdicts["sliding-50", metric] == "blind"  # only about the pelvis
        assert verdicts["trajectory-30", metric] == "blind"
    assert verdicts["exchanged", "mm_dist"] == "detects"
    assert verdicts["captions", "mm_dist"] == verdicts["captions", "top1"] == "detects"
    assert verdicts["captions", "fid"] == verdicts["captions", "diversity"] == "blind"
    assert verdicts["joints-10", "mm_dist"] == "detects"


def test_damaged_and_undamaged_motions_come_of_one_draw() -> None:
    """Drawn apart, the difference would hold the noise of two draws; here a constant evaluator changes by exactly 0."""

    class Constant:
        def embed_motion(self, batch: Batch) -> Tensor:
            return torch.tensor([[float(clip[4:]), 1.0] for clip in batch.clip])

        embed_text = embed_motion

    protocol = protocols.load("interhuman-tiny").model_copy(update={"batch": 8, "repeats": 3, "diversity_pairs": 20})
    found = changes(measure(Constant(), protocol, Rotating(protocol), seed=5))
    damaged = found[~found["method"].isin(["real", "captions"])]
    assert (damaged["mean"] == 0).all()
    assert (damaged["verdict"] == "blind").all()
