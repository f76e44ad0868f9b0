"""What the system refuses, and what happens behind a command's back: one clear message, or the same bytes."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from data_folders import config_for, write_interhuman
from micro import shrink
from once import once
from stages import run as run_stage

from intermamba import files, provenance
from intermamba.data import preprocess
from intermamba.errors import DataError, StateError, system_problem

pytestmark = pytest.mark.timeout(300)

FETCH = ("fetch", "--dataset", "interhuman")
INTERMAMBA = str(Path(sys.executable).with_name("intermamba"))
LEFT_OVER = "*.part*"


@pytest.fixture
def micro(study: Path) -> Path:
    """A study that runs in seconds, as its smoke profile."""
    shrink(study)
    return study


def limited(**limits: int) -> Callable[[], None]:
    """For a new process: limits by their names without ``RLIMIT_``, and Ctrl-C, which jobs in the background ignore."""

    def apply() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for name, limit in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))

    return apply


def command(*words: str, within: str | None = None, **limits: int) -> "subprocess.Popen[str]":
    """A command of the project; ``within`` is shell code that comes before it, in a mount namespace of its own."""
    start = [INTERMAMBA, *words]
    if within is not None:
        start = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{within} && exec "$0" "$@"', *start]
    # Python before 3.12.8 keeps a compiled module that a full disk has cut (python/cpython issue 126606).
    where = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(start, text=True, env=where, preexec_fn=limited(**limits), **pipes)


def refused(process: "subprocess.Popen[str]", *parts: str) -> None:
    """The command ends with one line that has these parts, and leaves nothing half-written."""
    _, said = process.communicate()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert process.returncode == 2, said
    assert len(errors) == 1, said
    assert "Traceback" not in said
    assert len(errors[0]) < 500
    for part in parts:
        assert part in errors[0]


def done(process: "subprocess.Popen[str]") -> None:
    """The command succeeds, and nothing half-written is left, by an earlier one either."""
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert not list(Path().rglob(LEFT_OVER))


def artefacts(*folders: str) -> Mapping[str, bytes]:
    """Bytes by name of what stages wrote, but for records, which hold times."""
    found = (path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return {str(path): path.read_bytes() for path in found if path.suffix != ".json" and "lock" not in path.name}


@pytest.fixture(scope="module")
def namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "--map-root-user", "--mount", "true"]).returncode:
        pytest.skip("no namespaces of mounts here")


@pytest.fixture
def fetched(micro: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The data of one command, in the study of each test."""

    def make(folder: Path) -> None:
        done(command(*FETCH))
        shutil.move("data", folder)

    shutil.copytree(once(tmp_path_factory, "fetched", make) / "data", "data")
    return artefacts("data")


class TestFullDisk:
    @pytest.mark.usefixtures("micro")
    def test_a_limit_on_files(self) -> None:
        refused(command(*FETCH, FSIZE=30_000), "ulimit -f", "run the same command again")
        done(command(*FETCH))

    @pytest.mark.usefixtures("micro", "namespaces")
    def test_a_small_disk(self) -> None:
        Path("data").mkdir()
        refused(command(*FETCH, within="mount -t tmpfs -o size=500k tmpfs data"), "full", "Free some space")
        assert not list(Path("data").iterdir())

    @pytest.mark.slow
    @pytest.mark.usefixtures("fetched")
    def test_old_results_stay_whole(self) -> None:
        prepare = ("preprocess", "--dataset", "interhuman")
        done(command(*prepare))
        before = artefacts("data")
        refused(command(*prepare, FSIZE=100_000), "ulimit -f")
        assert artefacts("data") == before
        done(command(*prepare))
        assert artefacts("data") == before


class TestReadOnly:
    @pytest.mark.usefixtures("micro", "namespaces")
    def test_a_folder(self) -> None:
        Path("data").mkdir()
        within = "mount --bind data data && mount -o remount,bind,ro data"
        refused(command(*FETCH, within=within), "Read-only file system", "a writable folder")

    @pytest.mark.usefixtures("micro")
    def test_a_folder_without_permission(self) -> None:
        if os.geteuid() == 0:
            assert "permission" in str(system_problem(PermissionError(13, "Permission denied", "data")))
            pytest.skip("root may write everywhere")
        Path("data").mkdir(mode=0o500)
        refused(command(*FETCH), "data", "Change its permissions")


class TestFewResources:
    @pytest.mark.usefixtures("micro")
    def test_open_files(self) -> None:
        refused(command(*FETCH, NOFILE=5), "Too many open files", "ulimit -n")

    @pytest.mark.usefixtures("micro")
    @pytest.mark.parametrize("mib", [60, 1500])
    def test_memory(self, mib: int) -> None:
        """Too little to load libraries, whose own messages are long."""
        refused(command("preprocess", "--dataset", "interhuman", AS=mib << 20), "out of memory", "Free some")


