"""Attention in blocks of query rows: the scores of a block stay in the nearest cache from product to product.

For the schedule rule ``attention``. Rows and columns are padded to whole tiles: a row past the last repeats it and is
left out of the result, a column past the last scores -inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.te_reduce import Expr, const, load

if TYPE_CHECKING:
    from tvm import te

#: columns are padded to whole vectors of the widest kind
LANES = 16
#: query rows in a block, best first: all have register tiles for 32 registers and for 16
_ROWS = (12, 14, 10, 8)


def rows_per_block(rows: int) -> int:
    """The block height that pads ``rows`` least."""
    return rows if rows <= max(_ROWS) else min(_ROWS, key=lambda r: -(-rows // r) * r)


def _part(name: str) -> dict[str, str]:
    return {"schedule_rule": "attention", "part": name}


def blocked_attention(
    query: te.Tensor, key: te.Tensor, value: te.Tensor, batch: Sequence[int],
    at: Callable[[Sequence[Expr], Sequence[Any]], tuple[Expr, ...]],
    adjust: Callable[[Expr, Sequence[Expr], Expr, Expr], Expr],
) -> te.Tensor:  # fmt: skip
    """``softmax(adjust(query @ key.T)) @ value`` of shape ``[*batch, rows, features]``, in float32.

    ``at(index, shape)`` gives the batch index into an operand; ``adjust(score, batch index, row, column)`` scales and
    masks, the column possibly past the last. A row of -inf gives zeros.
    """
    from tvm import te, tirx

    from optima.ops.vector_math import falling_exp

    rows, depth = int(query.shape[-2]), int(query.shape[-1])
    columns, features = int(value.shape[-2]), int(value.shape[-1])
    height = rows_per_block(rows)
    tall = -(-rows // height) * height
    vectors, wide = -(-columns // LANES), -(-features // LANES) * LANES
    lead, n = tuple(batch), len(batch)

    def lanes_of(shape: Sequence[Any], name: str, element: Callable[..., Expr]) -> te.Tensor:
        return te.compute((*lead, tall, *shape), element, name=name, attrs=_part(name))

    def query_at(*index: Expr) -> Expr:
        *outer, i, d = index
        return load(query, *at(outer, query.shape), tirx.min(i, rows - 1) if tall != rows else i, d)

    block = lanes_of((depth,), "query_rows", query_at)

    def key_at(*index: Expr) -> Expr:
        *outer, v, d, lane = index
        j = v * LANES + lane
        if columns % LANES == 0:
            return load(key, *outer, j, d)
        return tirx.if_then_else(j < columns, load(key, *outer, j, d), const(0.0, "float32"))

    key_lead = [int(d) for d in key.shape[:-2]]
    packed = te.compute((*key_lead, vectors, depth, LANES), key_at, name="key_columns", attrs=_part("key_columns"))
    values = value
    if features % LANES or str(value.dtype) != "float32":

        def value_at(*index: Expr) -> Expr:
            element = load(value, *index)
            if features % LANES == 0:
                return element
            return tirx.if_then_else(index[-1] < features, element, const(0.0, "float32"))

        shape = (*[int(d) for d in value.shape[:-1]], wide)
        values = te.compute(shape, value_at, name="value_rows", attrs=_part("value_rows"))

    def score(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        *outer, i, j = index
        return block(*outer, i, *ks) * packed(*at(outer, key.shape), j // LANES, *ks, j % LANES)

    across = vectors * LANES
    scores = _fold("sum", (*lead, tall, across), depth, score, "scores")

    def masked_at(*index: Expr) -> Expr:
        *outer, i, j = index
        result = adjust(scores(*index), outer, tirx.min(i, rows - 1) if tall != rows else i, j)
        return result if across == columns else tirx.Select(j < columns, result, const(-math.inf, "float32"))

    masked = lanes_of((across,), "masked", masked_at)
    highest = _across_lanes("peak", masked, (*lead, tall), vectors, tirx.max)
    powers = lanes_of((across,), "exponentials", lambda *i: falling_exp(masked(*i) - highest(*i[:-1], 0)))
    total = _across_lanes("sum", powers, (*lead, tall), vectors, lambda a, b: a + b)

    def weigh(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        *outer, i, e = index
        return powers(*outer, i, *ks) * values(*at(outer, value.shape), *ks, e)

    weighted = _fold("sum", (*lead, tall, wide), columns, weigh, "weighted")

    def normalised(*index: Expr) -> Expr:
        # A row of -inf has no finite score, and only there is the sum 0: every exponential is.
        some = total(*index[: n + 1], 0)
        return weighted(*index) / tirx.Select(some <= const(0.0, "float32"), const(1.0, "float32"), some)

    whole = lanes_of((wide,), "normalised", normalised)
    if (tall, wide) == (rows, features):
        return whole
    return te.compute((*lead, rows, features), lambda *i: whole(*i), name="attention", attrs=_part("attention"))


def _fold(kind: str, shape: Sequence[int], extent: int, term: Callable[..., Expr], name: str) -> te.Tensor:
    from tvm import te

    k = te.reduce_axis((0, extent), name="k")
    reducer = te.sum if kind == "sum" else te.max
    return te.compute(tuple(shape), lambda *i: reducer(term(i, (k,)), axis=k), name=name, attrs=_part(name))


def _across_lanes(
    kind: str, source: te.Tensor, lead: tuple[int, ...], vectors: int, combine: Callable[[Expr, Expr], Expr]
) -> te.Tensor:
    """``source [..., vectors * LANES]`` folded to ``[..., 1]``: vectors first, then halves of one vector."""
    from tvm import te

    current = _fold(
        kind, (*lead, LANES), vectors, lambda i, ks: source(*i[:-1], ks[0] * LANES + i[-1]), f"{kind}_lanes"
    )
    width = LANES
    while width > 1:
        width //= 2
        current = _halved(te, current, lead, width, combine, f"{kind}_{width}")
    return current


def _halved(te: Any, whole: Any, lead: tuple[int, ...], width: int, combine: Any, name: str) -> Any:
    return te.compute(
        (*lead, width), lambda *i: combine(whole(*i), whole(*i[:-1], i[-1] + width)), name=name, attrs=_part(name)
    )
