"""The stage table: function, inputs, outputs and knobs of each stage, declared once.

The Snakefile makes its rules from this table, ``dvc.yaml`` is compiled from it (``python -m workflow.graph.dvc``), and
the command line passes the :class:`~intermamba.job.Job` made here to the stage's function. A stage repeats over fields
in braces such as ``{dataset}``: wildcards in Snakemake, items of a ``foreach`` in DVC.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib import resources
from itertools import product
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

from intermamba.config import METHOD_NAME, Config, MotionsConfig, OfficialConfig
from intermamba.errors import ConfigError, unknown
from intermamba.job import Job
from intermamba.methods import MOST_NEEDED, methods
from intermamba.methods.method import Training
from intermamba.models import find, source, variants
from intermamba.paths import SPLITS, local, record_of, statistics_of, template
from intermamba.text.names import own_tower
from workflow.exhibits import Exhibit, union
from workflow.figures import FORMATS as FIGURE_FORMATS
from workflow.figures import figures
from workflow.graph.commands import commands
from workflow.tables import FORMATS as TABLE_FORMATS
from workflow.tables import TABLES, tables

STUDY = ("summary", "complexity", "complexity_time", "variants", "reported", "protocols")
"""Inputs of every table and figure."""
FULL_MODEL = "intermamba"

Item = Mapping[str, str]
Threads = Literal["one", "runtime", "machine"]
Work = Literal["light", "data", "training", "evaluation"]
Devices = Literal["none", "one", "all", "trained"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage, for every item it repeats over."""

    name: str
    profile: str
    function: str
    """``module:function`` that runs it: ``function(config, job, ...)``."""
    message: str
    """What it does to an item, for progress on the terminal."""
    inputs: Mapping[str, tuple[str, ...]]
    """Templates by name. A template that is empty for an item is no input of that item."""
    outputs: Mapping[str, str]
    """Templates by name, the main one first."""
    knobs: tuple[str, ...]
    """Sections of the configuration whose change makes the stage run again."""
    fields: tuple[str, ...] = ()
    """Names of the fields that identify an item; options of the command line."""
    items: tuple[Item, ...] = ({},)
    """Values of the braces, one mapping per repetition: a single empty one for a stage that runs once, none for a stage
    that a profile does not use. Besides ``fields``, they may hold paths that differ by item."""
    complete: Callable[..., Item] = dict
    """From the values of ``fields`` to a whole item, also for one that is not in the study."""
    measured: tuple[str, ...] = ()
    """Names of outputs that hold timings and so differ between runs."""
    threads: Threads = "one"
    """One; those of the profile's runtime; or all of the machine, so that nothing else runs."""
    work: Work = "light"
    """Resources of its jobs in a batch system: an entry of the profile's ``cluster``."""
    devices: Devices = "none"
    """With GPUs: none; one; all of ``runtime``; or as many as the training can use (:func:`devices`)."""
    category: str = ""
    """Section of ``snakemake --report`` for its outputs; empty for outputs not meant for readers."""
    reported: bool = False
    """Whether the report shows its outputs."""

    @property
    def command(self) -> str:
        """Its command line, with fields of an item in braces."""
        options = [f"--{name} {{{name}}}" for name in self.fields]
        return " ".join(["intermamba", self.name, "--profile", self.profile, *options])

    @property
    def rule(self) -> str:
        """Its name under Snakemake."""
        return self.name.replace("-", "_")

    @property
    def log(self) -> str:
        """Path of a job's log under Snakemake, without suffix."""
        place = "-".join(f"{{{name}}}" for name in self.fields)
        return f"results/{self.profile}/logs/{self.name}" + (f"/{place}" if place else "")

    @property
    def record(self) -> str:
        """Template of its provenance record."""
        return str(record_of(next(iter(self.outputs.values()))))

    @cached_property
    def jobs_by_item(self) -> tuple[tuple[Item, Job], ...]:
        """The jobs of the study with their items; made once, since the graph goes through them many times."""
        return tuple((item, self._job(item)) for item in self.items)

    def jobs(self) -> Iterator[Job]:
        """The jobs of the study."""
        return (job for _, job in self.jobs_by_item)

    def job(self, **identity: str) -> Job:
        """The job of one item, also of one that is not in the study.

        Raises:
            ConfigError: the item cannot be completed: an unknown variant, a checkpoint that no profile names.
        """
        for item, job in self.jobs_by_item:
            if identity.items() <= item.items():
                return job
        return self._job(self.complete(**identity))

    def _job(self, item: Item) -> Job:
        places = {name: (text.format(**item) for text in texts) for name, texts in self.inputs.items()}
        inputs = {name: tuple(Path(place) for place in some if place) for name, some in places.items()}
        return Job(
            stage=self.name,
            command=self.command.format(**item),
            item={name: item[name] for name in self.fields},
            inputs=inputs,
            outputs={name: Path(text.format(**item)) for name, text in self.outputs.items()},
            knobs=tuple(knob.format(**item) for knob in self.knobs),
            measured=frozenset(self.measured),
            function=self.function,
            log=Path(self.log.format(**item)),
        )

    def filled(self, item: Item) -> dict[str, tuple[str, ...]]:
        """Templates of those inputs that ``item`` has."""
        return {name: tuple(one for one in texts if one.format(**item)) for name, texts in self.inputs.items()}


