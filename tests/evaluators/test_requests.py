"""Files of requests: what is written is read back, and a broken line is named."""

from pathlib import Path

import pytest

from intermamba import requests
from intermamba.errors import ConfigError, DataError
from intermamba.requests import Request

# U+2028 separates lines for Python's splitlines, not for JSON.
AWKWARD = 'two\u2028people, "greet" \u6328\u62f6'
REQUESTS = [
    Request(clip="\u00e4", caption_index=1, caption=AWKWARD, frames=9, repeat=2, person_a="x", person_b="y"),
    Request(clip="7", caption_index=0, caption="they wave", frames=30, samples=4),
]


@pytest.mark.parametrize("ending", requests.FORMATS)
def test_requests_come_back(tmp_path: Path, ending: str) -> None:
    requests.write(tmp_path / f"requests{ending}", REQUESTS)
    assert requests.read(tmp_path / f"requests{ending}") == REQUESTS


def test_an_unknown_ending_is_answered_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown suffix '.json' .* Did you mean '.jsonl'\? Allowed: .csv, .jsonl"):
        requests.write(tmp_path / "requests.json", REQUESTS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bow", "line 1: Invalid JSON"),
        ('{"clip": "a", "caption_index": 0, "caption": "b"}', "line 1: frames: Field required"),
        ('{"clip": "a", "caption_index": 0, "caption": "b", "frames": 0}', "frames: Input should be greater than 0"),
        (
            '{"clip": 7, "caption_index": 0, "caption": "b", "frames": 9}',
            "clip: Input should be a valid string",
        ),
        ('\n{"clip": "a", "caption_index": 0, "caption": "b", "frames": 9, "smaples": 3}', "line 2: smaples: Extra"),
        ("", "no request"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "requests.jsonl").write_text(line)
    with pytest.raises(DataError, match=message):
        requests.read(tmp_path / "requests.jsonl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,caption_index,caption,frames\na,0,b,many\n", "line 2: frames: Input should be a valid integer"),
        ("clip,caption_index,caption,frames\na,0,b,9,10\n", "line 2: None: "),
        ("clip,caption\n", "no request"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "requests.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        requests.read(tmp_path / "requests.csv")
