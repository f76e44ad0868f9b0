"""The generated parts of README and docs, from committed results and from the code."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from evaluators.results import DISTANCE, PRECISION
from intermamba import files
from intermamba.config import Config, load
from intermamba.job import Job
from intermamba.models import variants
from intermamba.names import dataset_name
from intermamba.paths import COMMITTED, path
from workflow.cells import Table, decimals
from workflow.figures import FIGURES, figures
from workflow.graph.stages import table
from workflow.publish import (
    captions,
    commands,
    components,
    gpu,
    gradients,
    kernels,
    learning,
    levers,
    paper_size,
    parameters,
    pictures,
    power,
    processor,
    run_time,
    scale,
    settings,
    speed,
    text_towers,
)
from workflow.report.lineage import Lineage
from workflow.results import towers
from workflow.results.aggregate import references
from workflow.results.claims import balance
from workflow.results.headline import Compared, headline, printed
from workflow.results.lessons import Results, lessons
from workflow.results.reproduced import BlockName, Study, read
from workflow.tables import TABLES
from workflow.tables import build as tables
from workflow.tables.claims import topics as by_topic
from workflow.tables.markdown import excerpt, grid

SMOKE = Path("docs/smoke")
"""Folder of the published smoke run."""
RUN = "run.json"
"""File with facts about that run, beside its tables."""
TOPICS = (
    "How good the models are",
    "The paper's claims",
    "The parts of the model",
    "Length of training",
    "What the metrics miss",
)
"""What the study shows on these is in the README."""
PUBLISHED = [one for one in TABLES.values() if one.in_paper and not one.timed]
"""Tables whose reproduced block is published; timings depend on the machine."""


def write() -> None:
    """Regenerate the generated parts of every document and the pictures; reads and writes the working directory."""
    for document, names in DOCUMENTS.items():
        files.write_text(document, render(document.read_text(encoding="utf-8"), document, names))
    for picture, draw in DRAWN.items():
        files.write_text(picture, draw())


def render(text: str, document: Path, names: Sequence[str]) -> str:
    """``text`` of ``document`` with its generated parts ``names`` regenerated; reads the working directory."""
    for name in names:
        text = _between(text, name, _relative(_PARTS[name](), document))
    return text


def _relative(content: str, document: Path) -> str:
    """``content``, whose links are relative to the top folder, with links relative to ``document``."""
    return re.sub(
        r"\]\(((?:results|docs)/[^)#]*)", lambda link: f"]({os.path.relpath(link[1], document.parent)}", content
    )


def study_summary() -> str:
    """The committed study: rows that all datasets have, what the study shows in some topics, and one picture."""
    config = load(COMMITTED)
    results = read(config, variants())
    claims = pd.read_csv(path("claims", profile=COMMITTED))
    learned = _lessons(results, claims, table(config)["figures"].job(), TOPICS)
    (picture, *_) = _pictures()
    return (
        f"{_about(facts(config), config, 'docs/reference/results.md')}\n\n{_compared(results)}\n{learned}\n\n{picture}"
    )


def study() -> str:
    """The committed study: its trainings, main results, claims, tables and pictures."""
    config = load(COMMITTED)
    results = read(config, variants())
    claims = pd.read_csv(path("claims", profile=COMMITTED))
    stages = table(config)
    made = tables.build(results, stages["tables"].job(), PUBLISHED)
    learned = _lessons(results, claims, stages["figures"].job())
    first, *others = _pictures()
    notes, costs = (path("table", profile=COMMITTED, table=name, format="md") for name in ("claims", "table3"))
    return (
        f"{_about(facts(config), config)}\n\n{_sentences(results)}\n\n{first}## What the study shows\n\n{learned}\n\n"
        f"## The paper's claims, here\n\n{balance(claims)}. 'Inconclusive' is not evidence against the paper. "
        "'Holds' and 'does not hold': p below 0.05, Holm-corrected across the claims; in brackets without correction. "
        "'Smaller': an effect as large as the paper's is rejected, whether there is one is open. "
        "Intervals are not corrected, so a claim can be inconclusive although its interval excludes no effect (0 or "
        "×1). The paragraphs at the top correct only for the choice of a dataset's best row, so they can separate two "
        "rows whose claim is inconclusive. Effects are differences, or "
        f"ratios (×) for FID and costs; [the table's notes]({notes}) say how they are estimated.\n\n"
        f"{_claims(claims)}\n## Tables\n\n"
        f"Table 3, the costs, holds timings of one machine: [as run]({costs}), [at the paper's sizes]"
        "(docs/reference/costs.md).\n\n"
        f"{''.join(map(_shown, made))}## Settings\n\n{settings.render(results)}\n## Figures\n\n{''.join(others)}"
    )


def _compared(results: Study) -> str:
    """The references and the rows that the tables of all datasets compare; means over training seeds."""
    names = list(results.config.runs)
    rows: dict[str, tuple[BlockName, str]] = {
        results.reference_label(names[0], one): ("reference", one)
        for one in references(results.config, names[0])
        if all(one in references(results.config, name) for name in names)
    }
    shared = [one for one in results.compared(names[0]) if all(one in results.compared(name) for name in names)]
    rows |= {results.label(one): ("reproduced", one) for one in shared}
    columns = [(name, metric) for name in names for metric in ("top1", PRECISION, DISTANCE)]
    body = [
        [label, *(printed(results.mean(name, block, one, metric), metric) for name, metric in columns)]
        for label, (block, one) in rows.items()
    ]
    heads = {"top1": "top 1", PRECISION: "top 3", DISTANCE: "FID"}
    return grid(["Synthetic data", *(f"{dataset_name(name)}: {heads[metric]}" for name, metric in columns)], body)


def _sentences(results: Study) -> str:
    metrics = pd.read_csv(path("metrics", profile=results.config.profile))
    found = filter(None, (headline(Compared(results, metrics, name)) for name in results.config.runs))
    return "\n\n".join(f"**Synthetic {one.dataset}.** {one.text}" for one in found)


def _pictures() -> list[str]:
    return [
        f"![Figure {one.number}. {one.title}. {one.text}]"
        f"({path('figure', profile=COMMITTED, figure=one.name, format='png')})\n\n"
        for one in sorted(figures(load(COMMITTED)).values(), key=lambda one: one.name != "figure7")  # motions first
    ]


def _lessons(results: Study, claims: pd.DataFrame, drawn: Job, topics: Sequence[str] = ()) -> str:
    """What the study shows, a line for each topic (all, or ``topics``), with the table or figure with the numbers."""
    profile = results.config.profile
    metrics = pd.read_csv(path("metrics", profile=profile))
    places = {one.name: path("table", profile=profile, table=one.name, format="md") for one in TABLES.values()}
    places |= {one.name: path("figure", profile=profile, figure=one.name, format="png") for one in FIGURES.values()}
    found = [one for one in lessons(Results.of(results, metrics, claims, drawn)) if not topics or one.topic in topics]
    return "\n".join(f"- **[{one.topic}]({places[one.exhibit]}).** {one.text}" for one in found)


def _claims(claims: pd.DataFrame) -> str:
    parts = []
    for topic, found in by_topic(claims).items():
        rows = [
            [one.claim, one.metric, one.printed, one.measured, one.effect_between, one.p_both, one.verdict]
            for one in found
        ]
        parts.append(grid([topic, "Metric", "Paper", "Here", "Effect (95%)", "p", "Verdict"], rows))
    return "\n".join(parts)


def _about(run: Mapping[str, Any], config: Config, details: str = "") -> str:
    """A paragraph on a run; names the code that made it, or the page ``details`` that does."""
    clips = "; ".join(
        f"{dataset_name(name)}: {one.synthetic.train} to train on, {one.synthetic.test} to test on"
        for name, one in config.datasets.items()
    )
    seconds = config.datasets["interhuman"].synthetic.seconds[-1]
    low, high = run["parameters"]
    longer = f" ({' or '.join(map(str, run['more_steps']))} in rows of more epochs)" if run["more_steps"] else ""
    code = f"by [code of several commits]({details})" if details else f"code {run['code']}"
    before = f", after {run['parts']} trainings that some of them build on" if run["parts"] else ""
    return (
        f"The profile `{config.profile}` on the embedded synthetic data: {run['trainings']} trainings of "
        f"{run['models']} models, {run['steps']} steps of {config.training.batch} clips each{longer}{before}, networks "
        f"of {low:.2f} to {high:.2f} M parameters, clips of {seconds} s ({clips}, with combinations of parameters that "
        f"training never shows), {run['computing_minutes']} minutes of computing in "
        f"{run['stage_runs']} stage runs on {run['device']}, {code}. **These results are "
        f"for small models with {towers.kinds(COMMITTED)} on synthetic data; they do not measure the paper's models on "
        f"InterHuman or Inter-X.**"
    )


def smoke() -> str:
    """One paragraph on the published run of the default profile."""
    run = files.read_json(SMOKE / RUN)
    summary = pd.read_csv(SMOKE / "summary.csv").query("dataset == 'interhuman' and metric == 'top3'")
    means = {str(name): decimals(value, 3) for name, value in zip(summary["method"], summary["mean"], strict=True)}
    return (
        f"`smoke`, the default profile, checks that the whole pipeline works: {run['trainings']} trainings of "
        f"{run['steps']} steps, {run['wall_minutes']} minutes on {run['device']} from the first stage to the last "
        f"(code {run['code']}). Its models are hardly trained: R-precision (top 3) on InterHuman is "
        f"{means['intermamba']} for InterMamba, {means['shuffled']} for chance and {means['real']} for ground truth "
        f"([its tables]({SMOKE})).\n"
    )


def facts(config: Config) -> dict[str, Any]:
    """Facts about a finished profile's run, from its records and logs.

    Raises:
        StateError: a stage has not run.
    """
    lineage = Lineage.of_run(config)
    records = list(lineage.records.values())
    starts = [datetime.fromisoformat(record["started"]).timestamp() for record in records]
    ends = [start + record["wall_seconds"] for start, record in zip(starts, records, strict=True)]
    counts = pd.read_csv(path("complexity", profile=config.profile)).query("sizes == 'profile'")["parameters"] / 1e6
    rows = list(config.rows())
    logs = (
        path("training_log", profile=config.profile, dataset=one, variant=name, seed=seed) for one, name, seed in rows
    )
    steps = pd.Series([pd.read_csv(log)["step"].max() for log in logs])
    usual = int(steps.mode().max())
    return {
        "trainings": len(rows),
        "models": len({name for _, name, _ in rows}),
        "parts": len(list(table(config)["train-part"].jobs())),
        "steps": usual,
        "more_steps": sorted({int(one) for one in steps if one > usual}),
        "parameters": [round(float(counts.min()), 4), round(float(counts.max()), 4)],
        "computing_minutes": round(lineage.seconds / 60),
        "wall_minutes": round((max(ends) - min(starts)) / 60),
        "stage_runs": len(records),
        "device": ", ".join(lineage.devices),
        "code": ", ".join(lineage.revisions),
    }


def _shown(made: Table) -> str:
    """Heading and rows of this run's block of a table."""
    return excerpt(made, "reproduced") + "\n"


