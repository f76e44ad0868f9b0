"""Interactions in which people walk: towards, away from, after, around and past each other."""

import math

from intermamba.data.synthetic.kinds.kind import Kind
from intermamba.data.synthetic.performer import SIGNS, arc
from intermamba.data.synthetic.stage import (
    OTHER,
    Stage,
    behind,
    constant,
    curved,
    cycles,
    mixed,
    near,
    pulse,
    side,
    times,
    wave,
)

_SPEED = ("slowly", "quickly")
_SIDE = ("left", "right")
_WAY = ("straight", "left", "right")


def _approach(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = stage.span(0.08)
    stop = {"close": 0.6, "far": 1.25}[stage["distance"]] * stage.size
    bearing = {"front": 0.0, "left": math.pi / 2, "right": -math.pi / 2}[stage["from"]] + stage.random.uniform(
        -0.15, 0.15
    )
    begin = stop + stage.stroll(start, end)
    yaw = bearing + math.pi
    b.place(0.0, 0.0, 0.0)
    a.place(begin * math.sin(bearing), begin * math.cos(bearing), yaw)
    a.walk(start, end, (stop * math.sin(bearing), stop * math.cos(bearing), yaw))


APPROACH = Kind(
    "approach",
    {"from": ("front", "left", "right"), "speed": _SPEED, "distance": ("close", "far")},
    _approach,
    (
        "{A} [walks|steps|goes] {speed} towards {B} from {from} and stops {distance}.",
        "coming from {from}, {A} approaches {B} {speed} and [stops|halts] {distance}.",
        "{B} is approached {speed} from {from} by {A}, who [stops|halts] {distance}.",
        "{B} waits while {A} comes {speed} from {from} and stands still {distance}.",
    ),
    ("{A} walks up to {B}.", "{B} waits in place and {A} comes {speed}."),
    (
        "the person walks {speed} towards someone from {from} and stops {distance}.",
        "the person stands and looks at someone who comes from {from}.",
    ),
)


def _walk_away(stage: Stage) -> None:
    a, b = stage.a, stage.b
    stage.face(stage.vary(0.85))
    start, end = stage.span(0.05, 0.97)
    turned = start + 0.3 * (end - start)
    yaw = a.stand[2] + SIGNS[stage["turn"]] * math.pi * stage.vary(0.97, 0.03)
    a.add("gaze", times(pulse(start, turned), -1.0))
    a.walk(start, turned, (0.0, -0.12, yaw), lead=side(stage["turn"]))
    a.walk(turned, end + 0.15, path=curved(a.stand, stage.stroll(turned, end + 0.15), "straight"))
    if stage["farewell"] != "still":
        wave(stage, b, side(stage["farewell"]), turned - 0.12, 1.12, 2)


WALK_AWAY = Kind(
    "walk away",
    {"turn": _SIDE, "speed": _SPEED, "farewell": ("left", "right", "still")},
    _walk_away,
    (
        "{A} turns around to the {turn} and [walks|goes] away {speed}; {B} {farewell}.",
        "turning to the {turn}, {A} leaves {speed}, and {B} {farewell}.",
        "{B} {farewell} while {A} turns to the {turn} and walks off {speed}.",
        "{A} turns to the {turn} and [leaves|goes away] {speed}, away from {B}, who {farewell}.",
    ),
    ("{A} turns and walks away from {B}.", "{B} {farewell} as {A} leaves."),
    ("the person turns around to the {turn} and walks away {speed}.", "the person {farewell} as someone leaves."),
)


def _follow(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = stage.span(0.02, 1.1)
    gap = stage.vary(0.85, 0.1) * stage.size
    delay = 0.12
    length = stage.stroll(start, end)
    a.place(0.0, 0.0, 0.0)
    b.place(0.0, gap, 0.0)
    b.walk(start, end, path=curved(b.stand, length, stage["way"]))
    a.walk(start + delay, end + delay, path=behind(gap, length, stage["way"]))


FOLLOW = Kind(
    "follow",
    {"way": _WAY, "speed": _SPEED},
    _follow,
    (
        "{A} [follows|walks behind] {B} {speed} {way}.",
        "{B} walks {speed} {way} and {A} follows.",
        "{B} is followed by {A} as both [walk|go] {speed} {way}.",
        "two people walk {speed} {way}, the second behind the first.",
    ),
    ("{A} follows {B}.", "two people walk one behind the other {way}."),
    ("the person follows someone {speed} {way}.", "the person walks {speed} {way} with someone behind."),
)


def _circle(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = stage.span(0.06, 0.94)
    radius = stage.vary(0.8) * stage.size
    sweep = {"quarter": math.pi / 2, "half": math.pi}[stage["amount"]] * stage.vary(1.0, 0.04)
    sign = 1.0 if stage["direction"] == "counterclockwise" else -1.0
    facing = math.pi if stage["facing"] == "inwards" else sign * math.pi / 2
    bearing = stage.random.uniform(-0.1, 0.1)
    b.place(0.0, 0.0, 0.0)
    track = arc((0.0, 0.0), radius, bearing, sign * sweep, facing)
    x, z, yaw = (radius * math.sin(bearing), radius * math.cos(bearing), bearing + facing)
    a.place(x, z, yaw)
    # Going counterclockwise around someone one looks at means stepping to one's own right.
    rightwards = (sign > 0) == (stage["facing"] == "inwards")
    a.walk(start, end, path=track, lead="right" if rightwards else "left")


CIRCLE = Kind(
    "circle",
    {"direction": ("clockwise", "counterclockwise"), "amount": ("quarter", "half"), "facing": ("inwards", "forwards")},
    _circle,
    (
        "{A} [walks|goes|steps] {direction} around {B} {facing}, for {amount} of a circle.",
        "{A} circles {B} {direction} for {amount} of a turn/NOUN, {facing}.",
        "{B} stands still and is circled {direction} by {A}, {facing}, for {amount} of a circle.",
        "{facing}, {A} moves {direction} along {amount} of a circle around {B}.",
    ),
    ("{A} circles around {B} {direction}.", "{B} is circled by {A}."),
    (
        "the person walks {direction} around someone for {amount} of a circle, {facing}.",
        "the person stands still while someone walks around.",
    ),
)


def _chase(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = 0.02, 1.12
    gap = stage.vary(0.95, 0.1) * stage.size
    length = stage.vary(2.1, 0.06) * (end - start) * stage.seconds
    a.place(0.0, 0.0, 0.0)
    b.place(0.0, gap, 0.0)
    b.walk(start, end, path=curved(b.stand, length, stage["way"], 2.2), lift=0.12)
    a.walk(start + 0.06, end + 0.06, path=behind(gap, length, stage["way"], 2.2), lift=0.12)
    sign = SIGNS[stage["shoulder"]]
    glance = pulse(0.3, 0.48, 0.66, 0.84)
    b.add("look", times(glance, sign * 1.0))
    b.add("twist", times(glance, sign * 0.55))
    for who in (a, b):
        who.arm_swing = 0.7
        who.add("bend", times(pulse(0.0, 0.25), 0.22))
    a.reach("left", pulse(0.05, 0.45), near(a, (0.14, 1.22, 0.5)), twist=1.2, curl=0.1)
    a.reach("right", pulse(0.05, 0.45), near(a, (-0.14, 1.22, 0.5)), twist=1.2, curl=0.1)


CHASE = Kind(
    "chase",
    {"way": _WAY, "shoulder": _SIDE},
    _chase,
    (
        "{A} [chases|runs after] {B} {way}, and {b} looks back over the {shoulder} shoulder.",
        "{B} runs away {way} and looks back over the {shoulder} shoulder while {A} chases.",
        "{B} is chased by {A} {way}; {b} glances over the {shoulder} shoulder.",
        "glancing back over the {shoulder} shoulder, {B} flees from {A} {way}.",
    ),
    ("{A} runs after {B} with stretched arms.", "two people run {way}, one chasing the other."),
    (
        "the person runs after someone {way} with stretched arms.",
        "the person runs away {way} and looks back over the {shoulder} shoulder.",
    ),
)


def _walk_past(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = stage.span(0.0, 1.0)
    length = stage.stroll(start, end)
    aside = SIGNS[stage["side"]] * 0.36 * stage.size
    a.place(0.0, -length / 2, 0.0)
    b.place(aside, length / 2, math.pi)
    a.walk(start, end, (0.0, length / 2, 0.0))
    b.walk(start + 0.03, end + 0.03, (aside, -length / 2, math.pi), lead="left")
    for who, when in ((a, 0.1), (b, 0.16)):
        who.add("gaze", times(pulse(0.35, 0.6), -1.0))
        if stage["greeting"] == "nod":
            who.add("nod", cycles(when, when + 0.32, 1, 0.6))
        else:
            hand = OTHER[side(stage["side"])]
            sign = SIGNS[hand]
            who.reach(
                hand,
                pulse(when - 0.06, when + 0.24, when + 0.3, when + 0.6),
                near(who, (sign * 0.25, 1.4, 0.3)),
                twist=1.5,
                curl=0.05,
            )


WALK_PAST = Kind(
    "walk past",
    {"side": _SIDE, "speed": _SPEED, "greeting": ("nod", "raise")},
    _walk_past,
    (
        "two people walk {speed} past each other on the {side} side and {greeting}.",
        "{A} and {B} pass each other {speed}, each on the {side} of the other, and {greeting}.",
        "walking {speed} in opposite directions, two people {greeting} and pass on the {side}.",
        "{A} walks {speed} by {B}, who passes on the {side}; they {greeting}.",
    ),
    ("two people meet and walk on.", "{A} and {B} {greeting} as they walk past each other."),
    (
        "the person walks {speed} past someone who comes along on the {side}; both {greeting}.",
        "the person walks {speed} past someone who comes along on the {side}; both {greeting}.",
    ),
)


def _lead(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = stage.span(0.2, 1.1)
    gap = stage.vary(0.66, 0.04) * stage.size
    length = stage.stroll(start, end)
    b.place(0.0, 0.0, 0.0)
    a.place(0.0, gap, 0.0)
    a.walk(start, end, path=curved(a.stand, length, stage["way"]))
    b.walk(start + 0.01, end + 0.01, path=behind(gap, length, stage["way"]))
    sign = SIGNS[stage["hand"]]
    grip = stage.between(0.93, toward=0.45, aside=-sign * 0.2)
    a.add("gaze", constant(-0.7))
    a.add("twist", times(pulse(0.0, 0.2), sign * 0.35))
    a.add("look", times(pulse(0.3, 0.5, 0.7, 0.9), sign * 0.6))
    a.reach(side(stage["hand"]), pulse(-0.02, 0.16), grip, twist=0.4, curl=0.8, pole=(0.8, -0.2, -0.2))
    b.reach(side(stage["hand"]), pulse(0.0, 0.18), grip, twist=0.9, curl=0.7)


LEAD = Kind(
    "lead by the hand",
    {"hand": _SIDE, "way": _WAY, "speed": _SPEED},
    _lead,
    (
        "{A} takes {B} by the {hand} hand and [leads|guides] {b} {speed} {way}.",
        "{B} is led by the {hand} hand, {speed} {way}, by {A}.",
        "holding the {hand} hand of {B}, {A} walks ahead {speed} {way}.",
        "{A} walks in front {speed} {way}, pulling {B} along by the {hand} hand.",
    ),
    ("{A} leads {B} by the hand.", "{B} is guided {way} by {A}, who walks in front."),
    (
        "the person walks in front {speed} {way} and leads someone with the {hand} hand.",
        "the person is led {speed} {way} by the {hand} hand.",
    ),
)


def _beckon(stage: Stage) -> None:
    a, b = stage.a, stage.b
    start, end = stage.span(0.3, 1.0)
    length = stage.stroll(start, end)
    stop = 0.75 * stage.size
    a.place(0.0, 0.0, stage.random.uniform(-0.06, 0.06))
    b.place(0.0, stop + length, math.pi)
    b.walk(start, end, (0.0, stop, math.pi))
    sign = SIGNS[stage["hand"]]
    stretched = near(a, (sign * 0.2, 1.28, 0.48))
    drawn = near(a, (sign * 0.2, 1.42, 0.22))
    strokes = cycles(0.2, 0.78, stage.count)
    a.reach(side(stage["hand"]), pulse(0.02, 0.22, 0.78, 0.96), mixed(stretched, drawn, strokes), twist=-1.2, curl=0.3)


BECKON = Kind(
    "beckon",
    {"hand": _SIDE, "count": ("once", "twice", "three times"), "speed": _SPEED},
    _beckon,
    (
        "{A} beckons {count} with the {hand} hand and {B} comes {speed}.",
        "{B} comes {speed} because {A} beckons {count} with the {hand} hand.",
        "moving the {hand} hand {count} towards the body, {A} calls {B}, who walks closer {speed}.",
        "{B} is beckoned {count} by {A} with the {hand} hand and walks closer {speed}.",
    ),
    ("{A} beckons and {B} comes closer.", "{B} is called over by {A} with the {hand} hand."),
    ("the person beckons {count} with the {hand} hand.", "the person is called and walks closer {speed}."),
)

KINDS = (APPROACH, WALK_AWAY, FOLLOW, CIRCLE, CHASE, WALK_PAST, LEAD, BECKON)
