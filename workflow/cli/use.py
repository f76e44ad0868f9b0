"""Commands that make or measure motions: sample, export, evaluate, prompts, adopt."""

from pathlib import Path
from typing import Annotated

import typer

from intermamba.config import OfficialConfig, load
from intermamba.errors import ConfigError, unknown
from intermamba.paths import SAMPLES
from workflow.cli.app import USE, DatasetOption, Profile, app, open_job, open_profile, split_names
from workflow.cli.progress import job_progress, progress
from workflow.graph.state import reported


@app.command(
    rich_help_panel=USE, epilog='Example: intermamba sample "Two people dance and mirror each other." --format gif,glb'
)
def sample(
    prompt: Annotated[list[str] | None, typer.Argument(help="What the two people do.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights of a trained denoiser; default: the demo of the package.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="File of more prompts, one per line; or the output of `intermamba prompts`."),
    ] = None,
    person_a: Annotated[
        list[str] | None,
        typer.Option(help="What person a does, one per prompt (may be repeated); for models that read it (in2IN)."),
    ] = None,
    person_b: Annotated[list[str] | None, typer.Option(help="What person b does, likewise.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames, 30 per second; default: the model's maximum.")] = None,
    seeds: Annotated[int, typer.Option(help="Motions per prompt, from seeds 0, 1, 2, ...")] = 1,
    output: Annotated[Path, typer.Option(help="Folder for one folder per prompt.")] = SAMPLES,
    formats: Annotated[
        str, typer.Option("--format", help="Formats besides npz, separated by commas: mp4, gif, bvh, glb.")
    ] = "mp4",
    guidance: Annotated[
        float | None, typer.Option(help="Guidance scale, 0 or more; default: the checkpoint's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler; default: the checkpoint's.")] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Profile of params.yaml, for the text tower's path, sampling and runtime settings."),
    ] = None,
) -> None:
    """Generate motions for prompts: joints and rotations as npz, films, BVH and GLB.

    Needs no params.yaml: a checkpoint holds all settings. Without --checkpoint it uses the package's demo checkpoint.
    """
    from intermamba import requests
    from intermamba import sample as command
    from intermamba.prompts import from_requests, pair_up, read_prompts

    asked = requests.read(prompts) if prompts and prompts.suffix.lower() in requests.FORMATS else []
    captions = [*(prompt or []), *(read_prompts(prompts) if prompts and not asked else [])]
    every = [*pair_up(captions, person_a or [], person_b or []), *from_requests(asked)]
    remarks: list[str] = []
    with progress("sample", unit="motion") as advance:
        written = command.run(
            None if profile is None else load(profile),
            checkpoint,
            every,
            frames=frames,
            seeds=seeds,
            output=output,
            formats=[name for name in split_names(formats) if name != "npz"],
            guidance=guidance,
            steps=steps,
            progress=advance,
            remark=remarks.append,
        )
    for path in written:
        typer.echo(path)
    for line in remarks:
        typer.echo(f"note: {line}", err=True)


@app.command(
    "export",
    rich_help_panel=USE,
    epilog="Example: intermamba export results/samples/two-people-bow-to-each-other/seed0.npz --format bvh",
)
def export_(
    samples: Annotated[list[Path], typer.Argument(help="npz files written by `sample`.")],
    formats: Annotated[str, typer.Option("--format", help="bvh, glb or both, separated by a comma.")] = "bvh,glb",
) -> None:
    """Convert samples for other programs: BVH, one file per person, and GLB, both persons in one file."""
    from intermamba import export
    from intermamba.motion import EXPORTS, places

    for name in split_names(formats):
        if name not in EXPORTS:
            raise ConfigError(unknown("format", name, EXPORTS, "--format"))
    for sample_file in samples:
        content = export.read(sample_file)
        for name in split_names(formats):
            export.save(target := sample_file.with_suffix(f".{name}"), content)
            for written in places(target):
                typer.echo(written)


