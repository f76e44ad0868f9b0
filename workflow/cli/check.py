"""Commands that start and check a study."""

import json
from pathlib import Path
from typing import Annotated

import typer

from intermamba.config import load
from workflow.cli.app import STUDY, Profile, app


@app.command(rich_help_panel=STUDY, epilog="Example: intermamba init my_study")
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the study; made if it does not exist.")] = Path(),
) -> None:
    """Start a study in a folder: params.yaml, the Snakefile, its profiles and the paper's reported numbers."""
    from workflow.graph import starter

    for path in starter.write(folder):
        typer.echo(path)
    typer.echo("Edit params.yaml, then run there: snakemake --cores all")


@app.command(rich_help_panel=STUDY, epilog="Example: intermamba validate --profile study-cpu")
def validate(profile: Profile = None) -> None:
    """Check params.yaml, the variants of the study, and every artefact present against its provenance record."""
    config = load(profile)
    from workflow.graph import validate as stage

    stage.run(config)


@app.command(rich_help_panel=STUDY, epilog="Example: intermamba status --profile paper --curves curves.png")
def status(
    profile: Profile = None,
    every: Annotated[bool, typer.Option("--all", help="List all jobs, including waiting and finished ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    curves: Annotated[Path | None, typer.Option(help="Also draw the learning curves so far into this file.")] = None,
) -> None:
    """Jobs of a profile (waiting, running, done or failed) with start, host and estimated time left."""
    config = load(profile)
    from workflow.graph import status as states

    found = states.statuses(config)
    if as_json:
        typer.echo(json.dumps(states.report(config, found), indent=2))
    else:
        from rich.console import Console

        from workflow.graph.status_table import show

        Console().print(show(config.profile, found, every=every))
    if curves:
        states.learning_curves(config, curves)
