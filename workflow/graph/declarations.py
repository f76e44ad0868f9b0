"""The declaration of every stage of this project: function, inputs, outputs, knobs, and needs of its jobs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import resources
from itertools import product
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from intermamba.config import Config
from intermamba.errors import ConfigError, unknown
from intermamba.methods import MOST_NEEDED
from intermamba.paths import SPLITS, local
from intermamba.text.names import weights_of
from workflow.exhibits import Exhibit, union
from workflow.figures import FORMATS as FIGURE_FORMATS
from workflow.figures import figures
from workflow.graph.commands import commands
from workflow.graph.items import Items
from workflow.graph.stage import Stage
from workflow.tables import FORMATS as TABLE_FORMATS
from workflow.tables import TABLES, tables

STUDY = ("summary", "complexity", "complexity_time", "variants", "reported", "protocols")
"""Inputs of every table and figure."""
RECIPE = ("text", "diffusion", "methods.{base}", "datasets.{dataset}", "seed")
"""Knobs that weights hold, beside their sizes."""
LEARNING = (*RECIPE, "training", "model", "losses", "runtime")
OF_DATASET = ("learning_rates.{dataset}.{base}", "loss_weights.{dataset}.{base}")
"""Knobs of a method's rows on one dataset."""
PROTOCOL = ("protocol.{dataset}", "datasets.{dataset}", "runtime", "seed")
TRAINING: Mapping[str, Any] = {"threads": "runtime", "work": "training", "devices": "trained"}
"""Needs of jobs that train; those of others that compute differ in one point each."""
EVALUATING: Mapping[str, Any] = {**TRAINING, "work": "evaluation", "devices": "one"}
SAMPLING: Mapping[str, Any] = {**EVALUATING, "devices": "all"}


def declare(config: Config) -> dict[str, Stage]:
    """All stages by name, upstream stages first, without a check of the profile's rows: enough to run one job.

    Raises:
        ConfigError: a table or figure names an unknown input; later, an item that no profile names.
    """
    items = Items(config)
    common = Common(items)
    groups = (_data, _evaluators, _trainings, _evaluations, _others, _results)
    stages = {one.name: one for group in groups for one in group(items, common)}
    for offer in commands().values():
        if offer.declare:
            stages[offer.name] = resolve_name(offer.declare)(config, dict(stages))
    stages |= {one.name: one for one in _exhibits(items, common, stages)}
    return stages | {"report": _report(items, stages)}


class Common:
    """What several stages share: the fields that they repeat over, with their items, and inputs."""

    def __init__(self, items: Items) -> None:
        at = items.at
        self.on_dataset: dict[str, Any] = {
            "fields": ("dataset",),
            "items": items.datasets,
            "complete": items.dataset,
        }
        self.on_run: dict[str, Any] = {"fields": ("dataset", "variant", "seed"), "complete": items.run}
        self.on_official: dict[str, Any] = {
            "fields": ("dataset", "variant"),
            "items": items.adopted,
            "complete": items.official,
        }
        self.train, self.val, self.test = ({split: at("split", split=split)} for split in SPLITS)
        self.text = {"text": at("text")}
        self.own_text = {"own_text": "{own_text}"}
        self.protocols = local(Path(str(resources.files("evaluators"))) / "protocols.yaml")
        self.reported = [at("reported", number=one.number) for one in TABLES.values() if one.in_paper]
        self.measured = {name: at(name) for name in ("summary", "complexity", "complexity_time")}
        parts = {f"part{number}": f"{{part{number}}}" for number in range(1, MOST_NEEDED + 1)}
        own = {**self.text, **self.own_text, "recipe": "{recipe}", **parts}
        self.training = {**self.train, **self.val, "stats": at("stats"), **own}
        self.evaluation = {**self.test, **self.text, "evaluator": at("evaluator"), "protocols": self.protocols}
        self.compared = {**self.evaluation, "index": at("known") if items.config.copying else ""}


def _stage(
    profile: str, name: str, function: str, message: str, *, inputs: Mapping[str, str | Sequence[str]], **rest: Any
) -> Stage:
    several = {key: (value,) if isinstance(value, str) else tuple(value) for key, value in inputs.items()}
    return Stage(name=name, profile=profile, function=function, message=message, inputs=several, **rest)


