"""Paths of all artefacts: one template each, for the command line, Snakemake and DVC."""

from pathlib import Path
from string import Formatter

TEMPLATES = {
    # data: one folder per dataset
    "manifest": "data/{profile}/{dataset}/manifest.json",
    "split": "data/{profile}/{dataset}/{split}.safetensors",
    "stats": "data/{profile}/{dataset}/stats.safetensors",
    "text": "data/{profile}/{dataset}/text.safetensors",
    "own_text": "data/{profile}/{dataset}/text-{tower}.safetensors",
    "known": "data/{profile}/{dataset}/known.safetensors",
    # results of one evaluator or one trained model
    "evaluator": "results/{profile}/{dataset}/evaluator/weights.safetensors",
    "evaluator_log": "results/{profile}/{dataset}/evaluator/training.csv",
    "sensitivity": "results/{profile}/{dataset}/evaluator/sensitivity.csv",
    "weights": "results/{profile}/{dataset}/{variant}/seed{seed}/weights.safetensors",
    "training_log": "results/{profile}/{dataset}/{variant}/seed{seed}/training.csv",
    "adaptive_log": "results/{profile}/{dataset}/{variant}/seed{seed}/adaptive.csv",
    # a training that rows of a method build on
    "part_weights": "results/{profile}/{dataset}/parts/{part}/seed{seed}/weights.safetensors",
    "part_log": "results/{profile}/{dataset}/parts/{part}/seed{seed}/training.csv",
    "run_metrics": "results/{profile}/{dataset}/{variant}/seed{seed}/metrics.csv",
    "steps": "results/{profile}/{dataset}/{variant}/seed{seed}/steps.csv",
    "guidance": "results/{profile}/{dataset}/{variant}/seed{seed}/guidance.csv",
    "fusion": "results/{profile}/{dataset}/{variant}/seed{seed}/fusion.csv",
    "official_weights": "results/{profile}/{dataset}/{variant}/official/weights.safetensors",
    "official_metrics": "results/{profile}/{dataset}/{variant}/official/metrics.csv",
    "motions_metrics": "results/{profile}/{dataset}/{method}/motions/metrics.csv",
    "reference_metrics": "results/{profile}/{dataset}/real/metrics.csv",
    # the motions of the report's prompts
    "real_gallery": "results/{profile}/{dataset}/real/gallery.safetensors",
    "gallery": "results/{profile}/{dataset}/{variant}/seed{seed}/gallery.safetensors",
    "complexity": "results/{profile}/complexity.csv",
    "complexity_time": "results/{profile}/complexity_time.csv",
    "budget": "results/{profile}/budget.csv",
    "bench": "results/{profile}/bench/{table}.{format}",
    # the study's results
    "metrics": "results/{profile}/metrics.csv",
    "summary": "results/{profile}/summary.csv",
    "summary_json": "results/{profile}/summary.json",
    "alpha_beta": "results/{profile}/alpha_beta.csv",
    "learning": "results/{profile}/learning.csv",
    "table": "results/{profile}/tables/{table}.{format}",
    "document": "results/{profile}/tables/all.tex",
    "claims": "results/{profile}/claims.csv",
    "figure": "results/{profile}/figures/{figure}.{format}",
    "report": "results/{profile}/report/index.html",
    "report_document": "results/{profile}/report/report.tex",
    # the paper's own numbers, transcribed
    "paper_text": "results/paper/reported/consistency.csv",
    "reported": "results/paper/reported/table{number}.csv",
    "newer_methods": "results/paper/reported/newer_methods.csv",
    "claims_list": "results/paper/reported/claims.yaml",
}

STATISTICS = {
    "intergen": ("global_mean.npy", "global_std.npy"),
    "in2in": ("interhuman_mean.npy", "interhuman_std.npy"),
}
"""File names of the mean and standard deviation released with a model."""

RECORD = ".prov.json"
"""Suffix of provenance records."""

SAMPLES = Path("results/samples")
"""Default output folder of ``sample``; no stage reads it."""

DEMO = Path(__file__).parent / "demo" / "weights.safetensors"
"""The demo checkpoint, part of the package."""

COMMITTED = "study-cpu"
"""The profile whose results are part of the repository."""

SPLITS = ("train", "val", "test")

TAKEN = ("real", "retaken", "shuffled", "nearest", "evaluator", "parts")
"""Names that no row may have: those of rows that are no model, and of folders beside the rows' folders."""


def template(name: str, **fields: object) -> str:
    """Template ``name`` with the given fields filled and the others left as ``{field}``."""
    text = TEMPLATES[name]
    keys = {key for _, key, _, _ in Formatter().parse(text) if key}
    return text.format(**{key: fields.get(key, "{" + key + "}") for key in keys})


def path(name: str, **fields: object) -> Path:
    """Path of artefact ``name``, relative to the working directory; every field must be given."""
    return Path(TEMPLATES[name].format(**fields))


def raw_folder(profile: str, dataset: str) -> Path:
    """Folder into which ``fetch`` writes a synthetic dataset in its official raw layout."""
    return Path("data") / profile / "raw" / dataset


def local(place: str | Path) -> str:
    """Name of a package's file in the graph: relative to the working directory if it is inside, else absolute."""
    place = Path(place).absolute()
    return str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place)


def statistics_of(folder: str | Path, variant: str) -> tuple[Path, Path]:
    """Files of mean and standard deviation of an official checkpoint: those in the folder, else the names released with
    ``variant``.
    """
    pairs = {name: tuple(Path(folder) / file for file in files) for name, files in STATISTICS.items()}
    ordered = sorted(pairs.items(), key=lambda entry: entry[0] != variant)
    mean, std = next((pair for _, pair in ordered if all(file.is_file() for file in pair)), ordered[0][1])
    return mean, std


def record_of(artefact: str | Path) -> Path:
    """Provenance record beside the main artefact of a stage."""
    return Path(f"{artefact}{RECORD}")


def committed(artefact: str | Path) -> bool:
    """Whether an artefact is part of the repository: all results of the committed profile but weights, and the records
    of its data. ``.gitignore`` agrees.
    """
    place = Path(artefact)
    if place.parts[:2] == ("results", COMMITTED):
        return place.name != "weights.safetensors"
    return place.parts[:2] == ("data", COMMITTED) and place.name.endswith(RECORD)
