"""T2M (Guo et al. 2022): a motion as movements of four frames, sampled one after the other from a caption.

Three networks are trained in turn: an autoencoder of movements; the generator, a recurrent variational autoencoder
whose prior and posterior are conditioned on the words that the decoder attends to and on the remaining length of the
motion; and an estimator of a motion's length. The pair is one sequence. Sources: Inter-X
``evaluation/text2motion/networks``, which is the original text-to-motion code without the foot contacts.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from intermamba.config import DiffusionConfig
from intermamba.methods.losses import with_total
from intermamba.methods.t2m.options import TAGS, UNIT, GeneratorLosses, MovementLosses, T2MOptions, T2MSizes
from intermamba.models.network import Network
from intermamba.positions import sinusoids

WORDS = 37
"""Tokens of the longest caption, its start and end marks included."""


class MovementEncoder(nn.Module):
    """Frames to movements."""

    def __init__(self, inputs: int, sizes: T2MSizes) -> None:
        super().__init__()
        width = sizes.movement
        self.main = nn.Sequential(
            nn.Conv1d(inputs, width, 4, stride=2, padding=1),
            nn.Dropout(sizes.dropout),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            nn.Dropout(sizes.dropout),
            nn.LeakyReLU(0.2),
        )
        self.out = nn.Linear(width, width)
        _xavier(self)

    def forward(self, motion: Float[Tensor, "B T C"]) -> Float[Tensor, "B U W"]:
        movements: Tensor = self.out(self.main(motion.mT).mT)
        return movements


class MovementDecoder(nn.Module):
    """Movements to frames."""

    def __init__(self, outputs: int, sizes: T2MSizes) -> None:
        super().__init__()
        width = sizes.movement
        self.main = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose1d(width, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2))
            for channels in (width, outputs)
        )
        self.out = nn.Linear(outputs, outputs)
        _xavier(self)

    def forward(
        self, movements: Float[Tensor, "B U W"], units: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T C"]:
        """Frames; with ``units``, those after as many movements are zero, and later movements affect no frame."""
        h = movements
        for layer in self.main:
            h = layer(_within(h, units, h.shape[1] // movements.shape[1]).mT).mT
        motion: Tensor = self.out(h)
        return _within(motion, units, UNIT)


class WordEncoder(nn.Module):
    """Word vectors and one-hot parts of speech through a bidirectional GRU with a learned initial state.

    ``words`` is the width of the word vectors, ``tags`` the number of parts of speech.
    """

    def __init__(self, words: int, tags: int, hidden: int) -> None:
        super().__init__()
        self.embed_tag = nn.Linear(tags, words)
        self.embed = nn.Linear(words, hidden)
        self.ahead, self.back = (nn.GRU(hidden, hidden, batch_first=True) for _ in range(2))
        self.start = nn.Parameter(torch.randn(2, 1, hidden))
        _xavier(self)

    def forward(
        self, words: Float[Tensor, "B S W"], tags: Float[Tensor, "B S C"], length: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B S H"], Float[Tensor, "B H"]]:
        """States at each word, zero after a caption's end, and the last states of both directions.

        The backward states are in reverse order, as in the official code: the state of the last word is at the place of
        the first. The official code reverses them once more although they are in the order of the words already.
        """
        inputs = self.embed(words + self.embed_tag(tags))
        place, end = torch.arange(words.shape[1], device=words.device), length.unsqueeze(1)
        mirrored = torch.where(place < end, end - 1 - place, place).unsqueeze(2).expand_as(inputs)
        start = self.start.repeat(1, len(words), 1)
        ahead, _ = self.ahead(inputs, start[:1])
        back, _ = self.back(inputs.gather(1, mirrored), start[1:])
        states = torch.cat((ahead, back), dim=2)
        last = states.gather(1, (end - 1).unsqueeze(2).expand(-1, 1, states.shape[2])).squeeze(1)
        return states * (place < end).unsqueeze(2), last


class LengthEstimator(nn.Module):
    """Distribution over lengths, in movements, of a caption's motion; ``longest`` is the number of lengths."""

    def __init__(self, words: int, tags: int, longest: int, sizes: T2MSizes) -> None:
        super().__init__()
        self.encoder = WordEncoder(words, tags, sizes.text)
        widths = (2 * sizes.text, sizes.length, sizes.length // 2, sizes.length // 4)
        hidden = [
            layer
            for inputs, outputs in pairwise(widths)
            for layer in (nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.LeakyReLU(0.2))
        ]
        self.out = nn.Sequential(*hidden, nn.Linear(widths[-1], longest))
        _xavier(self.out)

    def forward(
        self, words: Float[Tensor, "B S W"], tags: Float[Tensor, "B S C"], length: Int[Tensor, " B"]
    ) -> Float[Tensor, "B N"]:
        """Logits of 0, 1, 2, ... movements."""
        logits: Tensor = self.out(self.encoder(words, tags, length)[1])
        return logits


class WordAttention(nn.Module):
    """Attention from a state to the words."""

    def __init__(self, query: int, states: int, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(query, width)
        self.key = nn.Linear(states, width, bias=False)
        self.value = nn.Linear(states, width)
        _xavier(self)

    def forward(
        self, state: Float[Tensor, "B D"], words: Float[Tensor, "B S H"], behind: Bool[Tensor, "B S"] | None
    ) -> Float[Tensor, "B W"]:
        """``behind`` is true after a caption's end, where there is no attention.

        Without it, padding is attended to: its states are zero, so its values are the bias.
        """
        keys = self.key(words)
        score = (keys @ self.query(state).unsqueeze(2)).squeeze(2) / keys.shape[2] ** 0.5
        if behind is not None:
            score = score.masked_fill(behind, -torch.inf)
        return (self.value(words) * score.softmax(1).unsqueeze(2)).sum(1)


class Recurrence(nn.Module):
    """GRU cells over movements, with the number of remaining movements as an input.

    Attributes:
        start: maps the sentence to the initial states.
    """

    def __init__(self, inputs: int, sizes: T2MSizes) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(inputs, sizes.hidden), nn.LayerNorm(sizes.hidden), nn.LeakyReLU(0.2))
        self.cells = nn.ModuleList(nn.GRUCell(sizes.hidden, sizes.hidden) for _ in range(sizes.layers))
        self.start = nn.Linear(2 * sizes.text, sizes.layers * sizes.hidden)
        _xavier(self)

    def states(self, sentence: Float[Tensor, "B H"]) -> tuple[Float[Tensor, "B D"], ...]:
        """Initial states."""
        return self.start(sentence).chunk(len(self.cells), dim=1)

    def step(
        self, inputs: Float[Tensor, "B C"], states: tuple[Float[Tensor, "B D"], ...], left: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B D"], ...]:
        """Next states; the last cell's is the output."""
        h = self.embed(inputs)
        h = h + sinusoids(left, h.shape[1]).to(h.dtype)
        found = []
        for cell, state in zip(self.cells, states, strict=True):
            h = cell(h, state)
            found.append(h)
        return tuple(found)


class LatentRecurrence(Recurrence):
    """Prior or posterior distribution of a movement's latent vector."""

    def __init__(self, inputs: int, sizes: T2MSizes) -> None:
        super().__init__(inputs, sizes)
        self.mean, self.log_variance = (nn.Linear(sizes.hidden, sizes.latent) for _ in range(2))
        _xavier(self.mean)
        _xavier(self.log_variance)

    def distribution(self, state: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Mean and logarithm of the variance."""
        return self.mean(state), self.log_variance(state)


class MovementRecurrence(Recurrence):
    """Decoder of the next movement."""

    def __init__(self, inputs: int, sizes: T2MSizes) -> None:
        super().__init__(inputs, sizes)
        self.out = nn.Sequential(
            nn.Linear(sizes.hidden, sizes.hidden),
            nn.LayerNorm(sizes.hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(sizes.hidden, sizes.movement),
        )
        _xavier(self.out)


class Words(NamedTuple):
    """Captions as word vectors and one-hot parts of speech."""

    vectors: Float[Tensor, "B S W"]
    tags: Float[Tensor, "B S C"]
    length: Int[Tensor, " B"]


class Rollout(NamedTuple):
    """Movements of a batch with the distributions of their latent vectors."""

    movements: Float[Tensor, "B U W"]
    prior: tuple[Float[Tensor, "B U Z"], Float[Tensor, "B U Z"]]
    posterior: tuple[Float[Tensor, "B U Z"], Float[Tensor, "B U Z"]] | None
    """``None`` when sampling."""


class Generator(nn.Module):
    """Words to movements to frames; ``features`` is F of one person."""

    def __init__(self, features: int, words: int, tags: int, sizes: T2MSizes) -> None:
        super().__init__()
        self.features, self.sizes = 2 * features, sizes
        movement, attended, latent = sizes.movement, sizes.attended, sizes.latent
        self.words = WordEncoder(words, tags, sizes.text)
        self.attention = WordAttention(sizes.hidden, 2 * sizes.text, attended)
        self.prior = LatentRecurrence(attended + movement, sizes)
        self.posterior = LatentRecurrence(attended + 2 * movement, sizes)
        self.decoder = MovementRecurrence(attended + latent + movement, sizes)
        self.movement_encoder = MovementEncoder(2 * features, sizes)
        self.movement_decoder = MovementDecoder(2 * features, sizes)

    def movements(self, motion: Float[Tensor, "B T C"]) -> Float[Tensor, "B U W"]:
        """Movements of true motion, by the frozen encoder."""
        with torch.no_grad():
            found: Tensor = self.movement_encoder(motion)
        return found

    def forward(
        self,
        words: Words,
        left: Int[Tensor, " B"],
        noise: Float[Tensor, "B U Z"],
        true: Float[Tensor, "B U W"] | None = None,
        teacher: bool = False,
    ) -> Rollout:
        """Generate U movements, the length of ``noise``.

        Sampling ignores padding, as the official evaluation does with its batches of one caption. In training, shorter
        captions of a batch are padded, and the decoder attends to the padding too, as in the official code.

        Args:
            words: captions.
            left: number of movements of each whole motion.
            noise: standard normal; for the posterior if ``true`` is given, else for the prior.
            true: movements to learn from.
            teacher: continue from the true movement instead of the generated one.
        """
        said, sentence = self.words(*words)
        places = torch.arange(said.shape[1], device=said.device)
        behind = places >= words.length.to(said.device).unsqueeze(1) if true is None else None
        networks = (self.prior, self.posterior, self.decoder)
        prior_state, posterior_state, state = (network.states(sentence) for network in networks)
        previous = self.movements(sentence.new_zeros(len(sentence), UNIT, self.features)).squeeze(1)
        made, priors, posteriors = [], [], []
        for index, random in enumerate(noise.unbind(1)):
            attended, remaining = self.attention(state[-1], said, behind), left - index
            prior_state = self.prior.step(torch.cat((previous, attended), 1), prior_state, remaining)
            drawn = self.prior.distribution(prior_state[-1])
            priors.append(drawn)
            if true is not None:
                seen = torch.cat((previous, true[:, index], attended), 1)
                posterior_state = self.posterior.step(seen, posterior_state, remaining)
                drawn = self.posterior.distribution(posterior_state[-1])
                posteriors.append(drawn)
            mean, log_variance = drawn
            latent = mean + torch.exp(0.5 * log_variance) * random
            state = self.decoder.step(torch.cat((previous, attended, latent), 1), state, remaining)
            made.append(self.decoder.out(state[-1]))
            previous = true[:, index] if teacher and true is not None else made[-1].detach()
        return Rollout(torch.stack(made, dim=1), _stacked(priors), _stacked(posteriors) if posteriors else None)


class WordReader(Network):
    """A network conditioned on a caption's words: the features of each word, then a feature that is one for words and
    zero for padding.

    The last :data:`TAGS` features of a word are its part of speech. Features of another text tower are split in the
    same way, although they have no part of speech.
    """

    def encode_text(self, tokens: Float[Tensor, "B S W"], end: Int[Tensor, " B"]) -> Float[Tensor, "B S D"]:
        real = torch.arange(tokens.shape[1], device=tokens.device) <= end.unsqueeze(1)
        return torch.cat((tokens, torch.ones_like(tokens[..., :1])), dim=2) * real.unsqueeze(2)

    def words(self, cond: Float[Tensor, "B S D"]) -> Words:
        """Words of the condition."""
        vectors, tags, real = cond.split((self.text_width - TAGS, TAGS, 1), dim=2)
        return Words(vectors, tags, real[..., 0].sum(1).long())

    def example_words(self, batch: int) -> Float[Tensor, "B S D"]:
        """Words of the longest caption, for counting operations; their values do not matter."""
        return torch.ones(batch, WORDS, self.text_width + 1, device=next(self.parameters()).device)


class MovementAutoencoder(Network):
    """The first training's network; reads no text."""

    def __init__(
        self,
        features: int,
        max_frames: int,
        text_width: int,
        sizes: T2MSizes,
        options: T2MOptions,  # noqa: ARG002
    ) -> None:
        super().__init__(features, max_frames, text_width)
        self.sizes = sizes
        self.encoder, self.decoder = MovementEncoder(2 * features, sizes), MovementDecoder(2 * features, sizes)

    def forward(self, motion: Float[Tensor, "B T C"]) -> tuple[Float[Tensor, "B U W"], Float[Tensor, "B T C"]]:
        """Movements of a normalised motion (T a multiple of :data:`UNIT`), and the motion decoded from them."""
        movements = self.encoder(motion)
        return movements, self.decoder(movements)

    def example(self, frames: int, batch: int = 1) -> tuple[Float[Tensor, "B T C"]]:
        weight = self.decoder.out.weight
        return (weight.new_zeros(batch, -(-frames // UNIT) * UNIT, 2 * self.features),)


class MotionGenerator(WordReader):
    """The second training's network: a caption to movements.

    The pair is one sequence: features of person 1, then those of person 2.
    """

    def __init__(
        self,
        features: int,
        max_frames: int,
        text_width: int,
        sizes: T2MSizes,
        options: T2MOptions,  # noqa: ARG002
    ) -> None:
        super().__init__(features, max_frames, text_width)
        self.sizes = sizes
        self.generator = Generator(features, text_width - TAGS, TAGS, sizes)

    def forward(
        self, cond: Float[Tensor, "B S D"], units: Int[Tensor, " B"], noise: Float[Tensor, "B U Z"]
    ) -> Float[Tensor, "B T P F"]:
        """A normalised motion of ``units`` movements, zero after them."""
        made: Rollout = self.generator(self.words(cond), units, noise)
        motion: Tensor = self.generator.movement_decoder(made.movements, units)
        return motion.unflatten(2, (2, -1))

    def example(
        self, frames: int, batch: int = 1
    ) -> tuple[Float[Tensor, "B S D"], Int[Tensor, " B"], Float[Tensor, "B U Z"]]:
        words, count = self.example_words(batch), -(-frames // UNIT)
        units = torch.full((batch,), count, device=words.device)
        return words, units, words.new_zeros(batch, count, self.sizes.latent)

    def steps(self, sampling: DiffusionConfig) -> int:  # noqa: ARG002
        return 1


class T2M(MotionGenerator):
    """The generator and the length estimator: everything that sampling needs."""

    def __init__(self, features: int, max_frames: int, text_width: int, sizes: T2MSizes, options: T2MOptions) -> None:
        super().__init__(features, max_frames, text_width, sizes, options)
        self.estimator = LengthEstimator(text_width - TAGS, TAGS, classes(max_frames), sizes)

    def lengths(self, cond: Float[Tensor, "B S D"]) -> Float[Tensor, "B N"]:
        """Logits of 0, 1, 2, ... movements."""
        logits: Tensor = self.estimator(*self.words(cond))
        return logits


def classes(max_frames: int) -> int:
    """Number of lengths that the estimator distinguishes: from zero to the most movements [Inter-X 38]."""
    return max_frames // UNIT + 1


def movement_losses(
    motion: Float[Tensor, "B T C"],
    movements: Float[Tensor, "B U W"],
    decoded: Float[Tensor, "B T C"],
    weights: MovementLosses,
) -> dict[str, Float[Tensor, ""]]:
    """Every weighted term of the autoencoder's loss, and their sum ``total``."""
    terms = {
        "reconstruction": functional.l1_loss(decoded, motion),
        "sparsity": weights.sparsity * movements.abs().mean(),
        "smoothness": weights.smoothness * functional.l1_loss(movements[:, 1:], movements[:, :-1]),
    }
    return with_total(terms)


def generator_losses(
    made: Rollout,
    decoded: Float[Tensor, "B T C"],
    motion: Float[Tensor, "B T C"],
    movements: Float[Tensor, "B U W"],
    weights: GeneratorLosses,
) -> dict[str, Float[Tensor, ""]]:
    """Every weighted term of the generator's loss, and their sum ``total``; the divergence is a sum over features, and
    the mean over movements and clips.
    """
    assert made.posterior is not None
    terms = {
        "motion": weights.motion * functional.smooth_l1_loss(decoded, motion),
        "movement": weights.movement * functional.smooth_l1_loss(made.movements, movements),
        "divergence": weights.divergence * _divergence(made.posterior, made.prior),
    }
    return with_total(terms)


def _divergence(
    one: tuple[Float[Tensor, "B U Z"], Float[Tensor, "B U Z"]],
    other: tuple[Float[Tensor, "B U Z"], Float[Tensor, "B U Z"]],
) -> Float[Tensor, ""]:
    (mean, log_variance), (reference, log_reference) = one, other
    ratio = log_variance - log_reference
    divergence = 0.5 * (ratio.exp() + (mean - reference).square() * torch.exp(-log_reference) - 1 - ratio)
    return divergence.sum(2).mean()


def _stacked(
    pairs: list[tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]],
) -> tuple[Float[Tensor, "B U Z"], Float[Tensor, "B U Z"]]:
    means, log_variances = zip(*pairs, strict=True)
    return torch.stack(means, dim=1), torch.stack(log_variances, dim=1)


def _xavier(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
            nn.init.xavier_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _within(h: Float[Tensor, "B L W"], units: Int[Tensor, " B"] | None, each: int) -> Float[Tensor, "B L W"]:
    """``h``, with zeros behind ``units`` movements of ``each`` steps."""
    if units is None:
        return h
    return h * (torch.arange(h.shape[1], device=h.device) < each * units.unsqueeze(1)).unsqueeze(2)
