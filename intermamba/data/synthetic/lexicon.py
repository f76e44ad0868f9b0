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
watch watches; wave waves waving; whisper whispers whispered; win wins; wrestle wrestles;
agree agrees; ask asks; box boxes; bring brings; celebrate celebrates; clasp clasps clasping; collect collects;
comfort comforts; confide confides; cover covering; cross crosses; cuddle cuddles; deliver delivers; depart departs;
drag drags; draw draws; drop drops; duck ducks; escape escapes; escort escorts; extend extends extended;
gesture gestures; grip grips gripping; groove grooves; head heading; hoist hoists; hop hops; imitate imitates;
incline inclining; indicate indicates; invite inviting; jab jabs; jostle jostled; keep keeping; knock knocks;
leap leaps; lend lends; marry marries; murmur murmurs; orbit orbits; pause pauses; pay pays; peek peeks peeking;
pirouette pirouettes; present presented; pump pumping; rap raps; reassure reassures; reel reels; remain remains;
rest resting; rise rises; rock rocks rocking; say says; seal seals; shield shields; signal signals; smack smacks;
sprint sprints; stare stares; stay stays; stoop stoops; stride strides; stroll strolls; struggle struggles;
swing swings swinging; tag tags; tap tapping; thrust thrusts; thrill thrilled; totter totters;
touch touches touching; tow tows; trail trails; twirl twirls; use using; veer veering; ward wards; wrap wraps
"""
_NOUNS = """
air; arm arms; back; balance; bend; blow blows; body; bow; centre; chest; circle; curve; dance; direction directions;
distance; ear; finger; fist fists; floor; foot feet; force; forehead; front; game; goodbye; ground; half; hand hands;
handshake; head; height; hurry; joy; kick; knee; leg; line; moment; mouth; move; object; pace; palm palms; partner;
person people; aid; athlete; attention; bit; boot; boy; brow; cake; celebration; classmate; companion; dancer; deal;
delight; friend; gentleman; girl; gossip; haste; hello; hip; index; instant; item; knuckle knuckles; lady; lap; loop;
man; occasion occasions; opponent; parcel; path paths; patty; pursuit; range; reach; respect; rhythm; row; rush;
scene; soldier; squeeze; standstill; stranger strangers; teenager; torso; welcome; woman; place; quarter; return;
salute; secret; shoulder shoulders; side; step steps; time times; turn; way; whisper
"""
_OTHERS = {
    "DET": "a an the each every both half another all this",
    "ADP": "above after against along around as at before behind below by for from in into like of off on over past to "
    "towards under up while with without because beneath onto round within",
    "NUM": "one two three five first second",
    "AUX": "is are being does",
    "PRON": "who which that it its them they their those something someone nobody neither other there somebody what",
    "ADJ": "close deep far few fast full hard high left little long low near opposite right same several short single "
    "slight slow small some straight whole affectionate former leisurely military motionless upper",
    "ADV": "ahead always away back backward briefly clockwise closer counterclockwise deeply down forth forward "
    "forwards gently instead inwards once only out quickly rapidly slightly slowly so softly still then together "
    "twice upwards very when calmly directly forcefully fro hastily here just lightly overhead quite swiftly tenderly "
    "thrice unhurriedly violently well",
    "CCONJ": "and but",
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

# Words that only test captions use, each with one of the training captions that it is used like.
_LIKE = """
aid help; athlete person; boot foot; box punch; brow forehead; celebrate cheer; clasp hold; classmate person; collect
take; comfort pat; companion person; confide tell; cuddle hug; deliver give; delight joy; depart leave; drag pull;
drop kneel; duck dodge; escape flee; escort lead; extend stretch; forcefully hard; gentleman person; gesture beckon;
gossip secret; grip grasp; groove dance; hastily quickly; hoist lift; hop jump; imitate mirror; incline bend; indicate
point; instant moment; item object; jab punch; jostle push; knock bump; knuckle fist; lady person; lap circle; leap
jump; leisurely slowly; lend offer; lightly gently; loop circle; motionless still; murmur whisper; opponent person;
orbit circle; overhead above; parcel object; pause stop; peek glance; pirouette spin; present give; pump shake; rap
bump; reassure pat; reel stagger; remain stand; rise stand; rock sway; round around; rush quickly; shield block;
signal wave; smack slap; somebody someone; sprint run; squeeze hug; stare look; stoop bow; stranger person; stride
walk; struggle tug; swiftly quickly; tag follow; teenager person; tenderly gently; thrice three; thrust push; torso
body; totter stumble; tow pull; trail follow; twirl spin; unhurriedly slowly; veer turn; violently hard; ward block;
wrap hug
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
    like = dict(pair.split() for pair in _LIKE.split(";")).get(lemma, lemma)
    meaning = next((group for group in _SYNONYMS.split(";") if {like, word} & set(group.split())), like)
    parts = (0.55, _noise("meaning " + meaning)), (0.3, _noise("lemma " + lemma)), (0.15, _noise("word " + word))
    return SPREAD * sum((np.sqrt(share) * noise for share, noise in parts), np.zeros(DIMENSIONS))


def _noise(text: str) -> Float[np.ndarray, " dimensions"]:
    """Nearly normal numbers from a hash (Irwin-Hall: sums of eight uniform bytes); exact integers, so portable."""
    octets = np.frombuffer(hashlib.shake_256(text.encode()).digest(8 * DIMENSIONS), np.uint8).reshape(DIMENSIONS, 8)
    return (octets.sum(axis=1, dtype=np.int64) - 8 * 127.5) / np.sqrt(8 * (256**2 - 1) / 12)
