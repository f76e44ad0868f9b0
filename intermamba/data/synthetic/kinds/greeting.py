"""Greetings: bowing, shaking hands, hugging, waving and the like."""

import math

from intermamba.data.synthetic.kinds.kind import Kind
from intermamba.data.synthetic.performer import SIDES, SIGNS, Performer, Side, Target
from intermamba.data.synthetic.stage import (
    OTHER,
    Stage,
    constant,
    cycles,
    mixed,
    on,
    pulse,
    side,
    sides,
    times,
    wave,
)

_SPEED = ("slowly", "quickly")
_SIDE = ("left", "right")
_LIMB = ("left", "right", "both")
_COUNT = ("once", "twice", "three times")


def _bow(stage: Stage) -> None:
    stage.face(stage.vary(1.45))
    depth = stage.vary({"slightly": 0.5, "deeply": 1.25}[stage["depth"]])
    returns = stage["reply"] == "bows"
    start, end = stage.span(0.06, 0.7 if returns else 0.9)
    stage.a.add("bend", cycles(start, end, stage.count, depth))
    if returns:
        stage.b.add("bend", cycles(end - 0.14, 0.98, 1, depth))


BOW = Kind(
    "bow",
    {"count": ("once", "twice"), "depth": ("slightly", "deeply"), "reply": ("bows", "watches")},
    _bow,
    (
        "{A} bows {depth} {count} to {B}, who {reply}.",
        "facing {B}, {A} bends forward {depth} {count}; {b} {reply}.",
        "{A} greets {B} with {depth_adjective} bow/NOUN {count}, and {b} {reply}.",
        "{B} is greeted by {A}, who bows {depth} {count}; then {b} {reply}.",
    ),
    ("{A} bows {depth} to {B}.", "{B} {reply} as {A} bows."),
    ("the person bows {depth} {count} to someone.", "the person sees someone bow and {reply}."),
)


def _handshake(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.74, 0.04))
    start, end = stage.span(0.05)
    met = start + 0.3 * (end - start)
    loosed = end - 0.14 * (end - start)
    shake = cycles(met, loosed, stage.count, stage.vary(0.13))
    point = stage.vary(1.0, 0.03)
    hand = side(stage["hand"])
    for who, gap, late in ((a, 0.012, 0.0), (b, -0.012, 0.05)):
        weight = pulse(start + late, met, loosed, min(end + 0.12, 1.0))
        who.reach(hand, weight, stage.between(point, gap=gap, shake=shake), twist=0.0, curl=0.5)
        who.add("bend", times(weight, 0.16))
        who.add("twist", times(weight, -SIGNS[hand] * 0.2))


HANDSHAKE = Kind(
    "handshake",
    {"hand": _SIDE, "count": _COUNT, "speed": _SPEED},
    _handshake,
    (
        "{A} and {B} shake {hand} hands {speed}, moving them up and down {count}.",
        "{A} offers the {hand} hand to {B} and they shake hands {count} {speed}.",
        "two people greet each other with a handshake of the {hand} hands, shaking {count} {speed}.",
        "{B} takes the {hand} hand of {A} and they shake {count} {speed}.",
    ),
    ("{A} shakes hands with {B}.", "two people shake {hand} hands."),
    (
        "the person offers the {hand} hand and shakes hands {count} {speed}.",
        "the person takes the offered hand with the {hand} hand and shakes it {count} {speed}.",
    ),
)


def _hug(stage: Stage) -> None:
    a, b = stage.a, stage.b
    far, close = stage.vary(0.95) * stage.size, 0.3 * stage.size
    a.place(0.0, 0.0, 0.0)
    b.place(0.05, far, math.pi)
    long = stage["duration"] == "long"
    met, parted = (0.42, 0.97) if long else (0.4, 0.62)
    a.walk(0.04, met, (-0.03, far - close, 0.0))
    arms = sides(stage["arms"])
    patting = cycles(met + 0.03, parted, 3)
    for who, other, late in ((a, b, 0.0), (b, a, 0.06)):
        for hand in arms if who is a else SIDES:
            sign = SIGNS[hand]
            # The left arm goes over the other's shoulder, the right arm under the other's arm: they do not cross.
            height = 0.12 if hand == "left" else -0.1
            weight = pulse(0.16 + late, met + late, parted, parted + 0.3)
            back = on(other, "spine3", (-sign * 0.05, height, -0.11))
            lifted = on(other, "spine3", (-sign * 0.05, height, -0.15))
            touch = mixed(back, lifted, patting) if who is a else back
            who.reach(hand, weight, touch, twist=0.5, curl=0.1, pole=(0.9, -0.3 if height > 0 else -0.7, 0.1))
        hold = pulse(0.2, met, parted, parted + 0.3)
        who.add("bend", times(hold, 0.12))
        who.add("tilt", times(hold, 0.1))
        who.add("look", times(hold, 0.35))
        who.add("gaze", times(hold, -0.9))
    if not long:
        a.walk(parted + 0.06, 1.02, (-0.03, far - 0.75 * stage.size, 0.0))


