"""Sentences from a small grammar: templates of each kind, synonyms, roles and parameters.

Notation of a template: ``[walks|goes]`` is a choice; ``{speed}`` is a slot, filled with a phrase for the parameter's
value (:data:`PHRASES`); ``{A}`` and ``{B}`` name initiator and other for the first time, ``{a}`` and ``{b}`` again;
``turn/NOUN`` fixes the part of speech of an ambiguous word. Sides appear as plain words only (left, right, clockwise,
counterclockwise), each from the point of view of the person concerned, so that mirroring only exchanges these words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from intermamba.data.synthetic.kinds.kind import Kind
from intermamba.data.synthetic.lexicon import tag
from intermamba.data.synthetic.paraphrases import SEEN, UNSEEN, UNSEEN_PHRASES, UNSEEN_ROLES

ROLES = (
    ("one person", "the other person", "the first", "the other"),
    ("the first person", "the second person", "the first", "the second"),
    ("a person", "another person", "the first", "the other"),
    ("someone", "a partner", "the first", "the partner"),
    ("one of the two", "the other one", "the first", "the other"),
    ("a man", "a woman", "the man", "the woman"),
    ("a girl", "a boy", "the girl", "the boy"),
    ("one friend", "the other friend", "the first", "the other"),
    ("a dancer", "a second dancer", "the first", "the second"),
)
"""Initiator and other, when first named and later."""

OPENINGS = ("", "", "", "", "in this scene, ", "here, ")
"""Optional beginnings of a sentence."""

DEFINITE = "the first person"
"""Always the initiator; the other names go by order of mention."""

Phrases = dict[str, tuple[str, ...]]

_SIDES: Phrases = {"left": ("left",), "right": ("right",)}
_HANDS: Phrases = {"left": ("the left hand",), "right": ("the right hand",), "both": ("both hands",)}
_ARMS: Phrases = {"left": ("the left arm",), "right": ("the right arm",), "both": ("both arms",)}

PHRASES: dict[str, Phrases] = {
    "amount": {"quarter": ("a quarter", "one quarter"), "half": ("half", "one half")},
    "arm": _ARMS,
    "arms": _ARMS,
    "block": _SIDES,
    "count": {
        "once": ("once", "one time", "a single time"),
        "twice": ("twice", "two times"),
        "three times": ("three times", "three times in a row"),
    },
    "depth": {"slightly": ("slightly", "a little"), "deeply": ("deeply", "far down")},
    "depth_adjective": {"slightly": ("a slight", "a small"), "deeply": ("a deep",)},
    "direction": {"clockwise": ("clockwise",), "counterclockwise": ("counterclockwise",)},
    "distance": {"close": ("close by", "very near"), "far": ("at some distance", "a few steps/NOUN away")},
    "dodge": {"back": ("backward", "to the back"), "left": ("to the left",), "right": ("to the right",)},
    "duration": {"brief": ("briefly", "for a moment"), "long": ("for a long time", "for a while")},
    "ear": _SIDES,
    "end": {"wins": ("{a} wins", "{a} pulls {b} off balance"), "draw": ("neither wins", "nobody wins")},
    "end_mine": {"wins": ("wins",), "draw": ("does not win",)},
    "end_other": {"wins": ("loses",), "draw": ("does not lose",)},
    "facing": {
        "inwards": ("facing the centre", "always looking inwards"),
        "forwards": ("facing forwards", "always looking ahead"),
    },
    "farewell": {
        "left": ("waves the left hand", "waves goodbye with the left hand"),
        "right": ("waves the right hand", "waves goodbye with the right hand"),
        "still": ("stands still", "does not move"),
    },
    "first": _SIDES,
    "from": {"front": ("the front",), "left": ("the left",), "right": ("the right",), "behind": ("behind",)},
    "greeting": {"nod": ("nod to each other",), "raise": ("raise a hand to greet", "lift a hand to greet")},
    "hand": _SIDES,
    "hands": _HANDS,
    "height": {"high": ("high",), "low": ("low",)},
    "knee": _SIDES,
    "leg": _SIDES,
    "level": {"high": ("high in the air", "above the shoulders"), "low": ("low down", "below the chest")},
    "reply": {
        "bows": ("bows back", "bows in return"),
        "waves": ("waves back", "waves in return"),
        "salutes": ("salutes back", "salutes in return"),
        "watches": ("stands still", "only watches"),
        "looks": ("looks there", "turns the head that way"),
        "ignores": ("looks at the floor", "looks down instead"),
        "nods": ("nods twice", "nods two times"),
        "covers": ("covers the mouth", "puts a hand over the mouth"),
        "takes": ("takes the hand", "accepts the hand"),
        "mouth": ("covers the mouth with both hands", "holds both hands before the mouth"),
    },
    "shoulder": _SIDES,
    "side": _SIDES,
    "speed": {
        "slowly": ("slowly", "at a slow pace", "without hurry", "calmly"),
        "quickly": ("quickly", "at a fast pace", "rapidly", "in haste"),
    },
    "standing": {"front": ("in front of",), "behind": ("behind",)},
    "strength": {"gently": ("gently", "softly"), "hard": ("hard", "with force")},
    "stumble": {
        "gently": ("takes a small step/NOUN back", "steps back a little"),
        "hard": ("stumbles far back", "staggers back several steps/NOUN"),
    },
    "taking": _SIDES,
    "towards": {"left": ("to the left",), "right": ("to the right",), "up": ("up", "upwards")},
    "turn": _SIDES,
    "turns": {"half": ("half a turn/NOUN",), "full": ("a full turn/NOUN", "a whole turn/NOUN")},
    "way": {
        "straight": ("straight ahead", "in a straight line"),
        "left": ("in a curve to the left", "along a bend/NOUN to the left"),
        "right": ("in a curve to the right", "along a bend/NOUN to the right"),
    },
}
"""Phrases of each slot for each value of its parameter."""

DERIVED = {"depth_adjective": "depth", "end_mine": "end", "end_other": "end", "standing": "from", "stumble": "strength"}
"""Slots for a parameter of another name."""

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_TAG = re.compile(r"/[A-Z]+")


@dataclass(frozen=True)
class Sentence:
    """A caption and its tokens, ``word/POS`` with lemmas of nouns and verbs, as in Inter-X's text processing."""

    text: str
    tokens: str
    unseen: bool = False
    """Whether it is in a phrasing that training never shows."""


