"""The stage table: what each stage runs, reads, writes and depends on.

The Snakefile takes its inputs, outputs and commands from here and ``dvc.yaml`` is compiled from here (``python -m
workflow.graph.dvc``), so that the two tools run one graph of one command line. Braces such as ``{dataset}`` are what
a stage repeats over: Snakemake's wildcards, the items of a ``foreach`` in DVC.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from intermamba.config import Config
from intermamba.errors import ConfigError
from intermamba.models import find
from intermamba.paths import SPLITS, record_of, template

TABLES = range(1, 6)
"""The paper's."""
OWN_TABLES = ("sensitivity", "consistency", "claims", "physical", "context")
"""Tables that the paper does not have."""
TABLE_FORMATS = ("tex", "md", "csv")
FIGURES = (7, 8)
OWN_FIGURES = ("learning", "steps", "sensitivity")
"""Figures that the paper does not have."""
TIMED_FIGURES = (2,)
"""Figures that show timings."""
FIGURE_FORMATS = ("pdf", "png")
FULL_MODEL = "intermamba"
PROTOCOLS = "evaluators/protocols.yaml"
TOLD = ("tables", "figures", "claims")
"""Stages whose outputs the report shows, where a profile has them."""


@dataclass(frozen=True)
class Stage:
    """One stage, for every item it repeats over."""

    name: str
    arguments: str
    """What follows ``intermamba <name> --profile <profile>``."""
    inputs: tuple[str, ...]
    results: tuple[str, ...]
    """Deterministic outputs, the main one first."""
    knobs: tuple[str, ...]
    """Sections of the configuration whose change makes the stage run again."""
    items: tuple[dict[str, str], ...]
    """Values of the braces, one dictionary a repetition: a single empty one for a stage that runs once, none for one
    that a profile does not use."""
    profile: str
    measured: tuple[str, ...] = ()
    """Outputs that hold timings and so differ between runs."""

    @property
    def command(self) -> str:
        return " ".join(["intermamba", self.name, "--profile", self.profile, self.arguments]).strip()

    @property
    def shell(self) -> str:
        """The command as a Snakemake rule runs it: its braces are wildcards, its output goes to the rule's log."""
        return re.sub(r"\{(\w+)\}", r"{wildcards.\1}", self.command) + " > {log} 2>&1"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Everything the stage writes, its provenance record included."""
        return (*self.results, *self.measured, str(record_of(self.results[0])))

    def jobs(self) -> Iterator["Stage"]:
        """The stage once for each item, with its braces filled."""
        for item in self.items:

            def fill(texts: tuple[str, ...], item: dict[str, str] = item) -> tuple[str, ...]:
                return tuple(text.format(**item) for text in texts)

            yield Stage(
                self.name,
                self.arguments.format(**item),
                fill(self.inputs),
                fill(self.results),
                fill(self.knobs),
                ({},),
                self.profile,
                fill(self.measured),
            )


def table(config: Config) -> dict[str, Stage]:
    """All stages of a profile by name, in the order of the data's flow.

    Raises:
        ConfigError: a row of the study needs captions that its dataset is not asked to have.
    """
    profile = config.profile
    models = [("runs", *row[:2]) for row in config.rows()] + [("official", *row) for row in config.adopted()]
    for section, dataset, variant in models:
        if find(variant).base == "in2in" and not config.datasets[dataset].individual:
            raise ConfigError(
                f"{section}.{dataset}.{variant}: it reads a caption of each person, but datasets.{dataset}.individual "
                "is false. Set it to true (docs/howto/real-data.md says which files that needs) or take the row out."
            )

    def at(name: str, **fields: object) -> str:
        return template(name, profile=profile, **fields)

    def stage(
        name: str,
        arguments: str,
        inputs: tuple[str, ...],
        results: tuple[str, ...],
        knobs: tuple[str, ...],
        items: tuple[dict[str, str], ...] = ({},),
        measured: tuple[str, ...] = (),
    ) -> Stage:
        return Stage(name, arguments, inputs, results, knobs, items, profile, measured)

    datasets: tuple[dict[str, str], ...] = tuple({"dataset": name} for name in config.runs)
    rows = tuple({"dataset": data, "variant": name, "seed": str(seed)} for data, name, seed in config.rows())
    adopted: tuple[dict[str, str], ...] = tuple({"dataset": data, "variant": name} for data, name in config.adopted())
    performers = tuple(
        {"dataset": data, "variant": name, "seed": str(seed)}
        for data, name, seed in config.rows()
        if seed == config.runs[data][name][0] and not find(name).ablation
    )
    motions = tuple(at("real_shown", **item) for item in datasets) + tuple(at("shown", **item) for item in performers)
    steps = tuple(at("steps", **item) for item in performers if item["variant"] == FULL_MODEL)
    variants = tuple(f"ablations/{name}.yaml" for name in sorted({row["variant"] for row in rows}))
    reported = tuple(at("reported", number=number) for number in TABLES)
    metrics = [at("reference_metrics", **item) for item in datasets] + [at("run_metrics", **row) for row in rows]
    metrics += [at("official_metrics", **item) for item in adopted]
    each, model = "--dataset {dataset}", "--dataset {dataset} --variant {variant}"
    run = f"{model} --seed {{seed}}"
    train, val, test = (at("split", split=split) for split in SPLITS)
    evaluator = (test, at("text"), at("evaluator"), PROTOCOLS)
    evaluating = ("protocol.{dataset}", "datasets.{dataset}", "runtime", "seed")

    stages = [
        stage("fetch", each, (), (at("manifest"),), ("datasets.{dataset}",), datasets),
        stage(
            "preprocess", each, (at("manifest"),), (train, val, test, at("stats")), ("datasets.{dataset}",), datasets
        ),
        stage(
            "encode-text",
            each,
            (train, val, test, at("manifest")),
            (at("text"),),
            ("text", "datasets.{dataset}", "runtime"),
            datasets,
        ),
        stage(
            "train-evaluator",
            each,
            (train, val, at("text"), PROTOCOLS),
            (at("evaluator"), at("evaluator_log")),
            ("evaluator", "protocol.{dataset}", "datasets.{dataset}", "runtime", "seed"),
            datasets,
        ),
        stage("evaluate-reference", each, evaluator, (at("reference_metrics"),), evaluating, datasets),
        stage("sensitivity", each, evaluator, (at("sensitivity"),), (*evaluating, "sensitivity"), datasets),
        stage(
            "train",
            run,
            (train, val, at("stats"), at("text"), "ablations/{variant}.yaml"),
            (at("weights"), at("training_log"), at("adaptive_log")),
            ("training", "model", "diffusion", "losses", "datasets.{dataset}", "runtime", "seed"),
            rows,
        ),
        stage("evaluate", run, (*evaluator, at("weights")), (at("run_metrics"),), (*evaluating, "diffusion"), rows),
        stage(
            "steps",
            run,
            (*evaluator, at("weights")),
            (at("steps"),),
            (*evaluating, "diffusion", "steps"),
            tuple(row for row in performers if row["variant"] == FULL_MODEL),
        ),
        stage("show-real", each, (test,), (at("real_shown"),), ("report", "datasets.{dataset}", "seed"), datasets),
        stage(
            "show",
            run,
            (test, at("text"), at("weights")),
            (at("shown"),),
            ("report", "diffusion", "datasets.{dataset}", "runtime", "seed"),
            performers,
        ),
        stage("adopt", model, (), (at("official_weights"),), ("official.{dataset}.{variant}", "text"), adopted),
        stage(
            "re-evaluate",
            model,
            (*evaluator, at("official_weights")),
            (at("official_metrics"),),
            (*evaluating, "diffusion"),
            adopted,
        ),
        stage(
            "aggregate",
            "",
            (*metrics, *(at(log, **row) for row in rows for log in ("adaptive_log", "training_log")), PROTOCOLS),
            (at("metrics"), at("summary"), at("summary_json"), at("alpha_beta"), at("learning")),
            ("runs", "official", "protocol"),
        ),
        stage(
            "complexity",
            "",
            variants,
            (at("complexity"),),
            ("complexity", "model", "text", "diffusion", "datasets", "runs", "runtime"),
            measured=(at("complexity_time"),),
        ),
        stage(
            "claims",
            "",
            (
                *(at("metrics"), at("summary"), at("alpha_beta"), at("complexity"), at("complexity_time")),
                *(at("claims_list"), *variants, *reported, PROTOCOLS),
            ),
            (at("claims"),),
            ("runs",),
        ),
        stage(
            "tables",
            "",
            (
                *(at("summary"), at("complexity"), at("complexity_time"), at("claims")),
                *(at("sensitivity", **item) for item in datasets),
                *(*variants, *reported, at("paper_text"), at("context"), PROTOCOLS),
            ),
            (
                at("document"),
                *(at("table", number=n, format=f) for n, f in product(TABLES, TABLE_FORMATS)),
                *(at("own_table", table=name, format=f) for name, f in product(OWN_TABLES, TABLE_FORMATS)),
            ),
            ("runs", "official", "protocol", "text", "datasets", "complexity"),
        ),
        stage(
            "figures",
            "",
            (
                at("alpha_beta"),
                at("learning"),
                at("summary"),
                at("complexity"),
                at("complexity_time"),
                *(at("sensitivity", **item) for item in datasets),
                *motions,
                *steps,
                *variants,
                *(at("reported", number=n) for n in (1, 3)),
            ),
            (
                *(at("figure", number=n, format=f) for n, f in product(FIGURES, FIGURE_FORMATS)),
                *(at("own_figure", figure=name, format=f) for name, f in product(OWN_FIGURES, FIGURE_FORMATS)),
            ),
            ("runs", "datasets"),
            measured=tuple(at("figure", number=n, format=f) for n, f in product(TIMED_FIGURES, FIGURE_FORMATS)),
        ),
    ]
    return {one.name: one for one in (*stages, _report(stages))}


def _report(stages: Sequence[Stage]) -> Stage:
    """The last stage: it shows what the stages before it made for readers and what that was made from, and is the only
    one that reads their records.
    """
    profile = stages[0].profile
    jobs = [job for stage in stages for job in stage.jobs()]
    told = [job for job in jobs if job.name in TOLD]
    return Stage(
        "report",
        "",
        tuple(
            dict.fromkeys(
                [
                    *(path for job in told for path in (*job.results, *job.measured, *job.inputs)),
                    *(str(record_of(job.results[0])) for job in jobs),
                ]
            )
        ),
        (template("report", profile=profile), template("report_document", profile=profile)),
        tuple(dict.fromkeys(knob for job in told for knob in job.knobs)),
        ({},),
        profile,
    )


def targets(stages: dict[str, Stage]) -> list[str]:
    """What `snakemake` without arguments makes: outputs that nothing reads, unless to tell of them."""
    read = {path for stage in stages.values() if stage.name != "report" for job in stage.jobs() for path in job.inputs}
    made = (path for stage in stages.values() for job in stage.jobs() for path in (*job.results, *job.measured))
    return [path for path in made if path not in read]


def knobs(config: Config, names: Iterable[str]) -> dict[str, Any]:
    """Values of the named sections, without those knobs that do not change what is computed."""
    values = {name: config.section(name) for name in names}
    if "runtime" in values:
        # Threads change rounding, and with it bytes; the rest of `runtime` only moves the work about.
        values["runtime"] = {name: values["runtime"][name] for name in ("threads", "accelerator", "devices")}
    return values
