"""The Dockerfile and the Apptainer definition, read as text: one image, made by the Makefile's pinned installation."""

import re
import tomllib

from places import ROOT

DOCKER, APPTAINER = (ROOT / name for name in ("Dockerfile", "apptainer.def"))
INSTALL = re.compile(r"make install EXTRAS=(\S+)")


def copied_by_docker() -> set[str]:
    first, *rest = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    return {line.removeprefix("!") for line in rest if line.startswith("!")}


def copied_by_apptainer() -> set[str]:
    section = APPTAINER.read_text().split("%files\n")[1].split("\n\n")[0]
    return {line.split()[0] for line in section.splitlines()}


def test_both_install_by_the_makefile_which_pins() -> None:
    extras = [INSTALL.findall(file.read_text()) for file in (DOCKER, APPTAINER)]
    assert extras == [["cloud,slurm"]] * 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras[0][0].split(",")) <= set(project["optional-dependencies"])
    commands = re.findall(r"pip install .*", (ROOT / "Makefile").read_text())
    editable = [command for command in commands if "--editable" in command]
    assert len(editable) == 2
    assert all(re.search(r"--constraints? constraints\.txt --editable '\.\[\$\(EXTRAS\)\]'", one) for one in editable)
    for file in (DOCKER, APPTAINER):
        assert not re.search(r"\b(pip|uv) ", file.read_text())  # nothing beside it


def test_both_start_from_the_same_supported_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKER.read_text(), re.M) + re.findall(
        r"^From: (\S+)", APPTAINER.read_text(), re.M
    )
    assert len(bases) == 4
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:(3\.\d+)-slim-\w+", bases[0])
    assert version
    assert version[1] in (ROOT / ".github/workflows/ci.yml").read_text()


def test_both_copy_the_same_files_which_are_all_that_the_package_needs() -> None:
    copied = copied_by_docker()
    assert copied == copied_by_apptainer()
    assert all((ROOT / name).exists() for name in copied)
    links = [link for link in (ROOT / "workflow/starter").rglob("*") if link.is_symlink()]
    needed = {str(link.resolve().relative_to(ROOT)) for link in links} | {
        "constraints.txt",
        "pyproject.toml",
        "Makefile",
    }
    assert needed <= copied


def test_the_image_runs_as_a_user_and_keeps_no_tools_of_its_build() -> None:
    final = DOCKER.read_text().split("\nFROM ")[-1]
    assert re.search(r"^USER [1-9]\d*$", final, re.M)
    assert not re.search(r"\bmake\b", final)
