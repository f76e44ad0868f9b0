"""A training that diverges stops, says where and what was kept, and leaves the last good checkpoint alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from intermamba import config as configuration
from intermamba.errors import DivergedError
from intermamba.job import Job
from intermamba.trainer import EXPLODED, quiet, trainer
from intermamba.training.run import _Resume

CLIPS, BATCH, EPOCHS = 8, 2, 3
STEPS = CLIPS // BATCH


@dataclass
class Clips:
    clip: list[str]
    values: Tensor


def collate(numbers: list[int]) -> Clips:
    return Clips([f"clip{number}" for number in numbers], torch.tensor(numbers, dtype=torch.float32))


class Fit(L.LightningModule):
    """Fits one number; ``factors`` multiply losses of steps, and the weight is infinite after those in ``spoils``."""

    def __init__(self, factors: dict[int, float], spoils: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self._factors, self._spoils = factors, spoils

    def training_step(self, batch: Clips, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        return {"loss": ((self.weight - batch.values) ** 2).mean() * self._factors.get(self.global_step, 1.0)}

    def on_train_batch_end(self, *_: Any) -> None:
        if self.global_step in self._spoils:
            torch.nn.init.constant_(self.weight, torch.inf)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def fit(folder: Path, module: Fit) -> _Resume:
    config = configuration.load("smoke")
    resume = _Resume(config, Job("train", "", {}, {}, {"weights": folder / "weights.safetensors"}))
    loader = DataLoader(range(CLIPS), batch_size=BATCH, collate_fn=collate)
    with quiet():
        engine = trainer(
            config.runtime, epochs=EPOCHS, gradient_clip=None, callbacks=[resume.callback], kept=resume.kept
        )
        engine.fit(module, loader)
    return resume


def test_a_loss_that_is_no_number_names_step_clips_and_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as said:
        fit(tmp_path, Fit({STEPS + 1: torch.nan}))
    assert f"the loss is nan at step {STEPS + 2} (clips clip2, clip3)" in str(said.value)
    (kept,) = (tmp_path / "resume").glob("*.ckpt")
    assert f"The last good checkpoint is {kept}, of step {STEPS}." in str(said.value)
    assert torch.load(kept, weights_only=True)["global_step"] == STEPS


def test_an_infinite_first_loss_has_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"the loss is inf at step 1 .*There is no checkpoint yet\."):
        fit(tmp_path, Fit({0: torch.inf}))


def test_a_loss_that_explodes_is_stopped(tmp_path: Path) -> None:
    # The first is 0.5, which counts as one; that of the third step is about 20 times the factor.
    with pytest.raises(DivergedError, match=r"the loss is .* at step 3 \(clips clip4, clip5\)"):
        fit(tmp_path, Fit({2: EXPLODED}))


def test_weights_that_are_not_finite_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=rf"weight is not finite after step {2 * STEPS}\."):
        fit(tmp_path, Fit({}, spoils=(2 * STEPS,)))
    (kept,) = (tmp_path / "resume").glob("*.ckpt")
    weights = torch.load(kept, weights_only=True)["state_dict"]
    assert weights["weight"].isfinite()


@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_a_training_that_goes_well_is_as_without_the_guard(tmp_path: Path, factor: float) -> None:
    module = Fit({2: factor})
    resume = fit(tmp_path, module)
    weight = torch.zeros(())
    for step in range(EPOCHS * STEPS):
        values = torch.arange(CLIPS, dtype=torch.float32).reshape(STEPS, BATCH)[step % STEPS]
        weight = weight - 1e-3 * (factor if step == 2 else 1.0) * 2 * (weight - values).mean()
    torch.testing.assert_close(module.weight.detach(), weight)
    assert resume.kept().endswith(f"of step {EPOCHS * STEPS}.")
