"""ONNX routes of resampling: Resize, GridSample, and lookups where Resize would pick other elements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.site import OpSite
from optima.ops.te_resample import (
    Axis,
    Places,
    nearest_exact_places,
    nearest_exact_places_by_row,
    nearest_places,
    nearest_places_by_row,
)

#: the constant of torch's cubic convolution
_CUBIC = -0.75
_GRID_NAMES_SINCE = 20


def _axes(s: OpSite) -> list[Axis]:
    from optima.ops.resize import resized_axes

    return resized_axes(s.view)


def _nearest(usual: Callable[[Axis], Places], by_row: Callable[[Axis], Places]) -> Onnx:
    """Resize for whole multiples; else the very elements that torch picks, by lookup."""

    def emit(s: OpSite) -> str:
        axes = _axes(s)
        places = [(by_row if len(axes) == 2 else usual)(a) for a in axes]
        whole = [a.target % a.size == 0 and np.array_equal(p, np.arange(a.target) // (a.target // a.size))
                 for a, p in zip(axes, places, strict=True)]  # fmt: skip
        if all(whole):
            scales = [1.0, 1.0, *(a.target / a.size for a in axes)]
            return _resize(s, s.first, scales, mode="nearest", coordinates="asymmetric", nearest_mode="floor")
        value = s.first
        for k, place in enumerate(places):
            value = s.node("Gather", value, s.writer.integers(place.tolist()), axis=2 + k)
        return value

    return Onnx(emit)


def _resize(
    s: OpSite, value: str, scales: list[float], *, mode: str, coordinates: str, nearest_mode: str | None = None
) -> str:
    roi = s.writer.constant(np.zeros((0,)), "float32")  # an empty name for it is refused by ORT at version 11
    return s.node(
        "Resize", value, roi, s.writer.constant(np.asarray(scales), "float32"), mode=mode,
        coordinate_transformation_mode=coordinates, nearest_mode=nearest_mode,
        cubic_coeff_a=_CUBIC if mode == "cubic" else None,
    )  # fmt: skip


def _smooth(mode: str) -> Onnx:
    def emit(s: OpSite) -> str:
        axes = _axes(s)
        coordinates = "align_corners" if s.attr("align_corners") else "half_pixel"
        value, shape = s.first, list(s.out.shape)
        if len(axes) == 1:  # few runtimes resize along one axis
            value, shape = s.writer.reshape(value, [*s.shape[:2], 1, s.shape[2]]), [*shape[:2], 1, shape[2]]
            made = _sized(s, value, shape, mode, coordinates)
            return s.as_out(made)
        given = s.attr("scale_factors")
        if given and coordinates == "half_pixel":
            return _resize(s, value, [1.0, 1.0, *map(float, given)], mode=mode, coordinates=coordinates)
        return _sized(s, value, shape, mode, coordinates)

    return Onnx(emit, _smooth_reason, ("float32",))


def _sized(s: OpSite, value: str, shape: list[int], mode: str, coordinates: str) -> str:
    roi = s.writer.constant(np.zeros((0,)), "float32")
    scales = s.writer.constant(np.zeros((0,)), "float32") if s.writer.opset < 13 else ""
    return s.node(
        "Resize", value, roi if s.writer.opset < 13 else "", scales, s.writer.integers(shape), mode=mode,
        coordinate_transformation_mode=coordinates, cubic_coeff_a=_CUBIC if mode == "cubic" else None,
    )  # fmt: skip


def _smooth_reason(view: OpView) -> str | None:
    given = view.attrs.get("scale_factors")
    if given and view.attrs.get("output_size"):
        return "a size and factors at once"
    if given and len(given) == 1 and not view.attrs.get("align_corners"):
        extent, target = view.first.shape[2], view.outputs[0].shape[2]
        if extent * given[0] != target:
            return "a factor that does not give a whole number of elements"
    return None


def _grid_sampler(s: OpSite) -> str:
    new = s.writer.opset >= _GRID_NAMES_SINCE
    mode = (("linear", "nearest", "cubic") if new else ("bilinear", "nearest", "bicubic"))[s.attr("interpolation_mode")]
    padding = ("zeros", "border", "reflection")[s.attr("padding_mode")]
    align = int(bool(s.attr("align_corners")))
    return s.node("GridSample", s.first, s.names["grid"], mode=mode, padding_mode=padding, align_corners=align)


def _grid_reason(view: OpView) -> str | None:
    return None if len(view.first.shape) == 4 else "grid_sample of volumes has no ONNX form here"


RESIZE: dict[str, Onnx] = {
    **{f"upsample_nearest{d}d": _nearest(nearest_places, nearest_places_by_row) for d in (1, 2, 3)},
    **{f"_upsample_nearest_exact{d}d": _nearest(nearest_exact_places, nearest_exact_places_by_row) for d in (1, 2, 3)},
    **{f"upsample_{name}": _smooth("linear") for name in ("linear1d", "bilinear2d", "trilinear3d")},
    "upsample_bicubic2d": _smooth("cubic"),
}

GRID_SAMPLE: dict[str, Onnx] = {"grid_sampler": Onnx(_grid_sampler, _grid_reason, ("float32",), 16)}
