"""A small study with made-up results, for tests of aggregation and tables."""

import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from once import once
from places import ROOT
from stages import run as run_stage

import ablations
from evaluators.perturbations import catalogue
from evaluators.results import METRICS, REAL
from intermamba import files, models
from intermamba.config import Config, MotionsConfig, OfficialConfig, load
from intermamba.datasets import family
from intermamba.methods.variant import Variant
from intermamba.paths import path
from intermamba.skeleton import BODY_PARENTS, OFFSETS
from workflow.evaluation import gallery
from workflow.graph.stages import table
from workflow.results.aggregate import REFERENCES, references

HOSTILE = 'They say </script><b>"hello"</b> & wave $x$ {{ 7 }}.'
OFFICIAL = {"interhuman": {"intergen": OfficialConfig(checkpoint="intergen.ckpt", normalisation="data")}}
MOTIONS = {"interhuman": {"theirs": MotionsConfig(folder="submissions/theirs", label="Theirs & co_")}}
MEANS = {
    "real": (0.45, 0.61, 0.70, 0.27, 3.75, 7.95, None, 9.5, 31.0, 2.5, 0.70, 0.67, 0.71, 0.69, 1.2, 9.0),
    "retaken": (0.44, 0.60, 0.69, 1.3, 3.80, 7.94, None, 9.5, 31.0, 2.5, 0.69, 0.66, 0.70, 0.68, 1.2, 9.0),
    "shuffled": (0.03, 0.06, 0.09, 0.28, 6.10, 7.94, None, 9.5, 31.0, 2.5, 0.09, 0.06, 0.09, 0.08, 1.2, 9.0),
    "nearest": (0.30, 0.44, 0.55, 2.1, 4.40, 7.80, None, 9.6, 30.5, 2.5, 0.56, 0.50, 0.6, 0.5, 0.1, 0.5),
    "theirs": (0.25, 0.39, 0.50, 8.7, 4.70, 7.70, None, 12.5, 28.0, 4.0, 0.50, 0.47, 0.5, 0.48, 1.4, 11.0),
    "intermamba": (0.21, 0.35, 0.46, 11.2, 4.90, 7.50, 1.10, 9.5, 31.0, 2.5, 0.46, 0.43, 0.48, 0.4, 1.0, 8.0),
    "intergen": (0.18, 0.30, 0.40, 10.4, 5.05, 7.61, 1.20, 9.5, 31.0, 2.5, 0.40, 0.37, 0.41, 0.36, 1.1, 8.5),
    "my_idea_100": (0.21, 0.33, 0.44, 9.9, 4.95, 7.55, 1.00, 9.5, 31.0, 2.5, 0.44, 0.41, 0.45, 0.4, 1.3, 9.5),
    "without_temporal": (0.02, 0.05, 0.08, 12.0, 6.20, 7.00, 0.90, 9.5, 31.0, 2.5, 0.08, 0.05, 0.08, 0.07, 1.5, 12.0),
}


def variant(name: str, label: str, base: str = "intermamba", changes=None, **paper: str) -> Variant:
    """A variant with rows of the paper given as ``table1="..."``."""
    rows = [{"table": int(table[-1]), "row": row} for table, row in paper.items()]
    return Variant(name=name, label=label, base=base, changes=changes or {}, hypothesis="", paper=rows)


VARIANTS = {
    **{name: row for name, row in ablations.load().items() if name in ("intermamba", "intergen")},
    "intermamba_light": variant(
        "intermamba_light",
        "InterMamba (light)",
        changes={"modules": 1},
        table1="InterMamba (light)",
        table3="Ours (UltraLight)",
    ),
    "without_temporal": variant(
        "without_temporal", "w/o temporal Mamba", changes={"temporal": False}, table4="w/o Temporal Mamba"
    ),
    "my_idea_100": variant("my_idea_100", "My idea & 100% of_it", changes={"spatial": False}),
}


def known(patch: pytest.MonkeyPatch, *more: Variant) -> None:
    """Make the variants of this study, those under ablations/ and ``more`` all that are known."""
    for one in more:
        patch.setitem(VARIANTS, one.name, one)
    patch.setattr(models, "points", lambda group: [EntryPoint("made_up", f"{__name__}:_known", group)])


def _known() -> dict[str, Variant]:
    return ablations.load() | VARIANTS


def config(runs=None, official=None, motions=None) -> Config:
    """The smoke profile with the given runs, official checkpoints and motions of other projects."""
    runs = runs or {
        "interhuman": {"intermamba": (0,), "intergen": (0,), "without_temporal": (0,)},
        "interx": {"intermamba": (0,), "intergen": (0,)},
    }
    changes = {"runs": runs, "official": official or {}, "motions": motions or {}}
    return load("smoke", ROOT / "params.yaml").model_copy(update=changes)


