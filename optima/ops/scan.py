"""What runs along one axis: sums, products, maxima and minima with their places, and the log of a sum of exps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait
from optima.ops.exact_math import let
from optima.ops.onnx.reduction import SCAN
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_control import when
from optima.ops.te_keys import key_dtype, nan_key, order_key
from optima.ops.te_loops import each, nest, read, sequential, steps, store
from optima.ops.te_reduce import FLOATS, INTEGERS, Expr, accumulator, convert, finish, is_nan, load, refuse_dtypes

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
Stmt = Any
#: a step of a scan: (indices of the element, of the one before it, input buffers, output buffers)
Step = Callable[[tuple[Expr, ...], tuple[Expr, ...], Sequence[Any], Sequence[Any]], Stmt]


def _along(
    view: OpView,
    inputs: Sequence[te.Tensor],
    outputs: Sequence[str],
    first: Callable[[tuple[Expr, ...], Sequence[Any], Sequence[Any]], Stmt],
    later: Step,
) -> list[te.Tensor]:
    """Tensors of dtypes ``outputs`` made element after element along ``dim``; ``first`` makes the first one.

    The axes inside ``dim`` stay innermost, so that memory is walked in its order.
    """
    shape = view.first.shape
    axis = view.attrs["dim"] % len(shape)

    def body(ins: Sequence[Any], outs: Sequence[Any]) -> Stmt:
        def row(*outer: Expr) -> Stmt:
            def start(*inner: Expr) -> Stmt:
                return first((*outer, 0, *inner), ins, outs)

            def follow(k: Expr) -> Stmt:
                return nest(shape[axis + 1 :], partial(following, k))

            def following(k: Expr, *inner: Expr) -> Stmt:
                return later((*outer, k + 1, *inner), (*outer, k, *inner), ins, outs)

            return steps(nest(shape[axis + 1 :], start), each(shape[axis] - 1, follow))

        return nest(shape[:axis], row)

    return sequential(view.op, inputs, [(shape, dtype) for dtype in outputs], body)


def _folded(combine: Callable[[Expr, Expr], Expr], view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """cumsum, cumprod, logcumsumexp: each element combined with the result before it.

    float32 runs in float64, as on torch's CPU: what overflows on the way may come back.
    """
    from tvm import te

    (x,) = tensors.values()
    out, shape = view.outputs[0], view.first.shape
    acc = "float64" if out.dtype == "float32" else accumulator(out.dtype)
    source = view.first.dtype

    def element(*index: Expr) -> Expr:
        if source == out.dtype:
            return load(x, *index).astype(acc)
        return convert(load(x, *index), source, out.dtype).astype(acc)

    terms = te.compute(shape, element, name="terms")
    if not shape or not out.numel:
        return [finish(terms, acc, out.dtype)]

    def first(here: tuple[Expr, ...], ins: Sequence[Any], outs: Sequence[Any]) -> Stmt:
        return store(outs[0], here, read(ins[0], *here))

    def later(here: tuple[Expr, ...], before: tuple[Expr, ...], ins: Sequence[Any], outs: Sequence[Any]) -> Stmt:
        return store(outs[0], here, combine(read(outs[0], *before), read(ins[0], *here)))

    (running,) = _along(view, [terms], [acc], first, later)
    return [finish(running, acc, out.dtype)]


def _log_add_exp(a: Expr, b: Expr) -> Expr:
    """``log(exp(a) + exp(b))``: the larger one plus log1p of the exp of the difference.

    Equal infinities stay (their difference would be NaN); NaN in either gives NaN.
    """
    from tvm import tirx

    dtype = str(a.ty.dtype)

    def of(x: Expr, y: Expr) -> Expr:
        def given(low: Expr, high: Expr) -> Expr:
            same = tirx.all(low.equal(high), tirx.isinf(high))
            nan = tirx.any(is_nan(x, dtype), is_nan(y, dtype))
            value = high + tirx.log1p(tirx.exp(low - high))
            return tirx.Select(nan, x + y, tirx.Select(same, high, value))

        return let(tirx.Select(x < y, x, y), lambda low: let(tirx.Select(x < y, y, x), partial(given, low)))

    return let(a, lambda x: let(b, lambda y: of(x, y)))


def _extremum(kind: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """cummax, cummin: values, and where each was found; the last of equal values, and the last NaN."""
    from tvm import te, tirx

    (x,) = tensors.values()
    dtype, shape = view.first.dtype, view.first.shape
    if not shape or not view.first.numel:
        zero = te.compute(shape, lambda *_: tirx.const(0, "int64"), name="indices")
        return [te.compute(shape, lambda *i: x(*i), name="values"), zero][: len(view.outputs)]
    axis = view.attrs["dim"] % len(shape)

    def rank(value: Expr) -> Expr:
        """What is larger wins: the ascending key, where NaN is the largest, or its complement without NaN."""
        key = order_key(value, dtype)
        if kind == "max":
            return key
        if dtype not in FLOATS:
            return tirx.bitwise_not(key)
        return let(key, lambda k: tirx.Select(k.equal(nan_key(dtype)), k, tirx.bitwise_not(k)), "rank")

    def put(here: tuple[Expr, ...], value: Expr, place: Expr, key: Expr, outs: Sequence[Any]) -> Stmt:
        return steps(store(outs[0], here, value), store(outs[1], here, place), store(outs[2], here, key))

    def first(here: tuple[Expr, ...], ins: Sequence[Any], outs: Sequence[Any]) -> Stmt:
        value = read(ins[0], *here)
        return put(here, value, tirx.const(0, "int64"), rank(value), outs)

    def later(here: tuple[Expr, ...], before: tuple[Expr, ...], ins: Sequence[Any], outs: Sequence[Any]) -> Stmt:
        value = read(ins[0], *here)
        held = [read(out, *before) for out in outs]
        newer = put(here, value, here[axis].astype("int64"), rank(value), outs)
        return when(rank(value) >= held[2], newer, put(here, held[0], held[1], held[2], outs))

    return _along(view, [x], [dtype, "int64", key_dtype(dtype)], first, later)[: len(view.outputs)]


def _entry(
    name: str,
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any],
    *dtypes: str,
) -> OpEntry:
    te_route = Te(compute, refuse_dtypes(*dtypes))
    return OpEntry(name, ("self",), aten(name), attrs, frozenset({Trait.OPAQUE}), te_route)


_DIM = {"dim": REQUIRED}
_TYPED = {"dim": REQUIRED, "dtype": None}
_ALL = (*FLOATS, *INTEGERS, "bool")

ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry("cumsum", partial(_folded, operator.add), _TYPED, *_ALL),
        _entry("cumprod", partial(_folded, operator.mul), _TYPED, *_ALL),
        _entry("cummax", partial(_extremum, "max"), _DIM, *_ALL),
        _entry("cummin", partial(_extremum, "min"), _DIM, *_ALL),
        _entry("logcumsumexp", partial(_folded, _log_add_exp), _DIM, *FLOATS),
    ),
    SCAN,
)
