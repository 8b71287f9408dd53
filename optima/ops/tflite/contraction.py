"""TFLite routes of matrix products: FULLY_CONNECTED with a parameter, BATCH_MATMUL of what is computed."""

from __future__ import annotations

import numpy as np

from optima.ops.entry import OpView, Tflite
from optima.ops.tflite.layout import Array, Laid, Order, last, plain
from optima.ops.tflite.site import TfliteSite


def _connected(s: TfliteSite, role: str, axis: int, weight: Array, bias: Array | None) -> tuple[str, Order]:
    """The product of ``weight`` ``[out, in]`` with an axis of an operand, which lies last then: any order of the
    other axes does. FULLY_CONNECTED takes rows, so that its oldest version does."""
    tensor = s.operands[role]
    rank = len(tensor.shape)
    made = s.made(role)
    order = made.order if made.order[-1] == axis else last(rank, axis)
    value = s.laid(order, role)
    lead = s.writer.shapes[value][:-1]
    rows = s.writer.reshape(value, (int(np.prod(lead)), weight.shape[1]))
    zeros = np.zeros(weight.shape[0], np.float32)
    operands = [rows, s.writer.data(weight), s.writer.data(zeros if bias is None else bias)]
    product = s.writer.node(
        "FULLY_CONNECTED", operands, (s.writer.shapes[rows][0], weight.shape[0]),
        fused_activation_function="NONE", weights_format="DEFAULT", keep_num_dims=False,
    )  # fmt: skip
    return s.writer.reshape(product, (*lead, weight.shape[0])), order


def _linear(s: TfliteSite) -> Laid:
    bias = s.array("bias") if s.has("bias") else None
    value, order = _connected(s, "input", s.rank - 1, s.array("weight"), bias)
    return Laid(value, order)


def _linear_reason(view: OpView) -> str | None:
    if len(view.operands["weight"].shape) != 2:
        return "a weight of one axis has no TFLite form here"
    bias = view.operands.get("bias")
    return None if bias is None or len(bias.shape) == 1 else "a bias of several axes has no TFLite form here"


def _product(s: TfliteSite, a: str, b: str) -> Laid:
    """Of two operands by role, of which either may be a parameter of two axes."""
    left, right = s.operands[a], s.operands[b]
    if right.array is not None and right.array.ndim == 2 and len(left.shape) >= 2:
        return Laid(*_connected(s, a, len(left.shape) - 1, right.array.T, None))
    if left.array is not None and left.array.ndim == 2 and len(right.shape) >= 2:
        rank = len(right.shape)
        value, order = _connected(s, b, rank - 2, left.array, None)
        return Laid(value, order)
    first, second = (s.writer.lay(t, plain(len(t.shape))) for t in (left, right))
    value = s.writer.node("BATCH_MATMUL", [first, second], s.out.shape, adj_x=False, adj_y=False)
    return Laid(value, plain(len(s.out.shape)))


def _operands(view: OpView) -> tuple[str, str]:
    a, b = [role for role in view.operands if role not in ("bias", "self")][-2:] if view.op in _SUMS else view.operands
    return a, b


def _matmul(s: TfliteSite) -> Laid:
    return _product(s, *_operands(s.view))


def _matmul_reason(view: OpView) -> str | None:
    shapes = [view.operands[r].shape for r in _operands(view)]
    return "a product with a vector has no TFLite form here" if any(len(n) < 2 for n in shapes) else None


def _scaled_sum(s: TfliteSite) -> Laid:
    """``beta * self + alpha * (first @ second)``; ``self`` is not read when beta is 0."""
    alpha, beta = float(s.attr("alpha", 1)), float(s.attr("beta", 1))
    made = _product(s, *_operands(s.view))
    value = s.writer.scaled(made.value, alpha)
    if not beta:
        return Laid(value, made.order)
    addend = s.operands["self"]
    if addend.array is not None:
        wide = addend.array.reshape([1] * (len(made.order) - addend.array.ndim) + list(addend.array.shape))
        return Laid(s.writer.binary("ADD", value, s.writer.data(beta * wide.transpose(made.order))), made.order)
    product = s.writer.transpose(value, [made.order.index(a) for a in range(len(made.order))])
    return s.result(s.writer.binary("ADD", product, s.writer.scaled(s.plain("self"), beta)))


def _attention(s: TfliteSite) -> Laid:
    """The plain form: scores, softmax, product."""
    query, key, value = (s.plain(role) for role in ("query", "key", "value"))
    shapes = [s.view.operands[r].shape for r in ("query", "key", "value")]
    scale = s.attr("scale")
    query = s.writer.scaled(query, 1 / float(np.sqrt(shapes[0][-1])) if scale is None else float(scale))
    shape = (*shapes[0][:-1], shapes[1][-2])
    scores = s.writer.node("BATCH_MATMUL", [query, key], shape, adj_x=False, adj_y=True)
    weights = s.writer.unary("SOFTMAX", scores, beta=1.0)
    made = s.writer.node("BATCH_MATMUL", [weights, value], s.out.shape, adj_x=False, adj_y=False)
    return Laid(made, plain(len(s.out.shape)))


def _attention_reason(view: OpView) -> str | None:
    if view.attrs.get("dropout_p", 0.0):
        return f"dropout_p={view.attrs['dropout_p']} draws random numbers"
    if "attn_mask" in view.operands or view.attrs.get("is_causal", False):
        return "a mask: what it hides is a number that int8 cannot hold beside the scores"
    leads = {view.operands[r].shape[:-2] for r in ("query", "key", "value")}
    return None if len(leads) == 1 else "heads that share keys have no TFLite form here"


_SUMS = ("addmm", "baddbmm")

ROUTES: dict[str, Tflite] = {
    "linear": Tflite(_linear, _linear_reason, ("weight", "bias")),
    **{name: Tflite(_matmul, _matmul_reason, computed=("self", "other", "mat2")) for name in ("matmul", "mm", "bmm")},
    **{name: Tflite(_scaled_sum, computed=("batch1", "batch2")) for name in _SUMS},
}

ATTENTION: dict[str, Tflite] = {
    "scaled_dot_product_attention": Tflite(_attention, _attention_reason, computed=("query", "key", "value"))
}
