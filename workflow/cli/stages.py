"""Commands that run one stage each: thin calls into the package that owns the work."""

from typing import Annotated

import typer

from intermamba.config import load
from intermamba.errors import ConfigError
from workflow.cli.app import STAGES, DatasetOption, Profile, SeedOption, VariantOption, app, open_job
from workflow.cli.progress import progress


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba fetch --check --profile paper")
def fetch(
    dataset: Annotated[str | None, typer.Option("--dataset", help="interhuman or interx.")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="List what is there and what is missing; exit code 1 if anything is missing."),
    ] = False,
    profile: Profile = None,
) -> None:
    """Make the embedded dataset, or check the owners' files; write a manifest of every file.

    With --check: write nothing, and print every dataset and weight, whether it is there, and where to get it.
    """
    if check:
        from intermamba.data import inventory

        raise typer.Exit(0 if inventory.run(load(profile)) else 1)
    if dataset is None:
        raise ConfigError("fetch: give --dataset interhuman or --dataset interx, or --check to see what is there.")
    config, job = open_job(profile, "fetch", dataset=dataset)
    with progress(f"fetch {dataset}", unit="clip") as advance:
        job.run(config, progress=advance)


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba preprocess --dataset interhuman")
def preprocess(dataset: DatasetOption, profile: Profile = None) -> None:
    """Official processing of the raw files into one memory-mappable file a split, with statistics."""
    config, job = open_job(profile, "preprocess", dataset=dataset)
    with progress(f"preprocess {dataset}", unit="clip") as advance:
        job.run(config, progress=advance)


@app.command("encode-text", rich_help_panel=STAGES, epilog="Example: intermamba encode-text --dataset interhuman")
def encode_text(dataset: DatasetOption, profile: Profile = None) -> None:
    """Run the frozen text tower once over all captions."""
    config, job = open_job(profile, "encode-text", dataset=dataset)
    with progress(f"encode-text {dataset}", unit="caption") as advance:
        job.run(config, progress=advance)


@app.command(
    "train-evaluator", rich_help_panel=STAGES, epilog="Example: intermamba train-evaluator --dataset interhuman"
)
def train_evaluator(dataset: DatasetOption, profile: Profile = None) -> None:
    """Train the evaluator of a dataset (or load its official checkpoint)."""
    config, job = open_job(profile, "train-evaluator", dataset=dataset)
    with progress(f"train-evaluator {dataset}") as advance:
        job.run(config, progress=advance)


@app.command(
    "evaluate-reference", rich_help_panel=STAGES, epilog="Example: intermamba evaluate-reference --dataset interhuman"
)
def evaluate_reference(dataset: DatasetOption, profile: Profile = None) -> None:
    """Evaluate the real test motions, with their captions and with captions shuffled: ceiling and chance."""
    config, job = open_job(profile, "evaluate-reference", dataset=dataset)
    with progress(f"evaluate-reference {dataset}", unit="repeat") as advance:
        job.run(config, progress=advance)


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba sensitivity --dataset interhuman")
def sensitivity(dataset: DatasetOption, profile: Profile = None) -> None:
    """Damage real test motions in many ways, and see which metrics notice and which are blind to it."""
    config, job = open_job(profile, "sensitivity", dataset=dataset)
    with progress(f"sensitivity {dataset}", unit="repeat") as advance:
        job.run(config, progress=advance)


@app.command(
    rich_help_panel=STAGES, epilog="Example: intermamba train --dataset interhuman --variant intermamba --seed 0"
)
def train(dataset: DatasetOption, variant: VariantOption, seed: SeedOption = 0, profile: Profile = None) -> None:
    """Train one row of the study; a killed run goes on from its last checkpoint."""
    config, job = open_job(profile, "train", dataset=dataset, variant=variant, seed=seed)
    with progress(f"train {variant} on {dataset}, seed {seed}") as advance:
        job.run(config, progress=advance)


