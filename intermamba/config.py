"""The schema of all knobs: :func:`load` turns ``params.yaml`` into a frozen, validated :class:`Config`.

Snakemake, DVC and the command line all use :func:`load`. A profile is the ``base`` section with the profile's own
differences merged over it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import to_jsonable_python

from intermamba.datasets import datasets
from intermamba.errors import ConfigError, quoted, shortened, unknown
from intermamba.reading.documents import checked, explained, explaining, problems, read_yaml

Positive = Annotated[int, Field(gt=0, lt=1 << 31)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
"""Factor of a term in a sum, such as a loss."""


def _expanded(place: str) -> str:
    if not place.startswith("~"):
        return place
    try:
        return str(Path(place).expanduser())
    except RuntimeError as error:
        raise ValueError(f"{place!r}: {error}") from error


Place = Annotated[str, AfterValidator(_expanded)]
"""Path of a user's file or folder; a leading ``~`` is the home folder."""


def _known(name: str) -> str:
    if name not in (known := datasets()):
        raise ValueError(unknown("dataset", name, known, "the configuration"))
    return name


Dataset = Annotated[str, AfterValidator(_known)]
"""Name of an entry of :mod:`intermamba.datasets`."""


def _without_empty(variants: dict[Dataset, tuple[str, ...]]) -> dict[Dataset, tuple[str, ...]]:
    return {dataset: names for dataset, names in variants.items() if names}


VariantsOfDatasets = Annotated[dict[Dataset, tuple[str, ...]], AfterValidator(_without_empty)]
"""Variants by dataset; a dataset without any is left out."""
OfficialModel = Literal[
    "intergen", "in2in", "t2m", "t2m_given", "intermask", "mdm", "mdm_fixed", "mdm_gru", "mdm_gru_fixed",
    "com_mdm", "com_mdm_few",
]  # fmt: skip
"""Rows with a reader of official checkpoints: their methods have a ``layout``."""
Sampler = Literal["plain", "graph"]
LoggerName = Literal["tensorboard", "wandb", "mlflow"]
METHOD_NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
"""Allowed names of rows and of methods with given motions, which also name their folders of results."""


class Section(BaseModel):
    """A frozen group of knobs; a misspelled key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class SyntheticConfig(Section):
    """Size of the embedded dataset (:mod:`intermamba.data.synthetic`)."""

    train: Positive
    """Clips of the training split."""
    val: Positive
    """Clips of the validation split."""
    test: Positive
    """Clips of the test split."""
    seconds: tuple[float, float]
    """Shortest and longest clip, in seconds."""
    seed: Count
    """Root seed of the generated clips."""


class DatasetConfig(Section):
    """One dataset: its source, and the length of its clips."""

    source: Place
    """``synthetic``, or the folder of the owners' files."""
    synthetic: SyntheticConfig
    """The embedded dataset; ignored where ``source`` is a folder."""
    min_frames: Positive
    """Shorter clips are dropped [InterHuman 15, Inter-X 24]."""
    max_frames: Positive
    """Longer clips are cut to a window of this many frames; also the padded length in the denoiser [300, 150]."""
    allow_missing: tuple[str, ...] = ()
    """Clip ids of the official splits that may be absent; any other missing clip is an error."""
    mirror: bool = True
    """Train on mirrored copies as well [InterHuman; officially never for Inter-X]."""
    caption_swap: Literal["corrected", "official"] = "corrected"
    """How captions of mirrored copies exchange sides; ``official`` repeats InterGen's ``countercounterclockwise``."""
    order: Literal["recorded", "actor_first", "official"] = "recorded"
    """Inter-X: who is person 1. ``official`` repeats the owners' script, which puts the actor second."""
    individual: bool = False
    """InterHuman: also read in2IN's captions of single persons (``annots_individual/``); the in2in model needs them."""
    skeleton: Place | None = None
    """Inter-X: a user's SMPLX_NEUTRAL.npz for floor height and kinematics; none: the project's own neutral skeleton."""


