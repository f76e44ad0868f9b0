"""Figures: what is drawn, and that equal data give equal bytes."""

import shutil
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import workflow_study as made_up
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color, to_hex
from stages import run as run_stage

from evaluators.perturbations import catalogue
from evaluators.results import summarise
from intermamba.errors import StateError
from intermamba.methods.method import CLEAN_MOTION, Error
from intermamba.paths import path
from intermamba.render.camera import Camera
from workflow.figures.figure2 import Panel, Point, figure2, measured_panels, reported_panel
from workflow.figures.figure7 import equally_far, figure7, moments
from workflow.figures.figure8 import figure8
from workflow.figures.fusion import changed_weights
from workflow.figures.guidance import scales
from workflow.figures.learning import learning
from workflow.figures.sampling_steps import few_steps
from workflow.figures.sensitivity import BLIND, FOOLED, responses
from workflow.figures.style import BRANCHES, save, themed
from workflow.results.fusion import sentences
from workflow.results.reproduced import read

ORIGINS = {"interhuman": "synthetic", "interx": "synthetic"}


def curves(seeds=(0,), steps=40):
    """Stand-in for a training log: alpha stays near one, beta decays, each block at its own rate."""
    rows = []
    for dataset in ORIGINS:
        for seed in seeds:
            for block in range(2):
                for module in ("self", "cross"):
                    for symbol, branch in (("alpha", "temporal"), ("beta", "spatial")):
                        rate = (0.002 if symbol == "alpha" else 0.02) * (1 + block + (module == "cross") / 2)
                        rows += [
                            (dataset, "intermamba", seed, 5 * step, block, module, branch, symbol, np.exp(-rate * step))
                            for step in range(steps)
                        ]
    return pd.DataFrame(
        rows, columns=["dataset", "method", "training_seed", "step", "block", "module", "branch", "symbol", "value"]
    )


def test_figure8_has_a_panel_a_block_and_a_line_a_weight():
    with themed():
        figure = figure8(curves(seeds=(0, 1)), ORIGINS, "smoke")
    panels = np.array(figure.axes).reshape(2, 3)  # datasets; the mean and two blocks
    for mean, *blocks in panels:
        assert len(mean.lines) == 2 * 2 + 2 + 1  # weights of each seed, their means, and where both weights start
        assert "synthetic" in mean.get_title(loc="left")
        assert [panel.get_title(loc="left") for panel in blocks] == ["Block 1", "Block 2"]
        assert all(len(panel.lines) == 2 * 2 + 1 for panel in blocks)  # weights and modules
    assert all(panel.get_xlabel() == "Training step" for panel in panels[-1])
    assert "smoke" in figure.get_suptitle()


def test_figure8_draws_means():
    data = curves(seeds=(0, 1))
    with themed():
        figure = figure8(data, ORIGINS, "smoke")
    here = data[data["dataset"] == "interhuman"]
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 2]
    for symbol, line in zip(("alpha", "beta"), thick, strict=True):
        expected = here[here["symbol"] == symbol].groupby("step")["value"].mean()
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
        assert same_color(line.get_color(), BRANCHES[symbol])
    second = here[(here["block"] == 1) & (here["module"] == "cross") & (here["symbol"] == "beta")]
    dashed = [line for line in figure.axes[2].lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[1].get_ydata(), second.groupby("step")["value"].mean(), rtol=1e-12)


@pytest.mark.parametrize("suffix", ["pdf", "png"])
def test_equal_data_give_equal_bytes_in_any_order(tmp_path, suffix):
    data = curves(steps=5)
    for name, frame in (("first", data), ("second", data.sort_values(["value"]).sort_values("step", kind="stable"))):
        with themed():
            save(figure8(frame, ORIGINS, "smoke"), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"first.{suffix}").read_bytes() == (tmp_path / f"second.{suffix}").read_bytes()


