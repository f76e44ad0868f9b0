"""More ways to tell each kind of interaction, in the notation of :mod:`intermamba.data.synthetic.grammar`.

Every template names every parameter of its kind. Those of :data:`SEEN` are used in all splits, beside the kind's own;
those of :data:`UNSEEN`, with names and phrases of their own, in a third of the test captions and nowhere else. What a
model makes of them shows what it understands rather than what it remembers.
"""

from collections.abc import Mapping

Templates = Mapping[str, tuple[str, ...]]

SEEN: Templates = {
    "approach": (
        "{A} moves {speed} from {from} in the direction of {B}, then stops {distance}.",
        "from {from}, {A} walks over to {B} {speed} and waits {distance}.",
    ),
    "walk away": (
        "{A} makes a turn/NOUN to the {turn} and walks off {speed}, and {B} {farewell}.",
        "after turning to the {turn}, {A} goes away {speed} while {B} {farewell}.",
    ),
    "follow": (
        "behind {B}, {A} walks {speed} {way}.",
        "{A} stays behind {B}, and both walk {speed} {way}.",
    ),
    "circle": (
        "around {B}, {A} walks {amount} of a circle {direction}, {facing}.",
        "{A} makes {amount} of a circle around {B}, {direction} and {facing}.",
    ),
    "chase": (
        "{A} runs {way} behind {B}, who looks back over the {shoulder} shoulder.",
        "{B} looks back over the {shoulder} shoulder and runs {way}, away from {A}.",
    ),
    "walk past": (
        "{A} meets {B}; they walk {speed} past each other on the {side} and {greeting}.",
        "two people {greeting} while they pass {speed} on the {side} side.",
    ),
    "lead by the hand": (
        "with the {hand} hand, {A} leads {B} {speed} {way}.",
        "{B} follows {A}, who holds the {hand} hand and walks {speed} {way}.",
    ),
    "beckon": (
        "{A} calls {B} closer with the {hand} hand, {count}, and {b} walks over {speed}.",
        "with the {hand} hand, {A} beckons {count}; {B} comes {speed}.",
    ),
    "bow": (
        "with {depth_adjective} bow/NOUN {count}, {A} greets {B}, who {reply}.",
        "{A} bends the upper body {depth} {count} towards {B}, who {reply}.",
    ),
    "handshake": (
        "{A} grasps the {hand} hand of {B} and they shake it {count} {speed}.",
        "with the {hand} hands, {A} and {B} shake {count} {speed}.",
    ),
    "hug": (
        "{A} comes close, puts {arms} around {B} and holds {b} {duration}.",
        "{A} gives {B} a hug/NOUN {duration} with {arms}.",
    ),
    "high five": (
        "{A} and {B} slap {hands} together {count}, {level}.",
        "with {hands}, {A} and {B} give a high five {count}, {level}.",
    ),
    "wave": (
        "{A} lifts the {hand} hand to greet {B} and waves {count}; {b} {reply}.",
        "{A} waves at {B} {count} with the {hand} hand and {b} {reply}.",
    ),
    "salute": (
        "with the {hand} hand at the forehead, {A} salutes {B} {speed}; {b} {reply}.",
        "{A} greets {B} with a salute/NOUN of the {hand} hand, {speed}, and {b} {reply}.",
    ),
    "fist bump": (
        "{A} and {B} touch {hand} fists {count} {speed}.",
        "{A} bumps the {hand} fist of {B} {count} {speed}.",
    ),
    "pat on the shoulder": (
        "{A} touches {B} on the shoulder {count} from {from}, with the {hand} hand.",
        "with the {hand} hand, {A} pats the shoulder of {B} {count} from {from}.",
    ),
    "push": (
        "with {hands}, {A} pushes {B} away {strength}; {b} {stumble}.",
        "{A} gives {B} a push/NOUN {strength} with {hands} and {b} {stumble}.",
    ),
    "kick and dodge": (
        "{A} lifts the {leg} leg and kicks {height}; {B} moves {dodge} to dodge.",
        "{B} moves {dodge} because {A} kicks {height} with the {leg} foot.",
    ),
    "punch and block": (
        "{A} strikes {count} with the {hand} fist, but {B} blocks with the {block} hand.",
        "{B} lifts the {block} hand against {A}, who punches {count} with the {hand} fist.",
    ),
    "tug of war": (
        "{A} and {B} pull back and forth with {hands} {count}, and {end}.",
        "holding on with {hands}, {A} and {B} tug {count}; {end}.",
    ),
    "help up": (
        "{A} gives {hands} to {B}, who sits on the floor, and pulls {b} up {speed}.",
        "with {hands}, {A} pulls {B} up from the ground {speed}.",
    ),
    "point": (
        "{A} stretches the {hand} arm {towards} to show something, and {B} {reply}.",
        "{A} points something out to {B} {towards} with the {hand} hand; {b} {reply}.",
    ),
    "pass an object": (
        "{A} gives an object {level} with the {hand} hand to {B}, who takes it with the {taking} hand.",
        "{B} takes with the {taking} hand what {A} holds out {level} with the {hand} hand.",
    ),
    "whisper": (
        "{A} whispers {duration} at the {ear} ear of {B}; {b} {reply}.",
        "{A} tells {B} a secret {duration} at the {ear} ear, and {b} {reply}.",
    ),
    "kneel and propose": (
        "{A} goes down on the {knee} knee before {B} and holds out the {hand} hand; {b} {reply}.",
        "on the {knee} knee, {A} stretches the {hand} hand out to {B}, who {reply}.",
    ),
    "mirror dance": (
        "{A} dances, lifts {arm} and sways {count}, to the {first} first; {B} makes the same moves.",
        "with {arm} raised, {A} sways {count}, first to the {first}, and {B} copies it.",
    ),
    "spin the partner": (
        "holding up the {hand} hand, {A} turns {B} {direction} for {turns}.",
        "{A} leads {B} {direction} into {turns} under the {hand} hand.",
    ),
    "clap hands": (
        "{A} and {B} clap {count} against each other with {hands}.",
        "two people clap {hands} together {count}, face to face.",
    ),
    "jump for joy": (
        "two people jump {count} for joy, {arms} lifted.",
        "{A} and {B} lift {arms} and jump up {count}.",
    ),
}