class TextConfig(Section):
    """The frozen text tower."""

    tower: Literal["clip", "sentence", "huggingface", "words", "untrained"]
    """``clip`` is the paper's. ``sentence`` is all-MiniLM-L6-v2, installed with this project.
    ``huggingface`` is a text encoder in a local folder (T5, DistilBERT, CLIP). ``words`` are word vectors and parts of
    speech, for T2M. ``untrained`` is small and seeded. Every result names its tower."""
    weights: Place | None
    """For ``clip``: an open_clip pretrained tag, or a local file of weights. For ``huggingface``: the folder. For
    ``words``: the folder of Inter-X's ``glove/``, or none for seeded stand-ins."""
    architecture: str
    """For ``clip``: an open_clip model name."""
    width: Positive
    """Features of a token [CLIP ViT-L/14 768]. If a ``sentence`` or ``huggingface`` tower has more, they are reduced to
    principal components of the training captions' features."""
    heads: Positive
    """Attention heads of a block of an ``untrained`` tower [CLIP ViT-L/14 12]."""
    layers: Positive
    """Transformer blocks of an ``untrained`` tower [CLIP ViT-L/14 12]."""
    context: Positive
    """Tokens kept of a caption, start and end included [CLIP 77]."""
    seed: Count
    """Root seed of the weights of an ``untrained`` tower."""
    precision: Literal["float32", "float16"]
    """Number format of cached token features."""

    @property
    def stand_in(self) -> bool:
        """Whether it replaces the text tower of a method's authors."""
        return self.tower in ("sentence", "untrained") or (self.tower == "words" and self.weights is None)


class ModelConfig(Section):
    """Sizes shared by all denoisers, so that the rows of a table are comparable."""

    width: Positive
    """Features of a frame of one person inside a denoiser [InterGen 1024]."""
    heads: Positive
    """Attention heads of a transformer block [InterGen 8]."""
    feedforward: Positive
    """Hidden features of a transformer block's feed-forward [InterGen 2048]."""
    dropout: Fraction
    """Share of features dropped in training [InterGen 0.1]."""
    modules: Positive
    """Stacked ASTM modules [paper 5.1: two; UltraLight: one]."""
    blocks_per_module: Positive
    """Blocks (Self-ASTM, LIIA, Cross-ASTM) in a module; inferred from the parameter budget."""
    state: Positive
    """State size N of the selective scans [paper 5.1: 16]."""
    rank: Positive
    """Rank of the projection that gives Delta, unless a variant sets ``rank``; the paper prints 1
    (docs/explanation/deviations.md)."""
    kernel: Positive
    """Steps of the depthwise convolution before a scan [Mamba 4]."""
    transformer_blocks: Positive
    """Blocks of InterGen and of variants built on it [8]."""
    text_layers: Count
    """Trained transformer blocks on top of the frozen text tower [InterGen 2]; with 0, its features are read
    unchanged."""
    text_heads: Positive
    """Attention heads of such a block [InterGen 8]."""
    text_feedforward: Positive
    """Hidden features of such a block's feed-forward [InterGen 2048]."""


Solver = Literal["ddim", "dpm-solver++"]


class DiffusionConfig(Section):
    """Noise schedule, guidance and sampler [paper 5.1]."""

    steps: Positive
    """Steps of the noise schedule in training [1000, InterGen]."""
    solver: Solver
    """Solver of the reverse diffusion [paper 5.1: DDIM]."""
    sampling_steps: Positive
    """Denoising steps of a sample [paper 5.1: 50]."""
    sampling_shift: Annotated[float, Field(ge=1)] | None = None
    """Placement of the sampling steps; null: the solver's own; a number: evenly from the last step of the noise
    schedule down, then shifted towards noise as by ``training.noise_shift``. DDIM's own begin below the last, at 900 of
    1000 for ten steps, where pure noise is not what the denoiser was trained on [Lin et al. 2024]."""
    eta: Fraction
    """Noise that DDIM adds at each step; DPM-Solver++ adds none."""
    guidance: Weight
    """Scale of classifier-free guidance: 0 ignores the caption, 1 uses it as it is, more exaggerates its effect
    [paper 5.1: 3.5]."""
    null_probability: Fraction
    """Share of training examples whose caption is dropped [InterGen 0.1]."""
    sampling_precision: Literal["float32", "bfloat16"]
    """Precision of the denoiser's matrix products while sampling on a GPU; a CPU samples in float32."""

    @model_validator(mode="after")
    def _consistent(self) -> "DiffusionConfig":
        if self.sampling_steps > self.steps:
            raise ValueError(
                f"sampling_steps {self.sampling_steps} exceeds the {self.steps} steps of the noise schedule"
            )
        if self.eta > 0 and self.solver != "ddim":
            raise ValueError(f"eta is {self.eta}, but {self.solver} adds no noise: set it to 0, or solver to ddim")
        return self


class LossConfig(Section):
    """Weights of InterGen's losses; the geometric ones act only for diffusion steps up to ``geometric_until``."""

    simple: Weight
    """Weight of the squared error of normalised features [InterGen 1]."""
    velocity: Weight
    """Weight of the squared error of joints' steps between frames, m² [InterGen 30]."""
    bone_length: Weight
    """Weight of the squared error of bone lengths, m² [InterGen 10]."""
    foot_contact: Weight
    """Weight of the squared step of predicted feet that are low and slow, m² [InterGen 30]."""
    distance_map: Weight
    """Weight of the squared error of the persons' joint distances predicted below 1 m, m² [InterGen 3]."""
    joint_affinity: Weight
    """Weight of the squared predicted distance of joints that touch in the data, m² [InterGen 3]."""
    relative_orientation: Weight
    """Weight of the squared error of the persons' relative facing, as a quaternion [InterGen 0.01]."""
    geometric_until: Count
    """Last diffusion step at which the geometric losses, all but ``simple``, act [InterGen 700]."""

    @property
    def geometric(self) -> bool:
        """Whether any term on joints has a weight."""
        return any(value for name, value in self if name not in ("simple", "geometric_until"))


