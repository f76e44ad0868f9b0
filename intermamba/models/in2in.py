"""in2IN (Ruiz-Ponce et al. 2024): InterGen with a caption for each person besides the caption of the pair.

Self-attention and feed-forward of a person are conditioned on that person's caption, cross-attention on the pair's; one
text encoder reads all three. DualMDM, the same paper's composition with a single-person prior, is out of scope.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from intermamba.config import ModelConfig
from intermamba.methods.in2in import In2InOptions
from intermamba.models.denoiser import GuidedPass
from intermamba.models.intergen import InterGen


class In2In(InterGen):
    """The official denoiser in its interaction mode; as many parameters as InterGen, 182.38 M (Table 3: 160)."""

    groups = 3

    def __init__(
        self, features: int, max_frames: int, text_width: int, sizes: ModelConfig, options: In2InOptions
    ) -> None:
        super().__init__(features, max_frames, text_width, sizes, options)
        self.weights = (options.guidance_all, options.guidance_pair, options.guidance_persons)

    def conditions(self, emb: Float[Tensor, "B 3 D"]) -> Float[Tensor, "Q D"]:
        """Each person's own caption."""
        return torch.cat((emb[:, 1], emb[:, 2]))

    def guidance(self, scale: float) -> tuple[GuidedPass, ...]:  # noqa: ARG002
        """All three captions, the pair's alone, the persons' alone, none; the weights are options of the model.

        As in the official code, training drops all captions or none, so the two passes in between are never trained.
        """
        everything, pair, persons = self.weights
        return (
            GuidedPass(everything, (True, True, True)),
            GuidedPass(pair, (True, False, False)),
            GuidedPass(persons, (False, True, True)),
            GuidedPass(1 - everything - pair - persons, (False, False, False)),
        )
