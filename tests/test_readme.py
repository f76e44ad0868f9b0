"""What the documents say is what the project does."""

import re
from pathlib import Path

import yaml

from workflow import publish

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_numbers_in_the_readme_are_the_published_runs() -> None:
    assert publish.readme(README, ROOT) == README


def test_links_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "results/README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readmes_example_is_a_valid_variant(tmp_path: Path) -> None:
    import ablations

    example = re.search(r"( +name: my_idea\n(?: +\w+: .*\n)+)", README)
    assert example
    (tmp_path / "my_idea.yaml").write_text(yaml.safe_dump(yaml.safe_load(example[1])))
    assert ablations.load(tmp_path)["my_idea"].options()


def test_every_inferred_choice_of_the_models_is_explained() -> None:
    from intermamba.models.options import InterGenOptions, InterMambaOptions

    document = (ROOT / "docs/deviations.md").read_text()
    for field in InterMambaOptions.model_fields | InterGenOptions.model_fields:
        assert re.search(rf"`{field}[`:]", document), field


def test_commands_named_in_the_readme_exist() -> None:
    from workflow.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for named in re.findall(r"intermamba ([a-z][a-z-]+)(?: |`|\n)", README):
        assert named in commands, named
    targets = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"(?:^    |`)make ([a-z]+)", README, re.MULTILINE):
        assert named in targets, named