class TrainingConfig(Section):
    """Optimisation of every denoiser."""

    epochs: Positive
    """Passes over the training split [paper 5.1: 2000]."""
    warmup_epochs: Count | Annotated[float, Field(ge=0)]
    """Epochs in which the learning rate rises linearly [InterGen 10]."""
    batch: Positive
    """Clips per step, over all devices."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak learning rate of AdamW [paper 5.1: 1e-4]."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Weight decay of AdamW [paper 5.1: 2e-5]."""
    schedule: Literal["cosine", "constant", "tenths", "thirds"] = "cosine"
    """Learning rate after the warm-up: half a cosine to zero [InterGen]; constant; divided by ten after 70% and 85% of
    the epochs [InterMask's tokenizer]; divided by three after 50%, 70% and 85% [InterMask's transformer]."""
    gradient_clip: Annotated[float, Field(gt=0)] | None
    """Maximum norm of the gradient [InterGen 0.5]; none: no clipping."""
    noise_shift: Annotated[float, Field(ge=1)] = 1.0
    """Where noise levels are drawn in training: a uniform level ``u`` in 0 to 1 becomes ``s u / (1 + (s - 1) u)``
    [Esser et al. 2024, Eq. 23]. 1 is uniform, as in the paper; above, noisy motions are drawn more often."""
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential average of the weights over the steps, which is then the trained model; none, as in the
    paper: the last weights."""
    precision: Literal["32-true", "bf16-mixed"]
    """Number format of the matrix products in training."""
    checkpoint_every_epochs: Positive
    """Epochs between two checkpoints from which a stopped training resumes."""
    log_every_steps: Positive
    """Steps between two rows of ``training.csv``."""


SECTIONS = ("text", "model", "diffusion", "losses", "training")
"""Sections in which a method can have its own values."""


class MethodConfig(Section):
    """Differences for the rows of one method: its authors' values, overridden by the profile's, then by its own."""

    text: dict[str, Any] = {}
    """Knobs of ``text`` that differ."""
    model: dict[str, Any] = {}
    """Knobs of ``model`` that differ."""
    sizes: dict[str, Any] = {}
    """Sizes of a method that does not use those of ``model``."""
    diffusion: dict[str, Any] = {}
    """Knobs of ``diffusion`` that differ."""
    losses: dict[str, Any] = {}
    """Knobs of ``losses`` that differ."""
    training: dict[str, Any] = {}
    """Knobs of ``training`` that differ."""
    parts: dict[str, dict[str, Any]] = {}
    """Knobs of ``training`` that differ in each training before the row's, by its name."""


class InterClipConfig(Section):
    """Sizes of InterHuman's evaluator."""

    width: Positive
    """Features of a token inside the motion encoder [InterGen 1024]."""
    layers: Positive
    """Transformer blocks of the motion encoder [InterGen 8]."""
    heads: Positive
    """Attention heads of such a block [InterGen 8]."""
    feedforward: Positive
    """Hidden features of such a block's feed-forward [InterGen 2048]."""
    dropout: Fraction
    """Share of features dropped in training [InterGen 0.1]."""
    embedding: Positive
    """Features of an embedding of a motion or caption [InterGen 512]."""
    text_layers: Positive
    """Trained transformer blocks on top of the frozen text tower [InterGen 8]."""
    text_heads: Positive
    """Attention heads of such a block [InterGen 8]."""
    text_feedforward: Positive
    """Hidden features of such a block's feed-forward [InterGen 2048]."""


class InterXMatcherConfig(Section):
    """Sizes of Inter-X's evaluator."""

    movement: Positive
    """Features of a movement of four frames [Inter-X 512]."""
    hidden: Positive
    """Features of a state of the motion encoder's GRU [Inter-X 1024]."""
    text_hidden: Positive
    """Features of a state of the text encoder's GRU [Inter-X 512]."""
    embedding: Positive
    """Features of an embedding of a motion or caption [Inter-X 512]."""
    dropout: Fraction
    """Share of features dropped in the movement encoder's training [Inter-X 0.2]."""