HUG = Kind(
    "hug",
    {"arms": _LIMB, "duration": ("brief", "long")},
    _hug,
    (
        "{A} walks up to {B} and hugs {b} with {arms} {duration}.",
        "{B} is hugged {duration} by {A} with {arms}.",
        "{A} puts {arms} around {B} and they embrace {duration}.",
        "stepping closer, {A} embraces {B} {duration} with {arms}.",
    ),
    ("two people hug each other.", "{A} hugs {B} {duration}."),
    (
        "the person steps closer and hugs someone with {arms} {duration}.",
        "the person is hugged {duration} and puts both arms around the other.",
    ),
)


def _high_five(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary({"high": 0.82, "low": 0.66}[stage["level"]], 0.04))
    count = stage.count
    start, end = stage.span(0.05, 0.92)
    height = {"high": stage.vary(1.62, 0.02), "low": stage.vary(0.98, 0.02)}[stage["level"]]
    hit = start + 0.34 * (end - start)
    done = hit + 0.32 * (count - 1) + 0.02
    for who, sign_gap, late in ((a, 0.012, 0.0), (b, -0.012, 0.05)):
        for hand in sides(stage["hands"]):
            mine = hand if who is a else OTHER[hand]
            if stage["hands"] != "both":
                mine, aside = hand, 0.0
            else:
                aside = SIGNS[hand] * 0.16
            meet = stage.between(height, aside=aside, gap=sign_gap)
            back = stage.between(height - 0.03, aside=aside, gap=16 * sign_gap)
            drawn = cycles(hit + 0.02, done, count - 1) if count > 1 else constant(0.0)
            who.reach(mine, pulse(start + late, hit, done, done + 0.26), mixed(meet, back, drawn), twist=1.5, curl=0.0)


HIGH_FIVE = Kind(
    "high five",
    {"hands": _LIMB, "count": ("once", "twice"), "level": ("high", "low")},
    _high_five,
    (
        "{A} and {B} give each other a high five with {hands} {count}, {level}.",
        "{A} raises {hands} and slaps palms with {B} {count} {level}.",
        "two people slap palms {count} {level}, both with {hands}.",
        "{B} meets the high five of {A} with {hands}, {count} and {level}.",
    ),
    ("two people slap palms.", "{A} gives {B} a high five with {hands}."),
    (
        "the person slaps palms with someone {count} {level}, with {hands}.",
        "the person meets the palm of someone {count} {level}, with {hands}.",
    ),
)


def _wave(stage: Stage) -> None:
    stage.face(stage.vary(1.6))
    answers = stage["reply"] == "waves"
    hand = side(stage["hand"])
    wave(stage, stage.a, hand, 0.02, 0.98, stage.count)
    if answers:
        wave(stage, stage.b, hand, 0.16, 1.14, stage.count)


WAVE = Kind(
    "wave",
    {"hand": _SIDE, "count": _COUNT, "reply": ("waves", "watches")},
    _wave,
    (
        "{A} waves the {hand} hand {count} at {B}, who {reply}.",
        "{A} raises the {hand} hand and waves {count}; {B} {reply}.",
        "with the {hand} hand, {A} greets {B} by waving {count}, and {b} {reply}.",
        "{B} {reply} when {A} waves {count} with the {hand} hand.",
    ),
    ("{A} waves at {B}.", "{A} waves {count} and {B} {reply}."),
    ("the person waves the {hand} hand {count} at someone.", "the person sees someone wave and {reply}."),
)


def _salute(stage: Stage) -> None:
    stage.face(stage.vary(1.5))
    start, end = stage.span(0.04, 0.94 if stage["speed"] == "slowly" else 0.66)
    hand = side(stage["hand"])
    rise = (0.42 if stage["speed"] == "slowly" else 0.38) * (end - start)
    late = 0.06 if stage["speed"] == "slowly" else 0.3
    for who, delay in ((stage.a, 0.0), (stage.b, late)):
        if who is stage.a or stage["reply"] == "salutes":
            begin, finish = start + delay, min(end + delay, 1.0)
            held = pulse(begin, begin + rise, end + delay - rise, finish)
            who.reach(hand, held, _brow(who, hand), twist=1.3, curl=0.0, pole=(1.0, -0.1, 0.1))


