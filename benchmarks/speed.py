"""How fast sampling, training, the data path and the scan are on a processor, beside what others offer.

    python benchmarks/speed.py sampling --intergen CHECKOUT   # a step of sampling, beside the official InterGen
    python benchmarks/speed.py training                       # a step of training, and the data path
    python benchmarks/speed.py step                           # where a step of training goes
    python benchmarks/speed.py scan --ggml FOLDER             # beside ggml's scan, from the folder of its libraries
    python benchmarks/speed.py crossover                      # attention beside Mamba-1 over the length

Each writes ``<what>.csv`` (``sampling`` also ``profile.csv``) into ``--output``, and a record beside it. The sides take
turns in one process. ``wall`` is elapsed time; ``cpu`` is the process's own, which other work on the machine disturbs
less, and which on one thread is what an idle machine would take. CHECKOUT is a clone of the official InterGen, FOLDER
has ``libggml-base.so`` and ``libggml-cpu.so`` built as shared libraries; of both only times enter the project.
``python -m workflow.publish study`` makes docs/explanation/speed.md's tables of the files.
"""

import argparse
import ctypes
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from intermamba import files, provenance
from intermamba.config import Config, load
from intermamba.cost import scans
from intermamba.cost.complexity import Sizes, built
from intermamba.cost.models import training_steps
from intermamba.cost.timing import Taken, interleaved, peak
from intermamba.data import fetch, preprocess
from intermamba.data.dataset import ClipDataset, loader
from intermamba.data.splits import SplitFile
from intermamba.device import prepare_processor
from intermamba.diffusion import Diffusion
from intermamba.models import Network
from intermamba.ssm import selective_scan
from intermamba.ssm.conv import causal_conv_silu
from workflow.graph.stages import job
from workflow.publish import processor

Call = Callable[[], object]
MODELS = ("intermamba", "intermamba_light", "intergen")
OFFICIAL = "official InterGen"
FRAMES, STEPS = 300, 50
LENGTHS = (75, 150, 300, 600, 1200, 2400, 4096)


def turns(sides: dict[str, Call], repeats: int, device: str = "cpu") -> dict[str, dict[str, float]]:
    """Medians and quartiles of every side, in milliseconds, after one call of each that does not count."""
    found = {}
    for name, times in interleaved(sides, repeats, math.inf, device).items():
        clocks = dict(zip(Taken._fields, np.array(times).T * 1e3, strict=True))
        quartiles = {clock: np.quantile(values, [0.25, 0.5, 0.75]) for clock, values in clocks.items()}
        found[name] = {
            f"{clock}_{place}": float(value)
            for clock, three in quartiles.items()
            for place, value in zip(("q1", "median", "q3"), three, strict=True)
        } | {"runs": repeats}
    return found


# --- sampling ---------------------------------------------------------------------------------------------------------


def sampling(options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Guided steps of DDIM at the paper's size, one clip; a sampling is fifty of them."""
    models = {name: paper_size(name) for name in MODELS}
    sides: dict[str, Call] = {name: guided_step(model) for name, model in models.items()}
    if options.intergen:
        sides[OFFICIAL] = official_step(options.intergen)
    with torch.no_grad():
        found = turns(sides, options.repeats)
        rows = [{"side": name, "frames": FRAMES, "batch": 1, "steps": STEPS, **times} for name, times in found.items()]
        parts = pd.concat([where_it_goes(name, sides[name], found[name]["cpu_median"]) for name in MODELS])
    return {"sampling": pd.DataFrame(rows), "profile": parts}


def paper_size(name: str) -> Network:
    """With weights in the layers that start as nothing, so that no product is with zeros only."""
    torch.manual_seed(0)
    model = built(name, Sizes.paper(name), "cpu")
    for weight in model.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.01)
    return model


