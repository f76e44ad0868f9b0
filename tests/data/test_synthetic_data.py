"""Captions, plan and files of the embedded dataset."""

import hashlib
import itertools
import pickle
import re
from collections import Counter

import numpy as np
import pytest
import torch
from counted import Counted
from scipy.spatial.transform import Rotation

from intermamba import rotations
from intermamba.data import HELD_OUT_CLIPS, SYNTHETIC_MARKER, UNSEEN_CAPTIONS
from intermamba.data.synthetic import KINDS, clip, plan, write_interhuman, write_interx
from intermamba.data.synthetic.grammar import DERIVED, PHRASES, describe
from intermamba.data.synthetic.interhuman import IGNORED, columns
from intermamba.data.synthetic.interx import axis_angle
from intermamba.data.synthetic.kinds.kind import MIRRORED, mirrored
from intermamba.data.synthetic.lexicon import _LIKE, DIMENSIONS, tag, vector, vocabulary
from intermamba.data.synthetic.paraphrases import SEEN, UNSEEN, UNSEEN_PHRASES
from intermamba.errors import ConfigError, DataError
from intermamba.skeleton import INDEX

SIZES = {"train": 35, "val": 6, "test": 12, "seconds": (1.5, 2.1), "seed": 4}


@pytest.fixture(scope="module")
def interhuman(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "interhuman"
    write_interhuman(folder, **SIZES)
    return folder


@pytest.fixture(scope="module")
def interx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "interx"
    write_interx(folder, **SIZES)
    return folder


def hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# ---- captions --------------------------------------------------------------------------------------------------------


def slots(template):
    """Names of the parameters a template tells."""
    return {DERIVED.get(slot, slot) for slot in re.findall(r"\{(\w+)\}", template)} - {"A", "B", "a", "b"}


def test_there_are_many_kinds_and_every_template_is_sound():
    assert len(KINDS) >= 22
    for kind in KINDS.values():
        assert len(kind.captions) >= 3
        for template in kind.captions:
            assert slots(template) == set(kind.parameters), (kind.name, template)
        for template in (*SEEN[kind.name], *UNSEEN[kind.name]):
            assert slots(template) == set(kind.parameters), (kind.name, template)
        for template in (*kind.captions, *kind.loose, *kind.individual):
            assert slots(template) <= set(kind.parameters)
            for slot in re.findall(r"\{(\w+)\}", template):
                if slot not in "ABab":
                    assert set(kind.parameters[DERIVED.get(slot, slot)]) <= set(PHRASES[slot]), (kind.name, slot)


def told(caption, kind, parameters):
    """Parameters whose phrase occurs in a caption."""
    text = caption.lower()
    names = set()
    for slot, phrases in PHRASES.items():
        name = DERIVED.get(slot, slot)
        if name in parameters and parameters[name] in phrases:
            value = parameters[name]
            known = (*phrases[value], *UNSEEN_PHRASES.get(slot, {}).get(value, ()))
            plain = [re.sub(r"/[A-Z]+", "", phrase).replace("{a}", "").replace("{b}", "") for phrase in known]
            if any(all(word in text for word in phrase.split()) for phrase in plain):
                names.add(name)
    return names


@pytest.fixture
def motionless(monkeypatch):
    """Clips without their motion, on which no word depends."""
    place = "intermamba.data.synthetic.choreography._sample"
    monkeypatch.setattr(place, lambda _, time: (np.zeros((len(time), 2, 55, 3, 3)), np.zeros((len(time), 2, 3))))


@pytest.mark.usefixtures("motionless")
@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_captions_are_distinct_and_tell_the_parameters(kind, unseen):
    for seed in range(6):
        made = clip(kind, seed, 0.5, 4, unseen=unseen)
        assert sum(made.unseen) == len(made.unseen_captions) == unseen
        assert len(set(made.captions)) == 3
        complete = [
            caption for caption in made.captions if told(caption, kind, made.parameters) == set(made.parameters)
        ]
        assert len(complete) >= 2, (made.parameters, made.captions)
        for caption, tokens in zip(made.captions, made.tokens, strict=True):
            assert caption[0].isupper()
            assert caption.endswith(".")
            assert "{" not in caption
            assert "#" not in caption
            words = [token.split("/") for token in tokens.split(" ")]
            assert len(words) <= 33  # with sos and eos they fit into the 35 of Inter-X's loader
            assert len(words) == len(re.findall(r"[a-z]+", re.sub(r"'s\b", "", caption.lower())))
            assert all(word.isalpha() and word.islower() and part.isupper() for word, part in words)
        assert len(made.individual) == 2


@pytest.mark.usefixtures("motionless")
@pytest.mark.parametrize("kind", KINDS)
def test_sides_survive_the_mirror_exchange(kind):
    """Exchanging the plain words gives the captions of the mirrored parameters: sides hide in no other word."""

    def exchange(text):
        return re.sub(r"\b(left|right|clockwise|counterclockwise)\b", lambda match: MIRRORED[match[0]], text)

    for seed in range(2):
        made = clip(kind, seed, 0.5, 4, unseen=True)
        image = {name: MIRRORED.get(value, value) for name, value in made.parameters.items()}
        other = clip(kind, seed, 0.5, 4, image, unseen=True)
        assert tuple(map(exchange, made.captions)) == other.captions
        assert "left/VERB" not in " ".join(made.tokens)


def test_unseen_phrasings_are_told_in_test_captions_alone(interhuman, interx):
    """Their words are partly new, and no training caption is one of them."""
    for folder, captions, lists in ((interhuman, "annots", "split"), (interx, "texts", "splits")):
        said = {
            split: {
                line
                for name in (folder / lists / f"{split}.txt").read_text().split()
                for line in (folder / captions / f"{name}.txt").read_text().splitlines()
            }
            for split in ("train", "val", "test")
        }
        unseen = set((folder / UNSEEN_CAPTIONS).read_text().splitlines())
        assert unseen <= said["test"]
        assert len(unseen) == SIZES["test"]  # one of the three of each clip
        held_out = (folder / HELD_OUT_CLIPS).read_text().split()
        assert set(held_out) <= set((folder / lists / "test.txt").read_text().split())
        assert 0 < len(held_out) < SIZES["test"]
        assert not unseen & (said["train"] | said["val"])
    words = {True: set(), False: set()}
    random = np.random.default_rng(0)
    for kind in KINDS.values():
        for _ in range(20):
            values = kind.combinations[random.integers(len(kind.combinations))]
            for sentence in describe(kind, dict(zip(kind.parameters, values, strict=True)), random, unseen=True):
                words[sentence.unseen] |= set(re.findall(r"[a-z]+", sentence.text.lower()))
    assert len(words[True] - words[False]) > 100


def test_words_of_test_captions_are_near_those_of_training_that_are_used_like_them():
    known = set(vocabulary())
    for pair in _LIKE.split(";"):
        new, like = pair.split()
        assert {new, like} <= known, pair
        cosine = vector(new) @ vector(like) / np.linalg.norm(vector(new)) / np.linalg.norm(vector(like))
        assert cosine > 0.4, pair


def test_tags_are_lemmas():
    assert tag("one person walks to the left") == "one/NUM person/NOUN walk/VERB to/ADP the/DET left/ADJ"
    assert tag("the low kick/NOUN of the other's legs".replace("legs", "leg")).split()[2] == "kick/NOUN"
    with pytest.raises(DataError, match="xylophone"):
        tag("a xylophone")


def test_word_vectors_have_meaning_and_are_portable():
    words = vocabulary()
    assert words[:3] == ["sos", "eos", "unk"]
    assert len(set(words)) == len(words)
    table = np.stack([vector(word) for word in words])
    assert table.shape == (len(words), DIMENSIONS)
    assert 0.3 < table.std() < 0.5

    def cosine(first, second):
        first, second = vector(first), vector(second)
        return first @ second / np.linalg.norm(first) / np.linalg.norm(second)

    assert cosine("walks", "walk") > 0.75
    assert cosine("quickly", "rapidly") > 0.4
    assert abs(cosine("left", "right")) < 0.2
    # From exact integers of a hash: these digits are the same on every machine.
    np.testing.assert_allclose(vector("hug")[:3], PINNED, atol=1e-12)


PINNED = (0.16176822702851734, -0.47438784951304264, -0.2628431215176001)


# ---- plan ------------------------------------------------------------------------------------------------------------


def test_the_kind_alone_gives_most_of_r_precision():
    """What docs/explanation/decisions.md says: knowing only the kind of every clip, with ties broken at random."""
    random = np.random.default_rng(0)
    for seed in (1, 2):
        kinds = np.array([one.kind for one in plan(2000, 64, 160, (1.5, 1.6), seed) if one.split == "test"])
        batches = np.stack([random.permutation(kinds).reshape(5, 32) for _ in range(200)])
        alike = (batches[..., None] == batches[..., None, :]).sum(axis=-1)  # a clip's own kind, itself included
        found = [np.minimum(k / alike, 1.0).mean() for k in (1, 2, 3)]
        np.testing.assert_allclose(found, (0.65, 0.92, 0.99), atol=0.006)
        assert (alike - 1).mean() == pytest.approx(0.9, abs=0.05)


def test_kinds_are_balanced_and_combinations_held_out():
    clips = plan(480, 32, 64, (1.5, 2.1), 1)
    assert Counter(planned.split for planned in clips) == {"train": 480, "val": 32, "test": 64}
    for split in ("train", "val", "test"):
        counts = Counter(planned.kind for planned in clips if planned.split == split)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert len(counts) == len(KINDS)
    seen = {"train": set(), "val": set(), "test": set()}
    for planned in clips:
        seen[planned.split].add((planned.kind, tuple(planned.parameters.values())))
    assert len(seen["test"] - seen["train"]) >= len(KINDS) / 2
    tests = [planned for planned in clips if planned.split == "test"]
    held = [planned for planned in tests if tuple(planned.parameters.values()) in KINDS[planned.kind].held_out]
    assert 0.35 < len(held) / len(tests) < 0.65
    assert held == [planned for planned in clips if planned.held_out]
    for split in ("train", "val"):
        # Mirrored copies, on which InterHuman trains too, show no held-out combination either.
        for kind, values in seen[split]:
            assert not {values, mirrored(values)} & KINDS[kind].held_out
    assert len({planned.seed for planned in clips}) == len(clips)
    assert all(1.5 <= planned.seconds <= 2.1 for planned in clips)


def test_every_held_out_value_is_seen_elsewhere():
    for kind in KINDS.values():
        assert 1 <= len(kind.held_out) <= len(kind.combinations) / 3
        rest = set(kind.combinations) - kind.held_out
        for place, values in enumerate(kind.parameters.values()):
            assert {combination[place] for combination in rest} == set(values)


def test_impossible_plans_are_refused():
    with pytest.raises(ConfigError, match="seconds"):
        plan(1, 1, 1, (2.0, 1.0), 0)
    with pytest.raises(ConfigError, match="0 or more"):
        plan(-1, 1, 1, (1.0, 2.0), 0)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_interhuman_layout(interhuman):
    lists = {name: (interhuman / "split" / f"{name}.txt").read_text().splitlines() for name in ("train", "val", "test")}
    ignored = (interhuman / "split" / "ignore_list.txt").read_text().splitlines()
    assert [len(lists[name]) for name in ("train", "val", "test")] == [35 + IGNORED, 6, 12]
    assert len(ignored) == IGNORED
    assert set(ignored) <= set(lists["train"])
    names = sorted(itertools.chain(*lists.values()))
    assert len(set(names)) == len(names)
    assert {path.name for path in interhuman.iterdir()} == {
        "annots",
        "annots_individual",
        "motions_processed",
        "split",
        SYNTHETIC_MARKER,
        UNSEEN_CAPTIONS,
        HELD_OUT_CLIPS,
    }
    folders = {"annots": "txt"}
    for person in ("person1", "person2"):
        folders |= {f"annots_individual/{person}": "txt", f"motions_processed/{person}": "npy"}
    for folder, ending in folders.items():
        assert sorted(path.name for path in (interhuman / folder).iterdir()) == [f"{name}.{ending}" for name in names]
    for name in names:
        first, second = (
            np.load(interhuman / "motions_processed" / f"person{person}" / f"{name}.npy") for person in (1, 2)
        )
        assert first.shape == second.shape
        assert first.shape[1] == 492
        assert first.dtype == np.float32
        assert 45 <= len(first) <= 63
        assert 0.0 <= min(first[:, 2:186:3].min(), second[:, 2:186:3].min()) < 0.05  # z is up, feet on the floor
        assert len((interhuman / "annots" / f"{name}.txt").read_text().splitlines()) == 3
        for person in ("person1", "person2"):
            assert len((interhuman / "annots_individual" / person / f"{name}.txt").read_text().splitlines()) == 1


def test_interhuman_columns_follow_the_conventions():
    made = clip("handshake", 2, 1.5, 30)
    raw = columns(made)
    places = raw[:, :, :66].reshape(len(raw), 2, 22, 3)
    loaded = np.stack([places[..., 0], places[..., 2], -places[..., 1]], axis=-1)  # what the loader does
    np.testing.assert_allclose(loaded, made.positions()[:, :, :22])
    used = rotations.columns_to_matrix(torch.from_numpy(raw[:, :, 186:312].reshape(len(raw), 2, 21, 6).copy()))
    np.testing.assert_allclose(used.numpy(), made.rotations[:, :, 1:22], atol=1e-9)
    # Joints 22-36 are the left hand, 37-51 the right one, 52-56 and 57-61 the fingertips.
    every = raw[:, :, :186].reshape(len(raw), 2, 62, 3)
    for wrist, members in ((20, [*range(22, 37), *range(52, 57)]), (21, [*range(37, 52), *range(57, 62)])):
        reach = np.linalg.norm(every[:, :, members] - every[:, :, [wrist]], axis=-1)
        assert reach.max() < 0.25


def test_interx_layout(interx):
    assert {path.name for path in interx.iterdir()} == {
        "annots",
        "glove",
        "motions",
        "splits",
        "texts",
        "texts_processed",
        SYNTHETIC_MARKER,
        UNSEEN_CAPTIONS,
        HELD_OUT_CLIPS,
    }
    lists = {name: (interx / "splits" / f"{name}.txt").read_text().split() for name in ("train", "val", "test", "all")}
    assert [len(lists[name]) for name in ("train", "val", "test", "all")] == [35, 6, 12, 53]
    assert sorted(lists["train"] + lists["val"] + lists["test"]) == lists["all"]
    assert all(re.fullmatch(r"G\d{3}T\d{3}A\d{3}R\d{3}", name) for name in lists["all"])
    order = pickle.loads((interx / "annots" / "interaction_order.pkl").read_bytes())
    assert set(order) == set(lists["all"])
    assert set(order.values()) == {0, 1}
    words = pickle.loads((interx / "glove" / "hhi_vab_words.pkl").read_bytes())
    index = pickle.loads((interx / "glove" / "hhi_vab_idx.pkl").read_bytes())
    assert np.load(interx / "glove" / "hhi_vab_data.npy").shape == (len(words), 300)
    assert [index[word] for word in words] == list(range(len(words)))
    for name in lists["all"]:
        people = [np.load(interx / "motions" / name / f"P{person}.npz") for person in (1, 2)]
        frames = len(people[0]["trans"])
        assert 180 <= frames <= 252
        for person in people:
            shapes = {key: person[key].shape for key in person.files}
            assert shapes == {
                "root_orient": (frames, 3), "pose_body": (frames, 21, 3), "pose_lhand": (frames, 15, 3),
                "pose_rhand": (frames, 15, 3), "trans": (frames, 3), "betas": (1, 10), "gender": (),
            }  # fmt: skip
            assert str(person["gender"]) == "neutral"
        captions = (interx / "texts" / f"{name}.txt").read_text().splitlines()
        processed = [line.split("#") for line in (interx / "texts_processed" / f"{name}.txt").read_text().splitlines()]
        assert [fields[0] for fields in processed] == captions
        assert all(fields[2:] == ["0.0", "0.0"] for fields in processed)
        assert all(token.split("/")[0] in index for fields in processed for token in fields[1].split(" "))


def test_interx_motion_and_order(interx):
    """Axis-angles give back the choreographed pose, and the order file names the initiator."""
    for planned in plan(35, 6, 12, (1.5, 2.1), 4)[:6]:
        made = clip(planned.kind, planned.seed, planned.seconds, 120, planned.parameters, variation=0.0)
        action = list(KINDS).index(planned.kind)
        order = pickle.loads((interx / "annots" / "interaction_order.pkl").read_bytes())
        matches = [name for name in order if f"A{action:03d}" in name and order[name] == made.actor]
        stored = {name: np.load(interx / "motions" / name / "P1.npz") for name in matches}
        found = [
            name
            for name, arrays in stored.items()
            if np.allclose(arrays["trans"][0], made.translation[0, 0], atol=1e-6)
        ]
        assert len(found) == 1
        body = rotations.axis_angle_to_matrix(torch.from_numpy(stored[found[0]]["pose_body"]))
        np.testing.assert_allclose(body.numpy(), made.rotations[:, 0, 1:22], atol=1e-5)
        right = rotations.axis_angle_to_matrix(torch.from_numpy(stored[found[0]]["pose_rhand"]))
        first = INDEX["right_index1"]
        np.testing.assert_allclose(right.numpy(), made.rotations[:, 0, first : first + 15], atol=1e-5)


def test_axis_angles_are_scipys():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 5, 3))
    vectors *= (random.uniform(0, np.pi, (40, 5)) / np.linalg.norm(vectors, axis=-1))[..., None]
    vectors[0], vectors[1], vectors[2] = 0.0, [0.0, np.pi, 0.0], vectors[2] * 1e-9
    matrices = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(40, 5, 3, 3)
    np.testing.assert_allclose(axis_angle(matrices), vectors, atol=1e-6)