def describe(
    kind: Kind, parameters: Mapping[str, str], random: np.random.Generator, unseen: bool = False
) -> tuple[Sentence, Sentence, Sentence]:
    """Three different sentences about a pair; two or three of them name every parameter.

    With ``unseen`` one of these is in a phrasing that training never shows.
    """
    loose = int(random.random() < 0.4)
    full = (*kind.captions, *SEEN[kind.name])
    picked = [full[index] for index in random.permutation(len(full))[: 3 - loose]]
    picked += [kind.loose[index] for index in random.permutation(len(kind.loose))[:loose]]
    if unseen:
        others = UNSEEN[kind.name]
        picked[0] = others[int(random.integers(len(others)))]
    order = random.permutation(3)
    sentences = [_render(picked[index], parameters, random, unseen and bool(index == 0)) for index in order]
    return sentences[0], sentences[1], sentences[2]


def describe_alone(kind: Kind, parameters: Mapping[str, str], random: np.random.Generator) -> tuple[str, str]:
    """One sentence about the initiator alone and one about the other alone."""
    first, second = (_render(template, parameters, random).text for template in kind.individual)
    return first, second


def _render(
    template: str, parameters: Mapping[str, str], random: np.random.Generator, unseen: bool = False
) -> Sentence:
    named = UNSEEN_ROLES if unseen else ROLES
    first, second, first_again, second_again = named[random.integers(len(named))]
    if (
        -1 < template.find("{B}") < template.find("{A}") and first != DEFINITE
    ):  # "one person is hugged by the other person"
        first, second, first_again, second_again = second, first, second_again, first_again
    roles = {"A": first, "B": second, "a": first_again, "b": second_again}

    def choose(options: list[str] | tuple[str, ...]) -> str:
        return options[int(random.integers(len(options)))]

    def fill(match: re.Match[str]) -> str:
        slot = match[1]
        if slot in roles:
            return roles[slot]
        value = parameters[DERIVED.get(slot, slot)]
        known = PHRASES[slot][value]
        return choose(UNSEEN_PHRASES.get(slot, {}).get(value, known) if unseen else known)

    marked = choose(OPENINGS) + _CHOICE.sub(lambda match: choose(match[1].split("|")), template)
    while _SLOT.search(marked):  # a phrase may itself name a role
        marked = _SLOT.sub(fill, marked)
    text = _TAG.sub("", marked)
    return Sentence(text[0].upper() + text[1:], tag(marked), unseen)
