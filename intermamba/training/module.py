"""Training steps as Lightning modules: their common base, and that of InterGen's family.

Every random draw is a pure function of the training seed and the step: a run that was killed and resumed takes the same
steps as an uninterrupted one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from intermamba.config import Config, DatasetConfig
from intermamba.data.dataset import Batch, ClipDataset, Mode, Passes, loader
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.errors import ConfigError
from intermamba.methods.variant import Variant
from intermamba.models.conditions import TokenFeatures, conditions
from intermamba.models.network import Network
from intermamba.representation import Representation
from intermamba.seeds import derive
from intermamba.training.losses import Counts, interaction_losses
from intermamba.training.schedule import SCHEDULES

MODES: tuple[Mode, ...] = ("train", "fixed")


@dataclass(frozen=True)
class Share:
    """Which clips of a training step one pass sees: every ``world``-th from ``rank`` on, and of these the ``part``-th
    of ``parts``. What is random is drawn for the whole step, so that it does not depend on the division.
    """

    rank: int = 0
    world: int = 1
    part: int = 0
    parts: int = 1
    groups: int = 1
    """Times that a batch holds its clips one after the other, as first and second persons."""

    @property
    def passes(self) -> int:
        """Forward and backward passes of a step, over all processes."""
        return self.world * self.parts

    def of(self, drawn: Shaped[Tensor, "S ..."]) -> Shaped[Tensor, "B ..."]:
        """The rows of this pass's clips, of what was drawn for all S clips of the step."""
        of_process = drawn.unflatten(0, (self.groups, -1))[:, self.rank :: self.world]
        return of_process.chunk(self.parts, dim=1)[self.part].flatten(0, 1)


WHOLE = Share()


