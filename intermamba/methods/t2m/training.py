"""The three trainings of T2M: movements of windows, the generator, and lengths of captions."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from intermamba.config import DatasetConfig
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.methods.t2m.network import T2M, MotionGenerator, MovementAutoencoder, generator_losses, movement_losses
from intermamba.methods.t2m.options import UNIT, T2MOptions
from intermamba.models.conditions import conditions
from intermamba.trainer import VALIDATION_LOSS
from intermamba.training.module import TrainingModule
from intermamba.training.windows import window_loaders

FINE_TUNED = 0.1
"""Learning rate of the movement decoder, which is already trained, as a share of that of the other networks [T2M]."""


class T2MModule(TrainingModule):
    """Base of the three trainings."""

    @property
    def options(self) -> T2MOptions:
        """Options of the variant."""
        return self.variant.options_as(T2MOptions)

    def pair(self, batch: Batch) -> Float[Tensor, "B T C"]:
        """Normalised motion of both persons, side by side."""
        return ((batch.motion - self.mean) / self.std).flatten(2)


class MovementModule(T2MModule):
    """Autoencoder of windows."""

    model: MovementAutoencoder

    def loaders(self, splits: Sequence[SplitFile], settings: DatasetConfig, root: int) -> tuple[Any, Any]:
        """Windows of both splits."""
        sizes = self.model.sizes
        return window_loaders(
            splits,
            settings,
            root,
            frames=sizes.window,
            stride=sizes.stride,
            last=False,
            batch=self.config.training.batch,
            workers=self.config.runtime.workers,
            knobs=("methods.t2m.sizes.window", "methods.t2m.parts.movements.batch"),
        )

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:  # noqa: ARG002
        motion = self.pair(batch)
        movements, decoded = self.model(motion)
        return movement_losses(motion, movements, decoded, self.options.autoencoder)


class GeneratorModule(T2MModule):
    """Beginnings of motions, with a curriculum of their length.

    Clips shorter than the curriculum's length are left out of their batch. If all are shorter, the longest one's length
    is used.
    """

    model: MotionGenerator
    units: Int[Tensor, ""]
    best: Float[Tensor, ""]
    worse: Int[Tensor, ""]
    tried: Int[Tensor, ""]
    ended: Bool[Tensor, ""]

    def __init__(self, *given: Any, parts: Mapping[str, Mapping[str, Tensor]] | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        if parts:
            for name in ("encoder", "decoder"):
                getattr(self.model.generator, f"movement_{name}").load_state_dict(_within(parts["movements"], name))
        self.model.generator.movement_encoder.requires_grad_(False)
        longest = self.model.max_frames // UNIT
        # Buffers, so that a resumed training continues the curriculum.
        self.register_buffer("units", torch.tensor(min(self.model.sizes.first, longest)))
        self.register_buffer("best", torch.tensor(torch.inf))
        self.register_buffer("worse", torch.tensor(0))
        self.register_buffer("tried", torch.tensor(0))
        self.register_buffer("ended", torch.tensor(False))

    def train(self, mode: bool = True) -> "GeneratorModule":
        super().train(mode)
        self.model.generator.movement_encoder.eval()
        return self

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:
        options, left = self.options, batch.length // UNIT
        units = min(int(self.units), int(left.max()))
        rows = (left >= units).nonzero()[:, 0].tolist()
        batch, left = batch.take(rows), left[rows]
        motion = self.pair(batch)[:, : units * UNIT]
        movements = self.model.generator.movements(motion)
        shape = (len(motion), units, self.model.sizes.latent)
        noise = torch.randn(shape, generator=generator, device=self.device)
        coin = torch.rand((), generator=generator, device=self.device)
        teacher = training and bool(coin < options.teacher)
        words = self.model.words(conditions(self.model, self.tokens, batch.caption, batch.individual)[:, 0])
        made = self.model.generator(words, left, noise, movements, teacher)
        decoded = self.model.generator.movement_decoder(made.movements)
        return generator_losses(made, decoded, motion, movements, options.losses)

    def on_train_start(self) -> None:
        self.trainer.should_stop |= bool(self.ended)  # of a training that was interrupted after its last epoch

    def on_validation_epoch_end(self) -> None:
        self.follow(float(self.trainer.callback_metrics[VALIDATION_LOSS]))

    def follow(self, loss: float) -> None:
        """Add a movement if the validation ``loss`` stops improving; at the longest motion, end the training."""
        curriculum = self.options.curriculum
        improved = loss < self.best
        stop = not improved and (self.worse >= curriculum.patience or loss - self.best >= curriculum.rise)
        self.best.copy_(torch.as_tensor(loss).minimum(self.best.cpu()))
        self.worse.copy_(torch.tensor(0) if improved else self.worse + 1)
        self.tried += 1
        if not stop and self.tried < curriculum.most:
            return
        if self.units >= self.model.max_frames // UNIT:
            self.ended.fill_(True)
            self.trainer.should_stop = True
            return
        self.units += 1
        self.best.fill_(torch.inf)
        self.worse.zero_()
        self.tried.zero_()

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW, with a smaller learning rate for the movement decoder."""
        settings = self.config.training
        tuned = list(self.model.generator.movement_decoder.parameters())
        known = {id(weight) for weight in tuned}
        others = [weight for weight in self.parameters() if weight.requires_grad and id(weight) not in known]
        groups: list[dict[str, Any]] = [
            {"params": others},
            {"params": tuned, "lr": FINE_TUNED * settings.learning_rate},
        ]
        return torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)

    def configure_gradient_clipping(
        self,
        optimizer: Any,  # noqa: ARG002
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip each network separately, as in the official code."""
        if gradient_clip_val is None:
            return
        for network in self.model.generator.children():
            nn.utils.clip_grad_norm_(network.parameters(), gradient_clip_val)


class LengthModule(T2MModule):
    """Lengths of motions from captions; the generator is frozen."""

    model: T2M

    def __init__(self, *given: Any, parts: Mapping[str, Mapping[str, Tensor]] | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        if parts:
            self.model.generator.load_state_dict(_within(parts["generator"], "generator"))
        self.model.generator.requires_grad_(False)

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:  # noqa: ARG002
        cond = conditions(self.model, self.tokens, batch.caption, batch.individual)[:, 0]
        length = functional.cross_entropy(self.model.lengths(cond), batch.length // UNIT)
        return {"length": length, "total": length}


def _within(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Weights of the submodule ``name``, by their names inside it."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
