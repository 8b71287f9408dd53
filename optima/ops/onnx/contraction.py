"""ONNX routes of matrix products, einsum and attention."""

from __future__ import annotations

import math
from string import ascii_letters

import numpy as np

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.routes import NUMBERS, only
from optima.ops.onnx.site import OpSite
from optima.ops.promotion import is_float

_SAME = only(*NUMBERS)


def _mixed(view: OpView) -> str | None:
    kinds = {t.dtype for t in view.operands.values()}
    return _SAME(view) if len(kinds) == 1 else f"{view.op} of mixed dtypes"


def _matmul(s: OpSite) -> str:
    return s.node("MatMul", *s.names.values())


def _linear(s: OpSite) -> str:
    """Gemm for a batch of rows, which every device has as its fully connected layer; else a product and a sum."""
    x, weight, bias = s.names["input"], s.names["weight"], s.names.get("bias", "")
    if len(s.shape) == 2 and len(s.view.operands["weight"].shape) == 2 and is_float(s.out.dtype):
        return s.node("Gemm", x, weight, bias, transB=1)
    if len(s.view.operands["weight"].shape) == 2:
        weight = s.node("Transpose", weight, perm=[1, 0])
    product = s.node("MatMul", x, weight)
    return s.node("Add", product, bias) if bias else product


def _scaled_sum(s: OpSite, first: str, second: str) -> str:
    """``beta * self + alpha * (first @ second)``; ``self`` is not read when beta is 0."""
    alpha, beta = s.attr("alpha", 1), s.attr("beta", 1)
    if s.view.op == "addmm" and is_float(s.out.dtype):
        addend = s.names["self"] if beta else ""
        return s.node("Gemm", s.names[first], s.names[second], addend, alpha=float(alpha), beta=float(beta))
    product = s.scaled(s.node("MatMul", s.names[first], s.names[second]), alpha)
    return s.node("Add", product, s.scaled(s.names["self"], beta)) if beta else product


def _addbmm(s: OpSite) -> str:
    alpha, beta = s.attr("alpha", 1), s.attr("beta", 1)
    products = s.node("MatMul", s.names["batch1"], s.names["batch2"])
    total = s.scaled(s.writer.reduce("ReduceSum", products, [0], keepdims=False), alpha)
    return s.node("Add", total, s.scaled(s.names["self"], beta)) if beta else total


def _einsum(s: OpSite) -> str:
    """With every label spelt out: torch and ONNX differ in what an ellipsis and a missing result mean."""
    from optima.ops.einsum import parse

    operands, out = parse(s.attr("equation"), [len(t.shape) for t in s.view.members("tensors")])
    labels = dict.fromkeys(label for term in (*operands, out) for label in term)
    letter = {label: ascii_letters[k] for k, label in enumerate(labels)}
    terms = ["".join(letter[label] for label in term) for term in (*operands, out)]
    return s.node("Einsum", *s.members("tensors"), equation=f"{','.join(terms[:-1])}->{terms[-1]}")


def _einsum_reason(view: OpView) -> str | None:
    from optima.ops.einsum import parse

    members = view.members("tensors")
    operands, out = parse(view.attrs["equation"], [len(t.shape) for t in members])
    extents: dict[object, int] = {}
    for term, kind in zip(operands, members, strict=True):
        if len(set(term)) != len(term):
            return "an index that occurs twice in one operand"
        for label, extent in zip(term, kind.shape, strict=True):
            if extents.setdefault(label, extent) != extent:
                return "an index of which one operand has a single element, to be repeated"
    if len({label for term in operands for label in term}) > len(ascii_letters):
        return "more indices than letters"
    return _mixed(view)


