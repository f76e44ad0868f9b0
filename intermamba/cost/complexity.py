"""Cost of each model (Table 3): parameters, multiply-accumulates, sampling time.

Conventions, since the paper states none. Only trained parameters are counted, not the frozen text tower. MACs are those
of one conditional pass of the denoiser over T frames of both persons at batch 1, in three parts that add up:

- ``dense``: every matrix product and convolution, at half the FLOPs of ``torch.utils.flop_counter``. The depthwise
  convolutions, which are computed elementwise, are included, and so are GRUs, whose every weight is used once a step;
  other elementwise work is left out, as usual;
- ``attention``: the two products of every attention, of queries with keys and of weights with values;
- ``scan``: 4.5 per batch, channel, step and state by mamba_ssm's own formula (9 FLOPs), and one for the skip.

In addition there is ``text``, the trained text encoder over a clip's captions, which runs once per sampling. A whole
guided sampling is then ``passes`` (clips that guidance sends through the denoiser in a step) times ``sampling_steps``
times the pass, plus the text encoder.

Time is that of a whole guided sampling of one clip, starting from the encoded caption, with all passes of a step as one
batch.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from intermamba import files, provenance
from intermamba.config import Config, Dataset, DatasetConfig, DiffusionConfig, ModelConfig, Section
from intermamba.device import device_for
from intermamba.errors import ConfigError
from intermamba.generate import MotionSampler, sampler_of
from intermamba.job import Job
from intermamba.models import PAPER, TEXT_WIDTH, Network, build, find, sizes_of
from intermamba.models.astm import Scan
from intermamba.models.layers import ChannelConv
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation
from intermamba.seeds import derive

S = TypeVar("S", bound=Section)
DATASET: Dataset = "interhuman"
"""Dataset whose features and window give the models' sizes, as in Table 3."""
TIME_COLUMNS = (
    "method", "repeat", "seconds", "solver", "sampling_steps", "timed_steps", "guidance", "frames", "batch",
    "warmup_steps", "device", "dtype", "threads",
)  # fmt: skip
"""Columns of ``complexity_time.csv``: a timed sampling and its conditions."""


@dataclass(frozen=True)
class Sizes:
    """Sizes with which a model is built and counted."""

    model: Section
    max_frames: int
    text_width: int
    tokens: int
    """Tokens of a caption, padding included: the text encoder reads them all."""
    frames: int
    """Frames of a pass."""
    sampling: DiffusionConfig

    @classmethod
    def of(cls, config: Config, name: str) -> "Sizes":
        """The sizes of a variant in a profile.

        Raises:
            ConfigError: the profile has no InterHuman.
        """
        variant = find(name)
        own = variant.configured(config)
        return cls(
            sizes_of(config, variant.base),
            measured_on(config).max_frames,
            own.text.width,
            own.text.context,
            config.complexity.frames,
            own.diffusion,
        )

    @classmethod
    def paper(cls, name: str) -> "Sizes":
        """The sizes of a variant in the papers, counted in every profile."""
        method = find(name).method
        sizes = method.sizes() if method.sizes is not ModelConfig else _with(PAPER, method.defaults.get("model", {}))
        text = {"width": TEXT_WIDTH, "context": CONTEXT} | dict(method.defaults.get("text", {}))
        sampling = _with(SAMPLING, method.defaults.get("diffusion", {}))
        return cls(sizes, FRAMES, text["width"], text["context"], FRAMES, sampling)


def measured_on(config: Config) -> DatasetConfig:
    """The settings of :data:`DATASET`.

    Raises:
        ConfigError: the profile has none.
    """
    if DATASET not in config.datasets:
        raise ConfigError(
            f"datasets.{DATASET}: missing, but costs are measured at its features and window, as in the paper's "
            "Table 3. Add the section to params.yaml; the dataset needs no data and no rows under runs."
        )
    return config.datasets[DATASET]


def _with(section: S, changes: Mapping[str, Any]) -> S:
    return section.model_copy(update=dict(changes))


FRAMES = 300
"""InterHuman's window [paper 5.1]."""
CONTEXT = 77
"""Tokens of CLIP."""
SAMPLING = DiffusionConfig(
    steps=1000,
    solver="ddim",
    sampling_steps=50,
    eta=0.0,
    guidance=3.5,
    null_probability=0.1,
    sampling_precision="float32",
)
"""The paper's sampling [5.1]."""
SCAN_FLOPS = 9
"""FLOPs of a scan per channel, step and state [mamba_ssm's own formula]."""


