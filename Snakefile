# The study as one graph. Every rule is one line of the `intermamba` command line; what a stage reads, writes and depends
# on is declared in workflow/graph/declarations.py, from which dvc.yaml is compiled as well.
#
#   snakemake --cores all                             the profile params.yaml names (smoke)
#   snakemake --cores all --config profile=study-cpu      another one

import signal
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from intermamba.config import load
from intermamba.errors import ConfigError, InterMambaError, unknown
from intermamba.job import digest
from workflow.graph import slurm, store, warm
from workflow.graph.lock import RUNNER, check, exclusive, exclusive_slurm
from workflow.graph.machine import has_gpu
from workflow.graph.stage import as_wildcards
from workflow.graph.stages import devices, table, targets
from workflow.graph.terminal import take_over

STORED = workflow.storage_settings.default_storage_provider is not None

try:
    for key in config:
        if key != "profile":
            raise ConfigError(unknown("key", key, ["profile"], "--config; knobs are set in params.yaml"))
    STUDY = load(config.get("profile"))
    store.use(workflow, STUDY.profile)
    check(STUDY.profile, "snakemake")
    STAGES = table(STUDY)
    if STORED and workflow.is_main_process and not workflow.output_settings.dryrun:
        for job in store.deliver(workflow, STUDY, (job for stage in STAGES.values() for job in stage.jobs())):
            logger.warning(f"Put into the store what an earlier run could not: {job.command}")
except InterMambaError as error:
    raise WorkflowError(str(error))

# Slurm sends it to all processes of a job, before the time is over; it is for a training, which saves its state.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
take_over(logger, workflow.output_settings, STUDY.profile)
BEGAN = time.time()
# `intermamba` is the one beside this Python, whether or not its environment is activated.
# It takes the shell's place, which would die of a signal that a training answers.
shell.prefix(f'export PATH="{Path(sys.executable).parent}:$PATH" {RUNNER}=snakemake; exec ')

wildcard_constraints:
    dataset="|".join(STUDY.runs),
    seed=r"\d+",
    variant=r"[^/]+",
    part=r"[^/]+",
    tower=r"[^/]+",


def placed(path):
    """Data and results of the profile are in the store, if there is one; other inputs are in the working tree. Their
    times say nothing beside those of a store that several clones use; a hash in the knobs replaces them.
    """
    if store.stored(STUDY.profile, path):
        return str(path)
    return ancient(local(str(path))) if STORED else local(str(path))


def inputs(stage):
    return lambda wildcards: [placed(path) for path in stage.job(**wildcards).reads]


def knobs(stage):
    """Each section of knobs of a job as its name and a hash: when one changes, Snakemake runs the job again and names it."""
    found = [
        lambda wildcards, place=place: digest(STUDY, stage.job(**wildcards).knobs[place])
        for place in range(len(stage.knobs))
    ]
    return [*found, lambda wildcards: store.sources(STUDY.profile, stage.job(**wildcards).reads)] if STORED else found


def command(stage):
    def line(wildcards):
        nodes, each = devices(STUDY, stage, wildcards)
        # On one node Lightning starts the processes.
        several = f"srun --nodes={nodes} --ntasks-per-node={each} --cpus-per-task={STUDY.runtime.threads} "
        return (several if nodes > 1 else "") + stage.job(**wildcards).command

    return line


def threads(stage):
    """Processor threads of a job; of each of its processes, where they are on several nodes."""

    def count(wildcards):
        if stage.threads == "machine" and workflow.local_exec:
            return workflow.cores
        nodes, each = devices(STUDY, stage, wildcards)
        return STUDY.runtime.threads * (each if nodes == 1 else 1)

    return 1 if stage.threads == "one" else count


def on_gpu():
    """Whether jobs can find a GPU. Machines of a batch system have one if the profile allows it, as far as is known here."""
    return STUDY.runtime.accelerator == "auto" and (has_gpu() or not workflow.local_exec)


