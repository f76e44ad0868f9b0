"""The five tables: which rows stand where, what is marked, and that equal results give equal bytes."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import workflow_study as made_up
from places import ROOT
from stages import run as run_stage

from evaluators.perturbations import catalogue
from intermamba import files
from intermamba.errors import ConfigError, DataError, StateError
from intermamba.paths import path
from workflow.graph.stages import table
from workflow.results import reproduced
from workflow.results.headline import Compared, headline
from workflow.tables import build as tables

REPORTED = ROOT / "results" / "paper" / "reported"
OWN = "my_idea_100"
RUNS = {
    "interhuman": {"intermamba": (0,), "intergen": (0,), "without_temporal": (0,), OWN: (0,)},
    "interx": {"intermamba": (0,), "intergen": (0,), "without_temporal": (0,)},
}


FEW = {"interhuman": {"intermamba": (0,), "intergen": (0,)}}


def place(folder, monkeypatch, runs=None, official=None, motions=None):
    """A finished study in ``folder``, up to the stage before the tables."""
    config = made_up.config(runs or RUNS, official, motions)
    shutil.copytree(REPORTED, folder / "results" / "paper" / "reported")
    enter(folder, monkeypatch)
    made_up.write(config)
    run_stage("aggregate", config)
    run_stage("claims", config)
    return config


def enter(folder, monkeypatch):
    monkeypatch.chdir(folder)
    made_up.known(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that tests copy."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        return folder, place(folder, patch)


@pytest.fixture
def study(finished, tmp_path, monkeypatch):
    folder, config = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    enter(tmp_path, monkeypatch)
    return config


@pytest.fixture(scope="module")
def printed(finished, tmp_path_factory):
    """A study with its tables."""
    source, config = finished
    folder = tmp_path_factory.mktemp("tabled")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        run_stage("tables", config)
    return folder


@pytest.fixture
def tabled(printed, monkeypatch):
    """A study with its tables as the working directory; tests that share it change nothing there."""
    enter(printed, monkeypatch)


def cells(number):
    return pd.read_csv(
        path("table", profile="smoke", table=f"table{number}", format="csv"), dtype=str, keep_default_na=False
    )


def text(number, form):
    return path("table", profile="smoke", table=f"table{number}", format=form).read_text()


def methods(frame, block="reproduced"):
    return list(dict.fromkeys(frame.loc[frame["block"] == block, "method"]))


def mark(frame, block, method, metric):
    chosen = frame.query("block == @block and method == @method and metric == @metric")
    return chosen["mark"].item()


def test_all_files_are_written_and_again_to_the_byte(study):
    run_stage("tables", study)
    folder = path("document", profile="smoke").parent
    tabled = (
        *(f"table{number}" for number in range(1, 6)),
        "sensitivity",
        "consistency",
        "claims",
        "physical",
        "newer_methods",
        "copying",
    )
    names = {f"{name}.{form}" for name in tabled for form in ("tex", "md", "csv")} | {"all.tex"}
    assert {file.name for file in folder.iterdir()} == names | {"all.tex.prov.json", ".all.tex.lock"}
    first = {name: files.sha256(folder / name) for name in names}
    run_stage("tables", study)
    assert first == {name: files.sha256(folder / name) for name in names}


def test_only_table_3_depends_on_timings(study):
    run_stage("tables", study)
    folder = path("document", profile="smoke").parent
    first = {file.name: files.sha256(file) for file in folder.glob("table*")}
    file = path("complexity_time", profile="smoke")
    times = pd.read_csv(file)
    files.write_csv(file, times.assign(seconds=times["seconds"] * 1.1))
    run_stage("tables", study)
    changed = {file.name for file in folder.glob("table*") if files.sha256(file) != first[file.name]}
    assert changed == {"table3.tex", "table3.md", "table3.csv"}


def test_rows_stand_where_the_paper_has_them_and_others_join_the_comparison(tabled):
    assert methods(cells(1)) == ["real", "retaken", "shuffled", "nearest", "intergen", "intermamba", OWN]
    assert methods(cells(2)) == ["real", "retaken", "shuffled", "nearest", "intergen", "intermamba", "without_temporal"]
    assert methods(cells(3)) == ["intergen", "intermamba", OWN]
    assert methods(cells(4)) == ["real", "shuffled", "without_temporal", "intermamba"]
    assert methods(cells(5)) == ["real", "shuffled", "intergen", "intermamba"]
    assert len(methods(cells(1), "reported")) == 11


def test_each_block_has_its_own_best_and_second(tabled):
    table1 = cells(1)
    assert mark(table1, "reported", "InterMamba (Ours)", "top1") == "best"
    assert mark(table1, "reported", "InterMamba (light)", "top1") == "second"
    assert mark(table1, "reported", "in2IN", "fid") == "best"
    assert mark(table1, "reported", "in2IN", "diversity") == "second"  # the paper underlines one further from real
    assert mark(table1, "reproduced", OWN, "fid") == "best"
    assert mark(table1, "reproduced", "intergen", "fid") == "second"
    # 0.210 twice: a shared first place, and the next value is second
    assert mark(table1, "reproduced", OWN, "top1") == mark(table1, "reproduced", "intermamba", "top1") == "best"
    assert mark(table1, "reproduced", "intergen", "top1") == "second"
    assert not table1.loc[table1["method"].isin(["Real", "real", "retaken", "shuffled", "nearest"]), "mark"].any()


def test_a_method_at_chance_gets_no_mark_where_captions_matter(tabled):
    table4 = cells(4)
    assert mark(table4, "reproduced", "intermamba", "top1") == "best"
    assert mark(table4, "reproduced", "without_temporal", "top1") == ""  # 0.020, below the shuffled 0.030
    assert mark(table4, "reproduced", "without_temporal", "fid") == "second"


@pytest.mark.parametrize(("top3", "blind"), [(0.031, True), (0.2, False)])
def test_an_evaluator_that_does_not_know_real_motions_is_told_beneath(study, top3, blind):
    """Real motions at chance: an FID near nothing would otherwise pass for a good one."""
    frame = pd.read_csv(path("summary", profile="smoke"))
    frame.loc[(frame["dataset"] == "interx") & (frame["method"] == "real") & (frame["metric"] == "top3"), "mean"] = top3
    frame.to_csv(path("summary", profile="smoke"), index=False)
    run_stage("tables", study)
    told = "evaluator of Inter-X does not match even real motions with their captions"
    assert (told in text(2, "md")) == blind
    assert "does not match even real motions" not in text(1, "md")
    results = reproduced.read(study, made_up.VARIANTS)
    found = headline(Compared(results, pd.read_csv(path("metrics", profile="smoke")), "interx"))
    assert found.text.startswith(f"The {told}") == blind


def test_two_scales_in_one_printed_column_are_not_ranked(tabled):
    printed = cells(5).query("metric == 'printed'")
    assert list(printed["printed"]) == ["0.371", "0.409", "0.605", "0.705"]
    assert not printed["mark"].any()


def test_the_heading_says_what_the_run_was(tabled):
    for number in (1, 2, 4, 5):
        for part in ("synthetic", "-tiny/1", "text tower untrained", "profile smoke", "training seed 0"):
            assert part in text(number, "md")
            assert part in text(number, "tex")
    assert "Ground truth, captions shuffled (chance)" in text(1, "md")
    assert ".031, .062, .094 in this run (batches of 32), .010, .021, .031 in the paper's rows" in text(1, "md")


def test_the_heading_names_the_skeleton_where_there_is_one(tabled):
    assert "synthetic embedded split; skeleton neutral; protocol interx-tiny/1" in text(2, "md").lower()
    assert "skeleton" not in text(1, "md")


@pytest.mark.parametrize("fingerprint", ["012345678901", "123456789e10"])
def test_a_fingerprint_that_looks_like_a_number_stays_text(study, fingerprint):
    file = path("summary", profile="smoke")
    files.write_csv(file, pd.read_csv(file).assign(evaluator=fingerprint))
    run_stage("tables", study)
    assert f"Evaluator weights: {fingerprint}." in text(1, "md")


def test_rows_that_were_not_run_are_named_beneath(study):
    made = tables.build(reproduced.read(study, made_up.VARIANTS), table(study)["tables"].job())
    notes = {one.number: " ".join(one.notes) for one in made}
    for number in (1, 3):
        assert "Not run in this profile: InterMamba (light)." in notes[number]
    assert "Not run" not in notes[2]


def test_reported_numbers_keep_their_printed_digits(tabled):
    assert r"\textbf{0.4573}$^{\pm .004}$" in text(2, "tex")
    assert r"0.002$^{\pm .0002}$" in text(2, "tex")
    assert "8.5347 <sup>±.055</sup>" in text(2, "md")


def test_a_cell_leads_to_the_files_behind_it(tabled):
    for number in range(1, 6):
        frame = cells(number)
        sources = frame.loc[frame["mean"] != "", "source"]
        assert all(Path(source).exists() for source in sources)
    chosen = cells(1).query("method == 'intergen' and metric == 'fid'")
    assert chosen["source"].item() == "results/smoke/interhuman/intergen/seed0/metrics.csv"
    values = pd.read_csv(chosen["source"].item()).query("metric == 'fid'")["value"]
    assert float(chosen["mean"].item()) == pytest.approx(values.mean(), rel=1e-12)


def test_several_seeds_are_told_and_rows_with_fewer_say_so(tmp_path, monkeypatch):
    config = place(tmp_path, monkeypatch, {"interhuman": {"intermamba": (0, 3), "intergen": (0,)}})
    run_stage("tables", config)
    assert "training seeds 0, 3" in text(1, "md")
    assert "InterGen (training seed 0)" in text(1, "md")
    row = cells(1).query("method == 'intermamba' and metric == 'fid'")
    assert row["source"].item().split("; ") == [
        f"results/smoke/interhuman/intermamba/seed{seed}/metrics.csv" for seed in (0, 3)
    ]
    assert row["seeds"].item() == "2"
    assert row["printed_seed_std"].item() == ".002", "the seeds' means differ by .003"
    assert "<sub>σ.002</sub>" in text(1, "md")
    assert r"_{\sigma .002}$" in text(1, "tex")
    # Inter-X was not run at all: the paper's block stands alone
    assert methods(cells(2)) == []


def test_an_unknown_variant_gets_the_nearest_match(study):
    other = study.model_copy(update={"runs": {"interhuman": {"intermambo": (0,)}}})
    with pytest.raises(ConfigError, match=r"unknown model variant 'intermambo'.*Did you mean 'intermamba'"):
        run_stage("tables", other)


def test_a_row_the_paper_does_not_have_gets_the_nearest_match(study, monkeypatch):
    wrong = made_up.variant("wrong", "Wrong", table1="InterMamba (lite)")
    made_up.known(monkeypatch, wrong)
    with pytest.raises(ConfigError, match=r"unknown row of Table 1 'InterMamba \(lite\)'.*'InterMamba \(light\)'"):
        run_stage("tables", study)


def test_a_summary_older_than_the_runs_is_refused(study):
    runs = {"interhuman": {**study.runs["interhuman"], "intermamba_light": (0,)}}
    with pytest.raises(DataError, match="no reproduced row of 'intermamba_light' on interhuman"):
        run_stage("tables", study.model_copy(update={"runs": runs}))


def test_official_checkpoints_have_a_block_of_their_own_between_the_two(tmp_path, monkeypatch):
    run_stage("tables", place(tmp_path, monkeypatch, FEW, official=made_up.OFFICIAL))
    frame = cells(1)
    assert list(dict.fromkeys(frame["block"])) == ["reported", "re-evaluated", "reproduced"]
    assert methods(frame, "re-evaluated") == ["real", "retaken", "shuffled", "nearest", "intergen"]
    row = frame.query("metric == 'fid' and method == 'intergen'").set_index("block")
    assert float(row["mean"]["re-evaluated"]) == pytest.approx(1.1 * float(row["mean"]["reproduced"]))
    assert row["source"]["re-evaluated"] == str(
        path("official_metrics", profile="smoke", dataset="interhuman", variant="intergen")
    )
    assert set(frame.query("block == 're-evaluated'")["mark"]) == {""}  # one method is not ranked
    document = text(1, "md")
    headings = [
        "**Reported in the paper**",
        "**Official checkpoints, evaluated in this run",
        "**This run, profile smoke**",
    ]
    assert [document.index(heading) for heading in headings] == sorted(map(document.index, headings))
    for number in (2, 4, 5):
        assert "re-evaluated" not in set(cells(number)["block"])


@pytest.mark.parametrize("official", [{}, made_up.OFFICIAL])
def test_motions_of_other_projects_are_re_evaluated_rows(tmp_path, monkeypatch, official):
    run_stage("tables", place(tmp_path, monkeypatch, FEW, official=official, motions=made_up.MOTIONS))
    frame = cells(1)
    assert methods(frame, "re-evaluated") == [
        "real",
        "retaken",
        "shuffled",
        "nearest",
        *(["intergen"] if official else []),
        "theirs",
    ]
    row = frame.query("method == 'theirs' and metric == 'top3'").iloc[0]
    assert (row["label"], row["printed"]) == ("Theirs & co_", "0.500")
    assert row["printed_interval"]
    assert row["source"] == "results/smoke/interhuman/theirs/motions/metrics.csv"
    document = text(1, "md")
    expected = "Official checkpoints and motions" if official else "Motions"
    assert f"**{expected} of other projects, evaluated in this run" in document
    assert "Theirs & co_: motions as found in submissions/theirs" in document.replace("\\", "")
    assert "theirs" not in text(3, "csv")  # their cost is not known


def test_copying_is_set_beside_the_ground_truth(tabled):
    frame = pd.read_csv(path("table", profile="smoke", table="copying", format="csv"))
    assert methods(frame)[:4] == ["real", "retaken", "nearest", "intermamba"]
    shown = frame[frame["dataset"].isin(["interhuman"])].pivot(index="method", columns="metric", values="printed")
    assert shown.loc["real", "nearest_joints"] == 9.0
    ratios = frame[frame["metric"].str.endswith("_ratio")].set_index(["method", "metric"])["printed"].astype(float)
    for name in ("nearest_joints", "nearest_embedding"):
        assert set(ratios["real", f"{name}_ratio"]) == {1.0}
        assert set(ratios["nearest", f"{name}_ratio"]) <= {round(0.1 / 1.2, 2), round(0.5 / 9.0, 2)}
    assert not frame["mark"].any()


def test_a_study_without_official_checkpoints_has_no_such_block(tabled):
    assert set(cells(1)["block"]) == {"reported", "reproduced"}


@pytest.mark.parametrize(("name", "stage"), [("summary", "aggregate"), ("complexity_time", "complexity")])
def test_a_missing_input_names_its_stage(study, name, stage):
    path(name, profile="smoke").unlink()
    with pytest.raises(StateError, match=f"intermamba {stage}"):
        run_stage("tables", study)


def test_the_real_variants_find_their_rows(tmp_path, monkeypatch):
    """The committed ablations, as the study lists them, against the transcribed rows."""
    from ablations import load

    known = load()
    shutil.copytree(REPORTED, tmp_path / "results" / "paper" / "reported")
    monkeypatch.chdir(tmp_path)
    empty = pd.DataFrame()
    study = tables.Study(made_up.config({"interhuman": dict.fromkeys(known, (0,))}), empty, empty, empty, known)
    printed = [
        "temos", "t2m", "mdm", "com_mdm_few", "com_mdm", "rig", "intergen", "in2in", "intermamba", "intermamba_light",
    ]  # fmt: skip
    assert study.members(1, "interhuman")[: len(printed)] == printed
    assert {"intermask", "mdm_gru", "mdm_fixed", "mdm_gru_fixed", "t2m_given"} <= set(study.members(1, "interhuman"))
    costs = set(study.members(3, "interhuman"))
    assert {*printed, "intermask", "mdm_gru"} <= costs
    assert not any(known[name].ablation for name in costs - {"intermamba", "intermamba_light", "intergen"})
    assert study.members(4, "interhuman") == ["without_temporal", "without_adaptive", "intermamba"]
    assert study.members(5, "interhuman") == ["intergen", "self_astm_only", "without_liia", "intermamba"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (texlive-latex-extra) on the PATH")
def test_the_document_compiles_without_overfull_boxes(study):
    run_stage("tables", study)
    document = path("document", profile="smoke")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document.name],
        cwd=document.parent,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert document.with_suffix(".pdf").exists()
    assert not re.findall(r"Overfull.*", done.stdout)


def own(name, form):
    return path("table", profile="smoke", table=name, format=form)


class TestSensitivity:
    def cells(self):
        return pd.read_csv(
            path("table", profile="smoke", table="sensitivity", format="csv"), dtype=str, keep_default_na=False
        )

    @pytest.mark.usefixtures("tabled")
    def test_one_block_an_evaluator_and_one_row_a_damage(self):
        frame = self.cells()
        for dataset in ("interhuman", "interx"):
            rows = frame[frame["dataset"] == dataset]
            assert list(dict.fromkeys(rows["method"])) == ["real", *(one.name for one in catalogue(dataset))]
            assert set(rows["source"]) == {str(path("sensitivity", profile="smoke", dataset=dataset))}
        assert set(frame["block"]) == {"sensitivity"}
        assert "multimodality" not in set(frame["metric"])

    @pytest.mark.usefixtures("tabled")
    def test_changes_and_marks(self):
        frame = self.cells().query("dataset == 'interhuman'").set_index(["method", "metric"])
        assert frame.loc[("real", "top1"), "printed"] == "0.450"
        assert frame.loc[("joints-1", "top1"), ["printed", "mark"]].tolist() == ["0.000", "blind"]
        assert frame.loc[("captions", "top1"), ["printed", "mark"]].tolist() == ["−0.045", ""]
        assert frame.loc[("reversed", "fid"), ["printed", "mark"]].tolist() == ["−0.148", "fooled"]
        assert frame.loc[("reversed", "diversity"), "mark"] == ""  # nearer or further, it moved
        assert float(frame.loc[("captions", "top1"), "mean"]) == pytest.approx(-0.045)

    @pytest.mark.usefixtures("tabled")
    def test_signs_reach_every_format(self):
        plain, tex = (
            path("table", profile="smoke", table="sensitivity", format=form).read_text() for form in ("md", "tex")
        )
        assert "| 0.000 <sup>±.000</sup> ○ |" in plain
        assert r"$-$0.148$^{\pm .001}$ !" in tex
        assert r"0.000$^{\pm .000}$ $\circ$" in tex
        assert "Table 6" in plain

    def test_a_file_of_other_perturbations_is_refused(self, study):
        file = path("sensitivity", profile="smoke", dataset="interx")
        frame = pd.read_csv(file)
        files.write_csv(file, frame[frame["method"] != "captions"])
        with pytest.raises(DataError, match=r"sensitivity\.csv: not the perturbations of this code"):
            run_stage("tables", study)

    def test_an_evaluator_that_was_not_asked(self, study):
        path("sensitivity", profile="smoke", dataset="interx").unlink()
        with pytest.raises(StateError, match="intermamba sensitivity"):
            run_stage("tables", study)
