"""The stage table: stages of a profile by name, and their jobs, also on items that the profile does not name.

The Snakefile makes its rules from this table, ``dvc.yaml`` is compiled from it (``python -m workflow.graph.dvc``), and
the command line passes the :class:`~intermamba.job.Job` made here to the stage's function. A stage repeats over fields
in braces such as ``{dataset}``: wildcards in Snakemake, items of a ``foreach`` in DVC.
"""

import re
from dataclasses import replace
from pathlib import Path

from intermamba.config import METHOD_NAME, Config, MotionsConfig, OfficialConfig
from intermamba.errors import ConfigError
from intermamba.job import Job
from intermamba.models import find, variants
from intermamba.paths import TAKEN
from workflow.graph.declarations import declare
from workflow.graph.stage import Item, Stage


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
    if not re.fullmatch(METHOD_NAME, name):
        raise ConfigError(f"{where}: {name!r} names a folder of results; letters, digits and . _ + - only.")
    if name in (*TAKEN, *variants()):
        raise ConfigError(f"{where}: {name!r} is the name of a row of this project. Choose another.")


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
