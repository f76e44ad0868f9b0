"""Figure 7: motions of a few test prompts, the ground truth and the models', as strips of moments."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from evaluators.results import REAL
from intermamba.job import Job
from intermamba.names import dataset_name, origin_name, reference_name
from intermamba.render.camera import Camera
from intermamba.render.people import People, draw_floor
from workflow.evaluation.gallery import Gallery, read
from workflow.results.reproduced import Study

METHODS = (REAL, "intergen", "intermamba")
"""The paper's columns, ground truth added."""
PROMPTS, MOMENTS = 3, 3
_CELL = (0.95, 1.25)
"""Inches of one moment."""
_HEAD, _CAPTION, _GAP = 0.62, 0.34, 0.18
"""Inches of the heading, of each prompt's caption, and between methods."""


def draw(study: Study, job: Job) -> Figure:
    """From the results of a profile: motions of its first dataset."""
    first = next(iter(study.config.runs))
    labels = {REAL: reference_name(study.config.origins[first])} | {
        name: one.label for name, one in study.variants.items()
    }
    return figure7([one for one in map(read, job.all("gallery")) if one.dataset == first], labels)


def figure7(motions: Sequence[Gallery], labels: Mapping[str, str]) -> Figure:
    """A row per prompt; side by side its ground truth and those of the methods that were run, each at three moments.

    The prompts are the first ones of :func:`workflow.evaluation.gallery_motions.choose`: no one picks what looks good.
    Each motion is seen from its own side, and all of a row from the same distance.

    Args:
        motions: of one dataset, the ground truth among them, all for the same prompts.
        labels: names of methods.
    """
    strips = {one.method: one for one in motions}
    methods = [name for name in METHODS if name in strips]
    real = strips[REAL]
    prompts = range(min(PROMPTS, len(real.clips)))
    strip = MOMENTS * _CELL[0] + _GAP
    width, row = strip * len(methods) - _GAP + 0.1, _CELL[1] + _CAPTION
    height = _HEAD + row * len(prompts)
    figure = Figure(figsize=(width, height))

    def place(x: float, y: float, wide: float, high: float) -> tuple[float, float, float, float]:
        return x / width, 1 - (y + high) / height, wide / width, high / height

    names = [labels[name] for name in methods]
    title = f"{dataset_name(real.dataset)}, {origin_name(real.origin)}"
    figure.text(0.01, 1 - 0.16 / height, title, fontweight="bold", va="center")
    for column, name in enumerate(names):
        centre = 0.05 + column * strip + MOMENTS * _CELL[0] / 2
        figure.text(centre / width, 1 - 0.45 / height, name, ha="center", va="center")
    for prompt in prompts:
        top = _HEAD + prompt * row
        said = textwrap.shorten(real.captions[prompt], width=round(width * 14), placeholder=" …")
        caption = figure.text(0.01, 1 - (top + _CAPTION / 2) / height, said, va="center", style="italic", fontsize=8)
        caption.set_parse_math(False)
        row_of = [strips[name].joints[prompt] for name in methods]
        cameras = equally_far([Camera.around(joints, aspect=_CELL[0] / _CELL[1]) for joints in row_of], row_of)
        for column, (name, joints, camera) in enumerate(zip(methods, row_of, cameras, strict=True)):
            floor = strips[name].floor[prompt]
            for index, frame in enumerate(moments(len(joints))):
                left = 0.05 + column * strip + index * _CELL[0]
                axes = figure.add_axes(place(left, top + _CAPTION, *_CELL))
                draw_floor(axes, camera, joints, floor)
                People(axes, camera, joints[frame], floor)
    return figure


def equally_far(cameras: Sequence[Camera], motions: Sequence[np.ndarray]) -> list[Camera]:
    """The cameras, all moved back to the distance of the farthest, so that people are equally large in all."""
    centres = [joints.reshape(-1, 3).mean(0) for joints in motions]
    away = [float(camera.project(centre)[2]) for camera, centre in zip(cameras, centres, strict=True)]
    return [
        replace(camera, position=camera.position + (max(away) - near) * camera.axes[2])
        for camera, near in zip(cameras, away, strict=True)
    ]


def moments(frames: int) -> list[int]:
    """Evenly spaced frames, away from both ends, where a motion shows little."""
    return [int(frame) for frame in np.rint(np.linspace(0, frames - 1, 2 * MOMENTS + 1))[1::2]]