def guided_step(model: Network) -> Call:
    """The conditional and the unconditional pass as one batch, and the solver's update."""
    settings = Sizes.paper("intermamba").sampling.model_copy(update={"sampling_steps": 1})
    sampler = Diffusion(settings)  # once a sampling
    x, _, cond, mask = model.example(FRAMES)
    return partial(sampler.sample, model, torch.ones_like(cond), mask, torch.ones_like(x))


def official_step(checkout: Path) -> Call:
    """The same of the official code, from its classifier-free wrapper and its DDIM."""
    sys.path.insert(0, str(checkout))
    sys.modules.setdefault("clip", ModuleType("clip"))  # its text tower, which no step asks for
    settings = yaml.safe_load((checkout / "configs/model.yaml").read_text(encoding="utf-8"))
    nets = __import__("models.nets", fromlist=["InterDiffusion"])
    wrapper = __import__("models.cfg_sampler", fromlist=["ClassifierFreeSampleModel"]).ClassifierFreeSampleModel
    torch.manual_seed(0)
    with chdir(checkout):  # it reads its normalisation
        whole = nets.InterDiffusion(SimpleNamespace(**settings), sampling_strategy="ddim50").eval()
    for weight in whole.net.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.01)
    model = wrapper(whole.net, settings["CFG_WEIGHT"])
    x, cond = torch.ones(1, FRAMES, 2 * settings["INPUT_DIM"]), torch.ones(1, 768)
    given = {"mask": None, "cond": cond}
    step = torch.tensor([500])
    return lambda: whole.diffusion.ddim_sample(model, x, step, clip_denoised=False, model_kwargs=given)


class Clock(TorchDispatchMode):
    """Process time and floor of every kind of work, in seconds, summed over the operations that run under it."""

    def __init__(self, rate: float, speed: float) -> None:
        super().__init__()
        self.rate, self.speed = rate, speed
        self.taken: dict[str, float] = {}
        self.floors: dict[str, float] = {}
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, _types: Any, inputs: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        start = time.process_time()
        output = function(*inputs, **(options or {}))
        taken = time.process_time() - start
        kind, operations, moved = work(function.__name__.partition(".")[0], tensors(inputs), tensors((output,)))
        self.calls[kind] += 1
        self.taken[kind] = self.taken.get(kind, 0.0) + taken
        self.floors[kind] = self.floors.get(kind, 0.0) + max(operations / self.rate, moved / self.speed)
        return output


def tensors(values: Iterable[Any]) -> list[Tensor]:
    """Those among arguments or results, also in their lists."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors(value)
    return found


def where_it_goes(name: str, step: Call, milliseconds: float) -> pd.DataFrame:
    """One row per kind of work: its operations, its share of a step, and the least that this processor needs for it.

    The floors: the operations of products and attention at the rate of a large square product, those of scans (22 for
    each state, an exponential being 13) at the same rate, and bytes read and written at the speed of copying 64 MiB.
    Rate and speed are the best of several in this process. ``unseen`` is the step's time outside of operations.
    """
    rate, speed = best_product(), best_copy()
    step()
    runs = []
    for _ in range(3):
        with Clock(rate, speed) as clock:
            step()
        runs.append(clock)
    taken = {kind: 1e3 * float(np.median([run.taken[kind] for run in runs])) for kind in runs[0].taken}
    rest = max(0.0, milliseconds - sum(taken.values()))
    rows = [(kind, runs[0].calls[kind], value, 1e3 * runs[0].floors[kind]) for kind, value in taken.items()]
    frame = pd.DataFrame([*rows, ("unseen", 0, rest, 0.0)], columns=["part", "operations", "milliseconds", "floor"])
    return frame.assign(side=name, gflop_per_second=rate / 1e9, gigabytes_per_second=speed / 1e9)


RATES = {"scan_cpu": 2, "scan_of_product": 3}
"""Place of A among the arguments of a scan."""


def work(operation: str, inputs: list[Tensor], outputs: list[Tensor]) -> tuple[str, float, float]:
    """Kind of an operation, its arithmetic, and the bytes that it reads and writes: none for a view."""
    views = {one.untyped_storage().data_ptr() for one in inputs} & {one.untyped_storage().data_ptr() for one in outputs}
    moved = 0.0 if views else float(sum(one.numel() * one.element_size() for one in (*inputs, *outputs)))
    if operation in ("mm", "addmm", "bmm", "baddbmm"):
        return "products", 2.0 * outputs[0].numel() * inputs[-2].shape[-1], 0.0
    if operation in RATES:
        return "scans", 22.0 * inputs[0].numel() * inputs[RATES[operation]].shape[1], moved
    if operation.startswith("scan"):  # its backward pass, of which only the bytes are counted
        return "scans", 0.0, moved
    if operation.startswith("conv_silu"):
        return "convolutions", 0.0, moved
    if "attention" in operation:  # two products forward, five backward, where the keys come one place later
        products, keys = (5, inputs[2]) if operation.endswith("backward") else (2, inputs[1])
        return "attention", 2.0 * products * inputs[0].numel() * keys.shape[2], moved
    return "other passes", 0.0, moved


def best_product(size: int = 2048) -> float:
    """Operations a second of a square product."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    return 2.0 * size**3 / best(lambda: a @ b)


