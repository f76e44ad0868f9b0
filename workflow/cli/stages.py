"""Commands that run one stage each: ``fetch``, and those that the registry of stages describes."""

from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from intermamba.config import load
from intermamba.errors import ConfigError
from workflow.cli.app import (
    STAGES,
    DatasetOption,
    MethodOption,
    PartOption,
    Profile,
    SeedOption,
    TowerOption,
    VariantOption,
    app,
    open_job,
)
from workflow.cli.progress import job_progress
from workflow.graph.commands import StageCommand, commands
from workflow.graph.state import reported


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba fetch --check --profile paper")
def fetch(
    dataset: Annotated[str | None, typer.Option("--dataset", help="interhuman or interx.")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="List present and missing files; exit code 1 if any is missing."),
    ] = False,
    profile: Profile = None,
) -> None:
    """Generate the embedded dataset, or check the owners' files; write a manifest of every file.

    With --check: write nothing, and list every dataset and weight, whether it is present, and where to get it.
    """
    if check:
        from intermamba.data import inventory

        raise typer.Exit(0 if inventory.run(load(profile)) else 1)
    if dataset is None:
        raise ConfigError("fetch: give --dataset interhuman or --dataset interx, or --check to list present files.")
    config, job = open_job(profile, "fetch", dataset=dataset)
    with job_progress(job, f"fetch {dataset}", "clip") as advance:
        job.run(config, progress=advance)


def _register(stage: StageCommand) -> None:
    """Register a stage's command: an option for each field of an item, and the profile."""

    def command(profile: str | None = None, **item: object) -> None:
        config, job = open_job(profile, stage.name, **item)
        if stage.unit:
            with job_progress(job, stage.title.format(**item), stage.unit) as advance:
                job.run(config, progress=advance)
        else:
            with reported(job):
                lines = job.run(config) or ()
            for line in lines:
                typer.echo(line)

    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, kind, default in (*((name, *_OPTIONS[name]) for name in stage.fields), ("profile", Profile, None))
    ]
    command.__signature__ = Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in options}
    epilog = f"Example: {stage.example}"
    app.command(stage.name, help=stage.help, rich_help_panel=STAGES, epilog=epilog)(command)


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "dataset": (DatasetOption, Parameter.empty),
    "variant": (VariantOption, Parameter.empty),
    "seed": (SeedOption, 0),
    "part": (PartOption, Parameter.empty),
    "tower": (TowerOption, Parameter.empty),
    "method": (MethodOption, Parameter.empty),
}
for _stage in commands().values():
    _register(_stage)
