"""A plan as text: the cost of each stage, the total, and the schedule of each device."""

from collections.abc import Mapping, Sequence
from typing import Any

from intermamba.progress import duration
from workflow.graph.plan import Slot, by_stage
from workflow.tables.markdown import pipes

GB = 10**9


def show(report: Mapping[str, Any], slots: Sequence[Slot], gpus: int) -> str:
    """``report`` is :func:`workflow.graph.plan.summary` of ``slots``."""
    if not slots:
        return f"Profile {report['profile']}: nothing is left to run."
    parts = [
        f"Profile {report['profile']}, {report['jobs']} jobs left, times as measured on "
        f"{' and '.join(report['devices'])}.",
        _stages(slots),
        *_uncounted(report),
        _whole(report, gpus),
        _devices(slots, gpus),
    ]
    return "\n\n".join(parts)


def _stages(slots: Sequence[Slot]) -> str:
    head = ["Stage", "Jobs", "GPU hours", "Hours", "Longest", "Basis"]
    rows = []
    for name, costs in by_stage(slot.cost for slot in slots).items():
        held = sum(cost.hours * cost.gpus for cost in costs)
        rows.append(
            [
                name,
                str(len(costs)),
                f"{held:,.1f}",
                f"{sum(cost.hours for cost in costs):,.1f}",
                duration(3600 * max(cost.hours for cost in costs)),
                ", ".join(sorted({cost.basis for cost in costs})),
            ]
        )
    return pipes([head, [":--", *[":-:"] * (len(head) - 2), ":--"], *rows])


def _uncounted(report: Mapping[str, Any]) -> list[str]:
    if not (names := report["uncounted"]):
        return []
    return [
        f"Not counted: {', '.join(names)}. Their jobs have the time limits of `cluster`, and no disk or memory. "
        f"`intermamba complexity --counts-only --profile {report['profile']}` counts every row, without data or a GPU; "
        f"`intermamba budget --profile {report['profile']}` measures their steps."
    ]


def _whole(report: Mapping[str, Any], gpus: int) -> str:
    time = duration(3600 * report["hours"])
    lines = [
        f"{report['gpu_hours']:,.0f} GPU hours; {time} with {gpus} at a time, if no job waits for processors.",
        f"Disk: at most {report['disk_bytes'] / GB:.1f} GB of weights, features of captions and split files (once "
        "the data are fetched); a running training needs three times its weights in addition.",
    ]
    if report["memory_gib"] is not None:
        lines.append(f"Memory of a training step: at most {report['memory_gib']:.1f} GiB of a device.")
    counts = "; ".join(f"{name} {clips['train']} to train on" for name, clips in report["clips"].items())
    lines.append(f"Clips: {counts}.")
    return "\n".join(lines)


def _devices(slots: Sequence[Slot], gpus: int) -> str:
    lines = []
    for device in range(gpus):
        mine = sorted((slot for slot in slots if device in slot.devices), key=lambda slot: slot.start)
        lines += [f"GPU {device}:", *(f"  {_times(slot)}  {_what(slot)}" for slot in mine)]
    return "\n".join(lines)


def _times(slot: Slot) -> str:
    return f"{slot.start:9.1f} – {slot.end:9.1f} h"


def _what(slot: Slot) -> str:
    job = slot.cost.job
    return " ".join([job.stage, *job.item.values()])
