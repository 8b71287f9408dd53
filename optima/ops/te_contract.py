"""Sums of products over labelled axes, pair by pair as batched matrix products, which have a schedule of their own.

An operand is a ``Term``: labels for its axes, and how to read it at given labels. Contracting two of them sorts the
labels as in every tensor-contraction library (batch: in both and kept; rows, columns: in one and kept; depth: in both
and dropped), so that a product of any equation becomes ``[batch ..., row, column | depth]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optima.ops.te_reduce import Expr, fold_terms, load

if TYPE_CHECKING:
    from tvm import te

#: an axis of the equation: the letter that stands for it, or a number for one under an ellipsis
Label = str | int
Index = Mapping[Label, Expr]


@dataclass(frozen=True)
class Term:
    """A factor: its ``labels``, no two alike and none of extent 1, and its element at an index per label.

    ``tensor`` is the stored tensor whose axes are exactly ``labels`` and whose elements need no conversion, if any.
    """

    labels: tuple[Label, ...]
    read: Callable[[Index], Expr]
    tensor: te.Tensor | None = None


def term_of(tensor: te.Tensor, labels: Sequence[Label], dtype: str) -> Term:
    """``tensor`` (accumulated in ``dtype``) under ``labels``: repeated ones walk a diagonal, extents of 1 drop out."""
    extents = [int(d) for d in tensor.shape]
    kept = tuple(dict.fromkeys(x for x, d in zip(labels, extents, strict=True) if d != 1))

    def read(index: Index) -> Expr:
        value = load(tensor, *(0 if d == 1 else index[x] for x, d in zip(labels, extents, strict=True)))
        return value.astype(dtype)  # torch sums narrow integers of one operand in int64

    stored = kept == tuple(labels) and str(tensor.dtype) == dtype
    return Term(kept, read, tensor if stored else None)


def contract(terms: Sequence[Term], out: Sequence[Label], extents: Mapping[Label, int], dtype: str,
             path: Sequence[tuple[int, int]] = ()) -> te.Tensor:  # fmt: skip
    """The product of all ``terms`` summed over every label that is not in ``out``: a tensor with the axes ``out``.

    ``path`` names, per step, the positions of the two terms to contract, whose result goes to the end of the list;
    without it they are taken from the left. ``extents`` gives the extent of every label, those of ``out`` with 1 too.
    """
    rest = [_without(t, _wanted([u for u in terms if u is not t], out), extents, dtype) for t in terms]
    steps = list(path)
    while len(rest) > 1:
        first, second = steps.pop(0) if steps else (0, 1)
        left, right = rest[first], rest[second]
        others = [t for k, t in enumerate(rest) if k not in (first, second)]
        made = _pair(left, right, _wanted(others, out), out, extents, dtype)
        rest = [*others, made] if path else [made, *others]
    return _arranged(rest[0], out, extents)


def _wanted(others: Sequence[Term], out: Sequence[Label]) -> set[Label]:
    return {x for t in others for x in t.labels} | set(out)


def _without(term: Term, wanted: set[Label], extents: Mapping[Label, int], dtype: str) -> Term:
    """``term`` summed over the labels that nothing else has."""
    kept = tuple(x for x in term.labels if x in wanted)
    alone = tuple(x for x in term.labels if x not in wanted)
    if not alone:
        return term

    def element(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        return term.read(dict(zip((*kept, *alone), (*index, *ks), strict=True)))

    shape = [extents[x] for x in kept]
    return _stored(fold_terms("sum", shape, [extents[x] for x in alone], element, dtype, "summed"), kept)


def _stored(tensor: te.Tensor, labels: tuple[Label, ...]) -> Term:
    return Term(labels, lambda index: tensor(*(index[x] for x in labels)), tensor)


def _pair(
    left: Term, right: Term, wanted: set[Label], out: Sequence[Label], extents: Mapping[Label, int], dtype: str
) -> Term:
    """The product of two terms, summed over the labels of both that are not ``wanted``."""
    # In the order of the output where that has them: then the product itself is the result.
    order = {x: k for k, x in enumerate(out)}
    ranked = sorted(dict.fromkeys((*left.labels, *right.labels)), key=lambda x: order.get(x, len(order)))
    both = set(left.labels) & set(right.labels)
    depth = tuple(x for x in left.labels if x in both and x not in wanted)
    batch = tuple(x for x in ranked if x in both and x in wanted)
    rows = tuple(x for x in ranked if x in left.labels and x not in both)
    columns = tuple(x for x in ranked if x in right.labels and x not in both)
    if not depth:
        return Term(tuple(ranked), lambda index: left.read(index) * right.read(index))
    if _comes_first(columns, rows, order):
        left, right, rows, columns = right, left, columns, rows
    a = _matrix(left, batch, rows, depth, extents)
    transposed = right.labels == (*batch, *columns, *depth) and len(columns) == len(depth) == 1
    b = right.tensor if transposed and right.tensor is not None else None
    stacked = b is not None
    if b is None:
        b = _matrix(right, batch, depth, columns, extents)
    lead = [extents[x] for x in batch]
    sizes = [_size(g, extents) for g in (rows, columns, depth)]

    def element(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        *outer, row, column = index
        inner = (column, *ks) if stacked else (*ks, column)
        return a(*outer, row, *ks) * b(*outer, *inner)

    product = fold_terms("sum", (*lead, *sizes[:2]), sizes[2:], element, dtype, "product", "gemm")
    if len(rows) == len(columns) == 1:
        return _stored(product, (*batch, *rows, *columns))

    def read(index: Index) -> Expr:
        return product(*(index[x] for x in batch), _flat(rows, index, extents), _flat(columns, index, extents))

    return Term((*batch, *rows, *columns), read)


def _comes_first(columns: Sequence[Label], rows: Sequence[Label], order: Mapping[Label, int]) -> bool:
    """Whether the output wants the columns in front of the rows."""
    if not rows or not columns or rows[-1] not in order or columns[-1] not in order:
        return False
    return order[columns[-1]] < order[rows[-1]]


def _matrix(
    term: Term, batch: tuple[Label, ...], first: tuple[Label, ...], second: tuple[Label, ...],
    extents: Mapping[Label, int],
) -> te.Tensor:  # fmt: skip
    """``term`` as ``[batch ..., first, second]``, each of the two groups as one axis: itself, or a copy."""
    from tvm import te

    if term.tensor is not None and term.labels == (*batch, *first, *second) and len(first) == len(second) == 1:
        return term.tensor
    shape = (*(extents[x] for x in batch), _size(first, extents), _size(second, extents))

    def element(*index: Expr) -> Expr:
        *outer, i, j = index
        at = dict(zip(batch, outer, strict=True)) | _split(first, i, extents) | _split(second, j, extents)
        return term.read(at)

    return te.compute(shape, element, name="matrix")


def _arranged(term: Term, out: Sequence[Label], extents: Mapping[Label, int]) -> te.Tensor:
    """``term`` with its axes in the order of ``out``."""
    from tvm import te

    if term.tensor is not None and term.labels == tuple(out):
        return term.tensor
    return te.compute([extents[x] for x in out], lambda *i: term.read(dict(zip(out, i, strict=True))), name="arranged")


def _size(labels: Sequence[Label], extents: Mapping[Label, int]) -> int:
    return math.prod(extents[x] for x in labels)


def _flat(labels: Sequence[Label], index: Index, extents: Mapping[Label, int]) -> Expr:
    """The labels' indices as one, row-major."""
    result: Expr = 0
    for x in labels:
        result = index[x] if x == labels[0] else result * extents[x] + index[x]
    return result


def _split(labels: Sequence[Label], index: Expr, extents: Mapping[Label, int]) -> dict[Label, Expr]:
    """The inverse of ``_flat``."""
    result: dict[Label, Expr] = {}
    stride = 1
    for k, x in reversed(list(enumerate(labels))):
        place = index // stride if stride > 1 else index
        result[x] = place % extents[x] if k else place
        stride *= extents[x]
    return result
