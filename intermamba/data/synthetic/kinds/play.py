"""Play: dancing as in a mirror, spinning, clapping hands and jumping together."""

import math

from intermamba.data.synthetic.kinds.kind import Kind
from intermamba.data.synthetic.performer import SIDES, SIGNS, arc
from intermamba.data.synthetic.stage import OTHER, Stage, cycles, mixed, near, pulse, side, sides, sway, times, toe_at

_SIDE = ("left", "right")
_LIMB = ("left", "right", "both")
_COUNT = ("once", "twice", "three times")


def _mirror_dance(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(1.1))
    sign = SIGNS[stage["first"]]
    size = stage.vary(0.13)
    swing = sway(0.08, 0.96, stage.count, sign * size)
    for who, mirrored in ((a, 1.0), (b, -1.0)):
        who.add("slide", times(swing, mirrored))
        who.add("tilt", times(swing, -mirrored * 1.4))
        who.add("drop", times(pulse(0.05, 0.2, 0.85, 1.0), 0.03))
        for hand in sides(stage["arm"]):
            mine = hand if who is a else OTHER[hand]
            low, high = near(who, (SIGNS[mine] * 0.35, 1.5, 0.15)), near(who, (SIGNS[mine] * 0.28, 1.72, 0.1))
            late = 0.0 if who is a else 0.04
            moving = mixed(low, high, cycles(0.3, 0.82, 2))
            who.reach(
                mine, pulse(0.02 + late, 0.32 + late, 0.8, 1.08), moving, twist=1.3, curl=0.05, pole=(0.8, -0.5, 0.0)
            )


MIRROR_DANCE = Kind(
    "mirror dance",
    {"arm": _LIMB, "first": _SIDE, "count": ("once", "twice")},
    _mirror_dance,
    (
        "{A} dances with {arm} raised, swaying {count} and first to the {first}, and {B} mirrors every move/NOUN.",
        "like a mirror/NOUN, {B} copies {A}, who raises {arm} and sways {count}, beginning to the {first}.",
        "raising {arm}, {A} sways to the {first} and back, {count}, and is mirrored by {B}.",
        "two people dance face to face as in a mirror/NOUN: {A} lifts {arm} and sways {count}, to the {first} first.",
    ),
    ("two people dance and mirror each other.", "{B} mirrors the dance/NOUN of {A}."),
    (
        "the person raises {arm} and sways {count}, first to the {first}.",
        "the person mirrors the dance/NOUN of someone who raises {arm} and sways {count}, first to the {first}.",
    ),
)


def _spin_partner(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.56, 0.03))
    hand = side(stage["hand"])
    sign = 1.0 if stage["direction"] == "counterclockwise" else -1.0
    turns = {"half": 0.5, "full": 1.0}[stage["turns"]]
    start, end = 0.26, {"half": 0.74, "full": 0.92}[stage["turns"]]
    x, z, yaw = b.stand
    lead = "left" if sign > 0 else "right"
    b.walk(start, end, path=arc((x, z), 0.0, yaw, sign * turns * 2 * math.pi, 0.0), lead=side(lead))
    b.add("gaze", times(pulse(start - 0.1, start + 0.1, end - 0.1, end + 0.1), -0.8))
    grip = stage.between(1.78, toward=0.62)
    a.reach(hand, pulse(0.0, 0.3, 0.97, 1.3), grip, twist=0.8, curl=0.7, pole=(0.8, -0.5, 0.0))
    b.reach(OTHER[hand], pulse(0.02, 0.3, 0.97, 1.3), grip, twist=0.8, curl=0.7, pole=(0.9, -0.1, 0.1))