def gpus(stage):
    """GPUs of a job on each of its nodes."""
    if stage.devices == "none":
        return 0
    # Which executor runs is known when the graph is built, not yet while this file is read.
    return lambda wildcards: devices(STUDY, stage, wildcards)[1] if on_gpu() else 0


def outputs(stage):
    """Results stay in place while a stage runs and are restored if it fails (`update`), but its record does not: a
    missing record makes the stage run again. Files for readers are marked for `snakemake --report`.
    """
    for path in stage.outputs.values():
        if stage.category and path.endswith((".png", ".csv", ".html")):
            look = {"caption": f"workflow/report/captions/{stage.name}.rst", "category": stage.category}
            path = report(path, labels={"file": Path(path).name}, **look)
        yield update(path)
    yield stage.record


def through_slurm():
    return workflow.executor_plugin is not None and workflow.executor_plugin.name == "slurm"


def demand(stage, want):
    """Resources that a job requests, and more after an attempt that exceeded them."""
    partition, asked = (getattr(getattr(STUDY.cluster, stage.work), name) for name in ("partition", want))

    def ask(wildcards, attempt):
        if attempt == 1 or not through_slurm():
            return asked
        grown = asked * slurm.factor(want, stage.rule, wildcards, BEGAN, workflow.executor_settings.logdir)
        # A job longer than its partition allows would never start.
        return max(asked, int(min(grown, slurm.longest(partition)))) if want == "minutes" else grown

    return ask


def site(stage):
    """Resources that only Slurm knows."""
    if partition := getattr(STUDY.cluster, stage.work).partition:
        yield "slurm_partition", partition
    if stage.threads == "machine":
        yield "slurm_extra", "'--exclusive'"
    if stage.work == "training":
        yield "slurm_extra", f"'--signal=USR1@{slurm.NOTICE}'"
    run = STUDY.runtime
    if run.nodes > 1 and stage.devices in ("all", "trained"):
        yield from {"nodes": run.nodes, "mpi": "srun"}.items()
        # The executor refuses one task a node.
        yield ("tasks_per_node", run.devices) if run.devices > 1 else ("tasks", run.nodes)


onstart:
    if STUDY.runtime.nodes > 1 and not through_slurm():
        raise WorkflowError(f"runtime.nodes is {STUDY.runtime.nodes}: several nodes need --workflow-profile profiles/slurm.")
    try:
        exclusive(STUDY.profile)
        if through_slurm():
            exclusive_slurm()
            if left := slurm.cancel_leftovers():
                logger.warning(f"Cancelled the jobs that an earlier run left: {', '.join(left)}.")
            for message in slurm.too_long(STUDY.cluster):
                logger.warning(message)
    except InterMambaError as error:
        raise WorkflowError(str(error))
    # A GPU's stages are long, and its driver must not be forked; a batch system's run elsewhere.
    # Where a command starts others, these must be commands themselves.
    alone = not on_gpu() and STUDY.runtime.devices == 1
    if workflow.local_exec and alone and warm.available() and len(workflow.dag) >= warm.WORTH:
        modules = dict.fromkeys(stage.function.partition(":")[0] for stage in STAGES.values() if stage.items)
        warm.start(modules, STUDY.runtime.threads)


rule all:
    default_target: True
    input: targets(STAGES)

for stage in STAGES.values():
    if stage.items:
        rule:
            name: stage.rule
            message: as_wildcards(stage.message)
            input: inputs(stage)
            output: list(outputs(stage))
            log: stage.log + ".log"
            benchmark: stage.log + ".tsv"
            threads: threads(stage)
            resources:
                mem_mb=demand(stage, "memory"),
                runtime=demand(stage, "minutes"),
                gpu=gpus(stage),
                **dict(site(stage)),
            params: *knobs(stage), command=command(stage)
            shell: "{params.command} > {log} 2>&1"
