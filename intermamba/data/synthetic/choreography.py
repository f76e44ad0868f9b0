"""One clip: a kind of interaction, its parameters and a seed give two moving bodies and their captions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from intermamba.data.synthetic import body, grammar
from intermamba.data.synthetic.kinds import KINDS
from intermamba.data.synthetic.performer import Performer, Scene, Side
from intermamba.data.synthetic.stage import Stage
from intermamba.errors import DataError, unknown
from intermamba.seeds import derive


@dataclass(frozen=True)
class Clip:
    """Two people in motion, y up, feet on the floor at y = 0, person axis in file order.

    Attributes:
        rotations: local rotations of SMPL-X's 55 joints; the root's is its world rotation.
        translation: position of the pelvis, metres.
        scale: factor on the rest offsets of each person (:data:`intermamba.skeleton.OFFSETS`).
        captions: three sentences about both.
        tokens: the same as ``word/POS`` separated by blanks.
        individual: one sentence about each person alone.
        unseen: which of the captions are in phrasings that training never shows.
        actor: which person initiates, 0 or 1.
    """

    rotations: Float[np.ndarray, "T 2 55 3 3"]
    translation: Float[np.ndarray, "T 2 3"]
    scale: tuple[float, float]
    captions: tuple[str, str, str]
    tokens: tuple[str, str, str]
    individual: tuple[str, str]
    actor: int
    kind: str
    parameters: Mapping[str, str]
    unseen: tuple[bool, bool, bool]

    @property
    def unseen_captions(self) -> list[str]:
        """Captions in phrasings that training never shows."""
        return [caption for caption, unseen in zip(self.captions, self.unseen, strict=True) if unseen]

    def positions(self) -> Float[np.ndarray, "T 2 55 3"]:
        """World positions of all joints."""
        people = [
            body.forward_kinematics(self.rotations[:, person], self.translation[:, person], self.scale[person])[0]
            for person in (0, 1)
        ]
        return np.stack(people, axis=1)


def clip(
    kind: str,
    seed: int,
    seconds: float,
    fps: int,
    parameters: Mapping[str, str] | None = None,
    variation: float = 0.08,
    unseen: bool = False,
) -> Clip:
    """Choreograph and sample one clip.

    Motion is a function of continuous time, so another ``fps`` samples the same motion.

    Args:
        kind: a name in :data:`intermamba.data.synthetic.kinds.KINDS`.
        seed: seed of size, place, heading, timing, style, words, and ``parameters`` if not given.
        seconds: length of the clip; the whole interaction fits into it.
        fps: frames per second; the clip has ``round(seconds * fps)`` of them.
        parameters: a value of every parameter of the kind; drawn from ``seed`` if not given.
        variation: largest deviation of body size from the neutral skeleton.
        unseen: put one caption in a phrasing that training never shows.

    Raises:
        DataError: unknown kind or parameter value, or a clip too short to hold a frame.
    """
    if kind not in KINDS:
        raise DataError(unknown("kind of interaction", kind, KINDS, "the embedded dataset"))
    frames = round(seconds * fps)
    if frames < 2:
        raise DataError(f"a clip of {seconds} s at {fps} fps has {frames} frame(s); at least 2 are needed.")
    recipe = KINDS[kind]
    random = np.random.default_rng(derive(seed, "choreography", kind))
    if parameters is None:
        values = recipe.combinations[random.integers(len(recipe.combinations))]
        parameters = dict(zip(recipe.parameters, values, strict=True))
    for name, allowed in recipe.parameters.items():
        if parameters.get(name) not in allowed:
            raise DataError(unknown(f"value of {name}", parameters.get(name), allowed, f"the kind {kind!r}"))

    scales = 1 + variation * random.uniform(-1, 1, 2)
    leads: list[Side] = ["left" if draw < 0.5 else "right" for draw in random.uniform(0, 1, 2)]
    pair = [Performer(index, float(scales[index]), seconds, leads[index]) for index in (0, 1)]
    stage = Stage(pair[0], pair[1], parameters, seconds, random)
    recipe.perform(stage)
    for performer in pair:
        _liven(performer, random)

    time = np.arange(frames) / max(seconds * fps, 1)
    rotations, translation = _sample(pair, time)
    heading = random.uniform(-math.pi, math.pi)
    place = np.array([random.uniform(-0.6, 0.6), 0.0, random.uniform(-0.6, 0.6)])
    whole = body.turn("y", np.array(heading))
    centre = translation[0].mean(axis=0) * np.array([1.0, 0.0, 1.0])
    translation = (translation - centre) @ whole.T + place
    rotations[:, :, 0] = whole @ rotations[:, :, 0]

    actor = derive(seed, "actor") % 2
    order = [0, 1] if actor == 0 else [1, 0]
    words = np.random.default_rng(derive(seed, "captions", kind))
    said = grammar.describe(recipe, parameters, words, unseen)
    alone = grammar.describe_alone(recipe, parameters, words)
    return Clip(
        rotations[:, order],
        translation[:, order],
        (float(scales[order[0]]), float(scales[order[1]])),
        (said[0].text, said[1].text, said[2].text),
        (said[0].tokens, said[1].tokens, said[2].tokens),
        (alone[order[0]], alone[order[1]]),
        actor,
        kind,
        dict(parameters),
        (said[0].unseen, said[1].unseen, said[2].unseen),
    )


def _liven(performer: Performer, random: np.random.Generator) -> None:
    """Vary the performers' posture, breathing and shifting of weight."""
    slow, phase, size = random.uniform(0.6, 1.2), random.uniform(0, 2 * math.pi), random.uniform(0.4, 1.0)
    posture = random.uniform(-0.04, 0.07)
    seconds = performer.seconds
    performer.add("bend", lambda time: posture + 0.012 * size * np.sin(2 * math.pi * slow * time * seconds + phase))
    performer.add("shrug", lambda time: 0.03 * size * np.sin(2 * math.pi * slow * time * seconds + phase))
    performer.add("slide", lambda time: 0.006 * size * np.sin(math.pi * slow * time * seconds + 2 * phase))
    performer.add("drop", lambda time: np.full(len(time), 0.012 * size * performer.scale))
    performer.arm_swing *= random.uniform(0.7, 1.3)


def _sample(
    pair: list[Performer], time: Float[np.ndarray, " T"]
) -> tuple[Float[np.ndarray, "T 2 55 3 3"], Float[np.ndarray, "T 2 3"]]:
    """Poses of both performers, the initiator first."""
    stands = [performer.stands(time) for performer in pair]
    scene = Scene(time, (pair[0].trunk(time, stands[1]), pair[1].trunk(time, stands[0])))
    for performer in pair:
        performer.pose(scene)
    rotations = np.stack([trunk.rotations for trunk in scene.trunks], axis=1)
    return rotations, np.stack([trunk.translation for trunk in scene.trunks], axis=1)