def _data(items: Items, common: Common) -> Iterator[Stage]:
    """Stages of the datasets."""
    stage, at, config = partial(_stage, items.config.profile), items.at, items.config
    yield stage(
        "fetch",
        "intermamba.data.fetch:run",
        "fetch {dataset}",
        inputs={},
        outputs={"manifest": at("manifest")},
        knobs=("datasets.{dataset}",),
        work="data",
        **common.on_dataset,
    )
    yield stage(
        "preprocess",
        "intermamba.data.preprocess:run",
        "preprocess {dataset}",
        inputs={"manifest": at("manifest")},
        outputs={**common.train, **common.val, **common.test, "stats": at("stats")},
        knobs=("datasets.{dataset}",),
        work="data",
        **common.on_dataset,
    )
    yield stage(
        "encode-text",
        "intermamba.text.cache:run",
        "encode the captions of {dataset}",
        inputs={
            **common.train,
            **common.val,
            **common.test,
            "manifest": at("manifest"),
            "tower": weights_of(config.text),
        },
        outputs=common.text,
        knobs=("text", "datasets.{dataset}", "runtime"),
        threads="runtime",
        work="data",
        **common.on_dataset,
    )
    yield stage(
        "encode-own-text",
        "intermamba.text.cache:run_own",
        "encode the captions of {dataset} with {tower}",
        inputs={**common.train, **common.val, **common.test, "manifest": at("manifest"), "tower": "{weights}"},
        outputs={"text": at("own_text")},
        knobs=("text", "methods.{base}", "datasets.{dataset}", "runtime"),
        fields=("dataset", "tower"),
        items=items.own_captions,
        complete=items.captions,
        threads="runtime",
        work="data",
    )


def _evaluators(items: Items, common: Common) -> Iterator[Stage]:
    """The evaluator of each dataset, and what is measured of it and of ground truth."""
    stage, at, config = partial(_stage, items.config.profile), items.at, items.config
    yield stage(
        "train-evaluator",
        "evaluators.training:run",
        "train the evaluator of {dataset}",
        inputs={
            **common.train,
            **common.val,
            **common.text,
            "protocols": common.protocols,
            "checkpoint": "{evaluator_checkpoint}",
        },
        outputs={"evaluator": at("evaluator"), "log": at("evaluator_log")},
        knobs=("evaluator", "protocol.{dataset}", "datasets.{dataset}", "runtime", "seed"),
        **common.on_dataset,
        **{**TRAINING, "devices": "one"},
    )
    yield stage(
        "index-training",
        "workflow.evaluation.reference:run_index",
        "embed the training clips of {dataset}",
        inputs={**common.train, **common.text, "evaluator": at("evaluator")},
        outputs={"index": at("known")},
        knobs=("datasets.{dataset}", "runtime"),
        **{**common.on_dataset, "items": items.datasets if config.copying else ()},
        **EVALUATING,
    )
    yield stage(
        "evaluate-reference",
        "workflow.evaluation.reference:run",
        "evaluate the reference motions of {dataset}",
        inputs={**common.compared, "train": common.train["train"] if config.copying else ""},
        outputs={"metrics": at("reference_metrics")},
        knobs=(*PROTOCOL, "copying"),
        **common.on_dataset,
        **EVALUATING,
    )
    yield stage(
        "sensitivity",
        "workflow.evaluation.reference:run_sensitivity",
        "measure the sensitivity of the evaluator of {dataset}",
        inputs=common.evaluation,
        outputs={"metrics": at("sensitivity")},
        knobs=(*PROTOCOL, "sensitivity"),
        **common.on_dataset,
        **EVALUATING,
    )


def _trainings(items: Items, common: Common) -> Iterator[Stage]:
    """Trainings of rows, and those on which they build."""
    stage, at = partial(_stage, items.config.profile), items.at
    yield stage(
        "train-part",
        "intermamba.training.run:run_part",
        "train {part} on {dataset}, seed {seed}",
        inputs=common.training,
        outputs={"weights": at("part_weights"), "training_log": at("part_log")},
        knobs=LEARNING,
        fields=("dataset", "part", "seed"),
        items=items.parts,
        complete=items.part,
        **TRAINING,
    )
    yield stage(
        "train",
        "intermamba.training.run:run",
        "train {variant} on {dataset}, seed {seed}",
        inputs=common.training,
        outputs={
            "weights": at("weights"),
            "training_log": at("training_log"),
            "adaptive_log": at("adaptive_log"),
        },
        knobs=(*LEARNING, *OF_DATASET),
        items=items.rows,
        **common.on_run,
        **TRAINING,
    )


