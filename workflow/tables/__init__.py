"""Tables as values, and their LaTeX, Markdown and PDF. :data:`TABLES` lists them.

To add a table, write its function in a module of its own, and add its entry.
"""

from intermamba.config import Config
from workflow.exhibits import Exhibit, numbered, of_profile, registered

FORMATS = ("tex", "md", "csv")

TABLES = numbered(
    (
        Exhibit(
            name="table1",
            number=1,
            in_paper=True,
            title="Text to interaction on InterHuman.",
            function="workflow.tables.build:table1",
        ),
        Exhibit(
            name="table2",
            number=2,
            in_paper=True,
            title="Text to interaction on Inter-X.",
            function="workflow.tables.build:table2",
        ),
        Exhibit(
            name="table3",
            number=3,
            in_paper=True,
            title="Cost of sampling.",
            function="workflow.tables.build:table3",
            timed=True,
        ),
        Exhibit(
            name="table4",
            number=4,
            in_paper=True,
            title="Adaptive spatio-temporal fusion, on InterHuman.",
            function="workflow.tables.build:table4",
        ),
        Exhibit(
            name="table5",
            number=5,
            in_paper=True,
            title="Modules of InterMamba added to InterGen, on InterHuman.",
            function="workflow.tables.build:table5",
        ),
        Exhibit(
            name="sensitivity",
            title="Sensitivity of the evaluators: change of each metric when the ground truth is damaged.",
            function="workflow.tables.sensitivity:table",
            inputs=("sensitivity",),
        ),
        Exhibit(
            name="consistency",
            title="The paper's text compared with its own tables.",
            function="workflow.tables.consistency:table",
            inputs=("paper_text",),
        ),
        Exhibit(
            name="claims",
            title="The paper's claims, tested on this run.",
            function="workflow.tables.claims:table",
            inputs=("claims",),
            timed=True,
        ),
        Exhibit(
            name="physical",
            title="Physical metrics, measured without an evaluator.",
            function="workflow.tables.build:physical",
        ),
        Exhibit(
            name="newer_methods",
            title="Newer methods, as reported by others.",
            function="workflow.tables.newer_methods:table",
            inputs=("newer_methods",),
        ),
        Exhibit(
            name="copying",
            title="Whether the methods copy their training clips.",
            function="workflow.tables.copying:table",
            needs="copying",
        ),
    )
)
"""This project's, by name."""


def tables(config: Config | None = None) -> dict[str, Exhibit]:
    """Every table by name, or a profile's, in the order of the numbers: this project's and those of entry points
    (``intermamba.tables``).
    """
    return of_profile(registered("intermamba.tables", TABLES), config)
