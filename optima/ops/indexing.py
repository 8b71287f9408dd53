"""Reading by computed indices, and triangular parts.

An index out of range raises in torch. A kernel cannot raise: it reads the nearest element that exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.exact_math import dtype_of
from optima.ops.indices import axis, dense_index
from optima.ops.onnx.indexing import INDEXING
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Refuse, Tensors, read, supported
from optima.ops.promotion import scalar_fits
from optima.ops.reference import aten

_INJECTIVE = frozenset({Trait.INJECTIVE})


def _indexing(
    name: str,
    operands: tuple[str, ...],
    compute: Callable[[OpView, Tensors], list[Any]],
    attrs: Mapping[str, Any],
    refuse: Refuse = lambda view: None,
) -> OpEntry:
    return OpEntry(name, operands, aten(name), attrs, _INJECTIVE, supported(compute, refuse))


def within(position: Any, extent: int) -> Any:
    """A computed index, kept inside ``0 .. extent - 1``, as the int32 that kernels index with."""
    from tvm import tirx

    last = tirx.const(max(extent - 1, 0), dtype_of(position))
    zero = tirx.const(0, dtype_of(position))
    return tirx.max(tirx.min(position, last), zero).astype("int32")


def wrapped(position: Any, extent: int) -> Any:
    """An index that may count from the end."""
    from tvm import tirx

    wide = position.astype("int64")
    return within(tirx.Select(wide < 0, wide + tirx.const(extent, "int64"), wide), extent)


def _index_select(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, picked = tensors["self"], tensors["index"]
    shape = view.operands["self"].shape
    dim = axis(view.attrs["dim"], len(shape))

    def at(*index: Any) -> Any:
        if not shape:
            return x()
        position = picked(index[dim]) if view.operands["index"].shape else picked()
        return x(*[within(position, shape[dim]) if k == dim else i for k, i in enumerate(index)])

    return [te.compute(view.outputs[0].shape, at, name=view.op)]


def _gather(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, picked = tensors["self"], tensors["index"]
    shape = view.operands["self"].shape
    dim = axis(view.attrs["dim"], len(shape))

    def at(*index: Any) -> Any:
        if not shape:
            return x()
        # A 0-d index counts as one element, and so does the result.
        position = within(picked(*index[: len(picked.shape)]), shape[dim])
        return x(*[position if k == dim else i for k, i in enumerate(index or (0,))])

    return [te.compute(view.outputs[0].shape, at, name=view.op)]


def _take(view: OpView, tensors: Tensors) -> list[Any]:
    """``self`` as one row, read at positions that may count from the end."""
    from tvm import te

    x, kind = tensors["self"], view.operands["self"]

    def at(*index: Any) -> Any:
        place = wrapped(tensors["index"](*index), kind.numel)
        return x(*dense_index(kind.shape, (kind.numel,), [place]))

    return [te.compute(view.outputs[0].shape, at, name=view.op)]


def _take_along_dim(view: OpView, tensors: Tensors) -> list[Any]:
    """``gather`` of operands that broadcast in all other dimensions; of flattened ones without a ``dim``."""
    from tvm import te

    x, kinds, dim = tensors["self"], view.operands, view.attrs["dim"]
    shape = kinds["self"].shape

    def flat(index: Any) -> Any:
        place = wrapped(
            tensors["indices"](*dense_index(kinds["indices"].shape, (kinds["indices"].numel,), [index])),
            kinds["self"].numel,
        )
        return x(*dense_index(shape, (kinds["self"].numel,), [place]))

    def along(*index: Any) -> Any:
        at_dim = axis(dim, len(shape))
        position = wrapped(read(tensors["indices"], index), shape[at_dim])
        return _read_but(x, [position if k == at_dim else i for k, i in enumerate(index)], at_dim)

    return [te.compute(view.outputs[0].shape, flat if dim is None else along, name=view.op)]


def _read_but(tensor: Any, index: Sequence[Any], dim: int) -> Any:
    """``tensor`` broadcast in every dimension but ``dim``."""
    ones = [int(d) == 1 and k != dim for k, d in enumerate(tensor.shape)]
    return tensor(*[0 if one else i for i, one in zip(index, ones, strict=True)])


def given_dims(view: OpView) -> list[int]:
    """The dimensions of ``self`` that an index tensor selects in, in order."""
    return sorted(int(role.split(".")[1]) for role in view.operands if role.startswith("indices."))


def _index(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    found = _looked_up(view, tensors)
    return [te.compute(view.outputs[0].shape, lambda *i: found(i), name=view.op)]


def _looked_up(view: OpView, tensors: Tensors) -> Callable[[Sequence[Any]], Any]:
    """Advanced indexing: the index tensors broadcast together, and their dimensions stand where the first stood,
    or in front when a slice separates them."""
    x, shape = tensors["self"], view.operands["self"].shape
    dims = given_dims(view)
    rank = max((len(view.operands[f"indices.{d}"].shape) for d in dims), default=0)
    adjacent = dims == list(range(dims[0], dims[0] + len(dims))) if dims else True
    front = dims[0] if dims and adjacent else 0

    def at(index: Sequence[Any]) -> Any:
        broadcast, rest = index[front : front + rank], iter([*index[:front], *index[front + rank :]])
        place = [
            wrapped(read(tensors[f"indices.{d}"], broadcast), shape[d]) if d in dims else next(rest)
            for d in range(len(shape))
        ]
        return x(*place)

    return at


def _masked_index(view: OpView, tensors: Tensors) -> list[Any]:
    """Advanced indexing, and ``fill`` where the mask is false; nothing else is read there."""
    from tvm import te, tirx

    out, found = view.outputs[0], _looked_up(view, tensors)

    def at(*index: Any) -> Any:
        fill = em.literal(view.attrs["fill"], out.dtype, index)
        return tirx.if_then_else(read(tensors["mask"], index), found(index), fill)

    return [te.compute(out.shape, at, name=view.op)]


def _masked_reason(view: OpView) -> str | None:
    if view.operands["self"].numel == 0:
        return "a lookup in an empty tensor, for which torch's kernel and its own type rule give other shapes"
    fill, dtype = view.attrs["fill"], view.outputs[0].dtype
    if isinstance(fill, complex) or not scalar_fits(fill, dtype):
        return f"fill={fill!r} does not fit in {dtype}"
    return "a mask of another dtype than bool" if view.operands["mask"].dtype != "bool" else positions_reason(view)


def positions_reason(view: OpView) -> str | None:
    """Why the operands ``indices`` cannot be looked up one by one."""
    for role, kind in view.operands.items():
        if role.startswith("indices.") and kind.dtype in ("bool", "uint8"):
            return "a mask as index: how many elements it selects is known only when it runs"
    if not given_dims(view):
        return "no index at all"
    return None if view.operands["self"].shape else "an index into a 0-d tensor"


def _triangle(keep: Callable[[Any, int], Any]) -> Callable[[OpView, Tensors], list[Any]]:
    def compute(view: OpView, tensors: Tensors) -> list[Any]:
        from tvm import te

        x, diagonal, dtype = tensors["self"], view.attrs["diagonal"], view.outputs[0].dtype

        def at(*index: Any) -> Any:
            zero = em.literal(0, dtype, index)
            return em.select(keep(index[-1] - index[-2], diagonal), x(*index), zero)

        return [te.compute(view.outputs[0].shape, at, name=view.op)]

    return compute


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _indexing("index_select", ("self", "index"), _index_select, {"dim": REQUIRED}),
        _indexing("gather", ("self", "index"), _gather, {"dim": REQUIRED, "sparse_grad": False}),
        _indexing("index", ("self", "indices*"), _index, {}, positions_reason),
        _indexing("take", ("self", "index"), _take, {}),
        _indexing("take_along_dim", ("self", "indices"), _take_along_dim, {"dim": None}),
        _indexing(
            "_unsafe_masked_index", ("self", "mask", "indices*"), _masked_index, {"fill": REQUIRED}, _masked_reason
        ),
        _indexing("tril", ("self",), _triangle(lambda ahead, d: ahead <= d), {"diagonal": 0}),
        _indexing("triu", ("self",), _triangle(lambda ahead, d: ahead >= d), {"diagonal": 0}),
    ),
    INDEXING,
)
