"""Running sums and products along one axis: cumsum, cumprod."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from optima.ops.entry import REQUIRED, OpEntry, OpView, Te, Trait
from optima.ops.reference import aten
from optima.ops.te_loops import each, nest, read, sequential, steps, store
from optima.ops.te_reduce import FLOATS, INTEGERS, Expr, accumulator, convert, finish, load, refuse_dtypes

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]


def _scan(combine: Callable[[Expr, Expr], Expr], view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    (x,) = tensors.values()
    out, shape = view.outputs[0], view.first.shape
    acc = accumulator(out.dtype)
    source = view.first.dtype

    def element(*index: Expr) -> Expr:
        if source == out.dtype:
            return load(x, *index)
        return convert(load(x, *index), source, out.dtype).astype(acc)

    terms = te.compute(shape, element, name="terms")
    if not shape or not out.numel:
        return [finish(terms, acc, out.dtype)]
    axis = view.attrs["dim"] % len(shape)

    def body(ins: Sequence[Any], outs: Sequence[Any]) -> Any:
        def along(*outer: Expr) -> Any:
            def first(*inner: Expr) -> Any:
                return store(outs[0], (*outer, 0, *inner), read(ins[0], *outer, 0, *inner))

            def later(k: Expr) -> Any:
                return nest(shape[axis + 1 :], partial(following, k))

            def following(k: Expr, *inner: Expr) -> Any:
                here = (*outer, k + 1, *inner)
                return store(outs[0], here, combine(read(outs[0], *outer, k, *inner), read(ins[0], *here)))

            return steps(nest(shape[axis + 1 :], first), each(shape[axis] - 1, later))

        return nest(shape[:axis], along)

    (running,) = sequential(view.op, [terms], [(shape, acc)], body)
    return [finish(running, acc, out.dtype)]


def _entry(name: str, combine: Callable[[Expr, Expr], Expr]) -> OpEntry:
    return OpEntry(
        name,
        ("self",),
        aten(name),
        attrs={"dim": REQUIRED, "dtype": None},
        traits=frozenset({Trait.OPAQUE}),
        te=Te(partial(_scan, combine), refuse_dtypes(*FLOATS, *INTEGERS, "bool")),
    )


ENTRIES: tuple[OpEntry, ...] = (_entry("cumsum", operator.add), _entry("cumprod", operator.mul))
