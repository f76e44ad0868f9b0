"""What the protocol asks of an evaluator, and the two evaluators there are."""

import typing
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluators.interclip import InterCLIP
from evaluators.interx import TextMotionMatcher, rest_padded
from evaluators.words import vectorise
from intermamba import files, paths
from intermamba.config import Config, Dataset
from intermamba.data.dataset import Batch
from intermamba.errors import StateError
from intermamba.motion import representation
from intermamba.text.cache import TextCache
from intermamba.weights import load_strictly


@typing.runtime_checkable
class Judge(typing.Protocol):
    """Embeds texts and motions into one space, in the order of the batch."""

    def embed_text(self, batch: Batch) -> Float[Tensor, "B K"]: ...

    def embed_motion(self, batch: Batch) -> Float[Tensor, "B K"]: ...


class InterClipJudge(nn.Module):
    """InterHuman's judge: :class:`InterCLIP` and the embedded captions it reads."""

    def __init__(self, network: InterCLIP, cache: TextCache) -> None:
        super().__init__()
        self.network, self.cache = network, cache

    def embed_text(self, batch: Batch) -> Float[Tensor, "B K"]:
        tokens, end = self.cache.embedded(batch.caption)
        device = self.network.latent_scale.device
        return self.network.encode_text(tokens.to(device), end.to(device))

    def embed_motion(self, batch: Batch) -> Float[Tensor, "B K"]:
        batch = batch.to(self.network.latent_scale.device)
        return self.network.encode_motion(batch.motion, batch.mask)


class InterXJudge(nn.Module):
    """Inter-X's judge: :class:`TextMotionMatcher` and the word vectors it reads."""

    def __init__(self, network: TextMotionMatcher, cache: TextCache) -> None:
        super().__init__()
        self.network, self.cache = network, cache

    def embed_text(self, batch: Batch) -> Float[Tensor, "B K"]:
        device = self.network.text_encoder.hidden.device
        words, tags, length = vectorise(batch.tokens, self.cache.words, self.cache.word_vectors)
        return self.network.encode_text(words.to(device), tags.to(device), length.to(device))

    def embed_motion(self, batch: Batch) -> Float[Tensor, "B K"]:
        batch = batch.to(self.network.text_encoder.hidden.device)
        return self.network.encode_motion(rest_padded(batch), batch.length)


def build(config: Config, dataset: Dataset, cache: TextCache) -> InterClipJudge | InterXJudge:
    """An untrained judge of the configured sizes, drawn from the global generator."""
    features = representation(dataset).features
    if dataset == "interhuman":
        return InterClipJudge(InterCLIP(config.evaluator.interclip, features, cache.width), cache)
    return InterXJudge(TextMotionMatcher(config.evaluator.interx, features, cache.word_vectors.shape[-1]), cache)


def load(config: Config, dataset: Dataset, device: str | torch.device = "cpu") -> InterClipJudge | InterXJudge:
    """The trained judge of ``dataset``, ready to judge.

    Raises:
        StateError: no weights yet, or weights of another dataset or of other sizes.
    """
    where = {"profile": config.profile, "dataset": dataset}
    path = files.require(paths.path("evaluator", **where), "train-evaluator")
    weights, metadata = files.read_tensors(path)
    if metadata.get("dataset") != dataset:
        raise StateError(
            f"{path}: weights for {metadata.get('dataset')!r}, wanted {dataset!r}. Train the evaluator again."
        )
    cache = TextCache(paths.path("text", **where))
    judge = build(config, dataset, cache)
    load_strictly(judge.network, weights, path)
    return judge.to(device).eval().requires_grad_(False)


def fingerprint(path: str | Path) -> str:
    """Short identity of an evaluator's weights, as it stands beside every number: 12 hexadecimal digits of SHA-256."""
    return files.sha256(path)[:12]
