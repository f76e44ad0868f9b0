"""How every row of a study was trained and is sampled, as Markdown: the knobs in which rows differ or may differ."""

from collections.abc import Iterator

from intermamba.config import Config
from intermamba.models import find
from intermamba.names import dataset_name
from intermamba.text.names import own_tower, tower_name
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


def render(config: Config) -> str:
    """A table for each dataset. A method's own trainings before the row's are not listed."""
    return "\n".join(f"**{dataset_name(name)}**\n\n{grid(COLUMNS, list(_rows(config, name)))}" for name in config.runs)


def _rows(config: Config, dataset: str) -> Iterator[list[str]]:
    for name in config.runs[dataset]:
        row = find(name)
        own = row.configured(config, dataset)
        training, diffusion = own.training, own.diffusion
        shift = "—" if diffusion.sampling_shift is None else f"{diffusion.sampling_shift:g}"
        yield [
            row.label,
            own_tower(config, row.base) or tower_name(config.text),
            f"{training.learning_rate:g}",
            *(str(value) for value in (training.batch, training.epochs)),
            f"{training.noise_shift:g}",
            str(diffusion.sampling_steps),
            shift,
            f"{diffusion.guidance:g}",
        ]
