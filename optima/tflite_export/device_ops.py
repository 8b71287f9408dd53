"""Which TFLite operators the Edge TPU's compiler maps, by its published list.

https://coral.ai/docs/edgetpu/models-intro/#supported-operations (also, with the same limits,
https://developer.axis.com/computer-vision/on-device/system-on-chip/artpec-7/supported-ops/). What is not in it
runs on the host, inside the same file; from the first such operator on the rest may do so, too.
"""

from __future__ import annotations

from optima.tflite_export.emission import TfliteModel

ON_DEVICE = frozenset(
    (
        "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS", "FULLY_CONNECTED",
        "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PACK", "PAD", "PRELU",
        "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQUARED_DIFFERENCE",
        "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM",
    )
)  # fmt: skip


def host_ops(model: TfliteModel) -> dict[str, int]:
    """The model's operators that the Edge TPU does not have: name -> how many."""
    found: dict[str, int] = {}
    for node in model.nodes:
        if node.op not in ON_DEVICE:
            found[node.op] = found.get(node.op, 0) + 1
    return dict(sorted(found.items()))
