"""A pipeline whose data and results are in an S3 store: moto's server on this machine."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from micro import repeatable, shrink, write_tree
from places import ROOT

from intermamba import config
from intermamba.errors import StateError
from intermamba.paths import path, record_of
from workflow.graph import store
from workflow.graph.stages import table

RUN = {"profile": "smoke", "dataset": "interhuman", "variant": "intermamba", "seed": 0}
TARGET = str(path("run_metrics", **RUN))
PREFIX = "s3://laboratory/studies/micro"


def test_the_folders_become_links(study: Path) -> None:
    store.link("smoke", lambda name: study / "copies" / name)
    store.link("smoke", lambda name: study / "copies" / name)
    Path("results/smoke/one").touch()
    assert (study / "copies/results/smoke/one").exists()
    with pytest.raises(StateError, match="data/smoke holds files of this working tree"):
        store.link("smoke", lambda name: study / "others" / name)
    with pytest.raises(StateError, match="data/smoke belongs to a run with storage"):
        store.refuse_links("smoke")


def test_results_of_a_run_without_storage_stay(study: Path) -> None:
    Path("results/smoke").mkdir(parents=True)
    Path("results/smoke/metrics.csv").touch()
    store.refuse_links("smoke")
    with pytest.raises(StateError, match="results/smoke holds files of this working tree"):
        store.link("smoke", lambda name: study / "copies" / name)
    assert Path("results/smoke/metrics.csv").exists()


def test_the_papers_numbers_go_along(study: Path) -> None:
    """They are of the working tree, in the folder of the results of profile ``paper``."""
    numbers = path("newer_methods")
    expected = numbers.read_bytes()
    for _ in range(2):
        store.link("paper", lambda name: study / "copies" / name)
        assert Path("results/paper").is_symlink()
        assert numbers.read_bytes() == expected
    assert not store.stored("paper", numbers)
    assert store.stored("paper", path("metrics", profile="paper"))
    assert not store.stored("smoke", path("metrics", profile="paper"))


def test_sources_are_known_by_their_contents(study: Path) -> None:
    recipe, result = Path("ablations/intermamba.yaml"), Path("results/smoke/metrics.csv")
    before = store.sources("smoke", [recipe, result])
    recipe.touch()
    result.parent.mkdir(parents=True)
    result.write_text("anything")
    assert store.sources("smoke", [recipe, result]) == before
    recipe.write_text(recipe.read_text() + "# more\n")
    assert store.sources("smoke", [recipe, result]) != before


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    yield client
    for one in client.list_buckets()["Buckets"]:
        for content in client.list_objects_v2(Bucket=one["Name"]).get("Contents", []):
            client.delete_object(Bucket=one["Name"], Key=content["Key"])
        client.delete_bucket(Bucket=one["Name"])


def tree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A micro study of one run in a new folder, which becomes the current one."""
    write_tree(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shrink(folder, {"interhuman": {"intermamba": [0]}})
    return folder


def start(*words: str, target: str = TARGET) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words, "--", target]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(*words: str, target: str = TARGET) -> str:
    process = start(*words, target=target)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


STORAGE = ("--workflow-profile", "profiles/s3", "--default-storage-prefix", PREFIX)


def stored(client: Any) -> dict[str, bytes]:
    """Contents of the store, by their paths in a working tree."""
    listed = client.list_objects_v2(Bucket="laboratory")["Contents"]
    return {
        one["Key"].removeprefix("studies/micro/"): client.get_object(Bucket="laboratory", Key=one["Key"])["Body"].read()
        for one in listed
    }


def here() -> dict[str, bytes]:
    """Artefacts of the working tree that equal runs have in common."""
    return {str(name): name.read_bytes() for name in repeatable(table(config.load())) if name.exists()}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_with_storage(client: Any, complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives the bytes of a local one; a second tree takes them from the store and runs only what is missing."""
    tree(tmp_path / "first", monkeypatch)
    run(*STORAGE)
    expected = {name: (complete / name).read_bytes() for name in here()}
    assert TARGET in expected
    found = stored(client)
    assert {name: found[name] for name in expected} == expected
    assert here() == expected

    tree(tmp_path / "second", monkeypatch)
    assert "Nothing to be done" in run(*STORAGE)
    for name in (TARGET, str(record_of(TARGET))):
        client.delete_object(Bucket="laboratory", Key=f"studies/micro/{name}")
    said = run(*STORAGE)
    assert "1 job," in said
    assert "evaluate intermamba" in said
    assert stored(client)[TARGET] == expected[TARGET]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_store_that_is_lost_in_a_training(
    server: Any, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message; what was computed stays in the local folder, and the next run puts it into the store."""
    tree(tmp_path / "disturbed", monkeypatch)
    target = path("weights", **RUN)
    process = start(*STORAGE, target=str(target))
    resume = target.parent / "resume"
    while not any(resume.glob("*.ckpt")):
        assert process.poll() is None
        time.sleep(0.01)
    _, port = server.get_host_and_port()
    server.stop()
    said, _ = process.communicate()
    assert process.returncode != 0
    assert f"Failed to store output in storage {PREFIX}/{target}" in said
    weights = target.read_bytes()

    process = start(*STORAGE, target=str(target))
    said, _ = process.communicate()
    assert process.returncode != 0
    assert "the store does not answer" in said

    server._port = port
    server.start()
    said = run(*STORAGE, target=str(target))
    assert "Put into the store what an earlier run could not: intermamba train" in said
    assert "Nothing to be done" in said
    assert stored(client)[str(target)] == weights


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_dvc_with_a_remote_in_the_store(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh clone pulls weights, and runs only the stages that nobody has run."""
    pytest.importorskip("dvc_s3")

    def call(*words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    for name, value in {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "DVC_NO_ANALYTICS": "1"}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.replace("AUTHOR", "COMMITTER"), value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    client.create_bucket(Bucket="laboratory")
    train, evaluate = "train@interhuman-intermamba-0", "evaluate@interhuman-intermamba-0"
    first = tree(tmp_path / "first", monkeypatch)
    call(sys.executable, "-m", "workflow.graph.dvc", "smoke")
    Path(".gitignore").write_text("/data\n/results/smoke\n/official\n")
    call("git", "init", "--quiet")
    call("dvc", "init")
    call("dvc", "remote", "add", "--default", "store", "s3://laboratory/dvc")
    call("dvc", "remote", "modify", "store", "endpointurl", client.meta.endpoint_url)
    call("dvc", "repro", "--quiet", train)
    weights = path("weights", **RUN)
    expected = weights.read_bytes()
    call("git", "add", ".")
    call("git", "commit", "--quiet", "--message", "A training")
    call("dvc", "push")

    call("git", "clone", "--quiet", str(first), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    call("dvc", "pull", train)
    assert weights.read_bytes() == expected
    said = call("dvc", "repro", "--pull", evaluate)
    assert f"Running stage '{evaluate}'" in said
    assert f"Running stage '{train}'" not in said
    assert "Running stage 'preprocess@interhuman'" not in said
    assert weights.read_bytes() == expected