class TrainingModule(L.LightningModule):
    """One training of a method; a subclass gives :meth:`terms`.

    Args:
        model: the network to train.
        variant: the row it is trained for; for a training shared by rows, the method alone.
        representation: representation of the dataset's features.
        mean, std: statistics of the features; zero and one for a method with un-normalised features.
        tokens: features of captions.
        config: the row's configuration (:meth:`intermamba.methods.variant.Variant.configured`); for a training shared
            by rows, the method's (:meth:`intermamba.config.Config.of`).
        seed: root of all random draws.
        parts: weights of the trainings on which this one builds, by name.
    """

    mean: Float[Tensor, " F"]
    std: Float[Tensor, " F"]
    groups = 1
    """Times that a batch of :meth:`terms` holds its clips, as in :class:`Share`."""
    betas = 0.9, 0.999
    """Decays of AdamW's averages; torch's own, unless the authors set others."""

    def __init__(
        self,
        model: Network,
        variant: Variant,
        representation: Representation,
        mean: Float[Tensor, " F"],
        std: Float[Tensor, " F"],
        tokens: TokenFeatures,
        config: Config,
        seed: int,
        parts: Mapping[str, Mapping[str, Tensor]] | None = None,  # noqa: ARG002
    ) -> None:
        super().__init__()
        self.model, self.variant, self.representation = model, variant, representation
        self.tokens, self.config, self.seed = tokens, config, seed
        self.share = WHOLE
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:
        """Every weighted term of the loss, and their sum ``total``; all draws are from ``generator``."""
        raise NotImplementedError

    def loaders(self, splits: Sequence[SplitFile], settings: DatasetConfig, root: int) -> tuple[Any, Any]:
        """Batches of the training split, reshuffled and redrawn every epoch, and of the validation split.

        Raises:
            ConfigError: the training split has fewer clips than a step.
        """
        runtime = self.config.runtime
        # Validation is short, and whole in every process.
        sizes = {"train": self.config.clips_a_pass() * runtime.accumulate, "fixed": self.config.training.batch}
        train, validation = (
            loader(
                ClipDataset(split, settings, mode, derive(root, "data")),
                sizes[mode],
                settings.max_frames,
                shuffle=mode == "train",
                drop_last=mode == "train",
                workers=runtime.workers,
                shared=mode == "train",
            )
            for split, mode in zip(splits, MODES, strict=True)
        )
        if not len(train):
            raise ConfigError(
                f"training split: {len(splits[0])} clips, fewer than the {self.config.training.batch} of a step "
                "(training.batch). Use a smaller batch or more clips."
            )
        return Passes(train, runtime.accumulate) if runtime.accumulate > 1 else train, validation

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        parts = self.trainer.accumulate_grad_batches
        self.share = Share(self.global_rank, self.trainer.world_size, batch_idx % parts, parts, self.groups)
        # Dropout draws from the global generator; it is seeded by the pass as well.
        torch.manual_seed(derive(self.seed, "dropout", self.global_step, self.global_rank * parts + batch_idx % parts))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        losses = self.losses(batch, self.global_step)
        return {"loss": losses["total"], **{f"loss/{name}": value.detach() for name, value in losses.items()}}

    def losses(self, batch: Batch, step: int) -> dict[str, Float[Tensor, ""]]:
        """Every term of a training step's loss, and their sum ``total``; of the pass that :attr:`share` says."""
        return self.terms(batch, self._generator("step", step, 0), training=True)

    def frames(self, batch: Batch) -> Float[Tensor, ""]:
        """Real frames of ``batch``; where the step is several passes, their mean over these (:class:`Counts`)."""
        if self.share.passes == 1:
            return batch.length.sum().float()
        lengths = batch.length if batch.step is None else batch.step
        of_process = lengths.sum().float() / self.share.parts
        reduced: Tensor = self.trainer.strategy.reduce(of_process, reduce_op="mean")
        return reduced

    def on_validation_start(self) -> None:
        self.share = WHOLE

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        losses = self.terms(batch, self._generator("validation", batch_idx), training=False)
        for name, value in losses.items():
            self.log(f"validation/{name}", value, batch_size=len(batch.clip), sync_dist=True)

    def _generator(self, *use: object) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(self.seed, *use))

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW as one fused pass over all trainable weights."""
        settings = self.config.training
        trained = [weight for weight in self.parameters() if weight.requires_grad]
        return torch.optim.AdamW(
            trained, lr=settings.learning_rate, betas=self.betas, weight_decay=settings.weight_decay, fused=True
        )

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip by norm, as Lightning does. In mixed precision it refuses fused optimizers, which can undo a scaling of
        the loss themselves; bfloat16 has none.
        """
        if gradient_clip_val:
            trained = [weight for group in optimizer.param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, gradient_clip_val)

    def configure_optimizers(self) -> Any:
        settings, optimizer = self.config.training, self.optimizer()
        steps_per_epoch = self.trainer.estimated_stepping_batches / settings.epochs

        def factor(step: int) -> float:
            return SCHEDULES[settings.schedule]((step + 1) / steps_per_epoch, settings.warmup_epochs, settings.epochs)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class DenoisingModule(TrainingModule):
    """A denoiser with randomly dropped captions; by default with InterGen's losses [paper 3.1, 4.5, 5.1]."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.diffusion = Diffusion(self.config.diffusion, process=self.variant.method.process)

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:
        share, clips = self.share, len(batch.clip) * self.share.passes
        dropped: Tensor | None = None
        if training:
            drawn = torch.rand(clips, generator=generator, device=self.device)
            dropped = share.of(drawn) < self.config.diffusion.null_probability
        x0 = (batch.motion - self.mean) / self.std * batch.mask[:, :, None, None]
        noise = share.of(torch.randn((clips, *x0.shape[1:]), generator=generator, device=self.device))
        steps = self.diffusion.draw_steps(clips, self.config.training.noise_shift, generator)
        timestep = share.of(steps)
        active = (steps <= self.config.losses.geometric_until).sum() / share.passes
        cond = conditions(self.model, self.tokens, batch.caption, batch.individual)
        if dropped is not None:
            cond = cond.masked_fill(dropped.reshape(-1, *[1] * (cond.ndim - 1)), 0.0)
        prediction = self.model(self.diffusion.add_noise(x0, noise, timestep), timestep, cond, batch.mask)
        # Positions are sums over the body: in bfloat16 they would be off by millimetres.
        with torch.autocast(self.device.type, enabled=False):
            return self.loss(prediction.float(), x0, noise, timestep, batch.mask, Counts(self.frames(batch), active))

    def loss(
        self,
        prediction: Float[Tensor, "B T P F"],
        x0: Float[Tensor, "B T P F"],
        noise: Float[Tensor, "B T P F"],  # noqa: ARG002
        timestep: Int[Tensor, " B"],
        mask: Bool[Tensor, "B T"],
        counts: Counts,
    ) -> dict[str, Float[Tensor, ""]]:
        """Every weighted term and their sum ``total``, from the network's output.

        Means over frames or active clips are divided by ``counts``.
        """
        return interaction_losses(
            prediction, x0, mask, timestep, self.mean, self.std, self.representation, self.config.losses, counts
        )