@app.command(
    rich_help_panel=USE, epilog="Example: intermamba evaluate --dataset interhuman --motions my_motions --method mine"
)
def evaluate(
    dataset: DatasetOption,
    variant: Annotated[
        str | None, typer.Option(help="The variant of a trained run, such as intermamba or intergen.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Training seed of the run \\[default: 0].")] = None,
    motions: Annotated[
        Path | None, typer.Option(help="Folder of another project's motions (docs/howto/own-motions.md).")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="With --motions: name of the method \\[default: the folder's].")
    ] = None,
    profile: Profile = None,
) -> None:
    """Evaluate a trained run, or a folder of motions, by the dataset's protocol, every repeat with its own seed."""
    if motions is not None and variant is None and seed is None:
        config = open_profile(profile)
        from workflow.graph.stages import evaluation_of

        name = config.dataset(dataset, "--dataset")
        if not motions.is_dir():
            raise ConfigError(f"--motions {motions}: no such folder. docs/howto/own-motions.md describes its contents.")
        job = evaluation_of(config, name, method or motions.resolve().name, motions)
        with job_progress(job, f"evaluate {motions} on {dataset}", "repeat") as advance:
            job.run(config, progress=advance)
        typer.echo(f"Metrics: {job['metrics']}\nRecord:  {job.record}")
    elif variant is not None and motions is None and method is None:
        config, job = open_job(profile, "evaluate", dataset=dataset, variant=variant, seed=seed or 0)
        with job_progress(job, f"evaluate {variant} on {dataset}, seed {seed or 0}", "repeat") as advance:
            job.run(config, progress=advance)
    else:
        raise ConfigError(
            "evaluate takes either a trained run (--variant, --seed) or a folder of motions (--motions, --method)."
        )


@app.command(rich_help_panel=USE, epilog="Example: intermamba prompts --dataset interhuman --output prompts.jsonl")
def prompts(
    dataset: DatasetOption,
    output: Annotated[
        Path | None, typer.Option(help="File to write, .jsonl or .csv; default: a table in the terminal.")
    ] = None,
    sets: Annotated[
        int, typer.Option(help="Motions per test clip: the first repeats of the protocol get a set each.")
    ] = 1,
    profile: Profile = None,
) -> None:
    """List the test clips and captions that a method has to answer to be evaluated with `evaluate --motions`."""
    config = open_profile(profile)
    from workflow.evaluation import prompts as command

    command.run(config, config.dataset(dataset, "--dataset"), sets, output)


@app.command(
    rich_help_panel=USE,
    epilog="Example: intermamba adopt --dataset interhuman --variant intergen --profile paper",
)
def adopt(
    dataset: DatasetOption,
    variant: Annotated[str, typer.Option("--variant", help="Row whose authors released it, such as intergen or t2m.")],
    checkpoint: Annotated[Path | None, typer.Option(help="A file other than the profile's; needs --output.")] = None,
    normalisation: Annotated[
        Path | None, typer.Option(help="Folder of its mean and deviation, if it was trained with some.")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(help="Second file: T2M's length estimator, InterMask's VQ-VAE.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write the adopted weights.")] = None,
    profile: Profile = None,
) -> None:
    """Import a checkpoint of a method's authors: convert the profile's, or another, to this project's format."""
    given = (checkpoint, normalisation, beside, output)
    if not any(given):
        config, job = open_job(profile, "adopt", dataset=dataset, variant=variant)
        with reported(job):
            job.run(config)
        return
    if not (checkpoint and output):
        raise ConfigError("--checkpoint and --output belong together, with --normalisation and --beside if needed.")
    from workflow.graph import stages

    source = OfficialConfig(
        checkpoint=str(checkpoint),
        normalisation=str(normalisation) if normalisation else None,
        beside=str(beside) if beside else None,
    )
    config = open_profile(profile)
    config, job = stages.adoption(config, config.dataset(dataset, "--dataset"), variant, source, output)
    job.run(config)
