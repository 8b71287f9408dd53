"""``as_strided`` and writing through it, on a tensor that lies densely in row-major order.

torch reads memory through strides, whatever lies there. Here the strides count elements of the operand, which is
the same thing for a dense tensor as long as no element outside it is named; the converter sees to the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.indices import dense_index
from optima.ops.pointwise import supported
from optima.ops.reference import aten
from optima.ops.te_addresses import Index, at, unravel
from optima.ops.te_reduce import Expr
from optima.ops.te_scatter import Scatter, scatter

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _linear(view: OpView, index: Sequence[Any]) -> Any:
    """The element, counted in row-major order, that the view shows at ``index``."""
    from tvm import tirx

    linear: Any = tirx.const(view.attrs["storage_offset"] or 0, "int32")
    for i, stride in zip(index, view.attrs["stride"], strict=True):
        linear = linear + i * stride
    return linear


def _as_strided(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    x, kind = tensors["self"], view.operands["self"]

    def element(*index: Any) -> Any:
        return x(*dense_index(kind.shape, (kind.numel,), [_linear(view, index)]))

    return [te.compute(view.outputs[0].shape, element, name=view.op)]


def _as_strided_scatter(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    out, x = view.outputs[0], tensors["self"]
    if view.operands["src"].numel == 0:
        return [te.compute(out.shape, lambda *i: x(*i), name=view.op)]
    shape, size = out.shape or (1,), tuple(view.attrs["size"])

    def target(places: Sequence[Expr], outer: Index, inner: Index) -> list[Expr]:
        return unravel(_linear(view, outer[: len(size)]), shape)

    plan = Scatter(
        shape, size or (1,), (), lambda buffers, outer: [], target, lambda buffers, outer, _: at(buffers["src"], outer)
    )
    return scatter(view.op, plan, tensors, (out.shape, out.dtype))


def _reason(view: OpView) -> str | None:
    """Why the elements that the view shows are not all elements of ``self``."""
    a, kinds = view.attrs, view.operands
    last = (a["storage_offset"] or 0) + sum((n - 1) * s for n, s in zip(a["size"], a["stride"], strict=True))
    if 0 not in a["size"] and last >= kinds["self"].numel:
        return f"it names element {last} of {kinds['self'].numel}: memory outside the tensor"
    if "src" in kinds and kinds["src"].dtype != kinds["self"].dtype:
        return f"src of {kinds['src'].dtype} into {kinds['self'].dtype}"
    return None


_ATTRS: Mapping[str, Any] = {"size": REQUIRED, "stride": REQUIRED, "storage_offset": None}

ENTRIES: tuple[OpEntry, ...] = (
    OpEntry(
        "as_strided",
        ("self",),
        aten("as_strided"),
        _ATTRS,
        frozenset({Trait.INJECTIVE}),
        supported(_as_strided, _reason),
    ),
    OpEntry(
        "as_strided_scatter",
        ("self", "src"),
        aten("as_strided_scatter"),
        _ATTRS,
        frozenset({Trait.OPAQUE}),
        supported(_as_strided_scatter, _reason),
    ),
)
