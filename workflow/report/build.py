"""Stage ``report``: what the other stages made, as a page, as a LaTeX document and, where there is LaTeX, its PDF."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from evaluators.results import METRICS, SHUFFLED, BlockName
from intermamba import files
from intermamba.config import Config, Dataset
from intermamba.errors import StateError
from intermamba.models import variants
from intermamba.names import dataset_name, origin_name, solver_name
from intermamba.paths import SPLITS, path
from intermamba.provenance import recorded
from workflow.evaluation import gallery
from workflow.evaluation.gallery import REAL, Shown
from workflow.graph.stages import Stage, table
from workflow.report.lineage import Lineage
from workflow.report.page import Bar, Headline, Picture, Report, render
from workflow.results.reproduced import Study, measured_on, read
from workflow.tables import build as tables
from workflow.tables import latex, pdf
from workflow.tables.tabular import decimals, interval

COMPARISON = {"interhuman": 1, "interx": 2}
"""The table that compares models, by dataset."""
FIGURES = {
    "figure2": (
        "Figure 2. Quality over time of sampling",
        "R-precision (top 1) over the time of one sampling; the area of a bubble is the number of parameters. What the "
        "paper reports and what was measured here are drawn apart.",
    ),
    "figure7": (
        "Figure 7. Motions",
        "Three moments of a motion each: real, and as models perform the same caption. Within a row all are seen from "
        "the same distance.",
    ),
    "figure8": (
        "Figure 8. Adaptive weights over training",
        "Fusion weights of the full model: alpha of the temporal branch, beta of the spatial one; a thin line for each "
        "block and module, the mean as a thick one.",
    ),
    "steps": (
        "Quality over sampling steps",
        "The full model's R-precision (top 3) and FID when it samples in fewer and more steps, with DDIM and with a "
        "DPM-Solver++; bars are 95% intervals over repeats.",
    ),
    "sensitivity": (
        "What the judges notice",
        "Change of each metric when real motions are damaged. Blue: noticed, the darker the larger against what nobody "
        "would see; grey: the metric is blind to it; orange: it takes the damage for better.",
    ),
    "learning": (
        "Learning curves",
        "Error on held-out clips over training, all noise levels together: the mean over training seeds, and their "
        "range as a shade. It says little of how well the text is followed.",
    ),
}
"""Title of a figure and what it shows, by the name of its file."""


def run(config: Config) -> tuple[Path, str]:
    """Write the report of a profile; returns the page, and the PDF's place or why there is none.

    The PDF is an extra: no LaTeX, or one without a package that the document needs, is no failure of the report.

    Raises:
        StateError: a stage before this one has not run.
        DataError: a result is older than the rows that params.yaml asks for.
    """
    stages = table(config)
    (stage,) = stages["report"].jobs()
    before = [one for name, one in stages.items() if name != "report"]
    inputs = [files.require(name, _maker(before, name)) for name in stage.inputs]
    page, document = (Path(name) for name in stage.results)
    study, _ = read(config, variants())
    with recorded("report", [page, document], inputs, {"profile": config.profile}) as notes:
        figures = sorted((one for one in inputs if one.suffix == ".png"), key=_by_number)
        made = tables.build(study)
        files.write_text(document, _document(config, inputs))
        printed, notes["pdf"] = _printed(document)
        origins = tuple(dict.fromkeys(_origin(study, dataset) for dataset in config.runs))
        lineage = Lineage.of(before)
        claims = path("claims", profile=config.profile)
        report = Report(
            profile=config.profile,
            origins=origins,
            facts=_facts(study, lineage, origins),
            headlines=tuple(headline(study, dataset) for dataset in config.runs),
            tables=tuple(one for one in made if one.name != "claims"),  # they have a section of their own
            pictures=tuple(_picture(one) for one in figures),
            motions=tuple(_motions(inputs)),
            labels={REAL: "Real"} | {name: one.label for name, one in study.variants.items()},
            lineage=lineage,
            claims=pd.read_csv(claims),
            claims_file=str(claims),
            downloads=_downloads(page, [*inputs, *([printed] if printed else [])]),
        )
        files.write_text(page, render(report))
    return page, notes["pdf"]


def _printed(document: Path) -> tuple[Path | None, str]:
    """The PDF of a document and its place, or nothing and why."""
    try:
        printed = pdf.compile_document(document)
    except StateError as error:
        return None, f"PDF not made: {error}"
    return printed, str(printed) if printed else pdf.MISSING


def _by_number(figure: Path) -> tuple[int, str]:
    """Figure 2 before Figure 10."""
    return len(figure.stem), figure.stem


def _maker(stages: Iterable[Stage], name: str) -> str:
    """Command of the stage that makes ``name``, for an error message."""
    for stage in stages:
        for job in stage.jobs():
            if name in job.outputs:
                return job.command.removeprefix("intermamba ")
    return "fetch"


def _document(config: Config, inputs: Iterable[Path]) -> str:
    """All tables and figures of the profile as one LaTeX document."""
    sources = [one for one in inputs if one.suffix == ".tex" and one != path("document", profile=config.profile)]
    drawings = sorted((one for one in inputs if one.suffix == ".pdf"), key=_by_number)
    shown = [(f"../{one.parent.name}/{one.name}", _told(one)) for one in drawings]
    names = [f"../{one.parent.name}/{one.name}" for one in sources]
    return latex.document(f"Report of profile {config.profile}", tables.APART, names, shown)


def _told(file: Path) -> tuple[str, str]:
    return FIGURES.get(file.stem, (file.stem.replace("_", " ").capitalize(), ""))


def _picture(file: Path) -> Picture:
    return Picture(*_told(file), file.read_bytes(), str(file))


def _motions(inputs: Iterable[Path]) -> list[Shown]:
    """Motions of each dataset, the real ones first, then the models in the order of params.yaml."""
    return [gallery.read(one) for one in inputs if one.name == "shown.safetensors"]


def _downloads(page: Path, inputs: Iterable[Path]) -> dict[str, str]:
    """What a reader may want to have as a file: addresses relative to the page."""
    root = page.parent.parent
    kept = [one for one in inputs if one.suffix in (".pdf", ".csv") and one.is_relative_to(root)]
    return {one.name: f"../{one.relative_to(root).as_posix()}" for one in kept}


def _origin(study: Study, dataset: Dataset) -> str:
    return str(study.results(dataset, "reference", "real").iloc[0]["origin"])


def headline(study: Study, dataset: Dataset) -> Headline:
    """R-precision of the compared methods, between chance and real; the table of its dataset compares them."""
    digits = METRICS["top3"].digits

    def result(block: BlockName, method: str, metric: str) -> Mapping[str, Any]:
        found = study.results(dataset, block, method)
        return {str(key): value for key, value in found[found["metric"] == metric].iloc[0].items()}

    def of(block: BlockName, method: str, metric: str = "top3") -> tuple[float, str]:
        found, places = result(block, method, metric), METRICS[metric].digits
        half = interval(float(found["interval"]), places)
        return float(found["mean"]), decimals(found["mean"], places) + (f" ±{half}" if half else "")

    def spread(block: BlockName, method: str) -> float:
        return float(result(block, method, "top3")["interval"])

    (real, _), (chance, _) = of("reference", "real"), of("reference", SHUFFLED)
    methods = study.members(COMPARISON[dataset], dataset)
    values = {method: of("reproduced", method) for method in methods}
    best = max(values, key=lambda method: values[method][0])
    follows = values[best][0] > chance + spread("reproduced", best) + spread("reference", SHUFFLED)
    bars = tuple(
        Bar(study.label(name), value, text, name == best and follows) for name, (value, text) in values.items()
    )
    closest = min(methods, key=lambda method: of("reproduced", method, "fid")[0])
    beginning = "The" if follows else "No row is above chance: the"
    sentence = (
        f"{beginning} highest R-precision (top 3) is that of {study.label(best)}, {values[best][1]}; chance is "
        f"{decimals(chance, digits)}, real motions have {decimals(real, digits)}. The lowest FID is that of "
        f"{study.label(closest)}, {of('reproduced', closest, 'fid')[1]}, where real against real is "
        f"{of('reference', 'real', 'fid')[1]}."
    )
    return Headline(dataset_name(dataset), f"{_capital(measured_on(study, dataset))}.", chance, real, bars, sentence)


def _facts(study: Study, lineage: Lineage, origins: Iterable[str]) -> dict[str, str]:
    """What was run, on what, by which code; ``title`` and ``lead`` go first on the page."""
    config = study.config
    rows = list(config.rows())
    names = [dataset_name(dataset) for dataset in config.runs]
    seeds = sorted({seed for _, _, seed in rows})
    clips = [
        f"{dataset_name(record['command'].split()[-1])}: "
        + ", ".join(f"{record['notes']['clips'][split]} {split}" for split in SPLITS)
        for record in lineage.records.values()
        if record["stage"] == "fetch"
    ]
    started = sorted(record["started"][:10] for record in lineage.records.values())
    models = len({variant for _, variant, _ in rows})
    return {
        "title": f"{models} models of two people interacting, trained and judged",
        "lead": (
            f"Profile {config.profile}: {len(rows)} trainings of {models} models on {' and '.join(names)} "
            f"({', '.join(map(origin_name, origins))}), judged by the datasets' protocols, beside the numbers that the "
            "paper reports. Every number leads to the run that made it."
        ),
        "Clips": "; ".join(clips),
        "Training seeds": ", ".join(map(str, seeds)),
        "Sampling": (
            f"{config.diffusion.sampling_steps} steps of {solver_name(config.diffusion.solver)}, "
            f"guidance {config.diffusion.guidance}"
        ),
        "Protocols": ", ".join(str(config.protocol[dataset]) for dataset in config.runs),
        "Text tower": ", ".join(lineage.note("tower")),
        "Code": ", ".join(lineage.revisions),
        "Run": f"{started[0]} to {started[-1]}" if started[0] != started[-1] else started[0],
        "Computing time": f"{lineage.seconds / 60:.0f} minutes in {len(lineage.records)} stage runs",
        "Device": ", ".join(sorted({str(record["device"]) for record in lineage.records.values()})),
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
