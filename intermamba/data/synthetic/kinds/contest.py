"""Contests: pushing, kicking, punching and pulling, and what the other does about it."""

from intermamba.data.synthetic.kinds.kind import Kind
from intermamba.data.synthetic.performer import SIDES, SIGNS
from intermamba.data.synthetic.stage import (
    OTHER,
    Stage,
    cycles,
    mixed,
    near,
    on,
    pulse,
    side,
    sides,
    sway,
    times,
    toe_at,
)

_SIDE = ("left", "right")
_LIMB = ("left", "right", "both")


def _push(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.66, 0.03))
    hard = stage["strength"] == "hard"
    touch = stage.vary(0.34, 0.08)
    for hand in sides(stage["hands"]):
        chest = on(b, "spine3", (-SIGNS[hand] * 0.1, 0.08, 0.11))
        drawn = near(a, (SIGNS[hand] * 0.18, 1.2, 0.2))
        a.reach(hand, pulse(0.05, 0.2, 0.55, 0.8), mixed(drawn, chest, pulse(0.2, touch)), twist=1.5, curl=0.05)
    a.add("bend", times(pulse(0.16, touch + 0.06, 0.55, 0.85), 0.3 if hard else 0.18))
    lunge = SIGNS["left" if stage["hands"] != "left" else "right"]
    a.step("left" if lunge > 0 else "right", 0.1, touch, 0.22)
    a.add("surge", times(pulse(0.1, touch, 0.9, 1.3), 0.1))
    b.add("bend", times(pulse(touch, touch + 0.14, touch + 0.25, 0.95), -0.45 if hard else -0.22))
    back = stage.vary(0.95 if hard else 0.4) * stage.size
    yaw = b.stand[2]
    b.walk(touch, min(0.95, touch + (0.55 if hard else 0.32)), (0.0, b.stand[1] + back, yaw))
    if hard:
        for hand in SIDES:
            flung = near(b, (SIGNS[hand] * 0.45, 1.25, 0.25))
            b.reach(hand, pulse(touch, touch + 0.22, 0.75, 0.98), flung, curl=0.05)


PUSH = Kind(
    "push",
    {"hands": _LIMB, "strength": ("gently", "hard")},
    _push,
    (
        "{A} pushes {B} {strength} with {hands}, and {b} {stumble}.",
        "{B} is pushed {strength} by {A} with {hands} and {stumble}.",
        "{A} shoves {B} in the chest {strength} with {hands}; {b} {stumble}.",
        "pushed {strength} with {hands} by {A}, {B} {stumble}.",
    ),
    ("{A} pushes {B}.", "{B} {stumble} after being pushed by {A}."),
    ("the person pushes someone {strength} with {hands}.", "the person is pushed and {stumble}."),
)


def _kick(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(1.12, 0.03))
    leg = side(stage["leg"])
    sign = SIGNS[leg]
    height = {"low": 0.42, "high": 0.86}[stage["height"]]
    hit = stage.vary(0.46, 0.05)
    chambered = toe_at((sign * 0.1, 0.34 + 0.25 * height, 0.12))
    out = toe_at((sign * 0.07, stage.vary(height, 0.04), 0.78))
    extend = pulse(hit - 0.17, hit, hit + 0.05, hit + 0.22)
    a.swing_leg(leg, pulse(hit - 0.36, hit - 0.1, hit + 0.16, hit + 0.42), chambered, 0.3)
    a.swing_leg(leg, extend, out, -0.3)
    a.add("slide", times(pulse(hit - 0.36, hit - 0.15, hit + 0.2, hit + 0.42), -sign * 0.08))
    a.add("bend", times(extend, -0.3))
    for hand in SIDES:
        guard = near(a, (SIGNS[hand] * 0.22, 1.2, 0.25))
        a.reach(hand, pulse(0.02, 0.2, 0.8, 1.0), guard, curl=1.0)
    away = {"back": (0.0, 0.55), "left": (0.55, 0.12), "right": (-0.55, 0.12)}[stage["dodge"]]
    # b faces -z, so b's left is at -x
    x, z, yaw = b.stand
    lead = side(stage["dodge"]) if stage["dodge"] != "back" else b.lead
    b.walk(hit - 0.24, hit + 0.14, (x - away[0] * stage.size, z + away[1] * stage.size, yaw), lead=lead)
    b.add("bend", times(pulse(hit - 0.2, hit, hit + 0.2, hit + 0.45), 0.35 if stage["dodge"] == "back" else 0.15))
    b.add(
        "tilt",
        times(pulse(hit - 0.2, hit, hit + 0.2, hit + 0.45), {"back": 0.0, "left": -0.3, "right": 0.3}[stage["dodge"]]),
    )
    for hand in SIDES:
        b.reach(hand, pulse(hit - 0.2, hit, hit + 0.3, hit + 0.5), near(b, (SIGNS[hand] * 0.3, 1.15, 0.25)), curl=0.3)


