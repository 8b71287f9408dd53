"""TFLite routes of resampling: RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""

from __future__ import annotations

import numpy as np

from optima.ops.entry import OpView, Tflite
from optima.ops.te_resample import Axis, nearest_places_by_row
from optima.ops.tflite.layout import Laid
from optima.ops.tflite.site import TfliteSite
from optima.ops.tflite.windows import Image


def _axes(view: OpView) -> list[Axis]:
    from optima.ops.resize import resized_axes

    return resized_axes(view)


def _nearest(s: TfliteSite) -> Laid:
    return _resized(s, "RESIZE_NEAREST_NEIGHBOR", align_corners=False, half_pixel_centers=False)


def _nearest_reason(view: OpView) -> str | None:
    """Wherever torch picks other elements than TFLite, which rounds the position in float32 down."""
    for axis in _axes(view):
        scale = np.float32(axis.size) / np.float32(axis.target)
        places = np.minimum(np.floor(np.arange(axis.target, dtype=np.float32) * scale).astype(int), axis.size - 1)
        if not np.array_equal(places, nearest_places_by_row(axis)):
            return "TFLite would pick other elements"
    return None


def _bilinear(s: TfliteSite) -> Laid:
    align = bool(s.attr("align_corners"))
    return _resized(s, "RESIZE_BILINEAR", align_corners=align, half_pixel_centers=not align)


def _bilinear_reason(view: OpView) -> str | None:
    axes = _axes(view)
    if not view.attrs.get("align_corners") and any(a.factor and a.size * a.factor != a.target for a in axes):
        return "a factor that does not give a whole number of elements"
    return None


def _resized(s: TfliteSite, op: str, **options: bool) -> Laid:
    image = Image.of(s, 2)
    batch, _, _, channels = s.writer.shapes[image.value]
    height, width = s.out.shape[-2:]
    size = s.writer.integers([height, width])
    return image.result(s, s.writer.node(op, [image.value, size], (batch, height, width, channels), **options))


RESIZE: dict[str, Tflite] = {
    "upsample_nearest2d": Tflite(_nearest, _nearest_reason),
    "upsample_bilinear2d": Tflite(_bilinear, _bilinear_reason),
}