def _evaluations(items: Items, common: Common) -> Iterator[Stage]:
    """All that is measured of a trained row."""
    stage, at = partial(_stage, items.config.profile), items.at
    yield stage(
        "evaluate",
        "workflow.evaluation.generated:run",
        "evaluate {variant} on {dataset}, seed {seed}",
        inputs={**common.compared, **common.own_text, "weights": at("weights")},
        outputs={"metrics": at("run_metrics")},
        knobs=(*PROTOCOL, "copying", "diffusion", "methods.{base}"),
        items=items.rows,
        **common.on_run,
        **SAMPLING,
    )
    yield stage(
        "steps",
        "workflow.evaluation.sampling:run_steps",
        "sample {variant} on {dataset} in fewer and more steps",
        inputs={**common.evaluation, **common.own_text, "weights": at("weights")},
        outputs={"metrics": at("steps")},
        knobs=(*PROTOCOL, "diffusion", "methods.{base}", "steps"),
        items=items.full,
        **common.on_run,
        **SAMPLING,
    )
    yield stage(
        "guidance",
        "workflow.evaluation.sampling:run_guidance",
        "sample {variant} on {dataset} with other guidance scales",
        inputs={**common.evaluation, **common.own_text, "weights": at("weights")},
        outputs={"metrics": at("guidance")},
        knobs=(*PROTOCOL, "diffusion", "methods.{base}", "guidance"),
        items=items.guided,
        **common.on_run,
        **SAMPLING,
    )
    yield stage(
        "fusion",
        "workflow.evaluation.fusion:run",
        "change the fusion weights of {variant} on {dataset}, seed {seed}",
        inputs={**common.evaluation, **common.own_text, "weights": at("weights")},
        outputs={"metrics": at("fusion")},
        knobs=(*PROTOCOL, "diffusion", "methods.{base}", "fusion"),
        items=items.fused,
        **common.on_run,
        **EVALUATING,
    )
    yield stage(
        "gallery-reference",
        "workflow.evaluation.gallery_motions:run_reference",
        "save reference motions of {dataset} for the report",
        inputs=common.test,
        outputs={"gallery": at("real_gallery")},
        knobs=("report", "datasets.{dataset}", "seed"),
        **common.on_dataset,
    )
    yield stage(
        "gallery",
        "workflow.evaluation.gallery_motions:run",
        "generate motions of {variant} on {dataset} for the report",
        inputs={**common.test, **common.text, **common.own_text, "weights": at("weights")},
        outputs={"gallery": at("gallery")},
        knobs=("report", "diffusion", "methods.{base}", "datasets.{dataset}", "runtime", "seed"),
        items=items.performers,
        **common.on_run,
        **EVALUATING,
    )


def _others(items: Items, common: Common) -> Iterator[Stage]:
    """Checkpoints and motions of others."""
    stage, at = partial(_stage, items.config.profile), items.at
    yield stage(
        "adopt",
        "intermamba.checkpoints.adopt:run",
        "adopt the official {variant} for {dataset}",
        inputs={"checkpoint": "{checkpoint}", "beside": "{beside}", "mean": "{mean}", "std": "{std}"},
        outputs={"weights": at("official_weights")},
        knobs=("official.{dataset}.{variant}", *RECIPE),
        work="data",
        **common.on_official,
    )
    yield stage(
        "re-evaluate",
        "workflow.evaluation.generated:run",
        "evaluate the official {variant} on {dataset}",
        inputs={**common.compared, **common.own_text, "weights": at("official_weights")},
        outputs={"metrics": at("official_metrics")},
        knobs=(*PROTOCOL, "copying", "diffusion", "methods.{base}"),
        **common.on_official,
        **SAMPLING,
    )
    yield stage(
        "evaluate-motions",
        "workflow.evaluation.external:run",
        "evaluate the motions of {method} on {dataset}",
        inputs={**common.compared, "motions": "{folder}"},
        outputs={"metrics": at("motions_metrics")},
        knobs=(*PROTOCOL, "copying"),
        fields=("dataset", "method"),
        items=items.external,
        complete=items.motions,
        **EVALUATING,
    )


