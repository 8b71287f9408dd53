"""What kernels look like as CUDA C++."""

from __future__ import annotations

from expecttest import assert_expected_inline

from optima.graph import Graph
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.cuda import Cuda
from optima.kernels.gpu.source import source
from optima.kernels.gpu.target import GpuTarget


def text_of(text: str) -> str:
    """The only kernel of a graph, without the types before it."""
    (kernel,) = source(gpu_program(Graph.parse(text), GpuTarget()), GpuTarget(), Cuda(), "relu_1a2b").kernels
    return kernel.text[kernel.text.index('extern "C"') :]


def test_elementwise() -> None:
    text = "graph g(%x: f32[5,7]) -> (%y)\n  %y = relu_0: relu(%x) : f32[5,7]\n"
    assert_expected_inline(
        text_of(text),
        """\
extern "C" __global__ void __launch_bounds__(64) relu_1a2b_0(const float* __restrict__ b0, float* __restrict__ b1)
{
  int blockIdxx_1 = int(blockIdx.x);
  int threadIdxx_2 = int(threadIdx.x);
  if ((threadIdxx_2 < 35)) {
    float local_3[1];
    local_3[0] = b0[threadIdxx_2];
    b1[threadIdxx_2] = ((local_3[0] < 0.0f) ? 0.0f : local_3[0]);
  }
}
""",
    )


def test_half_width_floats_are_computed_in_float32() -> None:
    text = "graph g(%x: f16[40]) -> (%y)\n  %y = exp_0: exp(%x) : f16[40]\n"
    assert_expected_inline(
        text_of(text),
        """\
extern "C" __global__ void __launch_bounds__(64) relu_1a2b_0(const float16* __restrict__ b0, float16* __restrict__ b1)
{
  int blockIdxx_1 = int(blockIdx.x);
  int threadIdxx_2 = int(threadIdx.x);
  if ((threadIdxx_2 < 40)) {
    float local_3[1];
    local_3[0] = float(b0[threadIdxx_2]);
    b1[threadIdxx_2] = float16(expf(local_3[0]));
  }
}
""",
    )


def test_float64_and_its_functions() -> None:
    text = "graph g(%x: f64[40]) -> (%y)\n  %y = erfc_0: erfc(%x) : f64[40]\n"
    assert " = erfc(" in text_of(text)


def test_a_product_goes_by_shared_memory() -> None:
    text = text_of("graph g(%x: f64[64,64], %w: f64[64,64]) -> (%y)\n  %y = linear_0: linear(%x, %w) : f64[64,64]\n")
    assert text.count("__shared__ double") == 2 and "__syncthreads();" in text and " = fma(" in text


def test_literals() -> None:
    dialect = Cuda()
    assert dialect.integer(-(2**31), "int32") == "int(0x80000000u)"
    assert dialect.integer(-(2**63), "int64") == "i64(0x8000000000000000ull)"
    assert dialect.bits("bfloat16", "x", "uint16") == "bfloat16::of_bits(x)"
    assert dialect.bits("int16", "x", "float16") == "i16((x).bits)"
