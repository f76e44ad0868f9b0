"""RIG's training: the squared error of the noise over all real frames of a batch."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from intermamba.training.losses import Counts
from intermamba.training.module import DenoisingModule


class RigTraining(DenoisingModule):
    """Captions give the roles, so there is no minimum over both assignments, as in RIG's second stage."""

    def loss(
        self,
        prediction: Float[Tensor, "B T P F"],
        x0: Float[Tensor, "B T P F"],  # noqa: ARG002
        noise: Float[Tensor, "B T P F"],
        timestep: Int[Tensor, " B"],  # noqa: ARG002
        mask: Bool[Tensor, "B T"],
        counts: Counts,
    ) -> dict[str, Float[Tensor, ""]]:
        simple = (prediction - noise).square().mean((-2, -1))[mask].sum() / counts.frames
        return {"simple": simple, "total": simple}
