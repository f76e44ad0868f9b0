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


@intrinsic
def transpose(_typing: Any, array: Any, _row: Any) -> Any:
    """Transpose the square of WIDTH vectors from number ``row`` on, in place."""

    def emit(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        first = _pointer(context, builder, array, *values)
        places = [builder.gep(first, [ir.Constant(ir.IntType(64), i)]) for i in range(WIDTH)]
        rows = [builder.load(place, align=4) for place in places]
        half = WIDTH // 2
        low = [lane + side for lane in range(half) for side in (0, WIDTH)]
        high = [pick + half for pick in low]
        for _ in range(WIDTH.bit_length() - 1):  # interleave rows i and i + half, log2(WIDTH) times
            pairs = list(zip(rows[:half], rows[half:], strict=True))
            rows = [_shuffle(builder, a, b, picks) for a, b in pairs for picks in (low, high)]
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


def _scaled(builder: Any, x: Any, shifted: Any) -> Any:
    power = builder.shl(builder.bitcast(shifted, INTEGERS), ir.Constant(INTEGERS, [23] * WIDTH))
    return builder.bitcast(builder.add(builder.bitcast(x, INTEGERS), power), VECTOR)


scaled = _binary(_scaled)
"""``x * 2**k``, given k + SHIFT: the low bits of that are k, and go to x's exponent."""

SHIFT = 1.5 * 2**23
"""A float32 plus this is rounded to an integer."""
LOG2E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.4286068203094173e-06  # the first times any exponent is exact
# Minimax in the relative error: (exp(r) - 1 - r) / r**2 for |r| < ln(2) / 2, 2 artanh(s) / s in s**2 for s < 1 / 3.
EXP = (0.49999994039, 0.16666521132, 0.041668388993, 0.0083687100559, 0.0013814612757)
LOG1P = (2.0, 0.66666314682, 0.40024910280, 0.27960602747, 0.28178335087)
EXP2 = (0.6931469776, 0.24022242084, 0.055507337437, 0.0096715127002, 0.0013264727256)  # (2**r - 1) / r, |r| < 1 / 2


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
    """Power of two to 1.4 units in the last place, in two thirds of :func:`exp`'s instructions; held as that is."""
    x = at_most(at_least(x, splat(-126.0)), splat(127.999))
    shifted = x + SHIFT
    r = x - (shifted - SHIFT)
    q = (((EXP2[4] * r + EXP2[3]) * r + EXP2[2]) * r + EXP2[1]) * r + EXP2[0]
    return scaled(q * r + 1.0, shifted)


@compiled
def softplus(x):
    """``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``, with ``log1p(z) = 2 artanh(z / (z + 2))``."""
    zero = splat(0.0)
    z = exp(zero - at_least(x, zero - x))
    s = z / (z + 2.0)
    t = s * s
    return at_least(x, zero) + s * ((((LOG1P[4] * t + LOG1P[3]) * t + LOG1P[2]) * t + LOG1P[1]) * t + LOG1P[0])


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
            store(rows, s, load(source[i, e : e + WIDTH, t + s], 0))
    elif source.strides[2] == 4:  # steps side by side
        done = steps // WIDTH * WIDTH
        for s in range(0, done, WIDTH):
            for w in range(width):
                store(rows, s + w, load(source[i, e + w, t + s : t + s + WIDTH], 0))
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
            store(target[i, e : e + WIDTH, t + s], 0, load(rows, s))
    elif target.strides[2] == 4:
        done = steps // WIDTH * WIDTH
        for s in range(0, done, WIDTH):
            transpose(rows, s)
            for w in range(width):
                store(target[i, e + w, t + s : t + s + WIDTH], 0, load(rows, s + w))
    for w in range(width):
        for s in range(done, steps):
            target[i, e + w, t + s] = rows[s * WIDTH + w]


@compiled
def gather_projections(b, c, B, C, i, t, steps):
    """Copy the run of B and C, whose rows may be a power of two apart and so evict each other from the cache."""
    for n in range(B.shape[1]):
        for s in range(steps):
            b[s, n] = B[i, n, t + s]
            c[s, n] = C[i, n, t + s]


@compiled
def gather_parameters(rates, skip, offset, A, D, bias, first, wide):
    """Copy the parameters of ``wide`` channels from ``first`` on, with zeros in the missing lanes."""
    rates[:] = 0
    skip[:] = 0
    offset[:] = 0
    for e in range(wide):
        skip[e] = D[first + e]
        offset[e] = bias[first + e]
        for n in range(A.shape[1]):
            rates[(e // WIDTH * A.shape[1] + n) * WIDTH + e % WIDTH] = A[first + e, n]


# --- the scan ---------------------------------------------------------------------------------------------------------

SEQUENCE = float32[:, :, :]
INPUTS = (SEQUENCE, SEQUENCE, float32[:, ::1], SEQUENCE, SEQUENCE, float32[::1], float32[::1], boolean)
STARTS = float32[:, :, :, :, ::1]
COUNTER = int64[::1]


@kernel(*INPUTS, STARTS, SEQUENCE, COUNTER)
def forward(u, delta, A, B, C, D, bias, use_softplus, starts, y, counter):
    """Write ``y`` and, unless it is empty, ``starts``: (tasks, runs, GROUP, N, WIDTH), the states before each run."""
    (batch, channels, length), states = u.shape, A.shape[1]
    tasks = -(-channels // CHANNELS)  # of one sequence
    x, step = buffer(STEPS), buffer(STEPS)
    b, c = np.empty((STEPS, states), np.float32), np.empty((STEPS, states), np.float32)
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
                for s in range(steps):  # outside the recurrence, which would wait for the long softplus
                    raw = load(step, s) + load(offset, g)
                    store(step, s, softplus(raw) if use_softplus else raw)
                for s in range(steps):
                    x_s, step_s = load(x, s), load(step, s)
                    entering, y_s = step_s * x_s, load(skip, g) * x_s
                    for n in range(states):
                        k = g * states + n
                        state = exp(step_s * load(rates, k)) * load(h, k) + b[s, n] * entering
                        store(h, k, state)
                        y_s += c[s, n] * state
                    store(x, s, y_s)
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
        rates *= np.float32(LOG2E)
        widening[:] = 0
        for e in range(wide):
            for r in range(rank):
                widening[(e // WIDTH * rank + r) * WIDTH + e % WIDTH] = weight[i, first + e, r]
        h[:] = 0
        for t in range(0, length, STEPS):
            steps = min(STEPS, length - t)
            for s in range(steps):
                for n in range(states):
                    b[n, s] = B[i, n, t + s]
                    c[n, s] = C[i, n, t + s]
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
                skip_g = load(skip, g)
                for s in range(0, steps, AHEAD):  # what lies behind the last step is never read again
                    step_0, step_1 = load(step, s), load(step, s + 1)
                    step_2, step_3 = load(step, s + 2), load(step, s + 3)
                    x_0, x_1, x_2, x_3 = load(x, s), load(x, s + 1), load(x, s + 2), load(x, s + 3)
                    y_0, y_1, y_2, y_3 = skip_g * x_0, skip_g * x_1, skip_g * x_2, skip_g * x_3
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
                scatter(x, y, i, e, t, width, steps)


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
    x, step, slope, grad = buffer(STEPS), buffer(STEPS), buffer(STEPS), buffer(STEPS)
    b, c = np.empty((STEPS, states), np.float32), np.empty((STEPS, states), np.float32)
    by_b, by_c = buffer(STEPS * states), buffer(STEPS * states)
    decay, h = buffer(STEPS * states), buffer((STEPS + 1) * states)
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
            gather_projections(b, c, B, C, i, t, steps)
            by_b[:] = 0
            by_c[:] = 0
            for g in range(-(-wide // WIDTH)):
                e, width = first + g * WIDTH, min(WIDTH, wide - g * WIDTH)
                gather(x, u, i, e, t, width, steps)
                gather(step, delta, i, e, t, width, steps)
                gather(grad, dy, i, e, t, width, steps)
                for s in range(steps):
                    raw = load(step, s) + load(offset, g)
                    store(step, s, softplus(raw) if use_softplus else raw)
                    store(slope, s, sigmoid(raw) if use_softplus else splat(1.0))
                # The states of the run once more: row s of h holds those before step s.
                for n in range(states):
                    store(h, n, load(starts[task, run, g], n))
                for s in range(steps):
                    step_s = load(step, s)
                    entering = step_s * load(x, s)
                    for n in range(states):
                        k = s * states + n
                        decay_k = exp(step_s * load(rates, g * states + n))
                        store(decay, k, decay_k)
                        store(h, k + states, decay_k * load(h, k) + b[s, n] * entering)
                # The derivative with respect to the states follows the same recurrence backwards.
                for s in range(steps - 1, -1, -1):
                    x_s, step_s, grad_s = load(x, s), load(step, s), load(grad, s)
                    entering = step_s * x_s
                    by_entering, by_step = splat(0.0), splat(0.0)
                    for n in range(states):
                        k, r = s * states + n, g * states + n
                        adjoint = c[s, n] * grad_s + load(carry, r)
                        store(by_c, k, load(by_c, k) + load(h, k + states) * grad_s)
                        store(by_b, k, load(by_b, k) + adjoint * entering)
                        by_entering += b[s, n] * adjoint
                        adjoint *= load(decay, k)
                        store(carry, r, adjoint)
                        by_exponent = adjoint * load(h, k)
                        store(by_rate, r, load(by_rate, r) + by_exponent * step_s)
                        by_step += by_exponent * load(rates, r)
                    by_delta = (by_step + by_entering * x_s) * load(slope, s)
                    store(step, s, by_delta)
                    store(by_offset, g, load(by_offset, g) + by_delta)
                    store(x, s, by_entering * step_s + load(skip, g) * grad_s)
                    store(by_skip, g, load(by_skip, g) + grad_s * x_s)
                scatter(x, du, i, e, t, width, steps)
                scatter(step, ddelta, i, e, t, width, steps)
            for n in range(states):
                for s in range(steps):
                    dB[task % tasks, i, n, t + s] = total(load(by_b, s * states + n))
                    dC[task % tasks, i, n, t + s] = total(load(by_c, s * states + n))
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


@kernel(SEQUENCE, *FILTERS, SEQUENCE, COUNTER)
def conv_forward(x, weight, bias, start, real, y, counter):
    """Write ``y``; ``start`` is the value of the steps before the first that the filter reaches."""
    (batch, channels, length), taps = x.shape, weight.shape[1]
    tasks = -(-channels // CHANNELS)  # of one sequence
    before = taps - 1
    rows = buffer(before + STEPS)
    filters, ends = buffer(GROUP * taps), buffer(GROUP * before)  # of each vector: the last steps of the run before
    offset, past, keep = buffer(GROUP), buffer(GROUP), buffer(GROUP)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, first = task // tasks, task % tasks * CHANNELS
        wide = min(CHANNELS, channels - first)
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


@kernel(SEQUENCE, *FILTERS, SEQUENCE, SEQUENCE, float32[:, :, ::1], float32[:, ::1], float32[:, ::1], COUNTER)
def conv_backward(x, weight, bias, start, real, dy, dx, dweight, dbias, dstart, counter):
    """Write ``dx``, and each sequence's share of the other gradients: (B, E, K) and (B, E)."""
    (batch, channels, length), taps = x.shape, weight.shape[1]
    tasks = -(-channels // WIDTH)
    before = taps - 1
    rows, grad = buffer(before + length), buffer(length + before)
    filters, offset, past, keep = buffer(taps), buffer(1), buffer(1), buffer(1)
    by_filter, by_offset, by_start = buffer(taps), buffer(1), buffer(1)
    while True:
        task = take(counter)
        if task >= batch * tasks:
            return
        i, e = task // tasks, task % tasks * WIDTH
        width = min(WIDTH, channels - e)
        gather_filters(filters, offset, past, keep, weight, bias, start, real, i, e, width)
        by_filter[:] = 0
        by_offset[:] = 0
        by_start[:] = 0
        for s in range(before):
            store(rows, s, load(past, 0))
        grad[length * WIDTH :] = 0
        gather(rows[before * WIDTH :], x, i, e, 0, width, length)
        gather(grad[: length * WIDTH], dy, i, e, 0, width, length)
        for s in range(length):
            raw = convolved(rows, filters, offset, s, taps)
            gate = sigmoid(raw)
            by_raw = load(grad, s) * load(keep, 0) * gate * (1.0 + raw * (1.0 - gate))
            store(grad, s, by_raw)
            store(by_offset, 0, load(by_offset, 0) + by_raw)
            for k in range(taps):
                store(by_filter, k, load(by_filter, k) + by_raw * load(rows, s + k))
        for s in range(before):  # gradient of each step before the first, from the filters that reach it
            for k in range(s + 1):
                store(by_start, 0, load(by_start, 0) + load(filters, k) * load(grad, s - k))
        for s in range(length):
            by_x = splat(0.0)
            for k in range(taps):
                by_x += load(filters, k) * load(grad, s + before - k)
            store(rows, s, by_x)
        scatter(rows, dx, i, e, 0, width, length)
        for lane in range(width):
            dbias[i, e + lane] = by_offset[lane]
            dstart[i, e + lane] = by_start[lane]
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
            mean = mean_of(rows, real, i, share)
            scale = scale_of(rows, mean, real, i, share, eps)
            by_mean, by_scale = splat(0.0), splat(0.0)
            for e in range(channels):
                normal, by_normal = (load(rows, e) - mean) * scale, load(grad, e)
                store(by_weight, e, load(by_weight, e) + by_normal * normal)
                store(by_bias, e, load(by_bias, e) + by_normal)
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
            scatter(rows, dx, i, t, 0, width, channels)
        for e in range(channels):
            dweight[i, e] = total(load(by_weight, e))
            dbias[i, e] = total(load(by_bias, e))


# --- what follows ASTM's branches and precedes Cross-ASTM -------------------------------------------------------------
# Forward only. Sequences are (B, T, D), features side by side, D a multiple of WIDTH; padded frames are not real.

ROWS = float32[:, :, ::1]
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


@kernel(ROWS, boolean[:, ::1], float64, *[float32[:, ::1]] * 2, COUNTER)
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


@kernel(*[ROWS] * 3, *[float32[:, ::1]] * 2, *[ROW] * 7, float64, ROWS, COUNTER)
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


@kernel(ROWS, *[float32[:, ::1]] * 3, ROW, ROWS, ROW, boolean[:, ::1], float64, ROWS, COUNTER)
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
