"""The application that the commands register with, the options they share, and how they open a profile."""

import signal
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from intermamba.config import Config, load
from intermamba.job import Job
from intermamba.models import find

INTERRUPTED = 128 + signal.SIGINT
"""Exit code of a command that Ctrl-C ended, as in shells."""


class Commands(TyperGroup):
    """Commands that answer Ctrl-C with one line; Typer alone would say "Aborted!" and exit with 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            sys.stderr.write(" ".join(["Interrupted.", *map(str, stop.args)]) + "\n")
            sys.stderr.flush()
            raise SystemExit(INTERRUPTED) from None


app = typer.Typer(
    name="intermamba",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

USE = "Use a model"
STUDY = "Start and check a study"
STAGES = "Stages of the pipeline, in the order in which they run"
COST = "Measure cost"


def _show_version(asked: bool | None) -> None:
    if asked:
        typer.echo(f"intermamba {version('intermamba')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool | None, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = None,
) -> None:
    """Text-driven generation of two people interacting: train, evaluate and compare InterMamba and its baselines."""


Profile = Annotated[str | None, typer.Option(help="Profile of params.yaml; default: the one named there.")]
DatasetOption = Annotated[str, typer.Option("--dataset", help="A dataset of the profile: interhuman or interx.")]
VariantOption = Annotated[str, typer.Option("--variant", help="A variant, such as intermamba or intergen.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Training seed of the run.")]
PartOption = Annotated[str, typer.Option("--part", help="A method and one of its trainings, such as com_mdm.prior.")]
TowerOption = Annotated[str, typer.Option("--tower", help="A text tower that a method uses instead of the profile's.")]
MethodOption = Annotated[str, typer.Option("--method", help="A name under `motions` in params.yaml.")]


def open_profile(profile: str | None) -> Config:
    """Configuration of a command; the tool that runs it takes ownership of the profile's results."""
    from workflow.graph.lock import runner, take

    config = load(profile)
    take(config.profile, runner())
    return config


def open_job(profile: str | None, stage: str, **item: object) -> tuple[Config, Job]:
    """Configuration and job of a stage's command, for any item, even one that is not part of the study.

    Raises:
        ConfigError: no such dataset or variant.
    """
    from workflow.graph.stages import job

    config = open_profile(profile)
    if "dataset" in item:
        config.dataset(str(item["dataset"]), "--dataset")
    if "variant" in item:
        find(str(item["variant"]))
    return config, job(config, stage, **item)


def split_names(names: str) -> list[str]:
    """Names between commas, each once."""
    return list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
