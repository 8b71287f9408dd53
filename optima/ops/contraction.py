"""Matrix products: linear, matmul of any ranks, and the fixed-rank and fused forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.contraction import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_contract import Label, contract, term_of
from optima.ops.te_reduce import (
    FLOATS,
    INTEGERS,
    accumulator,
    const,
    finish,
    fold_terms,
    load,
    refuse_dtypes,
)
from optima.ops.tflite.contraction import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_NUMBERS = refuse_dtypes(*FLOATS, *INTEGERS)


def broadcast_index(index: Sequence[Any], shape: Sequence[int]) -> tuple[Any, ...]:
    """The index into an operand of ``shape`` that broadcasts (right-aligned) against ``index``."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if extent == 1 else i for i, extent in zip(tail, shape, strict=True))


def product(a: te.Tensor, b: te.Tensor, shape: Sequence[int], dtype: str, *, transposed: bool = False) -> te.Tensor:
    """``a @ b`` (``a @ b.T`` when ``transposed``) of output ``shape``, in the accumulator of ``dtype``.

    Ranks and broadcasting as in ``torch.matmul``: batch axes, then the row axis where ``a`` has one, then the
    column axis where ``b`` has one.
    """
    acc = accumulator(dtype)
    rows, columns = min(len(a.shape) - 1, 1), min(len(b.shape) - 1, 1)
    batch = len(shape) - rows - columns
    depth = int(a.shape[-1])
    a_lead = [int(d) for d in a.shape[:-2]]
    b_lead = [int(d) for d in b.shape[:-2]]

    def term(index: tuple[Any, ...], ks: tuple[Any, ...]) -> Any:
        (k,) = ks
        outer, row, column = index[:batch], index[batch : batch + rows], index[batch + rows :]
        left = load(a, *broadcast_index(outer, a_lead), *row, k)
        inner = (*column, k) if transposed else (k, *column)
        right = load(b, *broadcast_index(outer, b_lead), *inner)
        return left * right

    return fold_terms("sum", shape, [depth], term, acc, "product", "gemm")


def _matmul(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    out = view.outputs[0]
    a, b = tensors.values()
    return [finish(product(a, b, out.shape, out.dtype), accumulator(out.dtype), out.dtype)]


def _linear(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    out = view.outputs[0]
    acc = accumulator(out.dtype)
    x, weight, bias = tensors["input"], tensors["weight"], tensors.get("bias")
    depth = int(x.shape[-1])

    def term(index: tuple[Any, ...], ks: tuple[Any, ...]) -> Any:
        (k,) = ks
        lead = len(x.shape) - 1
        return load(x, *index[:lead], k) * load(weight, *index[lead:], k)

    value = fold_terms("sum", out.shape, [depth], term, acc, "product", "gemm")
    if bias is not None:
        extents = [int(d) for d in bias.shape]
        plain = value
        value = te.compute(
            out.shape,
            lambda *i: plain(*i) + load(bias, *broadcast_index(i, extents)),
            name="biased",
        )
    return [finish(value, acc, out.dtype)]


def _summed_batch(a: te.Tensor, b: te.Tensor, shape: Sequence[int], dtype: str) -> te.Tensor:
    """The sum of the products of two batches: one product, whose depth is batch and depth."""
    acc = accumulator(dtype)
    terms = [term_of(t, labels, acc) for t, labels in ((a, "bik"), (b, "bkj"))]
    extents: dict[Label, int] = dict(zip("bik", (int(d) for d in a.shape), strict=True))
    extents["j"] = int(b.shape[-1])
    return contract(terms, "ij", extents, acc)


def _scaled_sum(
    first: str, second: str, multiply: Callable[..., te.Tensor] = product
) -> Callable[[OpView, Tensors], list[te.Tensor]]:
    """``beta * self + alpha * (first @ second)``; ``self`` is not read when beta is 0, as in torch."""

    def compute(view: OpView, tensors: Tensors) -> list[te.Tensor]:
        from tvm import te

        out = view.outputs[0]
        acc = accumulator(out.dtype)
        alpha, beta = view.attrs.get("alpha", 1), view.attrs.get("beta", 1)
        value = multiply(tensors[first], tensors[second], out.shape, out.dtype)
        addend = tensors["self"]
        extents = [int(d) for d in addend.shape]

        def element(*i: Any) -> Any:
            result = value(*i) if alpha == 1 else value(*i) * const(alpha, acc)
            if beta == 0:
                return result
            added = load(addend, *broadcast_index(i, extents))
            return result + (added if beta == 1 else added * const(beta, acc))

        total = te.compute(out.shape, element, name="scaled_sum")
        return [finish(total, acc, out.dtype)]

    return compute


def _product_cost(view: OpView) -> Cost:
    """A multiplication and an addition per output element and inner index; operands moved once each."""
    role = next((r for r in ("mat1", "batch1", "mat") if r in view.operands), "")
    left = view.operands[role] if role else view.first
    depth = left.shape[-1] if left.shape else 1
    moved = sum(t.nbytes for t in view.operands.values()) + view.outputs[0].nbytes
    extra = view.outputs[0].numel if len(view.operands) > 2 else 0
    return Cost(2.0 * view.outputs[0].numel * depth + extra, float(moved))


def _entry(
    name: str,
    operands: tuple[str, ...],
    compute: Callable[[OpView, Tensors], list[te.Tensor]],
    attrs: Mapping[str, Any] | None = None,
) -> OpEntry:
    return OpEntry(
        name,
        operands,
        aten(name),
        attrs=attrs or {},
        traits=frozenset({Trait.CONTRACTION}),
        te=Te(compute, _NUMBERS),
        cost=_product_cost,
    )


_SCALES = {"beta": 1, "alpha": 1}

ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _entry("linear", ("input", "weight", "bias?"), _linear),
        _entry("matmul", ("self", "other"), _matmul),
        _entry("mm", ("self", "mat2"), _matmul),
        _entry("bmm", ("self", "mat2"), _matmul),
        _entry("mv", ("self", "vec"), _matmul),
        _entry("dot", ("self", "tensor"), _matmul),
        _entry("vdot", ("self", "other"), _matmul),
        _entry("addmm", ("self", "mat1", "mat2"), _scaled_sum("mat1", "mat2"), _SCALES),
        _entry("addmv", ("self", "mat", "vec"), _scaled_sum("mat", "vec"), _SCALES),
        _entry("addbmm", ("self", "batch1", "batch2"), _scaled_sum("batch1", "batch2", _summed_batch), _SCALES),
        _entry("baddbmm", ("self", "batch1", "batch2"), _scaled_sum("batch1", "batch2"), _SCALES),
    ),
    ROUTES,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