UNSEEN: Templates = {
    "approach": (
        "{A} strolls over to {B} {speed} from {from} and comes to a standstill {distance}.",
        "heading for {B} from {from}, {A} draws near {speed} and pauses {distance}.",
    ),
    "walk away": (
        "{A} swings around to the {turn} and departs {speed}; {B} {farewell}.",
        "{B} {farewell} as {A} strides off {speed} after a turn/NOUN to the {turn}.",
    ),
    "follow": (
        "{A} trails {B} {speed} {way}.",
        "{A} tags along after {B}, {speed} and {way}.",
    ),
    "circle": (
        "{A} orbits {B} {direction}, {facing}, covering {amount} of a loop.",
        "{facing}, {A} strolls {direction} round {B} for {amount} of a lap.",
    ),
    "chase": (
        "{A} sprints in pursuit of {B} {way}; {b} peeks over the {shoulder} shoulder.",
        "{B} escapes {way} from {A}, peeking back over the {shoulder} shoulder.",
    ),
    "walk past": (
        "two strangers cross paths {speed} on the {side} and {greeting}.",
        "{A} and {B} stroll by one another {speed}, keeping to the {side}, and {greeting}.",
    ),
    "lead by the hand": (
        "clasping the {hand} hand of {B}, {A} escorts {b} {speed} {way}.",
        "{A} tows {B} along {speed} {way} by the {hand} hand.",
    ),
    "beckon": (
        "{A} signals {count} with the {hand} hand for {B} to come, and {b} strolls up {speed}.",
        "{A} gestures {count} with the {hand} hand, inviting {B}, who draws near {speed}.",
    ),
    "bow": (
        "{A} stoops {depth} {count} out of respect for {B}, who {reply}.",
        "{A} pays respect to {B} by inclining the torso {depth} {count}; {b} {reply}.",
    ),
    "handshake": (
        "{A} and {B} seal a deal by pumping {hand} hands {count} {speed}.",
        "{A} and {B} clasp {hand} hands as a welcome, pumping {count} {speed}.",
    ),
    "hug": (
        "{A} cuddles {B} {duration} with {arms}.",
        "{A} wraps {arms} around {B} {duration} in an affectionate squeeze.",
    ),
    "high five": (
        "{A} and {B} smack palms in celebration {count} with {hands}, {level}.",
        "to celebrate, {A} smacks {hands} against those of {B} {count}, {level}.",
    ),
    "wave": (
        "{A} signals hello to {B}, swinging the {hand} hand {count}, and {b} {reply}.",
        "swinging the {hand} hand {count}, {A} says hello to {B}, who {reply}.",
    ),
    "salute": (
        "like a soldier, {A} brings the {hand} hand to the brow {speed} before {B}, who {reply}.",
        "{A} gives {B} a military welcome {speed} with the {hand} hand; {b} {reply}.",
    ),
    "fist bump": (
        "{A} and {B} knock {hand} knuckles together {count} {speed}.",
        "{A} raps knuckles with {B} {count}, both with the {hand} hand, {speed}.",
    ),
    "pat on the shoulder": (
        "{A} reassures {B} from {from}, tapping the shoulder {count} with the {hand} hand.",
        "{A} comforts {B} from {from} by touching the shoulder {count} with the {hand} hand.",
    ),
    "push": (
        "{A} thrusts {hands} against {B} {strength}, so that {b} {stumble}.",
        "jostled {strength} with {hands} by {A}, {B} {stumble}.",
    ),
    "kick and dodge": (
        "{A} swings the {leg} boot {height} at {B}, who leaps {dodge} out of range.",
        "{B} ducks {dodge}, out of reach of the {leg} foot that {A} swings {height}.",
    ),
    "punch and block": (
        "{A} boxes {count} with the {hand} fist, and {B} wards it off with the {block} hand.",
        "{A} jabs {count} with the {hand} fist while {B} shields with the {block} hand.",
    ),
    "tug of war": (
        "{A} and {B} drag each other to and fro {count} with {hands}; {end}.",
        "gripping {hands}, {A} and {B} struggle to and fro {count}, and {end}.",
    ),
    "help up": (
        "{A} hoists {B} off the floor {speed} with {hands}.",
        "{B} rises {speed} from the ground with the aid of {A}, who lends {hands}.",
    ),
    "point": (
        "{A} indicates something {towards} with the {hand} index finger, and {B} {reply}.",
        "{A} draws attention to something {towards}, using the {hand} hand, and {B} {reply}.",
    ),
    "pass an object": (
        "{A} delivers a parcel {level} with the {hand} hand, and {B} accepts it with the {taking} hand.",
        "{B} collects an item {level} with the {taking} hand, presented by the {hand} hand of {A}.",
    ),
    "whisper": (
        "{A} murmurs {duration} into the {ear} ear of {B}, who {reply}.",
        "{A} confides gossip to the {ear} ear of {B} {duration}; {b} {reply}.",
    ),
    "kneel and propose": (
        "{A} asks {B} to marry, resting on the {knee} knee with the {hand} hand extended; {b} {reply}.",
        "{A} drops onto the {knee} knee and extends the {hand} hand to {B}, who {reply}.",
    ),
    "mirror dance": (
        "{A} grooves with {arm} up, rocking {count} and first to the {first}, while {B} imitates it.",
        "{B} imitates {A}, who rocks {count}, first to the {first}, with {arm} in the air.",
    ),
    "spin the partner": (
        "{A} twirls {B} {direction} for {turns} beneath the {hand} hand.",
        "{B} pirouettes {direction} for {turns}, guided by the {hand} hand of {A}.",
    ),
    "clap hands": (
        "{A} and {B} play patty cake {count} with {hands}.",
        "{A} and {B} smack {hands} against each other {count} in rhythm.",
    ),
    "jump for joy": (
        "{A} and {B} leap with delight {count}, {arms} in the air.",
        "thrilled, {A} and {B} hop {count} with {arms} up.",
    ),
}

