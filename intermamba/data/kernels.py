"""Compiled loops of the datasets' processing. Importing this module imports numba; a loop is compiled when it is first
called, or loaded from numba's cache.

InterHuman's arithmetic is the official loader's in the precision of the input, one rounding after the other: nothing is
fused or reordered. Values are doubled by adding them to themselves, because numba widens float32 times a literal to
float64. Loops over joints run along contiguous buffers and index whole arrays: that is what the compiler vectorises.
"""

from functools import partial
from typing import no_type_check

import numba
import numpy as np

from intermamba.skeleton import FEET, FEET_HEIGHT, FEET_SQUARED_STEP, LEFT_HIP, RIGHT_HIP

_compiled = partial(numba.njit, nogil=True, error_model="numpy", cache=True)
_BODY = 22


@_compiled
@no_type_check
def stances(raw1, raw2):
    """Positions and facing of two people in frame 0, from their (T, 192) raw columns.

    Returns:
        (2, 5): each person's lowest height in the clip, (x, z) of the root, (x, z) of the facing direction; and (2,),
        the squared lengths of the facing directions, one up to rounding.
    """
    found, squared = np.empty((2, 5), raw1.dtype), np.empty(2, raw1.dtype)
    for person in range(2):
        raw = raw1 if person == 0 else raw2
        # z up to y up: (x, y, z) -> (x, z, -y).
        right, left = 3 * RIGHT_HIP, 3 * LEFT_HIP
        floor = _lowest(raw)
        x = raw[0, right] - raw[0, left]
        y = (raw[0, right + 2] - floor) - (raw[0, left + 2] - floor)
        z = raw[0, left + 1] - raw[0, right + 1]
        length = np.sqrt(x * x + y * y + z * z)
        # Up x across, (z, 0, -x), in float64: the loader's "up" is an array of integers.
        front_x, front_z = np.float64(z / length), -np.float64(x / length)
        length = np.sqrt(front_x * front_x + front_z * front_z)
        found[person, :3] = floor, raw[0, 0], -raw[0, 1]
        found[person, 3:] = front_x / length, front_z / length
        squared[person] = found[person, 3] * found[person, 3] + found[person, 4] * found[person, 4]
    return found, squared


@_compiled
@no_type_check
def _lowest(raw):
    low = raw[0, 2:66:3].copy()
    for t in range(1, len(raw)):
        for j in range(_BODY):
            height = raw[t, 3 * j + 2]
            low[j] = height if height < low[j] else low[j]
    return low.min()


@_compiled
@no_type_check
def fill(raw1, raw2, found, length, features):
    """Both people in the first one's frame.

    Args:
        raw1: (T, 192) raw columns of person 1.
        raw2: those of person 2.
        found: (2, 5) from :func:`stances`.
        length: (2,), the lengths of the facing directions.
        features: (T - 1, 2, 262), to be filled.
    """
    # Rows (w, q, w', q', x, z): the quaternion (w, 0, q, 0) turns a person to +z. Person 2 is then put back into person
    # 1's frame by (w', 0, q', 0), which undoes its own turn and applies person 1's, and moved by (x, z).
    turns = np.zeros((2, 6), raw1.dtype)
    for person in range(2):
        w, q = length[person] + found[person, 4], -found[person, 3]
        norm = np.sqrt(w * w + q * q)
        if norm == 0:  # facing -z exactly: half a turn, where the loader divides zero by zero
            turns[person, 1] = 1
        else:
            turns[person, :2] = w / norm, q / norm
    w, q = turns[0, 0], turns[0, 1]
    turns[0, 2] = 1
    turns[1, 2:4] = w * turns[1, 0] + q * turns[1, 1], turns[1, 0] * q - turns[1, 1] * w
    turns[1, 4:] = _turned(found[1, 1] - found[0, 1], found[1, 2] - found[0, 2], w, q)
    _fill_person(raw1, 0, found, turns, features)
    _fill_person(raw2, 1, found, turns, features)


@_compiled
@no_type_check
def _turned(x, z, w, q):
    """Horizontal coordinates turned about the vertical by the unit quaternion (w, 0, q, 0)."""
    u, v = q * z, -(q * x)
    right, front = w * u + q * v, w * v - q * u
    return x + (right + right), z + (front + front)


