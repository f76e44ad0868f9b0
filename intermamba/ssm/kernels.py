"""The compiled loops of the ``cpu`` backends, in float32: the scan, and the convolution and normalisation around it.

Importing this module compiles them or loads numba's cache. :data:`WIDTH` values at once are computed with an explicit
vector type, because the inner loops are too short for a compiler to vectorise by itself. A lane is a channel; in the
normalisation, which sums over channels, a step. All kernels are in one file, since numba's cache detects a change in a
kernel's own file only, not in its imports.

A task is one sequence of the batch and some of its channels or steps, whose values it first copies to small buffers,
vector after vector, whatever the caller's strides. The scan's has :data:`CHANNELS` channels and walks along L in runs
of :data:`STEPS`. Threads that call a kernel with the same counter share its tasks. Tasks share nothing that they write,
and sums have an order that depends on the shapes only: the result has the same bytes on any number of
threads.
"""

import inspect
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import boolean, float32, float64, int64, types, void
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, models, overload, register_model

WIDTH = 16
"""Lanes of a vector: 64 bytes, which is one register of AVX-512, two of AVX, four of NEON."""
GROUP = 4
"""Vectors of channels that a task processes in a run, one after the other, with the same B and C."""
CHANNELS = GROUP * WIDTH
"""Channels of a task."""
STEPS = 32
"""Steps of a run. The forward pass keeps the states before each run for the backward pass."""
MANY = 8
"""Vectors of channels of a task of sampling's scan."""
AHEAD = 4
"""Steps that it takes at once; divides STEPS."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile when first used; the kernels release the interpreter's lock."""
    # Type checkers that wrap functions, as in the tests, must not wrap these: numba compiles the function itself.
    return numba.njit(inspect.unwrap(function), nogil=True, error_model="numpy")


def kernel(*arguments: types.Type) -> Callable[[Callable[..., Any]], Any]:
    """Compile now, or load from the cache, for these arguments only: arrays of any strides then share the code."""

    def compile_(function: Callable[..., Any]) -> Any:
        dispatcher = compiled(function)
        with suppress(RuntimeError):  # no writable folder: every process compiles for itself
            dispatcher.enable_caching()
        dispatcher.compile(void(*arguments))
        dispatcher.disable_compile()
        return dispatcher

    return compile_


def shape_of_starts(batch: int, channels: int, length: int, states: int) -> tuple[int, ...]:
    """Tasks, runs, vectors of channels, N, lanes: the states that :func:`forward` keeps."""
    return batch * -(-channels // CHANNELS), -(-length // STEPS), GROUP, states, WIDTH


# --- vectors ----------------------------------------------------------------------------------------------------------

VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
INTEGERS = ir.VectorType(ir.IntType(32), WIDTH)


class Lanes(types.Type):
    """WIDTH float32 values in vector registers."""


lanes = Lanes("Lanes")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: types.Type) -> None:
        super().__init__(manager, kind, VECTOR)


def _shuffle(builder: Any, a: Any, b: Any, picks: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(picks)), picks))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, VECTOR.as_pointer()), [row])


