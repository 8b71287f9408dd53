"""Where values lie in sorted rows, whether they occur in a set, and where a tensor is not zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.graph import TensorType
from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait, streaming_cost
from optima.ops.indices import dense_index
from optima.ops.promotion import result_type, scalar_fits
from optima.ops.reference import aten
from optima.ops.te_control import Frame, number, repeat, when
from optima.ops.te_keys import Items, Rows, key_dtype, nan_key, order_key, over_rows
from optima.ops.te_loops import Buffer, Stmt, each, nest, read, steps, store
from optima.ops.te_reduce import FLOATS, INTEGERS, Expr, accumulator, const, convert, refuse_dtypes, refused_by, widen
from optima.ops.te_sort import merge_passes, merge_sort

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _cast_out(found: te.Tensor, dtype: str) -> te.Tensor:
    from tvm import te

    return te.compute(found.shape, lambda *i: found(*i).astype(dtype), name="out")


def _common(view: OpView, sequence: str) -> str:
    """The dtype to compare in: torch promotes the row and the values to one."""
    given = view.operands.get("self")
    tensors = [view.operands[sequence]] + ([given] if given else [])
    return result_type(tensors, () if given else [view.attrs["self"]])


def _search(sequence: str, view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """searchsorted, bucketize: how many elements of the row come before each value.

    The comparisons are those of torch's binary search: NaN is found behind everything. An index of a ``sorter``
    outside the row is clamped to it.
    """
    edges = tensors[sequence]
    given, sorter = tensors.get("self"), tensors.get("sorter")
    compared, out = _common(view, sequence), view.outputs[0]
    wide = accumulator(compared)
    length = view.operands[sequence].shape[-1]
    inputs = [edges, *([given] if given is not None else []), *([sorter] if sorter is not None else [])]
    right = view.attrs.get("right", False) or view.attrs.get("side") == "right"

    def as_common(value: Expr, dtype: str) -> Expr:
        return convert(widen(value, dtype), dtype, compared).astype(wide)

    def body(frame: Frame, element: Expr, ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        from tvm import tirx

        index = dense_index(out.shape, (out.numel,), [element])
        lead = index[:-1] if len(view.operands[sequence].shape) > 1 else []
        low, high, value = frame.cell("low"), frame.cell("high"), frame.cell("value", wide)
        middle = low.value + ((high.value - low.value) >> 1)
        place = middle
        if sorter is not None:
            chosen = read(ins[-1], *lead, middle)
            place = tirx.max(tirx.min(chosen, number(length - 1, "int64")), number(0, "int64")).astype("int32")
        edge = as_common(read(ins[0], *lead, place), str(edges.dtype))
        if given is None:
            wanted = const(view.attrs["self"], wide)
        else:
            wanted = as_common(read(ins[1], *index), str(given.dtype))
        behind = edge > value.value if right else edge >= value.value
        return steps(
            low.set(0),
            high.set(length),
            value.set(wanted),
            repeat(low.value < high.value, when(behind, high.set(middle), low.set(middle + 1))),
            store(outs[0], index, low.value),
        )

    everything = Rows((out.numel, 1), 1)
    work = out.numel * max(length, 1).bit_length()
    (found,) = over_rows(view.op, everything, inputs, [(out.shape, "int32")], body, work=work)
    return [_cast_out(found, out.dtype)]


def _refuse_search(sequence: str, view: OpView) -> str | None:
    value = view.attrs.get("self")
    if "self" in view.operands:
        return None
    if isinstance(value, bool | complex) or not scalar_fits(value, _common(view, sequence)):
        return f"{value!r} is no number of the row's dtype"
    return None


def _isin(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Each element looked up in the sorted set. NaN equals nothing, so it is in no set."""
    elements, tests = tensors["elements"], tensors["test_elements"]
    out, kinds = view.outputs[0], view.operands
    dtype = result_type([kinds["elements"], kinds["test_elements"]])
    count, key = kinds["test_elements"].numel, key_dtype(dtype)
    absent = view.attrs.get("invert", False)
    if not count:
        from tvm import te

        return [te.compute(out.shape, lambda *_: const(absent, "bool"), name="isin")]
    one_row = Rows(kinds["test_elements"].shape, None)

    def key_of(buffer: Buffer, index: Sequence[Expr], source: str) -> Expr:
        # Through the promoted dtype: a large integer may round to an element of a float set.
        value = convert(widen(read(buffer, *index), source), source, dtype)
        return order_key(value, dtype)

    def ordered(frame: Frame, row: Expr, ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        def side(which: Expr) -> Items:
            return Items(outs[0], outs[1], (which,))

        def fill(place: Expr) -> Stmt:
            value = key_of(ins[0], one_row.index(row, place), str(tests.dtype))
            return steps(*side(number(0)).put(place, value, place))

        return steps(each(count, fill), merge_sort(frame, side, count))

    pair = (2, count)
    keys, _ = over_rows("sorted", one_row, [tests], [(pair, key), (pair, "int32")], ordered, work=0)
    last = merge_passes(count) % 2

    def lookup(frame: Frame, element: Expr, ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        from tvm import tirx

        index = dense_index(out.shape, (out.numel,), [element])
        low, high, value = frame.cell("low"), frame.cell("high"), frame.cell("value", key)
        middle = low.value + ((high.value - low.value) >> 1)
        found = read(ins[1], last, tirx.min(low.value, number(count - 1))).equal(value.value)
        if dtype in FLOATS:
            found = tirx.all(found, tirx.NE(value.value, nan_key(dtype)))
        narrow = when(read(ins[1], last, middle) >= value.value, high.set(middle), low.set(middle + 1))
        return steps(
            low.set(0),
            high.set(count),
            value.set(key_of(ins[0], index, str(elements.dtype))),
            repeat(low.value < high.value, narrow),
            store(outs[0], index, found.astype("int32")),
        )

    everything = Rows((out.numel, 1), 1)
    work = out.numel * count.bit_length()
    (inside,) = over_rows("isin", everything, [elements, keys], [(out.shape, "int32")], lookup, work=work)
    return [_compared(inside, 0 if absent else 1)]


def _compared(flags: te.Tensor, wanted: int) -> te.Tensor:
    from tvm import te

    return te.compute(flags.shape, lambda *i: flags(*i).equal(number(wanted)), name="out")


def _nonzero(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """nonzero_static: the places of the first ``size`` elements that are not zero, the rest filled up."""
    (x,) = tensors.values()
    shape, dtype = view.first.shape, view.first.dtype
    size, fill = int(view.attrs["size"]), int(view.attrs.get("fill_value", -1))

    def body(frame: Frame, row: Expr, ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        from tvm import tirx

        count = frame.cell("count")

        def blank(slot: Expr) -> Stmt:
            return steps(*(store(outs[0], (slot, d), number(fill, "int64")) for d in range(len(shape))))

        def visit(*index: Expr) -> Stmt:
            keep = convert(widen(read(ins[0], *index), dtype), dtype, "bool")
            places = [store(outs[0], (count.value, d), i.astype("int64")) for d, i in enumerate(index)]
            return when(tirx.all(count.value < size, keep), steps(*places, count.add(1)))

        return steps(count.set(0), each(size, blank), nest(shape, visit))

    (found,) = over_rows("nonzero", Rows((1,), None), [x], [((size, len(shape)), "int64")], body, work=0)
    return [_cast_out(found, "int64")]


def _search_cost(sequence: str, view: OpView) -> Cost:
    """log2 n comparisons per value."""
    comparisons = math.log2(max(view.operands[sequence].shape[-1], 2))
    return Cost(view.outputs[0].numel * comparisons, streaming_cost(view).bytes)


_NUMBERS = refuse_dtypes(*FLOATS, *INTEGERS)


def _refuse_large(view: OpView) -> str | None:
    big: TensorType | None = next((t for t in view.operands.values() if t.numel >= 2**30), None)
    return f"{big.numel} elements are more than a kernel searches (2**30 - 1)" if big else None


def _entry(name: str, operands: tuple[str, ...], attrs: Mapping[str, Any], te_route: Te, sequence: str = "") -> OpEntry:
    cost = partial(_search_cost, sequence) if sequence else streaming_cost
    return OpEntry(name, operands, aten(name), attrs, frozenset({Trait.OPAQUE}), te_route, cost=cost)


def _searching(name: str, sequence: str, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> OpEntry:
    refuse = refused_by(_NUMBERS, _refuse_large, partial(_refuse_search, sequence))
    shared = {"self": None, "out_int32": False, "right": False}
    route = Te(partial(_search, sequence), refuse)
    return _entry(name, operands, {**shared, **attrs}, route, sequence)


_ANY = refused_by(refuse_dtypes(*FLOATS, *INTEGERS, "bool"), _refuse_large)
_FINDABLE = refused_by(_NUMBERS, _refuse_large)

ENTRIES: tuple[OpEntry, ...] = (
    _searching("searchsorted", "sorted_sequence", ("sorted_sequence", "self?", "sorter?"), {"side": None}),
    _searching("bucketize", "boundaries", ("self?", "boundaries"), {}),
    _entry("isin", ("elements", "test_elements"), {"assume_unique": False, "invert": False}, Te(_isin, _FINDABLE)),
    _entry("nonzero_static", ("self",), {"size": REQUIRED, "fill_value": -1}, Te(_nonzero, _ANY)),
)
