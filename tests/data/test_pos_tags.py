"""Captions to `word/POS` tokens by Inter-X's rules, where the owners' tokens are not there."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from data_folders import config_for, to_hdf5, write_interx
from stages import run as run_stage
from torch import Tensor

from evaluators.evaluator import InterXEvaluator
from evaluators.interx import TextMotionMatcher
from intermamba import files, paths
from intermamba.config import InterXMatcherConfig
from intermamba.data import inventory, pos_tags
from intermamba.data.dataset import Batch
from intermamba.data.splits import SplitFile
from intermamba.errors import DataError
from intermamba.text.cache import TextCache

# text, lemma, part of speech, as a tagger would give them
SENTENCE = (
    ("The", "the", "DET"), ("left", "left", "ADJ"), ("person", "person", "NOUN"), ("left", "leave", "VERB"),
    ("waves", "wave", "VERB"), ("2", "2", "NUM"), ("hands", "hand", "NOUN"), ("backandforth", "backandforth", "ADV"),
    (",", ",", "PUNCT"), ("quickly", "quickly", "ADV"), ("it's", "it's", "X"), (".", ".", "PUNCT"),
)  # fmt: skip
# Computed by `process_text` of Inter-X's preprocess/3_text_process.py with these words in place of spaCy's.
OFFICIAL = (
    "The/DET", "left/ADJ", "person/NOUN", "left/VERB", "wave/VERB", "hand/NOUN", "backandforth/ADV", "quickly/ADV",
)  # fmt: skip


class Tagger:
    """A stand-in for spaCy's model, which these tests do not need: every word is a noun and its own lemma."""

    meta = {"version": "0.0"}  # noqa: RUF012

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, caption: str) -> list[SimpleNamespace]:
        self.read.append(caption)
        return [SimpleNamespace(text=word, lemma_=word.lower(), pos_="NOUN") for word in caption.rstrip(".").split()]


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch) -> Tagger:
    found = Tagger()
    monkeypatch.setattr(pos_tags, "_model", lambda: found)
    monkeypatch.setattr(pos_tags, "identity", lambda: "a stand-in")
    return found


@pytest.fixture
def no_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    monkeypatch.setattr(pos_tags, "find_spec", lambda _: None)
    pos_tags._model.cache_clear()


def test_rules_are_the_owners() -> None:
    words = [SimpleNamespace(text=text, lemma_=lemma, pos_=tag) for text, lemma, tag in SENTENCE]
    assert pos_tags.tokens(words) == OFFICIAL


def test_hyphens_are_dropped_first(tagger: Tagger) -> None:
    assert pos_tags.tokenise("They high-five.") == ("they/NOUN", "highfive/NOUN")
    assert tagger.read == ["They highfive."]


def test_a_caption_without_a_word(tagger: Tagger) -> None:
    with pytest.raises(DataError, match=r"caption '123 4' has no alphabetic word"):
        pos_tags.tokenise("123 4")


@pytest.mark.usefixtures("no_spacy")
def test_without_spacy_the_remedy_is_told() -> None:
    for ask in (pos_tags.identity, lambda: pos_tags.tokenise("They wave.")):
        with pytest.raises(DataError, match=r"spaCy, which is not installed.*pip install.*en_core_web_sm.*texts_proc"):
            ask()
    assert not pos_tags.installed()


@pytest.mark.usefixtures("no_spacy")
def test_without_its_model_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise OSError(name)

    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=load))
    with pytest.raises(DataError, match=r"spaCy's model en_core_web_sm, which is not installed.*spacy download"):
        pos_tags.tokenise("They wave.")


class TestRawCaptions:
    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        root = write_interx(tmp_path / "raw")
        for path in (root / "texts_processed").iterdir():
            path.unlink()
        (root / "texts_processed").rmdir()
        return root

    @pytest.mark.usefixtures("tagger")
    @pytest.mark.parametrize("hdf5", [False, True], ids=["parameters", "HDF5"])
    def test_are_tokenised_here(self, root: Path, hdf5: bool) -> None:
        texts = {path: path.read_text() for path in (root / "texts").iterdir()}
        if hdf5:
            to_hdf5(root)
            (root / "texts").mkdir()
            for path, text in texts.items():
                path.write_text(text)
        config = config_for("interx", root)
        run_stage("fetch", config, "interx")
        run_stage("preprocess", config, "interx")
        split = SplitFile(paths.path("split", profile="smoke", dataset="interx", split="test"))
        assert split.captions(0)[1] == "They greet each other."
        assert split.tokens(0)[1] == ("they/NOUN", "greet/NOUN", "each/NOUN", "other/NOUN")
        record = files.read_json(paths.record_of(paths.path("split", profile="smoke", dataset="interx", split="train")))
        assert record["notes"]["tokeniser"] == "a stand-in"
        manifest = files.read_json(paths.path("manifest", profile="smoke", dataset="interx"))
        assert "texts/31.txt" in manifest["files"]

    @pytest.mark.usefixtures("no_spacy")
    def test_without_spacy_nothing_is_written(self, root: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"need spaCy, which is not installed.*texts_processed"):
            run_stage("fetch", config_for("interx", root), "interx")
        assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() and "lock" not in path.name]

    @pytest.mark.usefixtures("tagger")
    def test_a_caption_without_a_word_names_its_file(self, root: Path) -> None:
        (root / "texts/12.txt").write_text("They wave.\n123\n")
        with pytest.raises(DataError, match=r"texts/12\.txt: caption '123' has no alphabetic word"):
            run_stage("fetch", config_for("interx", root), "interx")

    @pytest.mark.usefixtures("no_spacy")
    def test_the_inventory_tells_what_is_needed(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def state(config) -> str:
            return next(entry.status for entry in inventory.entries(config) if "en_core_web_sm" in entry.what)

        config = config_for("interx", root)
        assert state(config) == "missing"
        monkeypatch.setattr(pos_tags, "find_spec", lambda name: name)
        assert state(config) == "present"
        (root / "texts_processed").mkdir()
        assert state(config) == "not requested"
        assert state(config_for("interx", "synthetic")) == "not requested"


class Vectors(TextCache):
    """Words, each an axis of its own, without any caption."""

    def __init__(self, words: dict[str, int]) -> None:
        self.words, self.word_vectors = words, torch.eye(len(words))


@pytest.mark.usefixtures("tagger")
def test_the_evaluator_tokenises_what_comes_without_tokens() -> None:
    sizes = InterXMatcherConfig(movement=8, hidden=8, text_hidden=8, embedding=4, dropout=0.0)
    words = {word: row for row, word in enumerate(("unk", "sos", "eos", "they", "wave", "bow"))}
    evaluator = InterXEvaluator(TextMotionMatcher(sizes, 336, word_width=6), Vectors(words), 4).eval()
    wave, bow = (("they/NOUN", f"{word}/NOUN") for word in ("wave", "bow"))

    def embedded(*given: tuple[str, ...]) -> Tensor:
        captions = ("They wave.", "They bow.")
        return evaluator.embed_text(Batch(torch.zeros(2, 4, 2, 336), torch.tensor([4, 4]), captions, given, ("1", "2")))

    expected = embedded(wave, bow)
    assert not torch.allclose(expected[0], expected[1])
    for given in ((), (wave, ()), ((), ())):
        torch.testing.assert_close(embedded(*given), expected, rtol=0, atol=0)
