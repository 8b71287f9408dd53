"""Writing into a copy along one axis: an index per element (``scatter``), or per slice (``index_add``).

An index out of range raises in torch; a kernel cannot raise, and leaves that value out. Where torch leaves open
which of several writes to one element stays, the last in order does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.indices import axis
from optima.ops.onnx.indexing import SCATTER
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Refuse, supported
from optima.ops.promotion import scalar_fits
from optima.ops.reference import aten
from optima.ops.te_addresses import Index, at, looked_up
from optima.ops.te_reduce import Expr, accumulator, convert, refused_by, widen
from optima.ops.te_scatter import Buffers, Scatter, scatter

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
Value = Callable[[Buffers, Index, Index], Expr]

#: the names of ``torch.scatter(reduce=)`` for what ``scatter_reduce`` calls sum and prod
_OLD_NAMES = {"add": "sum", "multiply": "prod"}


def given(name: str) -> Callable[..., Any]:
    """``aten(name)`` called without the attributes that are None: torch then picks the overload that lacks them."""
    call = aten(name)
    return lambda **arguments: call(**{k: v for k, v in arguments.items() if v is not None})


def stored(buffer: Any, index: Index, dtype: str, acc: str) -> Expr:
    """``buffer[index]`` as ``acc``: ``dtype`` itself, or its accumulator."""
    source = str(buffer.dtype)
    value = at(buffer, index)
    if source == acc:
        return value
    return convert(widen(value, source), source, acc) if source != dtype else widen(value, source)


def number(value: Any, dtype: str, acc: str, index: Index) -> Expr:
    """A Python number rounded to ``dtype`` and held in ``acc``."""
    if acc == dtype:
        return em.literal(value, dtype, index)
    return em.opaque(em.constant(value, dtype))


def _virtual(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A 0-d tensor counts as one element along one axis."""
    return shape or (1,)


