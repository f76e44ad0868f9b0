"""The two trainings of InterMask: the tokenizer on windows of one person, then the transformer on tokens of both."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from intermamba.config import DatasetConfig
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.methods.intermask.losses import tokenizer_losses
from intermamba.methods.intermask.masking import hide, padded, prediction_loss, unroll
from intermamba.methods.intermask.network import InterMask
from intermamba.methods.intermask.options import UNIT, InterMaskOptions
from intermamba.methods.intermask.tokenizer import CodebookAverages, Tokenizer, from_grid, to_grid
from intermamba.models.conditions import conditions
from intermamba.training.module import TrainingModule
from intermamba.training.windows import window_loaders


class InterMaskModule(TrainingModule):
    """Base of both trainings."""

    betas = 0.9, 0.99

    @property
    def options(self) -> InterMaskOptions:
        """Choices of the row."""
        return self.variant.options_as(InterMaskOptions)


class TokenizerModule(InterMaskModule):
    """Trains the tokenizer on windows of single persons."""

    model: Tokenizer

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.averages = CodebookAverages(self.model.sizes)

    def loaders(self, splits: Sequence[SplitFile], settings: DatasetConfig, root: int) -> tuple[Any, Any]:
        """Windows of both splits; the batch size counts persons."""
        sizes = self.model.sizes
        return window_loaders(
            splits,
            settings,
            root,
            frames=sizes.window,
            stride=sizes.stride,
            last=True,
            batch=max(1, self.config.training.batch // 2),
            workers=self.config.runtime.workers,
            knobs=("methods.intermask.sizes.tokenizer.window", "methods.intermask.parts.tokenizer.batch"),
        )

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:
        normalised = (batch.motion - self.mean) / self.std
        motion = normalised.transpose(1, 2).flatten(0, 1)
        encoded = self.model.encode(motion)
        gumbel = None
        codes, width = self.model.codebook.vectors.shape
        if training:
            rows = encoded.detach().permute(0, 2, 3, 1).flatten(0, 2).float()
            noise = torch.randn(codes, width, generator=generator, device=self.device)
            if not self.averages.started:
                self.averages.begin(self.model.codebook, rows, noise)
            uniform = torch.rand(len(rows), codes, generator=generator, device=self.device)
            gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        quantised = self.model.quantise(encoded, gumbel)
        if training:
            self.averages.follow(self.model.codebook, rows, quantised.tokens.flatten(), noise)
        predicted = self.model.decode(quantised.vectors)
        true = from_grid(to_grid(motion, self.model.dataset), self.model.dataset)
        statistics = self.mean, self.std, self.representation
        return tokenizer_losses(predicted, true, quantised.commitment, *statistics, self.options.losses)


class TransformerModule(InterMaskModule):
    """Trains the transformer to predict hidden tokens, also after one decoding step."""

    model: InterMask

    def __init__(self, *given: Any, parts: Any = None, **named: Any) -> None:
        super().__init__(*given, **named)
        if parts is not None:
            self.model.tokenizer.load_state_dict(dict(parts["tokenizer"]))

    def terms(self, batch: Batch, generator: torch.Generator, *, training: bool) -> dict[str, Float[Tensor, ""]]:
        masking, special = self.options.masking, self.model.transformer.special
        cond = conditions(self.model, self.tokens, batch.caption, batch.individual)[:, 0]
        if training:
            drawn = torch.rand(len(cond), generator=generator, device=self.device)
            cond = cond.masked_fill((drawn < self.config.diffusion.null_probability).unsqueeze(1), 0.0)
        # As in the official code, motion is padded with zeros, and an incomplete last unit is not predicted.
        motion = (batch.motion - self.mean) / self.std * batch.mask[:, :, None, None]
        motion = functional.pad(motion, (0, 0, 0, 0, 0, -motion.shape[1] % UNIT))
        with torch.no_grad():
            tokens = self.model.tokenizer.tokens(motion.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, 2))
        real = torch.arange(tokens.shape[3], device=self.device) < (batch.length // UNIT).unsqueeze(1)
        tokens = padded(tokens, real, special)
        before = hide(tokens, real, special, masking, generator)
        logits = self.model(before.tokens, cond, real)
        after = unroll(before, logits.detach(), masking.steps)
        losses = {
            "tokens": prediction_loss(logits, tokens, before.learned),
            "unrolled": masking.unrolled * prediction_loss(self.model(after.tokens, cond, real), tokens, after.learned),
        }
        return losses | {"total": losses["tokens"] + losses["unrolled"]}
