"""Launches for GPUs: work that has many elements has many threads."""

from __future__ import annotations

import logging

import pytest

from optima.graph import Graph
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.glsl import Glsl
from optima.kernels.gpu.source import source
from optima.kernels.gpu.target import GpuTarget

TARGET = GpuTarget()
GRAPHS = {
    "softmax over channels": """graph g(%x: f32[2,21,65,65]) -> (%y)
  %y = softmax_0: softmax(%x) {dim=1} : f32[2,21,65,65]
""",
    "log_softmax over channels": """graph g(%x: f32[2,21,65,65]) -> (%y)
  %y = log_softmax_0: log_softmax(%x) {dim=1} : f32[2,21,65,65]
""",
    "attention": """graph g(%q: f32[2,3,50,16], %k: f32[2,3,70,16], %v: f32[2,3,70,16]) -> (%y)
  %y = attention_0: scaled_dot_product_attention(%q, %k, %v) : f32[2,3,50,16]
""",
    "arg_max over channels": """graph g(%x: f32[2,21,65,65]) -> (%y)
  %y = argmax_0: argmax(%x) {dim=1} : i64[2,65,65]
""",
    "long sum": "graph g(%x: f32[3,9000]) -> (%y)\n  %y = sum_0: sum(%x) {dim=[1]} : f32[3]\n",
}


@pytest.mark.parametrize("name", GRAPHS)
def test_no_launch_is_left_to_one_thread(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="optima"):
        made = source(gpu_program(Graph.parse(GRAPHS[name]), TARGET), TARGET, Glsl())
    assert "a slower one is used" not in caplog.text
    for kernel in made.kernels:
        threads = 1
        for extent in (*kernel.grid, *kernel.threads):
            threads *= extent
        assert threads >= 100, kernel.text