class InterXRecipeConfig(Section):
    """Inter-X's own training of its evaluator [the commands in its README and their scripts' defaults]."""

    window: Positive
    """Frames of a window of the movement autoencoder, cut at a stride of one [24]."""
    movement_epochs: Positive
    """Epochs of the movement autoencoder [270]."""
    movement_batch: Positive
    """Windows per step of the movement autoencoder [128]."""
    epochs: Positive
    """Epochs of the matching [300]."""
    batch: Annotated[int, Field(gt=1)]
    """Pairs per step of the matching [8]."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Constant rate of Adam in both phases [1e-4]."""
    gradient_clip: Annotated[float, Field(gt=0)]
    """Maximum norm of each encoder's gradient in the matching [0.5]; the autoencoder's is not clipped."""
    margin: Annotated[float, Field(gt=0)]
    """Distance to which mismatched pairs are pushed apart [10]."""


class EvaluatorTrainingConfig(Section):
    """How an evaluator is trained when there is no official checkpoint."""

    recipe: Literal["standard", "official"] = "standard"
    """``standard`` is this project's recipe, set by the knobs below; ``official`` is the authors' recipe, set by the
    section of that name. Only Inter-X's authors released theirs."""
    official: InterXRecipeConfig | None = None
    """The authors' recipe; Inter-X only."""
    epochs: Positive
    """Passes over the training split; Inter-X's movement encoder is trained first, for a quarter of as many [this
    project's]."""
    batch: Annotated[int, Field(gt=1)]
    """Clips per step, each of which is contrasted with the others [this project's]."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak learning rate of AdamW [this project's]."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Weight decay of AdamW [this project's]."""
    margin: Annotated[float, Field(gt=0)]
    """Contrastive margin; Inter-X only [this project's]."""

    @model_validator(mode="after")
    def _released(self) -> "EvaluatorTrainingConfig":
        if self.recipe == "official" and self.official is None:
            raise ValueError(
                "recipe is 'official', but there is no section `official`: only Inter-X's authors released the code "
                "that trained their evaluator. Set recipe to standard"
            )
        return self


class EvaluatorConfig(Section):
    """The evaluator of each dataset."""

    checkpoint: dict[Dataset, Place | None]
    """Official checkpoint to load in place of training."""
    interclip: InterClipConfig
    """Sizes of InterHuman's evaluator."""
    interx: InterXMatcherConfig
    """Sizes of Inter-X's evaluator."""
    training: dict[Dataset, EvaluatorTrainingConfig]
    """Training of each evaluator where there is no checkpoint."""


class OfficialConfig(Section):
    """A checkpoint released by a model's authors, to be evaluated here (docs/howto/official-checkpoint.md)."""

    checkpoint: Place
    """The file. Its content is assumed to be fixed: give another checkpoint another name."""
    normalisation: Place | None = None
    """Folder of the mean and standard deviation of its training, as released by its authors; none for a model that
    reads features as they are, such as T2M and InterMask on Inter-X."""
    beside: Place | None = None
    """The second file of a method whose authors keep two: T2M's length estimator, InterMask's VQ-VAE."""


class MotionsConfig(Section):
    """Motions that another project generated, to be evaluated beside the rows trained here."""

    folder: Place
    """Folder of ``.npz`` files."""
    label: str
    """Name of their row in the tables."""


class SensitivityConfig(Section):
    """Measurement of the evaluators' sensitivity to damaged motion."""

    repeats: Annotated[int, Field(ge=2)]
    """Repeats of the protocol, in place of its own."""


class StepsConfig(Section):
    """Measurement of quality over sampling steps."""

    solvers: dict[Solver, tuple[Positive, ...]]
    """Numbers of steps for each solver."""
    repeats: Annotated[int, Field(ge=2)]
    """Repeats of the protocol, in place of its own."""


class GuidanceConfig(Section):
    """Measurement of rows that are sampled with several guidance scales."""

    variants: VariantsOfDatasets
    """Variants that are sampled with guidance, by dataset; ``[]``: nothing is measured there."""
    scales: tuple[Weight, ...]
    """Scales, in place of the row's own; 1 is none."""
    repeats: Annotated[int, Field(ge=2)]
    """Repeats of the protocol, in place of its own."""


class FusionConfig(Section):
    """Measurement of rows whose fusion weights are changed after training."""

    variants: VariantsOfDatasets
    """Variants with fusion weights, by dataset; ``[]``: nothing is measured there."""
    bins: Positive
    """Ranges of diffusion steps, in each of which alpha and beta are exchanged alone."""
    repeats: Annotated[int, Field(ge=2)]
    """Repeats of the protocol, in place of its own."""


class RepeatsConfig(Section):
    """Timed samplings of each model; one takes minutes on a CPU at the paper's sizes."""

    cpu: Positive
    """Timed samplings of each model on a CPU."""
    cuda: Positive
    """Timed samplings of each model on a GPU."""


