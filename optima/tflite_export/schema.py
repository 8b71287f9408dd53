"""The operators that are written: their options table in TFLite's schema, and the version that each form needs.

Versions follow https://github.com/google-ai-edge/LiteRT/blob/main/tflite/tools/versioning/op_version.cc: the Edge
TPU's compiler is older than many of them, so each operator has the lowest that describes it.
"""

from __future__ import annotations

from collections.abc import Sequence

#: operator -> its options table
OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "GELU": "GeluOptions",
    "LOGISTIC": "",
    "MAXIMUM": "MaximumMinimumOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "MUL": "MulOptions",
    "PAD": "PadOptions",
    "REDUCE_MIN": "ReducerOptions",
    "RELU": "",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "RSQRT": "",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SQRT": "",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "SUM": "ReducerOptions",
    "TANH": "",
    "TRANSPOSE": "TransposeOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}

#: option fields that hold a word -> the schema's enumeration
ENUMERATIONS = {
    "padding": "Padding",
    "fused_activation_function": "ActivationFunctionType",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
    "mode": "MirrorPadMode",
}

#: version of the int8 form where it is not 2
_INT8 = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "MIRROR_PAD": 2,
    "RESHAPE": 1,
    "GELU": 1,
}
_HALF_PIXELS, _MANY_AXES = 3, {"TRANSPOSE": 4, "SLICE": 5, "STRIDED_SLICE": 4}


def version_of(op: str, *, int8: bool, sampled: bool, dilated: bool, axes: Sequence[int]) -> int:
    """The lowest version of an operator. ``sampled``: half pixels or aligned corners; ``dilated``: of a depthwise
    convolution; ``axes``: how many axes each activation among its operands has."""
    if op.startswith("RESIZE_") and sampled:
        return _HALF_PIXELS
    if max(axes, default=0) > 4 and op in _MANY_AXES:
        return _MANY_AXES[op]
    if int8:
        return _INT8.get(op, 2)
    return 2 if op == "DEPTHWISE_CONV_2D" and dilated else 1