def _copied(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """The result where nothing is written."""
    from tvm import te

    x = tensors["self"]
    return [te.compute(x.shape, lambda *i: x(*i), name=view.op)]


def _scatter(reduction: Callable[[OpView], str], view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """``self[..., index[i], ...] = src[i]`` for every element i of ``index``."""
    if view.operands["index"].numel == 0:
        return _copied(view, tensors)
    out, reduce = view.outputs[0], reduction(view)
    shape, points = _virtual(out.shape), _virtual(view.operands["index"].shape)
    dim = axis(view.attrs["dim"], len(shape))
    acc = out.dtype if reduce == "set" else accumulator(out.dtype)

    def value(buffers: Buffers, outer: Index, inner: Index) -> Expr:
        if "src" in buffers:
            return stored(buffers["src"], outer, out.dtype, acc)
        return number(view.attrs["value"], out.dtype, acc, outer)

    plan = Scatter(
        shape,
        points,
        (),
        lambda buffers, outer: [looked_up(at(buffers["index"], outer), shape[dim], wrap=False)],
        lambda places, outer, inner: [*outer[:dim], places[0], *outer[dim + 1 :]],
        value,
        tuple(k for k in range(len(points)) if k != dim),
    )
    include = view.attrs.get("include_self", True)
    return scatter(view.op, plan, tensors, (out.shape, out.dtype), reduce, include_self=include)


def _index_write(reduction: Callable[[OpView], str], source: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """``self[..., index[k], ...] = source[..., k, ...]``, whole slices; ``source`` names the operand."""
    count = view.operands["index"].numel
    if count == 0:
        return _copied(view, tensors)
    out, reduce = view.outputs[0], reduction(view)
    shape = _virtual(out.shape)
    dim = axis(view.attrs["dim"], len(shape))
    acc = out.dtype if reduce == "set" else accumulator(out.dtype)

    def value(buffers: Buffers, outer: Index, inner: Index) -> Expr:
        if source not in buffers:
            return number(view.attrs[source], out.dtype, acc, [*outer, *inner])
        picked = stored(buffers[source], [*outer, *inner], out.dtype, acc)
        alpha = view.attrs.get("alpha", 1)
        return picked if alpha == 1 else em.multiply(picked, em.constant(alpha, acc))

    plan = Scatter(
        shape,
        (*shape[:dim], count),
        shape[dim + 1 :],
        lambda buffers, outer: [looked_up(at(buffers["index"], outer[-1:]), shape[dim], wrap=view.op == "index_fill")],
        lambda places, outer, inner: [*outer[:-1], places[0], *inner],
        value,
        (*range(dim), *range(dim + 1, len(shape))),
        dim < len(shape) - 1,
    )
    include = view.attrs.get("include_self", True)
    return scatter(view.op, plan, tensors, (out.shape, out.dtype), reduce, include_self=include)


def _number_reason(key: str) -> Refuse:
    """Why the number in attribute ``key`` cannot be taken."""

    def reason(view: OpView) -> str | None:
        value, dtype = view.attrs.get(key), view.outputs[0].dtype
        if value is None or key in view.operands:
            return None
        if isinstance(value, complex):
            return f"{key}={value!r} is not a real number"
        return None if scalar_fits(value, dtype) else f"{key}={value!r} does not fit in {dtype}"

    return reason


def _same_dtype(role: str) -> Refuse:
    """Why ``role`` cannot be written into ``self``: torch takes no other dtype either."""

    def reason(view: OpView) -> str | None:
        kinds = view.operands
        if role not in kinds or kinds[role].dtype == kinds["self"].dtype:
            return None
        return f"{role} of {kinds[role].dtype} into {kinds['self'].dtype}"

    return reason


def _reduction_reason(view: OpView) -> str | None:
    reduce = view.attrs.get("reduce")
    if reduce is not None and _OLD_NAMES.get(reduce, reduce) not in ("sum", "prod", "mean", "amax", "amin"):
        return f"reduce={reduce!r}"
    if reduce == "mean" and view.outputs[0].dtype == "bool":
        return "a mean of bools"
    return None


def _entry(
    name: str,
    operands: tuple[str, ...],
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any],
    *refuse: Refuse,
) -> OpEntry:
    return OpEntry(
        name,
        operands,
        given(name),
        {"dim": REQUIRED, **attrs},
        frozenset({Trait.OPAQUE}),
        supported(compute, refused_by(_reduction_reason, *refuse)),
    )


def _always(reduce: str) -> Callable[[OpView], str]:
    return lambda view: reduce


def _named(view: OpView) -> str:
    reduce = view.attrs.get("reduce")
    return _OLD_NAMES.get(reduce, reduce) if reduce else "set"


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry(
            "scatter",
            ("self", "index", "src?"),
            partial(_scatter, _named),
            {"value": None, "reduce": None},
            _number_reason("value"),
            _same_dtype("src"),
        ),
        _entry("scatter_add", ("self", "index", "src"), partial(_scatter, _always("sum")), {}, _same_dtype("src")),
        _entry(
            "scatter_reduce",
            ("self", "index", "src"),
            partial(_scatter, _named),
            {"reduce": REQUIRED, "include_self": True},
            _same_dtype("src"),
        ),
        _entry(
            "index_add",
            ("self", "index", "source"),
            partial(_index_write, _always("sum"), "source"),
            {"alpha": 1},
            _number_reason("alpha"),
            _same_dtype("source"),
        ),
        _entry(
            "index_copy",
            ("self", "index", "source"),
            partial(_index_write, _always("set"), "source"),
            {},
            _same_dtype("source"),
        ),
        _entry(
            "index_fill",
            ("self", "index", "value?"),
            partial(_index_write, _always("set"), "value"),
            {"value": None},
            _number_reason("value"),
        ),
        _entry(
            "index_reduce",
            ("self", "index", "source"),
            partial(_index_write, _named, "source"),
            {"reduce": REQUIRED, "include_self": True},
            _same_dtype("source"),
        ),
    ),
    SCATTER,
)