def _results(items: Items, common: Common) -> Iterator[Stage]:
    """Results over all rows."""
    stage, at = partial(_stage, items.config.profile), items.at
    yield stage(
        "aggregate",
        "workflow.results.aggregate:run",
        "gather metrics",
        inputs={
            "reference_metrics": [at("reference_metrics", **item) for item in items.datasets],
            "run_metrics": [at("run_metrics", **row) for row in items.rows],
            "official_metrics": [at("official_metrics", **item) for item in items.adopted],
            "motions_metrics": [at("motions_metrics", **item) for item in items.external],
            **{log: [at(log, **row) for row in items.rows] for log in ("adaptive_log", "training_log")},
            "protocols": common.protocols,
        },
        outputs={name: at(name) for name in ("metrics", "summary", "summary_json", "alpha_beta", "learning")},
        knobs=("runs", "official", "motions", "copying", "datasets"),
    )
    yield stage(
        "complexity",
        "intermamba.cost.complexity:run",
        "count and time every model",
        inputs={"variants": items.recipes},
        outputs={name: at(name) for name in ("complexity", "complexity_time")},
        measured=("complexity_time",),
        knobs=("complexity", "model", "text", "diffusion", "methods", "datasets.interhuman", "runs", "runtime", "seed"),
        threads="machine",
        work="evaluation",
        devices="one",
    )
    yield stage(
        "claims",
        "workflow.results.claims:run",
        "test the paper's claims",
        inputs={
            **{name: at(name) for name in ("metrics", "alpha_beta", "claims_list")},
            **common.measured,
            "variants": items.recipes,
            "reported": common.reported,
            "protocols": common.protocols,
        },
        outputs={"claims": at("claims")},
        knobs=("runs",),
        reported=True,
    )


def _exhibits(items: Items, common: Common, stages: Mapping[str, Stage]) -> Iterator[Stage]:
    """Tables and figures, which read outputs of the stages before."""
    stage, at, config = partial(_stage, items.config.profile), items.at, items.config
    readable = {
        **{
            f"{one.name}.{name}": [str(job.outputs[name]) for job in one.jobs()]
            for one in stages.values()
            for name in one.outputs
        },
        **common.measured,
        **{name: at(name) for name in ("metrics", "alpha_beta", "learning", "claims", "paper_text", "newer_methods")},
        "sensitivity": [at("sensitivity", **item) for item in items.datasets],
        "gallery": [at("real_gallery", **item) for item in items.datasets]
        + [at("gallery", **item) for item in items.performers],
        "variants": items.recipes,
        "reported": common.reported,
        "protocols": common.protocols,
    }

    def exhibits(found: Mapping[str, Exhibit], kind: str, formats: Iterable[str]) -> dict[str, Any]:
        """Inputs and outputs of the stage that makes tables or figures."""
        for one in found.values():
            for name in one.inputs:
                if name not in readable:
                    raise ConfigError(unknown("input", name, readable, f"{kind} {one.name!r}"))
        # Exhibits with timings go last: the record is named after the first output.
        names = sorted(found, key=lambda name: found[name].timed)
        made = {f"{name}.{form}": at(kind, **{kind: name, "format": form}) for name, form in product(names, formats)}
        return {
            "inputs": {name: readable[name] for name in dict.fromkeys((*STUDY, *union(found, "inputs")))},
            "outputs": made,
            "measured": tuple(name for name in made if found[name.rpartition(".")[0]].timed),
        }

    written = exhibits(tables(config), "table", TABLE_FORMATS)
    yield stage(
        "tables",
        "workflow.tables.build:run",
        "write the tables",
        **written | {"outputs": {"document": at("document"), **written["outputs"]}},
        knobs=(
            "runs",
            "official",
            "motions",
            "text",
            "datasets",
            "methods",
            "copying",
            *union(tables(config), "knobs"),
        ),
        category="Tables",
        reported=True,
    )
    yield stage(
        "figures",
        "workflow.figures.build:run",
        "draw the figures",
        **exhibits(figures(config), "figure", FIGURE_FORMATS),
        knobs=("runs", "datasets", *union(figures(config), "knobs")),
        category="Figures",
        reported=True,
    )


def _report(items: Items, stages: Mapping[str, Stage]) -> Stage:
    """The last stage, which shows the outputs of reported stages with their inputs, and alone reads records."""
    before = [job for one in stages.values() for job in one.jobs()]
    exhibited = [job for job in before if stages[job.stage].reported]
    return _stage(
        items.config.profile,
        "report",
        "workflow.report.build:run",
        "write the report",
        inputs={
            "exhibits": list(
                dict.fromkeys(str(path) for job in exhibited for path in (*job.outputs.values(), *job.reads))
            ),
            "records": [str(job.record) for job in before],
        },
        outputs={"page": items.at("report"), "document": items.at("report_document")},
        knobs=tuple(dict.fromkeys(["diffusion", *(knob for job in exhibited for knob in job.knobs)])),
        category="Report",
    )