KICK = Kind(
    "kick and dodge",
    {"leg": _SIDE, "height": ("low", "high"), "dodge": ("back", "left", "right")},
    _kick,
    (
        "{A} kicks {height} at {B} with the {leg} leg, and {b} dodges {dodge}.",
        "{B} dodges {dodge} when {A} kicks {height} with the {leg} foot.",
        "dodging {dodge}, {B} avoids the {height} kick/NOUN of {A}'s {leg} leg.",
        "{A} throws a {height} kick/NOUN with the {leg} leg, which {B} evades {dodge}.",
    ),
    ("{A} kicks at {B}, who dodges.", "{B} dodges a kick/NOUN from {A} with the {leg} leg."),
    ("the person kicks {height} with the {leg} leg at someone.", "the person dodges {dodge} to avoid a kick/NOUN."),
)


def _punch(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.86, 0.03))
    fist, shield = side(stage["hand"]), side(stage["block"])
    count = stage.count
    begin, end = 0.24, {1: 0.66, 2: 0.84}[count]
    strokes = cycles(begin, end, count)
    for hand in SIDES:
        guard = near(a, (SIGNS[hand] * 0.16, 1.28, 0.26))
        meet = stage.between(1.38, toward=0.6, gap=0.02)
        target = mixed(guard, meet, strokes) if hand == fist else guard
        a.reach(hand, pulse(0.02, begin, 0.86, 1.0), target, twist=0.6, curl=1.25)
    a.add("twist", times(strokes, -SIGNS[fist] * 0.45))
    a.step(OTHER[fist], 0.06, 0.22, 0.2)
    block = mixed(near(b, (SIGNS[shield] * 0.2, 1.3, 0.15)), stage.between(1.38, toward=0.6, gap=-0.02), strokes)
    b.reach(shield, pulse(0.1, begin + 0.08, 0.86, 1.0), block, twist=1.0, curl=0.2, pole=(0.7, -0.8, 0.0))
    b.add("bend", times(strokes, -0.12))
    b.step(OTHER[shield], 0.16, 0.34, -0.2)


PUNCH = Kind(
    "punch and block",
    {"hand": _SIDE, "count": ("once", "twice"), "block": _SIDE},
    _punch,
    (
        "{A} punches {count} with the {hand} fist and {B} blocks with the {block} hand.",
        "{B} blocks with the {block} hand as {A} punches {count} with the {hand} fist.",
        "with the {hand} fist, {A} strikes {count} at {B}, who parries with the {block} hand.",
        "attacked {count} by the {hand} fist of {A}, {B} defends with the {block} hand.",
    ),
    ("{A} punches and {B} blocks.", "{B} parries the blows of {A} with the {block} hand."),
    (
        "the person punches {count} with the {hand} fist.",
        "the person blocks with the {block} hand.",
    ),
)


def _tug(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.82, 0.03))
    count = stage.count
    hold, pull_end = 0.22, 0.72
    swing = sway(hold - 0.02, pull_end, count, stage.vary(0.13))
    wins = stage["end"] == "wins"
    final = pulse(pull_end - 0.06, 0.9)
    for who, sign in ((a, -1.0), (b, 1.0)):
        # positive sway moves both towards a: a leans back while b is drawn ahead
        who.add("surge", times(swing, sign))
        who.add("bend", times(swing, sign * 1.4))
        who.add("drop", times(pulse(0.08, 0.25), 0.07))
        foot = side(stage["hands"] if stage["hands"] != "both" else "right")
        who.step(foot, 0.03, 0.18, 0.2)
        who.step(OTHER[foot], 0.1, 0.24, -0.16)
        for hand in sides(stage["hands"]):
            mine = hand if stage["hands"] != "both" or who is a else OTHER[hand]
            aside = SIGNS[hand] * 0.06 if stage["hands"] == "both" else 0.0
            grip = stage.between(1.08, aside=aside, gap=-0.012 * sign)
            release = pulse(0.02, 0.2, 0.86 if wins else 0.82, 1.04)
            who.reach(mine, release, grip, twist=0.3, curl=0.9)
    if wins:
        a.add("surge", times(final, -0.16))
        a.add("bend", times(final, -0.2))
        b.add("surge", times(final, 0.2))
        b.add("bend", times(final, 0.3))
        lead = OTHER[side(stage["hands"] if stage["hands"] != "both" else "right")]
        b.step(lead, pull_end - 0.04, 0.92, 0.35)


TUG = Kind(
    "tug of war",
    {"hands": _LIMB, "count": ("once", "twice"), "end": ("wins", "draw")},
    _tug,
    (
        "{A} and {B} hold {hands} and pull each other back and forth {count}; {end}.",
        "with {hands}, {A} and {B} tug back and forth {count}, and {end}.",
        "{A} grabs {B} by {hands} and they tug {count} back and forth; {end}.",
        "{A} and {B} pull at each other {count} with {hands}; {end}.",
    ),
    ("two people tug at each other with {hands}.", "{A} and {B} wrestle standing."),
    (
        "the person holds someone with {hands} and pulls back and forth {count}; {end_mine}.",
        "the person is held with {hands} and pulls back and forth {count}; {end_other}.",
    ),
)

KINDS = (PUSH, KICK, PUNCH, TUG)