@_compiled
@no_type_check
def _fill_person(raw, person, found, turns, features):
    # Two frames, the current and the next: the person alone, and beside the other one before it is moved away.
    alone, beside = np.empty((2, 3, _BODY), raw.dtype), np.empty((2, 3, _BODY), raw.dtype)
    away_x, away_z = turns[person, 4], turns[person, 5]
    _place(raw, 0, person, found, turns, alone, beside)
    for t in range(len(raw) - 1):
        now, then = t % 2, (t + 1) % 2
        _place(raw, t + 1, person, found, turns, alone, beside)
        for j in range(_BODY):
            features[t, person, 3 * j] = beside[now, 0, j] + away_x
            features[t, person, 3 * j + 1] = beside[now, 1, j]
            features[t, person, 3 * j + 2] = beside[now, 2, j] + away_z
        for j in range(_BODY):
            features[t, person, 66 + 3 * j] = beside[then, 0, j] - beside[now, 0, j]
            features[t, person, 67 + 3 * j] = beside[then, 1, j] - beside[now, 1, j]
            features[t, person, 68 + 3 * j] = beside[then, 2, j] - beside[now, 2, j]
        for column in range(66, 192):
            features[t, person, 66 + column] = raw[t, column]
        for foot in range(4):
            j = FEET[foot]
            x, y = alone[then, 0, j] - alone[now, 0, j], alone[then, 1, j] - alone[now, 1, j]
            z = alone[then, 2, j] - alone[now, 2, j]
            # Compared in float64, as the loader does.
            still = np.float64(x * x + y * y + z * z) < FEET_SQUARED_STEP
            features[t, person, 258 + foot] = still and np.float64(alone[now, 1, j]) < FEET_HEIGHT[foot]


@_compiled
@no_type_check
def _place(raw, t, person, found, turns, alone, beside):
    """Joints of frame ``t``, into row ``t % 2`` of both buffers."""
    floor, root_x, root_z = found[person, 0], found[person, 1], found[person, 2]
    w, q, back_w, back_q = turns[person, 0], turns[person, 1], turns[person, 2], turns[person, 3]
    for j in range(_BODY):
        x, z = _turned(raw[t, 3 * j] - root_x, -raw[t, 3 * j + 1] - root_z, w, q)
        y = raw[t, 3 * j + 2] - floor
        alone[t % 2, 0, j], alone[t % 2, 1, j], alone[t % 2, 2, j] = x, y, z
        x, z = _turned(x, z, back_w, back_q)
        beside[t % 2, 0, j], beside[t % 2, 1, j], beside[t % 2, 2, j] = x, y, z


@_compiled
@no_type_check
def mirrored(rows, columns, signs):
    """Column ``columns[c]`` times ``signs[c]`` at each c, for every row of (N, C)."""
    result = np.empty_like(rows)
    for n in range(len(rows)):
        for c in range(rows.shape[1]):
            result[n, c] = rows[n, columns[c]] * signs[c]
    return result


@_compiled
@no_type_check
def lowest_joint(rotations, root, offsets, parents):
    """Lowest height of any joint in a clip, by forward kinematics.

    A joint's height needs one row of its global rotation only: how "up" looks to the joint. Going down the tree that
    row is turned by each joint's own rotation, r R = cos(t) r + sin(t)/t r x v + (1 - cos(t))/t^2 (r . v) v
    (Rodrigues).

    Args:
        rotations: (T, J, 3) axis-angles v, t = |v|.
        root: (T,) height of the translation.
        offsets: (J, 3) from each joint's parent, the root's from the translation.
        parents: (J,); the first is the root, and parents come before their children.
    """
    up, height = np.zeros((len(parents), 3)), np.zeros(len(parents))
    lowest = np.inf
    for t in range(len(rotations)):
        for j in range(len(parents)):
            if j == 0:
                x, y, z, base = 0.0, 1.0, 0.0, root[t]
            else:
                parent = parents[j]
                x, y, z, base = up[parent, 0], up[parent, 1], up[parent, 2], height[parent]
            height[j] = base + x * offsets[j, 0] + y * offsets[j, 1] + z * offsets[j, 2]
            lowest = min(lowest, height[j])
            a, b, c = rotations[t, j, 0], rotations[t, j, 1], rotations[t, j, 2]
            squared = a * a + b * b + c * c
            if squared > 0:
                angle = np.sqrt(squared)
                cosine, sine = np.cos(angle), np.sin(angle) / angle
                along = 2 * (np.sin(angle / 2) / angle) ** 2 * (x * a + y * b + z * c)
                x, y, z = (
                    cosine * x + sine * (y * c - z * b) + along * a,
                    cosine * y + sine * (z * a - x * c) + along * b,
                    cosine * z + sine * (x * b - y * a) + along * c,
                )
            up[j, 0], up[j, 1], up[j, 2] = x, y, z
    return lowest


@_compiled
@no_type_check
def add_sums(frames, total, squares):
    """Add column sums of ``frames``, (N, F), to ``total``, and those of squares to ``squares``, (F,) float64."""
    for n in range(len(frames)):
        for f in range(frames.shape[1]):
            value = np.float64(frames[n, f])
            total[f] += value
            squares[f] += value * value
