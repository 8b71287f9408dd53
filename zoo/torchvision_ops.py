"""The operators of torchvision that it declares in its C library, for where that library cannot load.

torchvision's wheel on the package index is linked against a CUDA build of torch. Beside a CPU build its library does
not load, and ``import torchvision`` then fails on the first operator whose schema nobody declared. Here are those
schemas, and for the two operators that models reach in eval mode, ``nms`` and ``roi_align``, an implementation in
plain torch. Where the library loads, nothing is declared.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_BOXES = "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_SIZES = "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
_DEFORM = (
    "Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
    "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, "
    "bool use_mask"
)
#: every operator for which ``import torchvision`` registers a shape rule
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    f"roi_align({_BOXES}, int sampling_ratio, bool aligned) -> Tensor",
    f"_roi_align_backward(Tensor grad, {_BOXES.removeprefix('Tensor input, ')}, {_SIZES}, int sampling_ratio, "
    "bool aligned) -> Tensor",
    f"roi_pool({_BOXES}) -> (Tensor, Tensor)",
    "_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, float spatial_scale, SymInt pooled_height, "
    f"SymInt pooled_width, {_SIZES}) -> Tensor",
    f"ps_roi_align({_BOXES}, int sampling_ratio) -> (Tensor, Tensor)",
    "_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, "
    f"SymInt pooled_height, SymInt pooled_width, int sampling_ratio, {_SIZES}) -> Tensor",
    f"ps_roi_pool({_BOXES}) -> (Tensor, Tensor)",
    "_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, "
    f"SymInt pooled_height, SymInt pooled_width, {_SIZES}) -> Tensor",
    f"deform_conv2d({_DEFORM}) -> Tensor",
    f"_deform_conv2d_backward(Tensor grad, {_DEFORM}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qroi_align(Tensor input, Tensor rois, float input_scale, int input_zero_point, float rois_scale, "
    "int rois_zero_point, float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio, "
    "bool aligned) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
)

#: the declarations last as long as this object
_LIBRARY: list[Any] = []


def declare_missing() -> None:
    """Declare the operators where torchvision's own library cannot load. Call before importing it.

    Does nothing where torchvision is not installed; importing it then says so.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _LIBRARY or _loads(Path(spec.origin).parent):
        return
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        library.define(schema)
    library.impl("nms", nms, "CPU")
    library.impl("roi_align", roi_align, "CPU")
    _LIBRARY.append(library)
    import torchvision.extension

    # torchvision.ops asks this before each call of an operator.
    torchvision.extension._has_ops = lambda: True


def _loads(folder: Path) -> bool:
    """Whether the C library of the torchvision in ``folder`` can be loaded into this process."""
    for path in sorted(folder.glob("_C*.so")):
        try:
            ctypes.CDLL(str(path))
        except OSError:
            continue
        return True
    return False


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that survive, best score first: greedy non-maximum suppression, corners x1 y1 x2 y2."""
    order = torch.argsort(scores, descending=True, stable=True)
    ranked = boxes[order]
    areas = (ranked[:, 2:] - ranked[:, :2]).prod(1)
    alive = torch.ones(len(order), dtype=torch.bool)
    for best in range(len(order)):
        if not alive[best]:
            continue
        low = torch.maximum(ranked[:, :2], ranked[best, :2])
        high = torch.minimum(ranked[:, 2:], ranked[best, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        overlap = shared / (areas + areas[best] - shared)
        # Two empty boxes give NaN, which suppresses nothing.
        alive[best + 1 :] &= ~(overlap > iou_threshold)[best + 1 :]
    return order[alive]


def roi_align(
    features: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int, aligned: bool,
) -> Tensor:  # fmt: skip
    """(boxes, channels, height, width): the mean of bilinear samples in each bin of each box (He et al., 2017).

    ``rois`` rows are (image, x1, y1, x2, y2). With no ``sampling_ratio`` each box takes as many samples per bin as
    the bin has pixels, rounded up.
    """
    bins = (pooled_height, pooled_width)
    pooled = [_align_one(features[int(b[0])], b[1:], spatial_scale, bins, sampling_ratio, aligned) for b in rois]
    return torch.stack(pooled) if pooled else features.new_zeros(0, features.shape[1], *bins)


def _align_one(
    image: Tensor, box: Tensor, scale: float, bins: tuple[int, int], ratio: int, aligned: bool
) -> Tensor:
    shift = 0.5 if aligned else 0.0
    low = box[[1, 0]] * scale - shift
    size = box[[3, 2]] * scale - shift - low
    if not aligned:
        size = size.clamp(min=1.0)
    rows, columns = (
        _samples(low[d], size[d], bins[d], ratio if ratio > 0 else max(1, int(torch.ceil(size[d] / bins[d]))))
        for d in (0, 1)
    )
    sampled = _bilinear(image, rows.flatten(), columns.flatten())
    counted = sampled.reshape(image.shape[0], *rows.shape, *columns.shape)
    return counted.mean((2, 4))


def _samples(low: Tensor, size: Tensor, bins: int, each: int) -> Tensor:
    """(bins, each): coordinates spread evenly within each bin."""
    bin_size = size / bins
    within = (torch.arange(each) + 0.5) * (bin_size / each)
    return low + torch.arange(bins)[:, None] * bin_size + within


def _bilinear(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(channels, rows, columns): samples; more than a pixel outside counts as 0."""
    weights = []
    for at, extent in ((rows, image.shape[1]), (columns, image.shape[2])):
        inside = (at >= -1.0) & (at <= extent)
        clamped = at.clamp(0, extent - 1)
        below = clamped.floor().long()
        above = (below + 1).clamp(max=extent - 1)
        part = clamped - below
        matrix = torch.zeros(len(at), extent, dtype=image.dtype)
        matrix.scatter_add_(1, below[:, None], (1 - part)[:, None])
        matrix.scatter_add_(1, above[:, None], part[:, None])
        weights.append(matrix * inside[:, None])
    return torch.einsum("rh,chw,sw->crs", weights[0], image, weights[1])
