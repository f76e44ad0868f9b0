"""How every row of a study was trained and is sampled, as Markdown: the knobs in which rows differ or may differ."""

from collections.abc import Iterator

from intermamba.names import dataset_name
from intermamba.text.names import own_tower
from workflow.cells import MISSING
from workflow.results.reproduced import Study
from workflow.tables.markdown import grid

COLUMNS = (
    "Row",
    "Text tower",
    "Learning rate",
    "Batch",
    "Epochs",
    "Noise shift",
    "Steps",
    "Sampling shift",
    "Guidance",
)


def render(study: Study) -> str:
    """A table for each dataset. A method's own trainings before the row's are not listed."""
    return "\n".join(
        f"**{dataset_name(name)}**\n\n{grid(COLUMNS, list(_rows(study, name)))}" for name in study.config.runs
    )


def _rows(study: Study, dataset: str) -> Iterator[list[str]]:
    for name in study.config.runs[dataset]:
        row = study.variant(name)
        own = row.configured(study.config, dataset)
        training, diffusion, method = own.training, own.diffusion, row.method
        placed = method.diffuses and diffusion.sampling_shift is not None
        yield [
            row.label,
            own_tower(study.config, row.base) or str(study.results(dataset, "reproduced", name).iloc[0]["tower"]),
            f"{training.learning_rate:g}",
            *(str(value) for value in (training.batch, training.epochs)),
            f"{training.noise_shift:g}" if method.diffuses else MISSING,
            str(diffusion.sampling_steps) if method.stepwise else MISSING,
            f"{diffusion.sampling_shift:g}" if placed else MISSING,
            {"scale": f"{diffusion.guidance:g}", "own": "its own", "no": MISSING}[method.guided],
        ]
