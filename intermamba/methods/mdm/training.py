"""MDM's training: the masked squared error of the clean motion, averaged per clip and over clips."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from intermamba.training.losses import Counts
from intermamba.training.module import DenoisingModule


class MdmTraining(DenoisingModule):
    """Trains MDM without its geometric losses, whose weights are zero in the released text-to-motion setting."""

    def loss(
        self,
        prediction: Float[Tensor, "B T P F"],
        x0: Float[Tensor, "B T P F"],
        noise: Float[Tensor, "B T P F"],  # noqa: ARG002
        timestep: Int[Tensor, " B"],  # noqa: ARG002
        mask: Bool[Tensor, "B T"],
        counts: Counts,  # noqa: ARG002
    ) -> dict[str, Float[Tensor, ""]]:
        simple = masked_mean((prediction - x0).square(), mask)
        return {"simple": simple, "total": simple}


def masked_mean(values: Float[Tensor, "B T P F"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean over the real frames of each clip, then over clips."""
    per_frame = values.mean((-2, -1))
    return torch.stack([frames[real].mean() for frames, real in zip(per_frame, mask, strict=True)]).mean()
