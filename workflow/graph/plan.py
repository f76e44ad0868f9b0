"""The cost of a profile before it starts: hours, memory and disk of every job, and a schedule for a number of GPUs.

Hours are computed from measurements on a named device: a training step (``intermamba budget``), a sampling and
multiply-accumulates (``intermamba complexity``). Each number names its basis:

- ``measured``: the variant's own step or sampling, times their number.
- ``scaled``: that of another variant or number of frames, in proportion to multiply-accumulates or frames.
- ``declared``: not measured; the job's time limit in a batch system (``cluster``). It bounds a job, but for a training,
  which continues after it.

Jobs whose record exists cost nothing more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from evaluators import protocol as protocols
from intermamba.config import Config, Dataset
from intermamba.cost.official import CLIPS, GIB, TRAINING_CLIPS
from intermamba.data import manifest as manifests
from intermamba.errors import ConfigError, StateError
from intermamba.job import Job
from intermamba.models import find
from intermamba.paths import path
from intermamba.reading.documents import read_csv
from workflow.graph.stage import Stage
from workflow.graph.stages import devices, table
from workflow.results.fusion import NAMES as FUSION_CHANGES

Basis = Literal["measured", "scaled", "declared"]

CAPTIONS = 3
"""Captions per clip [InterHuman, Inter-X]."""
FLOAT = 4
"""Bytes of a number in single precision."""
STATE = 4 * FLOAT
"""Bytes per weight in training: the weight, its gradient, and AdamW's two moments."""
SAMPLED = ("evaluate", "re-evaluate", "steps", "guidance", "fusion", "gallery")
"""Stages whose time is that of sampling."""


@dataclass(frozen=True)
class Cost:
    """Cost of one job."""

    job: Job
    hours: float
    basis: Basis
    gpus: int
    """Devices that it holds; zero for a job on processors."""
    memory: float | None = None
    """GiB of the device, where measured."""
    disk: int = 0
    """Bytes of its outputs, as far as known before it runs."""


@dataclass(frozen=True)
class Slot:
    """When a job runs, in hours from the start, and on which devices."""

    cost: Cost
    start: float
    devices: tuple[int, ...]

    @property
    def end(self) -> float:
        """Hours from the start."""
        return self.start + self.cost.hours


BUDGET, COUNTS, TIMES = "budget.csv", "complexity.csv", "complexity_time.csv"
"""Files of measurements: steps, counts, whole samplings."""


class Measurements:
    """Measurements for a profile, from a folder with ``budget.csv`` and the files of ``complexity``.

    Raises:
        StateError: one of them is missing; the message has the command that makes it.
    """

    def __init__(self, folder: Path, profile: str) -> None:
        complexity = f"intermamba complexity --profile {profile}"
        steps = self._read(folder / BUDGET, f"intermamba budget --profile {profile}")
        counts = self._read(folder / COUNTS, complexity)
        times = self._read(folder / TIMES, complexity)
        self.steps = {row["method"]: row for row in steps}
        self.counts = {row["method"]: row for row in counts if row["sizes"] == "profile"}
        seconds: dict[str, list[float]] = {}
        for row in times:
            seconds.setdefault(row["method"], []).append(row["seconds"])
        self.clip_seconds = {name: row["seconds_median"] / row["batch"] for name, row in self.steps.items()}
        self.sampling_seconds = {name: median(values) for name, values in seconds.items()}
        self.step_frames, self.sampling_frames = int(steps[0]["frames"]), int(times[0]["frames"])
        self.devices = list(dict.fromkeys(row["device"] for row in (*steps, *times)))

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Whether a folder has all of its files."""
        return all((folder / name).is_file() for name in (BUDGET, COUNTS, TIMES))

    @staticmethod
    def _read(file: Path, command: str) -> list[dict[str, Any]]:
        if not file.is_file():
            raise StateError(f"{file} does not exist. Run `{command}` on the device of the plan; it needs no data.")
        if rows := read_csv(file).to_dict("records"):
            return [{str(name): value for name, value in row.items()} for row in rows]
        raise StateError(f"{file} has no rows. Run `{command}` again.")

    def macs(self, variant: str, *, whole: bool = False) -> float:
        """Multiply-accumulates of one pass, or of a whole sampling, of a counted variant."""
        row = self.counts[variant]
        return float(row["macs_sampling"] if whole else row["macs_dense"] + row["macs_attention"] + row["macs_scan"])

    def training(self, variant: str) -> tuple[float, Basis]:
        """Seconds of a clip in a variant's training step."""
        return self._of(self.clip_seconds, variant, whole=False)

    def sampling(self, variant: str) -> tuple[float, Basis]:
        """Seconds of a variant's whole sampling."""
        return self._of(self.sampling_seconds, variant, whole=True)

    def _of(self, known: Mapping[str, float], variant: str, *, whole: bool) -> tuple[float, Basis]:
        """Seconds of a counted variant, or those of the first measured one in proportion to multiply-accumulates."""
        if variant in known:
            return known[variant], "measured"
        first = next((name for name in known if name in self.counts), None)
        if first is None:
            raise StateError(
                f"None of the measured rows ({', '.join(known)}) has counts in complexity.csv. Run `intermamba budget` "
                "and `intermamba complexity` for the same profile."
            )
        return known[first] * self.macs(variant, whole=whole) / self.macs(first, whole=whole), "scaled"


