"""Writing into a copy at places: by several index tensors or a mask, by flat positions, or along a diagonal.

An index out of range raises in torch; a kernel cannot raise, and leaves that value out. Where torch leaves open
which of several writes to one element stays, the last in row-major order of the indices does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops import exact_math as em
from optima.ops.entry import OpEntry, OpView, Trait
from optima.ops.indexing import given_dims, positions_reason
from optima.ops.indices import axis
from optima.ops.pointwise import Refuse, read, supported
from optima.ops.reference import aten
from optima.ops.te_addresses import Index, at, broadcast, looked_up, unravel
from optima.ops.te_compact import masked_write
from optima.ops.te_reduce import Expr, widen
from optima.ops.te_scatter import Buffers, Scatter, scatter

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_OPAQUE = frozenset({Trait.OPAQUE})
_INJECTIVE = frozenset({Trait.INJECTIVE})


def _copied(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    x = tensors["self"]
    return [te.compute(x.shape, lambda *i: x(*i), name=view.op)]


def _is_mask(view: OpView) -> bool:
    return any(k.dtype in ("bool", "uint8") for r, k in view.operands.items() if r.startswith("indices."))


def _index_put(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """``self[indices] = values``: by a mask, or by index tensors that broadcast together."""
    if _is_mask(view):
        return _mask_put(view, tensors)
    lookups = {r: k for r, k in view.operands.items() if r.startswith("indices.")}
    if any(k.numel == 0 for k in lookups.values()):
        return _copied(view, tensors)
    shape, dims = view.operands["self"].shape, given_dims(view)
    points = _broadcast_shape([k.shape for k in lookups.values()])
    rest = [d for d in range(len(shape)) if d not in dims]
    front = dims[0] if dims == list(range(dims[0], dims[0] + len(dims))) else 0

    def places(buffers: Buffers, outer: Index) -> list[tuple[Expr, int]]:
        return [looked_up(broadcast(buffers[f"indices.{d}"], outer), shape[d], wrap=True) for d in dims]

    def target(found: Sequence[Expr], outer: Index, inner: Index) -> list[Expr]:
        table = dict(zip(dims, found, strict=True)) | dict(zip(rest, inner, strict=True))
        return [table[d] for d in range(len(shape))]

    plan = Scatter(
        shape,
        points,
        tuple(shape[d] for d in rest),
        places,
        target,
        lambda buffers, outer, inner: _value(view, buffers, [*inner[:front], *outer, *inner[front:]]),
        tuple(range(len(points), len(points) + len(rest))),
        len(shape) - 1 in rest,
    )
    return scatter(view.op, plan, tensors, (shape, view.outputs[0].dtype), _how(view))


def _how(view: OpView) -> str:
    return "sum" if view.attrs["accumulate"] else "set"


def _value(view: OpView, buffers: Buffers, index: Sequence[Expr]) -> Expr:
    value = broadcast(buffers["values"], index)
    dtype = view.outputs[0].dtype
    return widen(value, dtype) if view.attrs["accumulate"] else value


def _broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    return tuple(next((d for d in extents if d != 1), 1) for extents in zip(*padded, strict=True))


def _mask_span(view: OpView) -> tuple[str, int, int]:
    """(role, first dimension, number of dimensions) of the one mask of an ``index_put``."""
    (role,) = (r for r in view.operands if r.startswith("indices."))
    return role, int(role.partition(".")[2]), len(view.operands[role].shape)


def _mask_put(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """One value for all that a mask selects is a choice per element; several are handed out in order."""
    from tvm import te

    if view.operands["values"].numel == 0:
        return _copied(view, tensors)
    role, first, covered = _mask_span(view)
    out, values = view.outputs[0], view.operands["values"].shape
    following = len(out.shape) - first - covered
    # `values` broadcasts to (before the mask, number selected, after it).
    if len(values) > following and values[-1 - following] != 1:
        return masked_write(view, tensors, role, "values", (first, covered), accumulate=view.attrs["accumulate"])
    x, mask, new = tensors["self"], tensors[role], tensors["values"]

    def element(*index: Any) -> Any:
        chosen = em.cast(mask(*index[first : first + covered]), "bool")
        value = read(new, [*index[:first], 0, *index[first + covered :]])
        if view.attrs["accumulate"]:
            value = em.add(em.cast(x(*index), em.math_dtype(out.dtype)), em.cast(value, em.math_dtype(out.dtype)))
        return em.select(chosen, em.cast(value, out.dtype), x(*index))

    return [te.compute(out.shape, element, name=view.op)]


def _index_put_reason(view: OpView) -> str | None:
    kinds = view.operands
    if kinds["values"].dtype != kinds["self"].dtype:
        return f"values of {kinds['values'].dtype} into {kinds['self'].dtype}"
    lookups = [r for r in kinds if r.startswith("indices.")]
    if _is_mask(view):
        return None if len(lookups) == 1 else "a mask beside other indices: how many elements it selects is data"
    return positions_reason(view)


def _put(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """``self`` as one row: element ``index[k]`` becomes ``source[k]``."""
    count, out = view.operands["index"].numel, view.outputs[0]
    if count == 0:
        return _copied(view, tensors)
    kinds, shape = view.operands, out.shape or (1,)

    def value(buffers: Buffers, outer: Index, inner: Index) -> Expr:
        found = at(buffers["source"], unravel(outer[0], kinds["source"].shape))
        return widen(found, out.dtype) if view.attrs["accumulate"] else found

    plan = Scatter(
        shape,
        (count,),
        (),
        lambda buffers, outer: [
            looked_up(at(buffers["index"], unravel(outer[0], kinds["index"].shape)), math.prod(shape), wrap=True)
        ],
        lambda places, outer, inner: unravel(places[0], shape),
        value,
    )
    return scatter(view.op, plan, tensors, (out.shape, out.dtype), _how(view))


def _put_reason(view: OpView) -> str | None:
    kinds = view.operands
    same = kinds["source"].dtype == kinds["self"].dtype
    return None if same else f"source of {kinds['source'].dtype} into {kinds['self'].dtype}"


def _masked_scatter(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """The elements that the mask selects become those of ``source``, in order."""
    if view.operands["source"].numel == 0:
        from tvm import te

        x, out = tensors["self"], view.outputs[0]
        return [te.compute(out.shape, lambda *i: read(x, i), name=view.op)]
    return masked_write(view, tensors, "mask", "source", (0, len(view.outputs[0].shape)), accumulate=False)


def _masked_scatter_reason(view: OpView) -> str | None:
    kinds = view.operands
    if kinds["mask"].dtype != "bool":
        return f"a mask of {kinds['mask'].dtype}"
    same = kinds["source"].dtype == kinds["self"].dtype
    return None if same else f"source of {kinds['source'].dtype} into {kinds['self'].dtype}"


def _diagonal_scatter(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te, tirx

    x, source, out, a = tensors["self"], tensors["src"], view.outputs[0], view.attrs
    first, second = axis(a["dim1"], len(out.shape)), axis(a["dim2"], len(out.shape))
    if view.operands["src"].numel == 0:
        return _copied(view, tensors)

    def element(*index: Any) -> Any:
        along = index[first] + min(a["offset"], 0)
        others = [i for k, i in enumerate(index) if k not in (first, second)]
        written = (index[second] - index[first]).equal(a["offset"])
        return tirx.if_then_else(written, em.cast(source(*others, along), out.dtype), x(*index))

    return [te.compute(out.shape, element, name=view.op)]


def _entry(
    name: str,
    operands: tuple[str, ...],
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any],
    refuse: Refuse = lambda view: None,
    traits: frozenset[Trait] = _OPAQUE,
) -> OpEntry:
    return OpEntry(name, operands, aten(name), attrs, traits, supported(compute, refuse))


_DIAGONAL: Mapping[str, Any] = {"offset": 0, "dim1": 0, "dim2": 1}
_PUT_OPERANDS = ("self", "indices*", "values")

ENTRIES: tuple[OpEntry, ...] = (
    _entry("index_put", _PUT_OPERANDS, _index_put, {"accumulate": False}, _index_put_reason),
    _entry("put", ("self", "index", "source"), _put, {"accumulate": False}, _put_reason),
    _entry("masked_scatter", ("self", "mask", "source"), _masked_scatter, {}, _masked_scatter_reason),
    _entry("diagonal_scatter", ("self", "src"), _diagonal_scatter, _DIAGONAL, traits=_INJECTIVE),
)
