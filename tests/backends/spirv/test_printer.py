"""What kernels look like as text, and what the printer refuses."""

from __future__ import annotations

import pytest
from expecttest import assert_expected_inline

from optima.graph import Graph
from optima.kernels.gpu.launches import Unprintable
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printable import refusal
from optima.kernels.gpu.printer.dialect import f32_literal
from optima.kernels.gpu.printer.glsl import Glsl
from optima.kernels.gpu.source import Source, source
from optima.kernels.gpu.target import GpuTarget

TARGET = GpuTarget()


def source_of(text: str) -> Source:
    return source(gpu_program(Graph.parse(text), TARGET), TARGET, Glsl())


def body_of(text: str) -> str:
    """The main function of the only kernel of a graph."""
    (kernel,) = source_of(text).kernels
    return kernel.text[kernel.text.index("void main") :]


def test_elementwise() -> None:
    text = "graph g(%x: f32[5,7]) -> (%y)\n  %y = relu_0: relu(%x) : f32[5,7]\n"
    assert_expected_inline(
        body_of(text),
        """\
void main()
{
  int blockIdxx_1 = int(gl_WorkGroupID.x);
  int threadIdxx_2 = int(gl_LocalInvocationID.x);
  if ((threadIdxx_2 < 35)) {
    float local_3[1];
    local_3[0] = b0[threadIdxx_2];
    b1[threadIdxx_2] = ((local_3[0] < 0.0f) ? 0.0f : local_3[0]);
  }
}
""",
    )


def test_a_bool_is_stored_as_a_byte() -> None:
    text = "graph g(%x: b1[40]) -> (%y)\n  %y = logical_not_0: logical_not(%x) : b1[40]\n"
    assert_expected_inline(
        body_of(text),
        """\
void main()
{
  int blockIdxx_1 = int(gl_WorkGroupID.x);
  int threadIdxx_2 = int(gl_LocalInvocationID.x);
  if ((threadIdxx_2 < 40)) {
    int8_t local_3[1];
    local_3[0] = ((b0[threadIdxx_2] != uint8_t(0)) ? int8_t(1) : int8_t(0));
    b1[threadIdxx_2] = (((local_3[0] != int8_t(0)) ? false : true) ? uint8_t(1) : uint8_t(0));
  }
}
""",
    )


def test_integers_wrap_in_their_own_width() -> None:
    text = "graph g(%x: i32[40], %z: i32[40]) -> (%y)\n  %y = mul_0: mul(%x, %z) : i32[40]\n"
    assert_expected_inline(
        body_of(text),
        """\
void main()
{
  int blockIdxx_1 = int(gl_WorkGroupID.x);
  int threadIdxx_2 = int(gl_LocalInvocationID.x);
  if ((threadIdxx_2 < 40)) {
    int local_3[1];
    local_3[0] = b0[threadIdxx_2];
    int local_4[1];
    local_4[0] = b1[threadIdxx_2];
    b2[threadIdxx_2] = int((uint(local_3[0]) * uint(local_4[0])));
  }
}
""",
    )


def test_a_product_goes_by_shared_memory() -> None:
    (kernel,) = source_of(
        "graph g(%x: f32[64,64], %w: f32[64,64]) -> (%y)\n  %y = linear_0: linear(%x, %w) : f32[64,64]\n"
    ).kernels
    assert kernel.threads == (8, 8, 1) and kernel.shared_bytes > 0
    assert kernel.text.count("shared float") == 2 and "barrier();" in kernel.text and "fma(" in kernel.text


def test_a_convolution_shares_its_weights() -> None:
    (kernel,) = source_of(
        "graph g(%x: f32[1,8,20,20], %w: f32[16,8,3,3]) -> (%y)\n"
        "  %y = conv2d_0: conv2d(%x, %w) {padding=[1,1]} : f32[1,16,20,20]\n"
    ).kernels
    assert kernel.grid == (4, 2, 1) and kernel.threads == (128, 1, 1)
    assert kernel.shared_bytes == 4 * 8 * 8 * 3 * 3


def test_a_softmax_is_one_launch_of_a_workgroup_per_row() -> None:
    (kernel,) = source_of(
        "graph g(%x: f32[12,100]) -> (%y)\n  %y = softmax_0: softmax(%x) {dim=1} : f32[12,100]\n"
    ).kernels
    assert kernel.grid == (12, 1, 1) and kernel.threads == (64, 1, 1)


def test_the_same_group_gives_the_same_text() -> None:
    text = "graph g(%x: f32[12,100]) -> (%y)\n  %y = softmax_0: softmax(%x) {dim=1} : f32[12,100]\n"
    assert source_of(text) == source_of(text)


def test_more_workgroups_than_a_dispatch_may_have_are_folded() -> None:
    text = "graph g(%x: f32[20000000]) -> (%y)\n  %y = relu_0: relu(%x) : f32[20000000]\n"
    (kernel,) = source_of(text).kernels
    assert kernel.grid == (65_535, 2, 1)
    assert "* 65535" in kernel.text and "return;" in kernel.text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.0f"), (0.1, "0.1f"), (1e-40, "1e-40f"), (16777216.0, "16777216.0f")]
)
def test_a_literal_reads_back_as_itself(value: float, text: str) -> None:
    assert f32_literal(value) == text


def test_integer_literals_at_the_ends_of_their_range() -> None:
    dialect = Glsl()
    assert dialect.integer(-(2**31), "int32") == "int(0x80000000u)"
    assert dialect.integer(-(2**63), "int64") == "int64_t(0x8000000000000000ul)"


def test_what_has_no_form_is_refused_with_its_name() -> None:
    wide = "graph g(%x: f64[5]) -> (%y)\n  %y = relu_0: relu(%x) : f64[5]\n"
    with pytest.raises(Unprintable, match="float64 has no SPIR-V form"):
        source_of(wide)
    assert refusal(Graph.parse(wide), TARGET, Glsl()) == "float64 has no SPIR-V form"
    gamma = "graph g(%x: f32[5]) -> (%y)\n  %y = lgamma_0: lgamma(%x) : f32[5]\n"
    assert refusal(Graph.parse(gamma), TARGET, Glsl()) == "the function lgammaf has no SPIR-V form"