def clips(config: Config, dataset: Dataset) -> Mapping[str, int]:
    """Clips of each split: fetched ones, those of the embedded dataset, or an upper bound for the official one.

    Raises:
        ConfigError: nothing is known of an official dataset before it is fetched.
    """
    manifest = path("manifest", profile=config.profile, dataset=dataset)
    if manifest.is_file():
        return manifests.read(manifest).counts
    data = config.datasets[dataset]
    if data.source == "synthetic":
        return {split: getattr(data.synthetic, split) for split in ("train", "val", "test")}
    if dataset not in CLIPS:
        raise ConfigError(f"{dataset}: how many clips it has is known after `intermamba fetch --dataset {dataset}`.")
    train = TRAINING_CLIPS.get(dataset, CLIPS[dataset])
    rest = CLIPS[dataset] - TRAINING_CLIPS.get(dataset, 0)
    return {"train": train, "val": rest, "test": rest}


def costs(config: Config, measured: Measurements) -> list[Cost]:
    """Costs of all jobs without a record, upstream stages first."""
    return [
        _cost(config, measured, stage, job)
        for stage in table(config).values()
        for job in stage.jobs()
        if not job.record.exists()
    ]


def _cost(config: Config, measured: Measurements, stage: Stage, job: Job) -> Cost:
    nodes, each = devices(config, stage, job.item)
    gpus = nodes * each if stage.devices != "none" else 0
    counted = needs_counts(job) and job.variant in measured.counts
    if counted and stage.name == "train":
        return _training(config, measured, job, gpus)
    if counted and stage.name in SAMPLED:
        seconds, basis = measured.sampling(job.variant)
        basis, factor = _by_frames(basis, config, job.dataset, measured.sampling_frames)
        hours = seconds * factor * _samplings(config, stage.name, job.dataset) / 3600
        return Cost(job, hours, basis, gpus)
    hours = getattr(config.cluster, stage.work).minutes / 60
    return Cost(job, hours, "declared", gpus, disk=_data_bytes(config, job))


def needs_counts(job: Job) -> bool:
    """Whether the hours of a job follow from measurements of its variant."""
    return job.stage in ("train", *SAMPLED)


def _training(config: Config, measured: Measurements, job: Job, gpus: int) -> Cost:
    config = find(job.variant).configured(config)
    training, data = config.training, config.datasets[job.dataset]
    seconds, basis = measured.training(job.variant)
    basis, factor = _by_frames(basis, config, job.dataset, measured.step_frames)
    at_once = config.clips_a_pass()
    share = at_once * config.runtime.accumulate
    epoch = clips(config, job.dataset)["train"] * (2 if data.mirror else 1) // training.batch
    parameters = int(measured.counts[job.variant]["parameters"])
    memory = None
    if row := measured.steps.get(job.variant):
        fixed = STATE * parameters / GIB
        memory = fixed + max(row["memory_gib"] - fixed, 0.0) * at_once / row["batch"] * factor
    hours = seconds * factor * share * epoch * training.epochs / 3600
    return Cost(job, hours, basis, gpus, memory, parameters * FLOAT)


def _by_frames(basis: Basis, config: Config, dataset: Dataset, frames: int) -> tuple[Basis, float]:
    factor = config.datasets[dataset].max_frames / frames
    return ("scaled" if factor != 1 else basis), factor


