"""The command line: one subcommand a stage, each a thin call into the package that owns the work.

Nothing heavy is imported before a command runs, so that ``--help`` and no-op runs stay fast.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from intermamba.config import Config, Dataset, OfficialConfig, load
from intermamba.errors import ConfigError, InterMambaError, unknown
from intermamba.models import find
from intermamba.paths import SAMPLES

app = typer.Typer(
    name="intermamba",
    help="Text-driven generation of two people interacting: train, judge and tabulate InterMamba and its rivals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Profile = Annotated[str | None, typer.Option(help="Profile of params.yaml; by default the one it names.")]
DatasetOption = Annotated[str, typer.Option("--dataset", help="interhuman or interx.")]
VariantOption = Annotated[
    str, typer.Option("--variant", help="A row under ablations/, such as intermamba or intergen.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Training seed of the row.")]


def _open(profile: str | None) -> Config:
    """Configuration of a command, with this working tree claimed for the tool that runs it."""
    from workflow.owner import claim, runner

    config = load(profile)
    claim(config.profile, runner())
    return config


def _open_dataset(profile: str | None, dataset: str) -> tuple[Config, Dataset]:
    config = _open(profile)
    for known in config.datasets:
        if dataset == known:
            return config, known
    raise ConfigError(unknown("dataset", dataset, config.datasets, "--dataset"))


def _listed(names: str) -> list[str]:
    """Names between commas, each once."""
    return list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))


@contextmanager
def _progress(what: str, total: int | None = None, still: bool = False) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, nothing in a log file.

    A ``still`` bar is drawn only when work is reported done, so that nothing runs beside a measurement.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = sys.stderr.isatty()
    with Progress(*columns, transient=True, disable=not shown, auto_refresh=not still) as bars:
        task = bars.add_task(what, total=total)

        def advance(done: int) -> None:
            bars.advance(task, done)
            if still:
                bars.refresh()

        yield advance


@app.command()
def fetch(
    dataset: Annotated[str | None, typer.Option("--dataset", help="interhuman or interx.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell what is there: exit code 0 if all that is asked for is, else 1.")
    ] = False,
    profile: Profile = None,
) -> None:
    """Make the embedded dataset, or check the owners' files; write a manifest of every file.

    With --check: write nothing, and print every dataset and weight, whether it is there, and where to get it.
    """
    if check:
        from workflow import inventory

        raise typer.Exit(0 if inventory.run(load(profile)) else 1)
    if dataset is None:
        raise ConfigError("fetch: give --dataset interhuman or --dataset interx, or --check to see what is there.")
    config, name = _open_dataset(profile, dataset)
    from intermamba.data import fetch as stage

    with _progress(f"fetch {dataset}") as advance:
        stage.run(config, name, advance)


@app.command()
def preprocess(dataset: DatasetOption, profile: Profile = None) -> None:
    """Official processing of the raw files into one memory-mappable file a split, with statistics."""
    config, name = _open_dataset(profile, dataset)
    from intermamba.data import preprocess as stage

    with _progress(f"preprocess {dataset}") as advance:
        stage.run(config, name, advance)


@app.command("encode-text")
def encode_text(dataset: DatasetOption, profile: Profile = None) -> None:
    """Run the frozen text tower once over all captions."""
    config, name = _open_dataset(profile, dataset)
    from intermamba.text import cache as stage

    with _progress(f"encode {dataset}") as advance:
        stage.run(config, name, advance)


@app.command("train-evaluator")
def train_evaluator(dataset: DatasetOption, profile: Profile = None) -> None:
    """Train the judge of a dataset (or load its official checkpoint)."""
    config, name = _open_dataset(profile, dataset)
    from evaluators import training as stage

    stage.run(config, name, progress=sys.stderr.isatty())


@app.command()
def train(dataset: DatasetOption, variant: VariantOption, seed: SeedOption = 0, profile: Profile = None) -> None:
    """Train one row of the study; a killed run goes on from its last checkpoint."""
    config, name = _open_dataset(profile, dataset)
    find(variant)
    from intermamba.training import run as stage

    stage.run(config, name, variant, seed, progress=sys.stderr.isatty())


@app.command("judge-real")
def judge_real(dataset: DatasetOption, profile: Profile = None) -> None:
    """Judge the real test motions, with their captions and with captions shuffled: ceiling and chance."""
    config, name = _open_dataset(profile, dataset)
    from workflow import real as stage

    with _progress(f"judge real {dataset}") as advance:
        stage.run(config, name, advance)


@app.command()
def steps(dataset: DatasetOption, variant: VariantOption, seed: SeedOption = 0, profile: Profile = None) -> None:
    """Judge a trained row when it samples in fewer and more steps, with DDIM and DPM-Solver++."""
    config, name = _open_dataset(profile, dataset)
    find(variant)
    from workflow import steps as stage

    with _progress(f"steps {variant} on {dataset}") as advance:
        stage.run(config, name, variant, seed, advance)


@app.command()
def sensitivity(dataset: DatasetOption, profile: Profile = None) -> None:
    """Damage real test motions in many ways, and see which metrics notice and which are blind to it."""
    config, name = _open_dataset(profile, dataset)
    from workflow import real as stage

    with _progress(f"sensitivity {dataset}") as advance:
        stage.run_sensitivity(config, name, advance)


@app.command()
def evaluate(
    dataset: DatasetOption,
    variant: Annotated[str | None, typer.Option(help="A trained row, such as intermamba or intergen.")] = None,
    seed: Annotated[int | None, typer.Option(help="Training seed of the row [default: 0].")] = None,
    motions: Annotated[Path | None, typer.Option(help="Folder of another project's motions (docs/data.md).")] = None,
    method: Annotated[
        str | None, typer.Option(help="With --motions: name of what made them [default: the folder's].")
    ] = None,
    profile: Profile = None,
) -> None:
    """Judge a trained row, or a folder of motions, by the dataset's protocol, every repeat with its own seed."""
    config, name = _open_dataset(profile, dataset)
    if motions is not None and variant is None and seed is None:
        from workflow import motions as folder

        with _progress(f"evaluate {motions} on {dataset}") as advance:
            typer.echo(folder.run(config, name, motions, method, advance))
    elif variant is not None and motions is None and method is None:
        find(variant)
        from workflow import evaluate as stage

        with _progress(f"evaluate {variant} on {dataset}") as advance:
            stage.run(config, name, variant, seed or 0, advance)
    else:
        raise ConfigError(
            "evaluate judges either a trained row (--variant, --seed) or a folder of motions (--motions, --method)."
        )