def _brow(who: Performer, hand: Side) -> Target:
    return on(who, "head", (SIGNS[hand] * 0.12, 0.1, 0.09))


SALUTE = Kind(
    "salute",
    {"hand": _SIDE, "speed": _SPEED, "reply": ("salutes", "watches")},
    _salute,
    (
        "{A} salutes {B} {speed} with the {hand} hand, and {b} {reply}.",
        "{A} lifts the {hand} hand {speed} to the forehead to salute; {B} {reply}.",
        "{B} is saluted {speed} by {A} with the {hand} hand and {reply}.",
        "a salute/NOUN with the {hand} hand is given {speed} by {A}; {B} {reply}.",
    ),
    ("{A} salutes {B}.", "{B} {reply} as {A} salutes with the {hand} hand."),
    ("the person salutes {speed} with the {hand} hand.", "the person sees someone salute and {reply}."),
)


def _fist_bump(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.84, 0.04))
    start, end = stage.span(0.05)
    count, hand = stage.count, side(stage["hand"])
    hit = start + 0.32 * (end - start)
    done = hit + 0.48 * (end - start) * (count - 1) / 2 + 0.02
    drawn = cycles(hit + 0.01, done - 0.01, count - 1) if count > 1 else constant(0.0)
    for who, gap, late in ((a, 0.03, 0.0), (b, -0.03, 0.05)):
        meet, back = stage.between(1.18, gap=gap), stage.between(1.16, gap=5 * gap)
        who.reach(
            hand, pulse(start + late, hit, done, min(done + 0.24, 1.0)), mixed(meet, back, drawn), twist=1.3, curl=1.25
        )


FIST_BUMP = Kind(
    "fist bump",
    {"hand": _SIDE, "count": _COUNT, "speed": _SPEED},
    _fist_bump,
    (
        "{A} and {B} bump {hand} fists {count} {speed}.",
        "{A} stretches out the {hand} fist and {B} bumps it {count} {speed} with the same hand.",
        "two people greet each other by bumping their {hand} fists {count} {speed}.",
        "the {hand} fists of {A} and {B} meet {count} {speed}.",
    ),
    ("two people bump fists.", "{A} and {B} bump fists {count}."),
    (
        "the person bumps the {hand} fist {speed} against the fist of someone {count}.",
        "the person answers with the {hand} fist and bumps {speed} {count}.",
    ),
)


def _pat_shoulder(stage: Stage) -> None:
    a, b = stage.a, stage.b
    hand, front = side(stage["hand"]), stage["from"] == "front"
    sign = SIGNS[hand]
    gap = stage.vary(0.62, 0.04) * stage.size
    a.place(0.0, 0.0, 0.0)
    b.place(0.0, gap, math.pi if front else 0.0)
    shoulder = side(stage["hand"] if not front else OTHER[hand])
    touch = on(b, f"{shoulder}_shoulder", (0.0, 0.07, 0.0))
    lifted = on(b, f"{shoulder}_shoulder", (0.0, 0.22, 0.02 if front else -0.02))
    strokes = cycles(0.22, 0.82, stage.count)
    a.reach(hand, pulse(0.0, 0.3, 0.8, 1.1), mixed(lifted, touch, strokes), twist=1.5, curl=0.1, pole=(0.8, -0.5, -0.1))
    a.add("twist", times(pulse(0.05, 0.25, 0.78, 0.98), -sign * 0.25))
    b.add("bend", cycles(0.22, 0.82, stage.count, 0.06))
    if not front:
        b.add("gaze", constant(-1.0))
        glance = pulse(0.35, 0.6)
        b.add("look", times(glance, SIGNS[shoulder] * 0.9))
        b.add("twist", times(glance, SIGNS[shoulder] * 0.3))


PAT = Kind(
    "pat on the shoulder",
    {"hand": _SIDE, "from": ("front", "behind"), "count": _COUNT},
    _pat_shoulder,
    (
        "{A} pats {B} on the shoulder {count} with the {hand} hand from {from}.",
        "{B} is patted on the shoulder {count} from {from} by {A} with the {hand} hand.",
        "standing {standing} {B}, {A} pats the shoulder of {b} {count} with the {hand} hand.",
        "from {from}, {A} taps the shoulder of {B} {count} with the {hand} hand.",
    ),
    ("{A} pats {B} on the shoulder.", "{B} feels {A} pat the shoulder {count}."),
    (
        "the person pats someone on the shoulder {count} from {from} with the {hand} hand.",
        "the person is patted on the shoulder {count} from {from}.",
    ),
)

KINDS = (BOW, HANDSHAKE, HUG, HIGH_FIVE, WAVE, SALUTE, FIST_BUMP, PAT)
