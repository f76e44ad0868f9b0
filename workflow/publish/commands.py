"""The reference of the command line: every command with its arguments and options, as ``--help`` has them."""

from typing import Any

import typer

from workflow.tables.markdown import pipes


def render() -> str:
    """Every command of ``intermamba`` under the heading of its group."""
    from workflow.cli.commands import app

    root: Any = typer.main.get_command(app)
    groups: dict[str, list[str]] = {}
    for name, command in root.commands.items():
        groups.setdefault(str(command.rich_help_panel), []).append(_command(name, command))
    return "\n".join(f"## {title}\n\n" + "\n".join(texts) for title, texts in groups.items())


def _command(name: str, command: Any) -> str:
    """``command`` with its usage, description and a table of ``params``: typer's, which have click's attributes."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one not in arguments]
    needed = [f"{one.opts[0]} {one.name.upper()}" for one in options if one.required]
    places = [
        (one.name.upper() if one.required else f"[{one.name.upper()}]") + ("..." if one.nargs == -1 else "")
        for one in arguments
    ]
    usage = " ".join(["intermamba", name, *needed, *(["[OPTIONS]"] if len(needed) < len(options) else []), *places])
    rows = [[f"`{one.name.upper()}`", *_meaning(one)] for one in arguments]
    rows += [[", ".join(f"`{flag}`" for flag in one.opts), *_meaning(one)] for one in options]
    table = pipes([["Option", "Meaning", "Default"], [":--"] * 3, *rows]) if rows else ""
    example = f"\n    {command.epilog.removeprefix('Example: ')}\n" if command.epilog else ""
    return f"### intermamba {name}\n\n    {usage}\n\n{_prose(command.help or '')}\n{example}\n{table}"


def _meaning(parameter: Any) -> list[str]:
    unset = parameter.default is None or parameter.default is False
    default = "required" if parameter.required else "" if unset else f"`{parameter.default}`"
    return [_prose(parameter.help or ""), default]


def _prose(text: str) -> str:
    paragraphs = text.replace("\\[", "[").replace("|", "\\|").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)
