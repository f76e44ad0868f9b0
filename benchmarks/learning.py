"""Whether every row of a run learns: its trainings measured by the run's own evaluator, beside ground truth and chance.

    python benchmarks/learning.py RUN PROFILE --output docs/bench/learning.csv

RUN is a folder with a params.yaml, in which the trainings of the profile's rows have run, the evaluators, and
``evaluate-reference``. Trainings that are not there are left out; a training that is in the output already is not
measured again.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from measuring import Measurement, references

from intermamba import files
from intermamba.checkpoints import trained as checkpoints
from intermamba.config import Config, load
from intermamba.generate import MotionGenerator
from intermamba.models import find
from intermamba.paths import path
from intermamba.provenance import recorded
from intermamba.text.cache import TextCache
from intermamba.text.names import own_tower


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("profile")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--repeats", type=int, help="in place of the protocol's; then without MModality")
    asked = arguments.parse_args()
    config = load(asked.profile, asked.run / "params.yaml")
    torch.set_num_threads(config.runtime.threads)
    with recorded("learning", [asked.output], [], config.model_dump(mode="json")) as notes:
        measure(asked.run, config, asked.output, asked.repeats)
        notes["run"] = asked.run.name


def measure(run: Path, config: Config, output: Path, repeats: int | None) -> None:
    """Add to ``output`` what is not in it yet."""
    done = pd.read_csv(output) if output.exists() else pd.DataFrame(columns=["dataset", "method", "training_seed"])
    for dataset, variants in config.runs.items():
        measurement = Measurement(run, config, dataset, repeats)
        where = {"profile": config.profile, "dataset": dataset}
        if "real" not in set(done.loc[done["dataset"] == dataset, "method"]):
            done = pd.concat([done, references(run, config, dataset).assign(steps=0, part_steps=0)], ignore_index=True)
        for variant, seed in ((name, seed) for name, seeds in variants.items() for seed in seeds):
            weights = run / path("weights", variant=variant, seed=seed, **where)
            key = {"dataset": dataset, "method": variant, "training_seed": seed}
            if not weights.exists() or (done[list(key)] == pd.Series(key)).all(axis=1).any():
                continue
            method, trained = find(variant).method, checkpoints.load(weights)
            diffusion = config.of(method.name).diffusion
            own = own_tower(config, method.name)
            text = path("own_text", tower=own, **where) if own else path("text", **where)
            generator = MotionGenerator(trained, TextCache(run / text), diffusion, "cpu")
            parts = [
                run / path("part_log", part=f"{method.name}.{one.name}", seed=seed, **where) for one in method.parts
            ]
            labels = {
                **key,
                "tower": trained.tower,
                "evaluator": measurement.fingerprint,
                "protocol": measurement.protocol.id,
                "weights": files.sha256(weights),
                "steps": steps(run / path("training_log", variant=variant, seed=seed, **where)),
                "part_steps": sum(map(steps, parts)),
            }
            done = pd.concat([done, measurement.measure(generator).assign(**labels)], ignore_index=True)
            files.write_csv(output, done)


def steps(log: Path) -> int:
    """Steps of a training."""
    return int(pd.read_csv(log)["step"].max())


if __name__ == "__main__":
    main()
