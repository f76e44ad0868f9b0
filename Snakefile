# The study as one graph. Every rule is one line of the `intermamba` command line; what a stage reads, writes and depends
# on is in workflow/graph/stages.py, from which dvc.yaml is compiled as well.
#
#   snakemake --cores all                             the profile params.yaml names (smoke)
#   snakemake --cores all --config profile=study      another one

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from intermamba.config import load
from intermamba.errors import ConfigError, InterMambaError, unknown
from workflow.graph.lock import RUNNER, check, hold
from workflow.graph.stages import knobs, table, targets

try:
    for key in config:
        if key != "profile":
            raise ConfigError(unknown("key", key, ["profile"], "--config; knobs are set in params.yaml"))
    STUDY = load(config.get("profile"))
    check(STUDY.profile, "snakemake")
except InterMambaError as error:
    raise WorkflowError(str(error))

STAGES = table(STUDY)
LOGS = f"results/{STUDY.profile}/logs"
THREADS = STUDY.runtime.threads
GPUS = 0 if STUDY.runtime.accelerator == "cpu" else STUDY.runtime.devices

# `intermamba` is the one beside this Python, whether or not its environment is activated.
shell.prefix(f'export PATH="{Path(sys.executable).parent}:$PATH" {RUNNER}=snakemake; ')

wildcard_constraints:
    dataset="|".join(STUDY.runs),
    seed=r"\d+",


def knobs_of(name):
    """Values of a stage's knobs for a job: when one changes, Snakemake runs the job again."""
    def values(wildcards):
        filled = [knob.format(**wildcards) for knob in STAGES[name].knobs]
        return knobs(STUDY, filled)
    return values


def told(name, category):
    """Outputs of a stage, those for readers marked for `snakemake --report`."""
    look = {"caption": f"../report/captions/{name}.rst", "category": category}
    mark = lambda path: report(path, labels={"file": Path(path).name}, **look)
    return [mark(path) if path.endswith((".png", ".csv", ".html")) else path for path in STAGES[name].outputs]


onstart:
    try:
        held = hold(STUDY.profile)
    except InterMambaError as error:
        raise WorkflowError(str(error))


rule all:
    default_target: True
    input: targets(STAGES)

include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/results.smk"