SPIN = Kind(
    "spin the partner",
    {"hand": _SIDE, "direction": ("clockwise", "counterclockwise"), "turns": ("half", "full")},
    _spin_partner,
    (
        "{A} lifts the {hand} hand and spins {B} {direction} for {turns}.",
        "{B} makes {turns} {direction} under the {hand} hand of {A}.",
        "{B} is turned {direction} for {turns} by {A}, who holds up the {hand} hand.",
        "dancing, {A} leads {B} with the raised {hand} hand into {turns} {direction}.",
    ),
    ("{A} spins {B}.", "{B} turns {direction} under the arm of {A}."),
    (
        "the person lifts the {hand} hand and spins a partner {direction} for {turns}.",
        "the person makes {turns} {direction} under the arm of a partner.",
    ),
)


def _clap_hands(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.8, 0.04))
    start, end = 0.16, 0.9
    strokes = cycles(start, end, stage.count)
    hands = stage["hands"]
    for who, gap, mine_of in ((a, 0.012, lambda hand: hand), (b, -0.012, lambda hand: OTHER[hand])):
        for hand in SIDES:
            mine = mine_of(hand) if hands == "both" else hand
            aside = SIGNS[hand] * 0.13 if hands == "both" else 0.0
            ready = near(who, (SIGNS[mine] * 0.13, 1.2, 0.22))
            meets = hands in ("both", hand)
            target = mixed(ready, stage.between(1.26, aside=aside, gap=gap), strokes) if meets else ready
            who.reach(mine, pulse(0.0, start + 0.06, 0.9, 1.1), target, twist=1.5, curl=0.0)


CLAP = Kind(
    "clap hands",
    {"hands": _LIMB, "count": _COUNT},
    _clap_hands,
    (
        "{A} and {B} clap {hands} together {count} at chest height.",
        "facing each other, two people clap {count} with {hands}.",
        "{A} plays a clapping game with {B}: they clap {hands} against each other {count}.",
        "{hands} of {A} and {B} are clapped together {count}.",
    ),
    ("two people play a clapping game.", "{A} and {B} clap {count}."),
    (
        "the person claps {hands} {count} against those of someone.",
        "the person claps {hands} {count} against those of someone.",
    ),
)


def _jump(stage: Stage) -> None:
    stage.face(stage.vary(1.2))
    count = stage.count
    span = 0.84 / count
    for who, late in ((stage.a, 0.0), (stage.b, 0.06)):
        for number in range(count):
            begin = 0.04 + late + number * span
            crouch, off, land, rest = (begin + share * span for share in (0.3, 0.42, 0.82, 1.06))
            who.add("drop", times(pulse(begin, crouch, crouch, off + 0.08 * span), stage.vary(0.17)))
            up = cycles(off, land, 1, 1.0)
            who.add("drop", times(up, -0.2))
            who.add("drop", times(pulse(land - 0.1 * span, land + 0.04 * span, land + 0.04 * span, rest), 0.12))
            for foot in SIDES:
                who.swing_leg(foot, up, toe_at((SIGNS[foot] * 0.12, 0.2, 0.05)), 0.5)
        for hand in sides(stage["arms"]):
            raised = near(who, (SIGNS[hand] * 0.3, 1.75, 0.1))
            who.reach(
                hand, pulse(0.0 + late, 0.36 + late, 0.72, 1.06), raised, twist=1.3, curl=0.1, pole=(0.9, -0.4, 0.0)
            )


JUMP = Kind(
    "jump for joy",
    {"count": ("once", "twice"), "arms": _LIMB},
    _jump,
    (
        "{A} and {B} jump for joy {count} with {arms} raised.",
        "{A} jumps {count} with {arms} raised, and {B} joins in.",
        "raising {arms}, two people jump up {count} in front of each other.",
        "cheering with {arms} lifted, {A} jumps {count} and so does {B}.",
    ),
    ("two people jump for joy.", "{A} and {B} jump {count}."),
    (
        "the person jumps {count} with {arms} raised.",
        "the person joins someone and jumps {count} with {arms} raised.",
    ),
)

KINDS = (MIRROR_DANCE, SPIN, CLAP, JUMP)
