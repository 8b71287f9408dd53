"""Cases of nms: equal scores and overlaps at the threshold, boxes inside out, NaN and infinities, one box, none."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase


def _case(boxes: int, threshold: float, dtype: str = "float32", fill: str = "normal") -> OpCase:
    # Few integers as corners make boxes that touch, coincide, have no area, and overlap by exactly the threshold.
    args = (Arg("dets", (boxes, 4), dtype, fill, high=7), Arg("scores", (boxes,), dtype, fill, high=3))
    return OpCase("nms", args, {"iou_threshold": threshold}, outputs=2)


CASES: tuple[OpCase, ...] = (
    _case(0, 0.5),
    _case(1, 0.5),
    _case(2, 0.0, fill="index"),
    _case(16, 0.5),
    _case(33, 1 / 3, fill="index"),
    _case(70, 0.1, fill="index"),
    _case(70, 0.5, "float64", "index"),
    _case(45, 0.3, fill="special"),
    _case(45, 0.3, "float64", "special"),
    _case(9, -1.0),
)
REFUSED: tuple[OpCase, ...] = (_case(4, 0.5, "float16"), _case(4, 0.5, "bfloat16"))
