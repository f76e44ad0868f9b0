"""Use of captions by denoisers: their error on validation clips by noise level, with the clip's caption and another's.

    python benchmarks/captions.py RUN PROFILE ROW:SEED [ROW:SEED ...] --output docs/bench/captions.csv [--dataset D]

RUN is a folder with trainings of the profile. Where another clip's caption gives the same error, the network does not
read captions there. The error is that of the clean motion, normalised: of a network that predicts the noise, of the
motion that follows from its prediction. What is in the output already is not measured again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from measuring import batch_of, in_run, unmeasured

from intermamba import files
from intermamba.checkpoints.trained import Trained
from intermamba.config import Config, load
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.models import find
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.provenance import recorded
from intermamba.text.cache import TextCache

LEVELS = (100, 300, 500, 700, 900)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("profile")
    arguments.add_argument("rows", nargs="+")
    arguments.add_argument("--dataset", default="interhuman")
    arguments.add_argument("--output", type=Path, required=True)
    asked = arguments.parse_args()
    output = in_run(asked.run, asked.output)
    config = load(asked.profile)
    torch.set_num_threads(config.runtime.threads)
    done = [pd.read_csv(output)] if output.exists() else []
    with recorded("captions", [output], [], config.model_dump(mode="json")) as notes:
        for labels, trained in unmeasured(asked.rows, config, asked.dataset, done):
            found = pd.DataFrame(errors(config, trained), columns=["level", "caption", "error"])
            done.append(found.assign(**labels))
            files.write_csv(output, pd.concat(done))
        notes["run"] = asked.run.name


@torch.inference_mode()
def errors(config: Config, trained: Trained) -> Iterator[tuple[int, str, float]]:
    """Noise level, caption ("own", "other") and mean square error of the motion.

    Raises:
        SystemExit: the row is no denoiser.
    """
    row, where = find(trained.variant), {"profile": config.profile, "dataset": trained.dataset}
    if not row.method.diffuses:
        raise SystemExit(f"error: {row.name} has no noise levels.")
    batch = batch_of(SplitFile(path("split", split="val", **where)), config, config.seed)
    motion = (batch.motion - trained.mean) / trained.std * batch.mask[:, :, None, None]
    model, generator = trained.model.eval(), torch.Generator().manual_seed(config.seed)
    own = conditions(model, TextCache(path("text", **where)), batch.caption, batch.individual)
    diffusion = Diffusion(row.configured(config, trained.dataset).diffusion, process=row.method.process)
    for level in LEVELS:
        kept, timestep = diffusion.alpha_bar[level].to(motion.dtype), torch.full((len(motion),), level)
        noisy = diffusion.add_noise(motion, torch.randn(motion.shape, generator=generator), timestep)
        for caption, cond in (("own", own), ("other", own.roll(1, 0))):
            found = model(noisy, timestep, cond, batch.mask)
            if row.method.process.predicts == "noise":
                found = (noisy - (1 - kept) ** 0.5 * found) / kept**0.5
            yield level, caption, (found - motion)[batch.mask].square().mean().item()


if __name__ == "__main__":
    main()
