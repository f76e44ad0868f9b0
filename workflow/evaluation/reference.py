"""Stages ``evaluate-reference`` and ``sensitivity``: metrics of the reference motions, as they are and damaged."""

from evaluators import sensitivity
from evaluators.protocol import Source
from evaluators.results import SHUFFLED
from evaluators.sources import SharedSource, ShuffledSource
from intermamba import files, paths, provenance
from intermamba.config import Config, Dataset
from intermamba.progress import SILENT, Progress
from workflow.evaluation.setup import Bench


def run(config: Config, dataset: Dataset, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions, with their own captions and with captions shuffled."""
    bench = Bench(config, dataset)
    output = paths.path("reference_metrics", profile=config.profile, dataset=dataset)
    with provenance.recorded("evaluate-reference", [output], bench.inputs, bench.knobs, bench.seeds) as notes:
        files.write_csv(output, bench.measure(sources(bench), "reference", progress=progress))
        notes.update(bench.notes)


def sources(bench: Bench) -> dict[str, Source]:
    """The ground truth and chance, by the names of their rows."""
    drawn = SharedSource(bench.real)
    return {"real": drawn, SHUFFLED: ShuffledSource(drawn)}


def run_sensitivity(config: Config, dataset: Dataset, progress: Progress = SILENT) -> None:
    """Evaluate the real test motions under every perturbation, to see which metric notices what."""
    bench = Bench(config, dataset, config.sensitivity.repeats)
    output = paths.path("sensitivity", profile=config.profile, dataset=dataset)
    with provenance.recorded("sensitivity", [output], bench.inputs, bench.knobs, bench.seeds) as notes:
        found = sensitivity.measure(bench.evaluator, bench.protocol, bench.real, bench.root, progress, bench.body)
        files.write_csv(output, bench.rows(found, "reference"))
        notes.update(bench.notes)
