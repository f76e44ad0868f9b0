"""The captions and lengths for which a method must generate motions to be evaluated, the same as for models here."""

from collections.abc import Iterator

from evaluators import protocol as protocols
from evaluators.protocol import Protocol
from intermamba.config import DatasetConfig
from intermamba.data.dataset import ClipDataset, EpochSampler
from intermamba.data.splits import SplitFile
from intermamba.errors import ConfigError
from intermamba.requests import Request


def requests(
    split: SplitFile, settings: DatasetConfig, protocol: Protocol, seed: int, sets: int = 1
) -> Iterator[Request]:
    """Captions and lengths that the first ``sets`` repeats of the protocol draw: one motion of every test clip per set,
    and, in the repeats that measure MModality, several motions of some clips.

    Args:
        split: the test split.
        settings: settings of the dataset.
        protocol: decides which captions are drawn, and how many samples MModality needs.
        seed: root of the repeats' seeds, as :func:`evaluators.evaluation.evaluate` gets it.
        sets: number of repeats with their own motions.

    Raises:
        ConfigError: fewer than one set, or more than the protocol has repeats.
    """
    if not 1 <= sets <= protocol.repeats:
        raise ConfigError(f"--sets {sets}: 1 to {protocol.repeats}, the repeats of protocol {protocol.name!r}.")
    spread = protocol.multimodality
    for repeat in range(sets):
        drawn = protocols.repeat_seed(seed, repeat)
        clips = ClipDataset(split, settings, protocol.mode, protocol.draws(protocols.source_seed(drawn)))
        yield from (_request(clips, index, repeat) for index in range(len(split)))
        if repeat < spread.repeats:
            varied = protocol.draws(protocols.variations_seed(drawn))
            clips = ClipDataset(split, settings, protocol.mode, varied)
            chosen = [index for _, index in EpochSampler(len(split), varied)][: spread.captions]
            yield from (_request(clips, index, repeat, spread.samples) for index in chosen)


def _request(clips: ClipDataset, index: int, repeat: int, samples: int | None = None) -> Request:
    item = clips[0, index]
    first, second = item.individual or (None, None)
    return Request(
        clip=item.clip,
        caption_index=clips.split.captions(index).index(item.caption),
        caption=item.caption,
        frames=len(item.motion),
        repeat=repeat,
        samples=samples,
        person_a=first,
        person_b=second,
    )