def metrics(dataset: str, method: str, seed: int | None = None, **conditions) -> pd.DataFrame:
    """Rows of one method: 20 repeats (5 for MModality) around its made-up mean."""
    common = {
        "dataset": dataset,
        "origin": "synthetic",
        "skeleton": "neutral" if dataset == "interx" else "recorded",
        "tower": "untrained",
        "evaluator": "0123456789ab",
        "protocol": f"{family(dataset)}-tiny/1",
        "block": "reference" if method in REFERENCES else "reproduced",
        **conditions,
    }
    rows = []
    for (name, _), mean in zip(METRICS.items(), MEANS[method], strict=True):
        for repeat in range(5 if name == "multimodality" else 20):
            if mean is not None:
                value = mean * (1 + 0.01 * ((repeat * 7) % 5 - 2)) + 0.001 * (seed or 0)
                row = {"method": method, "training_seed": seed, "repeat": repeat, "repeat_seed": repeat}
                rows.append({**common, **row, "metric": name, "value": value})
    return pd.DataFrame(rows).astype({"training_seed": "Int64"})


def sensitivity(dataset: str) -> pd.DataFrame:
    """Real motions undamaged; FID halved where time is reversed; all else lowered by a tenth, but for mild noise."""
    real = metrics(dataset, "real")
    frames = [real]
    for index, one in enumerate(catalogue(dataset)):
        damaged = real.assign(method=one.name)
        if index:
            damaged["value"] *= 0.9
        if one.name == "reversed":
            damaged.loc[damaged["metric"] == "fid", "value"] *= 0.5
        frames.append(damaged)
    return pd.concat(frames)


