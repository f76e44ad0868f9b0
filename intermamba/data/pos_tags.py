"""Part-of-speech tags: ``word/POS`` tokens for Inter-X's evaluator, without the owners' ``texts_processed/``.

The rules are those of Inter-X (``preprocess/3_text_process.py``). Parts of speech and lemmas come from spaCy's small
English model, an optional extra. Its versions differ slightly, so tokens can differ from the owners' files.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

from intermamba.errors import DataError

MODEL = "en_core_web_sm"
"""The owners' choice."""
INSTALL = f"`pip install -e '.[spacy]'` and `python -m spacy download {MODEL}`"
_REMEDY = f"Install it: {INSTALL}. Or put the owners' texts_processed/ into the dataset's folder."


@runtime_checkable
class Word(Protocol):
    """The attributes of spaCy's tokens that the rules read."""

    text: str
    lemma_: str
    pos_: str


def tokens(words: Iterable[Word]) -> tuple[str, ...]:
    """``word/POS`` of every alphabetic word; nouns and verbs as lemmas, except "left", which is a side."""
    return tuple(
        f"{word.lemma_ if word.pos_ in ('NOUN', 'VERB') and word.text != 'left' else word.text}/{word.pos_}"
        for word in words
        if word.text.isalpha()
    )


def tokenise(caption: str) -> tuple[str, ...]:
    """Tokens of a caption; hyphens are removed first, which joins compounds.

    Raises:
        DataError: the caption has no word, or spaCy or its model is not installed.
    """
    found = tokens(_model()(caption.replace("-", "")))
    if not found:
        raise DataError(f"caption {caption!r} has no alphabetic word, so the evaluator cannot read it.")
    return found


def installed() -> bool:
    """Whether captions can be tokenised, without importing anything."""
    return all(find_spec(name) is not None for name in ("spacy", MODEL))


def identity() -> str:
    """Name and version of the tokeniser.

    Raises:
        DataError: spaCy or its model is not installed.
    """
    model = _model()
    return f"spacy {version('spacy')}, {MODEL} {model.meta['version']}"


@cache
def _model() -> Any:
    try:
        import spacy

        return spacy.load(MODEL)
    except (ImportError, OSError) as error:
        absent = "spaCy" if isinstance(error, ImportError) else f"spaCy's model {MODEL}"
        raise DataError(f"Captions without tokens need {absent}, which is not installed. {_REMEDY}") from error
