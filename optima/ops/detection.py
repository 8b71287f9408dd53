"""Choosing among boxes: nms, whose result is written in a tensor of its upper bound, with the count beside it."""

from __future__ import annotations

from typing import Any

from optima.ops.entry import REQUIRED, Cost, OpEntry, OpView, Te, Trait
from optima.ops.te_nms import nms_te

_FLOATS = ("float32", "float64")


def _nms_reference(dets: Any, scores: Any, iou_threshold: float) -> Any:
    """(keep int64[N], count int64[]): torchvision's indices in its order; the rows after the count repeat the first.

    The rule is that of torchvision's CPU kernel: boxes by falling score, equal ones in their order and NaN first;
    areas without an added 1; a box goes when its overlap with a kept one is over the threshold, compared in double.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensor

    if dets.dim() != 2 or dets.shape[1] != 4:
        raise ValueError(f"boxes of shape {list(dets.shape)}, not [N, 4]")
    if scores.shape != dets.shape[:1] or scores.dtype != dets.dtype:
        raise ValueError(f"scores are {scores.dtype}{list(scores.shape)} for {dets.shape[0]} boxes of {dets.dtype}")
    boxes = dets.shape[0]
    if isinstance(dets, FakeTensor) or dets.device.type == "meta":
        return dets.new_empty(boxes, dtype=torch.int64), dets.new_empty((), dtype=torch.int64)
    kept = _kept(dets, scores, iou_threshold)
    padding = kept[:1] * (boxes - len(kept))
    return torch.tensor(kept + padding, dtype=torch.int64), torch.tensor(len(kept))


def _kept(dets: Any, scores: Any, iou_threshold: float) -> list[int]:
    import torch

    order = torch.sort(scores, stable=True, descending=True).indices
    x1, y1, x2, y2 = dets[order].unbind(1)
    areas = (x2 - x1) * (y2 - y1)
    zero, gone = areas.new_zeros(()), torch.zeros(len(order), dtype=torch.bool)
    kept: list[int] = []
    for i in range(len(order)):
        if gone[i]:
            continue
        kept.append(int(order[i]))
        width = _larger(zero, _smaller(x2[i], x2) - _larger(x1[i], x1))
        height = _larger(zero, _smaller(y2[i], y2) - _larger(y1[i], y1))
        inter = width * height
        overlap = inter / (areas[i] + areas - inter)
        gone |= overlap.to(torch.float64) > iou_threshold
    return kept


def _larger(a: Any, b: Any) -> Any:
    """C++'s ``std::max(a, b)``, which gives ``a`` where either is NaN."""
    import torch

    return torch.where(a < b, b, a)


def _smaller(a: Any, b: Any) -> Any:
    import torch

    return torch.where(b < a, b, a)


def _nms_reason(view: OpView) -> str | None:
    dtypes = {t.dtype for t in view.operands.values()}
    if len(dtypes) > 1 or not dtypes <= set(_FLOATS):
        return f"boxes and scores of {', '.join(sorted(dtypes))}: torchvision's CPU kernel takes float32 and float64"
    if not isinstance(view.attrs["iou_threshold"], int | float):
        return "iou_threshold is not a number"
    return None


def _nms_cost(view: OpView) -> Cost:
    """As if a tenth of the boxes were kept: how many are is known only when it runs."""
    boxes = view.operands["dets"].shape[0]
    moved = sum(t.nbytes for t in view.operands.values()) + sum(t.nbytes for t in view.outputs)
    return Cost(14.0 * boxes * max(boxes / 10, 1), float(moved))


ENTRIES: tuple[OpEntry, ...] = (
    OpEntry(
        "nms",
        ("dets", "scores"),
        _nms_reference,
        {"iou_threshold": REQUIRED},
        frozenset({Trait.OPAQUE}),
        Te(nms_te, _nms_reason),
        cost=_nms_cost,
    ),
)
