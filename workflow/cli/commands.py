"""All commands, registered with the application in the order in which ``--help`` lists their groups."""

from workflow.cli.app import app

# isort: off
from workflow.cli import use
from workflow.cli import check
from workflow.cli import stages
from workflow.cli import cost

# isort: on

__all__ = ["app", "check", "cost", "stages", "use"]