def _between(text: str, name: str, content: str) -> str:
    """``text`` with the part between the marks called ``name`` replaced."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{content}{end}{after}"


_PARTS: dict[str, Callable[[], str]] = {
    "study summary": study_summary,
    "study": study,
    "smoke": smoke,
    "stages": lambda: run_time.render(SMOKE, RUN),
    "paper size": lambda: paper_size.render(variants()),
    "bench": speed.summary,
    "gpu": gpu.summary,
    "kernels": kernels.render,
    "parameters": parameters.render,
    "protocols": parameters.protocols,
    "commands": commands.render,
    "towers": text_towers.render,
    "captions": captions.render,
    "components": components.render,
    "gradients": gradients.render,
    "learning": learning.render,
    "noise": learning.noise,
    "processor": processor.render,
    "scale": scale.render,
    "power": power.render,
    "levers": levers.render,
}
DOCUMENTS = {
    Path("README.md"): ("smoke", "study summary"),
    Path("docs/reference/results.md"): ("study",),
    Path("docs/reference/costs.md"): ("paper size", "bench", "gpu", "kernels"),
    Path("docs/reference/parameters.md"): ("parameters",),
    Path("docs/reference/protocols.md"): ("protocols",),
    Path("docs/reference/commands.md"): ("commands",),
    Path("docs/explanation/text.md"): ("towers", "captions"),
    Path("docs/explanation/baselines.md"): ("learning", "noise"),
    Path("docs/explanation/speed.md"): ("processor",),
    Path("docs/explanation/scale.md"): ("scale",),
    Path("docs/explanation/power.md"): ("power",),
    Path("docs/explanation/levers.md"): ("levers", "gradients", "components"),
    Path("docs/explanation/time.md"): ("stages",),
}
"""Documents with generated parts, and the names of these parts."""
DRAWN = {
    Path("docs/explanation/packages.svg"): pictures.packages,
    Path("docs/explanation/stages.svg"): pictures.stages,
}
"""Pictures that are drawn from the code, and their functions."""
