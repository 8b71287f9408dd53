"""Scaled dot-product attention as one kernel: scores, the row's softmax, and the weighted values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.contraction import broadcast_index
from optima.ops.entry import Cost, OpEntry, OpView, Te, Trait
from optima.ops.onnx.contraction import ATTENTION
from optima.ops.onnx.routes import with_onnx
from optima.ops.reference import aten
from optima.ops.te_attention import LANES, blocked_attention
from optima.ops.te_reduce import FLOATS, Expr, accumulator, const, finish, fold, fold_terms, load
from optima.ops.tflite.contraction import ATTENTION as TFLITE
from optima.ops.tflite.routes import with_tflite

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
#: with fewer features per head than this, vectors would mostly be padding
_FEWEST_FEATURES = 4


def _batch_of(index: Sequence[Expr], shape: Sequence[int], heads: int) -> tuple[Expr, ...]:
    """The batch index into an operand of ``shape``: broadcast, a shared head serving several query heads."""
    lead = list(shape[:-2])
    where = list(broadcast_index(index, lead))
    if lead and 1 < lead[-1] < heads:
        where[-1] = index[-1] // (heads // lead[-1])
    return tuple(where)


def _scores(view: OpView, tensors: Tensors, acc: str) -> te.Tensor:
    """``query @ key.T * scale`` with the masks applied: what may not be attended to is -inf."""
    from tvm import te, tirx

    query, key = view.operands["query"].shape, view.operands["key"].shape
    batch = view.outputs[0].shape[:-2]
    heads = batch[-1] if batch else 1
    depth = query[-1]
    shape = (*batch, query[-2], key[-2])

    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        *outer, i, j = index
        left = load(tensors["query"], *_batch_of(outer, query, heads), i, *ks)
        return left * load(tensors["key"], *_batch_of(outer, key, heads), j, *ks)

    raw = fold_terms("sum", shape, [depth], term, acc, "scores", "gemm")
    scale = view.attrs.get("scale")
    factor = const(1 / math.sqrt(max(depth, 1)) if scale is None else scale, acc)
    mask = tensors.get("attn_mask")
    lowest = const(-math.inf, acc)

    def masked(*index: Expr) -> Expr:
        value = raw(*index) * factor
        if mask is not None:
            extents = view.operands["attn_mask"].shape
            allowed = load(mask, *broadcast_index(index, extents))
            is_bool = view.operands["attn_mask"].dtype == "bool"
            value = tirx.Select(allowed, value, lowest) if is_bool else value + allowed.astype(acc)
        if view.attrs.get("is_causal", False):
            value = tirx.Select(index[-1] <= index[-2], value, lowest)
        return value

    return te.compute(shape, masked, name="masked", attrs={"schedule_rule": "row"})


def _in_blocks(view: OpView, tensors: Tensors) -> te.Tensor:
    """The blocked form, for float32 and half types."""
    from tvm import te, tirx

    batch = view.outputs[0].shape[:-2]
    heads = batch[-1] if batch else 1
    query, columns = view.operands["query"].shape, view.operands["key"].shape[-2]
    scale = view.attrs.get("scale")
    factor = const(1 / math.sqrt(max(query[-1], 1)) if scale is None else scale, "float32")
    lowest = const(-math.inf, "float32")
    mask = tensors.get("attn_mask")
    shift: te.Tensor | None = None
    if mask is not None:
        extents = view.operands["attn_mask"].shape
        across = extents[-1] if extents[-1] == 1 else -(-columns // LANES) * LANES

        def addend(*index: Expr) -> Expr:
            # Clamped: what lies past the last column is masked later.
            value = load(mask, *index[:-1], tirx.min(index[-1], extents[-1] - 1))
            if view.operands["attn_mask"].dtype == "bool":
                return tirx.Select(value, const(0.0, "float32"), lowest)
            return value.astype("float32")

        shift = te.compute((*extents[:-1], across), addend, name="shift")

    def adjust(score: Expr, outer: Sequence[Expr], row: Expr, column: Expr) -> Expr:
        value = score * factor
        if shift is not None:
            value = value + shift(*broadcast_index((*outer, row, column), [int(d) for d in shift.shape]))
        if view.attrs.get("is_causal", False):
            value = tirx.Select(column <= row, value, lowest)
        return value

    def at(index: Sequence[Expr], shape: Sequence[Any]) -> tuple[Expr, ...]:
        return _batch_of(index, [int(d) for d in shape], heads)

    return blocked_attention(tensors["query"], tensors["key"], tensors["value"], batch, at, adjust)


def _fits_blocks(view: OpView) -> bool:
    """Whether there is enough to compute for blocks of rows, and the dtype is one of theirs."""
    query, key, value = (view.operands[r] for r in ("query", "key", "value"))
    same = query.dtype == key.dtype == value.dtype and accumulator(query.dtype) == "float32"
    large = key.shape[-2] >= LANES and query.shape[-1] >= _FEWEST_FEATURES and value.shape[-1] >= _FEWEST_FEATURES
    return same and large and view.outputs[0].numel > 0


def _attention(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """A row that may attend to nothing gives zeros, as torch's safe softmax does; NaN and +inf give NaN.

    (torch's fused CPU kernel gives 0 for a row whose scores are all NaN; its plain one gives NaN, as here.)
    """
    from tvm import te, tirx

    from optima.ops.vector_math import exp

    out = view.outputs[0]
    acc = accumulator(out.dtype)
    if _fits_blocks(view):
        return [finish(_in_blocks(view, tensors), acc, out.dtype)]
    scores = _scores(view, tensors, acc)
    shape = tuple(int(d) for d in scores.shape)
    last = (len(shape) - 1,)
    row = {"schedule_rule": "row"}
    highest = fold("peak", scores, shape, last, acc, name="highest", rule="row")
    powers = te.compute(shape, lambda *i: exp(scores(*i) - highest(*i[:-1])), name="exponentials", attrs=row)
    total = fold("sum", powers, shape, last, acc, name="total", rule="row")
    value = view.operands["value"].shape
    heads = shape[-3] if len(shape) > 2 else 1

    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        *outer, i, e = index
        return powers(*outer, i, *ks) * load(tensors["value"], *_batch_of(outer, value, heads), *ks, e)

    weighted = fold_terms("sum", out.shape, [shape[-1]], term, acc, "weighted", "gemm")

    def normalised(*index: Expr) -> Expr:
        # A row of -inf has no finite score, and only there is the sum 0: every exponential is.
        some = total(*index[:-1])
        return weighted(*index) / tirx.Select(some <= const(0, acc), const(1, acc), some)

    return [finish(te.compute(out.shape, normalised, name="attention"), acc, out.dtype)]


def _refuse(view: OpView) -> str | None:
    for role in ("query", "key", "value"):
        if view.operands[role].dtype not in FLOATS:
            return f"attention has no kernel for a {role} of {view.operands[role].dtype}"
    mask = view.operands.get("attn_mask")
    if mask is not None and mask.dtype not in (*FLOATS, "bool"):
        return f"attention has no kernel for an attn_mask of {mask.dtype}"
    if view.attrs.get("dropout_p", 0.0):
        return f"dropout_p={view.attrs['dropout_p']} draws random numbers; in eval mode it must be 0"
    return None


def _cost(view: OpView) -> Cost:
    """Two products and five operations per score; a causal mask does not make it cheaper here."""
    query, key, value = (view.operands[r] for r in ("query", "key", "value"))
    out = view.outputs[0]
    scores = math.prod(out.shape[:-2]) * query.shape[-2] * key.shape[-2]
    flops = scores * (2.0 * query.shape[-1] + 2.0 * value.shape[-1] + 5.0)
    return Cost(flops, float(sum(t.nbytes for t in view.operands.values()) + out.nbytes))


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        OpEntry(
            "scaled_dot_product_attention",
            ("query", "key", "value", "attn_mask?"),
            aten("scaled_dot_product_attention"),
            attrs={"dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False},
            traits=frozenset({Trait.CONTRACTION, Trait.REDUCTION}),
            te=Te(_attention, _refuse),
            cost=_cost,
        ),
    ),
    ATTENTION,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
