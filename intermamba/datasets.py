"""Registry of datasets: names, the owners' folders, and functions that read, cut and generate clips.

Other packages add theirs as entry points of the group ``intermamba.datasets``, each of which names a
:class:`DatasetSpec`. Its knobs then go under ``datasets``, ``protocol`` and ``runs`` of ``params.yaml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from intermamba.errors import ConfigError, unknown
from intermamba.plugins import offered


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """One dataset of two people and captions. Functions are given as ``module:function`` and imported on first use."""

    name: str
    """Name in ``params.yaml``, on the command line and in paths."""
    label: str
    """Name in tables and figures."""
    family: str
    """Family of its features, ``interhuman`` or ``interx``, which determines its evaluator, the perturbations and the
    files of other projects' motions."""
    features: int
    """F, features per person and frame."""
    columns: int
    """C, raw columns per person and frame in a split file."""
    layout: str
    """``(root, settings) -> Layout``: the reader of the owners' folder."""
    synthetic: str
    """``(root, train, val, test, seconds, seed, progress, *, again=False) -> None``: writes embedded clips in the
    owners' layout; with ``again`` the test clips alone, in other performances that keep ids, kinds, parameters and
    lengths (:mod:`intermamba.data.retaken`)."""
    representation: str
    """``() -> Representation``, or with a split's own ``(offsets)``: the meaning of a feature frame."""
    item: str
    """``(split, clip, longest, rng, mirrored) -> (motion, persons)``: a window, and the order of the recorded
    persons; without ``rng`` always the first window."""
    frames: str
    """``(split, clip, settings) -> iterator of motions``: the feature frames of a clip that count for normalisation."""
    mirrors: bool = False
    """Whether ``item`` defines mirrored clips."""
    lost: int = 0
    """Raw frames of a window that give no feature frame, such as the last one where features hold velocities."""
    longest: int | None = None
    """Clips of at least this many frames, at the dataset's frame rate, are dropped."""
    word_vectors: bool = False
    """Whether its evaluator reads word vectors (``glove/`` of the owners' folder)."""
    comparison: int = 0
    """Number of the paper's table that compares models on it; 0: none."""
    ablations: tuple[int, ...] = ()
    """Numbers of the paper's ablation tables on it."""
    owners: str = ""
    """Source of the dataset, for ``fetch --check``."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Folders of the owners' download, and their contents."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Source of a part that does not come from the owners."""
    lists: str = "splits"
    """The part that lists clips."""
    checkpoint: tuple[str, str] | None = None
    """File of the official evaluator, and its source."""

    @property
    def tables(self) -> tuple[int, ...]:
        """Numbers of the paper's tables of quality on it."""
        return (*([self.comparison] if self.comparison else []), *self.ablations)

    def load(self, function: str) -> Any:
        """Import one of its functions, by the name of the field."""
        return resolve_name(getattr(self, function))


_INTERHUMAN = DatasetSpec(
    name="interhuman",
    label="InterHuman",
    family="interhuman",
    features=262,
    columns=192,
    layout="intermamba.data.layouts.interhuman:InterHumanLayout",
    synthetic="intermamba.data.synthetic.interhuman:write_interhuman",
    representation="intermamba.representation:InterHuman",
    item="intermamba.data.dataset:interhuman_item",
    frames="intermamba.data.preprocess:interhuman_frames",
    mirrors=True,
    lost=1,
    comparison=1,
    ablations=(4, 5),
    owners="InterGen's project page",
    parts={
        "motions_processed": "motions",
        "annots": "captions",
        "annots_individual": "captions of single persons, which in2in reads",
        "split": "clips of each split, and clips to leave out",
    },
    sources={"annots_individual": "in2IN's code (link in its README)"},
    lists="split",
    checkpoint=("interclip.ckpt", "InterGen's code (prepare/download_evaluation_model.sh)"),
)
_INTERX = DatasetSpec(
    name="interx",
    label="Inter-X",
    family="interx",
    features=336,
    columns=168,
    layout="intermamba.data.layouts.interx:layout",
    synthetic="intermamba.data.synthetic.interx:write_interx",
    representation="intermamba.representation:InterX",
    item="intermamba.data.dataset:interx_item",
    frames="intermamba.data.preprocess:interx_frames",
    longest=1000,
    word_vectors=True,
    comparison=2,
    owners="Inter-X's request form",
    parts={
        "motions": "motions: SMPL-X parameters, or the owners' processed HDF5 files",
        "texts": "captions",
        "texts_processed": "captions with parts of speech, which the evaluator reads",
        "splits": "clips of each split",
        "glove": "word vectors, which the evaluator reads",
        "annots": "the actor of each clip, for an order of persons other than recorded",
    },
    sources={
        "texts_processed": "Inter-X's processed data, by the same form",
        "glove": "Inter-X's processed data, by the same form",
    },
    checkpoint=("text_mot_match/model/finest.tar", "Inter-X's checkpoints, by the same form"),
)
DATASETS = {one.name: one for one in (_INTERHUMAN, _INTERX)}
"""The paper's datasets, by name."""


def datasets() -> dict[str, DatasetSpec]:
    """Every dataset by name: the paper's, and those of entry points (``intermamba.datasets``).

    Raises:
        ConfigError: an entry point is not a dataset, or its name is taken.
    """
    return offered("intermamba.datasets", DatasetSpec, DATASETS)


def dataset(name: str, where: str = "datasets") -> DatasetSpec:
    """The dataset of that name; ``where`` names its source in the message.

    Raises:
        ConfigError: unknown name.
    """
    if name in DATASETS:
        return DATASETS[name]
    known = datasets()
    if name not in known:
        raise ConfigError(unknown("dataset", name, known, where))
    return known[name]


def family(name: str) -> str:
    """The family of a dataset's features."""
    return dataset(name).family
