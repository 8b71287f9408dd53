"""Activations that the operator before them takes in, so that its result is quantised once, in its final range."""

from __future__ import annotations

from collections import Counter

from optima.ops.tflite.writer import TfliteNode, TfliteWriter

_ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1")
#: pools and joins have the option, too, and the Edge TPU refuses it there
_TAKE_ONE = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL")
#: activations that the quantiser knows as operators of their own
_STAND_ALONE = ("RELU",)


def fuse_activations(writer: TfliteWriter, outputs: set[str]) -> list[TfliteNode]:
    """The writer's nodes with activations fused into what they alone read; one that nothing can take in and that
    has no quantised operator becomes a product with one, which can. ``outputs`` are values that stay."""
    readers = Counter(name for node in writer.nodes for name in node.inputs)
    kept: list[TfliteNode] = []
    for node in writer.nodes:
        if node.op not in _ACTIVATIONS:
            kept.append(node)
            continue
        (value,) = node.inputs
        maker = writer.producer(value)
        alone = readers[value] == 1 and value not in outputs
        if (
            maker is not None
            and alone
            and maker.op in _TAKE_ONE
            and maker.options["fused_activation_function"] == "NONE"
        ):
            maker.options["fused_activation_function"] = node.op
            maker.outputs[:] = node.outputs
        elif node.op in _STAND_ALONE:
            kept.append(node)
        else:
            kept.append(TfliteNode("MUL", [value, writer.scalar(1.0)], node.outputs,
                                   {"fused_activation_function": node.op}))  # fmt: skip
    return kept
