"""Figures, one module each: a pure function from data to a matplotlib figure, and ``draw``, which reads the data.

To add a figure, write its module and add its entry to :data:`FIGURES`.
"""

from workflow.exhibits import Exhibit, numbered, registered

FORMATS = ("pdf", "png")

FIGURES = numbered(
    (
        Exhibit(
            name="figure2",
            number=2,
            in_paper=True,
            title="Quality over sampling time",
            text="R-precision (top 1) over the time of one sampling; the area of a bubble is the number of parameters. "
            "The paper's numbers and this run's have panels of their own.",
            function="workflow.figures.figure2:draw",
            timed=True,
        ),
        Exhibit(
            name="figure7",
            number=7,
            in_paper=True,
            title="Motions",
            text="Three moments per motion: ground truth, and what models make of the same caption. All motions of a "
            "row are seen from the same distance.",
            function="workflow.figures.figure7:draw",
            inputs=("shown",),
        ),
        Exhibit(
            name="figure8",
            number=8,
            in_paper=True,
            title="Adaptive weights over training",
            text="Fusion weights of the full model: alpha of the temporal branch, beta of the spatial one. Thin lines: "
            "one block and module each; thick lines: their mean.",
            function="workflow.figures.figure8:draw",
            inputs=("alpha_beta",),
        ),
        Exhibit(
            name="learning",
            title="Learning curves",
            text="Error on held-out clips over training: mean over training seeds (line) and their range (shade). Each "
            "method shows what its training minimises, and curves share a panel only where that is the same; denoisers "
            "show all noise levels together. A lower error does not mean that a model follows the text better.",
            function="workflow.figures.learning:draw",
            inputs=("learning",),
        ),
        Exhibit(
            name="steps",
            title="Quality over sampling steps",
            text="R-precision (top 3) and FID of the full model with fewer and more sampling steps, with DDIM and "
            "DPM-Solver++. Bars: 95% intervals over repeats.",
            function="workflow.figures.sampling_steps:draw",
            inputs=("steps",),
        ),
        Exhibit(
            name="sensitivity",
            title="What the evaluators notice",
            text="Change of each metric when the ground truth is damaged. Blue: the metric notices, the stronger the "
            "larger the change; grey: it is blind to the damage; pink: it improves.",
            function="workflow.figures.sensitivity:draw",
            inputs=("sensitivity",),
        ),
    )
)
"""This project's, by name."""


def figures() -> dict[str, Exhibit]:
    """Every figure by name, in the order of the numbers: this project's and those of entry points
    (``intermamba.figures``).
    """
    return registered("intermamba.figures", FIGURES)