class ComplexityConfig(Section):
    """Measurement behind Table 3."""

    frames: Positive
    """Number of frames of the counted pass and of the timed sampling."""
    warmup_steps: Positive
    """Steps of the sampler that each model takes before timing starts."""
    repeats: RepeatsConfig
    """Timed samplings of each model, by device."""


class ReportConfig(Section):
    """Contents of the report."""

    prompts: Positive
    """Test clips of each dataset whose real and generated motions can be played."""


class BenchConfig(Section):
    """Sizes of ``intermamba bench``."""

    threads: Positive
    """Threads of the scans, at most the number of cores; the models use those of ``runtime``."""
    shapes: dict[str, tuple[Positive, Positive, Positive, Positive]]
    """Batch, channels, steps and states of the scans to compare."""
    frames: tuple[Positive, ...]
    """Numbers of frames from which the growth with T is fitted."""
    batch: tuple[Positive, ...]
    """Batch sizes from which the growth with the batch is fitted."""
    repeats: Positive
    """Rounds in which all measured functions take turns."""
    seconds: Annotated[float, Field(gt=0)]
    """Total time of one function after which it skips further rounds."""


class DemandConfig(Section):
    """Resources that one job requests from a batch system. After an attempt that exceeded its time or memory, the next
    one requests twice as much.
    """

    minutes: Positive
    """Time limit of a job. A training continues from its last checkpoint."""
    memory: Positive
    """Megabytes."""
    partition: str | None
    """Slurm's partition; ``null`` is the site's default."""


class ClusterConfig(Section):
    """Resources that jobs request from a batch system, by the kind of their work; never changes results. Threads and
    GPUs are those of ``runtime``.
    """

    light: DemandConfig
    """Stages that gather, tabulate and draw."""
    data: DemandConfig
    """Stages that read a dataset's files or encode its captions."""
    training: DemandConfig
    """Trainings of denoisers and evaluators."""
    evaluation: DemandConfig
    """Evaluations, and the measurement of complexity."""


class RuntimeConfig(Section):
    """Use of the machine; never changes results, up to rounding."""

    threads: Positive
    """Threads of one job; Snakemake runs as many jobs as the cores allow."""
    accelerator: Literal["cpu", "auto"]
    """``cpu``, or ``auto``: a GPU if there is one."""
    devices: Positive
    """Devices of one training on each machine; on a processor, processes."""
    nodes: Positive = 1
    """Machines of one training."""
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = "auto"
    """Lightning's strategy. ``auto``: none for one device, else ``ddp``, a copy of the model on each device. The last
    is for networks with weights that a step does not use."""
    accumulate: Positive = 1
    """Passes of each device in a step, whose gradients add up: the more, the less memory."""
    recompute: bool = False
    """Gradient checkpointing: compute what is inside each block a second time for its gradient, and keep less."""
    loggers: tuple[LoggerName, ...] = ()
    """Tools that get the losses of a training besides its CSV file; each is an extra of this package."""
    samples_every_epochs: Count = 0
    """Epochs between two pictures of what a model in training generates; 0: none."""
    workers: Count
    """Data-loading processes of one job."""
    sampling_batch: Positive
    """Clips generated at once; results do not depend on it beyond rounding."""
    sampler: Sampler
    """How a GPU runs a sampling step: kernel by kernel (``plain``), or as one CUDA ``graph``. A CPU always
    uses ``plain``."""

    @property
    def processes(self) -> int:
        """Processes that share one training or evaluation."""
        return self.devices * self.nodes


