"""Attention in blocks of query rows: the scores of a block stay in the nearest cache from product to product.

For the schedule rule ``attention``. Rows and columns are padded to whole tiles: a row past the last repeats it and is
left out of the result, a column past the last scores -inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optima.ops.te_reduce import Expr, const, load

if TYPE_CHECKING:
    from tvm import te

#: the batch index into an operand, of an index of the result and the operand's shape
BatchIndex = Callable[[Sequence[Expr], Sequence[Any]], tuple[Expr, ...]]
#: the score that counts, of a product and where it stands: batch index, row, column
Adjust = Callable[[Expr, Sequence[Expr], Expr, Expr], Expr]

#: columns are padded to whole vectors of the widest kind
LANES = 16
#: query rows in a block, best first: all have register tiles for 32 registers and for 16
_ROWS = (12, 14, 10, 8)


def rows_per_block(rows: int) -> int:
    """The block height that pads ``rows`` least."""
    return rows if rows <= max(_ROWS) else min(_ROWS, key=lambda r: -(-rows // r) * r)


def _part(name: str) -> dict[str, str]:
    return {"schedule_rule": "attention", "part": name}


@dataclass(frozen=True)
class _Sizes:
    """The extents of one attention, and the same padded to whole tiles."""

    batch: tuple[int, ...]
    rows: int
    depth: int
    columns: int
    features: int

    @property
    def padded_rows(self) -> int:
        height = rows_per_block(self.rows)
        return -(-self.rows // height) * height

    @property
    def vectors(self) -> int:
        """How many vectors hold the columns."""
        return -(-self.columns // LANES)

    @property
    def padded_columns(self) -> int:
        return self.vectors * LANES

    @property
    def padded_features(self) -> int:
        return -(-self.features // LANES) * LANES

    def row(self, i: Expr) -> Expr:
        """The row whose scores stand in row ``i``: a row past the last repeats it."""
        from tvm import tirx

        return tirx.min(i, self.rows - 1) if self.padded_rows != self.rows else i


def blocked_attention(
    query: te.Tensor, key: te.Tensor, value: te.Tensor, batch: Sequence[int], at: BatchIndex, adjust: Adjust
) -> te.Tensor:
    """``softmax(adjust(query @ key.T)) @ value`` of shape ``[*batch, rows, features]``, in float32.

    ``at(index, shape)`` gives the batch index into an operand; ``adjust(score, batch index, row, column)`` scales and
    masks, the column possibly past the last. A row of -inf gives zeros.
    """
    from tvm import te

    sizes = _Sizes(tuple(batch), int(query.shape[-2]), int(query.shape[-1]), int(value.shape[-2]), int(value.shape[-1]))
    masked = _masked_scores(query, key, sizes, at, adjust)
    powers, total = _exponentials(masked, sizes)
    whole = _weighted_mean(powers, total, value, sizes, at)
    if (sizes.padded_rows, sizes.padded_features) == (sizes.rows, sizes.features):
        return whole
    shape = (*sizes.batch, sizes.rows, sizes.features)
    return te.compute(shape, lambda *i: whole(*i), name="attention", attrs=_part("attention"))


def _per_row(sizes: _Sizes, extent: int, name: str, element: Callable[..., Expr]) -> te.Tensor:
    """A stage of shape ``[*batch, padded rows, extent]``."""
    from tvm import te

    return te.compute((*sizes.batch, sizes.padded_rows, extent), element, name=name, attrs=_part(name))


def _masked_scores(query: te.Tensor, key: te.Tensor, sizes: _Sizes, at: BatchIndex, adjust: Adjust) -> te.Tensor:
    """``adjust(query @ key.T)``, -inf in the columns past the last."""
    from tvm import tirx

    def query_at(*index: Expr) -> Expr:
        *outer, i, d = index
        return load(query, *at(outer, query.shape), sizes.row(i), d)

    block = _per_row(sizes, sizes.depth, "query_rows", query_at)
    packed = _key_columns(key, sizes)

    def score(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        *outer, i, j = index
        return block(*outer, i, *ks) * packed(*at(outer, key.shape), j // LANES, *ks, j % LANES)

    shape = (*sizes.batch, sizes.padded_rows, sizes.padded_columns)
    scores = _fold("sum", shape, sizes.depth, score, "scores")

    def masked_at(*index: Expr) -> Expr:
        *outer, i, j = index
        result = adjust(scores(*index), outer, sizes.row(i), j)
        if sizes.padded_columns == sizes.columns:
            return result
        return tirx.Select(j < sizes.columns, result, const(-math.inf, "float32"))

    return _per_row(sizes, sizes.padded_columns, "masked", masked_at)


def _key_columns(key: te.Tensor, sizes: _Sizes) -> te.Tensor:
    """``key`` as ``[..., vectors, depth, LANES]``, 0 in the lanes past the last column."""
    from tvm import te, tirx

    def key_at(*index: Expr) -> Expr:
        *outer, v, d, lane = index
        j = v * LANES + lane
        if sizes.columns % LANES == 0:
            return load(key, *outer, j, d)
        return tirx.if_then_else(j < sizes.columns, load(key, *outer, j, d), const(0.0, "float32"))

    shape = (*[int(d) for d in key.shape[:-2]], sizes.vectors, sizes.depth, LANES)
    return te.compute(shape, key_at, name="key_columns", attrs=_part("key_columns"))


def _exponentials(masked: te.Tensor, sizes: _Sizes) -> tuple[te.Tensor, te.Tensor]:
    """``exp(masked - its highest of the row)`` and the sum of each row."""
    from tvm import tirx

    from optima.ops.vector_math import falling_exp

    rows = (*sizes.batch, sizes.padded_rows)
    highest = _across_lanes("peak", masked, rows, sizes.vectors, tirx.max)
    powers = _per_row(
        sizes, sizes.padded_columns, "exponentials", lambda *i: falling_exp(masked(*i) - highest(*i[:-1], 0))
    )
    return powers, _across_lanes("sum", powers, rows, sizes.vectors, lambda a, b: a + b)


def _weighted_mean(powers: te.Tensor, total: te.Tensor, value: te.Tensor, sizes: _Sizes, at: BatchIndex) -> te.Tensor:
    """``powers @ value / total`` over padded features."""
    from tvm import tirx

    values = _value_rows(value, sizes)

    def weigh(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        *outer, i, e = index
        return powers(*outer, i, *ks) * values(*at(outer, value.shape), *ks, e)

    shape = (*sizes.batch, sizes.padded_rows, sizes.padded_features)
    weighted = _fold("sum", shape, sizes.columns, weigh, "weighted")

    def normalised(*index: Expr) -> Expr:
        # A row of -inf has no finite score, and only there is the sum 0: every exponential is.
        some = total(*index[: len(sizes.batch) + 1], 0)
        return weighted(*index) / tirx.Select(some <= const(0.0, "float32"), const(1.0, "float32"), some)

    return _per_row(sizes, sizes.padded_features, "normalised", normalised)


def _value_rows(value: te.Tensor, sizes: _Sizes) -> te.Tensor:
    """``value`` in float32 with whole vectors of features, 0 in the lanes past the last."""
    from tvm import te, tirx

    if sizes.features % LANES == 0 and str(value.dtype) == "float32":
        return value

    def value_at(*index: Expr) -> Expr:
        element = load(value, *index)
        if sizes.features % LANES == 0:
            return element
        return tirx.if_then_else(index[-1] < sizes.features, element, const(0.0, "float32"))

    shape = (*[int(d) for d in value.shape[:-1]], sizes.padded_features)
    return te.compute(shape, value_at, name="value_rows", attrs=_part("value_rows"))


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
