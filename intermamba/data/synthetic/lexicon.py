"""Words of the captions: part of speech, lemma and a vector each, in place of spaCy and GloVe.

The sets are closed: :func:`tag` refuses a word it does not know, so a new caption cannot slip through untagged.
"""

import hashlib
import re
from functools import cache

import numpy as np
from jaxtyping import Float

from intermamba.errors import DataError

DIMENSIONS = 300
SPREAD = 0.4
"""Standard deviation of a vector's entries, about that of GloVe's."""
SPECIAL = ("sos", "eos", "unk")
"""First words of Inter-X's vocabulary."""

# One verb a line: lemma, then its inflected forms.
_VERBS = """
accept accepts; answer answers; approach approaches approached; attack attacked; avoid avoids; beckon beckons beckoned;
begin beginning; bend bends; block blocks; bow bows; bump bumps bumping; call calls called; chase chases chased chasing;
cheer cheering; circle circles circled; clap claps clapped clapping; come comes coming; copy copies; cover covers;
dance dances dancing; defend defends; dodge dodges dodging; embrace embraces; evade evades; face facing; feel feels;
flee flees; follow follows followed; get gets; give gives given; glance glances glancing; go goes; grab grabs;
grasp grasps; greet greets greeted; guide guides guided; halt halts; hand hands; help helps helped;
hold holds holding held;
hug hugs hugged; join joins; jump jumps; kick kicks; kneel kneels kneeling; lead leads led; lean leans; leave leaves;
lift lifts lifted; listen listens; look looks looking; lose loses; make makes; meet meets; mirror mirrors mirrored;
move moves moving; nod nods; offer offers offered; parry parries; pass passes passed; pat pats patted; play plays;
point points pointing; propose proposes; pull pulls pulled pulling; punch punches; push pushes pushed; put puts;
raise raises raised raising; receive receives; run runs; salute salutes saluted; see sees; shake shakes shaking;
shove shoves; show shows shown; sit sits sitting; slap slaps; spin spins; stagger staggers; stand stands standing;
step steps stepping; stop stops; stretch stretches stretched; strike strikes; stumble stumbles; sway sways swaying;
take takes; tap taps; tell tells; throw throws; tug tugs; turn turns turned turning; wait waits; walk walks walking;
watch watches; wave waves waving; whisper whispers whispered; win wins; wrestle wrestles
"""
_NOUNS = """
air; arm arms; back; balance; bend; blow blows; body; bow; centre; chest; circle; curve; dance; direction directions;
distance; ear; finger; fist fists; floor; foot feet; force; forehead; front; game; goodbye; ground; half; hand hands;
handshake; head; height; hurry; joy; kick; knee; leg; line; moment; mouth; move; object; pace; palm palms; partner;
person people; place; quarter; return; salute; secret; shoulder shoulders; side; step steps; time times; turn; way;
whisper
"""
_OTHERS = {
    "DET": "a an the each every both half another",
    "ADP": "above after against along around as at before behind below by for from in into like of off on over past to "
    "towards under up while with without because",
    "NUM": "one two three five first second",
    "AUX": "is are being does",
    "PRON": "who which that it its them they their those something someone nobody neither other there",
    "ADJ": "close deep far few fast full hard high left little long low near opposite right same several short single "
    "slight slow small some straight whole",
    "ADV": "ahead always away back backward briefly clockwise closer counterclockwise deeply down forth forward "
    "forwards gently instead inwards once only out quickly rapidly slightly slowly so softly still then together "
    "twice upwards very when",
    "CCONJ": "and",
    "PART": "not",
}

# Words that mean nearly the same share a part of their vectors, as they would in vectors learnt from text.
_SYNONYMS = """
walk step go move stroll; quickly rapidly fast; slowly slow; hug embrace; push shove; run chase flee; dodge evade avoid;
strike punch slap; block parry defend; guide lead; grab grasp take hold; raise lift; glance look watch see;
once single one; twice two; forward forwards ahead; back backward behind; stop halt stand;
person someone partner people; pat tap; spin turn; stumble stagger; pull tug; briefly moment; offer give;
hand palm fist; slightly little small slight; up upwards above; down low below
"""


def _entries(text: str) -> dict[str, str]:
    """Lemma of each form in lines of ``lemma form form; ...``."""
    forms = {}
    for group in text.replace("\n", " ").split(";"):
        lemma, *others = group.split()
        forms.update(dict.fromkeys((lemma, *others), lemma))
    return forms


@cache
def _lemmas() -> dict[str, dict[str, str]]:
    return {"VERB": _entries(_VERBS), "NOUN": _entries(_NOUNS)}


@cache
def _parts() -> dict[str, str]:
    """Usual part of speech of each word; rarer ones are marked in the templates."""
    parts = {word: part for part, words in _OTHERS.items() for word in words.split()}
    nouns = dict.fromkeys(_lemmas()["NOUN"], "NOUN")
    verbs = dict.fromkeys(_lemmas()["VERB"], "VERB")
    # These are nouns unless marked, although they could be verbs; other doubtful words are verbs unless marked.
    firmly = dict.fromkeys(("hand", "hands", "face", "circle", "blows", "return", "palms", "point"), "NOUN")
    return nouns | verbs | parts | {word: part for word, part in firmly.items() if word in nouns}


def tag(marked: str) -> str:
    """Tokens of a caption as ``word/POS`` separated by blanks: lower case, nouns and verbs as lemmas.

    ``marked`` is a caption before its first letter is made a capital; it may hold explicit parts (``turn/NOUN``). As in
    Inter-X's processing, hyphens vanish, words that are not alphabetic are dropped and ``left`` is never ``leave``.

    Raises:
        DataError: a word is not in the lexicon.
    """
    tokens = []
    for word, part in re.findall(r"([a-z]+)(?:/([A-Z]+))?", marked.replace("-", "")):
        if word == "s":  # of a possessive
            continue
        part = part or _parts().get(word, "")
        if not part:
            raise DataError(
                f"{word!r} in the caption {marked!r} is not in the lexicon; add it to synthetic/lexicon.py."
            )
        tokens.append(f"{_lemmas().get(part, {}).get(word, word)}/{part}")
    return " ".join(tokens)


def vocabulary() -> list[str]:
    """Every word and lemma, sorted, after the special ones."""
    words = set(_parts()) | {lemma for lemmas in _lemmas().values() for lemma in lemmas.values()}
    return [*SPECIAL, *sorted(words)]


def vector(word: str) -> Float[np.ndarray, " dimensions"]:
    """Seeded random vector of a word, the same on every machine; forms and synonyms of a word lie near each other."""
    lemma = next((lemmas[word] for lemmas in _lemmas().values() if word in lemmas), word)
    meaning = next((group for group in _SYNONYMS.split(";") if lemma in group.split() or word in group.split()), lemma)
    parts = (0.55, _noise("meaning " + meaning)), (0.3, _noise("lemma " + lemma)), (0.15, _noise("word " + word))
    return SPREAD * sum((np.sqrt(share) * noise for share, noise in parts), np.zeros(DIMENSIONS))


def _noise(text: str) -> Float[np.ndarray, " dimensions"]:
    """Nearly normal numbers from a hash (Irwin-Hall: sums of eight uniform bytes); exact integers, so portable."""
    octets = np.frombuffer(hashlib.shake_256(text.encode()).digest(8 * DIMENSIONS), np.uint8).reshape(DIMENSIONS, 8)
    return (octets.sum(axis=1, dtype=np.int64) - 8 * 127.5) / np.sqrt(8 * (256**2 - 1) / 12)