class Config(Section):
    """All knobs of one profile."""

    profile: str
    """Name of the profile; part of every artefact's path."""
    seed: Count
    """Root of every seed of the study; each use derives its own from it by name."""
    datasets: dict[Dataset, DatasetConfig]
    """Datasets by name."""
    text: TextConfig
    """The frozen text tower."""
    model: ModelConfig
    """Sizes of the denoisers."""
    diffusion: DiffusionConfig
    """Noise schedule and sampling."""
    losses: LossConfig
    """Weights of the losses."""
    training: TrainingConfig
    """Optimisation of the denoisers."""
    methods: dict[str, MethodConfig] = {}
    """Differences for the rows of each method (:mod:`intermamba.methods`)."""
    learning_rates: dict[Dataset, dict[str, Annotated[float, Field(gt=0)] | None]] = {}
    """Peak learning rate of a method's rows on one dataset, in place of ``training.learning_rate``; ``null``: that one.
    A rate that trains a method on one dataset can be too high on another."""
    loss_weights: dict[Dataset, dict[str, dict[str, Any] | None]] = {}
    """Knobs of ``losses`` that differ for a method's rows on one dataset. InterGen's weights were made for features
    that hold positions."""
    evaluator: EvaluatorConfig
    """The evaluator of each dataset."""
    protocol: dict[Dataset, str]
    """Name of the evaluation protocol (``evaluators/protocols.yaml``)."""
    copying: bool
    """Show what copying training clips gives: a row of copies, and how near other motions are to the training clips."""
    sensitivity: SensitivityConfig
    """Measurement of the evaluators' sensitivity to damaged motion."""
    steps: StepsConfig
    """Measurement of quality over sampling steps."""
    guidance: GuidanceConfig
    """Measurement of quality over guidance scales."""
    fusion: FusionConfig
    """Measurement of what the fusion weights do after training."""
    complexity: ComplexityConfig
    """Measurement of parameters, operations and times."""
    bench: BenchConfig
    """Measurement of scans, sampling and training steps."""
    runs: dict[Dataset, dict[str, tuple[Count, ...]]]
    """The runs of the study: the variants of each dataset and the training seeds of each variant. Entries of a profile
    add to those of ``base``; for a variant that is also in ``base``, its seeds replace those. ``[]`` removes a variant,
    ``null`` a dataset."""
    official: dict[Dataset, dict[OfficialModel, OfficialConfig]]
    """Official checkpoints to evaluate, by dataset and model."""
    motions: dict[Dataset, dict[str, MotionsConfig]]
    """Motions of other projects to evaluate, by dataset and method."""
    report: ReportConfig
    """Contents of the report."""
    runtime: RuntimeConfig
    """Use of the machine by one job."""
    cluster: ClusterConfig
    """Use of a batch system."""

    @field_validator("runs", mode="before")
    @classmethod
    def _without_empty(cls, runs: Any) -> Any:
        """Remove entries that a profile emptied; values of a wrong type are left for the schema to refuse."""
        if not isinstance(runs, Mapping):
            return runs
        kept = {
            dataset: {name: seeds for name, seeds in variants.items() if seeds not in ([], None)}
            if isinstance(variants, Mapping)
            else variants
            for dataset, variants in runs.items()
        }
        return {dataset: variants for dataset, variants in kept.items() if variants not in ({}, None)}

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if not self.runs:
            raise ValueError("runs: at least one variant of one dataset is needed")
        for name, dataset in self.datasets.items():
            if dataset.min_frames > dataset.max_frames:
                raise ValueError(
                    f"datasets.{name}: min_frames {dataset.min_frames} exceeds max_frames {dataset.max_frames}"
                )
            low, high = dataset.synthetic.seconds
            if not 0 < low <= high:
                raise ValueError(f"datasets.{name}.synthetic.seconds: need 0 < shortest <= longest, got {low}, {high}")
        for name in self.runs:
            if name not in self.datasets or name not in self.protocol:
                raise ValueError(f"runs.{name}: needs datasets.{name} and protocol.{name}")
        for name, variant, seed in self.rows():
            if self.runs[name][variant].count(seed) > 1:
                raise ValueError(f"runs.{name}.{variant}: training seed {seed} appears twice")
        for section, entries in (("official", self.official), ("motions", self.motions)):
            for name in entries:
                if name not in self.runs:
                    raise ValueError(
                        f"{section}.{name}: needs rows of {name} under runs, whose data and evaluator it shares"
                    )
        divided = {"model.width": "model.heads", "evaluator.interclip.width": "evaluator.interclip.heads"}
        readers = ["model.text_heads", "evaluator.interclip.text_heads"]
        readers += ["text.heads"] if self.text.tower == "untrained" else []
        for width, heads in (*divided.items(), *(("text.width", heads) for heads in readers)):
            if self.section(width) % self.section(heads):
                raise ValueError(f"{width} {self.section(width)} is not a multiple of {heads} {self.section(heads)}")
        most = self.diffusion.steps
        for solver, counts in self.steps.solvers.items():
            if max(counts, default=0) > most:
                raise ValueError(f"steps.solvers.{solver}: {max(counts)} exceeds diffusion.steps {most}")
        if self.fusion.bins > most:
            raise ValueError(f"fusion.bins {self.fusion.bins} exceeds diffusion.steps {most}")
        for method, own in self.methods.items():
            self.of(method)
            for part in own.parts:
                self.of(method, part)
        if self.profile == "paper" and self.text.tower != "clip":
            raise ValueError(f"text.tower: the paper profile needs the real CLIP weights; {self.text.tower} is refused")
        for section, by_dataset in (("learning_rates", self.learning_rates), ("loss_weights", self.loss_weights)):
            for name, by_method in by_dataset.items():
                for method in by_method:
                    if method not in self.methods:
                        raise ValueError(unknown("method", method, self.methods, f"{section}.{name}"))
                    self.of(method, dataset=name)
        for method in self.methods:
            if self.profile == "paper" and (text := self.of(method).text).stand_in:
                raise ValueError(
                    f"methods.{method}.text.tower: the paper profile needs the text tower of the method's authors; "
                    f"{text.tower} is a stand-in and is refused"
                )
        return self

    def of(self, method: str, part: str | None = None, dataset: Dataset | None = None) -> "Config":
        """The configuration of a method's rows; with ``part``, of one of the trainings before the row's.

        ``dataset`` is needed for the learning rate and the losses of a row, which can differ by dataset.

        Raises:
            ValueError: a difference is not a knob, or out of range.
        """
        own = self.methods.get(method, MethodConfig())
        changes = {section: getattr(own, section) for section in SECTIONS}
        if part is None:
            rate = self.learning_rates.get(dataset or "", {}).get(method)
            own_rate = {} if rate is None else {"learning_rate": rate}
            changes["training"] = {**own.training, **own_rate}
            weights = self.loss_weights.get(dataset or "", {}).get(method) or {}
            whole = self.changed(changes, "methods", method)
            return whole.changed({"losses": weights}, "loss_weights", str(dataset), method)
        whole = self.changed({**changes, "training": {}}, "methods", method)
        return whole.changed({"training": own.parts.get(part, {})}, "methods", method, "parts", part)

    def changed(self, changes: Mapping[str, Mapping[str, Any]], *where: str) -> "Config":
        """The configuration with other knobs in some sections; ``where`` names the source of the changes in a message.

        Raises:
            ValueError: a change is not a knob, or out of range.
        """
        return self.model_copy(update={name: self._changed(name, new, where) for name, new in changes.items() if new})

    def _changed(self, section: str, changes: Mapping[str, Any], where: tuple[str, ...]) -> Section:
        known: Section = getattr(self, section)
        try:
            return type(known)(**{**known.model_dump(), **changes})
        except ValidationError as error:
            raise ValueError(explained(error, (*where, section)).removesuffix(".")) from error

    def section(self, name: str) -> Any:
        """Knobs under a dotted name, as plain JSON values: a stage records them, and reruns when they change.

        Raises:
            ConfigError: no such section.
        """
        value: Any = self
        for key in name.split("."):
            known = dict(value) if isinstance(value, (BaseModel, Mapping)) else {}
            if key not in known:
                raise ConfigError(unknown("section", name, known, "the configuration"))
            value = known[key]
        return to_jsonable_python(value)

    @property
    def origins(self) -> dict[str, str]:
        """Origin of each dataset's data: ``synthetic`` or ``official``."""
        data = self.datasets.items()
        return {str(name): "synthetic" if one.source == "synthetic" else "official" for name, one in data}

    def clips_a_pass(self) -> int:
        """Clips of one pass of one device: a step is ``accumulate`` passes of all devices of all nodes.

        Raises:
            ConfigError: they cannot share a step evenly.
        """
        run, batch = self.runtime, self.training.batch
        if batch % (passes := run.processes * run.accumulate):
            raise ConfigError(
                f"training.batch {batch} is not a multiple of {passes}, the passes of a step (runtime.devices "
                f"{run.devices} x nodes {run.nodes} x accumulate {run.accumulate}). Change one of them."
            )
        return batch // passes

    def on_one_device(self) -> "Config":
        """The same for what is trained by one process in whole steps, whatever the profile has."""
        return self.model_copy(
            update={"runtime": self.runtime.model_copy(update={"devices": 1, "nodes": 1, "accumulate": 1})}
        )

    def dataset(self, name: str, where: str = "dataset") -> Dataset:
        """``name`` as one of the profile's datasets; ``where`` names its source in the message.

        Raises:
            ConfigError: no such dataset.
        """
        if name not in self.datasets:
            raise ConfigError(unknown("dataset", name, self.datasets, where))
        return name

    def adopted(self) -> Iterator[tuple[Dataset, OfficialModel]]:
        """Every official checkpoint of the study: dataset, model."""
        for dataset, models in self.official.items():
            for model in models:
                yield dataset, model

    def external(self) -> Iterator[tuple[Dataset, str]]:
        """Every method whose motions are given: dataset, method."""
        for dataset, methods in self.motions.items():
            for method in methods:
                yield dataset, method

    def rows(self) -> Iterator[tuple[Dataset, str, int]]:
        """Every training of the study: dataset, variant, seed."""
        for dataset, variants in self.runs.items():
            for variant, seeds in variants.items():
                for seed in seeds:
                    yield dataset, variant, seed


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``, mapping by mapping; other values replace those of ``base``."""
    found = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(found.get(key), Mapping):
            found[key] = merged(found[key], value)
        else:
            found[key] = value
    return found


class Document(BaseModel):
    """``params.yaml`` before its knobs are validated."""

    model_config = ConfigDict(extra="forbid", strict=True)

    profile: str
    base: dict[str, Any]
    profiles: dict[str, dict[str, Any] | None]


def read(path: str | Path = "params.yaml") -> dict[str, Any]:
    """The unmerged file: ``profile``, ``base`` and ``profiles``.

    Raises:
        ConfigError: it cannot be read, is not YAML, or has another shape.
    """
    if not Path(path).exists():
        raise ConfigError(
            f"{path}: cannot be read (no such file). Run this in a study's folder; `intermamba init` starts one."
        )
    document = read_yaml(path)
    keys = set(Document.model_fields)
    if not isinstance(document, dict) or set(document) != keys:
        found = ", ".join(map(quoted, document)) if isinstance(document, dict) else quoted(document)
        raise ConfigError(f"{path}: needs exactly the keys profile, base, profiles; found {found:.200}.")
    whole: Document = checked(Document, document, str(path), error=ConfigError)
    return whole.model_dump()


def load(
    profile: str | None = None, path: str | Path = "params.yaml", changes: Mapping[str, Any] | None = None
) -> Config:
    """Configuration of ``profile`` (default: the one ``params.yaml`` names), validated.

    Args:
        profile: a profile of the file.
        path: the file.
        changes: differences from the profile, in the form of a profile.

    Raises:
        ConfigError: unreadable file, unknown profile or key, or a value out of range; the message names each.
    """
    document = read(path)
    name = profile or document["profile"]
    if name not in document["profiles"]:
        raise ConfigError(unknown("profile", name, document["profiles"], str(path)))
    changes = merged(document["profiles"][name] or {}, changes or {})
    values = merged(document["base"], changes)
    if "profile" in values:
        raise ConfigError(
            f"{path}, profile {name!r}: `profile` is not a knob; it may only be at the top level of the file."
        )
    if isinstance(given := values.get("methods") or {}, Mapping):
        values["methods"] = _methods(given, changes, f"{path}, profile {name!r}")
    for section in ("learning_rates", "loss_weights"):
        if isinstance(given := values.get(section) or {}, Mapping):
            values[section] = _by_dataset(given, values)
    try:
        return Config.model_validate({"profile": name, **values})
    except ValidationError as error:
        found = shortened(problems(error, known=_siblings))
        raise ConfigError(
            "\n  ".join([f"{path}, profile {name!r}: {error.error_count()} problem(s).", *found])
        ) from error


def _methods(given: Mapping[str, Any], profile: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Differences of each method: its authors' values, overridden by the profile's for all rows, then by its own.

    What is no mapping is left for the schema to refuse.
    """
    from intermamba.methods import methods

    for name in given:
        if name not in methods():
            raise ConfigError(unknown("method", name, methods(), f"methods of {where}"))
    found: dict[str, Any] = {}
    for name, method in methods().items():
        if not isinstance(given.get(name) or {}, Mapping):
            found[name] = given[name]
            continue
        own = dict(given.get(name) or {})
        read, unread = ("model", "sizes") if method.sizes is ModelConfig else ("sizes", "model")
        if own.get(unread):
            raise ConfigError(
                f"methods.{name}.{unread} of {where}: not read by {name}, whose sizes are under {read!r}."
            )
        if own.get("sizes"):
            with explaining(f"methods.{name}.sizes of {where}", ConfigError):
                method.sizes.model_validate(own["sizes"])
        for section, values in method.defaults.items():
            own[section] = _over(merged(values, _section(profile, section)), own.get(section))
        training, parts = _section(profile, "training"), _section(own, "parts")
        for part in parts:
            if part not in (known := [one.name for one in method.parts]):
                raise ConfigError(unknown("training", part, known, f"methods.{name}.parts of {where}"))
        if method.parts and isinstance(own.get("parts") or {}, Mapping):
            own["parts"] = {
                one.name: _over(merged(one.defaults, training), parts.get(one.name)) for one in method.parts
            }
        found[name] = own
    return found


def _by_dataset(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """An entry for each method on each dataset, so that a training depends on its own alone."""
    everywhere = dict.fromkeys(values.get("methods") or {})
    whole = dict.fromkeys(_section(values, "datasets"), everywhere)
    return {**whole, **{dataset: _over(everywhere, own) for dataset, own in given.items()}}


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name) or {}
    return found if isinstance(found, Mapping) else {}


def _over(base: Mapping[str, Any], changes: Any) -> Any:
    return merged(base, changes or {}) if isinstance(changes or {}, Mapping) else changes


def _siblings(location: Sequence[int | str]) -> list[str]:
    """Field names of the section at ``location``, for the list of allowed keys in an error."""
    model: Any = Config
    for key in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and key in model.model_fields:
            model = model.model_fields[str(key)].annotation
        elif getattr(model, "__origin__", None) is dict:
            model = model.__args__[1]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
