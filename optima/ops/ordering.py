"""What puts the elements of a row in order, or picks one by its rank: sort, topk, kthvalue, median, mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.reduction import ORDERING
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_control import Frame, lazily, number, when
from optima.ops.te_keys import Items, Rows, key_dtype, nan_key, order_key, over_rows
from optima.ops.te_loops import Buffer, Stmt, each, read, steps, store
from optima.ops.te_reduce import FLOATS, INTEGERS, Expr, const, refuse_dtypes, refused_by
from optima.ops.te_select import Selection
from optima.ops.te_sort import merge_passes, merge_sort

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
#: torch.topk selects with a heap where this many times k elements are at hand (its CPU kernel's constant)
_HEAP_FROM = 64
#: how often a row's items are touched at least, for the decision to use the worker pool
_TOUCHES = 8


def _fill(items: Items, rows: Rows, row: Expr, x: Buffer, *, descending: bool = False) -> Stmt:
    """The keys and places of a row, in its order."""
    dtype = str(x.dtype)

    def item(place: Expr) -> Stmt:
        key = order_key(read(x, *rows.index(row, place)), dtype, descending=descending)
        return steps(*items.put(place, key, place))

    return each(rows.length, item, name="place")


def _sort(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """sort, argsort and msort; stable whether asked or not, as on torch's CPU."""
    (x,) = tensors.values()
    shape, dtype = view.first.shape, view.first.dtype
    rows = Rows(shape, 0 if shape else None) if view.op == "msort" else Rows.of(view)
    descending = view.attrs.get("descending", False)

    def body(frame: Frame, row: Expr, ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        values, indices, keys, places = outs

        def side(which: Expr) -> Items:
            return Items(keys, places, (row, which))

        result = side(number(merge_passes(rows.length) % 2))

        def write(position: Expr) -> Stmt:
            place, target = result.place(position), rows.index(row, position)
            return steps(
                store(values, target, read(ins[0], *rows.index(row, place))),
                store(indices, target, place.astype("int64")),
            )

        return steps(
            _fill(side(number(0)), rows, row, ins[0], descending=descending),
            merge_sort(frame, side, rows.length),
            each(rows.length, write, name="position"),
        )

    scratch = (rows.count, 2, rows.length)
    made = over_rows(
        "sorted",
        rows,
        [x],
        [(shape, dtype), (shape, "int64"), (scratch, key_dtype(dtype)), (scratch, "int32")],
        body,
        work=view.first.numel * _TOUCHES,
    )
    return {"sort": made[:2], "argsort": made[1:2], "msort": made[:1]}[view.op]


def _selected(
    view: OpView,
    tensors: Tensors,
    rows: Rows,
    select: Callable[[Frame, Expr, Items, Buffer], tuple[Stmt, int, Callable[[Expr], Expr]]],
    *,
    descending: bool = False,
) -> list[te.Tensor]:
    """Values and indices that ``select`` finds in each row: (statement, how many, position -> place in the row)."""
    (x,) = tensors.values()
    keep = view.attrs.get("keepdim", False)
    shape = view.outputs[0].shape

    def body(frame: Frame, row: Expr, ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        values, indices, keys, places = outs
        items = Items(keys, places, (row,))
        found, count, place_of = select(frame, row, items, ins[0])

        def write(position: Expr) -> Stmt:
            place = place_of(position)
            if view.op == "topk":
                target = rows.index(row, position)
            else:
                target = rows.folded(row, keepdim=keep)
            return steps(
                store(values, target, read(ins[0], *rows.index(row, place))),
                store(indices, target, place.astype("int64")),
            )

        filled = _fill(items, rows, row, ins[0], descending=descending)
        return steps(filled, found, each(count, write, name="position"))

    scratch = (rows.count, rows.length)
    dtype = view.first.dtype
    made = over_rows(
        view.op,
        rows,
        [x],
        [(shape, dtype), (shape, "int64"), (scratch, key_dtype(dtype)), (scratch, "int32")],
        body,
        work=view.first.numel * _TOUCHES,
    )
    return made[: len(view.outputs)]


def _topk(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    rows, k = Rows.of(view), int(view.attrs["k"])

    def select(frame: Frame, row: Expr, items: Items, x: Buffer) -> tuple[Stmt, int, Callable[[Expr], Expr]]:
        selection = Selection(frame, items)
        n = rows.length
        if k * _HEAP_FROM <= n:
            found = selection.partial_sort(number(0), number(k), number(n))
        elif view.attrs.get("sorted", True):
            found = steps(selection.nth_element(number(k - 1), n), selection.sort(k - 1))
        else:
            found = selection.nth_element(number(k - 1), n)
        return found, k, items.place

    return _selected(view, tensors, rows, select, descending=view.attrs.get("largest", True))


def _kthvalue(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    rows, nth = Rows.of(view), int(view.attrs["k"]) - 1

    def select(frame: Frame, row: Expr, items: Items, x: Buffer) -> tuple[Stmt, int, Callable[[Expr], Expr]]:
        return Selection(frame, items).quickselect(nth, rows.length), 1, lambda _: items.place(number(nth))

    return _selected(view, tensors, rows, select)


def _median(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """median, nanmedian: the lower of two middle ones; of equal ones the one that a stable sort puts there.

    A row with a NaN has the first NaN as its median; nanmedian counts only what is not NaN.
    """
    from tvm import te

    rows = Rows.of(view, None)
    dtype = view.first.dtype
    if not rows.length:
        return [te.compute(view.outputs[0].shape, lambda *_: const(math.nan, dtype), name="median")]

    def select(frame: Frame, row: Expr, items: Items, x: Buffer) -> tuple[Stmt, int, Callable[[Expr], Expr]]:
        if dtype not in FLOATS:
            middle = number((rows.length - 1) // 2)
            return (
                Selection(frame, items, tied=True).nth_element(middle, rows.length),
                1,
                lambda _: items.place(middle),
            )
        numbers, nth = frame.cell("numbers"), frame.cell("nth")
        nan = nan_key(dtype)
        count = each(rows.length, lambda i: when(items.key(i) < nan, numbers.add(1)))
        if view.op == "nanmedian":
            rank = lazily(numbers.value > 0, (numbers.value - 1) // 2, number(0))
        else:
            # Behind all numbers stand the NaNs in their order: the first of them is the first of the row.
            rank = lazily(numbers.value < rows.length, numbers.value, number((rows.length - 1) // 2))
        found = Selection(frame, items, tied=True).nth_element(nth.value, rows.length)
        return steps(numbers.set(0), count, nth.set(rank), found), 1, lambda _: items.place(nth.value)

    return _selected(view, tensors, rows, select)


def _mode(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """The value that occurs most often, of several the smallest, and the place std::sort leaves the last of them at.

    NaN equals nothing, so each is alone. (torch sorts without a rule for NaN here, so that a NaN among the
    elements can part equal ones; nothing is defined there to agree with.)
    """
    rows, dtype = Rows.of(view), view.first.dtype

    def select(frame: Frame, row: Expr, items: Items, x: Buffer) -> tuple[Stmt, int, Callable[[Expr], Expr]]:
        run, most, best = frame.cell("run"), frame.cell("most"), frame.cell("best")

        def visit(i: Expr) -> Stmt:
            from tvm import tirx

            key, following = items.key(i), items.key(tirx.min(i + 1, number(rows.length - 1)))
            ends = tirx.any(i.equal(rows.length - 1), tirx.NE(key, following))
            if dtype in FLOATS:
                nan = nan_key(dtype)
                ends = tirx.any(ends, key.equal(nan))
            better = when(run.value > most.value, steps(most.set(run.value), best.set(i)))
            return steps(run.add(1), when(ends, steps(better, run.set(0))))

        counted = steps(run.set(0), most.set(0), best.set(0), each(rows.length, visit))
        return steps(Selection(frame, items).sort(rows.length), counted), 1, lambda _: items.place(best.value)

    return _selected(view, tensors, rows, select)


def _refuse_size(view: OpView) -> str | None:
    if view.first.numel >= 2**30:
        return f"{view.first.numel} elements are more than a kernel sorts (2**30 - 1)"
    return None


def _refuse_empty_median(view: OpView) -> str | None:
    if not Rows.of(view, None).length and view.first.dtype not in FLOATS:
        return "the median of no integers is undefined"
    return None


def _cost(view: OpView) -> Cost:
    """n log2 n comparisons of a row's n elements; keys and places written and read beside the operand."""
    rows = Rows.of(view, None if "median" in view.op else -1)
    comparisons = view.first.numel * max(1.0, math.log2(max(rows.length, 2)))
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs)) + 16 * view.first.numel
    return Cost(comparisons, float(moved))


def _of_all_or_dim(name: str) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        if arguments["dim"] is None:
            return aten(f"{name}.default")(self=arguments["self"])
        return aten(f"{name}.dim")(**arguments)

    return call


_SORTED: dict[str, Any] = {"dim": -1, "descending": False}
_FOLDED: dict[str, Any] = {"dim": None, "keepdim": False}
_ALL = refused_by(refuse_dtypes(*FLOATS, *INTEGERS, "bool"), _refuse_size)
_NUMBERS = refused_by(refuse_dtypes(*FLOATS, *INTEGERS), _refuse_size)
_MEDIAN = refused_by(_NUMBERS, _refuse_empty_median)


def _entry(
    name: str,
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any],
    refuse: Callable[[OpView], str | None],
    reference: Callable[..., Any],
) -> OpEntry:
    return OpEntry(name, ("self",), reference, attrs, frozenset({Trait.OPAQUE}), Te(compute, refuse), cost=_cost)


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry("sort", _sort, _SORTED, _ALL, partial(aten("sort.stable"), stable=True)),
        _entry("argsort", _sort, _SORTED, _ALL, partial(aten("argsort.stable"), stable=True)),
        _entry("msort", _sort, {}, _ALL, aten("msort")),
        _entry("topk", _topk, {"k": REQUIRED, "dim": -1, "largest": True, "sorted": True}, _NUMBERS, aten("topk")),
        _entry("kthvalue", _kthvalue, {"k": REQUIRED, "dim": -1, "keepdim": False}, _NUMBERS, aten("kthvalue")),
        _entry("median", _median, _FOLDED, _MEDIAN, _of_all_or_dim("median")),
        _entry("nanmedian", _median, _FOLDED, _MEDIAN, _of_all_or_dim("nanmedian")),
        _entry("mode", _mode, {"dim": -1, "keepdim": False}, _ALL, aten("mode")),
    ),
    ORDERING,
)
