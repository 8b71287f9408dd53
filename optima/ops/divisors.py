"""Greatest common divisors and least common multiples of integers, by Euclid's algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops import exact_math as em
from optima.ops.entry import OpEntry, OpView, Te, Trait
from optima.ops.exact_math import Scalar
from optima.ops.pointwise import operand
from optima.ops.reference import aten
from optima.ops.te_loops import nest, read, sequential, steps, store
from optima.ops.te_reduce import INTEGERS, refuse_dtypes

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_PAIR = ("self", "other")


def _gcd(view: OpView, tensors: Tensors) -> tuple[te.Tensor, te.Tensor, te.Tensor]:
    """(the operands, broadcast; their greatest common divisor, 0 for two zeros)."""
    from tvm import tirx

    out = view.outputs[0]
    a, b = (_spread(view, tensors, role) for role in _PAIR)

    def body(ins: Sequence[Any], outs: Sequence[Any]) -> Any:
        result, larger, smaller = outs

        def divisor(*index: Any) -> Any:
            rest = tirx.truncmod(read(larger, 0), read(smaller, 0))
            # `result` holds the remainder for a moment: both others are needed to find it.
            step = steps(
                store(result, index, rest),
                store(larger, (0,), read(smaller, 0)),
                store(smaller, (0,), read(result, *index)),
            )
            return steps(
                store(larger, (0,), em.absolute(read(ins[0], *index))),
                store(smaller, (0,), em.absolute(read(ins[1], *index))),
                tirx.While(tirx.NE(read(smaller, 0), tirx.const(0, out.dtype)), step),
                store(result, index, read(larger, 0)),
            )

        return nest(out.shape, divisor)

    shapes = [(out.shape, out.dtype), ((1,), out.dtype), ((1,), out.dtype)]
    return a, b, sequential(view.op, [a, b], shapes, body)[0]


def _spread(view: OpView, tensors: Tensors, role: str) -> te.Tensor:
    from tvm import te

    out = view.outputs[0]
    return te.compute(out.shape, lambda *i: operand(view, tensors, role, i, out.dtype), name=role)


def _greatest(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    return [_gcd(view, tensors)[2]]


def _least(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te, tirx

    a, b, common = _gcd(view, tensors)
    out = view.outputs[0]

    # C computes with narrow integers as with ints, and torch takes the magnitude before it narrows again.
    wide = out.dtype if out.dtype in ("int64", "int32") else "int32"

    def multiple(*index: Any) -> Scalar:
        g, zero, one = common(*index).astype(wide), tirx.const(0, wide), tirx.const(1, wide)
        nothing = g.equal(zero)
        product = tirx.truncdiv(a(*index).astype(wide), tirx.Select(nothing, one, g)) * b(*index).astype(wide)
        return tirx.Select(nothing, zero, em.absolute(product)).astype(out.dtype)

    return [te.compute(out.shape, multiple, name="lcm")]


def _entry(name: str, compute: Callable[[OpView, Tensors], list[te.Tensor]]) -> OpEntry:
    route = Te(compute, refuse_dtypes(*INTEGERS))
    return OpEntry(name, _PAIR, aten(name), {}, frozenset({Trait.OPAQUE}), route)


ENTRIES: tuple[OpEntry, ...] = (_entry("gcd", _greatest), _entry("lcm", _least))