def write(study: Config) -> None:
    """Everything that the stages after evaluation read, under the working directory."""
    profile = study.profile
    for dataset in study.runs:
        reference = pd.concat([metrics(dataset, name) for name in references(study, dataset)])
        files.write_csv(path("reference_metrics", profile=profile, dataset=dataset), reference)
        files.write_csv(path("sensitivity", profile=profile, dataset=dataset), sensitivity(dataset))
    for dataset, variant, seed in study.rows():
        where = {"profile": profile, "dataset": dataset, "variant": variant, "seed": seed}
        files.write_csv(path("run_metrics", **where), metrics(dataset, variant, seed))
        files.write_csv(path("adaptive_log", **where), adaptive(variant))
        files.write_csv(path("training_log", **where), losses(seed))
        if variant == "intermamba":
            files.write_csv(path("steps", **where), over_steps(dataset))
        if variant in study.guidance.variants.get(dataset, ()):
            files.write_csv(path("guidance", **where), over_guidance(dataset, variant))
        if variant in study.fusion.variants.get(dataset, ()):
            files.write_csv(path("fusion", **where), fused(dataset))
    for dataset, variant in study.adopted():
        where = {"profile": profile, "dataset": dataset, "variant": variant}
        frame = metrics(dataset, variant, block="re-evaluated")
        files.write_csv(path("official_metrics", **where), frame.assign(value=frame["value"] * 1.1))
    for dataset, method in study.external():
        file = path("motions_metrics", profile=profile, dataset=dataset, method=method)
        files.write_csv(file, metrics(dataset, method, block="re-evaluated"))
    names = sorted({variant for _, variant, _ in study.rows()})
    columns = ["method", "sizes", "parameters", "macs_dense", "macs_attention", "macs_scan", "macs_text"]
    sizes = {"profile": 1000, "paper": 1}
    counts = pd.DataFrame(
        [
            (name, which, 118_600_000 // by, 34_930_000_000 // by, 0, 1_420_000_000 // by, 866_000_000 // by)
            for name in names
            for which, by in sizes.items()
        ],
        columns=columns,
    ).assign(macs_sampling=3_636_000_000_000)
    timed = {
        "sampling_steps": 10,
        "timed_steps": 10,
        "solver": "ddim",
        "guidance": 3.5,
        "frames": 48,
        "batch": 1,
        "warmup_steps": 5,
        "threads": 1,
    }
    times = pd.DataFrame(
        [
            {"method": name, "repeat": repeat, "seconds": (0.2 + 0.1 * index) * (1 + 0.1 * repeat), **timed}
            for repeat in range(3)
            for index, name in enumerate(names)
        ]
    ).assign(device="some CPU", dtype="float32")
    for dataset, variants in study.runs.items():
        where = {"profile": profile, "dataset": dataset}
        gallery.write(path("real_gallery", **where), performed(dataset, REAL))
        for variant, seeds in variants.items():
            if not VARIANTS[variant].ablation:
                gallery.write(path("gallery", variant=variant, seed=seeds[0], **where), performed(dataset, variant))
    files.write_csv(path("complexity", profile=profile), counts)
    files.write_csv(path("complexity_time", profile=profile), times)


def performed(dataset: str, method: str) -> gallery.Gallery:
    """Two prompts of hostile letters and of few words, and what a method makes of them."""
    motions = tuple(standing(12, 0.1 * (1 + index)) for index in range(2))
    pairs = (("waves", "looks on"),) * 2 if dataset == "interhuman" else ()
    labels = (dataset, method, "synthetic", "", 30, ("0001", "0002"))
    return gallery.Gallery(*labels, (HOSTILE, "Two people meet."), pairs, motions, (0.0,) * 2)


def standing(frames: int, turn: float) -> np.ndarray:
    """(frames, 2, 22, 3) of two people in the T-pose, 1 m apart, who rise by 2 cm a frame and turn."""
    rest = np.zeros((22, 3))
    for joint in range(1, 22):
        rest[joint] = rest[BODY_PARENTS[joint]] + OFFSETS[joint]
    rest[:, 1] += 0.95
    angle = turn * np.arange(frames)[:, None]
    points = np.broadcast_to(rest, (frames, 22, 3)).copy()
    points[..., 0] = np.cos(angle) * rest[:, 0] + np.sin(angle) * rest[:, 2]
    points[..., 2] = np.cos(angle) * rest[:, 2] - np.sin(angle) * rest[:, 0]
    points[..., 1] += 0.02 * np.arange(frames)[:, None]
    aside = np.array([0.5, 0, 0])
    return np.stack([points - aside, points + aside], axis=1).astype(np.float32)


def losses(seed: int) -> pd.DataFrame:
    """A log of losses that fall, with a validation every tenth step."""
    rows = [
        (step, step // 10, split, (1 + 0.1 * seed) / (1 + step), 2.0 / (1 + step))
        for step in range(5, 45, 5)
        for split in (("train", "val") if step % 10 == 0 else ("train",))
    ]
    return pd.DataFrame(rows, columns=["step", "epoch", "split", "simple", "total"])


def over_steps(dataset: str) -> pd.DataFrame:
    """Metrics of the full model under both solvers, better with more steps."""
    frames = []
    for solver, steps in (("ddim", 5), ("ddim", 10), ("dpm-solver++", 5)):
        frame = metrics(dataset, "intermamba", 0)
        frames.append(frame.assign(value=frame["value"] * (1 + steps / 100), solver=solver, steps=steps))
    return pd.concat(frames, ignore_index=True)


def over_guidance(dataset: str, method: str) -> pd.DataFrame:
    """Metrics of a row sampled with two guidance scales."""
    frame = metrics(dataset, method, 0)
    return pd.concat(
        [frame.assign(value=frame["value"] * (1 + scale / 100), guidance=scale) for scale in (1.0, 3.5)],
        ignore_index=True,
    )


def fused(dataset: str) -> pd.DataFrame:
    """Metrics of the full model with changed fusion weights: each change one hundredth less, and FID one more."""
    cases = [(name, 0, 999) for name in ("learned", "mean", "swapped", "one")]
    cases += [("swapped", 0, 499), ("swapped", 500, 999)]
    frames = []
    for index, (name, first, last) in enumerate(cases):
        frame = metrics(dataset, "intermamba", 0)
        shift = frame["metric"].map({"top3": -0.01, "fid": 1.0}).fillna(0.0) * index
        frames.append(frame.assign(value=frame["value"] + shift, weights=name, first_step=first, last_step=last))
    return pd.concat(frames, ignore_index=True)


def adaptive(variant: str) -> pd.DataFrame:
    """A log of fusion weights; only a header for a model without any."""
    rows = [
        (step, block, module, branch, 1.0 - 0.01 * step)
        for step in range(0, 20, 5)
        for block in range(2)
        for module in ("self", "cross")
        for branch in ("temporal", "spatial")
    ]
    return pd.DataFrame(rows if variant != "intergen" else [], columns=["step", "block", "module", "branch", "value"])


def finish(config: Config) -> None:
    """Everything before the report, in the working directory; made-up runs have made-up records."""
    write(config)
    run_stage("aggregate", config)
    run_stage("claims", config)
    for name, stage in table(config).items():
        if stage.function.startswith("theirs:"):  # of another package
            run_stage(name, config)
    run_stage("tables", config)
    run_stage("figures", config)
    for stage in table(config).values():
        for job in stage.jobs():
            record = job.record
            if stage.name != "report" and not record.exists():
                outputs = {str(path): "0" * 64 for path in job.outputs.values()}
                inputs = {str(path): "1" * 64 for path in job.reads}
                notes = {"origin": "synthetic", "clips": {"train": 3, "val": 2, "test": 1}}
                files.write_json(
                    record,
                    {
                        "stage": stage.name, "command": job.command, "config": {"knob": "<b>"}, "seeds": {"root": 1},
                        "code": {"revision": "f" * 40, "dirty": True}, "inputs": inputs,
                        "outputs": outputs, "versions": {"python": "3"}, "device": "some CPU", "threads": 1,
                        "started": "2026-01-02T03:04:05+00:00", "wall_seconds": 1.5, "peak_memory_mib": 10,
                        "notes": notes,
                    },
                )  # fmt: skip
            for name in job.outputs.values():
                if stage.name != "report" and not Path(name).exists():
                    files.write_text(name, "made up")


def reported(factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished study with its report, made once for all processes, for tests to copy."""

    def make(tree: Path) -> None:
        study = config()
        for name in ("results/paper/reported", "ablations"):
            shutil.copytree(ROOT / name, tree / name)
        (tree / "evaluators").mkdir()
        shutil.copy(ROOT / "evaluators/protocols.yaml", tree / "evaluators")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tree)
            known(patch)
            finish(study)
            run_stage("report", study)

    return once(factory, "reported", make)
