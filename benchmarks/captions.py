"""Use of captions by denoisers: their error on validation clips by noise level, with the clip's caption and another's.

    python benchmarks/captions.py RUN PROFILE DATASET ROW:SEED [ROW:SEED ...] --output docs/bench/captions.csv

RUN is a folder with trainings of the profile. Where another clip's caption gives the same error, the network does not
read captions there. The error is that of the clean motion, normalised: of a network that predicts the noise, of the
motion that follows from its prediction. What is in the output already is not measured again.
"""

from collections.abc import Iterator

import pandas as pd
import torch
from measuring import batch_of, measured_rows

from intermamba.checkpoints.trained import Trained
from intermamba.config import Config
from intermamba.data.splits import SplitFile
from intermamba.diffusion import Diffusion
from intermamba.models import find
from intermamba.models.conditions import conditions
from intermamba.paths import path
from intermamba.text.cache import TextCache

LEVELS = (100, 300, 500, 700, 900)


def main() -> None:
    with measured_rows(__doc__) as measured:
        for labels, trained in measured.missing():
            found = pd.DataFrame(errors(measured.config, trained), columns=["level", "caption", "error"])
            measured.add(found.assign(**labels))


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