def run(
    config: Config,
    job: Job,
    *,
    timed: bool = True,
    steps: int | None = None,
    progress: Progress = SILENT,
) -> None:
    """Measure every model of the study; write counts to ``complexity.csv`` and times, which differ between runs, to
    ``complexity_time.csv``.

    The first has two rows per model, with ``sizes`` ``profile`` or ``paper``: see :func:`count`. The second has one row
    per sampling, written at once, so that an interrupted run keeps its measurements: see :func:`samplings`.
    Needs no data. ``timed=False`` counts only; ``steps`` are those of :func:`samplings`; ``progress`` counts timed
    samplings.

    Raises:
        ConfigError: the profile has no InterHuman.
    """
    measured_on(config)
    names = list(dict.fromkeys(variant for _, variant, _ in config.rows()))
    counts, times = job["complexity"], job["complexity_time"]
    seed = derive(config.seed, "complexity")
    written = job if timed else replace(job, outputs={"complexity": counts})
    with written.recorded(config, {"weights": seed}):
        sizes = {name: {"profile": Sizes.of(config, name), "paper": Sizes.paper(name)} for name in names}
        rows = [
            {"method": name, "sizes": which, **count(name, at)} for name in names for which, at in sizes[name].items()
        ]
        files.write_csv(counts, pd.DataFrame(rows))
        if timed:
            torch.set_num_threads(cores(config.runtime.threads))
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                models = {name: built(name, sizes[name]["profile"], device(config)) for name in timed_rows(config)}
            progress.start(len(models) * repeats(config))
            done: list[dict[str, Any]] = []
            files.write_csv(times, pd.DataFrame(columns=TIME_COLUMNS))
            for row in samplings(models, config, steps):
                done.append(row)
                files.write_csv(times, pd.DataFrame(done, columns=TIME_COLUMNS))
                progress()


def count(name: str, sizes: Sizes) -> dict[str, int]:
    """Counts of one model, all integers: ``parameters``; ``macs_dense``, ``macs_attention``, ``macs_scan`` of a pass;
    ``macs_text``; ``passes``; ``macs_sampling``; and their conditions: ``frames``, ``batch``, ``sampling_steps``.
    """
    model = built(name, sizes, "meta")
    one_pass = count_macs(model, sizes.frames)
    text, calls = _text_macs(model, sizes.tokens), model.calls(sizes.sampling)
    return {
        "parameters": model.parameter_count(),
        **one_pass,
        "macs_text": text,
        "passes": len(model.guidance(1.0)),
        "macs_sampling": calls * sum(one_pass.values()) + text,
        "frames": sizes.frames,
        "batch": 1,
        "sampling_steps": model.steps(sizes.sampling),
    }


