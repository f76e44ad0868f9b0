"""What each model costs (Table 3): parameters, multiply-accumulates, sampling time.

Conventions, since the paper states none. Parameters are the trained ones; the frozen text tower is not counted. MACs
are of one conditional pass of the denoiser at batch 1, without the text encoder, in three parts that add up:

- ``dense``: every matrix product and convolution (``torch.utils.flop_counter``'s FLOPs / 2, and the depthwise
  convolutions, which we compute elementwise); all other elementwise work is left out, as is usual;
- ``attention``: the two products of every attention, of queries with keys and of weights with values;
- ``scan``: 4.5 for each batch, channel, step and state, mamba_ssm's own formula (9 FLOPs), and one for the skip.

Time is that of a whole guided DDIM sampling of one clip, each pass on a batch of two (conditional, unconditional).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from intermamba import files, provenance
from intermamba.config import Config, Dataset
from intermamba.diffusion import Diffusion
from intermamba.models import Denoiser, build
from intermamba.models.astm import Scan
from intermamba.models.layers import ChannelConv
from intermamba.motion import representation
from intermamba.paths import path
from intermamba.seeds import derive

DATASET: Dataset = "interhuman"
"""Its features and window size the models, as in Table 3."""
KNOBS = ("complexity", "model", "diffusion", "text.width", f"datasets.{DATASET}.max_frames", "runs", "runtime")
"""What the counts and times depend on."""


def measure(name: str, config: Config) -> dict[str, Any]:
    """The deterministic row of one model: ``method``, parameters and MACs, and what they were counted at."""
    model = _build(name, config, "meta")
    return {
        "method": name,
        "parameters": sum(value.numel() for value in model.parameters() if value.requires_grad),
        **count_macs(model, config.complexity.frames),
        "frames": config.complexity.frames,
        "batch": 1,
    }


def count_macs(model: Denoiser, frames: int) -> dict[str, int]:
    """``macs_dense``, ``macs_attention`` and ``macs_scan`` of one conditional pass; the model may be on ``meta``."""
    device = model.out.weight.device
    scan, convolution = 0, 0

    def record(module: nn.Module, arguments: tuple[Any, ...], _: Any) -> None:
        nonlocal scan, convolution
        values = arguments[0].numel()
        if isinstance(module, Scan):
            scan += values * (9 * module.log_rate.shape[1] + 2) // 2
        elif isinstance(module, ChannelConv):
            convolution += values * module.kernel_size[0]

    hooks = [module.register_forward_hook(record) for module in model.modules()]
    counter = FlopCounterMode(display=False)
    # As plain matrix products, attention is counted whatever kernel the device would choose.
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(*_inputs(model, frames, device))
    for hook in hooks:
        hook.remove()
    by_module = counter.get_flop_counts()
    products = torch.ops.aten.bmm
    attention = sum(
        by_module.get(f"{type(model).__name__}.{name}", {}).get(products, 0)
        for name, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    )
    dense = (counter.get_total_flops() - attention) // 2 + convolution
    return {"macs_dense": dense, "macs_attention": attention // 2, "macs_scan": scan}


def sampling_seconds(models: dict[str, Denoiser], config: Config) -> pd.DataFrame:
    """Seconds of one guided sampling, one row a repeat: columns ``method``, ``repeat``, ``seconds``.

    All models take turns within each repeat, so that a change of the machine's load touches all alike.
    """
    diffusion = Diffusion(config.diffusion)
    settings = config.complexity
    rows = []
    for repeat in range(-settings.warmup, settings.repeats):
        for name, model in models.items():
            device = model.out.weight.device
            x, _, cond, mask = _inputs(model, settings.frames, device)
            _wait(device)
            start = time.perf_counter()
            diffusion.sample(model, cond, mask, x)
            _wait(device)
            if repeat >= 0:
                rows.append({"method": name, "repeat": repeat, "seconds": time.perf_counter() - start})
    return pd.DataFrame(rows)


def run(config: Config) -> None:
    """Measure every model of the study; write ``complexity.csv`` and, because times differ from run to run, the times
    apart in ``complexity_time.csv`` beside it.

    Columns of the second: method, seconds_median, seconds_q1, seconds_q3, sampling_steps, guidance, frames, batch,
    device, dtype, threads.
    """
    names = list(dict.fromkeys(variant for _, variant, _ in config.rows()))
    counts = path("complexity", profile=config.profile)
    times = path("complexity_time", profile=config.profile)
    seed = derive(config.seed, "complexity")
    knobs = {name: config.section(name) for name in KNOBS}
    with provenance.recorded("complexity", [counts, times], config=knobs, seeds={"weights": seed}):
        device = "cuda" if config.runtime.accelerator == "auto" and torch.cuda.is_available() else "cpu"
        with _threads(config.runtime.threads), torch.random.fork_rng():
            torch.manual_seed(seed)
            models = {name: _build(name, config, device) for name in names}
            seconds = sampling_seconds(models, config).groupby("method", sort=False)["seconds"]
            summary = pd.DataFrame(
                {
                    f"seconds_{key}": seconds.quantile(share)
                    for key, share in (("median", 0.5), ("q1", 0.25), ("q3", 0.75))
                }
            ).reset_index()
            summary["sampling_steps"] = config.diffusion.sampling_steps
            summary["guidance"] = config.diffusion.guidance
            summary["frames"], summary["batch"] = config.complexity.frames, 1
            summary["device"] = provenance.device()
            summary["dtype"] = str(next(iter(models.values())).out.weight.dtype).removeprefix("torch.")
            summary["threads"] = torch.get_num_threads()
        files.write_csv(counts, pd.DataFrame([measure(name, config) for name in names]))
        files.write_csv(times, summary)


def _build(name: str, config: Config, device: str) -> Denoiser:
    with torch.device(device):
        return build(
            name,
            features=representation(DATASET).features,
            max_frames=config.datasets[DATASET].max_frames,
            text_width=config.text.width,
            **config.model.model_dump(),
        ).eval()


def _inputs(model: Denoiser, frames: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Arguments of one conditional pass at batch 1; cost does not depend on the values."""
    return (
        torch.zeros(1, frames, 2, model.out.out_features, device=device),
        torch.zeros(1, dtype=torch.long, device=device),
        torch.zeros(1, 3 if model.individual else 1, model.embed_text.in_features, device=device),
        torch.ones(1, frames, dtype=torch.bool, device=device),
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
