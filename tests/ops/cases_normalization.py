"""Cases of normalisations: absent operands, any rank, several normalised axes, large means, NaN, dtypes."""

from __future__ import annotations

from math import prod
from typing import Any

from tests.ops.case import Arg, OpCase

Shape = tuple[int, ...]


def _stored(
    op: str,
    x: Shape,
    roles: str = "weight bias running_mean running_var",
    dtype: str = "float32",
    fill: str = "normal",
    params: str = "",
    tolerance: float = 1e-5,
    **attrs: Any,
) -> OpCase:
    args = [Arg("input", x, dtype, fill)]
    for role in roles.split():
        fill_of = "positive" if role == "running_var" else "normal"
        args.append(Arg(role, (x[1],), params or dtype, fill_of))
    mode = {"training": False} if op == "batch_norm" else {"use_input_stats": True}
    attrs = {**mode, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": True, **attrs}
    return OpCase(op, tuple(args), attrs, tolerance=tolerance)


def _rows(
    op: str,
    x: Shape,
    roles: str,
    shape: Shape,
    dtype: str = "float32",
    fill: str = "normal",
    tolerance: float = 1e-5,
    outputs: int = 1,
    **attrs: Any,
) -> OpCase:
    """``shape`` is that of weight and bias: ``normalized_shape``, or the channels of group_norm."""
    args = (Arg("input", x, dtype, fill), *(Arg(r, shape, dtype) for r in roles.split()))
    key = {} if "group_norm" in op else {"normalized_shape": shape}
    return OpCase(op, args, {**key, **attrs}, outputs=outputs, tolerance=tolerance)


def _with_statistics(x: Shape, shape: Shape, roles: str = "weight bias", dtype: str = "float32", **kw: Any) -> OpCase:
    return _rows("native_layer_norm", x, roles, shape, dtype, outputs=3, eps=1e-5, **kw)


def _groups_with_statistics(x: Shape, groups: int, roles: str = "weight bias", dtype: str = "float32") -> OpCase:
    sizes = {"N": x[0], "C": x[1], "HxW": prod(x[2:]), "group": groups, "eps": 1e-5}
    return _rows("native_group_norm", x, roles, (x[1],), dtype, outputs=3, **sizes)


_BOTH = "weight bias"

CASES: tuple[OpCase, ...] = (
    _stored("batch_norm", (2, 3, 5, 7)),
    _stored("batch_norm", (4, 3)),
    _stored("batch_norm", (2, 3, 9)),
    _stored("batch_norm", (1, 3, 2, 4, 5), eps=1e-3),
    _stored("batch_norm", (2, 3, 5, 7), "running_mean running_var"),
    _stored("batch_norm", (2, 3, 5, 7), "weight running_mean running_var"),
    _stored("batch_norm", (0, 3, 5, 7)),
    _stored("batch_norm", (2, 3, 5, 9), fill="special"),
    _stored("batch_norm", (2, 3, 5, 7), dtype="float64", tolerance=1e-12),
    _stored("batch_norm", (2, 3, 5, 7), dtype="bfloat16", tolerance=1.6e-2),
    _stored("batch_norm", (2, 3, 5, 7), "running_mean running_var", "float16", tolerance=2e-3),
    _stored("batch_norm", (2, 3, 5, 7), dtype="bfloat16", params="float32", tolerance=1.6e-2),
    _stored("instance_norm", (2, 3, 5, 7)),
    _stored("instance_norm", (2, 3, 5, 7), ""),
    _stored("instance_norm", (2, 3, 9), _BOTH),
    _stored("instance_norm", (1, 3, 2, 4, 5), _BOTH),
    _stored("instance_norm", (2, 3, 5, 7), use_input_stats=False),
    _stored("instance_norm", (2, 3, 5, 7), _BOTH, "float64", tolerance=1e-11),
    _rows("layer_norm", (4, 10), _BOTH, (10,)),
    _rows("layer_norm", (2, 3, 37), _BOTH, (37,), eps=1e-6),
    _rows("layer_norm", (2, 3, 4, 5), _BOTH, (4, 5)),
    _rows("layer_norm", (2, 3, 4), "", (2, 3, 4)),
    _rows("layer_norm", (5, 64), _BOTH, (64,)),
    _rows("layer_norm", (5, 8), "weight", (8,)),
    _rows("layer_norm", (9,), _BOTH, (9,)),
    _rows("layer_norm", (0, 8), _BOTH, (8,)),
    _rows("layer_norm", (3, 1), _BOTH, (1,)),
    _rows("layer_norm", (14, 4), _BOTH, (4,), fill="special"),
    _rows("layer_norm", (3, 33), _BOTH, (33,), "float64", tolerance=1e-12),
    _rows("layer_norm", (3, 33), _BOTH, (33,), "float16", tolerance=2e-3),
    _rows("layer_norm", (3, 33), _BOTH, (33,), "bfloat16", tolerance=1.6e-2),
    _rows("group_norm", (2, 6, 5, 7), _BOTH, (6,), num_groups=3),
    _rows("group_norm", (2, 6, 9), _BOTH, (6,), num_groups=1),
    _rows("group_norm", (2, 8, 4, 16), _BOTH, (8,), num_groups=2),
    _rows("group_norm", (2, 6), _BOTH, (6,), num_groups=2),
    _rows("group_norm", (1, 4, 2, 3, 2), "", (4,), num_groups=4, eps=1e-3),
    _rows("group_norm", (0, 4, 3), _BOTH, (4,), num_groups=2),
    _rows("group_norm", (2, 4, 7), _BOTH, (4,), fill="special", num_groups=2),
    _rows("group_norm", (2, 4, 7), _BOTH, (4,), "float16", tolerance=2e-3, num_groups=2),
    _rows("rms_norm", (4, 10), "weight", (10,)),
    _rows("rms_norm", (2, 3, 37), "", (37,), eps=1e-6),
    _rows("rms_norm", (2, 3, 4), "weight", (3, 4)),
    _rows("rms_norm", (5, 48), "weight", (48,)),
    _rows("rms_norm", (0, 4), "weight", (4,)),
    _rows("rms_norm", (14, 4), "weight", (4,), fill="special"),
    _rows("rms_norm", (3, 33), "weight", (33,), "float64", tolerance=1e-12),
    _rows("rms_norm", (3, 33), "weight", (33,), "bfloat16", tolerance=1.6e-2),
    _rows("rms_norm", (3, 33), "weight", (33,), "float16", tolerance=2e-3),
    _stored("instance_norm", (2, 3, 0, 7), use_input_stats=False),
    _stored("batch_norm", (2, 3, 5, 7), "", training=True),
    _stored("batch_norm", (4, 3), "weight bias", training=True),
    _stored("batch_norm", (1, 3, 64), "weight", training=True, eps=1e-3),
    _stored("batch_norm", (2, 3, 4, 2, 8), "weight bias", "float64", training=True, tolerance=1e-11),
    _stored("batch_norm", (2, 3, 5, 7), "weight bias", "bfloat16", training=True, tolerance=1.6e-2),
    _with_statistics((4, 10), (10,)),
    _with_statistics((2, 3, 4, 5), (4, 5), ""),
    _with_statistics((3, 33), (33,), "weight", "float64", tolerance=1e-12),
    _with_statistics((0, 8), (8,)),
    _groups_with_statistics((2, 6, 5, 7), 3),
    _groups_with_statistics((2, 4, 7), 4, ""),
    _groups_with_statistics((1, 4, 2, 3, 2), 1, "weight", "float64"),
    _groups_with_statistics((0, 4, 3), 2),
)

REFUSED: tuple[OpCase, ...] = (_stored("batch_norm", (2, 3, 5, 7), training=True),)
