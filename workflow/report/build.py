"""Stage ``report``: results of the other stages as a page, as a LaTeX document and, where LaTeX is installed, a PDF."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from evaluators.results import REAL
from intermamba import files
from intermamba.config import Config
from intermamba.errors import StateError
from intermamba.job import Job
from intermamba.models import variants
from intermamba.names import dataset_name, origin_name, solver_name
from intermamba.paths import SPLITS, path
from intermamba.reading.documents import read_csv
from workflow.cells import Table
from workflow.evaluation import gallery
from workflow.evaluation.gallery import Gallery
from workflow.exhibits import Exhibit, numbering
from workflow.figures import figures
from workflow.graph.stages import table
from workflow.report.lineage import Lineage
from workflow.report.page import TITLE, Download, Picture, Report, render
from workflow.results import towers
from workflow.results.headline import Compared, Headline, headline
from workflow.results.lessons import Lesson, Results, lessons
from workflow.results.reproduced import Study, measured_on, read
from workflow.tables import build as tables
from workflow.tables import latex, pdf
from workflow.tables import tables as registry

EMBEDDED = 64 * 1024
"""Bytes of the largest file that the page embeds; it links to larger ones."""


def run(config: Config, job: Job) -> tuple[Path, str]:
    """Write the report of a profile; returns the page, and the PDF's place or why there is none.

    The PDF is an extra: the report does not fail where LaTeX, or a package that the document needs, is missing.

    Raises:
        StateError: a stage before this one has not run.
        DataError: a result is older than the runs that params.yaml lists.
    """
    stages = table(config)
    inputs, page, document = job.reads, job["page"], job["document"]
    with job.recorded(config) as notes:
        study = read(config, variants())
        metrics, claims = (read_csv(path(name, profile=config.profile)) for name in ("metrics", "claims"))
        headlines = tuple(filter(None, (headline(Compared(study, metrics, dataset)) for dataset in config.runs)))
        lineage = Lineage.of_run(config)
        facts = _facts(study, stages["fetch"].jobs(), lineage)
        made = tuple(tables.build(study, stages["tables"].job()))
        drawn = stages["figures"].job()
        pictures = tuple(_picture(one, config.profile) for one in figures(config).values())
        learned = lessons(Results.of(study, metrics, claims, drawn))
        summary = _summary(facts, headlines, learned)
        files.write_text(document, _document(made, config.profile, pictures, summary))
        printed, notes["pdf"] = _printed(document)
        report = Report(
            profile=config.profile,
            origins=_origins(study),
            facts=facts,
            headlines=headlines,
            lessons=learned,
            tables=made,
            pictures=pictures,
            motions=tuple(_motions(inputs)),
            labels={name: one.label for name, one in study.variants.items()},
            lineage=lineage,
            claims=claims,
            downloads=_downloads(page, [*inputs, *([printed] if printed else [])]),
        )
        files.write_text(page, render(report))
    return page, notes["pdf"]


def _printed(document: Path) -> tuple[Path | None, str]:
    """The PDF of a document and its path, or ``None`` and the reason."""
    try:
        printed = pdf.compile_document(document)
    except StateError as error:
        return None, f"PDF not made: {error}"
    return printed, str(printed) if printed else pdf.MISSING


def _document(
    made: Iterable[Table], profile: str, pictures: Iterable[Picture], summary: Sequence[tuple[str, str]]
) -> str:
    """Summary, tables and figures of the profile as one LaTeX document, in the order of their numbers."""
    return latex.document(
        f"{TITLE}: profile {profile}",
        summary,
        [f"../tables/{table.name}.tex" for table in made],
        [(f"../figures/{one.name}.pdf", (one.title, one.text)) for one in pictures],
    )


def _picture(figure: Exhibit, profile: str) -> Picture:
    file = path("figure", profile=profile, figure=figure.name, format="png")
    return Picture(f"Figure {figure.number}. {figure.title}", figure.text, file.read_bytes(), str(file))


def _motions(inputs: Iterable[Path]) -> list[Gallery]:
    """Motions of each dataset, ground truth first, then the models in the order of params.yaml."""
    return [gallery.read(one) for one in inputs if one.name == "gallery.safetensors"]


def _downloads(page: Path, inputs: Iterable[Path]) -> list[Download]:
    """Files to download: small tables are embedded in the page, others are linked."""
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
    found = (study.results(dataset, "reference", REAL).iloc[0]["origin"] for dataset in study.config.runs)
    return tuple(dict.fromkeys(map(str, found)))


def _facts(study: Study, fetches: Iterable[Job], lineage: Lineage) -> dict[str, str]:
    """Facts about the run: trainings, data, code; ``lead`` is the page's first paragraph."""
    config = study.config
    rows = list(config.rows())
    names, protocols = zip(*((dataset_name(one), config.protocol[one]) for one in config.runs), strict=True)
    models, seeds = {variant for _, variant, _ in rows}, sorted({seed for _, _, seed in rows})
    fetched = {job.dataset: lineage.records[str(job.record)]["notes"]["clips"] for job in fetches}
    clips = [
        f"{dataset_name(dataset)}: {', '.join(f'{counts[split]} {split}' for split in SPLITS)}"
        for dataset, counts in fetched.items()
    ]
    started = sorted(record["started"][:10] for record in lineage.records.values())
    data = " and ".join(map(origin_name, _origins(study)))
    return {
        "lead": (
            f"InterMamba generates the motion of two interacting people from a text. In this run, {len(models)} models "
            f"(InterMamba, ablations and baselines) were trained {len(rows)} times in total on {' and '.join(names)} "
            f"({data}) and evaluated by the protocols {' and '.join(protocols)}. The paper's numbers are shown "
            "separately. Every number links to the run behind it."
        ),
        "Data": f"{data}. Clips: {'; '.join(clips)}",
        "Trainings": f"{len(rows)} of {len(models)} models, training seeds {', '.join(map(str, seeds))}",
        "Sampling": (
            f"{config.diffusion.sampling_steps} steps of {solver_name(config.diffusion.solver)}, "
            f"guidance {config.diffusion.guidance}, unless a row has its own"
        ),
        "Text tower": towers.kinds(config.profile),
        "Measured on": "; ".join(f"{dataset_name(name)}: {measured_on(study, name)}" for name in config.runs),
        "Code revisions": ", ".join(lineage.revisions),
        "Date": f"{started[0]} to {started[-1]}" if started[0] != started[-1] else started[0],
        "Computing time": f"{lineage.seconds / 60:.0f} minutes in {len(lineage.records)} stage runs",
        "Device": ", ".join(lineage.devices),
        "Profile": config.profile,
    }


def _summary(
    facts: Mapping[str, str], headlines: Iterable[Headline], learned: Iterable[Lesson]
) -> list[tuple[str, str]]:
    """The PDF's summary: heading and text of each paragraph, the first one without heading."""
    results = [(f"Result on {one.dataset}", one.text) for one in headlines]
    numbers = " ".join(numbering(*one) for one in (("Tables", registry().values()), ("Figures", figures().values())))
    origins = [(name, facts[name]) for name in ("Data", "Text tower", "Trainings", "Code revisions", "Date", "Device")]
    return [
        ("", facts["lead"]),
        *results,
        *((one.topic, one.text) for one in learned),
        *((name, f"{text}.") for name, text in origins),
        ("Reading", f"{tables.APART} {numbers}"),
    ]
