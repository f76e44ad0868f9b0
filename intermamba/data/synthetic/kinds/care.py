"""Attention: helping up, showing, handing over, whispering and proposing."""

import math

from intermamba.data.synthetic.kinds.kind import Kind
from intermamba.data.synthetic.performer import SIDES, SIGNS
from intermamba.data.synthetic.stage import (
    OTHER,
    Stage,
    constant,
    cycles,
    mixed,
    moved,
    near,
    on,
    pulse,
    side,
    sides,
    times,
)

_SIDE = ("left", "right")
_LIMB = ("left", "right", "both")


def _help_up(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = stage.span(0.04, 0.94 if stage["speed"] == "slowly" else 0.74)
    met = start + 0.36 * (end - start)
    a.place(0.0, 0.0, 0.0)
    # Feet stay between the two; the pelvis sits behind them and comes up over them.
    sat = 0.44 * b.scale
    b.place(0.0, stage.vary(0.72, 0.03) * stage.size, math.pi)
    b.shift(-2.0, -1.0, 0.0, b.stand[1] + sat)
    b.shift(met, end, 0.0, b.stand[1] - sat)
    rising = pulse(met, end)
    b.add("drop", lambda time: 0.8 * b.scale * (1.0 - rising(time)))
    b.add("bend", lambda time: 0.25 * (1.0 - rising(time)))
    b.add("bend", times(pulse(met - 0.1, met + 0.25 * (end - met), met + 0.5 * (end - met), end), 0.5))
    stoop = pulse(start, met, met + 0.3 * (end - met), end)
    a.add("bend", times(stoop, 0.95))
    a.add("drop", times(stoop, 0.08))
    both = stage["hands"] == "both"
    for hand in sides(stage["hands"]):
        mine = OTHER[hand] if both else hand
        aside = SIGNS[hand] * 0.12 if both else 0.0
        grips = [
            mixed(stage.between(0.7, 0.46, aside, gap), stage.between(1.0, 0.5, aside, gap), rising)
            for gap in (0.012, -0.012)
        ]
        a.reach(hand, pulse(start, met, end, end + 0.3), grips[0], twist=0.4, curl=0.8)
        b.reach(mine, pulse(start + 0.04, met, end, end + 0.3), grips[1], twist=0.4, curl=0.8)


HELP_UP = Kind(
    "help up",
    {"hands": _LIMB, "speed": ("slowly", "quickly")},
    _help_up,
    (
        "{A} helps {B} up from the floor {speed} with {hands}.",
        "{B} sits on the floor and is pulled up {speed} by {A} with {hands}.",
        "{A} bends down, takes {B} with {hands} and pulls {b} {speed} to the feet.",
        "sitting on the ground, {B} is helped up {speed} by {A}, who offers {hands}.",
    ),
    ("{A} helps {B} to stand up.", "{B} gets up from the floor {speed}."),
    (
        "the person bends down and pulls someone up {speed} with {hands}.",
        "the person sits on the floor and is pulled up {speed}.",
    ),
)


def _point(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(1.25))
    hand = side(stage["hand"])
    direction = {"left": (0.95, 1.4, 0.1), "right": (-0.95, 1.4, 0.1), "up": (SIGNS[hand] * 0.25, 1.92, 0.2)}[
        stage["towards"]
    ]
    crossing = stage["towards"] == OTHER[hand]
    if crossing:
        direction = (direction[0] * 0.5, direction[1], 0.45)
    held = pulse(0.02, 0.34, 0.78, 1.1)
    a.reach(hand, held, near(a, direction), twist=1.2, curl=0.6, pole=(0.6, -0.8, -0.2))
    a.add("twist", times(held, {"left": 0.45, "right": -0.45, "up": 0.0}[stage["towards"]]))
    looks = pulse(0.3, 0.55)
    turned = {"left": 1.0, "right": -1.0, "up": 0.0}[stage["towards"]]
    for who, mirrored, when in ((a, 1.0, pulse(0.1, 0.36, 0.85, 1.1)), (b, -1.0, looks)):
        if stage["reply"] == "ignores" and who is b:
            continue
        who.add("look", times(when, mirrored * turned * 0.95))
        who.add("nod", times(when, -0.6 if stage["towards"] == "up" else 0.0))
        if who is b:
            who.add("twist", times(when, mirrored * turned * 0.35))
    if stage["reply"] == "ignores":
        b.add("nod", times(looks, 0.45))


POINT = Kind(
    "point",
    {"hand": _SIDE, "towards": ("left", "right", "up"), "reply": ("looks", "ignores")},
    _point,
    (
        "{A} points {towards} with the {hand} hand and {B} {reply}.",
        "with the {hand} hand, {A} shows {B} something by pointing {towards}; {b} {reply}.",
        "{B} {reply} while {A} points {towards} with the {hand} hand.",
        "{B} is shown something by {A}, who stretches the {hand} arm {towards}, and {reply}.",
    ),
    ("{A} points {towards}.", "{A} points with the {hand} hand at something and {B} {reply}."),
    ("the person points {towards} with the {hand} hand.", "the person is shown something and {reply}."),
)


def _pass_object(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary({"high": 0.8, "low": 0.68}[stage["level"]], 0.03))
    giving, taking = side(stage["hand"]), side(stage["taking"])
    height = {"high": stage.vary(1.58, 0.02), "low": stage.vary(0.94, 0.02)}[stage["level"]]
    given = 0.56
    own = near(a, (SIGNS[giving] * 0.2, 1.08, 0.25))
    kept = near(b, (SIGNS[taking] * 0.14, 1.1, 0.25))
    out = mixed(own, stage.between(height, gap=0.035), pulse(0.12, 0.42))
    a.reach(giving, pulse(-1.0, -0.5, given + 0.02, 0.9), out, twist=0.5, curl=0.9)
    taken = mixed(stage.between(height, gap=-0.035), kept, pulse(given, 0.92))
    b.reach(taking, pulse(0.16, 0.44), taken, twist=0.5, curl=0.9)
    for who in (a, b):
        who.add("bend", times(pulse(0.15, 0.42, given, 0.9), 0.12 if stage["level"] == "high" else 0.25))


PASS = Kind(
    "pass an object",
    {"hand": _SIDE, "taking": _SIDE, "level": ("high", "low")},
    _pass_object,
    (
        "{A} hands/VERB something {level} to {B} with the {hand} hand, and {b} takes it with the {taking} hand.",
        "{B} receives with the {taking} hand an object that {A} passes {level} with the {hand} hand.",
        "an object is passed {level} from the {hand} hand of {A} to the {taking} hand of {B}.",
        "with the {hand} hand, {A} gives {B} an object {level}; {b} grasps it with the {taking} hand.",
    ),
    ("{A} gives something to {B}.", "{B} takes an object from {A} with the {taking} hand."),
    (
        "the person passes an object {level} with the {hand} hand.",
        "the person takes an object {level} with the {taking} hand.",
    ),
)


def _whisper(stage: Stage) -> None:
    a, b = stage.a, stage.b
    ear = side(stage["ear"])
    sign = SIGNS[ear]
    long = stage["duration"] == "long"
    leave = 0.86 if long else 0.6
    x, z = sign * 0.46 * stage.size, 0.24 * stage.size
    yaw = math.atan2(-x, -z * 0.8)
    back = stage.vary(0.35, 0.15)
    b.place(0.0, 0.0, 0.0)
    a.place(x + sign * back, z + 0.5 * back, yaw)
    a.walk(0.03, 0.3, (x, z, yaw))
    lean = pulse(0.2, 0.42, leave, min(leave + 0.22, 1.08))
    a.add("bend", times(lean, 0.4))
    hand = OTHER[ear]
    mouth = on(a, "head", (SIGNS[hand] * 0.07, 0.0, 0.12))
    a.reach(hand, pulse(0.12, 0.38, leave, min(leave + 0.25, 1.08)), mouth, twist=0.2, curl=0.2, pole=(0.7, -0.7, 0.0))
    b.add("tilt", times(lean, -sign * 0.1))
    b.add("gaze", constant(-0.85))
    if stage["reply"] == "nods":
        b.add("nod", cycles(leave - 0.18, 1.0, 2, 0.5))
    else:
        covered = on(b, "head", (0.0, -0.02, 0.13))
        b.reach(ear, pulse(leave - 0.22, leave + 0.06), covered, curl=0.1)


WHISPER = Kind(
    "whisper",
    {"ear": _SIDE, "duration": ("brief", "long"), "reply": ("nods", "covers")},
    _whisper,
    (
        "{A} leans over and whispers {duration} into the {ear} ear of {B}, who {reply}.",
        "{A} whispers something {duration} into {B}'s {ear} ear and {b} {reply}.",
        "{B} listens with the {ear} ear as {A} whispers {duration}, then {reply}.",
        "something is whispered {duration} into the {ear} ear of {B} by {A}; {b} {reply}.",
    ),
    ("{A} tells {B} a secret.", "{A} whispers to {B}, who {reply}."),
    (
        "the person leans over and whispers {duration} into the {ear} ear of someone.",
        "the person listens {duration} to a whisper/NOUN at the {ear} ear and {reply}.",
    ),
)


def _propose(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.95, 0.03))
    knee, hand = side(stage["knee"]), side(stage["hand"])
    down = pulse(0.08, 0.44)
    size = a.scale
    a.step(OTHER[knee], 0.04, 0.26, 0.24 * size)
    a.step(knee, 0.06, 0.32, -0.42 * size)
    a.add(f"{knee}_heel", times(down, 0.55))
    a.add("drop", times(down, 0.435 * size))
    a.add("nod", times(down, -0.35))
    offer = near(a, (SIGNS[hand] * 0.1, 0.92, 0.44))
    a.reach(hand, pulse(0.24, 0.52), offer, twist=-0.9, curl=0.3)
    b.add("nod", times(down, 0.4))
    if stage["reply"] == "takes":
        b.add("bend", times(pulse(0.42, 0.7), 0.35))
        b.reach(hand, pulse(0.44, 0.72), moved(offer, pulse(-1.0, 0.0), (0.0, 0.03, 0.0)), twist=1.2, curl=0.5)
    else:
        for covering in SIDES:
            mouth = on(b, "head", (SIGNS[covering] * 0.04, -0.02, 0.12))
            b.reach(covering, pulse(0.42, 0.68), mouth, twist=0.3, curl=0.2, pole=(0.7, -0.7, 0.0))


PROPOSE = Kind(
    "kneel and propose",
    {"knee": _SIDE, "hand": _SIDE, "reply": ("takes", "mouth")},
    _propose,
    (
        "{A} kneels down on the {knee} knee and offers the {hand} hand to {B}, who {reply}.",
        "kneeling on the {knee} knee, {A} proposes to {B} with the {hand} hand held out; {b} {reply}.",
        "{B} {reply} when {A} kneels on the {knee} knee and stretches out the {hand} hand.",
        "the {hand} hand is offered to {B} by {A}, who kneels on the {knee} knee; {b} {reply}.",
    ),
    ("{A} kneels and proposes to {B}.", "{A} kneels in front of {B}, who {reply}."),
    (
        "the person kneels on the {knee} knee and offers the {hand} hand.",
        "the person sees someone kneel down and {reply}.",
    ),
)

KINDS = (HELP_UP, POINT, PASS, WHISPER, PROPOSE)
