"""Commands that measure cost."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from intermamba.config import load
from intermamba.models import find
from workflow.cli.app import COST, Profile, app, open_job, open_profile
from workflow.cli.progress import job_progress, progress


@app.command(rich_help_panel=COST, epilog="Example: intermamba complexity --counts-only")
def complexity(
    profile: Profile = None,
    counts_only: Annotated[
        bool, typer.Option("--counts-only", help="Count only, without timing; takes seconds at any size.")
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Time only this many steps of each sampler and extrapolate, where whole samplings take too long.",
        ),
    ] = None,
) -> None:
    """Count parameters and multiply-accumulates of every row, and time its sampler; needs no data."""
    config, job = open_job(profile, "complexity")
    from intermamba.cost import complexity as stage

    with job_progress(job, "complexity", "timing", still=True) as advance:
        stage.run(config, job, timed=not counts_only, steps=steps, progress=advance)


@app.command(rich_help_panel=COST, epilog="Example: intermamba budget --profile paper --variant intermamba --steps 10")
def budget(
    profile: Profile = None,
    variant: Annotated[list[str] | None, typer.Option(help="Rows to measure \\[default: those of Table 3].")] = None,
    steps: Annotated[int, typer.Option(help="Optimisation steps to time.")] = 10,
    warmup: Annotated[int, typer.Option(help="Warm-up steps before them.")] = 2,
    batch: Annotated[int | None, typer.Option(help="Clips per step, if the training's batch does not fit.")] = None,
) -> None:
    """Time optimisation steps on random motions, measure their memory and estimate a whole training; needs no data."""
    config = open_profile(profile)
    for name in variant or ():
        find(name)
    from intermamba.cost import training as stage
    from intermamba.cost.complexity import timed_rows

    names = variant or timed_rows(config)
    with progress("budget", unit="model", still=True) as advance:
        found = stage.run(config, names, steps=steps, warmup=warmup, batch=batch, progress=advance)
    columns = ["method", "seconds_median", "memory_gib", "batch", "training_hours"]
    typer.echo(found[columns].to_string(index=False, float_format="{:.3g}".format))


@app.command(rich_help_panel=COST, epilog="Example: intermamba bench --profile smoke")
def bench(
    profile: Profile = None,
    mamba_ssm: Annotated[
        Path | None, typer.Option(help="Folder that holds mamba_ssm's package, if it is not installed.")
    ] = None,
) -> None:
    """Time the scan and other implementations of it (extra `bench`), and sampling and training of every model."""
    config = open_profile(profile)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler, which measures memory, logs each start
    from intermamba.cost import bench as stage
    from workflow.publish import speed as report

    with progress("bench", unit="group", still=True) as advance:
        stage.run(config, mamba_ssm, advance)
    typer.echo(report.write(config.profile))


@app.command(rich_help_panel=COST, epilog="Example: intermamba plan --profile paper --gpus 8 --measured docs/paper")
def plan(
    profile: Profile = None,
    gpus: Annotated[int, typer.Option(min=1, help="Devices to schedule for.")] = 1,
    measured: Annotated[
        Path | None, typer.Option(help="Folder of budget.csv, complexity.csv, complexity_time.csv \\[results/PROFILE].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Hours, memory and disk space of the jobs that a profile has not run yet, and a schedule; needs no data."""
    config = load(profile)
    from workflow.graph import plan as planning
    from workflow.graph.plan_table import show

    found = planning.Measurements(measured or Path("results") / config.profile, config.profile)
    slots = planning.schedule(planning.costs(config, found), gpus)
    report = planning.summary(config, found, slots)
    typer.echo(json.dumps(report, indent=2) if as_json else show(report, slots, gpus))