@app.command(
    rich_help_panel=STAGES, epilog="Example: intermamba steps --dataset interhuman --variant intermamba --seed 0"
)
def steps(dataset: DatasetOption, variant: VariantOption, seed: SeedOption = 0, profile: Profile = None) -> None:
    """Evaluate a trained row when it samples in fewer and more steps, with DDIM and DPM-Solver++."""
    config, job = open_job(profile, "steps", dataset=dataset, variant=variant, seed=seed)
    with progress(f"steps {variant} on {dataset}, seed {seed}", unit="repeat") as advance:
        job.run(config, progress=advance)


@app.command("show-reference", rich_help_panel=STAGES, epilog="Example: intermamba show-reference --dataset interhuman")
def show_reference(dataset: DatasetOption, profile: Profile = None) -> None:
    """Keep the real motions of a few test clips, chosen by their captions, for the report."""
    config, job = open_job(profile, "show-reference", dataset=dataset)
    job.run(config)


@app.command(
    rich_help_panel=STAGES, epilog="Example: intermamba show --dataset interhuman --variant intermamba --seed 0"
)
def show(dataset: DatasetOption, variant: VariantOption, seed: SeedOption = 0, profile: Profile = None) -> None:
    """Let a trained row perform the captions of the same test clips, for the report."""
    config, job = open_job(profile, "show", dataset=dataset, variant=variant, seed=seed)
    job.run(config)


@app.command(
    "re-evaluate",
    rich_help_panel=STAGES,
    epilog="Example: intermamba re-evaluate --dataset interhuman --variant intergen",
)
def re_evaluate(dataset: DatasetOption, variant: VariantOption, profile: Profile = None) -> None:
    """Evaluate an official checkpoint on the test split, by the rules of evaluate."""
    config, job = open_job(profile, "re-evaluate", dataset=dataset, variant=variant)
    with progress(f"re-evaluate {variant} on {dataset}", unit="repeat") as advance:
        job.run(config, progress=advance)


@app.command(
    "evaluate-motions",
    rich_help_panel=STAGES,
    epilog="Example: intermamba evaluate-motions --dataset interhuman --method my_method",
)
def evaluate_motions(
    dataset: DatasetOption,
    method: Annotated[str, typer.Option("--method", help="A name under `motions` in params.yaml.")],
    profile: Profile = None,
) -> None:
    """Evaluate motions of another project that the profile names, as a row of the tables."""
    config, job = open_job(profile, "evaluate-motions", dataset=dataset, method=method)
    with progress(f"evaluate {method} on {dataset}", unit="repeat") as advance:
        job.run(config, progress=advance)


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba aggregate --profile smoke")
def aggregate(profile: Profile = None) -> None:
    """Gather every row's metrics into metrics.csv, summary.csv, summary.json and alpha_beta.csv."""
    config, job = open_job(profile, "aggregate")
    job.run(config)


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba claims --profile smoke")
def claims(profile: Profile = None) -> None:
    """Decide what the paper claims on the results of this profile, with tests over trainings."""
    config, job = open_job(profile, "claims")
    job.run(config)


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba tables --profile smoke")
def tables(profile: Profile = None) -> None:
    """Write Tables 1 to 5 as LaTeX, Markdown and CSV: reported beside reproduced, never mixed."""
    config, job = open_job(profile, "tables")
    job.run(config)


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba figures --profile smoke")
def figures(profile: Profile = None) -> None:
    """Draw Figures 2 (quality over time of sampling), 7 (motions) and 8 (adaptive weights over training)."""
    config, job = open_job(profile, "figures")
    job.run(config)


@app.command(rich_help_panel=STAGES, epilog="Example: intermamba report --profile smoke")
def report(profile: Profile = None) -> None:
    """Write everything as one page that needs no network, and as a PDF where LaTeX is installed."""
    config, job = open_job(profile, "report")
    for line in job.run(config):
        typer.echo(line)