@pytest.fixture(scope="module")
def aggregated(tmp_path_factory):
    """A finished study, up to the stage before the figures, that tests copy."""
    config, folder = made_up.config(), tmp_path_factory.mktemp("aggregated")
    shutil.copytree(made_up.ROOT / "results/paper/reported", folder / "results/paper/reported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made_up.write(config)
        run_stage("aggregate", config)
    return folder, config


@pytest.fixture
def finished(aggregated, tmp_path, monkeypatch):
    folder, config = aggregated
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    made_up.known(monkeypatch)
    return config


def test_the_stage_draws_from_the_aggregated_results(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(made_up.reported(tmp_path_factory))
    for name in ("figure2", "figure7", "figure8", "learning", "steps", "sensitivity", "fusion", "guidance"):
        for suffix, start in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
            assert path("figure", profile="smoke", figure=name, format=suffix).read_bytes().startswith(start)


def test_changes_of_weights_and_of_ranges_of_steps_have_panels_of_their_own(finished):
    measured = pd.concat([made_up.fused(dataset) for dataset in ("interhuman", "interx")])
    with themed():
        figure = changed_weights(measured, "smoke")
    panels = np.array(figure.axes).reshape(2, 4)
    for whole, along, *_ in panels:
        assert whole.get_yticklabels()[0].get_text() == "as learned"
        assert len(whole.patches) == 4
        assert len(along.collections) == 2  # error bars
    said = sentences(measured, lambda name: made_up.VARIANTS[name].label)
    # Made-up changes: one hundredth less R-precision for every further change, in all repeats.
    assert "exchanged, R-precision changes by −0.020 (±0.000)" in said
    assert "alone (0 is the clean motion), they change FID by" in said
    assert "at steps 500 to 999" in said
    unsampled = measured["last_step"] == 499
    own = measured[measured["weights"] == "learned"].set_index(["dataset", "metric", "repeat"])["value"]
    place = pd.MultiIndex.from_frame(measured.loc[unsampled, ["dataset", "metric", "repeat"]])
    measured.loc[unsampled, "value"] = own.reindex(place).to_numpy()
    assert "to 499" in said
    assert "to 499" not in sentences(measured, lambda name: made_up.VARIANTS[name].label)


def test_detected_damage_has_another_colour():
    """Damage made up by the tests: FID is fooled by reversed time, nothing else is, and mild noise goes unseen."""
    asked = pd.concat([made_up.sensitivity(dataset) for dataset in ("interhuman", "interx")])
    figure = responses(asked, "smoke")
    first, second = (panel for panel in figure.axes if panel.get_title(loc="left"))
    assert first.get_title(loc="left") == "Evaluator of InterHuman, synthetic embedded split"
    rows = [tick.get_text() for tick in second.get_yticklabels()]
    assert rows == [one.label for one in catalogue("interx")]
    texts = {text.get_text() for text in first.texts}
    assert len(first.texts) == len(catalogue("interhuman")) * 8, "every cell says its change, seen or not"
    assert "0.000" in texts
    colours = {to_hex(colour) for mesh in first.collections for colour in mesh.get_facecolors() if colour[3]}
    assert {to_hex(BLIND), to_hex(FOOLED)} < colours


@pytest.mark.parametrize(("name", "stage"), [("alpha_beta", "aggregate"), ("complexity_time", "complexity")])
def test_a_missing_input_names_its_stage(finished, name, stage):
    path(name, profile="smoke").unlink()
    with pytest.raises(StateError, match=f"intermamba {stage}"):
        run_stage("figures", finished)


def panels(config):
    study = read(config, made_up.VARIANTS)
    return [reported_panel(made_up.VARIANTS), *measured_panels(study)]


def test_figure2_joins_the_papers_tables_1_and_3(finished):
    assert reported_panel(made_up.VARIANTS).points == (
        Point("intergen", "InterGen", 1.233, 0.371, 0.010, 182.0),
        Point("in2IN", "in2IN", 1.260, 0.425, 0.008, 160.0),
        Point("intermamba", "InterMamba (Ours)", 0.567, 0.475, 0.005, 117.0),
        Point("intermamba_light", "InterMamba (light)", 0.325, 0.443, 0.005, 66.0),
    )


def test_figure2_shows_what_was_measured_with_its_conditions(finished):
    (panel,) = measured_panels(read(finished, made_up.VARIANTS))
    assert [point.method for point in panel.points] == ["intergen", "intermamba"]  # no ablation of the paper
    ours = panel.points[1]
    assert (ours.precision, panel.chance) == pytest.approx((0.21, 0.03))
    # 3 samplings of 0.3, 0.33 and 0.36 s
    assert (ours.seconds, *ours.quartiles) == pytest.approx((0.33, 0.315, 0.345))
    for part in ("synthetic", "interhuman-tiny/1", "untrained", "48 frames", "10 steps", "some CPU", "float32"):
        assert part in panel.caption


def test_figure2_never_mixes_reported_and_measured(finished):
    with themed():
        figure = figure2(panels(finished))
    left, right = figure.axes
    assert "Reported" in left.get_title(loc="left")
    assert "smoke" in right.get_title(loc="left")
    for axis, panel in zip(figure.axes, panels(finished), strict=True):
        shown = {text.get_text() for text in axis.texts}
        assert {point.label for point in panel.points} <= shown
        bubbles = [drawn for drawn in axis.collections if isinstance(drawn, PathCollection)]
        drawn = [bubble for bubble in bubbles if len(bubble.get_offsets())]  # the legend's have no place
        areas = {tuple(bubble.get_offsets()[0]): bubble.get_sizes()[0] for bubble in drawn}
        ratio = [areas[point.seconds, point.precision] / point.millions for point in panel.points]
        np.testing.assert_allclose(ratio, ratio[0])


def test_figure2_of_a_study_without_interhuman_is_the_papers_alone(finished):
    runs = {"interx": {"intermamba": (0,)}}
    study = read(finished.model_copy(update={"runs": runs}), made_up.VARIANTS)
    assert measured_panels(study) == []
    with themed():
        assert len(figure2([reported_panel(made_up.VARIANTS)]).axes) == 1


def test_figure2_repeats_to_the_byte(finished, tmp_path):
    for name in ("first", "second"):
        with themed():
            save(figure2(panels(finished)), tmp_path / f"{name}.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_labels_of_bubbles_keep_apart():
    """Three models on one spot, the small ones within the large one: their names find places apart."""
    names = ("one", "two", "three")
    with themed():
        figure = figure2(
            [Panel("", "", tuple(Point(name, name, 1.0, 0.5, 0.01, 3.0 - n) for n, name in enumerate(names)))]
        )
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in names]
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


def test_many_models_are_numbered_and_listed_by_rank():
    points = tuple(
        Point(f"m{n}", f"Method {n}", 0.01 * 2 ** (n // 3), 0.3 + 0.01 * (n % 3), 0.01, 1.0 + n % 2) for n in range(13)
    )
    with themed():
        figure = figure2([Panel("", "", points, chance=0.31)])
    (axis,) = figure.axes
    numbers = {text.get_text(): text.get_window_extent() for text in axis.texts if text.get_text().isdigit()}
    assert sorted(numbers, key=int) == [str(n) for n in range(1, 14)]
    assert not any(first.overlaps(second) for first, second in combinations(numbers.values(), 2))
    listed = [text.get_text().split(maxsplit=1) for text in figure.legends[0].get_texts()]
    assert [number for number, _ in listed] == [str(n) for n in range(1, 14)]
    best = {point.label for point in points if point.precision == max(one.precision for one in points)}
    assert {label for _, label in listed[: len(best)]} == best
    assert axis.get_xscale() == "log"  # of times that differ sixteenfold


@pytest.mark.filterwarnings("error")
def test_models_that_are_equal_in_all_can_be_drawn():
    with themed():
        figure2([Panel("", "", (Point("one", "one", 1.0, 0.0, 0.0, 1.0), Point("two", "two", 1.0, 0.0, 0.0, 1.0)))])


@pytest.mark.slow
def test_figures_of_a_study_without_the_full_model_say_so(finished):
    """No figure is refused because another has nothing to show."""
    few = finished.model_copy(update={"runs": {"interhuman": {"intergen": (0,)}}})
    run_stage("figures", few)
    for name in ("figure8", "steps", "fusion"):
        assert path("figure", profile="smoke", figure=name, format="png").exists()
    for figure in (figure8(curves().iloc[:0], ORIGINS, "smoke"), few_steps(pd.DataFrame(), pd.DataFrame(), "smoke")):
        assert any("runs no 'intermamba'" in text.get_text() for text in figure.texts)
    assert any("runs no variant" in text.get_text() for text in changed_weights(pd.DataFrame(), "smoke").texts)


def test_quality_over_guidance_has_a_line_a_method(finished):
    study = read(finished, made_up.VARIANTS)
    measured = pd.concat([made_up.over_guidance("interhuman", name) for name in ("intermamba", "intergen")])
    with themed():
        figure = scales(measured, study)
    lines = {one.get_label(): one.lines[0] for one in figure.axes[0].containers}
    assert set(lines) == {"InterMamba", "InterGen"}
    assert list(lines["InterGen"].get_xdata()) == [1.0, 3.5]
    values = lines["InterGen"].get_ydata()
    assert values[1] / values[0] == pytest.approx(1.035 / 1.01)
    assert any("runs no variant" in text.get_text() for text in scales(pd.DataFrame(), study).texts)


def test_figure7_has_a_strip_a_method_for_each_prompt():
    motions = [made_up.performed("interhuman", name) for name in ("real", "in2in", "intermamba", "intergen")]
    with themed():
        figure = figure7(motions, {"real": "Real", "intermamba": "InterMamba", "intergen": "InterGen"})
    assert len(figure.axes) == 2 * 3 * 3  # prompts, methods, moments
    texts = [text.get_text() for text in figure.texts]
    assert "synthetic embedded split" in texts[0]
    assert texts[1:4] == ["Real", "InterGen", "InterMamba"]
    assert texts[4:] == [made_up.HOSTILE, "Two people meet."]


def test_figure7_shows_everyone_from_the_same_distance():
    near, far = made_up.standing(12, 0.1), made_up.standing(12, 0.1) * 2
    cameras = equally_far([Camera.around(near), Camera.around(far)], [near, far])
    depths = [
        camera.project(joints.reshape(-1, 3).mean(0))[2] for camera, joints in zip(cameras, (near, far), strict=True)
    ]
    assert depths[0] == pytest.approx(depths[1])
    assert [moments(frames) for frames in (1, 7, 300)] == [[0, 0, 0], [1, 3, 5], [50, 150, 249]]


def test_learning_curves_are_means_over_seeds_with_their_range(tmp_path):
    rows = [
        {"dataset": dataset, "method": variant, "training_seed": seed, "step": step, "simple": (1 + seed) / step}
        for dataset in ORIGINS
        for variant in ("intermamba", "mine", "other")
        for seed in (0, 2)
        for step in (10, 20)
    ]
    shown = dict.fromkeys(("intermamba", "mine", "other"), CLEAN_MOTION)
    with themed():
        figure = learning(pd.DataFrame(rows), shown, str.upper, ORIGINS, "smoke")
        save(figure, tmp_path / "a.png")
    assert len(figure.axes) == 2
    for panel in figure.axes:
        assert [list(line.get_ydata()) for line in panel.lines] == [[0.2, 0.1]] * 3
        assert len(panel.collections) == 3
        assert panel.get_yscale() == "log"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["INTERMAMBA", "MINE", "OTHER"]
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 3


def test_learning_curves_of_unlike_errors_have_panels_of_their_own():
    """What shares an axis is the same measure; each panel says which."""
    rows = [
        {"dataset": dataset, "method": method, "training_seed": 0, "step": step, term: value / step}
        for dataset, method, term, value in (
            ("interhuman", "intermamba", "simple", 1.0),
            ("interx", "intermamba", "simple", 2.0),
            ("interhuman", "intermask", "tokens", 3.0),
        )
        for step in (10, 20)
    ]
    errors = {"intermamba": CLEAN_MOTION, "intermask": Error("tokens", "hidden tokens")}
    figure = learning(pd.DataFrame(rows), errors, str, ORIGINS, "smoke")
    titles = [" ".join(panel.get_title("left").splitlines()[1:]) for panel in figure.axes]
    assert titles == [CLEAN_MOTION.meaning, CLEAN_MOTION.meaning, "hidden tokens", ""]
    assert [[list(line.get_ydata()) for line in panel.lines] for panel in figure.axes] == [
        [[0.1, 0.05]], [[0.2, 0.1]], [[0.3, 0.15]], [],
    ]  # fmt: skip
    assert [panel.axison for panel in figure.axes] == [True, True, True, False]


def test_quality_over_steps_has_a_line_a_solver_and_says_what_is_real(tmp_path):
    measured = pd.concat([made_up.over_steps(dataset) for dataset in ORIGINS])
    summary = summarise(pd.concat([made_up.metrics(d, name) for d in ORIGINS for name in ("real", "shuffled")]))
    with themed():
        figure = few_steps(measured, summary, "smoke")
        save(figure, tmp_path / "a.png")
    assert len(figure.axes) == 4
    precision = figure.axes[0]
    ddim = next(line for line in precision.containers if line.get_label() == "DDIM").lines[0]
    assert list(ddim.get_xdata()) == [5, 10]
    assert ddim.get_ydata()[1] / ddim.get_ydata()[0] == pytest.approx(1.10 / 1.05)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "ground truth", "chance", "DDIM", "DPM-Solver++ (2M)",
    ]  # fmt: skip
    assert figure.axes[1].get_yscale() == "log"
