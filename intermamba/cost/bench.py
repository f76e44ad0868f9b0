"""Command ``bench``: time and memory of the scan, sampling and training, compared with other implementations.

Everything is measured in one process on random data. The compared functions take turns, so that a change of the
machine's load affects all alike. A function that this machine cannot run has a row with the reason.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from intermamba import files, provenance
from intermamba.config import Config
from intermamba.cost import models, scans
from intermamba.cost.complexity import cores, device, measured_on, timed_rows
from intermamba.cost.timing import exponent
from intermamba.paths import path
from intermamba.progress import SILENT, Progress
from intermamba.seeds import derive

TABLES = ("scan", "models", "growth", "exponents")
"""Files written, the main one first."""
KNOBS = (
    *("bench", "complexity", "methods", "model", "diffusion", "training"),
    *("losses", "text", "datasets.interhuman", "runtime"),
)
PEERS = ("mamba-ssm", "mambapy", "einops", "triton")


def run(config: Config, mamba_ssm: Path | None = None, progress: Progress = SILENT) -> None:
    """Measure everything, then write ``scan.csv``, ``models.csv``, ``growth.csv`` and ``exponents.csv``.

    Every measurement has the columns of :func:`intermamba.cost.timing.summary`, ``device`` and ``note``, which gives
    the reason for a missing number.

    ``mamba_ssm`` is the folder of mamba_ssm's package, if it is not installed. ``progress`` counts groups of
    measurements that take turns.

    Raises:
        ConfigError: the profile has no InterHuman.
    """
    measured_on(config)
    outputs = {name: path("bench", profile=config.profile, table=name, format="csv") for name in TABLES}
    seed = derive(config.seed, "bench")
    knobs = {name: config.section(name) for name in KNOBS}
    names = timed_rows(config)
    with provenance.recorded("bench", outputs.values(), config=knobs, seeds={"weights": seed}) as notes:
        where, of_scans, of_models = device(config), cores(config.bench.threads), cores(config.runtime.threads)
        notes.update(
            device=where,
            packages=dict.fromkeys(PEERS, "not installed") | provenance.versions(PEERS),
            compared=scans.origin(mamba_ssm),
        )
        notes.update(threads={"scan": of_scans, "models": of_models})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.set_num_threads(of_scans)
            progress.start(2 * len(config.bench.shapes) + 2 + 2)
            found = {"scan": _table(scans.measure(config.bench, where, mamba_ssm), progress)}
            torch.set_num_threads(of_models)
            found["models"] = _table(models.costs(config, names, where), progress)
            found["growth"] = _table(models.growth(config, names, where), progress)
            found["exponents"] = exponents(found["growth"])
        for name, output in outputs.items():
            files.write_csv(output, found[name])


def exponents(growth: pd.DataFrame) -> pd.DataFrame:
    """One row per model and axis: the slope of log(median seconds) over log(size), and its standard error."""
    fits = []
    for (where, method, axis), part in growth.dropna(subset="seconds_median").groupby(
        ["device", "method", "axis"], sort=False
    ):
        slope, error = exponent(part["size"].tolist(), part["seconds_median"].tolist())
        fits.append({"device": where, "method": method, "axis": axis, "exponent": slope, "standard_error": error})
    return pd.DataFrame(fits)


def _table(rows: Iterator[list[dict[str, Any]]], progress: Progress) -> pd.DataFrame:
    """The rows of all groups; each group is measured when it is asked for."""
    found: list[dict[str, Any]] = []
    for group in rows:
        found += group
        progress()
    return pd.DataFrame(found)
