"""Stage ``report``: what the other stages made, as a page, as a LaTeX document and, where there is LaTeX, its PDF."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from intermamba import files
from intermamba.config import Config
from intermamba.errors import StateError
from intermamba.job import Job
from intermamba.models import variants
from intermamba.names import dataset_name, origin_name, solver_name
from intermamba.paths import SPLITS, path
from workflow.evaluation import gallery
from workflow.evaluation.gallery import Shown
from workflow.graph.stages import table
from workflow.report.lineage import Lineage
from workflow.report.page import TITLE, Download, Picture, Report, render
from workflow.results.headline import Headline, headline
from workflow.results.reproduced import Study, measured_on, read
from workflow.tables import build as tables
from workflow.tables import latex, pdf
from workflow.tables.claims import balance
from workflow.tables.tabular import Table

FIGURES = {
    "figure2": (
        "Figure 2. Quality over sampling time",
        "R-precision (top 1) over the time of one sampling; the area of a bubble is the number of parameters. The "
        "paper's numbers and this run's have panels of their own.",
    ),
    "figure7": (
        "Figure 7. Motions",
        "Three moments per motion: ground truth, and what models make of the same caption. All motions of a row are "
        "seen from the same distance.",
    ),
    "figure8": (
        "Figure 8. Adaptive weights over training",
        "Fusion weights of the full model: alpha of the temporal branch, beta of the spatial one. Thin lines: one "
        "block and module each; thick lines: their mean.",
    ),
    "learning": (
        "Figure 9. Learning curves",
        "Error on held-out clips over training, all noise levels together: mean over training seeds (line) and their "
        "range (shade). A lower error does not mean that a model follows the text better.",
    ),
    "steps": (
        "Figure 10. Quality over sampling steps",
        "R-precision (top 3) and FID of the full model with fewer and more sampling steps, with DDIM and "
        "DPM-Solver++. Bars: 95% intervals over repeats.",
    ),
    "sensitivity": (
        "Figure 11. What the evaluators notice",
        "Change of each metric when the ground truth is damaged. Blue: the metric notices, the stronger the larger "
        "the change; grey: it is blind to the damage; pink: it improves.",
    ),
}
"""Title of each figure and what it shows, in order of their numbers; 2, 7 and 8 are the paper's."""
NUMBERED = "Figures 2, 7 and 8 are numbered as in the paper; those from 9 on are of this project alone."
EMBEDDED = 64 * 1024
"""Bytes of the largest file that the page holds itself; larger ones lie beside it."""