def _square(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> list[Any]:
    """Pointers to WIDTH vectors from number ``row`` on."""
    first = _pointer(context, builder, array_type, array, row)
    return [builder.gep(first, [ir.Constant(ir.IntType(64), i)]) for i in range(WIDTH)]


@intrinsic
def load(_typing: Any, array: Any, _row: Any) -> Any:
    """Vector number ``row`` of a contiguous array."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.load(_pointer(context, builder, array, *values), align=4)

    return lanes(array, types.intp), emit


@intrinsic
def store(_typing: Any, array: Any, _row: Any, _value: Any) -> Any:
    """Write vector number ``row`` of a contiguous array."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        builder.store(values[2], _pointer(context, builder, array, *values[:2]), align=4)
        return context.get_dummy_value()

    return void(array, types.intp, lanes), emit


def _at(context: Any, builder: Any, array_type: Any, array: Any, indices: Any) -> Any:
    """Pointer to the vector that starts at an element. A slice would first look for indices from the end."""
    made = context.make_array(array_type)(context, builder, array)
    place = builder.bitcast(made.data, ir.IntType(8).as_pointer())
    for axis, index in enumerate(indices):
        together = array_type.layout == "C" and axis == array_type.ndim - 1
        step = ir.Constant(ir.IntType(64), 4) if together else builder.extract_value(made.strides, axis)
        place = builder.gep(place, [builder.mul(index, step)])
    return builder.bitcast(place, VECTOR.as_pointer())


@intrinsic
def load_from(_typing: Any, array: Any, _first: Any) -> Any:
    """The vector from element ``first`` of a row on."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.load(_at(context, builder, array, values[0], values[1:]), align=4)

    return lanes(array, types.intp), emit


@intrinsic
def store_from(_typing: Any, array: Any, _first: Any, _value: Any) -> Any:
    """Write a vector from element ``first`` of a row on."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        builder.store(values[2], _at(context, builder, array, values[0], values[1:2]), align=4)
        return context.get_dummy_value()

    return void(array, types.intp, lanes), emit


@intrinsic
def load_at(_typing: Any, array: Any, _i: Any, _e: Any, _t: Any) -> Any:
    """The vector from element ``[i, e, t]`` on, whose elements are side by side."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.load(_at(context, builder, array, values[0], values[1:]), align=4)

    return lanes(array, *[types.intp] * 3), emit


@intrinsic
def store_at(_typing: Any, array: Any, _i: Any, _e: Any, _t: Any, _value: Any) -> Any:
    """Write a vector from element ``[i, e, t]`` on."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        builder.store(values[4], _at(context, builder, array, values[0], values[1:4]), align=4)
        return context.get_dummy_value()

    return void(array, *[types.intp] * 3, lanes), emit


@intrinsic
def put(_typing: Any, array: Any, _place: Any, _value: Any) -> Any:
    """Write one number; without the check for a negative place, for which loops become slow scattered writes."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        data = context.make_array(array)(context, builder, values[0]).data
        builder.store(values[2], builder.gep(data, [values[1]]))
        return context.get_dummy_value()

    return void(array, types.intp, float32), emit


@intrinsic
def transpose(_typing: Any, array: Any, _row: Any) -> Any:
    """Transpose the square of WIDTH vectors from number ``row`` on, in place."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        places = _square(context, builder, array, *values)
        rows = [builder.load(place, align=4) for place in places]
        # Within blocks of four by four, by two steps of one instruction each; then whole blocks.
        steps = (
            (1, (0, WIDTH, 1, WIDTH + 1), (2, WIDTH + 2, 3, WIDTH + 3)),
            (2, (0, 1, WIDTH, WIDTH + 1), (2, 3, WIDTH + 2, WIDTH + 3)),
        )
        for apart, *sides in steps:
            picks = [[at + pick for at in range(0, WIDTH, 4) for pick in side] for side in sides]
            pairs = [(rows[i], rows[i + apart]) for i in range(WIDTH) if not i & apart]
            rows = [_shuffle(builder, a, b, side) for a, b in pairs for side in picks]
        apart = 4
        while apart < WIDTH:
            low = [lane + (WIDTH - apart if lane & apart else 0) for lane in range(WIDTH)]
            high = [lane + (WIDTH if lane & apart else apart) for lane in range(WIDTH)]
            for i in range(WIDTH):
                if not i & apart:
                    a, b = rows[i], rows[i + apart]
                    rows[i], rows[i + apart] = _shuffle(builder, a, b, low), _shuffle(builder, a, b, high)
            apart *= 2
        for place, value in zip(places, rows, strict=True):
            builder.store(value, place, align=4)
        return context.get_dummy_value()

    return void(array, types.intp), emit


@intrinsic
def splat(_typing: Any, _value: Any) -> Any:
    """A scalar in every lane."""

    def emit(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        undefined = ir.Constant(VECTOR, ir.Undefined)
        one = builder.insert_element(undefined, values[0], ir.Constant(ir.IntType(32), 0))
        return _shuffle(builder, one, undefined, [0] * WIDTH)

    return lanes(float32), emit


@intrinsic
def total(_typing: Any, _value: Any) -> Any:
    """Sum of the lanes: halves added until one is left."""

    def emit(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        rest, size = values[0], WIDTH
        while size > 1:
            size //= 2
            low, high = (_shuffle(builder, rest, rest, list(range(at, at + size))) for at in (0, size))
            rest = builder.fadd(low, high)
        return builder.extract_element(rest, ir.Constant(ir.IntType(32), 0))

    return float32(lanes), emit


@intrinsic
def totals(_typing: Any, array: Any, _row: Any) -> Any:
    """Sums of WIDTH vectors from number ``row`` on, one a lane, each in the order of :func:`total`."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        rows = [builder.load(place, align=4) for place in _square(context, builder, array, *values)]
        # A vector holds so many parts of each of its sums; two vectors become one with half as many.
        parts = WIDTH
        while parts > 1:
            blocks = range(0, 2 * WIDTH, parts)
            low, high = ([at + k for at in blocks for k in range(side, side + parts // 2)] for side in (0, parts // 2))
            pairs = zip(rows[::2], rows[1::2], strict=True)
            rows = [builder.fadd(_shuffle(builder, a, b, low), _shuffle(builder, a, b, high)) for a, b in pairs]
            parts //= 2
        return rows[0]

    return lanes(array, types.intp), emit


@intrinsic
def root(_typing: Any, _value: Any) -> Any:
    """Square root of each lane."""

    def emit(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR])
        return builder.call(get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{WIDTH}f32"), values)

    return lanes(lanes), emit


@intrinsic
def take(_typing: Any, counter: Any) -> Any:
    """Index of the next task that no thread has taken yet."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        count = context.make_array(counter)(context, builder, values[0]).data
        return builder.atomic_rmw("add", count, ir.Constant(ir.IntType(64), 1), "monotonic")

    return int64(counter), emit


def _binary(operate: Callable[[Any, Any, Any], Any]) -> Any:
    """Function of two vectors, lane by lane, from the builder of its instruction."""

    @intrinsic
    def apply(_typing: Any, _a: Any, _b: Any) -> Any:
        return lanes(lanes, lanes), lambda _context, builder, _signature, values: operate(builder, *values)

    return apply


def _define(symbol: Any, instruction: str) -> None:
    """Give an arithmetic operator its meaning for vectors and scalars; a product and a sum may fuse."""
    apply = _binary(lambda builder, a, b: getattr(builder, instruction)(a, b, flags=("contract",)))

    @overload(symbol)
    def choose(a, b):
        match a, b:
            case Lanes(), Lanes():
                return lambda a, b: apply(a, b)
            case Lanes(), types.Number():
                return lambda a, b: apply(a, splat(b))
            case types.Number(), Lanes():
                return lambda a, b: apply(splat(a), b)
        return None


_define(operator.add, "fadd")
_define(operator.iadd, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.imul, "fmul")
_define(operator.truediv, "fdiv")

# Both propagate NaN.
at_least = _binary(lambda builder, x, bound: builder.select(builder.fcmp_ordered("<", x, bound), bound, x))
at_most = _binary(lambda builder, x, bound: builder.select(builder.fcmp_ordered(">", x, bound), bound, x))


@intrinsic
def where_negative(_typing: Any, _x: Any, _a: Any, _b: Any) -> Any:
    """Lanes of ``a`` where ``x`` is negative, of ``b`` elsewhere."""

    def emit(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        x, a, b = values
        return builder.select(builder.fcmp_ordered("<", x, ir.Constant(VECTOR, [0.0] * WIDTH)), a, b)

    return lanes(lanes, lanes, lanes), emit


def _scaled(builder: Any, x: Any, shifted: Any) -> Any:
    power = builder.shl(builder.bitcast(shifted, INTEGERS), ir.Constant(INTEGERS, [23] * WIDTH))
    return builder.bitcast(builder.add(builder.bitcast(x, INTEGERS), power), VECTOR)


scaled = _binary(_scaled)
"""``x * 2**k``, given k + SHIFT: the low bits of that are k, and go to x's exponent."""

SHIFT = 1.5 * 2**23
"""A float32 plus this is rounded to an integer."""
LOG2E = 1.4426950408889634
LN2 = 0.6931471805599453
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.4286068203094173e-06  # the first times any exponent is exact
# Minimax in the relative error: (exp(r) - 1 - r) / r**2 for |r| < ln(2) / 2, 2 artanh(s) / s in s**2 for s < 1 / 3.
EXP = (0.49999994039, 0.16666521132, 0.041668388993, 0.0083687100559, 0.0013814612757)
LOG1P = (2.0, 0.66666314682, 0.40024910280, 0.27960602747, 0.28178335087)
# (2**r - 1) / r, |r| < 1 / 2: with a term less, errors of one sign would add up over the steps.
EXP2 = (0.693147203, 0.240226479, 0.0555033247, 0.00961843736, 0.00133988748, 0.000153533623)


@compiled
def exp(x):
    """Exponential to 0.9 units in the last place; clamped between the smallest normal and the largest number."""
    x = at_most(at_least(x, splat(-87.3365)), splat(88.7228))
    shifted = x * LOG2E + SHIFT
    k = shifted - SHIFT
    r = x - k * LN2_HIGH - k * LN2_LOW
    q = (((EXP[4] * r + EXP[3]) * r + EXP[2]) * r + EXP[1]) * r + EXP[0]
    return scaled((q * r + 1.0) * r + 1.0, shifted)


@compiled
def exp2(x):
    """Power of two to a unit in the last place, in fewer instructions than :func:`exp`; clamped likewise."""
    x = at_most(at_least(x, splat(-126.0)), splat(127.999))
    shifted = x + SHIFT
    r = x - (shifted - SHIFT)
    q = ((((EXP2[5] * r + EXP2[4]) * r + EXP2[3]) * r + EXP2[2]) * r + EXP2[1]) * r + EXP2[0]
    return scaled(q * r + 1.0, shifted)


@compiled
def softplus(x):
    """``log(1 + exp(x))``."""
    return softplus_and_slope(x)[0]


@compiled
def softplus_and_slope(x):
    """``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``, with ``log1p(z) = 2 artanh(z / (z + 2))``; sigmoid."""
    zero = splat(0.0)
    z = exp(zero - at_least(x, zero - x))
    s = z / (z + 2.0)
    t = s * s
    y = at_least(x, zero) + s * ((((LOG1P[4] * t + LOG1P[3]) * t + LOG1P[2]) * t + LOG1P[1]) * t + LOG1P[0])
    slope = z / (z + 1.0)
    return y, where_negative(x, slope, 1.0 - slope)


@compiled
def sigmoid(x):
    """Logistic function of each lane."""
    return 1.0 / (1.0 + exp(0.0 - x))


# --- buffers ----------------------------------------------------------------------------------------------------------


@compiled
def buffer(rows):
    """Zeros for ``rows`` vectors, aligned to cache lines."""
    memory = np.zeros((rows + 1) * WIDTH, np.float32)
    start = -(memory.ctypes.data // 4) % WIDTH
    return memory[start : start + rows * WIDTH]


@compiled
def gather(rows, source, i, e, t, width, steps):
    """Row s becomes ``source[i, e : e + width, t + s]``, with zeros in the lanes from ``width`` on."""
    done = 0
    if width < WIDTH:
        rows[:] = 0
    if width == WIDTH and source.strides[1] == 4:  # channels side by side
        done = steps
        for s in range(done):
            store(rows, s, load_at(source, i, e, t + s))
    elif source.strides[2] == 4:  # steps side by side
        done = steps // WIDTH * WIDTH
        for s in range(0, done, WIDTH):
            for w in range(width):
                store(rows, s + w, load_at(source, i, e + w, t + s))
            transpose(rows, s)
    for w in range(width):
        for s in range(done, steps):
            rows[s * WIDTH + w] = source[i, e + w, t + s]


@compiled
def scatter(rows, target, i, e, t, width, steps):
    """The reverse of :func:`gather`; overwrites ``rows``."""
    done = 0
    if width == WIDTH and target.strides[1] == 4:
        done = steps
        for s in range(done):
            store_at(target, i, e, t + s, load(rows, s))
    elif target.strides[2] == 4:
        done = steps // WIDTH * WIDTH
        for s in range(0, done, WIDTH):
            transpose(rows, s)
            for w in range(width):
                store_at(target, i, e + w, t + s, load(rows, s + w))
    for w in range(width):
        for s in range(done, steps):
            target[i, e + w, t + s] = rows[s * WIDTH + w]


@compiled
def gather_projections(b, c, B, C, i, t, steps):
    """Copy the run of B and C, whose rows may be a power of two apart and so evict each other from the cache."""
    for n in range(B.shape[1]):
        for s in range(steps):
            put(b, n * STEPS + s, B[i, n, t + s])
            put(c, n * STEPS + s, C[i, n, t + s])


@compiled
def gather_parameters(rates, skip, offset, A, D, bias, first, wide):
    """Copy the parameters of ``wide`` channels from ``first`` on, with zeros in the missing lanes; rates for base 2."""
    rates[:] = 0
    skip[:] = 0
    offset[:] = 0
    for e in range(wide):
        skip[e] = D[first + e]
        offset[e] = bias[first + e]
        for n in range(A.shape[1]):
            rates[(e // WIDTH * A.shape[1] + n) * WIDTH + e % WIDTH] = A[first + e, n] * LOG2E


@compiled
def scatter_totals(rows, target, t, steps, one):
    """``target[n, t + s]`` becomes the sum of the lanes of row ``n * STEPS + s``; ``one`` is room for a vector."""
    for n in range(target.shape[0]):
        for s in range(0, steps, WIDTH):
            sums = totals(rows, n * STEPS + s)
            if s + WIDTH <= steps:
                store(target[n, t + s : t + s + WIDTH], 0, sums)
            else:
                store(one, 0, sums)
                for k in range(s, steps):
                    target[n, t + k] = one[k - s]


@compiled
def to_steps(step, offset, steps, use_softplus):
    """Step sizes from what was given for them."""
    if use_softplus:  # a branch within a loop would count references in every turn
        for s in range(steps):
            store(step, s, softplus(load(step, s) + offset))
    else:
        for s in range(steps):
            store(step, s, load(step, s) + offset)


@compiled
def to_steps_and_slopes(step, slope, offset, steps, use_softplus):
    """:func:`to_steps`, and their derivatives."""
    if use_softplus:
        for s in range(steps):
            step_s, slope_s = softplus_and_slope(load(step, s) + offset)
            store(step, s, step_s)
            store(slope, s, slope_s)
    else:
        for s in range(steps):
            store(step, s, load(step, s) + offset)
            store(slope, s, splat(1.0))


# --- the scan ---------------------------------------------------------------------------------------------------------

SEQUENCE = float32[:, :, :]
INPUTS = (SEQUENCE, SEQUENCE, float32[:, ::1], SEQUENCE, SEQUENCE, float32[::1], float32[::1], boolean)
STARTS = float32[:, :, :, :, ::1]
COUNTER = int64[::1]


@compiled
def advance(x, step, b, c, rates, h, skip, g, steps):
    """Take vector ``g`` of channels through a run, :data:`AHEAD` steps at once: x becomes y, h the last states."""
    states = b.shape[0]
    for s in range(0, steps, AHEAD):  # what is beyond the last step is never read again
        step_0, step_1, step_2, step_3 = load(step, s), load(step, s + 1), load(step, s + 2), load(step, s + 3)
        x_0, x_1, x_2, x_3 = load(x, s), load(x, s + 1), load(x, s + 2), load(x, s + 3)
        y_0, y_1, y_2, y_3 = skip * x_0, skip * x_1, skip * x_2, skip * x_3
        x_0, x_1, x_2, x_3 = step_0 * x_0, step_1 * x_1, step_2 * x_2, step_3 * x_3
        for n in range(states):
            rate, state = load(rates, g * states + n), load(h, g * states + n)
            state = exp2(step_0 * rate) * state + b[n, s] * x_0
            y_0 += c[n, s] * state
            state = exp2(step_1 * rate) * state + b[n, s + 1] * x_1
            y_1 += c[n, s + 1] * state
            state = exp2(step_2 * rate) * state + b[n, s + 2] * x_2
            y_2 += c[n, s + 2] * state
            state = exp2(step_3 * rate) * state + b[n, s + 3] * x_3
            y_3 += c[n, s + 3] * state
            store(h, g * states + n, state)
        store(x, s, y_0)
        store(x, s + 1, y_1)
        store(x, s + 2, y_2)
        store(x, s + 3, y_3)


@kernel(*INPUTS, STARTS, SEQUENCE, COUNTER)
def forward(u, delta, A, B, C, D, bias, use_softplus, starts, y, counter):
    """Write ``y`` and, unless it is empty, ``starts``: (tasks, runs, GROUP, N, WIDTH), the states before each run."""
    (batch, channels, length), states = u.shape, A.shape[1]
    tasks = -(-channels // CHANNELS)  # of one sequence
    x, step = buffer(STEPS), buffer(STEPS)
    b, c = np.zeros((states, STEPS), np.float32), np.zeros((states, STEPS), np.float32)
    rates, h = buffer(GROUP * states), buffer(GROUP * states)
    skip, offset = buffer(GROUP), buffer(GROUP)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * CHANNELS
        wide = min(CHANNELS, channels - first)
        gather_parameters(rates, skip, offset, A, D, bias, first, wide)
        h[:] = 0
        for t in range(0, length, STEPS):
            steps = min(STEPS, length - t)
            gather_projections(b, c, B, C, i, t, steps)
            for g in range(-(-wide // WIDTH)):
                e, width = first + g * WIDTH, min(WIDTH, wide - g * WIDTH)
                if starts.size:
                    for n in range(states):
                        store(starts[task, t // STEPS, g], n, load(h, g * states + n))
                gather(x, u, i, e, t, width, steps)
                gather(step, delta, i, e, t, width, steps)
                to_steps(step, load(offset, g), steps, use_softplus)
                advance(x, step, b, c, rates, h, load(skip, g), g, steps)
                scatter(x, y, i, e, t, width, steps)


@kernel(*[SEQUENCE] * 3, float32[:, ::1], *[SEQUENCE] * 2, *[float32[::1]] * 2, SEQUENCE, COUNTER)
def forward_of_product(u, weight, low, A, B, C, D, bias, y, counter):
    """Sampling's :func:`forward`: step sizes are ``softplus(weight @ low + bias)``, and no states are kept.

    ``weight`` is (B, E, R), ``low`` (B, R, L). States stay in registers through :data:`AHEAD` steps.
    """
    (batch, channels, length), states, rank = u.shape, A.shape[1], weight.shape[2]
    tasks = -(-channels // (MANY * WIDTH))  # of one sequence
    x, step = buffer(STEPS), buffer(STEPS)
    b, c = np.zeros((states, STEPS), np.float32), np.zeros((states, STEPS), np.float32)
    short = np.empty((STEPS, rank), np.float32)
    rates, h, widening = buffer(MANY * states), buffer(MANY * states), buffer(MANY * rank)
    skip, offset = buffer(MANY), buffer(MANY)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * MANY * WIDTH
        wide = min(MANY * WIDTH, channels - first)
        gather_parameters(rates, skip, offset, A, D, bias, first, wide)
        widening[:] = 0
        for e in range(wide):
            for r in range(rank):
                widening[(e // WIDTH * rank + r) * WIDTH + e % WIDTH] = weight[i, first + e, r]
        h[:] = 0
        for t in range(0, length, STEPS):
            steps = min(STEPS, length - t)
            gather_projections(b, c, B, C, i, t, steps)
            for s in range(steps):
                for r in range(rank):
                    short[s, r] = low[i, r, t + s]
            for g in range(-(-wide // WIDTH)):
                e, width = first + g * WIDTH, min(WIDTH, wide - g * WIDTH)
                gather(x, u, i, e, t, width, steps)
                for s in range(steps):
                    raw = load(offset, g)
                    for r in range(rank):
                        raw += load(widening, g * rank + r) * short[s, r]
                    store(step, s, softplus(raw))
                advance(x, step, b, c, rates, h, load(skip, g), g, steps)
                scatter(x, y, i, e, t, width, steps)


@compiled
def enter_again(start, rates, b, step, entering, decay, h, g, steps):
    """The states of a run once more, from those before it: row s of a state's in ``h`` is that before step s."""
    for n in range(b.shape[0]):
        rate, state, first = load(rates, g * b.shape[0] + n), load(start, n), n * (STEPS + 1)
        store(h, first, state)
        for s in range(-(-steps // AHEAD) * AHEAD):
            decay_s = exp2(load(step, s) * rate)
            state = decay_s * state + b[n, s] * load(entering, s)
            store(decay, n * STEPS + s, decay_s)
            store(h, first + s + 1, state)


@compiled
def retreat_one(s, n, grad, entering, step, b, c, rate, decay, h, by_b, by_c, adjoint, by_rate, by_entering, by_step):
    """Take a state's derivative back over step s: the derivative before it, and what it adds to the last three."""
    k, before = n * STEPS + s, n * (STEPS + 1) + s
    adjoint += c[n, s] * grad
    store(by_c, k, load(by_c, k) + load(h, before + 1) * grad)
    store(by_b, k, load(by_b, k) + adjoint * entering)
    by_entering += b[n, s] * adjoint
    adjoint *= load(decay, k)
    by_exponent = adjoint * load(h, before)
    return adjoint, by_rate + by_exponent * step, by_entering, by_step + by_exponent * rate


@compiled
def retreat(grad, step, entering, b, c, decay, h, rates, carry, by_rate, by_step, by_entering, by_b, by_c, g, steps):
    """Take the derivatives of the states of vector ``g`` back through a run, :data:`AHEAD` steps at once, by the same
    recurrence backwards. ``carry`` becomes those before the run.
    """
    states, zero = b.shape[0], splat(0.0)
    for s in range((steps - 1) // AHEAD * AHEAD, -1, -AHEAD):
        grad_0, grad_1, grad_2, grad_3 = load(grad, s), load(grad, s + 1), load(grad, s + 2), load(grad, s + 3)
        x_0, x_1, x_2, x_3 = load(entering, s), load(entering, s + 1), load(entering, s + 2), load(entering, s + 3)
        step_0, step_1, step_2, step_3 = load(step, s), load(step, s + 1), load(step, s + 2), load(step, s + 3)
        by_x_0, by_x_1, by_x_2, by_x_3 = zero, zero, zero, zero
        by_0, by_1, by_2, by_3 = zero, zero, zero, zero
        for n in range(states):
            place = g * states + n
            rate, one, by = load(rates, place), load(carry, place), load(by_rate, place)
            one, by, by_x_3, by_3 = retreat_one(
                s + 3, n, grad_3, x_3, step_3, b, c, rate, decay, h, by_b, by_c, one, by, by_x_3, by_3
            )
            one, by, by_x_2, by_2 = retreat_one(
                s + 2, n, grad_2, x_2, step_2, b, c, rate, decay, h, by_b, by_c, one, by, by_x_2, by_2
            )
            one, by, by_x_1, by_1 = retreat_one(
                s + 1, n, grad_1, x_1, step_1, b, c, rate, decay, h, by_b, by_c, one, by, by_x_1, by_1
            )
            one, by, by_x_0, by_0 = retreat_one(
                s, n, grad_0, x_0, step_0, b, c, rate, decay, h, by_b, by_c, one, by, by_x_0, by_0
            )
            store(carry, place, one)
            store(by_rate, place, by)
        store(by_entering, s, by_x_0)
        store(by_entering, s + 1, by_x_1)
        store(by_entering, s + 2, by_x_2)
        store(by_entering, s + 3, by_x_3)
        store(by_step, s, by_0)
        store(by_step, s + 1, by_1)
        store(by_step, s + 2, by_2)
        store(by_step, s + 3, by_3)


@kernel(
    *INPUTS,
    STARTS,
    *[SEQUENCE] * 3,
    float32[:, :, ::1],
    *[float32[:, :, :, ::1]] * 2,
    *[float32[:, ::1]] * 2,
    COUNTER,
)
def backward(u, delta, A, B, C, D, bias, use_softplus, starts, dy, du, ddelta, dA, dB, dC, dD, dbias, counter):
    """Write ``du``, ``ddelta``, and each task's share of the other gradients.

    ``dA`` is (B, E, N), ``dD`` and ``dbias`` are (B, E), ``dB`` and ``dC`` are (tasks of a sequence, B, N, L).
    """
    (batch, channels, length), states = u.shape, A.shape[1]
    tasks = dB.shape[0]
    x, step, slope, grad, entering = buffer(STEPS), buffer(STEPS), buffer(STEPS), buffer(STEPS), buffer(STEPS)
    by_step, by_entering, one = buffer(STEPS), buffer(STEPS), buffer(1)
    b, c = np.zeros((states, STEPS), np.float32), np.zeros((states, STEPS), np.float32)
    by_b, by_c = buffer(states * STEPS), buffer(states * STEPS)
    decay, h = buffer(states * STEPS), buffer(states * (STEPS + 1))
    rates, by_rate, carry = buffer(GROUP * states), buffer(GROUP * states), buffer(GROUP * states)
    skip, offset, by_skip, by_offset = buffer(GROUP), buffer(GROUP), buffer(GROUP), buffer(GROUP)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * CHANNELS
        wide = min(CHANNELS, channels - first)
        gather_parameters(rates, skip, offset, A, D, bias, first, wide)
        carry[:] = 0
        by_rate[:] = 0
        by_skip[:] = 0
        by_offset[:] = 0
        for run in range(-(-length // STEPS) - 1, -1, -1):
            t = run * STEPS
            steps = min(STEPS, length - t)
            if steps < STEPS:  # steps without size or gradient fill the last of AHEAD
                b[:] = 0
                c[:] = 0
                step[:] = 0
                entering[:] = 0
                grad[:] = 0
            gather_projections(b, c, B, C, i, t, steps)
            by_b[:] = 0
            by_c[:] = 0
            for g in range(-(-wide // WIDTH)):
                e, width = first + g * WIDTH, min(WIDTH, wide - g * WIDTH)
                gather(x, u, i, e, t, width, steps)
                gather(step, delta, i, e, t, width, steps)
                gather(grad, dy, i, e, t, width, steps)
                to_steps_and_slopes(step, slope, load(offset, g), steps, use_softplus)
                for s in range(steps):
                    store(entering, s, load(step, s) * load(x, s))
                enter_again(starts[task, run, g], rates, b, step, entering, decay, h, g, steps)
                kept = (b, c, decay, h, rates)
                retreat(grad, step, entering, *kept, carry, by_rate, by_step, by_entering, by_b, by_c, g, steps)
                skip_g, by_offset_g, by_skip_g = load(skip, g), load(by_offset, g), load(by_skip, g)
                for s in range(steps):
                    x_s, grad_s, by_entering_s = load(x, s), load(grad, s), load(by_entering, s)
                    by_delta = (load(by_step, s) * LN2 + by_entering_s * x_s) * load(slope, s)
                    store(x, s, by_entering_s * load(step, s) + skip_g * grad_s)
                    store(step, s, by_delta)
                    by_offset_g += by_delta
                    by_skip_g += grad_s * x_s
                store(by_offset, g, by_offset_g)
                store(by_skip, g, by_skip_g)
                scatter(x, du, i, e, t, width, steps)
                scatter(step, ddelta, i, e, t, width, steps)
            scatter_totals(by_b, dB[task % tasks, i], t, steps, one)
            scatter_totals(by_c, dC[task % tasks, i], t, steps, one)
        for e in range(wide):
            dD[i, first + e] = by_skip[e]
            dbias[i, first + e] = by_offset[e]
            for n in range(states):
                dA[i, first + e, n] = by_rate[(e // WIDTH * states + n) * WIDTH + e % WIDTH]


# --- causal convolution and SiLU --------------------------------------------------------------------------------------

FILTERS = (float32[:, ::1], float32[::1], float32[::1], boolean[:, ::1])


@compiled
def gather_filters(filters, offset, past, keep, weight, bias, start, real, i, first, width):
    """Copy the filters of ``width`` channels from ``first`` on, with zeros in the missing lanes."""
    filters[:] = 0
    offset[:] = 0
    past[:] = 0
    keep[:] = 0
    for e in range(width):
        past[e] = start[first + e]
        offset[e] = bias[first + e]
        keep[e] = real[i, first + e]
        for k in range(weight.shape[1]):
            filters[k * WIDTH + e] = weight[first + e, k]


@compiled
def convolved(rows, filters, offset, s, taps):
    """The convolution at step ``s``; row s is that of the earliest step it sees."""
    raw = load(offset, 0)
    for k in range(taps):
        raw += load(filters, k) * load(rows, s + k)
    return raw


@compiled
def read_row(row, source, count):
    """Copy ``count`` numbers to the start of ``row``, with zeros up to the end of their last vector."""
    whole = count // WIDTH
    for k in range(whole):
        store(row, k, load(source, k))
    if whole * WIDTH < count:
        store(row, whole, splat(0.0))
        for s in range(whole * WIDTH, count):
            row[s] = source[s]


@compiled
def write_row(target, row, count):
    """Copy the first ``count`` numbers of ``row``."""
    whole = count // WIDTH
    for k in range(whole):
        store(target, k, load(row, k))
    for s in range(whole * WIDTH, count):
        target[s] = row[s]


@compiled
def convolved_row(row, weight, bias, s):
    """The convolution at WIDTH steps from ``s`` on, of one channel whose earliest step is at the start of ``row``."""
    raw = splat(bias)
    for k in range(len(weight)):
        raw += load_from(row, s + k) * weight[k]
    return raw


@kernel(SEQUENCE, *FILTERS, SEQUENCE, COUNTER)
def conv_forward(x, weight, bias, start, real, y, counter):
    """Write ``y``; ``start`` is the value of the steps before the first that the filter reaches."""
    (batch, channels, length), taps = x.shape, weight.shape[1]
    tasks = -(-channels // CHANNELS)  # of one sequence
    before = taps - 1
    rows = buffer(before + max(STEPS, length // WIDTH + 2))
    filters, ends = buffer(GROUP * taps), buffer(GROUP * before)  # of each vector: the last steps of the run before
    offset, past, keep = buffer(GROUP), buffer(GROUP), buffer(GROUP)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * CHANNELS
        wide = min(CHANNELS, channels - first)
        if x.strides[2] == 4 and y.strides[2] == 4:  # steps side by side: lanes are steps
            for e in range(first, first + wide):
                rows[:before] = start[e]
                read_row(rows[before:], x[i, e], length)
                for s in range(0, length, WIDTH):  # what is before step s is not read again
                    raw = convolved_row(rows, weight[e], bias[e], s)
                    store(rows, s // WIDTH, raw * sigmoid(raw) * np.float32(real[i, e]))
                write_row(y[i, e], rows, length)
            continue
        for g in range(-(-wide // WIDTH)):
            e, width, lanes_ = first + g * WIDTH, min(WIDTH, wide - g * WIDTH), slice(g * WIDTH, (g + 1) * WIDTH)
            of_g = filters[g * taps * WIDTH : (g + 1) * taps * WIDTH]
            gather_filters(of_g, offset[lanes_], past[lanes_], keep[lanes_], weight, bias, start, real, i, e, width)
            for s in range(before):
                store(ends, g * before + s, load(past, g))
        for t in range(0, length, STEPS):
            steps = min(STEPS, length - t)
            for g in range(-(-wide // WIDTH)):
                e, width = first + g * WIDTH, min(WIDTH, wide - g * WIDTH)
                for s in range(before):
                    store(rows, s, load(ends, g * before + s))
                gather(rows[before * WIDTH :], x, i, e, t, width, steps)
                for s in range(before):
                    store(ends, g * before + s, load(rows, steps + s))
                of_g = filters[g * taps * WIDTH : (g + 1) * taps * WIDTH]
                for s in range(steps):  # row s is not read again
                    raw = convolved(rows, of_g, offset[g * WIDTH : (g + 1) * WIDTH], s, taps)
                    store(rows, s, raw * sigmoid(raw) * load(keep, g))
                scatter(rows, y, i, e, t, width, steps)


@compiled
def slope_of_silu(raw):
    """Derivative of ``raw * sigmoid(raw)``."""
    gate = sigmoid(raw)
    return gate * (1.0 + raw * (1.0 - gate))


@compiled
def correlated(by_filter, grad, rows, taps, length, along, apart):
    """Row k of ``by_filter`` becomes the sum over s, every ``along``-th, of ``grad[s]`` times ``rows[s + k * apart]``.

    Four taps at once, in registers; what is behind the last tap is never read.
    """
    for k in range(0, taps, 4):
        sum_0, sum_1, sum_2, sum_3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
        for s in range(0, length, along):
            one, place = load_from(grad, s), s + k * apart
            sum_0 += one * load_from(rows, place)
            sum_1 += one * load_from(rows, place + apart)
            sum_2 += one * load_from(rows, place + 2 * apart)
            sum_3 += one * load_from(rows, place + 3 * apart)
        store(by_filter, k, sum_0)
        store(by_filter, k + 1, sum_1)
        store(by_filter, k + 2, sum_2)
        store(by_filter, k + 3, sum_3)


@kernel(SEQUENCE, *FILTERS, SEQUENCE, SEQUENCE, float32[:, :, ::1], float32[:, ::1], float32[:, ::1], COUNTER)
def conv_backward(x, weight, bias, start, real, dy, dx, dweight, dbias, dstart, counter):
    """Write ``dx``, and each sequence's share of the other gradients: (B, E, K) and (B, E)."""
    (batch, channels, length), taps = x.shape, weight.shape[1]
    tasks = -(-channels // WIDTH)
    before = taps - 1
    rows, grad = buffer(before + length + 3), buffer(length + before)
    filters, offset, past, keep = buffer(taps), buffer(1), buffer(1), buffer(1)
    by_filter = buffer(taps + 3)
    side_by_side = x.strides[2] == 4 and dy.strides[2] == 4 and dx.strides[2] == 4
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, e = task // tasks, task % tasks * WIDTH
        width = min(WIDTH, channels - e)
        if side_by_side:  # lanes are steps
            for channel in range(e, e + width):
                rows[:before] = start[channel]
                read_row(rows[before:], x[i, channel], length)
                read_row(grad, dy[i, channel], length)
                by_offset = splat(0.0)
                for s in range(0, length, WIDTH):
                    raw = convolved_row(rows, weight[channel], bias[channel], s)
                    by_raw = load_from(grad, s) * slope_of_silu(raw) * np.float32(real[i, channel])
                    store_from(grad, s, by_raw)
                    by_offset += by_raw
                correlated(by_filter, grad, rows, taps, length, WIDTH, 1)
                after = -(-length // WIDTH) * WIDTH
                grad[after : after + before] = 0
                by_start = np.float32(0)
                for s in range(before):  # gradient of each step before the first, from the filters that reach it
                    for k in range(s + 1):
                        by_start += weight[channel, k] * grad[s - k]
                for s in range(0, length, WIDTH):
                    by_x = splat(0.0)
                    for k in range(taps):
                        by_x += load_from(grad, s + before - k) * weight[channel, k]
                    store_from(rows, s, by_x)
                write_row(dx[i, channel], rows, length)
                dbias[i, channel] = total(by_offset)
                dstart[i, channel] = by_start
                for k in range(taps):
                    dweight[i, channel, k] = total(load(by_filter, k))
            continue
        gather_filters(filters, offset, past, keep, weight, bias, start, real, i, e, width)
        by_offset, by_start = splat(0.0), splat(0.0)
        for s in range(before):
            store(rows, s, load(past, 0))
        grad[length * WIDTH :] = 0
        gather(rows[before * WIDTH :], x, i, e, 0, width, length)
        gather(grad[: length * WIDTH], dy, i, e, 0, width, length)
        for s in range(length):
            raw = convolved(rows, filters, offset, s, taps)
            by_raw = load(grad, s) * slope_of_silu(raw) * load(keep, 0)
            store(grad, s, by_raw)
            by_offset += by_raw
        correlated(by_filter, grad, rows, taps, length * WIDTH, WIDTH, WIDTH)
        for s in range(before):
            for k in range(s + 1):
                by_start += load(filters, k) * load(grad, s - k)
        for s in range(length):
            by_x = splat(0.0)
            for k in range(taps):
                by_x += load(filters, k) * load(grad, s + before - k)
            store(rows, s, by_x)
        scatter(rows, dx, i, e, 0, width, length)
        store(offset, 0, by_offset)
        store(past, 0, by_start)
        for lane in range(width):
            dbias[i, e + lane] = offset[lane]
            dstart[i, e + lane] = past[lane]
            for k in range(taps):
                dweight[i, e + lane, k] = by_filter[k * WIDTH + lane]


# --- normalisation over channels --------------------------------------------------------------------------------------
# Lanes are steps here, and sequences are (B, L, E).


@compiled
def share_of(real, i):
    """Weight of a real channel in a mean."""
    count = 0
    for e in range(real.shape[1]):
        count += real[i, e]
    return 1.0 / count


@compiled
def mean_of(rows, real, i, share):
    """Mean of row ``i`` over its real elements; ``share`` is one over their number."""
    mean = splat(0.0)
    for e in range(real.shape[1]):
        if real[i, e]:
            mean += load(rows, e) * share
    return mean


@compiled
def scale_of(rows, mean, real, i, share, eps):
    """One over the standard deviation of row ``i`` over its real elements."""
    variance = splat(0.0)
    for e in range(real.shape[1]):
        if real[i, e]:
            centred = load(rows, e) - mean
            variance += centred * centred * share
    return 1.0 / root(variance + eps)


@kernel(SEQUENCE, *[float32[::1]] * 2, boolean[:, ::1], float64, SEQUENCE, COUNTER)
def norm_forward(x, weight, bias, real, eps, y, counter):
    """Write ``y``; only real channels count in the mean and variance, but all are normalised."""
    batch, length, channels = x.shape
    tasks = -(-length // WIDTH)  # of one sequence
    rows = buffer(channels)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, t = task // tasks, task % tasks * WIDTH
        width = min(WIDTH, length - t)
        share = share_of(real, i)
        gather(rows, x, i, t, 0, width, channels)
        mean = mean_of(rows, real, i, share)
        scale = scale_of(rows, mean, real, i, share, eps)
        for e in range(channels):
            store(rows, e, (load(rows, e) - mean) * scale * weight[e] + bias[e])
        scatter(rows, y, i, t, 0, width, channels)


@compiled
def before_norm(rows, grad, weight, by_weight, real, i, share, eps):
    """``rows``, the input of the normalisation, becomes its gradient; ``grad``, that of the output, is overwritten."""
    channels = len(weight)
    mean = mean_of(rows, real, i, share)
    scale = scale_of(rows, mean, real, i, share, eps)
    by_mean, by_scale = splat(0.0), splat(0.0)
    for e in range(channels):
        normal, by_normal = (load(rows, e) - mean) * scale, load(grad, e)
        store(by_weight, e, load(by_weight, e) + by_normal * normal)
        by_normal *= weight[e]
        by_mean += by_normal
        by_scale += by_normal * normal
        store(rows, e, normal)
        store(grad, e, by_normal)
    by_mean *= share
    by_scale *= share
    for e in range(channels):
        by_x = load(grad, e)
        if real[i, e]:
            by_x = by_x - by_mean - load(rows, e) * by_scale
        store(rows, e, by_x * scale)


@kernel(SEQUENCE, float32[::1], boolean[:, ::1], float64, SEQUENCE, SEQUENCE, *[float32[:, ::1]] * 2, COUNTER)
def norm_backward(x, weight, real, eps, dy, dx, dweight, dbias, counter):
    """Write ``dx``, and the share of each sequence, a task here, of the other gradients: (B, E)."""
    batch, length, channels = x.shape
    rows, grad, by_weight, by_bias = buffer(channels), buffer(channels), buffer(channels), buffer(channels)
    while True:
        i = take(counter)
        if i >= batch:
            return
        by_weight[:] = 0
        by_bias[:] = 0
        share = share_of(real, i)
        for t in range(0, length, WIDTH):
            width = min(WIDTH, length - t)
            gather(rows, x, i, t, 0, width, channels)
            gather(grad, dy, i, t, 0, width, channels)
            for e in range(channels):
                store(by_bias, e, load(by_bias, e) + load(grad, e))
            before_norm(rows, grad, weight, by_weight, real, i, share, eps)
            scatter(rows, dx, i, t, 0, width, channels)
        for e in range(channels):
            dweight[i, e] = total(load(by_weight, e))
            dbias[i, e] = total(load(by_bias, e))


@compiled
def multiplied(rows, short, wide):
    """``rows`` become ``wide`` times the rows of ``short``, four at once: a sum alone would wait for itself."""
    channels, rank = wide.shape
    whole = channels // 4 * 4
    for e in range(0, whole, 4):
        sum_0, sum_1, sum_2, sum_3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
        for r in range(rank):
            one = load(short, r)
            sum_0 += one * wide[e, r]
            sum_1 += one * wide[e + 1, r]
            sum_2 += one * wide[e + 2, r]
            sum_3 += one * wide[e + 3, r]
        store(rows, e, sum_0)
        store(rows, e + 1, sum_1)
        store(rows, e + 2, sum_2)
        store(rows, e + 3, sum_3)
    for e in range(whole, channels):
        sum_0 = splat(0.0)
        for r in range(rank):
            sum_0 += load(short, r) * wide[e, r]
        store(rows, e, sum_0)


@kernel(SEQUENCE, float32[:, ::1], float32[::1], boolean[:, ::1], float64, SEQUENCE, COUNTER)
def product_forward(low, wide, weight, real, eps, y, counter):
    """:func:`norm_forward`, without bias, of the product of ``wide``, (E, R), and ``low``, (B, L, R)."""
    (batch, length, rank), channels = low.shape, len(weight)
    tasks = -(-length // WIDTH)  # of one sequence
    rows, short = buffer(channels), buffer(rank)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, t = task // tasks, task % tasks * WIDTH
        width = min(WIDTH, length - t)
        share = share_of(real, i)
        gather(short, low, i, t, 0, width, rank)
        multiplied(rows, short, wide)
        mean = mean_of(rows, real, i, share)
        scale = scale_of(rows, mean, real, i, share, eps)
        for e in range(channels):
            store(rows, e, (load(rows, e) - mean) * scale * weight[e])
        scatter(rows, y, i, t, 0, width, channels)


@kernel(
    SEQUENCE, float32[:, ::1], float32[::1], boolean[:, ::1], float64, *[SEQUENCE] * 2, *[float32[:, ::1]] * 2, COUNTER
)
def product_backward(low, wide, weight, real, eps, dy, dlow, dwide, dweight, counter):
    """Write ``dlow``, and the share of each sequence, a task here, of the other gradients: (B, E R) and (B, E).

    The rows of ``dwide`` are filled up to whole vectors.
    """
    (batch, length, rank), channels = low.shape, len(weight)
    rows, grad, by_weight, short = buffer(channels), buffer(channels), buffer(channels), buffer(rank)
    blocks = -(-length // WIDTH)
    by_product, factor = buffer(channels * blocks), buffer((rank + 3) * blocks)  # of a whole sequence
    by_wide = buffer(dwide.shape[1] + 3)
    while True:
        i = take(counter)
        if i >= batch:
            return
        by_weight[:] = 0
        share = share_of(real, i)
        for t in range(0, length, WIDTH):
            width = min(WIDTH, length - t)
            gather(short, low, i, t, 0, width, rank)
            gather(grad, dy, i, t, 0, width, channels)
            multiplied(rows, short, wide)
            before_norm(rows, grad, weight, by_weight, real, i, share, eps)
            for e in range(channels):
                store(by_product, e * blocks + t // WIDTH, load(rows, e))
            for r in range(rank):
                store(factor, r * blocks + t // WIDTH, load(short, r))
            multiplied(short, rows, wide.T)
            scatter(short, dlow, i, t, 0, width, rank)
        for e in range(channels):
            for r in range(0, rank, 4):  # what is behind the last is zero, and overwritten by the next channel
                sum_0, sum_1, sum_2, sum_3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                for t in range(blocks):
                    one, place = load(by_product, e * blocks + t), r * blocks + t
                    sum_0 += one * load(factor, place)
                    sum_1 += one * load(factor, place + blocks)
                    sum_2 += one * load(factor, place + 2 * blocks)
                    sum_3 += one * load(factor, place + 3 * blocks)
                place = e * rank + r
                store(by_wide, place, sum_0)
                store(by_wide, place + 1, sum_1)
                store(by_wide, place + 2, sum_2)
                store(by_wide, place + 3, sum_3)
        for k in range(0, dwide.shape[1], WIDTH):
            store_from(dwide[i], k, totals(by_wide, k))
        for e in range(channels):
            dweight[i, e] = total(load(by_weight, e))


# --- what follows ASTM's branches and precedes Cross-ASTM -------------------------------------------------------------
# Sequences are (B, T, D), features side by side, D a multiple of WIDTH; padded frames are not real. Backward, a task is
# a whole sequence, and gradients of parameters are its share.

ROWS = float32[:, :, ::1]
TABLE = float32[:, ::1]
ROW = float32[::1]
FRAMES = 32
"""Frames of a task."""


@compiled
def row_statistics(row, other, wide):
    """Mean and variance of two rows of ``wide`` vectors together."""
    count = np.float32(2 * wide * WIDTH)
    mean, variance = splat(0.0), splat(0.0)
    for k in range(wide):
        mean += load(row, k) + load(other, k)
    centre = total(mean) / count
    for k in range(wide):
        first, second = load(row, k) - centre, load(other, k) - centre
        variance += first * first + second * second
    return centre, total(variance) / count


@kernel(ROWS, boolean[:, ::1], float64, *[TABLE] * 2, COUNTER)
def frame_statistics(x, real, eps, mean, scale, counter):
    """Write the mean over real frames of every feature, and its inverse deviation: (B, D)."""
    batch, length, features = x.shape
    wide = features // WIDTH
    tasks = -(-wide // GROUP)  # of one sequence: groups of features
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * GROUP
        share = np.float32(share_of(real, i))
        for k in range(first, min(first + GROUP, wide)):
            centre, variance = splat(0.0), splat(0.0)
            for t in range(length):
                if real[i, t]:
                    centre += load(x[i, t], k) * share
            for t in range(length):
                if real[i, t]:
                    away = load(x[i, t], k) - centre
                    variance += away * away * share
            store(mean[i], k, centre)
            store(scale[i], k, 1.0 / root(variance + np.float32(eps)))


@kernel(*[ROWS] * 3, *[TABLE] * 2, *[ROW] * 7, float64, ROWS, COUNTER)
def branches(
    temporal, spatial, gate, mean, scale, gate_bias, weight_t, bias_t, weight_s, bias_s, alpha, beta, eps, z, counter
):
    """Write ``z``: both branches, normalised and weighted, summed, times the SiLU of ``gate``.

    ``mean`` and ``scale`` are the spatial branch's, of :func:`frame_statistics`; ``gate_bias`` is added to ``gate``.
    """
    batch, length, features = temporal.shape
    wide, tasks = features // WIDTH, -(-length // FRAMES)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * FRAMES
        for t in range(first, min(length, first + FRAMES)):
            along, across, door, out = temporal[i, t], spatial[i, t], gate[i, t], z[i, t]
            centre, variance = row_statistics(along, along, wide)
            spread = alpha[0] / np.float32(np.sqrt(variance + eps))
            for k in range(wide):
                one = (load(along, k) - centre) * spread * load(weight_t, k) + load(bias_t, k) * alpha[0]
                other = (load(across, k) - load(mean[i], k)) * load(scale[i], k)
                raw = load(door, k) + load(gate_bias, k)
                store(out, k, (one + other * (beta[0] * weight_s[t]) + beta[0] * bias_s[t]) * raw * sigmoid(raw))


@compiled
def increase(row, k, value):
    """Add to vector number ``k``."""
    store(row, k, load(row, k) + value)


@kernel(*[ROWS] * 3, *[TABLE] * 2, *[ROW] * 7, boolean[:, ::1], float64, *[ROWS] * 4, *[TABLE] * 7, COUNTER)
def branches_backward(
    temporal,
    spatial,
    gate,
    mean,
    scale,
    gate_bias,
    weight_t,
    bias_t,
    weight_s,
    bias_s,
    alpha,
    beta,
    real,
    eps,
    dz,
    dtemporal,
    dspatial,
    dgate,
    dgate_bias,
    dweight_t,
    dbias_t,
    dweight_s,
    dbias_s,
    dalpha,
    dbeta,
    counter,
):
    """Write the gradients of :func:`branches`: those of features (B, D), of frames (B, T), of the weights (B, 1)."""
    batch, length, features = temporal.shape
    wide = features // WIDTH
    by_mean, by_scale = buffer(wide), buffer(wide)  # of the spatial branch
    while True:
        i = take(counter)
        if i >= batch:
            return
        share = np.float32(share_of(real, i))
        by_mean[:] = 0
        by_scale[:] = 0
        dgate_bias[i] = 0
        dweight_t[i] = 0
        dbias_t[i] = 0
        by_alpha, by_beta = splat(0.0), splat(0.0)
        for t in range(length):
            along, across, door, out = temporal[i, t], spatial[i, t], gate[i, t], dz[i, t]
            by_along, by_across, by_door = dtemporal[i, t], dspatial[i, t], dgate[i, t]
            centre, variance = row_statistics(along, along, wide)
            spread = np.float32(1.0 / np.sqrt(variance + eps))
            weight, by_weight, by_bias = weight_s[t], splat(0.0), splat(0.0)
            by_centre, by_spread = splat(0.0), splat(0.0)
            for k in range(wide):
                normal = (load(along, k) - centre) * spread
                other = (load(across, k) - load(mean[i], k)) * load(scale[i], k)
                one, two = normal * load(weight_t, k) + load(bias_t, k), other * weight + bias_s[t]
                raw = load(door, k) + load(gate_bias, k)
                open_, by_z = sigmoid(raw), load(out, k)
                by_raw = by_z * (one * alpha[0] + two * beta[0]) * open_ * (1.0 + raw * (1.0 - open_))
                store(by_door, k, by_raw)
                increase(dgate_bias[i], k, by_raw)
                by_sum = by_z * raw * open_
                by_alpha += by_sum * one
                by_beta += by_sum * two
                by_one, by_two = by_sum * alpha[0], by_sum * beta[0]
                increase(dweight_t[i], k, by_one * normal)
                increase(dbias_t[i], k, by_one)
                by_weight += by_two * other
                by_bias += by_two
                by_one *= load(weight_t, k)
                by_two *= weight
                by_centre += by_one
                by_spread += by_one * normal
                increase(by_mean, k, by_two)
                increase(by_scale, k, by_two * other)
                store(by_along, k, by_one)
                store(by_across, k, by_two)
            dweight_s[i, t] = total(by_weight)
            dbias_s[i, t] = total(by_bias)
            from_centre, from_spread = total(by_centre) / np.float32(features), total(by_spread) / np.float32(features)
            for k in range(wide):
                normal = (load(along, k) - centre) * spread
                store(by_along, k, (load(by_along, k) - from_centre - normal * from_spread) * spread)
        dalpha[i, 0] = total(by_alpha)
        dbeta[i, 0] = total(by_beta)
        for t in range(length):
            across, by_across, counts = spatial[i, t], dspatial[i, t], np.float32(real[i, t]) * share
            for k in range(wide):
                other = (load(across, k) - load(mean[i], k)) * load(scale[i], k)
                away = (load(by_mean, k) + other * load(by_scale, k)) * counts
                store(by_across, k, (load(by_across, k) - away) * load(scale[i], k))


@kernel(ROWS, *[TABLE] * 3, ROW, ROWS, ROW, boolean[:, ::1], float64, ROWS, COUNTER)
def aggregate(h, scale, shift, point, point_bias, local, local_bias, real, eps, y, counter):
    """Write ``y``, (B, T, D), LIIA of the pairs ``h``, (2B, T, D), modulated by ``scale`` and ``shift``, (B, 2D).

    ``point`` is (2, 2), ``local`` (persons, frames, features) = (2, 3, 3).
    """
    batch, length, features = y.shape
    wide, tasks = features // WIDTH, -(-length // FRAMES)
    span = features + 2 * WIDTH  # a row with zeros before and after it
    rows = buffer(6 * (wide + 2))  # of three frames and both persons
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * FRAMES
        last = min(length, first + FRAMES)
        for t in range(first - 1, last + 1):
            place = (t + 3) % 3 * 2 * span
            a, b = rows[place : place + span], rows[place + span : place + 2 * span]
            if 0 <= t < length and real[i, t]:
                one, other = h[i, t], h[batch + i, t]
                centre, variance = row_statistics(one, other, wide)
                spread = np.float32(1.0 / np.sqrt(variance + eps))
                for k in range(wide):
                    x = (load(one, k) - centre) * spread * (load(scale[i], k) + 1.0) + load(shift[i], k)
                    z = (load(other, k) - centre) * spread * (load(scale[i], wide + k) + 1.0) + load(shift[i], wide + k)
                    store(a, k + 1, x * point[0, 0] + z * point[0, 1] + point_bias[0])
                    store(b, k + 1, x * point[1, 0] + z * point[1, 1] + point_bias[1])
            else:
                a[:] = 0
                b[:] = 0
            now = t - 1
            if now < first:
                continue
            if not real[i, now]:
                y[i, now] = 0
                continue
            for k in range(wide):
                total_ = splat(local_bias[0])
                for frame in range(3):
                    for person in range(2):
                        begin = ((now + frame + 2) % 3 * 2 + person) * span + WIDTH - 1
                        for feature in range(3):
                            total_ += load(rows[begin + feature :], k) * local[person, frame, feature]
                store(y[i, now], k, total_)


@kernel(ROWS, *[TABLE] * 3, ROW, ROWS, boolean[:, ::1], float64, *[ROWS] * 2, *[TABLE] * 6, COUNTER)
def aggregate_backward(
    h,
    scale,
    shift,
    point,
    point_bias,
    local,
    real,
    eps,
    dy,
    dh,
    dscale,
    dshift,
    dpoint,
    dpoint_bias,
    dlocal,
    dlocal_bias,
    counter,
):
    """Write the gradients of :func:`aggregate`: like ``h``, (B, 2D) twice, and of the filters (B, 4), 2, 18 and 1."""
    batch, length, features = dy.shape
    wide, span = features // WIDTH, features + 2 * WIDTH
    rows = buffer(3 * (wide + 2))  # of the gradient: the frames before, at and after the one in hand
    by_local, by_point = buffer(18), buffer(6)
    while True:
        i = take(counter)
        if i >= batch:
            return
        rows[:] = 0
        by_local[:] = 0
        by_point[:] = 0
        dscale[i] = 0
        dshift[i] = 0
        by_local_bias = splat(0.0)
        for t in range(-1, length):
            place = (t + 1) % 3 * span
            row = rows[place : place + span]
            if t + 1 < length and real[i, t + 1]:
                for k in range(wide):
                    by_y = load(dy[i, t + 1], k)
                    store(row, k + 1, by_y)
                    by_local_bias += by_y
            else:
                row[:] = 0
            if t < 0:
                continue
            if not real[i, t]:
                dh[i, t] = 0
                dh[batch + i, t] = 0
                continue
            one, other, by_one, by_other = h[i, t], h[batch + i, t], dh[i, t], dh[batch + i, t]
            centre, variance = row_statistics(one, other, wide)
            spread = np.float32(1.0 / np.sqrt(variance + eps))
            by_centre, by_spread = splat(0.0), splat(0.0)
            for k in range(wide):
                normal, normal_other = (load(one, k) - centre) * spread, (load(other, k) - centre) * spread
                scale_one, scale_other = load(scale[i], k) + 1.0, load(scale[i], wide + k) + 1.0
                x = normal * scale_one + load(shift[i], k)
                z = normal_other * scale_other + load(shift[i], wide + k)
                a, b = (
                    x * point[0, 0] + z * point[0, 1] + point_bias[0],
                    x * point[1, 0] + z * point[1, 1] + point_bias[1],
                )
                by_a, by_b = splat(0.0), splat(0.0)
                for frame in range(3):
                    begin = (t + 4 - frame) % 3 * span + WIDTH + 1
                    for feature in range(3):
                        by_y, tap = load(rows[begin - feature :], k), frame * 3 + feature
                        by_a += by_y * local[0, frame, feature]
                        by_b += by_y * local[1, frame, feature]
                        increase(by_local, tap, a * by_y)
                        increase(by_local, 9 + tap, b * by_y)
                increase(by_point, 0, by_a * x)
                increase(by_point, 1, by_a * z)
                increase(by_point, 2, by_b * x)
                increase(by_point, 3, by_b * z)
                increase(by_point, 4, by_a)
                increase(by_point, 5, by_b)
                by_x, by_z = by_a * point[0, 0] + by_b * point[1, 0], by_a * point[0, 1] + by_b * point[1, 1]
                increase(dshift[i], k, by_x)
                increase(dshift[i], wide + k, by_z)
                increase(dscale[i], k, by_x * normal)
                increase(dscale[i], wide + k, by_z * normal_other)
                by_x *= scale_one
                by_z *= scale_other
                by_centre += by_x + by_z
                by_spread += by_x * normal + by_z * normal_other
                store(by_one, k, by_x)
                store(by_other, k, by_z)
            count = np.float32(2 * features)
            from_centre, from_spread = total(by_centre) / count, total(by_spread) / count
            for k in range(wide):
                normal, normal_other = (load(one, k) - centre) * spread, (load(other, k) - centre) * spread
                store(by_one, k, (load(by_one, k) - from_centre - normal * from_spread) * spread)
                store(by_other, k, (load(by_other, k) - from_centre - normal_other * from_spread) * spread)
        for k in range(18):
            dlocal[i, k] = total(load(by_local, k))
        for k in range(4):
            dpoint[i, k] = total(load(by_point, k))
        for k in range(2):
            dpoint_bias[i, k] = total(load(by_point, 4 + k))
        dlocal_bias[i, 0] = total(by_local_bias)
