"""Speed on a processor beside others, as Markdown and as a plot: the tables of ``benchmarks/speed.py``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from intermamba import files
from intermamba.models import label_of
from intermamba.names import revision_name
from intermamba.paths import record_of
from workflow.cells import MISSING, significant
from workflow.figures.style import save, themed
from workflow.tables.markdown import grid

FOLDER = Path("docs/bench")
"""Where the measurements are published."""
PLOT = FOLDER / "crossover.png"
DATA_PATH = "data path"
PARTS = {"unseen": "outside of operations"}


def render() -> str:
    """A section for each measurement that was made."""
    made = [(title, FOLDER / f"{name}.csv", section) for name, (title, section) in SECTIONS.items()]
    return "\n".join(
        f"## {title}\n\n{_about(path)}\n\n{section(pd.read_csv(path))}"
        for title, path, section in made
        if path.exists()
    )


def _about(path: Path) -> str:
    home = path if record_of(path).exists() else FOLDER / "sampling.csv"  # the profile's record is the sampling's
    record = files.read_json(record_of(home))
    beside = f", beside {record['config']['beside']}" if record["config"]["beside"] else ""
    return f"Code {revision_name(record)}, {record['device']}{beside}."


def _sampling(rows: pd.DataFrame) -> str:
    sides = {row["side"]: row for row in rows.to_dict("records")}
    body = [
        [
            label_of(side),
            _time(row),
            significant(row["cpu_median"] * row["steps"] / 1e3, 3),
            f"{sides['intergen']['cpu_median'] / row['cpu_median']:.2f}",
        ]
        for side, row in sides.items()
    ]
    one = rows.iloc[0]
    text = (
        f"A guided step of DDIM at the paper's size, {one['frames']} frames, one clip; a sampling takes "
        f"{one['steps']}. Medians of {one['runs']} runs, quartiles in brackets."
    )
    head = ["Model", "a step (ms)", "a sampling (s)", "times faster than InterGen here"]
    return f"{text}\n\n{grid(head, body)}"


def _profile(rows: pd.DataFrame) -> str:
    body = [
        [
            label_of(row["side"]),
            PARTS.get(row["part"], row["part"]),
            significant(row["milliseconds"], 3),
            significant(row["floor"], 3) if row["floor"] else MISSING,
        ]
        for row in rows.to_dict("records")
    ]
    rate, speed = rows.iloc[0][["gflop_per_second", "gigabytes_per_second"]]
    text = (
        "The same step by kind of work. The floor is the least that this processor needs: arithmetic at the rate of a "
        f"large product ({rate:.0f} GFLOP/s), or what is read and written at the speed of a large copy "
        f"({speed:.0f} GB/s), whichever takes longer. Medians of three steps of each model, under a tracer; "
        "what a step takes without one, beyond the sum of its operations, is in the last line of each."
    )
    return f"{text}\n\n{grid(['Model', 'work', 'ms', 'floor (ms)'], body)}"


def _step(rows: pd.DataFrame) -> str:
    body = [
        [
            row["profile"],
            label_of(row["side"]),
            PARTS.get(row["part"], row["part"]),
            str(row["operations"]) if row["operations"] else MISSING,
            significant(row["milliseconds"], 3),
            significant(row["floor"], 3) if row["floor"] else MISSING,
        ]
        for row in rows.to_dict("records")
    ]
    floors = rows.groupby(["profile", "side"], sort=False)["floor"].sum().unstack()
    counts = rows.groupby("side", sort=False)["operations"].sum() // rows["profile"].nunique()
    lead = " and ".join(f"{row['intergen'] / row['intermamba']:.2f} ({name})" for name, row in floors.iterrows())
    passes = rows[rows["part"] == "other passes"]
    each = 1e3 * (passes["milliseconds"] - passes["floor"]) / passes["operations"]
    scans = rows[rows["part"].isin(("scans", "convolutions"))]
    slower = scans["milliseconds"] / scans["floor"]
    text = (
        "The steps of the table above by kind of work: forward, backward and the optimiser; medians of three "
        "steps of each model, under a tracer. Floors are computed as above, but for backward scans and convolutions "
        "from the bytes alone, and in-place operations add nothing to them. By its "
        f"floor InterMamba's step would be {lead} times faster than InterGen's. It is not, because tensors are small "
        f"at these sizes: one of the other passes costs {each.min():.0f} to {each.max():.0f} microseconds above its "
        f"floor in every model, and InterMamba has {counts['intermamba']:,} operations, InterGen "
        f"{counts['intergen']:,}; its scans and convolutions take {slower.min():.0f} to {slower.max():.0f} "
        "times their floors."
    )
    return f"{text}\n\n{grid(['Profile', 'Model', 'work', 'operations', 'ms', 'floor (ms)'], body)}"


def _training(rows: pd.DataFrame) -> str:
    body = []
    for (name, clips, frames), group in rows.groupby(["profile", "clips", "frames"], sort=False):
        sides = {row["side"]: row for row in group.to_dict("records")}
        reading = sides.pop(DATA_PATH, None)
        runs = sides["intergen"]["runs"]
        shape = f"{name}: {clips} clips of {frames} frames, {runs} runs"
        for side, row in sides.items():
            ratio = sides["intergen"]["cpu_median"] / row["cpu_median"]
            body.append([shape, label_of(side), _time(row), f"{ratio:.2f}"])
        if reading is not None:
            share = min(row["cpu_median"] for row in sides.values()) / reading["cpu_median"]
            what = f"reading the clips, {share:.0f} times faster than the fastest step"
            body.append([shape, what, _time(reading), MISSING])
    head = ["Profile", "Model", "a step (ms)", "times faster than InterGen"]
    return f"An optimisation step in float32; medians, quartiles in brackets.\n\n{grid(head, body)}"


def _scan(rows: pd.DataFrame) -> str:
    keys = ["channels", "steps", "threads"]
    sides = {side: part.set_index(keys) for side, part in rows.groupby("side")}
    times = rows.set_index([*keys, "side"])["wall_median"].unstack("side")
    ratio = times["ggml"] / times["ours"]
    body = [
        [str(value) for value in key]
        + [_time(sides[side].loc[key], "wall") for side in ("ours", "ggml")]
        + [f"{ratio[key]:.1f}"]
        for key in times.index
    ]
    text = (
        "`selective_scan` beside the node `GGML_OP_SSM_SCAN` of llama.cpp's library on the same numbers, forward, one "
        "sequence, 16 states, with the softplus of the step sizes. Elapsed time: both cores were held for it alone; "
        f"medians of {rows['runs'].iloc[0]} runs, quartiles in brackets. "
        f"This scan is {ratio.min():.1f} to {ratio.max():.1f} times faster."
    )
    head = ["channels", "steps", "threads", "this scan (ms)", "ggml (ms)", "times faster"]
    return f"{text}\n\n{grid(head, body)}"


def _crossover(rows: pd.DataFrame) -> str:
    times = rows.pivot_table("cpu_median", "steps", "side")
    text = (
        f"One layer of width {rows['width'].iloc[0]} on one sequence, forward: self-attention with its four maps in "
        "PyTorch's fused kernel, and Mamba-1's block with its own sizes (twice the width inside, 16 states). MiB: the "
        f"most that a call holds at once; times are medians of {rows['runs'].iloc[0]} runs, quartiles in brackets. "
        "They take the same time at about "
        f"{crossing(times['attention'] / times['Mamba-1']):.0f} steps; a motion has at most 300.\n\n"
        f"![Time and memory over steps](../bench/{PLOT.name})"
    )
    return f"{text}\n\n{crossover(rows)}"


def crossover(rows: pd.DataFrame, clock: str = "cpu") -> str:
    """Time by a clock (``cpu`` or ``wall``), with quartiles, and memory of both layers: a line per length."""
    memory = rows.pivot_table("memory_mib", "steps", "side")
    sides = [rows[rows["side"] == side].set_index("steps") for side in memory]
    body = [
        [
            str(steps),
            *(_time(side.loc[steps], clock) for side in sides),
            *(significant(value, 3) for value in held),
        ]
        for steps, held in zip(memory.index, memory.to_numpy(float), strict=True)
    ]
    return grid(["steps", *(f"{side} (ms)" for side in memory), *(f"{side} (MiB)" for side in memory)], body)


def crossing(ratio: pd.Series) -> float:
    """Steps, the index, where a ratio last rises to one; linear in logarithms between two lengths, NaN if nowhere."""
    lead, steps = np.log(ratio.to_numpy(float)), np.log(ratio.index.to_numpy(float))
    rises = np.flatnonzero((lead[:-1] < 0) & (lead[1:] >= 0))
    if not len(rises):
        return float("nan")
    place = slice(rises[-1], rises[-1] + 2)
    return float(np.exp(np.interp(0.0, lead[place], steps[place])))


def plot(rows: pd.DataFrame, target: Path) -> None:
    """Time and memory of both layers over steps."""
    panels = {"cpu_median": "milliseconds", "memory_mib": "MiB"}
    with themed():
        figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
        for panel, (value, label) in zip(axes, panels.items(), strict=True):
            sns.lineplot(rows, x="steps", y=value, hue="side", marker="o", ax=panel)
            panel.set(xscale="log", yscale="log", xlabel="steps", ylabel=label)
            panel.set_xticks([16, 64, 300, 1024, 4096], ["16", "64", "300", "1024", "4096"])
            panel.minorticks_off()
            panel.get_legend().set_title(None)
            sns.despine(ax=panel)
        save(figure, target)
        plt.close(figure)


def _time(row: "Mapping[Any, Any] | pd.Series[Any]", clock: str = "cpu") -> str:
    lower, median, upper = (significant(row[f"{clock}_{place}"], 3) for place in ("q1", "median", "q3"))
    return f"{median} ({lower}–{upper})"


SECTIONS: dict[str, tuple[str, Callable[[pd.DataFrame], str]]] = {
    "sampling": ("Sampling", _sampling),
    "profile": ("Where a step goes", _profile),
    "training": ("Training step", _training),
    "step": ("Where a training step goes", _step),
    "scan_ggml": ("The scan beside ggml's", _scan),
    "crossover": ("Attention beside Mamba-1", _crossover),
}