def run(config: Config, job: Job) -> tuple[Path, str]:
    """Write the report of a profile; returns the page, and the PDF's place or why there is none.

    The PDF is an extra: no LaTeX, or one without a package that the document needs, is no failure of the report.

    Raises:
        StateError: a stage before this one has not run.
        DataError: a result is older than the rows that params.yaml asks for.
    """
    before = [one for name, one in table(config).items() if name != "report"]
    inputs, page, document = job.reads, job["page"], job["document"]
    with job.recorded(config) as notes:
        study = read(config, variants())
        metrics, claims = (pd.read_csv(path(name, profile=config.profile)) for name in ("metrics", "claims"))
        headlines = tuple(headline(study, metrics, dataset) for dataset in config.runs)
        lineage = Lineage.of(before)
        facts = _facts(study, lineage)
        figures = sorted((one for one in inputs if one.suffix == ".png"), key=_place)
        made = tuple(tables.build(study))
        summary = _summary(facts, headlines, balance(claims))
        files.write_text(document, _document(made, config.profile, figures, summary))
        printed, notes["pdf"] = _printed(document)
        report = Report(
            profile=config.profile,
            origins=_origins(study),
            facts=facts,
            headlines=headlines,
            tables=made,
            pictures=tuple(_picture(one) for one in figures),
            motions=tuple(_motions(inputs)),
            labels={name: one.label for name, one in study.variants.items()},
            lineage=lineage,
            claims=claims,
            claims_file=str(path("claims", profile=config.profile)),
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


def _place(figure: Path) -> tuple[int, str]:
    """Figures in the order of their numbers; one without goes last."""
    names = list(FIGURES)
    return names.index(figure.stem) if figure.stem in names else len(names), figure.stem


def _document(made: Iterable[Table], profile: str, figures: Iterable[Path], summary: Sequence[tuple[str, str]]) -> str:
    """Summary, tables and figures of the profile as one LaTeX document, in the order of their numbers."""
    return latex.document(
        f"{TITLE}: profile {profile}",
        summary,
        [f"../tables/{table.stem}.tex" for table in made],
        [(f"../figures/{one.stem}.pdf", _titled(one)) for one in figures],
    )


def _titled(file: Path) -> tuple[str, str]:
    return FIGURES.get(file.stem, (file.stem.replace("_", " ").capitalize(), ""))


def _picture(file: Path) -> Picture:
    return Picture(*_titled(file), file.read_bytes(), str(file))


def _motions(inputs: Iterable[Path]) -> list[Shown]:
    """Motions of each dataset, the real ones first, then the models in the order of params.yaml."""
    return [gallery.read(one) for one in inputs if one.name == "shown.safetensors"]


def _downloads(page: Path, inputs: Iterable[Path]) -> list[Download]:
    """What a reader may want to have as a file: small tables inside the page, the rest by its place beside it."""
    root = page.parent.parent
    kept = [one for one in inputs if one.suffix in (".pdf", ".csv") and one.is_relative_to(root)]
    return [
        Download(
            one.relative_to(root).as_posix(),
            f"../{one.relative_to(root).as_posix()}",
            one.read_bytes() if one.suffix == ".csv" and one.stat().st_size <= EMBEDDED else None,
        )
        for one in kept
    ]


def _origins(study: Study) -> tuple[str, ...]:
    found = (study.results(dataset, "reference", "real").iloc[0]["origin"] for dataset in study.config.runs)
    return tuple(dict.fromkeys(map(str, found)))


def _facts(study: Study, lineage: Lineage) -> dict[str, str]:
    """What was run, on what data, by which code; ``lead`` goes first on the page."""
    config = study.config
    rows = list(config.rows())
    names = [dataset_name(dataset) for dataset in config.runs]
    models, seeds = {variant for _, variant, _ in rows}, sorted({seed for _, _, seed in rows})
    clips = [
        f"{dataset_name(record['command'].split()[-1])}: "
        + ", ".join(f"{record['notes']['clips'][split]} {split}" for split in SPLITS)
        for record in lineage.records.values()
        if record["stage"] == "fetch"
    ]
    started = sorted(record["started"][:10] for record in lineage.records.values())
    data = " and ".join(map(origin_name, _origins(study)))
    return {
        "lead": (
            f"InterMamba generates the motion of two interacting people from a text. Here {len(models)} models, it, "
            f"its ablations and baselines, were trained {len(rows)} times on {' and '.join(names)} ({data}) and "
            "evaluated by the datasets' protocols; the paper's numbers are shown beside. Every number leads to the "
            "run that made it."
        ),
        "Data": f"{data}. Clips: {'; '.join(clips)}",
        "Trainings": f"{len(rows)} of {len(models)} models, training seeds {', '.join(map(str, seeds))}",
        "Sampling": (
            f"{config.diffusion.sampling_steps} steps of {solver_name(config.diffusion.solver)}, "
            f"guidance {config.diffusion.guidance}"
        ),
        "Measured on": "; ".join(f"{dataset_name(name)}: {measured_on(study, name)}" for name in config.runs),
        "Code revisions": ", ".join(lineage.revisions),
        "Date": f"{started[0]} to {started[-1]}" if started[0] != started[-1] else started[0],
        "Computing time": f"{lineage.seconds / 60:.0f} minutes in {len(lineage.records)} stage runs",
        "Device": ", ".join(sorted({str(record["device"]) for record in lineage.records.values()})),
        "Profile": config.profile,
    }


def _summary(facts: Mapping[str, str], headlines: Iterable[Headline], claims: str) -> list[tuple[str, str]]:
    """What the PDF begins with: heading and text of each paragraph, the first one without heading."""
    results = [(f"Result on {one.dataset}", one.text) for one in headlines]
    shown = [(name, facts[name]) for name in ("Data", "Trainings", "Code revisions", "Date", "Device")]
    return [
        ("", facts["lead"]),
        *results,
        ("The paper's claims", f"{claims}. 'Inconclusive' is not evidence against the paper."),
        *((name, f"{text}.") for name, text in shown),
        ("Reading", f"{tables.APART} {tables.NUMBERS} {NUMBERED}"),
    ]