def count_macs(model: Network, frames: int) -> dict[str, int]:
    """``macs_dense``, ``macs_attention`` and ``macs_scan`` of one conditional pass, of a copy without data."""
    model = deepcopy(model).to("meta")
    elsewhere = scan = 0

    def uncounted(module: nn.Module, arguments: tuple[Any, ...], _: Any) -> None:
        nonlocal elsewhere, scan
        match module:
            case ChannelConv():
                elsewhere += arguments[0].numel() * module.kernel_size[0]
            case nn.GRU():
                weights = sum(value.numel() for name, value in module.named_parameters() if "weight" in name)
                elsewhere += arguments[0].shape[:-1].numel() * weights
            case Scan():
                scan += arguments[0].numel() * (SCAN_FLOPS * module.log_rate.shape[1] + 2) // 2

    for module in model.modules():
        module.register_forward_hook(uncounted)
        if isinstance(module, nn.GRU):
            module.forward = partial(_without_steps, module)  # type: ignore[method-assign, assignment]
    with _counted_products() as counter:
        model(*model.example(frames))
    by_module = counter.get_flop_counts()
    products = torch.ops.aten.bmm
    attention = sum(
        by_module.get(f"{type(model).__name__}.{name}", {}).get(products, 0)
        for name, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    )
    dense = (counter.get_total_flops() - attention) // 2 + elsewhere
    return {"macs_dense": dense, "macs_attention": attention // 2, "macs_scan": scan}


def _without_steps(gru: nn.GRU, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Shapes of a GRU's results: thousands of small products without data take seconds."""
    directions = 1 + gru.bidirectional
    if state is None:
        batch = inputs.shape[0 if gru.batch_first else 1]
        state = inputs.new_empty(gru.num_layers * directions, batch, gru.hidden_size)
    return inputs.new_empty(*inputs.shape[:-1], directions * gru.hidden_size), state


def _text_macs(model: Network, tokens: int) -> int:
    """MACs of the trained text encoder, attention included, over all captions of one clip."""
    device = next(model.parameters()).device
    features = torch.zeros(model.groups, tokens, model.text_width, device=device)
    with _counted_products() as counter:
        model.encode_text(features, torch.zeros(len(features), dtype=torch.long, device=device))
    return int(counter.get_total_flops()) // 2


@contextmanager
def _counted_products() -> Iterator[FlopCounterMode]:
    """Count the FLOPs of matrix products and convolutions, attention's included, for any attention kernel."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        yield counter


def samplings(models: dict[str, Network], config: Config, steps: int | None = None) -> Iterator[dict[str, Any]]:
    """Time guided samplings of one clip; one row of :data:`TIME_COLUMNS` each.

    All models take turns within each repeat, so that a change of the machine's load affects all alike. Before the
    first repeat each takes ``warmup_steps`` steps of the sampler, so that allocation, the choice of kernels and their
    compilation are not timed. A whole sampling would take minutes at the paper's sizes on a CPU: ``steps`` lets those
    with more take only so many; their seconds are then those of a whole one in proportion.
    """
    settings = config.complexity
    sampling = {name: find(name).configured(config).diffusion for name in models}

    def cut(name: str, most: int | None) -> DiffusionConfig:
        whole = sampling[name]
        return whole if most is None else _with(whole, {"sampling_steps": min(most, whole.sampling_steps)})

    def sampler(name: str, most: int | None) -> MotionSampler:
        return sampler_of(find(name), cut(name, most), config.runtime.sampler)

    samplers = {name: sampler(name, steps) for name in models}
    for name, model in models.items():
        sample(sampler(name, settings.warmup_steps), model, settings.frames)
    where = device(config)
    for repeat in range(repeats(config)):
        for name, model in models.items():
            whole, timed = model.steps(sampling[name]), model.steps(cut(name, steps))
            start = time.perf_counter()
            sample(samplers[name], model, settings.frames)
            yield {
                "method": name,
                "repeat": repeat,
                "seconds": (time.perf_counter() - start) * whole / timed,
                "solver": sampling[name].solver,
                "sampling_steps": whole,
                "timed_steps": timed,
                "guidance": sampling[name].guidance,
                "frames": settings.frames,
                "batch": 1,
                "warmup_steps": settings.warmup_steps,
                "device": provenance.device() if where == "cuda" else provenance.processor(),
                "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
                "threads": torch.get_num_threads(),
            }


def timed_rows(config: Config) -> list[str]:
    """The models that Table 3 shows; the paper's ablations are only counted."""
    names = dict.fromkeys(variant for _, variant, _ in config.rows())
    return [name for name in names if not find(name).ablation]


def device(config: Config) -> str:
    """``cuda`` where the profile allows an accelerator and there is one, else ``cpu``."""
    return device_for(config.runtime.accelerator).type


def repeats(config: Config) -> int:
    """Timed samplings of each model on this machine's :func:`device`."""
    return int(getattr(config.complexity.repeats, device(config)))


def cores(wanted: int) -> int:
    """The wanted number of threads, but at most one per core that this process may use: more would slow a measurement
    down.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(wanted, usable)


def untrained(name: str, config: Config, frames: int, device: str) -> Network:
    """A model at a profile's sizes, for windows of ``frames``."""
    return built(name, replace(Sizes.of(config, name), max_frames=frames), device)


def built(name: str, sizes: Sizes, device: str) -> Network:
    """An untrained model of these sizes, in evaluation mode."""
    with torch.device(device):
        return build(
            name,
            features=representation(DATASET).features,
            max_frames=sizes.max_frames,
            text_width=sizes.text_width,
            **sizes.model.model_dump(),
        ).eval()


def sample(sampler: MotionSampler, model: Network, frames: int, batch: int = 1) -> None:
    """One whole sampling of ``batch`` clips from encoded captions, finished when this returns."""
    device = next(model.parameters()).device
    tokens = torch.zeros(batch * model.groups, 1, model.text_width, device=device)
    with torch.no_grad():
        end = torch.zeros(len(tokens), dtype=torch.long, device=device)
        cond = model.encode_text(tokens, end).unflatten(0, (batch, model.groups))
        sampler.sample(model, cond, torch.ones(batch, frames, dtype=torch.bool, device=device), range(batch))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
