"""Sliding patches of images as columns (``im2col``) and back (``col2im``), and the inverse of max pooling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait
from optima.ops.pointwise import supported
from optima.ops.reference import aten
from optima.ops.te_addresses import Index, at, lanes, looked_up, unravel
from optima.ops.te_loops import Buffer, Stmt, each, nest, read, sequential, steps, store
from optima.ops.te_reduce import FLOATS, INTEGERS, Expr, accumulator, const, widen
from optima.ops.te_scatter import Buffers, Scatter, scatter, shaped

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_OPAQUE = frozenset({Trait.OPAQUE})

#: elements from which planes are spread over the worker pool
_PARALLEL_ELEMENTS = 2**15


class _Windows:
    """Where the windows of a kernel lie in an image of ``height`` x ``width``, from im2col's attributes."""

    def __init__(self, view: OpView, image: tuple[int, ...]) -> None:
        self.kernel_h, self.kernel_w = view.attrs["kernel_size"]
        self.dil_h, self.dil_w = view.attrs["dilation"]
        self.pad_h, self.pad_w = view.attrs["padding"]
        self.step_h, self.step_w = view.attrs["stride"]
        self.height, self.width = image
        self.rows = (self.height + 2 * self.pad_h - self.dil_h * (self.kernel_h - 1) - 1) // self.step_h + 1
        self.columns = (self.width + 2 * self.pad_w - self.dil_w * (self.kernel_w - 1) - 1) // self.step_w + 1

    def y(self, row: Expr, kh: Expr) -> Expr:
        """The image row that tap ``kh`` of a window in window row ``row`` covers; it may lie outside."""
        return row * self.step_h + kh * self.dil_h - self.pad_h

    def x(self, column: Expr, kw: int) -> Expr:
        """The image column that tap ``kw`` of a window in window column ``column`` covers."""
        return column * self.step_w + (kw * self.dil_w - self.pad_w)

    def inside(self, kw: int) -> tuple[int, int]:
        """The window columns, first and one past the last, whose tap ``kw`` lies in the image."""
        shift = kw * self.dil_w - self.pad_w
        first = max(0, -(shift // self.step_w))
        end = (self.width - 1 - shift) // self.step_w + 1
        return min(first, self.columns), min(max(end, first), self.columns)

    @property
    def taps(self) -> int:
        """Elements of a window."""
        return int(self.kernel_h * self.kernel_w)


def _planes(batched: bool, count: int, channels: int, elements: int, body: Any) -> Stmt:
    """``body(lead, channel)`` for every image plane, in parallel when there is enough to do."""
    kind = "parallel" if elements >= _PARALLEL_ELEMENTS else "serial"

    def plane(p: Expr) -> Stmt:
        return body([p // channels] if batched else [], p % channels)

    return each(count * channels, plane, kind, "plane")


def _im2col(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Column (c, kh, kw) holds what tap (kh, kw) sees of channel c in every window; padding is zero."""
    from tvm import tirx

    x, out = view.operands["self"], view.outputs[0]
    *lead, channels, height, width = x.shape
    w = _Windows(view, (height, width))

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        image, columns = ins[0], outs[0]

        def plane(batch: list[Expr], c: Expr) -> Stmt:
            return nest((w.kernel_h, w.rows), lambda kh, row: window_row(batch, c, kh, row))

        def window_row(batch: list[Expr], c: Expr, kh: Expr, row: Expr) -> Stmt:
            y = w.y(row, kh)
            return tirx.IfThenElse(
                tirx.all(y >= 0, y < height),
                steps(*[taps(batch, c, kh, row, kw, y) for kw in range(w.kernel_w)]),
                steps(*[blank(batch, c, kh, row, kw, 0, w.columns) for kw in range(w.kernel_w)]),
            )

        def taps(batch: list[Expr], c: Expr, kh: Expr, row: Expr, kw: int, y: Expr) -> Stmt:
            first, end = w.inside(kw)
            place = c * w.taps + kh * w.kernel_w + kw

            def copied(i: Expr) -> Stmt:
                column = first + i
                return store(
                    columns, (*batch, place, row * w.columns + column), read(image, *batch, c, y, w.x(column, kw))
                )

            parts = [lanes(end - first, copied)] if end > first else []
            parts += [blank(batch, c, kh, row, kw, a, b) for a, b in ((0, first), (end, w.columns)) if b > a]
            return steps(*parts)

        def blank(batch: list[Expr], c: Expr, kh: Expr, row: Expr, kw: int, first: int, end: int) -> Stmt:
            place = c * w.taps + kh * w.kernel_w + kw

            def cleared(i: Expr) -> Stmt:
                index = (*batch, place, row * w.columns + first + i)
                return store(columns, index, em.literal(0, out.dtype, index))

            return each(end - first, cleared)

        return _planes(bool(lead), math.prod(lead), channels, out.numel, plane)

    result, _ = sequential(view.op, [tensors["self"]], [(out.shape, out.dtype), ((1,), "int8")], body)
    return [result]


def _col2im(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Every column element added where its tap lies in the image, in the order of the taps."""
    from tvm import tirx

    out, source = view.outputs[0], view.operands["self"].dtype
    *lead, channels, height, width = out.shape
    acc = accumulator(out.dtype)
    w = _Windows(view, (height, width))

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        columns, image = ins[0], outs[0]

        def plane(batch: list[Expr], c: Expr) -> Stmt:
            zero = const(0, acc)
            cleared = each(height, lambda y: lanes(width, lambda x: store(image, (*batch, c, y, x), zero)), name="y")
            return steps(cleared, nest((w.kernel_h, w.rows), lambda kh, row: window_row(batch, c, kh, row)))

        def window_row(batch: list[Expr], c: Expr, kh: Expr, row: Expr) -> Stmt:
            y = w.y(row, kh)
            parts = [tap(batch, c, kh, row, kw, y) for kw in range(w.kernel_w) if w.inside(kw)[1] > w.inside(kw)[0]]
            return tirx.IfThenElse(tirx.all(y >= 0, y < height), steps(*parts), None) if parts else tirx.Evaluate(0)

        def tap(batch: list[Expr], c: Expr, kh: Expr, row: Expr, kw: int, y: Expr) -> Stmt:
            first, end = w.inside(kw)
            place = c * w.taps + kh * w.kernel_w + kw

            def added(i: Expr) -> Stmt:
                column = first + i
                target = (*batch, c, y, w.x(column, kw))
                new = widen(read(columns, *batch, place, row * w.columns + column), source)
                return store(image, target, read(image, *target) + new)

            return lanes(end - first, added)

        return _planes(bool(lead), math.prod(lead), channels, view.operands["self"].numel, plane)

    result, _ = sequential(view.op, [tensors["self"]], [(out.shape, acc), ((1,), "int8")], body)
    return [shaped(result, out.shape, acc, out.dtype)]


def _max_unpool(axes: int, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Each element where its index, within its plane, says; zero elsewhere."""
    out, kind = view.outputs[0], view.operands["self"]
    lead, spatial = out.shape[:-axes], out.shape[-axes:]
    if kind.numel == 0:
        from tvm import te

        return [te.compute(out.shape, lambda *i: em.literal(0, out.dtype, i), name=view.op)]

    def places(buffers: Buffers, outer: Index) -> list[tuple[Expr, int]]:
        return [looked_up(at(buffers["indices"], outer), math.prod(spatial), wrap=False)]

    plan = Scatter(
        out.shape,
        kind.shape,
        (),
        places,
        lambda found, outer, inner: [*outer[: len(lead)], *unravel(found[0], spatial)],
        lambda buffers, outer, inner: at(buffers["values"], outer),
        tuple(range(len(lead))),
    )
    named = {"values": tensors["self"], "indices": tensors["indices"]}
    return scatter(view.op, plan, named, (out.shape, out.dtype))


def _col2im_reason(view: OpView) -> str | None:
    return None if view.first.dtype in (*FLOATS, *INTEGERS) else f"a sum of {view.first.dtype}"


def _unpool_reason(view: OpView) -> str | None:
    kind = view.operands["indices"].dtype
    return None if kind in ("int64", "int32") else f"indices of {kind}"


_WINDOW: Mapping[str, Any] = dict.fromkeys(("kernel_size", "dilation", "padding", "stride"), REQUIRED)
_SIZED: Mapping[str, Any] = {"output_size": REQUIRED}
_UNPOOL_3D: Mapping[str, Any] = {**_SIZED, "stride": REQUIRED, "padding": REQUIRED}


def _entry(name: str, operands: tuple[str, ...], attrs: Mapping[str, Any], te_route: Te) -> OpEntry:
    return OpEntry(name, operands, aten(name), attrs, _OPAQUE, te_route)


ENTRIES: tuple[OpEntry, ...] = (
    _entry("im2col", ("self",), _WINDOW, supported(_im2col)),
    _entry("col2im", ("self",), {**_SIZED, **_WINDOW}, supported(_col2im, _col2im_reason)),
    _entry("max_unpool2d", ("self", "indices"), _SIZED, supported(partial(_max_unpool, 2), _unpool_reason)),
    _entry("max_unpool3d", ("self", "indices"), _UNPOOL_3D, supported(partial(_max_unpool, 3), _unpool_reason)),
)
