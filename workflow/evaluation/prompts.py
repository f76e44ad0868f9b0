"""Command ``prompts``: the test clips and captions that a method has to answer."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluators import protocol as protocols
from evaluators.requests import requests
from intermamba import files, paths
from intermamba import requests as request_files
from intermamba.config import Config, Dataset
from intermamba.data.splits import SplitFile
from intermamba.requests import Request
from workflow.evaluation.setup import root


def run(config: Config, dataset: Dataset, sets: int = 1, output: Path | None = None) -> None:
    """Write the requests of ``sets`` sets of motions, and those of MModality, to ``output``; without one, print them.

    Raises:
        StateError: the dataset has not been preprocessed.
        ConfigError: more ``sets`` than the protocol has repeats, or an ``output`` of no known format.
    """
    test = files.require(paths.path("split", profile=config.profile, dataset=dataset, split="test"), "preprocess")
    protocol = protocols.load(config.protocol[dataset])
    wanted = list(requests(SplitFile(test), config.datasets[dataset], protocol, root(config, dataset), sets))
    if output is not None:
        request_files.write(output, wanted)
    _show(wanted, f"{dataset}, protocol {protocol.id}", output)


def _show(wanted: Sequence[Request], title: str, output: Path | None) -> None:
    console = Console(soft_wrap=output is not None)
    if output is None:
        table = Table("clip", "repeat", "motions", "frames", "caption index", "caption", title=title)
        for one in wanted:
            numbers = (one.repeat, one.samples or 1, one.frames, one.caption_index)
            table.add_row(*map(escape, (one.clip, *map(str, numbers), one.caption)))
        console.print(table)
    motions = sum(one.samples or 1 for one in wanted)
    console.print(f"{len(wanted)} requests for {motions} motions{f' ({title}): {output}' if output else '.'}")