def best_copy(size: int = 1 << 24) -> float:
    """Bytes a second, read and written."""
    a, b = torch.rand(size), torch.rand(size)
    return 8.0 * size / best(lambda: a.copy_(b))


def best(call: Call, repeats: int = 7) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


# --- training ---------------------------------------------------------------------------------------------------------


def training(options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Optimisation steps in float32 at every profile's sizes, and how many clips a second the data path gives."""
    rows = []
    for profile_name in options.profiles:
        config, paper = load(profile_name), profile_name == "paper"
        config = config.model_copy(update={"training": config.training.model_copy(update={"precision": "32-true"})})
        clips = options.batch if paper else config.training.batch
        repeats = max(1, options.repeats // 3) if paper else options.repeats
        shape = {"profile": profile_name, "clips": clips, "frames": config.datasets["interhuman"].max_frames}
        if not paper:  # whose data are no synthetic ones
            with tempfile.TemporaryDirectory() as folder, chdir(folder):
                sides = {"data path": data_path(config)}
                rows += [{"side": name, **shape, **times} for name, times in turns(sides, repeats).items()]
        sides = {name: training_steps(config, name, clips, "cpu")["auto"] for name in MODELS}
        rows += [{"side": name, **shape, **times} for name, times in turns(sides, repeats).items()]
    return {"training": pd.DataFrame(rows)}


def step(options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """The same steps by kind of work."""
    parts = []
    for profile_name in options.profiles:
        config = load(profile_name)
        config = config.model_copy(update={"training": config.training.model_copy(update={"precision": "32-true"})})
        clips = options.batch if profile_name == "paper" else config.training.batch
        sides = {name: training_steps(config, name, clips, "cpu")["auto"] for name in MODELS}
        times = turns(sides, options.repeats)
        parts += [
            where_it_goes(name, call, times[name]["cpu_median"]).assign(profile=profile_name)
            for name, call in sides.items()
        ]
    return {"step": pd.concat(parts)}


def data_path(config: Config) -> Call:
    """A batch as a training without worker processes reads it, from clips that are generated here."""
    small = config.datasets["interhuman"]
    small = small.model_copy(update={"synthetic": small.synthetic.model_copy(update={"train": 200})})
    config = config.model_copy(update={"datasets": {**config.datasets, "interhuman": small}})
    fetch.run(config, job(config, "fetch", dataset="interhuman"))
    preprocess.run(config, job(config, "preprocess", dataset="interhuman"))
    split = SplitFile(job(config, "preprocess", dataset="interhuman")["train"])
    clips = ClipDataset(split, small, "train", config.seed)

    def endless() -> Iterator[object]:
        while True:
            yield from loader(clips, config.training.batch, small.max_frames, shuffle=True, drop_last=True)

    batches = endless()
    return lambda: next(batches)


# --- the scan ---------------------------------------------------------------------------------------------------------


def scan(options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Ours beside ggml's, forward, one sequence, 16 states: without the shortcut, which ggml's leaves to others."""
    rows = []
    for channels in (1024, 2048):
        for length in options.lengths:
            values = {name: value for name, value in scans.arguments(1, channels, length, 16).items() if name != "D"}
            ours = partial(scans.forward, partial(selective_scan, delta_softplus=True), values)
            for threads in (1, 2):
                torch.set_num_threads(threads)
                sides: dict[str, Call] = {"ours": ours}
                if options.ggml:
                    sides["ggml"] = ggml_scan(options.ggml, values, threads)
                shape = {"channels": channels, "steps": length, "states": 16, "threads": threads}
                rows += [{"side": name, **shape, **times} for name, times in turns(sides, options.repeats).items()]
    torch.set_num_threads(1)
    return {"scan_ggml": pd.DataFrame(rows)}


class _Memory(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def ggml_scan(folder: Path, values: dict[str, Tensor], threads: int) -> Call:
    """One node of ggml's graph on the same numbers, checked against ours first."""
    ctypes.CDLL(str(folder / "libggml-base.so"), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(folder / "libggml-cpu.so"), ctypes.RTLD_GLOBAL)
    pointer, number = ctypes.c_void_p, ctypes.c_int64

    def function(name: str, *arguments: Any, result: Any = pointer) -> Any:
        found = getattr(library, name)
        found.argtypes, found.restype = arguments, result
        return found

    channels, length = values["u"].shape[1:]
    states = values["A"].shape[1]
    room = 64 * (channels * length * 6 + states * (2 * channels + 2 * length)) + (64 << 20)
    context = function("ggml_init", _Memory)(_Memory(room, None, False))
    new = function("ggml_new_tensor_4d", pointer, ctypes.c_int, *[number] * 4)
    data = function("ggml_get_data", pointer)

    def tensor(value: Tensor, *shape: int) -> int:
        kind = 26 if value.dtype == torch.int32 else 0  # GGML_TYPE_I32, GGML_TYPE_F32
        made = int(new(context, kind, *shape, *[1] * (4 - len(shape))))
        whole = value.contiguous()
        ctypes.memmove(data(made), whole.data_ptr(), whole.nbytes)
        return made

    delta = values["delta"] + values["delta_bias"][:, None]
    node = function("ggml_ssm_scan", *[pointer] * 8, number)(
        context,
        tensor(torch.zeros(channels, states), states, 1, channels, 1),
        tensor(values["u"].mT, 1, channels, length, 1),
        tensor(delta.mT, channels, length, 1),
        tensor(values["A"], states, channels),
        tensor(values["B"].mT, states, 1, length, 1),
        tensor(values["C"].mT, states, 1, length, 1),
        tensor(torch.zeros(1, dtype=torch.int32), 1),
        1,
    )
    graph = function("ggml_new_graph", pointer)(context)
    function("ggml_build_forward_expand", pointer, pointer, result=None)(graph, node)
    compute = function("ggml_graph_compute_with_ctx", pointer, pointer, ctypes.c_int, result=ctypes.c_int)
    compute(context, graph, threads)
    found = torch.frombuffer((ctypes.c_float * (channels * length)).from_address(data(node)), dtype=torch.float32)
    expected = partial(selective_scan, delta_softplus=True)(**values)
    torch.testing.assert_close(found.reshape(1, length, channels).mT, expected, atol=1e-3, rtol=1e-3)
    free = function("ggml_free", pointer, result=None)

    class Node:
        def __call__(self) -> None:
            compute(context, graph, threads)

        def __del__(self) -> None:
            free(context)

    return Node()


# --- attention beside Mamba-1 -----------------------------------------------------------------------------------------

WIDTH = 512
CROSSING = (16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""Lengths at which the two layers are compared."""


class Attention(nn.Module):
    """A layer of self-attention with its four maps, 8 heads, in PyTorch's fused kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).unflatten(-1, (3, 8, -1)).permute(2, 0, 3, 1, 4)
        y: Tensor = self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return y


class Mamba(nn.Module):
    """Mamba-1's block with its own sizes: twice the width inside, 16 states, rank width / 16, filters of four."""

    def __init__(self) -> None:
        super().__init__()
        inner, rank = 2 * WIDTH, WIDTH // 16
        self.sizes = (rank, 16, 16)
        self.project, self.out = nn.Linear(WIDTH, 2 * inner, bias=False), nn.Linear(inner, WIDTH, bias=False)
        self.read, self.widen = nn.Linear(inner, sum(self.sizes), bias=False), nn.Linear(rank, inner, bias=False)
        self.filters, self.bias = nn.Parameter(torch.randn(inner, 4) / 4), nn.Parameter(torch.zeros(inner))
        self.A = nn.Parameter(-torch.arange(1.0, 17).repeat(inner, 1))
        self.D, self.offset = nn.Parameter(torch.ones(inner)), nn.Parameter(torch.full((inner,), -4.6))

    def forward(self, x: Tensor) -> Tensor:
        u, z = self.project(x).mT.chunk(2, dim=1)
        u = causal_conv_silu(u, self.filters, self.bias)
        low, b, c = self.read(u.mT).split(self.sizes, dim=-1)
        y = selective_scan(u, self.widen(low).mT, self.A, b.mT, c.mT, self.D, z, self.offset, True)
        y_out: Tensor = self.out(y.mT)
        return y_out


def crossover(options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """One layer of each, width 512, forward, one sequence, one thread; and the memory of the tensors that it holds."""
    return {"crossover": crossing(options.repeats)}


def crossing(repeats: int, lengths: Sequence[int] = CROSSING, device: str = "cpu") -> pd.DataFrame:
    """A row per layer and length: milliseconds and peak memory of a forward pass in float32."""
    torch.manual_seed(0)
    layers = {"attention": Attention().to(device), "Mamba-1": Mamba().to(device)}
    rows = []
    with torch.no_grad():
        for length in lengths:
            x = torch.randn(1, length, WIDTH, device=device)
            calls: dict[str, Call] = {name: partial(layer, x) for name, layer in layers.items()}
            for name, times in turns(calls, repeats, device).items():
                held = peak(calls[name], device) / 2**20
                rows.append({"side": name, "steps": length, "width": WIDTH, "memory_mib": held, **times})
    return pd.DataFrame(rows)


COMMANDS = {"sampling": sampling, "training": training, "step": step, "scan": scan, "crossover": crossover}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--intergen", type=Path, help="a clone of the official InterGen")
    parser.add_argument("--ggml", type=Path, help="the folder of ggml's shared libraries")
    parser.add_argument("--beside", default="", help="external software and its version, for the record")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument(
        "--profiles", nargs="+", default=("smoke", "study-cpu", "paper"), help="sizes of a training step"
    )
    parser.add_argument("--batch", type=int, default=2, help="clips of a training step at the paper's size")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="steps of the scans")
    parser.add_argument("--output", type=Path, default=Path("docs/bench"))
    options = parser.parse_args()
    prepare_processor(1)
    names = {"sampling": ("sampling", "profile"), "scan": ("scan_ggml",)}.get(options.what, (options.what,))
    ran = {"repeats": options.repeats, "beside": options.beside}
    outputs = {name: options.output / f"{name}.csv" for name in names}
    with provenance.recorded(f"benchmark {options.what}", outputs.values(), config=ran):
        for name, frame in COMMANDS[options.what](options).items():
            files.write_csv(outputs[name], frame)
            if name == "crossover":
                processor.plot(frame, outputs[name].with_suffix(".png"))


if __name__ == "__main__":
    main()