def _samplings(config: Config, stage: str, dataset: Dataset) -> float:
    """Motions that a stage draws, in samplings of the profile's number of steps."""
    if stage == "gallery":
        return float(config.report.prompts)
    protocol = protocols.load(config.protocol[dataset])
    once = protocol.evaluated(clips(config, dataset)["test"])
    match stage:  # the first three measure no MModality
        case "steps":
            numbers = [number for steps in config.steps.solvers.values() for number in steps]
            return once * config.steps.repeats * sum(numbers) / config.diffusion.sampling_steps
        case "guidance":
            return float(once * config.guidance.repeats * len(config.guidance.scales))
        case "fusion":
            return float(once * config.fusion.repeats * (len(FUSION_CHANGES) + config.fusion.bins))
    variations = protocol.multimodality
    several = min(variations.repeats, protocol.repeats) * variations.captions * variations.samples
    return float(once * protocol.repeats + several)


def _data_bytes(config: Config, job: Job) -> int:
    """Upper bound on the bytes that a data stage writes: split files hold the raw data, the text cache all tokens."""
    if job.stage == "preprocess" and job["manifest"].is_file():
        return sum(one.bytes for one in manifests.read(job["manifest"]).files.values())
    if job.stage != "encode-text":
        return 0
    data, text, counts = config.datasets[job.dataset], config.text, clips(config, job.dataset)
    captions = CAPTIONS * (counts["train"] * (2 if data.mirror else 1) + counts["val"] + counts["test"])
    captions *= 3 if job.dataset == "interhuman" and data.individual else 1  # the pair's, and each person's
    return captions * text.context * text.width * (2 if text.precision == "float16" else FLOAT)


def schedule(costs: Sequence[Cost], gpus: int) -> list[Slot]:
    """When each job runs on ``gpus`` devices: among ready jobs, the one that most work depends on comes first.

    Processors are assumed to be unlimited.

    Raises:
        ConfigError: a job needs more devices than there are.
    """
    if (most := max((cost.gpus for cost in costs), default=0)) > gpus:
        raise ConfigError(f"--gpus {gpus}: a job of this profile holds {most} (runtime.devices).")
    makers = {file: place for place, cost in enumerate(costs) for file in cost.job.writes}
    needs = [sorted({makers[file] for file in cost.job.reads if file in makers}) for cost in costs]
    behind = [cost.hours for cost in costs]
    for place in reversed(range(len(costs))):  # upstream stages come first
        for need in needs[place]:
            behind[need] = max(behind[need], costs[need].hours + behind[place])
    free = [0.0] * gpus
    slots: dict[int, Slot] = {}
    while len(slots) < len(costs):
        ready = [
            (max((slots[need].end for need in needs[place]), default=0.0), place)
            for place in range(len(costs))
            if place not in slots and all(need in slots for need in needs[place])
        ]
        start, place = min(ready, key=lambda one: (max(one[0], _when(free, costs[one[1]].gpus)), -behind[one[1]]))
        cost = costs[place]
        devices = tuple(sorted(range(gpus), key=lambda device: free[device])[: cost.gpus])
        begin = max([start, *(free[device] for device in devices)])
        for device in devices:
            free[device] = begin + cost.hours
        slots[place] = Slot(cost, begin, devices)
    return [slots[place] for place in range(len(costs))]


def _when(free: Sequence[float], gpus: int) -> float:
    """Time at which ``gpus`` devices are free at once."""
    return sorted(free)[gpus - 1] if gpus else 0.0


def by_stage(costs: Iterable[Cost]) -> dict[str, list[Cost]]:
    """Costs grouped by stage, in their order."""
    found: dict[str, list[Cost]] = {}
    for cost in costs:
        found.setdefault(cost.job.stage, []).append(cost)
    return found


def summary(config: Config, measured: Measurements, slots: Sequence[Slot]) -> dict[str, Any]:
    """The whole plan as JSON values."""
    every = [slot.cost for slot in slots]
    memory = [cost.memory for cost in every if cost.memory is not None]
    uncounted = [one.job.variant for one in every if needs_counts(one.job) and one.job.variant not in measured.counts]
    return {
        "profile": config.profile,
        "devices": measured.devices,
        "jobs": len(every),
        "uncounted": list(dict.fromkeys(uncounted)),
        "gpu_hours": sum(cost.hours * cost.gpus for cost in every),
        "hours": max((slot.end for slot in slots), default=0.0),
        "memory_gib": max(memory, default=None),
        "disk_bytes": sum(cost.disk for cost in every),
        "clips": {dataset: dict(clips(config, dataset)) for dataset in config.runs},
        "schedule": [
            {
                "command": slot.cost.job.command,
                "start_hours": slot.start,
                "end_hours": slot.end,
                "gpus": list(slot.devices),
                "basis": slot.cost.basis,
            }
            for slot in slots
        ],
    }
