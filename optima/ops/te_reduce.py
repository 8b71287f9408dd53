"""TE building blocks that fold axes: sums of products, NaN-propagating extrema, reductions over chosen axes.

TVM runs a reduction's initialiser inside its loops, so a reduction over nothing would leave its result
unwritten; every fold here gives the identity instead. TVM's own ``te.max`` starts from the lowest finite
number and drops NaN; torch's maximum of a row of -inf is -inf, and NaN wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import OpView

if TYPE_CHECKING:
    from tvm import te

Expr = Any
#: maps a full index to the element there
Source = Callable[..., Expr]

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
HALVES = ("float16", "bfloat16")
_LARGEST = {"float32": 3.4028234663852886e38, "float64": 1.7976931348623157e308}


def accumulator(dtype: str) -> str:
    """The dtype to compute in: float32 for the two half types, otherwise the dtype itself."""
    return "float32" if dtype in HALVES else dtype


def widen(value: Expr, dtype: str) -> Expr:
    """A loaded ``value`` of ``dtype`` in the accumulator of that dtype.

    bfloat16 goes by its bits: TVM 0.27 leaves a cast from bfloat16 unlegalised where it stands in a let or in
    a reduction of pairs, and would convert the bits as an integer.
    """
    from tvm import tirx

    if dtype == "bfloat16":
        bits = tirx.reinterpret("uint16", value).astype("uint32") << tirx.const(16, "uint32")
        return tirx.reinterpret("float32", bits)
    return value.astype(accumulator(dtype))


def load(tensor: te.Tensor, *index: Expr) -> Expr:
    """An element of ``tensor`` in the accumulator of its dtype."""
    return widen(tensor(*index), str(tensor.dtype))


def convert(value: Expr, source: str, target: str) -> Expr:
    """``value``, in the accumulator of ``source``, rounded to ``target``; to bool is a test against zero."""
    from tvm import tirx

    wide = accumulator(source)
    if target == "bool":
        if source == "bool":
            return value
        # TVM's != is false for NaN; torch's bool(nan) is true.
        return tirx.any(value != tirx.const(0, wide), is_nan(value, wide))
    if wide in FLOATS and target in ("int8", "int16", "uint8"):
        value = value.astype("int64")  # out of range wraps, as on torch's CPU
    return value.astype(target)


def const(value: float | int | bool, dtype: str) -> Expr:
    """An immediate of ``dtype``; infinities and NaN are allowed for floats."""
    from tvm import tirx

    if dtype in FLOATS:
        return tirx.const(float(value), dtype)
    return tirx.const(bool(value) if dtype == "bool" else int(value), dtype)


def refuse_dtypes(*allowed: str) -> Callable[[OpView], str | None]:
    """A ``refuse`` that takes only operands of these dtypes."""

    def refuse(view: OpView) -> str | None:
        for role, kind in view.operands.items():
            if kind.dtype not in allowed:
                return f"{view.op} has no kernel for a {role} of {kind.dtype}"
        return None

    return refuse


def refused_by(*rules: Callable[[OpView], str | None]) -> Callable[[OpView], str | None]:
    """The first reason that any of ``rules`` gives."""

    def refuse(view: OpView) -> str | None:
        return next((reason for rule in rules if (reason := rule(view))), None)

    return refuse


def reduced_axes(dim: Any, rank: int, *, empty_is_all: bool = True) -> tuple[int, ...]:
    """A ``dim`` attribute (None, int or list) as sorted non-negative axes; a scalar has none to reduce."""
    if dim is None or (empty_is_all and not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(rank))
    dims = (dim,) if isinstance(dim, int) else dim
    return tuple(sorted({d % rank for d in dims})) if rank else ()


def extremum_identity(dtype: str, *, lowest: bool) -> float | int | bool:
    """What a maximum (``lowest``) or a minimum starts from."""
    if dtype in FLOATS:
        return -math.inf if lowest else math.inf
    if dtype == "bool":
        return not lowest
    bits = 8 if dtype.endswith("8") else int(dtype.removeprefix("int"))
    if dtype == "uint8":
        return 0 if lowest else 255
    limit: int = 1 << (bits - 1)
    return -limit if lowest else limit - 1


def is_nan(value: Expr, dtype: str) -> Expr:
    """Whether ``value`` is NaN; False for integers."""
    from tvm import tirx

    return tirx.isnan(value) if dtype in FLOATS else tirx.const(False, "bool")


def larger(a: Expr, b: Expr, dtype: str) -> Expr:
    """The larger of two values; NaN when either is NaN."""
    from tvm import tirx

    return tirx.Select(tirx.any(a > b, is_nan(a, dtype)), a, b)


def smaller(a: Expr, b: Expr, dtype: str) -> Expr:
    """The smaller of two values; NaN when either is NaN."""
    from tvm import tirx

    return tirx.Select(tirx.any(a < b, is_nan(a, dtype)), a, b)


def _combiner(kind: str, dtype: str) -> tuple[Callable[[Expr, Expr], Expr], float | int | bool]:
    """(how two partial results combine, the identity) of a reduction kind."""
    from tvm import tirx

    if kind in ("max", "min") and dtype == "bool":
        kind = "any" if kind == "max" else "all"
    table: dict[str, tuple[Callable[[Expr, Expr], Expr], float | int | bool]] = {
        "sum": (lambda a, b: a + b, 0),
        "prod": (lambda a, b: a * b, 1),
        "any": (lambda a, b: tirx.any(a, b), False),
        "all": (lambda a, b: tirx.all(a, b), True),
        "peak": (tirx.max, -_LARGEST.get(dtype, 0.0)),
        "max": (lambda a, b: larger(a, b, dtype), extremum_identity(dtype, lowest=True)),
        "min": (lambda a, b: smaller(a, b, dtype), extremum_identity(dtype, lowest=False)),
    }
    return table[kind]


def fold_terms(
    kind: str,
    lead: Sequence[int],
    extents: Sequence[int],
    term: Callable[[tuple[Expr, ...], tuple[Expr, ...]], Expr],
    dtype: str,
    name: str,
    rule: str = "",
) -> te.Tensor:
    """The tensor of shape ``lead`` whose element i folds ``term(i, r)`` over all r within ``extents``.

    ``kind``: sum, prod, max, min, any, all, or peak: TVM's own maximum, which schedules may split into lanes.
    It starts from the lowest finite number and may drop NaN, so it serves only where a row's NaN and -inf
    show elsewhere, as in a softmax. ``term`` gives values of ``dtype``. ``rule`` becomes the block's
    ``schedule_rule``. Nothing to fold gives the kind's identity.
    """
    from tvm import te

    function, start = _combiner(kind, dtype)
    attrs = {"schedule_rule": rule} if rule else None
    if not extents:
        return te.compute(tuple(lead), lambda *i: term(i, ()), name=name)
    if 0 in extents:
        return te.compute(tuple(lead), lambda *i: const(start, dtype), name=name)
    ks = tuple(te.reduce_axis((0, extent), name=f"r{n}") for n, extent in enumerate(extents))
    if kind in ("sum", "peak"):
        reducer = te.sum if kind == "sum" else te.max
    else:
        reducer = te.comm_reducer(function, lambda t: const(start, dtype), name=kind)
    return te.compute(tuple(lead), lambda *i: reducer(term(i, ks), axis=ks), name=name, attrs=attrs)


#: a float32 sum of more terms than this is added up in blocks: the rounding error of one long chain grows
_LONGEST_CHAIN = 4096
#: the same for a row, which its schedule adds up in a vector of chains
_LONGEST_ROW = 16 * _LONGEST_CHAIN


def _blocks(extent: int) -> int:
    """How many blocks an axis is cut into: about as many as there are terms in each, even ones where it can be so."""
    root = extent**0.5
    even = min((d for d in range(1, extent + 1) if extent % d == 0), key=lambda d: abs(d - root))
    return even if root / 4 <= even <= root * 4 else math.ceil(root)


def fold(
    kind: str,
    source: Source,
    shape: Sequence[int],
    axes: Sequence[int],
    dtype: str,
    *,
    keepdim: bool = False,
    name: str = "fold",
    rule: str = "",
) -> te.Tensor:
    """Fold ``source`` (values of ``dtype`` over ``shape``) over ``axes``: dropped, or kept as 1."""
    kept = tuple(d for d in range(len(shape)) if d not in axes)
    lead = tuple(1 if d in axes else shape[d] for d in range(len(shape)) if keepdim or d not in axes)

    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        outer = dict(zip(kept, (index[d] for d in kept) if keepdim else index, strict=True))
        inner = dict(zip(axes, ks, strict=True))
        return source(*(inner[d] if d in inner else outer[d] for d in range(len(shape))))

    extents = [shape[d] for d in axes]
    if kind == "sum" and dtype == "float32" and math.prod(extents) > (_LONGEST_ROW if rule else _LONGEST_CHAIN):
        return _fold_in_blocks(lead, extents, term, dtype, name)
    return fold_terms(kind, lead, extents, term, dtype, name, rule)


def _fold_in_blocks(
    lead: Sequence[int],
    extents: Sequence[int],
    term: Callable[[tuple[Expr, ...], tuple[Expr, ...]], Expr],
    dtype: str,
    name: str,
) -> te.Tensor:
    """A sum in two stages: its longest axis in blocks, then the blocks' sums."""
    from tvm import tirx

    longest = max(range(len(extents)), key=lambda d: extents[d])
    count = _blocks(extents[longest])
    size = math.ceil(extents[longest] / count)
    inner = [size if d == longest else extent for d, extent in enumerate(extents)]

    def in_block(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        whole = tuple(index[-1] * size + k if d == longest else k for d, k in enumerate(ks))
        value = term(index[:-1], whole)
        if size * count == extents[longest]:
            return value
        # The last block is not full.
        return tirx.if_then_else(whole[longest] < extents[longest], value, const(0, dtype))

    partial = fold_terms("sum", (*lead, count), inner, in_block, dtype, f"{name}_blocks")
    return fold_terms("sum", lead, [count], lambda i, ks: partial(*i, *ks), dtype, name)


def finish(value: te.Tensor, source: str, target: str, name: str = "out") -> te.Tensor:
    """``value`` rounded to the output's dtype; itself where it already has it."""
    from tvm import te

    if source == target:
        return value
    return te.compute(value.shape, lambda *i: convert(value(*i), source, target), name=name)


def row_rule(shape: Sequence[int], axes: Sequence[int]) -> str:
    """The ``schedule_rule`` of a fold over the trailing axes of several rows; "" for any other."""
    lead = len(shape) - len(axes)
    trailing = tuple(axes) == tuple(range(lead, len(shape)))
    return "row" if axes and trailing and math.prod(shape[:lead]) > 1 else ""
