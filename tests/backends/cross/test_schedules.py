"""The schedule rules fit vectors of four lanes and few registers: none gives up and leaves the slower form."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from devices import DeviceEnum
from optima.graph import Graph
from optima.kernels.cpu_kinds import target_of
from optima.kernels.lower import lower
from tests.kernels.harness import chain, one_op
from tests.kernels.test_blocked import conv

LANES = 4


def depthwise() -> Graph:
    shapes = {"input": (1, 6, 14, 14, LANES), "weight": (6, 3, 3, LANES), "bias": (6 * LANES,)}
    return one_op("depthwise_conv2d_blocked", shapes, {"stride": (1, 1), "padding": (1, 1)})


def packed_linear() -> Graph:
    shapes = {"input": (5, 50), "weight": (5, 50, 2 * LANES), "bias": (40,)}
    return one_op("linear_packed", shapes, {"features": 40})


def attention() -> Graph:
    shapes = dict.fromkeys(("query", "key", "value"), (2, 3, 24, 16))
    return one_op("scaled_dot_product_attention", shapes)


def softmax() -> Graph:
    return chain([("softmax", "y", (("self", "x"),), {"dim": 1})], {"x": (40, 64)}, ["y"])


def matmul() -> Graph:
    return one_op("matmul", {"self": (48, 64), "other": (64, 96)})


GROUPS = {
    "convolution": lambda: conv(16, 32, 3, 1, 1, size=(13, 17), block=LANES),
    "pointwise": lambda: conv(24, 96, 1, 1, 0, size=(7, 7), block=LANES),
    "depthwise": depthwise,
    "packed linear": packed_linear,
    "attention": attention,
    "softmax": softmax,
    "matmul": matmul,
}


@pytest.mark.parametrize("kind", ["ARM64", "ARM", "X86"])
@pytest.mark.parametrize("group", GROUPS)
def test_its_rule_applies(group: str, kind: str, caplog: Any) -> None:
    target = target_of(DeviceEnum(kind), "", {})
    assert target.lanes == LANES
    with caplog.at_level(logging.DEBUG, logger="optima.kernels.schedule"):
        lower(GROUPS[group](), target)
    assert not caplog.records, caplog.text