@pytest.mark.parametrize("write", [write_interhuman, write_interx])
def test_equal_arguments_give_equal_bytes(write, tmp_path):
    sizes = {"train": 3, "val": 1, "test": 2, "seconds": (0.6, 0.8)}
    counted = Counted()
    for folder, seed in (("one", 1), ("two", 1), ("other", 2)):
        write(tmp_path / folder, **sizes, seed=seed, progress=counted)
    assert sum(counted.steps) == sum(total for total, _, _ in counted.parts)
    assert sum(counted.steps) in (3 * 6, 3 * (6 + IGNORED))
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert hashes(tmp_path / "one") != hashes(tmp_path / "other")


@pytest.mark.parametrize("write", [write_interhuman, write_interx])
def test_a_stopped_run_leaves_the_old_folder_alone(write, tmp_path):
    folder = tmp_path / "data"
    sizes = {"train": 2, "val": 1, "test": 1, "seconds": (0.6, 0.8)}
    write(folder, **sizes, seed=1)
    before = hashes(folder)

    class Stop(Counted):
        def __call__(self, done=1, note=None):  # noqa: ARG002
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(folder, **sizes, seed=2, progress=Stop())
    assert hashes(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    # What a killed run could not tidy up is removed by the next.
    (tmp_path / ".data.part").mkdir()
    (tmp_path / ".data.part" / "half").write_text("written")
    write(folder, **sizes, seed=2)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert hashes(folder) != before