UNSEEN_ROLES = (
    ("a lady", "a gentleman", "the lady", "the gentleman"),
    ("somebody", "a companion", "the former", "the companion"),
    ("a teenager", "a classmate", "the teenager", "the classmate"),
    ("one athlete", "an opponent", "the athlete", "the opponent"),
)
"""Initiator and other, when first named and later, in test captions alone."""

UNSEEN_PHRASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "speed": {"slowly": ("at a leisurely pace", "unhurriedly"), "quickly": ("hastily", "in a rush", "swiftly")},
    "count": {
        "once": ("only one time",),
        "twice": ("on two occasions", "two times over"),
        "three times": ("thrice", "three times over"),
    },
    "depth": {"slightly": ("just a bit",), "deeply": ("very low", "all the way down")},
    "distance": {"close": ("within reach",), "far": ("well away",)},
    "duration": {"brief": ("for an instant", "for a second/NOUN"), "long": ("for quite some time",)},
    "strength": {"gently": ("lightly", "tenderly"), "hard": ("violently", "forcefully")},
    "way": {"straight": ("directly ahead",), "left": ("veering to the left",), "right": ("veering to the right",)},
    "level": {"high": ("overhead",), "low": ("at hip height",)},
    "height": {"high": ("high up",), "low": ("low to the ground",)},
    "farewell": {"still": ("remains motionless",)},
    "reply": {
        "watches": ("remains motionless",),
        "ignores": ("stares at the ground",),
        "nods": ("agrees with two nods",),
    },
    "stumble": {"gently": ("totters a bit backward",), "hard": ("reels far backward",)},
}
"""Phrases of some slots in test captions alone; the others have those of training."""