def as_wildcards(text: str) -> str:
    """``text`` with its braces as Snakemake's wildcards."""
    return re.sub(r"\{(\w+)\}", r"{wildcards.\1}", text)


def table(config: Config) -> dict[str, Stage]:
    """All stages of a profile by name, upstream stages first.

    Raises:
        ConfigError: a run of the study needs captions that its dataset does not load; or motions are missing, or named
            like another method.
    """
    for name, method in config.external():
        where = f"motions.{name}.{method} of profile {config.profile!r} in params.yaml"
        check_method(method, where)
        if not Path(folder := config.motions[name][method].folder).is_dir():
            raise ConfigError(f"{where}: no folder {folder}. Put the motions there, or remove the entry.")
    models = [("runs", *row[:2]) for row in config.rows()] + [("official", *row) for row in config.adopted()]
    every = variants()
    for section, dataset, variant in models:
        if find(variant, every).individual and not config.datasets[dataset].individual:
            raise ConfigError(
                f"{section}.{dataset}.{variant}: it reads a caption for each person, but datasets.{dataset}.individual "
                "is false. Set it to true (docs/howto/real-data.md lists the files needed) or remove the row."
            )
    return declare(config)


def check_method(name: str, where: str) -> None:
    """Check that motions may be called ``name``.

    Raises:
        ConfigError: the name cannot be a folder of results, or belongs to another row.
    """
    from workflow.results.aggregate import REFERENCES

    if not re.fullmatch(METHOD_NAME, name):
        raise ConfigError(f"{where}: {name!r} names a folder of results; letters, digits and . _ + - only.")
    if name in (*REFERENCES, *variants()):
        raise ConfigError(f"{where}: {name!r} is the name of a row of this project. Choose another.")


