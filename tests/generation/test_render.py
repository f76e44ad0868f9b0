"""Drawing: the camera's geometry in closed form, outlines that touch what they should, films that keep time."""

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from intermamba.data.synthetic.choreography import clip
from intermamba.errors import ConfigError, StateError
from intermamba.render import people
from intermamba.render.camera import Camera
from intermamba.render.film import film, save
from intermamba.render.people import People, draw_floor

FPS = 30


def motion(kind: str = "handshake", seconds: float = 1.0, seed: int = 4) -> np.ndarray:
    return clip(kind, seed, seconds, FPS).positions()[:, :, :22]


def standing(turn: float, places: tuple[float, float]) -> np.ndarray:
    """A frame of two people in rest pose at x = ``places``, facing +z turned by ``turn`` to their left."""
    from intermamba.data.synthetic.body import forward_kinematics
    from intermamba.data.synthetic.body import turn as about

    rotations = np.broadcast_to(np.eye(3), (1, 22, 3, 3)).copy()
    rotations[:, 0] = about("y", np.array(turn))
    bodies = [forward_kinematics(rotations, np.array([[x, 0.95, 0.0]]), 1.0)[0] for x in places]
    return np.stack(bodies, axis=1)


def test_projection_is_a_pinholes() -> None:
    camera = Camera(np.array([0.0, 1.0, 4.0]), np.eye(3), 0.4, 0.3)
    # One metre to the right and half a metre up, two metres before the camera: half and a quarter of the depth.
    np.testing.assert_allclose(camera.project(np.array([[1.0, 1.5, 2.0]])), [[0.5, 0.25, 2.0]])


@given(seed=st.integers(0, 10**6), aspect=st.floats(0.3, 3), spread=st.floats(0.01, 100))
def test_the_camera_holds_the_whole_motion_upright(seed: int, aspect: float, spread: float) -> None:
    joints = np.random.default_rng(seed).normal(0, spread, (5, 2, 22, 3))
    camera = Camera.around(joints, aspect)
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(camera.axes) == pytest.approx(1)
    x, y, depth = np.moveaxis(camera.project(joints), -1, 0)
    assert (depth > 0).all()
    assert (np.abs(x) <= camera.width * (1 + 1e-9)).all()
    assert (np.abs(y) <= camera.height * (1 + 1e-9)).all()
    assert camera.width / camera.height == pytest.approx(aspect)
    assert camera.axes[1, 1] > 0.9
    assert camera.axes[0, 1] == pytest.approx(0, abs=1e-9)  # the horizon is level


@pytest.mark.parametrize("places", [(-0.5, 0.5), (0.5, -0.5)])
def test_person_a_is_on_the_left_of_a_pair_face_to_face(places: tuple[float, float]) -> None:
    towards = np.pi / 2 if places[0] < 0 else -np.pi / 2
    joints = np.concatenate([standing(towards, places)[:, :1], standing(-towards, places)[:, 1:]], axis=1)
    x = Camera.around(joints).project(joints)[0, :, 0, 0]
    assert x[0] < x[1]


@pytest.mark.parametrize("turn", [0.0, np.pi])
def test_people_who_look_the_same_way_are_seen_from_the_front(turn: float) -> None:
    joints = standing(turn, (-0.5, 0.5))
    x = Camera.around(joints).project(joints)[0, :, :, 0]
    assert (x[:, 1] > x[:, 2]).all()  # the left hip is on the viewer's right


def test_an_outline_is_the_hull_of_two_discs() -> None:
    start, stop = np.array([[0.0, 0.0, 2.0]]), np.array([[1.0, 0.5, 4.0]])
    outline = people._capsules(start, stop, np.array([[0.4, 0.4]]), np.linspace(0, 1, 9))[0]
    first, second = outline[:9], outline[9:] - stop[0, :2]
    # 0.4 m at 2 m and at 4 m.
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 0.2)
    np.testing.assert_allclose(np.linalg.norm(second, axis=1), 0.1)
    # The tangent stands on both radii: all of the hull lies on one side of it.
    side = second[0] + stop[0, :2] - first[-1]
    np.testing.assert_allclose([side @ first[-1], side @ second[0]], 0, atol=1e-12)
    normal = first[-1] / 0.2
    assert (outline @ normal <= 0.2 + 1e-12).all()


def test_a_disc_within_the_other_adds_nothing() -> None:
    outline = people._capsules(
        np.array([[0.0, 0.0, 1.0]]), np.array([[0.1, 0.0, 1.0]]), np.array([[0.5, 0.1]]), np.linspace(0, 1, 9)
    )[0]
    assert (np.linalg.norm(outline, axis=1) <= 0.5 + 1e-12).all()


