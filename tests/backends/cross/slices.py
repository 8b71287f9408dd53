"""The op cases that run on every emulated CPU: a fixed choice out of ``tests/ops``, by what a CPU may get wrong."""

from __future__ import annotations

import importlib
import math
import pkgutil

import tests.ops
from tests.ops.case import OpCase

#: what is chosen from -> (operators, dtypes that a case must have one of; () for any)
_GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "products": (
        "conv1d conv2d conv3d conv_transpose2d linear matmul bmm addmm einsum scaled_dot_product_attention", (),
    ),
    "rows": ("softmax log_softmax layer_norm group_norm batch_norm rms_norm logsumexp cumsum var sum", ("float32",)),
    "pools": ("max_pool2d avg_pool2d adaptive_avg_pool2d max_pool2d_with_indices upsample_bilinear2d grid_sampler", ()),
    "functions": ("exp log tanh erf sin atan pow gelu sigmoid silu lgamma sqrt floor round fmod hypot", ("float32",)),
    "doubles": ("exp log1p matmul softmax div sum var pow", ("float64",)),
    "integers": (
        "add mul sub floor_divide remainder div bitwise_and bitwise_left_shift sum cumsum amax argmax gcd pow clamp",
        ("int64",),
    ),
    "narrow integers": ("add floor_divide bitwise_right_shift maximum neg", ("int8", "uint8", "int16")),
    "bools": ("eq lt logical_not logical_xor where any all isnan masked_fill", ("bool", "float32")),
    "halves": ("add mul relu softmax linear conv2d sum gelu to div", ("float16",)),
    "bfloats": ("add relu softmax linear sum to", ("bfloat16",)),
    "conversions": ("to", ("int64",)),
    "moves": ("cat pad gather index_select embedding scatter_add sort topk permute flip tril index_put", ()),
}  # fmt: skip
_EACH = {"conversions": 8}
#: groups of which the largest cases are taken, so that vectors and tiles occur; of the others the first
_LARGEST = ("products", "rows", "pools")


def _all_cases() -> list[OpCase]:
    names = sorted(m.name for m in pkgutil.iter_modules(tests.ops.__path__) if m.name.startswith("cases_"))
    return [case for name in names for case in importlib.import_module(f"tests.ops.{name}").CASES]


def _has_work(case: OpCase) -> bool:
    graph = case.graph()
    return any(graph.type_of(name).numel for name in graph.outputs)


def _size(case: OpCase) -> int:
    return sum(math.prod(arg.shape) for arg in case.args)


def _chosen(op: str, group: str, dtypes: tuple[str, ...]) -> list[OpCase]:
    """Cases of an operator whose dtypes fit, and that have something to compute."""
    fits = [c for c in _BY_OP[op] if (not dtypes or {a.dtype for a in c.args} & {*dtypes}) and _has_work(c)]
    if group in _LARGEST:
        fits.sort(key=_size, reverse=True)
    return fits[: _EACH.get(group, 1)]


_BY_OP: dict[str, list[OpCase]] = {}
for _case in _all_cases():
    _BY_OP.setdefault(_case.op, []).append(_case)

SLICES = {
    group: [case for op in ops.split() for case in _chosen(op, group, dtypes)]
    for group, (ops, dtypes) in _GROUPS.items()
}
