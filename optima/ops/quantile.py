"""Quantiles of rows, between which torch interpolates in five ways: quantile, nanquantile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait
from optima.ops.reference import aten
from optima.ops.te_control import Frame, number, when
from optima.ops.te_keys import Items, Rows, key_dtype, nan_key, order_key, over_rows
from optima.ops.te_loops import Buffer, Stmt, each, read, steps, store
from optima.ops.te_reduce import Expr, const, refuse_dtypes, refused_by
from optima.ops.te_sort import merge_passes, merge_sort

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _quantile(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Each row sorted once; every rank ``q * (n - 1)`` read from it. A NaN makes its row's quantiles NaN.

    nanquantile counts only what is not NaN. Ranks are rounded in the operand's dtype, as torch's are.
    """
    x, q = tensors["self"], tensors.get("q")
    out, dtype = view.outputs[0], view.first.dtype
    rows = Rows.of(view, None)
    asked = view.operands["q"].shape if q is not None else ()
    last, keep = rows.length - 1, view.attrs.get("keepdim", False)

    def body(frame: Frame, row: Expr, ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        from tvm import tirx

        numbers, rank = frame.cell("numbers"), frame.cell("rank", dtype)

        def side(which: Expr) -> Items:
            return Items(outs[1], outs[2], (row, which))

        ordered = side(number(merge_passes(rows.length) % 2))

        def fill(place: Expr) -> Stmt:
            key = order_key(read(ins[0], *rows.index(row, place)), dtype)
            put = side(number(0)).put(place, key, place)
            return steps(*put, when(side(number(0)).key(place) < nan_key(dtype), numbers.add(1)))

        def value(position: Expr) -> Expr:
            held = tirx.max(tirx.min(position.astype("int32"), number(last)), number(0))
            return read(ins[0], *rows.index(row, ordered.place(held)))

        def answer(which: Expr) -> Stmt:
            part = read(ins[1], *([which] if asked else [])) if q is not None else const(view.attrs["q"], dtype)
            if view.op == "nanquantile":
                counted = tirx.max(numbers.value - 1, number(0))
                start = rank.set(part * counted.astype(dtype))
            else:
                whole = numbers.value.equal(rows.length)
                start = when(whole, rank.set(part * const(last, dtype)), rank.set(const(last, dtype)))
            target = [*([which] if asked else []), *rows.folded(row, keepdim=keep)]
            return steps(start, store(outs[0], target, _between(view, rank.value, value)))

        answers = answer(number(0)) if not asked else each(asked[0], answer, name="q")
        return steps(numbers.set(0), each(rows.length, fill), merge_sort(frame, side, rows.length), answers)

    scratch = (rows.count, 2, rows.length)
    outputs = [(out.shape, dtype), (scratch, key_dtype(dtype)), (scratch, "int32")]
    inputs = [x] if q is None else [x, q]
    return over_rows(view.op, rows, inputs, outputs, body, work=view.first.numel * 8)[:1]


def _between(view: OpView, rank: Expr, value: Callable[[Expr], Expr]) -> Expr:
    """The element at a rank, or what lies between its neighbours."""
    from tvm import tirx

    mode, dtype = view.attrs.get("interpolation", "linear"), view.first.dtype
    if mode in ("lower", "higher", "nearest"):
        # nearbyint: halves go to even, as in torch.
        rounded = {"lower": tirx.floor, "higher": tirx.ceil, "nearest": tirx.nearbyint}[mode]
        return value(rounded(rank))
    below, above = value(tirx.floor(rank)), value(tirx.ceil(rank))
    weight = const(0.5, dtype) if mode == "midpoint" else rank - tirx.floor(rank)
    if mode == "midpoint":
        return above - (above - below) * (const(1, dtype) - weight)
    # torch's lerp: from the nearer end.
    near_below = below + weight * (above - below)
    near_above = above - (above - below) * (const(1, dtype) - weight)
    return tirx.Select(weight < const(0.5, dtype), near_below, near_above)


def _refuse(view: OpView) -> str | None:
    if "q" in view.operands and len(view.operands["q"].shape) > 1:
        return "q has more than one dimension"
    return None


def _reference(name: str) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        from torch._subclasses.fake_tensor import FakeTensor

        x, q = arguments["self"], arguments["q"]
        if not isinstance(x, FakeTensor):
            return aten(name)(**arguments)
        # torch looks at the values of q, which a fake tensor has not: only the type is wanted of it.
        single = aten(f"{name}.scalar")(**{**arguments, "q": 0.5})
        return single if isinstance(q, float) else single.new_empty([*q.shape, *single.shape])

    return call


def _entry(name: str) -> OpEntry:
    attrs = {"q": REQUIRED, "dim": None, "keepdim": False, "interpolation": "linear"}
    route = Te(_quantile, refused_by(refuse_dtypes("float32", "float64"), _refuse))
    return OpEntry(name, ("self", "q?"), _reference(name), attrs, frozenset({Trait.OPAQUE}), route)


ENTRIES: tuple[OpEntry, ...] = (_entry("quantile"), _entry("nanquantile"))
