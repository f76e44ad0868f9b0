"""Commands that start and check a study."""

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


@app.command(rich_help_panel=STUDY, epilog="Example: intermamba validate --profile study")
def validate(profile: Profile = None) -> None:
    """Check params.yaml, the rows of the study, and every artefact present against its provenance record."""
    config = load(profile)
    from workflow.graph import validate as stage

    stage.run(config)
