"""Reading by computed indices, and triangular parts.

An index out of range raises in torch. A kernel cannot raise: it reads the nearest element that exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.exact_math import dtype_of
from optima.ops.indices import axis
from optima.ops.pointwise import Refuse, Tensors, read, supported
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


def _within(position: Any, extent: int) -> Any:
    """A computed index, kept inside ``0 .. extent - 1``, as the int32 that kernels index with."""
    from tvm import tirx

    last = tirx.const(max(extent - 1, 0), dtype_of(position))
    zero = tirx.const(0, dtype_of(position))
    return tirx.max(tirx.min(position, last), zero).astype("int32")


def _wrapped(position: Any, extent: int) -> Any:
    """An index that may count from the end."""
    from tvm import tirx

    wide = position.astype("int64")
    return _within(tirx.Select(wide < 0, wide + tirx.const(extent, "int64"), wide), extent)


def _embedding(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    table, indices = tensors["weight"], tensors["indices"]
    rows = view.operands["weight"].shape[0]

    def at(*index: Any) -> Any:
        return table(_within(indices(*index[:-1]), rows), index[-1])

    return [te.compute(view.outputs[0].shape, at, name=view.op)]


def _index_select(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, picked = tensors["self"], tensors["index"]
    shape = view.operands["self"].shape
    dim = axis(view.attrs["dim"], len(shape))

    def at(*index: Any) -> Any:
        if not shape:
            return x()
        position = picked(index[dim]) if view.operands["index"].shape else picked()
        return x(*[_within(position, shape[dim]) if k == dim else i for k, i in enumerate(index)])

    return [te.compute(view.outputs[0].shape, at, name=view.op)]


def _gather(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, picked = tensors["self"], tensors["index"]
    shape = view.operands["self"].shape
    dim = axis(view.attrs["dim"], len(shape))

    def at(*index: Any) -> Any:
        if not shape:
            return x()
        position = _within(picked(*index[: len(picked.shape)]), shape[dim])
        return x(*[position if k == dim else i for k, i in enumerate(index)])

    return [te.compute(view.outputs[0].shape, at, name=view.op)]


def _given(view: OpView) -> list[int]:
    """The dimensions of ``self`` that an index tensor selects in, in order."""
    return sorted(int(role.split(".")[1]) for role in view.operands if role.startswith("indices."))


def _index(view: OpView, tensors: Tensors) -> list[Any]:
    """Advanced indexing: the index tensors broadcast together, and their dimensions stand where the first stood,
    or in front when a slice separates them."""
    from tvm import te

    x, shape, out = tensors["self"], view.operands["self"].shape, view.outputs[0]
    dims = _given(view)
    rank = max((len(view.operands[f"indices.{d}"].shape) for d in dims), default=0)
    adjacent = dims == list(range(dims[0], dims[0] + len(dims))) if dims else True
    front = dims[0] if dims and adjacent else 0

    def at(*index: Any) -> Any:
        broadcast, rest = index[front : front + rank], iter([*index[:front], *index[front + rank :]])
        place = [
            _wrapped(read(tensors[f"indices.{d}"], broadcast), shape[d]) if d in dims else next(rest)
            for d in range(len(shape))
        ]
        return x(*place)

    return [te.compute(out.shape, at, name=view.op)]


def _index_reason(view: OpView) -> str | None:
    for role, kind in view.operands.items():
        if role.startswith("indices.") and kind.dtype in ("bool", "uint8"):
            return "a mask as index: how many elements it selects is known only when it runs"
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


def _one_hot(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x, out = tensors["self"], view.outputs[0]

    def at(*index: Any) -> Any:
        return x(*index[:-1]).astype("int64").equal(index[-1].astype("int64")).astype(out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _one_hot_reason(view: OpView) -> str | None:
    return "num_classes must be given" if view.attrs["num_classes"] < 1 else None


def _one_hot_reference(**arguments: Any) -> Any:
    """By comparison: aten's own reads the values, which a type rule does not have."""
    import torch

    x, classes = arguments["self"], arguments["num_classes"]
    if classes < 1:
        return torch.ops.aten.one_hot(x, classes)
    return (x.unsqueeze(-1) == torch.arange(classes, device=x.device)).to(torch.int64)


ENTRIES: tuple[OpEntry, ...] = (
    _indexing(
        "embedding",
        ("weight", "indices"),
        _embedding,
        {"padding_idx": -1, "scale_grad_by_freq": False, "sparse": False},
    ),
    _indexing("index_select", ("self", "index"), _index_select, {"dim": REQUIRED}),
    _indexing("gather", ("self", "index"), _gather, {"dim": REQUIRED, "sparse_grad": False}),
    _indexing("index", ("self", "indices*"), _index, {}, _index_reason),
    _indexing("tril", ("self",), _triangle(lambda ahead, d: ahead <= d), {"diagonal": 0}),
    _indexing("triu", ("self",), _triangle(lambda ahead, d: ahead >= d), {"diagonal": 0}),
    OpEntry(
        "one_hot",
        ("self",),
        _one_hot_reference,
        {"num_classes": -1},
        _INJECTIVE,
        supported(_one_hot, _one_hot_reason),
    ),
)