def test_nearer_bones_are_painted_later_and_people_keep_their_colours() -> None:
    joints = motion()
    axes = Figure().add_subplot()
    camera = Camera.around(joints)
    draw_floor(axes, camera, joints, 0.0)
    drawn = People(axes, camera, joints[0], 0.0)
    for frame in joints[::7]:
        drawn.show(frame)
        colours = drawn.bodies.get_facecolor()
        assert len(colours) == len(drawn.bodies.get_paths()) == 2 * 2 * 22  # a rim and a bone, 21 bones and a head
        blue = (colours[:, 2] > colours[:, 0]).sum()
        orange = (colours[:, 2] < colours[:, 0]).sum()
        assert blue == orange == 22
    np.testing.assert_allclose(axes.get_xlim(), (-camera.width, camera.width))


def test_the_floor_of_a_motion_that_flies_apart_stays_drawable() -> None:
    joints = motion() * 1e4
    axes = Figure().add_subplot()
    draw_floor(axes, Camera.around(joints), joints, 0.0)
    assert len(axes.collections[0].get_segments()) < 100_000


def test_a_film_has_a_picture_a_frame_before_a_still_background() -> None:
    joints = motion(seconds=0.3)
    told = ("One pays $5 & the other $6_{x} " * 12, ("pays", "is paid " * 40))
    frames = list(film(joints, told[0], FPS, 0.0, "made by nobody", told[1], size=(320, 240)))
    assert len(frames) == len(joints) == 9
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((240, 320, 3), "uint8")}
    assert not np.array_equal(frames[0], frames[-1])
    moved = np.ptp(np.stack(frames), axis=0).any(axis=-1)
    assert 0 < moved.mean() < 0.3
    assert not moved[:60].any()  # the captions
    for one, again in zip(frames, film(joints, told[0], FPS, 0.0, "made by nobody", told[1], (320, 240)), strict=True):
        np.testing.assert_array_equal(one, again)


def test_captions_break_into_even_lines() -> None:
    from intermamba.render.film import _balanced

    assert _balanced("Two people bow.", 30) == ["Two people bow."]
    assert _balanced("one two three four five six seven", 30) == ["one two three four", "five six seven"]
    assert len(_balanced("word " * 100, 30)) == 3
    assert _balanced("word " * 100, 30)[-1].endswith(" …")


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(film(motion(seconds=0.7), "Two people shake hands.", FPS, 0.0, size=(320, 240)))


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_equal_films_are_equal_files(tmp_path: Path, pictures: list[np.ndarray], suffix: str) -> None:
    for name in ("one", "two"):
        save(tmp_path / f"{name}.{suffix}", pictures, FPS)
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_gif_keeps_time_and_colours(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    save(tmp_path / "film.gif", pictures, FPS)
    milliseconds = []
    with Image.open(tmp_path / "film.gif") as image:
        for index in range(image.n_frames):
            image.seek(index)
            milliseconds.append(image.info["duration"])
            shown = np.asarray(image.convert("RGB"), dtype=int)
            wrong = np.abs(shown - pictures[index])
            assert wrong[pictures[index] == 255].max() == 0  # white is white
            assert wrong.mean() < 0.5
    assert len(milliseconds) == len(pictures) == 21
    assert sum(milliseconds) == 700
    assert set(milliseconds) == {30, 40}


def test_an_mp4_holds_the_pictures(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    save(tmp_path / "film.mp4", iter(pictures), FPS)
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    about = next(reader)
    shown = [np.frombuffer(frame, np.uint8).reshape(240, 320, 3) for frame in reader]
    assert (about["size"], about["fps"], about["codec"]) == ((320, 240), FPS, "h264")
    assert len(shown) == len(pictures)
    for one, other in zip(shown, pictures, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 3


def test_what_cannot_be_written_says_so(
    tmp_path: Path, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"film format 'avi' in .*film\.avi.*Allowed: gif, mp4"):
        save(tmp_path / "film.avi", pictures, FPS)
    with pytest.raises(ConfigError, match="at least one frame"):
        save(tmp_path / "film.gif", [], FPS)

    def absent() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", absent)
    with pytest.raises(StateError, match=r"film\.mp4: mp4 needs ffmpeg.*Choose gif"):
        save(tmp_path / "film.mp4", pictures, FPS)
    assert not list(tmp_path.iterdir())
