"""The nms kernel: boxes sorted by score with a stable merge sort, then one sweep over the rest per kept box.

O(n log n + n * kept). The sweep compares whole vectors of boxes: a lane before the kept box is decided already,
and nothing reads its mark again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optima.ops.entry import OpView
from optima.ops.te_loops import each, read, sequential, steps, store
from optima.ops.te_reduce import Expr

if TYPE_CHECKING:
    from tvm import te

_LANES = 16
#: float dtype -> (the integer of its width, the mask that turns falling negative numbers into rising ones)
_BITS = {"float32": ("int32", 0x7FFFFFFF), "float64": ("int64", 0x7FFFFFFFFFFFFFFF)}


def nms_te(view: OpView, tensors: Mapping[str, te.Tensor]) -> list[te.Tensor]:
    """keep int64[N] and count int64[] of an ``nms`` op."""
    from tvm import te, tirx

    dets, scores = tensors["dets"], tensors["scores"]
    boxes, dtype = view.operands["dets"].shape[0], view.operands["dets"].dtype
    if boxes == 0:
        nothing = te.compute((0,), lambda i: tirx.const(0, "int64"), name="keep")
        return [nothing, te.compute((), lambda: tirx.const(0, "int64"), name="count")]
    padded = -(-boxes // _LANES) * _LANES
    limit = _threshold(view.attrs["iou_threshold"], dtype)

    def body(ins: Sequence[Any], outs: Sequence[Any]) -> Any:
        keep, count, order, other, keys, corners, gone, at = outs
        sort = _sorted(ins[1], order, other, keys, at, boxes, dtype)
        chosen = [_gathered(ins[0], order, corners, gone, boxes, padded, dtype)]
        chosen += [store(count, (0,), tirx.const(0, "int64"))]
        chosen += [each(boxes, lambda i: _visit(i, keep, count, order, corners, gone, padded, limit))]
        fill = each(boxes, lambda i: _filled(i, keep, count))
        return steps(*sort, *chosen, fill)

    shapes: list[tuple[tuple[int, ...], str]] = [
        ((boxes,), "int64"), ((1,), "int64"), ((boxes,), "int32"), ((boxes,), "int32"), ((boxes,), _BITS[dtype][0]),
        ((5, padded), dtype), ((padded,), "int8"), ((2,), "int32"),
    ]  # fmt: skip
    keep, count, *_ = sequential("nms", [dets, scores], shapes, body)
    return [keep, te.compute((), lambda: count(0), name="count")]


def _threshold(value: float, dtype: str) -> float:
    """The largest number of ``dtype`` that is at most ``value``: above it is above ``value``, which is a double."""
    if math.isnan(value):
        return math.inf  # nothing is above it
    if dtype == "float64":
        return float(value)
    with np.errstate(over="ignore"):
        near = np.float32(value)
    return float(np.nextafter(near, np.float32(-np.inf)) if float(near) > value else near)


def _sorted(scores: Any, order: Any, other: Any, keys: Any, at: Any, boxes: int, dtype: str) -> list[Any]:
    """Statements that fill ``order`` with the indices by falling score."""
    rounds = max(boxes - 1, 0).bit_length()
    # The last round has to write into ``order``.
    source, target = (order, other) if rounds % 2 == 0 else (other, order)

    def start(i: Expr) -> Any:
        return steps(store(keys, (i,), _rank(read(scores, i), dtype)), store(source, (i,), i))

    made = [each(boxes, start)]
    for r in range(rounds):
        runs = -(-boxes // (2 << r))
        merge = partial(_merged, half=1 << r, source=source, target=target, keys=keys, at=at, boxes=boxes)
        made.append(each(runs, merge))
        source, target = target, source
    return made


def _rank(score: Expr, dtype: str) -> Expr:
    """An integer that rises with the score: both zeros alike, NaN above all."""
    from tvm import tirx

    name, mask = _BITS[dtype]
    bits = tirx.reinterpret(name, score)
    magnitude = tirx.bitwise_and(bits, tirx.const(mask, name))
    infinity = {"float32": 0x7F800000, "float64": 0x7FF0000000000000}[dtype]
    ranked = tirx.Select(bits < tirx.const(0, name), -magnitude, magnitude)
    return tirx.Select(magnitude > tirx.const(infinity, name), tirx.const(mask, name), ranked)


def _merged(run: Expr, half: int, source: Any, target: Any, keys: Any, at: Any, boxes: int) -> Any:
    """Merge two sorted runs of ``half`` indices in ``source``, the first from ``run`` * 2 ``half``, into ``target``."""
    from tvm import tirx

    low = run * (2 * half)
    last = tirx.const(boxes - 1, "int32")
    middle = tirx.min(low + half, tirx.const(boxes, "int32"))
    end = tirx.min(low + 2 * half, tirx.const(boxes, "int32"))
    left, right = read(at, 0), read(at, 1)
    first, second = read(source, tirx.min(left, last)), read(source, tirx.min(right, last))
    # Of equal scores the left one comes first: the sort is stable.
    takes_right = tirx.any(left >= middle, tirx.all(right < end, read(keys, second) > read(keys, first)))

    def one(k: Expr) -> Any:
        place = low + k
        return tirx.IfThenElse(
            place < end,
            tirx.IfThenElse(
                takes_right,
                steps(store(target, (place,), second), store(at, (1,), right + 1)),
                steps(store(target, (place,), first), store(at, (0,), left + 1)),
            ),
            None,
        )

    return steps(store(at, (0,), low), store(at, (1,), middle), each(2 * half, one, name="k"))


def _gathered(dets: Any, order: Any, corners: Any, gone: Any, boxes: int, padded: int, dtype: str) -> Any:
    """Corners and areas in sorted order; what pads them is zero."""
    from tvm import tirx

    def one(i: Expr) -> Any:
        box = read(order, i)
        sides = [store(corners, (k, i), read(dets, box, k)) for k in range(4)]
        width, height = (read(dets, box, k + 2) - read(dets, box, k) for k in (0, 1))
        return steps(*sides, store(corners, (4, i), width * height), store(gone, (i,), tirx.const(0, "int8")))

    def pad(i: Expr) -> Any:
        zeros = [store(corners, (k, i + boxes), tirx.const(0, dtype)) for k in range(5)]
        return steps(*zeros, store(gone, (i + boxes,), tirx.const(0, "int8")))

    filled = each(boxes, one)
    return steps(filled, each(padded - boxes, pad)) if padded > boxes else filled


def _visit(
    i: Expr, keep: Any, count: Any, order: Any, corners: Any, gone: Any, padded: int, limit: float
) -> Any:
    """Keep the box at ``i`` unless it is gone, and mark what overlaps it."""
    from tvm import tirx

    number = read(count, 0)
    first = tirx.floordiv(i, _LANES)
    variable = tirx.Var("chunk", "int32")

    def lane(v: Expr) -> Any:
        j = (first + variable) * _LANES + v
        marked = tirx.Select(_overlap(corners, i, j) > limit, tirx.const(1, "int8"), read(gone, j))
        return store(gone, (j,), marked)

    chunks = padded // _LANES - first
    sweep = tirx.For(variable, 0, chunks, tirx.ForKind.SERIAL, each(_LANES, lane, "vectorized", "v"))
    taken = steps(
        store(keep, (number.astype("int32"),), read(order, i).astype("int64")),
        store(count, (0,), number + tirx.const(1, "int64")),
        sweep,
    )
    return tirx.IfThenElse(read(gone, i).equal(tirx.const(0, "int8")), taken, None)


def _overlap(corners: Any, i: Expr, j: Expr) -> Expr:
    """Intersection over union of two boxes; comparisons as ``std::max`` and ``std::min`` make them with NaN."""
    from tvm import tirx

    def span(low: int) -> Expr:
        a, b = read(corners, low, i), read(corners, low, j)
        c, d = read(corners, low + 2, i), read(corners, low + 2, j)
        side = tirx.Select(d < c, d, c) - tirx.Select(a < b, b, a)
        zero = tirx.const(0, corners.dtype)
        return tirx.Select(zero < side, side, zero)

    inter = span(0) * span(1)
    # The choice keeps LLVM from fusing the product into the subtraction, which would round otherwise than
    # torchvision; the product is never below zero.
    inter = tirx.Select(inter < tirx.const(0, corners.dtype), tirx.const(0, corners.dtype), inter)
    return inter / (read(corners, 4, i) + read(corners, 4, j) - inter)


def _filled(i: Expr, keep: Any, count: Any) -> Any:
    """The rows after the count repeat the first, so that what is looked up by them exists."""
    from tvm import tirx

    return tirx.IfThenElse(i.astype("int64") >= read(count, 0), store(keep, (i,), read(keep, 0)), None)
