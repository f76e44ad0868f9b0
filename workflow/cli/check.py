"""Commands that check a study."""

from intermamba.config import load
from workflow.cli.app import STUDY, Profile, app


@app.command(rich_help_panel=STUDY, epilog="Example: intermamba validate --profile study")
def validate(profile: Profile = None) -> None:
    """Check params.yaml, the rows of the study, and every artefact present against its provenance record."""
    config = load(profile)
    from workflow.graph import validate as stage

    stage.run(config)
