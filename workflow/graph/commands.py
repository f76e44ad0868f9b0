"""The stages as the command line shows them, without a configuration.

Other packages add stages as entry points of the group ``intermamba.stages``, each of which names a
:class:`StageCommand` with ``declare``.
"""

from dataclasses import dataclass

from intermamba.plugins import offered

EXAMPLES = {
    "dataset": "interhuman",
    "variant": "intermamba",
    "seed": "0",
    "method": "my_method",
    "part": "com_mdm.prior",
    "tower": "ViT-B-32-quickgelu-openai-77",
}
"""Values of the fields of an item, in the example of a command."""


@dataclass(frozen=True, kw_only=True)
class StageCommand:
    """One stage, and its command."""

    name: str
    help: str
    fields: tuple[str, ...] = ()
    """Fields that identify an item: options of the command."""
    unit: str = ""
    """Unit of its progress; empty: it is too short to show progress."""
    declare: str = ""
    """For a stage of another package: ``module:function``, ``(config, stages) -> Stage`` from the stages before it."""

    @property
    def example(self) -> str:
        """A command line with typical values."""
        values = EXAMPLES | ({} if "seed" in self.fields else {"variant": "intergen"})  # a checkpoint of its authors
        options = [f"--{name} {values[name]}" for name in self.fields] or ["--profile smoke"]
        return " ".join(["intermamba", self.name, *options])

    @property
    def title(self) -> str:
        """Title of its progress, with braces for the fields."""
        named = "".join(f" {{{name}}}" for name in ("variant", "part", "method") if name in self.fields)
        place = (" on {dataset}" if named else " {dataset}") if "dataset" in self.fields else ""
        return f"{self.name}{named}{place}" + (", seed {seed}" if "seed" in self.fields else "")


_DATASET, _RUN = ("dataset",), ("dataset", "variant", "seed")
COMMANDS = {
    one.name: one
    for one in (
        StageCommand(
            name="preprocess",
            help="Process the raw files as the official code does: one memory-mapped file per split, and statistics.",
            fields=_DATASET,
            unit="clip",
        ),
        StageCommand(
            name="encode-text",
            help="Run the frozen text tower once over all captions.",
            fields=_DATASET,
            unit="caption",
        ),
        StageCommand(
            name="encode-own-text",
            help="Run a text tower that only some methods read, once over all captions.",
            fields=("dataset", "tower"),
            unit="caption",
        ),
        StageCommand(
            name="train-evaluator",
            help="Train the evaluator of a dataset (or load its official checkpoint).",
            fields=_DATASET,
            unit="step",
        ),
        StageCommand(
            name="index-training",
            help="Embed the training clips with the evaluator, to measure how near other motions are to them.",
            fields=_DATASET,
            unit="clip",
        ),
        StageCommand(
            name="evaluate-reference",
            help="Evaluate the ground truth of the test split, with its own and with shuffled captions: ceiling and "
            "chance; copies of training clips; and, of the embedded data, other performances.",
            fields=_DATASET,
            unit="repeat",
        ),
        StageCommand(
            name="sensitivity",
            help="Damage the ground truth of the test split in many ways, and measure which metrics detect it.",
            fields=_DATASET,
            unit="repeat",
        ),
        StageCommand(
            name="train-part",
            help="Train a part that runs of a method build on, such as a prior; continues a killed training.",
            fields=("dataset", "part", "seed"),
            unit="step",
        ),
        StageCommand(
            name="train",
            help="Train one run of the study; continues a killed training from its last checkpoint.",
            fields=_RUN,
            unit="step",
        ),
        StageCommand(
            name="steps",
            help="Evaluate a trained run with fewer and more sampling steps, with each solver of `steps.solvers`.",
            fields=_RUN,
            unit="repeat",
        ),
        StageCommand(
            name="guidance",
            help="Evaluate a trained run with other guidance scales.",
            fields=_RUN,
            unit="repeat",
        ),
        StageCommand(
            name="fusion",
            help="Evaluate a trained run with its fusion weights averaged, exchanged or set to one.",
            fields=_RUN,
            unit="repeat",
        ),
        StageCommand(
            name="gallery-reference",
            help="Save the ground truth of a few test clips, chosen by their captions, for the report's gallery.",
            fields=_DATASET,
        ),
        StageCommand(
            name="gallery",
            help="Generate motions for the captions of the same test clips, for the report's gallery.",
            fields=_RUN,
        ),
        StageCommand(
            name="re-evaluate",
            help="Evaluate an official checkpoint on the test split, by the rules of evaluate.",
            fields=("dataset", "variant"),
            unit="repeat",
        ),
        StageCommand(
            name="evaluate-motions",
            help="Evaluate motions of another project that the profile names, as a row of the tables.",
            fields=("dataset", "method"),
            unit="repeat",
        ),
        StageCommand(
            name="aggregate",
            help="Gather the metrics and logs of every run into the CSV files of the study.",
        ),
        StageCommand(
            name="claims",
            help="Test the paper's claims on the results of this profile, over training seeds.",
        ),
        StageCommand(
            name="tables",
            help="Write every table as LaTeX, Markdown and CSV: reported beside reproduced, never mixed.",
        ),
        StageCommand(name="figures", help="Draw every figure as PDF and PNG."),
        StageCommand(
            name="report",
            help="Write all results as one page that needs no network, and as a PDF where LaTeX is installed.",
        ),
    )
}
"""Stages whose commands take the fields of an item and nothing else, in the order in which they run. ``fetch``,
``evaluate``, ``adopt`` and ``complexity`` have commands of their own."""


def commands() -> dict[str, StageCommand]:
    """Every such stage by name: this project's, and those of entry points (``intermamba.stages``)."""
    return offered("intermamba.stages", StageCommand, COMMANDS)
