"""Figures, one module each: a pure function from data to a matplotlib figure, and ``draw``, which reads the data.

To add a figure, write its module and add its entry to :data:`FIGURES`.
"""

from intermamba.config import Config
from workflow.exhibits import Exhibit, numbered, of_profile, registered

FORMATS = ("pdf", "png")

FIGURES = numbered(
    (
        Exhibit(
            name="figure2",
            number=2,
            in_paper=True,
            title="Quality over sampling time",
            text="R-precision (top 1) against the time of one sampling; the area of a bubble is proportional to the "
            "number of parameters. The paper's numbers and this run's are in separate panels.",
            function="workflow.figures.figure2:draw",
            timed=True,
        ),
        Exhibit(
            name="figure7",
            number=7,
            in_paper=True,
            title="Motions",
            text="Three moments of each motion: ground truth, and samples of the models for the same caption. The "
            "camera's distance is the same for all motions of a row.",
            function="workflow.figures.figure7:draw",
            inputs=("gallery",),
        ),
        Exhibit(
            name="figure8",
            number=8,
            in_paper=True,
            title="Adaptive weights over training",
            text="Fusion weights of the full model: alpha for the temporal branch, beta for the spatial branch; their "
            "mean (thick) and those of each block, for its Self-ASTM (solid) and its Cross-ASTM (dashed).",
            function="workflow.figures.figure8:draw",
            inputs=("alpha_beta",),
        ),
        Exhibit(
            name="learning",
            title="Learning curves",
            text="Error on held-out clips over training: mean (line) and range (shade) over training seeds. Each "
            "method shows the quantity that its training minimises, and curves share a panel only if that quantity is "
            "the same; for denoisers it is averaged over noise levels. A lower error does not mean that a model "
            "follows the text better.",
            function="workflow.figures.learning:draw",
            knobs=("training", "methods"),
            inputs=("learning",),
        ),
        Exhibit(
            name="steps",
            title="Quality over sampling steps",
            text="R-precision (top 3) and FID of the full model by number of sampling steps, with each solver. "
            "Bars: 95% intervals over repeats.",
            function="workflow.figures.sampling_steps:draw",
            inputs=("steps.metrics",),
        ),
        Exhibit(
            name="sensitivity",
            title="Sensitivity of the evaluators",
            text="Change of each metric when the ground truth is damaged. Blue: the metric detects the damage, darker "
            "for a larger change; grey: it does not; pink: it improves.",
            function="workflow.figures.sensitivity:draw",
            inputs=("sensitivity",),
        ),
        Exhibit(
            name="fusion",
            title="Fusion weights after training",
            text="R-precision (top 3) and FID when the fusion weights of a trained row are kept, set to their "
            "mean over blocks, exchanged (alpha for beta) or set to one; and the effect of exchanging them in a range "
            "of diffusion steps alone. Bars: 95% intervals of the difference from the learned weights.",
            function="workflow.figures.fusion:draw",
            inputs=("fusion.metrics",),
            needs="fusion.variants",
        ),
        Exhibit(
            name="guidance",
            title="Guidance scale",
            text="R-precision (top 3) and FID of trained rows sampled with several guidance scales, with the steps "
            "of their profile. Bars: 95% intervals over repeats.",
            function="workflow.figures.guidance:draw",
            inputs=("guidance.metrics",),
            needs="guidance.variants",
        ),
    )
)
"""This project's, by name."""


def figures(config: Config | None = None) -> dict[str, Exhibit]:
    """Every figure by name, or a profile's, in the order of the numbers: this project's and those of entry points
    (``intermamba.figures``).
    """
    return of_profile(registered("intermamba.figures", FIGURES), config)