@app.command("show-real")
def show_real(dataset: DatasetOption, profile: Profile = None) -> None:
    """Keep the real motions of a few test clips, chosen by their captions, for the report."""
    config, name = _open_dataset(profile, dataset)
    from workflow import shown as stage

    stage.run_real(config, name)


@app.command()
def show(dataset: DatasetOption, variant: VariantOption, seed: SeedOption = 0, profile: Profile = None) -> None:
    """Let a trained row perform the captions of the same test clips, for the report."""
    config, name = _open_dataset(profile, dataset)
    find(variant)
    from workflow import shown as stage

    stage.run(config, name, variant, seed)


@app.command()
def adopt(
    dataset: DatasetOption,
    variant: Annotated[str, typer.Option("--variant", help="intergen or in2in.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="A file other than the profile's; needs the next two.")
    ] = None,
    normalisation: Annotated[Path | None, typer.Option(help="Folder of its mean and deviation.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write the adopted weights.")] = None,
    profile: Profile = None,
) -> None:
    """Make an official checkpoint of InterGen or in2IN one of ours: the profile's, or any other."""
    config, name = _open_dataset(profile, dataset)
    from intermamba import adopt as stage

    if checkpoint and normalisation and output:
        source = OfficialConfig(checkpoint=str(checkpoint), normalisation=str(normalisation))
        stage.adopt(config, name, variant, source, output)
    elif checkpoint or normalisation or output:
        raise ConfigError("--checkpoint, --normalisation and --output belong together: give all three or none.")
    else:
        stage.run(config, name, variant)


@app.command("re-evaluate")
def re_evaluate(dataset: DatasetOption, variant: VariantOption, profile: Profile = None) -> None:
    """Judge an official checkpoint on the test split, by the rules of evaluate."""
    config, name = _open_dataset(profile, dataset)
    find(variant)
    from workflow import evaluate as stage

    with _progress(f"re-evaluate {variant} on {dataset}") as advance:
        stage.run(config, name, variant, None, advance)


@app.command()
def aggregate(profile: Profile = None) -> None:
    """Gather every row's metrics into metrics.csv, summary.csv, summary.json and alpha_beta.csv."""
    config = _open(profile)
    from workflow import aggregate as stage

    stage.run(config)


@app.command()
def complexity(
    profile: Profile = None,
    counts_only: Annotated[bool, typer.Option("--counts-only", help="Time nothing: seconds at any size.")] = False,
) -> None:
    """Count parameters and multiply-accumulates of every row, and time its sampler; needs no data."""
    config = _open(profile)
    from intermamba import complexity as stage

    planned = len(stage.timed_rows(config)) * stage.repeats(config)
    with _progress("time samplers", planned, still=True) as advance:
        stage.run(config, timed=not counts_only, advance=advance)


@app.command()
def budget(
    profile: Profile = None,
    variant: Annotated[list[str] | None, typer.Option(help="Rows to measure [default: those of Table 3].")] = None,
    steps: Annotated[int, typer.Option(help="Optimisation steps to time.")] = 10,
    warmup: Annotated[int, typer.Option(help="Steps before them.")] = 2,
    batch: Annotated[int | None, typer.Option(help="Clips a step, where those of training do not fit.")] = None,
) -> None:
    """Time optimisation steps on random motions, weigh their memory, and estimate a whole training; needs no data."""
    config = _open(profile)
    for name in variant or ():
        find(name)
    from intermamba import budget as stage
    from intermamba.complexity import timed_rows

    names = variant or timed_rows(config)
    with _progress("measure steps", len(names), still=True) as advance:
        found = stage.run(config, names, steps=steps, warmup=warmup, batch=batch, advance=advance)
    shown = ["method", "seconds_median", "memory_gib", "batch", "training_hours"]
    typer.echo(found[shown].to_string(index=False, float_format="{:.3g}".format))


@app.command()
def bench(
    profile: Profile = None,
    mamba_ssm: Annotated[
        Path | None, typer.Option(help="Folder that holds mamba_ssm's package, if it is not installed.")
    ] = None,
) -> None:
    """Time the scan beside others' (extra `bench`), sampling and training of every model; tables and plots."""
    config = _open(profile)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler, which measures memory, tells of each start
    from intermamba import bench as stage
    from workflow import speed as report

    with _progress("take turns", stage.groups(config), still=True) as advance:
        stage.run(config, mamba_ssm, advance)
    typer.echo(report.write(config.profile))


@app.command()
def tables(profile: Profile = None) -> None:
    """Write Tables 1 to 5 as LaTeX, Markdown and CSV: reported beside reproduced, never mixed."""
    config = _open(profile)
    from workflow import tables as stage

    stage.run(config)


@app.command()
def claims(profile: Profile = None) -> None:
    """Decide what the paper claims on the results of this profile, with tests over trainings."""
    config = _open(profile)
    from workflow import claims as stage

    stage.run(config)


@app.command()
def figures(profile: Profile = None) -> None:
    """Draw Figures 2 (quality over time of sampling), 7 (motions) and 8 (adaptive weights over training)."""
    config = _open(profile)
    from workflow import figures as stage

    stage.run(config)


@app.command()
def report(profile: Profile = None) -> None:
    """Write everything as one page that needs no network, and as a PDF where LaTeX is installed."""
    config = _open(profile)
    from workflow.report import build as stage

    for line in stage.run(config):
        typer.echo(line)


@app.command()
def sample(
    checkpoint: Annotated[Path, typer.Option(help="Weights of a trained denoiser.")],
    prompt: Annotated[list[str] | None, typer.Argument(help="What the two people do.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="File of more prompts, one a line.")] = None,
    person_a: Annotated[
        list[str] | None, typer.Option(help="What person a does, once a prompt; only for models that read it (in2IN).")
    ] = None,
    person_b: Annotated[list[str] | None, typer.Option(help="What person b does, likewise.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames, 30 a second; by default the most it can.")] = None,
    seeds: Annotated[int, typer.Option(help="Motions a prompt, from seeds 0, 1, 2, ...")] = 1,
    output: Annotated[Path, typer.Option(help="Folder for a folder a prompt.")] = SAMPLES,
    formats: Annotated[
        str, typer.Option("--format", help="Beside npz, which is always written: mp4, gif, bvh, glb; with commas.")
    ] = "mp4",
    guidance: Annotated[float | None, typer.Option(help="Scale of guidance; by default the profile's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler; by default the profile's.")] = None,
    profile: Profile = None,
) -> None:
    """Generate motions for prompts: joints and rotations as npz, films, BVH and GLB."""
    config = load(profile)
    from intermamba import sample as command

    captions = [*(prompt or []), *(command.read_prompts(prompts) if prompts else [])]
    with _progress("sample") as advance:
        written = command.run(
            config,
            checkpoint,
            command.pair_up(captions, person_a or [], person_b or []),
            frames=frames,
            seeds=seeds,
            output=output,
            formats=[name for name in _listed(formats) if name != "npz"],
            guidance=guidance,
            steps=steps,
            progress=advance,
        )
    for path in written:
        typer.echo(path)


@app.command("export")
def export_(
    samples: Annotated[list[Path], typer.Argument(help="npz files that `sample` wrote.")],
    formats: Annotated[str, typer.Option("--format", help="bvh, glb, or both with a comma.")] = "bvh,glb",
) -> None:
    """Write samples for other programs, beside them: BVH, a file a person, and GLB, both persons in one."""
    from intermamba import export

    for name in _listed(formats):
        if name not in export.FORMATS:
            raise ConfigError(unknown("format", name, export.FORMATS, "--format"))
    for sample_file in samples:
        content = export.read(sample_file)
        for name in _listed(formats):
            export.save(sample_file.with_suffix(""), name, content)
            for written in export.places(sample_file.with_suffix(""), name):
                typer.echo(written)


@app.command()
def validate(profile: Profile = None) -> None:
    """Check params.yaml, the rows of the study, and every artefact present against its provenance record."""
    config = load(profile)
    from workflow import validate as stage

    stage.run(config)


def main() -> None:
    """Entry point: problems of the user's making are one message and exit code 2, without a traceback."""
    try:
        app()
    except InterMambaError as error:
        from rich.console import Console

        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.stderr.flush()
        raise SystemExit(2) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
