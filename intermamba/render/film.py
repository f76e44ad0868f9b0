"""A motion as a film, GIF or MP4: caption, both people on their floor, time."""

import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from intermamba import files
from intermamba.errors import ConfigError, unknown
from intermamba.motion import FILMS
from intermamba.render.camera import Camera
from intermamba.render.ffmpeg import check_ffmpeg
from intermamba.render.people import PERSON_COLOURS, People, draw_floor

_INK, _GREY = "#222222", "#7A7A7A"
_FONT = "DejaVu Sans"  # part of matplotlib, hence the same on all machines
_DPI = 100
"""Pixels per inch, which only converts sizes."""
_HEADER, _LINE, _FOOTER = 80, 18, 40
"""Heights in pixels of the bands of the caption, of one person's caption, and of the note."""
SIZE = (720, 576)
"""Width and height of a film in pixels; even, as video encoders require."""


def film(
    joints: Float[np.ndarray, "T 2 22 3"],
    caption: str,
    fps: int,
    height: float | None = None,
    note: str = "",
    persons: tuple[str, str] | None = None,
    size: tuple[int, int] = SIZE,
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Frames of a film: the caption above, both people seen by a fixed camera, the time below.

    Args:
        joints: a real or a generated motion.
        caption: any text; it is wrapped, and cut after three lines.
        fps: frames per second.
        height: height of the floor; none: the lowest joint of the whole motion.
        note: a line below, for example the name of the model.
        persons: captions of the single persons, drawn in their colours.
        size: width and height in pixels.
    """
    width, tall = size
    top, bottom = 1 - (_HEADER + len(persons or ()) * _LINE) / tall, _FOOTER / tall
    height = float(joints[..., 1].min()) if height is None else height
    figure = Figure(figsize=(width / _DPI, tall / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, bottom, 1, top - bottom))
    camera = Camera.around(joints, aspect=width / (tall * (top - bottom)))
    draw_floor(axes, camera, joints, height)

    lines = _balanced(caption, width // 11)
    _write(figure, 0.5, 1 - _HEADER / 2 / tall, "\n".join(lines), size=13, ha="center", color=_INK)
    for row, (name, said) in enumerate(zip("ab", persons or (), strict=False)):
        line = textwrap.shorten(f"{name}: {said}", width=width // 8, placeholder=" …")
        y = 1 - (_HEADER + row * _LINE) / tall
        _write(figure, 0.5, y, line, size=10, ha="center", color=PERSON_COLOURS[row])
    _write(figure, 0.025, bottom / 2, note, size=10, ha="left", color=_INK)
    people = People(axes, camera, joints[0], height)
    time = _write(figure, 0.975, bottom / 2, "", size=8, ha="right", color=_GREY)
    bar = Line2D([0, 0], [0, 0], color=_GREY, linewidth=3, transform=figure.transFigure, figure=figure)
    moving = (people.shadows, people.bodies, time, bar)
    for artist in moving:
        artist.set_animated(True)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)

    seconds = len(joints) / fps
    for index, frame in enumerate(joints):
        people.show(frame)
        time.set_text(f"{index / fps:.1f} / {seconds:.1f} s")
        bar.set_xdata([0, (index + 1) / len(joints)])
        canvas.restore_region(background)
        for artist in moving:
            figure.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _balanced(text: str, width: int) -> list[str]:
    """As few lines of at most ``width`` characters as possible, of similar lengths; at most three."""
    lines = textwrap.wrap(text, width)
    if len(lines) > 3:
        return textwrap.wrap(text, width, max_lines=3, placeholder=" …")
    return next(even for limit in range(1, width + 1) if len(even := textwrap.wrap(text, limit)) == len(lines))


def _write(figure: Figure, x: float, y: float, text: str, **look: Any) -> Text:
    # A caption is never mathematics or TeX, even if it has dollar signs.
    return figure.text(x, y, text, va="center", fontfamily=_FONT, parse_math=False, usetex=False, **look)


def save(path: str | Path, frames: Iterable[UInt8[np.ndarray, "height width 3"]], fps: int) -> None:
    """Write a film as GIF or MP4, by the suffix of ``path``; equal frames give equal bytes.

    Raises:
        ConfigError: another suffix, or no frame at all.
        StateError: an MP4 on a machine without ffmpeg.
    """
    path = Path(path)
    name = path.suffix.removeprefix(".")
    if name not in FILMS:
        raise ConfigError(unknown("film format", name, FILMS, str(path)))
    if name == "mp4":
        check_ffmpeg(str(path))
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise ConfigError(f"{path}: a film needs at least one frame; got none.")
    with files.atomic(path) as part:
        (_save_gif if name == "gif" else _save_mp4)(part, first, rest, fps)


def _save_gif(path: Path, first: np.ndarray, rest: Iterator[np.ndarray], fps: int) -> None:
    from PIL import Image

    # All frames share the first one's commonest colours: they show the same things. Only one of several similar
    # colours is kept, because Pillow would mistake them for each other, white for the palest grey.
    colours, counts = np.unique(first.reshape(-1, 3), axis=0, return_counts=True)
    common = colours[np.argsort(-counts, kind="stable")]
    apart = np.sort(np.unique(common >> 3, axis=0, return_index=True)[1])[:256]
    palette = Image.new("P", (1, 1))
    palette.putpalette(common[apart].tobytes())
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in chain([first], rest)
    ]
    # A GIF counts time in hundredths of a second: 30 fps are 3, 3, 4, 3, 3, 4, ...
    ends = [round(100 * (index + 1) / fps) for index in range(len(images))]
    durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)


def _save_mp4(path: Path, first: np.ndarray, rest: Iterator[np.ndarray], fps: int) -> None:
    import imageio_ffmpeg

    writer = imageio_ffmpeg.write_frames(
        str(path),
        first.shape[1::-1],
        fps=fps,
        codec="libx264",
        quality=None,
        macro_block_size=2,
        # One thread and no version numbers in the file, so that equal frames give equal bytes.
        output_params=["-crf", "20", "-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],
    )
    writer.send(None)
    for frame in chain([first], rest):
        writer.send(np.ascontiguousarray(frame))
    writer.close()
