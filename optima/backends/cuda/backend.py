"""The compile half for NVIDIA: CUDA C++, and a ``.cubin`` and ``.ptx`` per launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices import DeviceEnum, DeviceRef
from optima.backends.base import Backend, CompileOptions
from optima.backends.cuda.compiler import check_architecture, find_compiler
from optima.backends.cuda.meta import FORMAT_VERSION, CudaSubgraph, KernelMeta
from optima.backends.cuda.options import CudaOptions, read_options
from optima.backends.gpu_route.backend import TARGET, Compilation, GpuBackend
from optima.backends.gpu_route.meta import ArgumentMeta
from optima.kernels.gpu.printer.cuda import CUDA, Cuda


class CudaBackend(GpuBackend):
    """Kernels printed as CUDA C++, compiled by NVRTC or nvcc. The text goes into the artifact, for the simulator."""

    name = "cuda"
    kinds = (DeviceEnum.DEVICE_KIND_NVIDIA,)

    def read_options(self, device: DeviceRef, options: CompileOptions) -> CudaOptions:
        """Raises DeviceOptionError."""
        return read_options(options)

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The architecture, the form, and the limits that kernels keep to."""
        chosen = read_options(options)
        return {
            "triple": "nvptx64-nvidia-cuda", "architecture": chosen.architecture, "form": chosen.form,
            **TARGET.to_dict(),
        }  # fmt: skip

    def dialect(self, device: DeviceRef, options: CompileOptions) -> Cuda:
        """See ``GpuBackend``."""
        return CUDA

    def target(self, device: DeviceRef, options: CompileOptions) -> Compilation:
        """Raises ToolMissing where there is no compiler, DeviceOptionError for what it does not compile for."""
        chosen = read_options(options)
        compiler = find_compiler(chosen.compiler)
        check_architecture(compiler, chosen.architecture)
        return Compilation(
            "optima.backends.cuda.compile:compile_kernel",
            "",
            "backends/cuda",
            {compiler.name: compiler.version},
            {"architecture": chosen.architecture, "form": chosen.form, "compiler": compiler.name},
            {"timeout_s": chosen.timeout_s},
        )

    def kernel_meta(self, name: str, launch: Mapping[str, Any]) -> KernelMeta:
        """See ``GpuBackend``."""
        return KernelMeta(
            name=name,
            source=f"{name}.cu",
            ptx=f"{name}.ptx",
            cubin=f"{name}.cubin" if launch["has_cubin"] else "",
            entry_point=launch["entry_point"],
            threads=tuple(launch["threads"]),
            groups=tuple(launch["groups"]),
            arguments=tuple(
                ArgumentMeta(dtype=dtype, access="write" if written else "read")
                for _, dtype, written in launch["arguments"]
            ),
            shared_bytes=launch["shared_bytes"],
        )

    def subgraph_meta(self, device: DeviceRef, options: CompileOptions, plan: Mapping[str, Any]) -> CudaSubgraph:
        """See ``GpuBackend``."""
        chosen = read_options(options)
        return CudaSubgraph(format_version=FORMAT_VERSION, architecture=chosen.architecture, form=chosen.form, **plan)


def backend() -> Backend:
    """The thunk that the registry calls."""
    return CudaBackend()