def _attention(s: OpSite) -> str:
    """The plain form: scores, mask, softmax, product. What may not be attended to gets the lowest finite score."""
    query, key, value = (s.names[r] for r in ("query", "key", "value"))
    shapes = [s.view.operands[r].shape for r in ("query", "key", "value")]
    key, value = (_for_each_head(s, n, shape) for n, shape in ((key, shapes[1]), (value, shapes[2])))
    scale = s.attr("scale")
    factor = 1 / math.sqrt(shapes[0][-1]) if scale is None else scale
    rank = len(shapes[1])
    turned = s.writer.transpose(key, [*range(rank - 2), rank - 1, rank - 2])
    scores = s.node("MatMul", s.scaled(query, factor), turned)
    shape = (shapes[0][-2], shapes[1][-2])
    if s.attr("is_causal", False):
        lowest = _lowest(s)
        scores = s.node("Add", scores, s.number(np.where(np.tri(*shape, dtype=bool), 0.0, lowest)))
    visible = ""
    if s.has("attn_mask"):
        scores, visible = _masked(s, scores)
    weights = s.node("Softmax", scores, axis=-1)
    if visible:
        weights = s.node("Mul", weights, visible)
    return s.node("MatMul", weights, value)


def _lowest(s: OpSite) -> float:
    """Far below every score, and still finite after a score is added."""
    return -3e4 if s.out.dtype == "float16" else -1e30


def _masked(s: OpSite, scores: str) -> tuple[str, str]:
    """The scores with the mask, and 1 or 0 for rows that may or may not attend to anything ("": all may)."""
    mask = s.names["attn_mask"]
    if s.view.operands["attn_mask"].dtype != "bool":
        return s.node("Add", scores, s.value("attn_mask", s.out.dtype)), ""
    masked = s.node("Add", scores, s.where(mask, s.number(0.0), s.number(_lowest(s))))
    constant = s.arrays.get("attn_mask")
    if constant is not None and bool(constant.any(-1).all()):
        return masked, ""
    seen = s.writer.reduce("ReduceMax", s.writer.cast(mask, s.out.dtype), [-1], keepdims=True)
    return masked, seen


def _for_each_head(s: OpSite, value: str, shape: tuple[int, ...]) -> str:
    """A shared head of keys or values repeated for the query heads that it serves."""
    heads = s.out.shape[-3] if len(s.out.shape) > 2 else 1
    own = shape[-3] if len(shape) > 2 else 1
    if own in (1, heads):
        return value
    lead, (rows, width) = shape[:-3], shape[-2:]
    split = s.writer.reshape(value, [*lead, own, 1, rows, width])
    wide = s.writer.expand(split, [*lead, own, heads // own, rows, width])
    return s.writer.reshape(wide, [*lead, heads, rows, width])


def _attention_reason(view: OpView) -> str | None:
    if view.attrs.get("dropout_p", 0.0):
        return f"dropout_p={view.attrs['dropout_p']} draws random numbers"
    if "attn_mask" in view.operands and view.attrs.get("is_causal", False):
        return "a mask and is_causal at once"
    if len({view.operands[r].dtype for r in ("query", "key", "value")}) > 1:
        return "attention of mixed dtypes"
    return None


ROUTES: dict[str, Onnx] = {
    "linear": Onnx(_linear, _mixed, NUMBERS),
    **{name: Onnx(_matmul, _mixed, NUMBERS) for name in ("matmul", "mm", "bmm", "mv", "dot", "vdot")},
    "addmm": Onnx(lambda s: _scaled_sum(s, "mat1", "mat2"), _mixed, NUMBERS),
    "addmv": Onnx(lambda s: _scaled_sum(s, "mat", "vec"), _mixed, NUMBERS),
    "baddbmm": Onnx(lambda s: _scaled_sum(s, "batch1", "batch2"), _mixed, NUMBERS),
    "addbmm": Onnx(_addbmm, _mixed, NUMBERS),
}

EINSUM: dict[str, Onnx] = {"einsum": Onnx(_einsum, _einsum_reason, opset=12)}

ATTENTION: dict[str, Onnx] = {
    "scaled_dot_product_attention": Onnx(_attention, _attention_reason, ("float32", "float16", "bool")),
}