def declare(config: Config) -> dict[str, Stage]:
    """Like :func:`table`, without checking the profile's rows: enough to run one of its jobs.

    Raises:
        ConfigError: a table or figure names an unknown input; later, an item that no profile names.
    """
    profile, every = config.profile, variants()  # which looks into the folders of variants each time
    variant_of = cache(partial(find, known=every))

    def at(name: str, **fields: object) -> str:
        return template(name, profile=profile, **fields)

    stages: dict[str, Stage] = {}

    def stage(
        name: str,
        function: str,
        message: str,
        *,
        inputs: Mapping[str, str | Sequence[str]],
        **rest: Any,
    ) -> None:
        several = {key: (value,) if isinstance(value, str) else tuple(value) for key, value in inputs.items()}
        stages[name] = Stage(name=name, profile=profile, function=function, message=message, inputs=several, **rest)

    @cache
    def recipe(variant: str) -> str:
        return local(source(variant, every))

    def run(dataset: str, variant: str, seed: str) -> Item:
        base = variant_of(variant).base
        item = {"dataset": dataset, "variant": variant, "seed": seed, "recipe": recipe(variant), "base": base}
        return {**item, **reads(base, dataset, seed, methods()[base].row)}

    def part(dataset: str, part: str, seed: str) -> Item:
        base = part.partition(".")[0]
        method = variant_of(base).method
        known = {f"{base}.{one.name}": one for one in method.parts}
        if part not in known:
            raise ConfigError(unknown("part", part, known, f"method {base!r}"))
        item = {"dataset": dataset, "part": part, "seed": seed, "recipe": recipe(base), "base": base}
        return {**item, **reads(base, dataset, seed, known[part])}

    def reads(base: str, dataset: str, seed: str, training: Training) -> Item:
        """Paths of the trainings that one builds on, and of the text features of the method's own tower."""
        names = [f"{base}.{name}" for name in training.needs]
        places = [at("part_weights", dataset=dataset, part=name, seed=seed) for name in names]
        places += [""] * (MOST_NEEDED - len(places))
        tower = own_tower(config, base)
        own = at("own_text", dataset=dataset, tower=tower) if tower else ""
        return {**{f"part{number}": place for number, place in enumerate(places, start=1)}, "own_text": own}

    def captions(dataset: str, tower: str) -> Item:
        bases = [base for base in methods() if own_tower(config, base) == tower]
        if not bases:
            known = {name for base in methods() if (name := own_tower(config, base))}
            raise ConfigError(unknown("text tower of a method", tower, known, f"profile {profile!r}"))
        return {"dataset": dataset, "tower": tower, "base": bases[0]}

    def of_dataset(dataset: str) -> Item:
        checkpoint = config.evaluator.checkpoint.get(dataset) or ""
        return {"dataset": dataset, "evaluator_checkpoint": checkpoint}

    def named(section: str, kind: str, dataset: str, name: str) -> Any:
        """An entry of ``official`` or ``motions``."""
        entries = {f"{data}.{one}": entry for data, of in getattr(config, section).items() for one, entry in of.items()}
        if (place := f"{dataset}.{name}") not in entries:
            raise ConfigError(unknown(kind, place, entries, f"{section} of profile {profile!r} in params.yaml"))
        return entries[place]

    def official(dataset: str, variant: str) -> Item:
        one: OfficialConfig = named("official", "official checkpoint", dataset, variant)
        mean, std = statistics_of(one.normalisation, variant) if one.normalisation else ("", "")
        places = {"checkpoint": one.checkpoint, "beside": one.beside or "", "mean": str(mean), "std": str(std)}
        base = variant_of(variant).base
        own = reads(base, dataset, "", methods()[base].row)["own_text"]
        return {"dataset": dataset, "variant": variant, "base": base, "own_text": own, **places}

    def external(dataset: str, method: str) -> Item:
        return {"dataset": dataset, "method": method, "folder": named("motions", "motions", dataset, method).folder}

    datasets = tuple(of_dataset(name) for name in config.runs)
    rows = tuple(run(data, name, str(seed)) for data, name, seed in config.rows())
    named_parts = [
        (data, f"{variant_of(name).base}.{one.name}", str(seed))
        for data, name, seed in config.rows()
        for one in variant_of(name).method.parts
    ]
    parts = tuple(part(*one) for one in dict.fromkeys(named_parts))
    towers = [
        (data, tower)
        for data, name in [*(row[:2] for row in config.rows()), *config.adopted()]
        if (tower := own_tower(config, variant_of(name).base))
    ]
    own_captions = tuple(captions(*one) for one in dict.fromkeys(towers))
    adopted = tuple(official(data, name) for data, name in config.adopted())
    given = tuple(external(data, method) for data, method in config.external())
    first = tuple(row for row in rows if int(row["seed"]) == config.runs[row["dataset"]][row["variant"]][0])
    performers = tuple(row for row in first if not variant_of(row["variant"]).ablation)
    guided, fusing = (
        {(data, variant_of(name).name) for data, names in one.variants.items() for name in names}
        for one in (config.guidance, config.fusion)
    )
    full = tuple(row for row in performers if row["variant"] == FULL_MODEL)
    recipes = tuple(dict.fromkeys(recipe(name) for name in sorted({row["variant"] for row in rows})))
    protocols = local(Path(str(resources.files("evaluators"))) / "protocols.yaml")
    reported = [at("reported", number=one.number) for one in TABLES.values() if one.in_paper]

    on_dataset: dict[str, Any] = {"fields": ("dataset",), "items": datasets, "complete": of_dataset}
    on_run: dict[str, Any] = {"fields": ("dataset", "variant", "seed"), "complete": run}
    on_official: dict[str, Any] = {"fields": ("dataset", "variant"), "items": adopted, "complete": official}
    training: dict[str, Any] = {"threads": "runtime", "work": "training", "devices": "trained"}
    evaluating: dict[str, Any] = training | {"work": "evaluation", "devices": "one"}
    sampling: dict[str, Any] = evaluating | {"devices": "all"}
    train, val, test = ({split: at("split", split=split)} for split in SPLITS)
    text = {"text": at("text")}
    own_text = {"own_text": "{own_text}"}
    needed = {f"part{number}": f"{{part{number}}}" for number in range(1, MOST_NEEDED + 1)}
    trained_on = {**train, **val, "stats": at("stats"), **text, **own_text, "recipe": "{recipe}", **needed}
    recipe_of = ("text", "diffusion", "methods.{base}", "datasets.{dataset}", "seed")  # what weights say of their model
    learning = (*recipe_of, "training", "model", "losses", "runtime")
    rate = "learning_rates.{dataset}.{base}"
    evaluation = {**test, **text, "evaluator": at("evaluator"), "protocols": protocols}
    compared = {**evaluation, "index": at("known") if config.copying else ""}
    protocol = ("protocol.{dataset}", "datasets.{dataset}", "runtime", "seed")
    measured = {name: at(name) for name in ("summary", "complexity", "complexity_time")}
    sensitivity = [at("sensitivity", **item) for item in datasets]

    stage(
        "fetch",
        "intermamba.data.fetch:run",
        "fetch {dataset}",
        inputs={},
        outputs={"manifest": at("manifest")},
        knobs=("datasets.{dataset}",),
        work="data",
        **on_dataset,
    )
    stage(
        "preprocess",
        "intermamba.data.preprocess:run",
        "preprocess {dataset}",
        inputs={"manifest": at("manifest")},
        outputs={**train, **val, **test, "stats": at("stats")},
        knobs=("datasets.{dataset}",),
        work="data",
        **on_dataset,
    )
    stage(
        "encode-text",
        "intermamba.text.cache:run",
        "encode the captions of {dataset}",
        inputs={**train, **val, **test, "manifest": at("manifest"), "tower": _weights(config)},
        outputs=text,
        knobs=("text", "datasets.{dataset}", "runtime"),
        threads="runtime",
        work="data",
        **on_dataset,
    )
    stage(
        "encode-own-text",
        "intermamba.text.cache:run_own",
        "encode the captions of {dataset} with {tower}",
        inputs={**train, **val, **test, "manifest": at("manifest")},
        outputs={"text": at("own_text")},
        knobs=("text", "methods.{base}", "datasets.{dataset}", "runtime"),
        fields=("dataset", "tower"),
        items=own_captions,
        complete=captions,
        threads="runtime",
        work="data",
    )
    stage(
        "train-evaluator",
        "evaluators.training:run",
        "train the evaluator of {dataset}",
        inputs={**train, **val, **text, "protocols": protocols, "checkpoint": "{evaluator_checkpoint}"},
        outputs={"evaluator": at("evaluator"), "log": at("evaluator_log")},
        knobs=("evaluator", "protocol.{dataset}", "datasets.{dataset}", "runtime", "seed"),
        **on_dataset,
        **training | {"devices": "one"},
    )
    stage(
        "index-training",
        "workflow.evaluation.reference:run_index",
        "embed the training clips of {dataset}",
        inputs={**train, **text, "evaluator": at("evaluator")},
        outputs={"index": at("known")},
        knobs=("datasets.{dataset}", "runtime"),
        **{**on_dataset, "items": datasets if config.copying else ()},
        **evaluating,
    )
    stage(
        "evaluate-reference",
        "workflow.evaluation.reference:run",
        "evaluate the reference motions of {dataset}",
        inputs={**compared, "train": train["train"] if config.copying else ""},
        outputs={"metrics": at("reference_metrics")},
        knobs=(*protocol, "copying"),
        **on_dataset,
        **evaluating,
    )
    stage(
        "sensitivity",
        "workflow.evaluation.reference:run_sensitivity",
        "measure the sensitivity of the evaluator of {dataset}",
        inputs=evaluation,
        outputs={"metrics": at("sensitivity")},
        knobs=(*protocol, "sensitivity"),
        **on_dataset,
        **evaluating,
    )
    stage(
        "train-part",
        "intermamba.training.run:run_part",
        "train {part} on {dataset}, seed {seed}",
        inputs=trained_on,
        outputs={"weights": at("part_weights"), "training_log": at("part_log")},
        knobs=learning,
        fields=("dataset", "part", "seed"),
        items=parts,
        complete=part,
        **training,
    )
    stage(
        "train",
        "intermamba.training.run:run",
        "train {variant} on {dataset}, seed {seed}",
        inputs=trained_on,
        outputs={"weights": at("weights"), "training_log": at("training_log"), "adaptive_log": at("adaptive_log")},
        knobs=(*learning, rate),
        items=rows,
        **on_run,
        **training,
    )
    stage(
        "evaluate",
        "workflow.evaluation.generated:run",
        "evaluate {variant} on {dataset}, seed {seed}",
        inputs={**compared, **own_text, "weights": at("weights")},
        outputs={"metrics": at("run_metrics")},
        knobs=(*protocol, "copying", "diffusion", "methods.{base}"),
        items=rows,
        **on_run,
        **sampling,
    )
    stage(
        "steps",
        "workflow.evaluation.sampling:run_steps",
        "sample {variant} on {dataset} in fewer and more steps",
        inputs={**evaluation, **own_text, "weights": at("weights")},
        outputs={"metrics": at("steps")},
        knobs=(*protocol, "diffusion", "methods.{base}", "steps"),
        items=full,
        **on_run,
        **sampling,
    )
    stage(
        "guidance",
        "workflow.evaluation.sampling:run_guidance",
        "sample {variant} on {dataset} with other scales of guidance",
        inputs={**evaluation, **own_text, "weights": at("weights")},
        outputs={"metrics": at("guidance")},
        knobs=(*protocol, "diffusion", "methods.{base}", "guidance"),
        items=tuple(row for row in first if (row["dataset"], row["variant"]) in guided),
        **on_run,
        **sampling,
    )
    stage(
        "fusion",
        "workflow.evaluation.fusion:run",
        "change the fusion weights of {variant} on {dataset}, seed {seed}",
        inputs={**evaluation, **own_text, "weights": at("weights")},
        outputs={"metrics": at("fusion")},
        knobs=(*protocol, "diffusion", "methods.{base}", "fusion"),
        items=tuple(row for row in rows if (row["dataset"], row["variant"]) in fusing),
        **on_run,
        **evaluating,
    )
    stage(
        "gallery-reference",
        "workflow.evaluation.gallery_motions:run_reference",
        "save reference motions of {dataset} for the report",
        inputs=test,
        outputs={"gallery": at("real_gallery")},
        knobs=("report", "datasets.{dataset}", "seed"),
        **on_dataset,
    )
    stage(
        "gallery",
        "workflow.evaluation.gallery_motions:run",
        "generate motions of {variant} on {dataset} for the report",
        inputs={**test, **text, **own_text, "weights": at("weights")},
        outputs={"gallery": at("gallery")},
        knobs=("report", "diffusion", "methods.{base}", "datasets.{dataset}", "runtime", "seed"),
        items=performers,
        **on_run,
        **evaluating,
    )
    stage(
        "adopt",
        "intermamba.checkpoints.adopt:run",
        "adopt the official {variant} for {dataset}",
        inputs={"checkpoint": "{checkpoint}", "beside": "{beside}", "mean": "{mean}", "std": "{std}"},
        outputs={"weights": at("official_weights")},
        knobs=("official.{dataset}.{variant}", *recipe_of),
        work="data",
        **on_official,
    )
    stage(
        "re-evaluate",
        "workflow.evaluation.generated:run",
        "evaluate the official {variant} on {dataset}",
        inputs={**compared, **own_text, "weights": at("official_weights")},
        outputs={"metrics": at("official_metrics")},
        knobs=(*protocol, "copying", "diffusion", "methods.{base}"),
        **on_official,
        **sampling,
    )
    stage(
        "evaluate-motions",
        "workflow.evaluation.external:run",
        "evaluate the motions of {method} on {dataset}",
        inputs={**compared, "motions": "{folder}"},
        outputs={"metrics": at("motions_metrics")},
        knobs=(*protocol, "copying"),
        fields=("dataset", "method"),
        items=given,
        complete=external,
        **evaluating,
    )
    stage(
        "aggregate",
        "workflow.results.aggregate:run",
        "gather metrics",
        inputs={
            "reference_metrics": [at("reference_metrics", **item) for item in datasets],
            "run_metrics": [at("run_metrics", **row) for row in rows],
            "official_metrics": [at("official_metrics", **item) for item in adopted],
            "motions_metrics": [at("motions_metrics", **item) for item in given],
            **{log: [at(log, **row) for row in rows] for log in ("adaptive_log", "training_log")},
            "protocols": protocols,
        },
        outputs={name: at(name) for name in ("metrics", "summary", "summary_json", "alpha_beta", "learning")},
        knobs=("runs", "official", "motions", "copying", "datasets"),
    )
    stage(
        "complexity",
        "intermamba.cost.complexity:run",
        "count and time every model",
        inputs={"variants": recipes},
        outputs={name: at(name) for name in ("complexity", "complexity_time")},
        measured=("complexity_time",),
        knobs=("complexity", "model", "text", "diffusion", "methods", "datasets", "runs", "runtime", "seed"),
        threads="machine",
        work="evaluation",
        devices="one",
    )
    stage(
        "claims",
        "workflow.results.claims:run",
        "test the paper's claims",
        inputs={
            **{name: at(name) for name in ("metrics", "alpha_beta", "claims_list")},
            **measured,
            "variants": recipes,
            "reported": reported,
            "protocols": protocols,
        },
        outputs={"claims": at("claims")},
        knobs=("runs",),
        reported=True,
    )
    for offer in commands().values():
        if offer.declare:
            stages[offer.name] = resolve_name(offer.declare)(config, dict(stages))
    readable = {
        **{
            f"{one.name}.{name}": [str(job.outputs[name]) for job in one.jobs()]
            for one in stages.values()
            for name in one.outputs
        },
        **measured,
        **{name: at(name) for name in ("metrics", "alpha_beta", "learning", "claims", "paper_text", "newer_methods")},
        "sensitivity": sensitivity,
        "gallery": [at("real_gallery", **item) for item in datasets] + [at("gallery", **item) for item in performers],
        "variants": recipes,
        "reported": reported,
        "protocols": protocols,
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
    stage(
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
    stage(
        "figures",
        "workflow.figures.build:run",
        "draw the figures",
        **exhibits(figures(config), "figure", FIGURE_FORMATS),
        knobs=("runs", "datasets", *union(figures(config), "knobs")),
        category="Figures",
        reported=True,
    )
    # The last stage shows the outputs of reported stages with their inputs, and is the only one that reads records.
    before = [job for one in stages.values() for job in one.jobs()]
    exhibited = [job for job in before if stages[job.stage].reported]
    stage(
        "report",
        "workflow.report.build:run",
        "write the report",
        inputs={
            "exhibits": list(
                dict.fromkeys(str(path) for job in exhibited for path in (*job.outputs.values(), *job.reads))
            ),
            "records": [str(job.record) for job in before],
        },
        outputs={"page": at("report"), "document": at("report_document")},
        knobs=tuple(dict.fromkeys(["diffusion", *(knob for job in exhibited for knob in job.knobs)])),
        category="Report",
    )
    return stages


def _weights(config: Config) -> str:
    """The file or folder of the text tower's weights, where the profile names one."""
    weights = config.text.weights
    return weights if config.text.tower in ("clip", "huggingface") and weights and Path(weights).exists() else ""


def job(config: Config, name: str, **identity: object) -> Job:
    """The job of a stage on one item, in the study or not, with the commands that make its inputs.

    Raises:
        ConfigError: an unknown variant, or a checkpoint that the profile does not name.
    """
    stages = declare(config)
    found = stages[name].job(**{key: str(value) for key, value in identity.items()})
    makers = {path: one.command for stage in stages.values() for one in stage.jobs() for path in one.writes}
    for stage in stages.values():  # of an item that is not in the study
        if set(stage.fields) <= set(found.item):
            made = {Path(text.format(**found.item)) for text in stage.outputs.values()}
            makers |= dict.fromkeys(made, stage.command.format(**found.item))
    return replace(found, makers={path: makers[path] for path in found.reads if path in makers})


def adoption(config: Config, dataset: str, variant: str, source: OfficialConfig, output: Path) -> tuple[Config, Job]:
    """The configuration and job that import a checkpoint, which the profile need not name, as ``output``."""
    config = config.model_copy(update={"official": {dataset: {variant: source}}})
    return config, replace(job(config, "adopt", dataset=dataset, variant=variant), outputs={"weights": output})


def evaluation_of(config: Config, dataset: str, method: str, folder: Path) -> Job:
    """The job that evaluates motions which the profile does not name.

    Raises:
        ConfigError: ``method`` cannot be a folder of results, or belongs to another row.
    """
    check_method(method, "method")
    motions = {dataset: {method: MotionsConfig(folder=str(folder), label=method)}}
    return job(config.model_copy(update={"motions": motions}), "evaluate-motions", dataset=dataset, method=method)


def devices(config: Config, stage: Stage, item: Item) -> tuple[int, int]:
    """Nodes of a job, and processes on each; every process has a GPU where the profile uses GPUs."""
    if stage.devices == "trained":
        of_part = "part" in stage.fields
        base, _, name = item["part"].partition(".") if of_part else (item["variant"], "", "")
        method = find(base).method
        several = (method.training(name) if of_part else method.row).devices == "any"
    else:
        several = stage.devices == "all"
    return (config.runtime.nodes, config.runtime.devices) if several else (1, 1)


def targets(stages: dict[str, Stage]) -> list[str]:
    """Targets of `snakemake` without arguments: outputs that no stage but the report reads."""
    read = {path for stage in stages.values() if stage.name != "report" for job in stage.jobs() for path in job.reads}
    made = (path for stage in stages.values() for job in stage.jobs() for path in job.outputs.values())
    return [str(path) for path in made if path not in read]
