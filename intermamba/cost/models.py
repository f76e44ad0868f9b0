"""Sampling and training of every model: time, memory, and growth with frames and batch."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, TypeVar

import torch
from torch import Tensor

from intermamba.config import Config, Sampler
from intermamba.cost.complexity import measured_on, sample, untrained
from intermamba.cost.timing import Taken, elapsed, interleaved, peak, unmeasured
from intermamba.cost.training import example
from intermamba.generate import sampler_of
from intermamba.models import find
from intermamba.models.astm import Scan

Rows = list[dict[str, Any]]
Key = TypeVar("Key", bound=Hashable)
DEVICES = ("cpu", "cuda")
SAMPLERS: dict[str, tuple[tuple[Sampler, str], ...]] = {
    "cpu": (("plain", "float32"),),
    "cuda": (("plain", "float32"), ("plain", "bfloat16"), ("graph", "float32"), ("graph", "bfloat16")),
}
"""Samplers and precisions of each device."""
SCANS = ("auto", "reference")


def costs(config: Config, names: Sequence[str], device: str) -> Iterator[Rows]:
    """Rows of whole guided samplings of one clip, then of optimisation steps; one row per model and ``way``.

    ``memory`` is in bytes: the peak of all tensors, without weights and optimiser.
    """
    calls: dict[tuple[str, str], Callable[[], object]] = {}
    steps: dict[str, int] = {}
    for name in names:
        model = untrained(name, config, config.complexity.frames, device)
        diffusion = find(name).configured(config).diffusion
        steps[name] = model.steps(diffusion)
        for sampler, precision in SAMPLERS[device]:
            how = sampler_of(find(name), diffusion.model_copy(update={"sampling_precision": precision}), sampler)
            calls[name, f"{sampler}, {precision}"] = partial(sample, how, model, config.complexity.frames)
    every = {where: [(name, ", ".join(way)) for name in names for way in SAMPLERS[where]] for where in DEVICES}
    shape = {"what": "sampling", "batch": 1, "frames": config.complexity.frames}
    yield [row | {"steps": steps[row["method"]]} for row in _rows(calls, every, shape, config, device)]

    batch = config.clips_a_pass()
    calls = {(name, scan): call for name in names for scan, call in training_steps(config, name, batch, device).items()}
    every = {where: list(calls) for where in DEVICES}
    shape = {"what": "training", "batch": batch, "frames": measured_on(config).max_frames, "steps": 1}
    yield _rows(calls, every, shape, config, device)


def growth(config: Config, names: Sequence[str], device: str) -> Iterator[Rows]:
    """Rows of a guided step of the sampler over frames, then over batches; one row per model and ``size``.

    ``memory`` as in :func:`costs`.
    """
    settings = config.bench
    longest = max(*settings.frames, config.complexity.frames)
    models = {name: untrained(name, config, longest, device) for name in names}
    one = {
        name: sampler_of(find(name), find(name).configured(config).diffusion.model_copy(update={"sampling_steps": 1}))
        for name in names
    }
    shapes = {
        "frames": {size: (size, 1) for size in settings.frames},
        "batch": {size: (config.complexity.frames, size) for size in settings.batch},
    }
    for axis, sizes in shapes.items():
        calls = {
            (name, size): partial(sample, one[name], models[name], *sizes[size]) for name, size in product(names, sizes)
        }
        taken = interleaved(calls, settings.repeats, settings.seconds / len(sizes), device)
        keys = {where: list(product(names, sizes)) for where in DEVICES}
        yield [
            {"device": where, "method": name, "axis": axis, "size": size} | found
            for (where, (name, size)), found in _measured(calls, taken, keys, device)
        ]


def _rows(
    calls: dict[tuple[str, str], Callable[[], object]],
    every: dict[str, list[tuple[str, str]]],
    shape: dict[str, Any],
    config: Config,
    device: str,
) -> Rows:
    taken = interleaved(calls, config.bench.repeats, config.bench.seconds, device)
    return [
        {"device": where, **shape, "method": name, "way": way} | found
        for (where, (name, way)), found in _measured(calls, taken, every, device)
    ]


def _measured(
    calls: Mapping[Key, Callable[[], object]],
    taken: Mapping[Key, Sequence[Taken]],
    every: Mapping[str, Sequence[Key]],
    device: str,
) -> Iterator[tuple[tuple[str, Key], dict[str, Any]]]:
    """For each device and key: times, memory, and why there are none."""
    for where, keys in every.items():
        for key in keys:
            times = taken[key] if where == device else ()
            held = peak(calls[key], device) if times else None
            note = "" if times else unmeasured(where, device)
            yield (where, key), elapsed(times) | {"memory": held, "note": note}


def training_steps(config: Config, name: str, batch: int, device: str) -> dict[str, Callable[[], Tensor]]:
    """An optimisation step as in training, on one batch of random clips, with each scan; returns its loss."""
    module, clips = example(config, name, batch)
    module, clips = module.to(device), clips.to(device)
    optimizer = module.optimizer()
    half = module.config.training.precision == "bf16-mixed"
    weights, parts = list(module.parameters()), [part for part in module.modules() if isinstance(part, Scan)]

    def step(scan: str) -> Tensor:
        for part in parts:
            part.backend = scan
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = module.losses(clips, 0)["total"]
        optimizer.zero_grad()
        loss.backward()
        if (most := module.config.training.gradient_clip) is not None:
            torch.nn.utils.clip_grad_norm_(weights, most)
        optimizer.step()
        return loss.detach()

    scans = SCANS if parts else SCANS[:1]
    return {scan: partial(step, scan) for scan in scans}
