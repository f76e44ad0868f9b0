"""Compile ``dvc.yaml`` from the stage table: ``python -m workflow.graph.dvc [profile]``.

DVC cannot look up a profile inside ``params.yaml``, so the file is compiled for one profile; a test keeps the
committed one, for the default profile, up to date.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml

from intermamba import config as configuration
from intermamba import files
from intermamba.config import Config
from intermamba.errors import InterMambaError
from intermamba.paths import committed
from workflow.graph.stage import Item, Stage
from workflow.graph.stages import table

HEADER = """\
# Compiled from workflow/graph/declarations.py by `make dvc.yaml`; edit the stages there. For another profile:
# `make dvc.yaml PROFILE=study-cpu`.
# The same graph as the Snakefile (tests/workflow/test_graph.py compares them). Use only one of the two tools in a
# working tree.
"""


def _item(text: str) -> str:
    return re.sub(r"\{(\w+)\}", r"${item.\1}", text)


def _params(document: dict[str, Any], stage: Stage) -> Iterator[str]:
    """Keys of params.yaml behind a stage's knobs: those of the base, and the profile's own where it has any."""
    yield "profile"
    for root in ("base", f"profiles.{stage.profile}"):
        for knob in stage.knobs:
            # A knob that differs by item is tracked by item where every item has it, else by its section as a whole.
            for name in (knob, knob.split(".{")[0]):
                if all(_has(document, f"{root}.{name}".format(**item)) for item in stage.items):
                    yield _item(f"{root}.{name}")
                    break


def _has(document: dict[str, Any], name: str) -> bool:
    found: Any = document
    for key in name.split("."):
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return True


class _Plain(yaml.SafeDumper):
    """YAML without anchors: equal items are written out."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def compile_stage(document: dict[str, Any], stage: Stage) -> Iterator[tuple[str, dict[str, Any]]]:
    """A stage of dvc.yaml by its name; several where its items differ in their inputs, which DVC cannot express."""
    kinds: dict[tuple[str, ...], list[Item]] = {}
    for item in stage.items:
        read = dict.fromkeys(path for paths in stage.filled(item).values() for path in paths)
        kinds.setdefault(tuple(read), []).append(item)
    common = min(kinds, key=len, default=())
    for reads, items in kinds.items():
        extra = [name for name, texts in stage.inputs.items() if set(texts) & (set(reads) - set(common))]
        body: dict[str, Any] = {
            "cmd": _item(stage.command),
            "deps": [_item(path) for path in reads],
            "params": sorted(set(_params(document, replace(stage, items=tuple(items))))),
            "outs": [_output(path, root=not reads) for path in (*stage.outputs.values(), stage.record)],
        }
        if not body["deps"]:
            del body["deps"]
        if stage.fields:
            body = {"foreach": {_key(stage, item): _used(item, body) for item in items}, "do": body}
        yield "-with-".join([stage.name, *extra]), body


def _key(stage: Stage, item: Item) -> str:
    return "-".join(item[name] for name in stage.fields)


def _used(item: Item, body: dict[str, Any]) -> dict[str, str]:
    """The fields of an item that a stage names."""
    return {name: value for name, value in item.items() if f"${{item.{name}}}" in str(body)}


def _output(path: str, root: bool) -> str | dict[str, dict[str, bool]]:
    """An output with its flags for DVC."""
    flags: dict[str, bool] = {}
    if committed(path):
        flags["cache"] = False  # Git keeps it
    if root:
        flags["persist"] = True  # a stage that is refused in this tree must not lose its outputs
    return {_item(path): flags} if flags else _item(path)


def compile_document(config: Config) -> str:
    """The text of dvc.yaml for a profile."""
    document = configuration.read()
    stages = dict(one for stage in table(config).values() for one in compile_stage(document, stage))
    results = f"results/{config.profile}"
    body = {
        "stages": stages,
        "metrics": [f"{results}/summary.json"],
        "plots": [
            {
                f"{results}/alpha_beta.csv": {
                    "x": "step",
                    "y": "value",
                    "title": "Adaptive weights",
                    "template": "scatter",
                }
            },
        ],
    }
    return HEADER + yaml.dump(body, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)


def main() -> None:
    """Write ``dvc.yaml`` for the profile of the first argument, else for the default one."""
    profile = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        files.write_text("dvc.yaml", compile_document(configuration.load(profile)))
    except InterMambaError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