@pytest.mark.slow
class TestSignals:
    @pytest.mark.usefixtures("micro")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_stopped_stage_says_one_line_and_starts_again(self, number: signal.Signals) -> None:
        process = command(*FETCH)
        assert process.stderr is not None
        process.stderr.readline()  # it has begun
        process.send_signal(number)
        _, said = process.communicate()
        assert process.returncode == 130, said
        assert said.splitlines()[-1] == "Interrupted."
        assert not list(Path().rglob(LEFT_OVER))
        done(command(*FETCH))

    @pytest.mark.usefixtures("micro")
    def test_a_killed_stage_starts_again(self) -> None:
        process = command(*FETCH)
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
        process.communicate()
        assert not Path("data/smoke/interhuman/manifest.json").exists()
        done(command(*FETCH))


BACK = """
import time
real = time.time
time.time = lambda: 2e10 - 10 * real()
from workflow.cli import main
main()
"""


@pytest.mark.slow
def test_a_clock_that_goes_back_changes_nothing(fetched: Mapping[str, bytes]) -> None:
    shutil.rmtree("data")
    subprocess.run([sys.executable, "-c", BACK, *FETCH], check=True)
    assert artefacts("data") == fetched


class TestChanges:
    def test_an_input_that_changes_during_the_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

        def work(change: Callable[[], object]) -> None:
            files.write_text("in.txt", "input")
            with provenance.recorded("stage", ["out.txt"], ["in.txt"]):
                files.write_text("out.txt", "output")
                change()

        for change in (lambda: Path("in.txt").write_text("other"), Path("in.txt").unlink):
            with pytest.raises(StateError, match=r"in\.txt changed while `stage` read it.*again"):
                work(change)
            assert not Path("out.txt.prov.json").exists()
        work(lambda: os.utime("in.txt", (0, 0)))  # other times, same content
        assert Path("out.txt.prov.json").exists()

    def test_a_folder_that_changes_during_the_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        files.write_text("in/a.txt", "input")
        with (
            pytest.raises(StateError, match="in changed while `stage` read it"),
            provenance.recorded("stage", ["out.txt"], ["in"]),
        ):
            files.write_text("in/b.txt", "one more")

    def test_raw_files_that_change_while_they_are_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        root = write_interhuman(tmp_path / "raw")
        config = config_for("interhuman", root)
        run_stage("fetch", config, "interhuman")

        def meanwhile(*_: object) -> tuple[str, ...]:
            path = root / "motions_processed/person1/12.npy"
            np.save(path, np.load(path) + 1)
            return ()

        monkeypatch.setattr(preprocess, "plausible", meanwhile)
        with pytest.raises(DataError, match=r"1 file\(s\) changed while they were read: .*person1/12\.npy"):
            run_stage("preprocess", config, "interhuman")
        assert not list(Path("data").rglob("*.safetensors"))


class TestTwoAtOnce:
    @pytest.mark.slow
    def test_of_one_stage(self, fetched: Mapping[str, bytes]) -> None:
        """The second waits for the first."""
        shutil.rmtree("data")
        both = [command(*FETCH) for _ in range(2)]
        for process in both:
            done(process)
        assert artefacts("data") == fetched

    @pytest.mark.slow
    @pytest.mark.usefixtures("micro")
    def test_of_a_tree(self) -> None:
        """Snakemake twice: the second one is refused, and the first is not disturbed."""
        words = [sys.executable, "-m", "snakemake", "--cores", "1", "data/smoke/interhuman/manifest.json"]
        start = partial(subprocess.Popen, words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        first = start()
        while first.poll() is None and not Path("data/smoke/raw").exists():
            time.sleep(0.05)
        first.send_signal(signal.SIGSTOP)  # so that it cannot end before the second looks
        second = start()
        said, _ = second.communicate()
        first.send_signal(signal.SIGCONT)
        assert second.returncode != 0
        assert "another pipeline is running this profile" in said
        assert "Traceback" not in said
        said, _ = first.communicate()
        assert first.returncode == 0, said

    @pytest.mark.slow
    @pytest.mark.usefixtures("fetched")
    def test_of_two_trees_on_one_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both compile the loops that neither finds in the cache of compiled code."""
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(Path("numba").resolve()))
        trees = [Path.cwd(), Path.cwd().with_name("other")]
        shutil.copytree(trees[0], trees[1])
        started = []
        for tree in trees:
            monkeypatch.chdir(tree)
            started.append(command("preprocess", "--dataset", "interhuman"))
        for process in started:
            done(process)
        assert list((trees[0] / "numba").rglob("*.nbi"))
        found = []
        for tree in trees:
            monkeypatch.chdir(tree)
            found.append(artefacts("data/smoke/interhuman"))
        assert found[0] == found[1]
