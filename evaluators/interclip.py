"""InterCLIP, the evaluator of InterHuman: two Transformers with a common embedding space.

Architecture and parameter names follow InterGen (``models/nets.py``, ``datasets/evaluator_models.py``), so that
official checkpoints load; sizes come from the configuration. CLIP's frozen tables of token and positional embeddings
are not part of the network here: captions arrive embedded (:meth:`intermamba.text.cache.TextCache.embedded`).
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from intermamba.checkpoints.reading import load_strictly, read_checkpoint, state_dict
from intermamba.config import InterClipConfig
from intermamba.errors import DataError
from intermamba.positions import sinusoids

_CONTACTS = 4  # foot contacts are the last features of a person; the evaluator does not see them
HEADS = 8
"""Attention heads of the official network."""
_MAX_FRAMES = 2000  # of the sinusoidal positions


class InterCLIP(nn.Module):
    """Texts and motions as points on a sphere of radius ``latent_scale``.

    Args:
        sizes: widths, depths and heads.
        features: features of one person in a :class:`~intermamba.data.dataset.Batch`, contacts included.
        text_width: width of the embedded tokens.
    """

    def __init__(self, sizes: InterClipConfig, features: int, text_width: int) -> None:
        super().__init__()
        self.features, self.text_width = features, text_width
        self.motion_encoder = MotionEncoder(sizes, 2 * (features - _CONTACTS))
        self.textTransEncoder = _transformer(
            text_width, sizes.text_heads, sizes.text_feedforward, sizes.text_layers, sizes.dropout
        )
        self.text_ln = nn.LayerNorm(text_width)
        self.out = nn.Linear(text_width, sizes.embedding)
        self.latent_scale = nn.Parameter(torch.ones(1))

    def encode_motion(self, motion: Float[Tensor, "B T P F"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B K"]:
        """Embeddings of un-normalised motions; frames outside ``mask`` do not matter."""
        seen = motion[..., :-_CONTACTS].flatten(2)
        return self._on_sphere(self.motion_encoder(seen, mask))

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        """Embeddings of embedded captions, read at the end-of-text token. Padding is not masked, as in InterGen."""
        hidden = self.text_ln(self.textTransEncoder(tokens))
        return self._on_sphere(self.out(hidden[torch.arange(len(end), device=end.device), end]))

    def _on_sphere(self, embedding: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        return embedding / embedding.norm(dim=-1, keepdim=True) * self.latent_scale

    @classmethod
    def from_official(
        cls, path: str | Path, heads: int = HEADS, positions: Float[Tensor, "S W"] | None = None
    ) -> "InterCLIP":
        """Load InterGen's ``interclip.ckpt``: a Lightning checkpoint whose ``state_dict`` has a ``model.`` prefix.

        CLIP's frozen embedding tables and the sinusoidal positions in the file are constants and are set aside.

        Args:
            path: the checkpoint.
            heads: attention heads of both encoders, which cannot be read off the weights.
            positions: positional embeddings of the text tower that will embed the captions. They must equal those in
                the file, that is, of the tower with which the evaluator was trained.

        Raises:
            DataError: the file cannot be read safely, is not such a checkpoint, lacks or exceeds the named weights, or
                was trained with another text tower.
        """
        content = read_checkpoint(path)
        if not isinstance(content.get("state_dict"), dict):
            raise DataError(f"{path}: no `state_dict` in it; expected InterGen's interclip.ckpt.")
        weights = {
            name.removeprefix("model."): value for name, value in state_dict(path, content["state_dict"]).items()
        }
        trained_with = weights.get("positional_embedding")
        for constant in ("token_embedding.weight", "positional_embedding", "motion_encoder.sequence_pos_encoder.pe"):
            weights.pop(constant, None)
        network = cls.from_weights(weights, path, heads)
        if positions is not None and trained_with is not None and not _begins_with(trained_with, positions):
            raise DataError(
                f"{path}: trained with another text tower than this profile's: positional embeddings differ (there "
                f"{tuple(trained_with.shape)}, here {tuple(positions.shape)}). Official InterCLIP reads CLIP "
                "ViT-L/14@336: set text.tower to clip and text.architecture to ViT-L-14-336-quickgelu."
            )
        return network

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor], path: str | Path, heads: int = HEADS) -> "InterCLIP":
        """A network of the sizes of ``weights``, ready to evaluate; ``path`` is their file.

        Raises:
            DataError: weights are missing, too many or misshapen.
        """
        try:
            width, inputs = weights["motion_encoder.embed_motion.weight"].shape
            embedding, text_width = weights["out.weight"].shape
            sizes = InterClipConfig(
                width=width,
                layers=_depth(weights, "motion_encoder.transformer.layers."),
                heads=heads,
                feedforward=len(weights["motion_encoder.transformer.layers.0.linear1.weight"]),
                dropout=0.1,
                embedding=embedding,
                text_layers=_depth(weights, "textTransEncoder.layers."),
                text_heads=heads,
                text_feedforward=len(weights["textTransEncoder.layers.0.linear1.weight"]),
            )
        except KeyError as error:
            raise DataError(
                f"{path}: no weight named {error.args[0]!r}; expected InterGen's interclip.ckpt."
            ) from error
        if width % heads or text_width % heads:
            raise DataError(f"{path}: {heads} heads do not divide its widths {width} (motion) and {text_width} (text).")
        network = cls(sizes, inputs // 2 + _CONTACTS, text_width)
        load_strictly(network, weights, path)
        return network.eval()


class MotionEncoder(nn.Module):
    """A Transformer over frames; a learned query token reads the motion out."""

    positions: Float[Tensor, "L D"]

    def __init__(self, sizes: InterClipConfig, inputs: int) -> None:
        super().__init__()
        self.query_token = nn.Parameter(torch.randn(1, sizes.width))
        self.embed_motion = nn.Linear(inputs, sizes.width)
        self.register_buffer("positions", sinusoids(torch.arange(_MAX_FRAMES), sizes.width), persistent=False)
        self.dropout = nn.Dropout(sizes.dropout)
        self.transformer = _transformer(sizes.width, sizes.heads, sizes.feedforward, sizes.layers, sizes.dropout)
        self.out_ln = nn.LayerNorm(sizes.width)
        self.out = nn.Linear(sizes.width, sizes.embedding)

    def forward(self, motion: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B K"]:
        query = self.query_token.expand(len(motion), 1, -1)
        hidden = torch.cat([query, self.embed_motion(motion)], dim=1)
        hidden = self.dropout(hidden + self.positions[: hidden.shape[1]])
        hidden = self.transformer(hidden, src_key_padding_mask=nn.functional.pad(~mask, (1, 0)))
        return self.out(self.out_ln(hidden[:, 0]))


def info_nce(text: Float[Tensor, "B K"], motion: Float[Tensor, "B K"], scale: Float[Tensor, "1"]) -> Float[Tensor, ""]:
    """Symmetric InfoNCE loss with logit scale ``scale**2`` (embeddings already have length ``scale``)."""
    unit = nn.functional.normalize
    logits = scale.square() * unit(motion, dim=-1) @ unit(text, dim=-1).T
    target = torch.arange(len(logits), device=logits.device)
    entropy = nn.functional.cross_entropy
    return (entropy(logits, target) + entropy(logits.T, target)) / 2


def _transformer(width: int, heads: int, feedforward: int, layers: int, dropout: float) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(width, heads, feedforward, dropout, "gelu", batch_first=True)
    # Nested tensors would skip padded frames, and warn that they are a prototype.
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def _begins_with(table: Tensor, positions: Float[Tensor, "S W"]) -> bool:
    """Whether ``positions`` are the first rows of ``table``, up to half precision, in which CLIP is released."""
    head = table[: len(positions)].float()
    return head.shape == positions.shape and bool(torch.allclose(head, positions.float(), atol=1e-3))


def _depth(weights: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in weights if name.startswith(prefix)})
