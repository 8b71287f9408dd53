"""``torchvision::nms`` for tests: the real one where torchvision works, else declared here with the same rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

#: the declaration lasts as long as this object
_LIBRARY: list[torch.library.Library] = []


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that are kept, by falling score."""
    _declare()
    kept: Tensor = torch.ops.torchvision.nms(dets, scores, iou_threshold)
    return kept


def _declare() -> None:
    if _LIBRARY or hasattr(torch.ops.torchvision, "nms"):
        return
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    torch.library.register_fake("torchvision::nms", _fake, lib=library)
    _LIBRARY.append(library)


def _fake(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    # As torchvision's: at least two boxes, for which there is no reason.
    size: Any = torch.library.get_ctx().create_unbacked_symint(min=2)
    return dets.new_empty(size, dtype=torch.int64)


def _nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Box by box, as a loop over pairs."""
    order = torch.sort(scores, stable=True, descending=True).indices.tolist()
    boxes = dets.numpy()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for j in order:
        if not any(_overlap(boxes, areas, i, j) > iou_threshold for i in kept):
            kept.append(j)
    return torch.tensor(kept, dtype=torch.int64)


def _overlap(boxes: Any, areas: Any, i: int, j: int) -> float:
    low, high = np.maximum(boxes[i, :2], boxes[j, :2]), np.minimum(boxes[i, 2:], boxes[j, 2:])
    width, height = np.maximum(high - low, boxes.dtype.type(0))
    with np.errstate(all="ignore"):
        return float(width * height / (areas[i] + areas[j] - width * height))
