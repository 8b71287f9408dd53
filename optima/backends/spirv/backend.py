"""The compile half for MALI, ADRENO, INTELGPU and AMDGPU: GLSL, and one ``.spv`` per launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices import DeviceRef
from optima.backends.base import Backend, CompileOptions
from optima.backends.gpu_route.backend import TARGET, Compilation, GpuBackend
from optima.backends.spirv.compiler import find_compiler, find_validator
from optima.backends.spirv.meta import FORMAT_VERSION, BoundArgument, KernelMeta, SpirvSubgraph
from optima.backends.spirv.options import SpirvOptions, options_of
from optima.kernels.gpu.printer.glsl import Glsl


class SpirvBackend(GpuBackend):
    """Kernels printed as shader text, compiled to one ``.spv`` per launch."""

    name = "spirv"
    dialect = Glsl()

    def read_options(self, device: DeviceRef, options: CompileOptions) -> SpirvOptions:
        """Raises SpirvOptionError."""
        return options_of(device, options)

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The flavour, and the limits that kernels keep to."""
        flavour = options_of(device, options).flavour
        return {"triple": "spirv", "flavour": flavour, "environment": "vulkan1.1", **TARGET.to_dict()}

    def compilation(self, device: DeviceRef, options: CompileOptions) -> Compilation:
        """Raises ToolMissing where there is no shader compiler, and SpirvOptionError."""
        flavour = options_of(device, options).flavour
        compiler, validator = find_compiler(), find_validator()
        return Compilation(
            "optima.backends.spirv.compile:compile_kernel",
            "optima.backends.spirv.compile:preflight",
            {compiler.name: compiler.version, **({"spirv-val": validator.version} if validator else {})},
            {"flavour": flavour, "compiler": compiler.name},
        )

    def kernel_meta(self, name: str, launch: Mapping[str, Any]) -> KernelMeta:
        """See ``GpuBackend``."""
        return KernelMeta(
            name=name,
            file=f"{name}.spv",
            entry_point="main",
            threads=tuple(launch["threads"]),
            groups=tuple(launch["groups"]),
            arguments=tuple(
                BoundArgument(binding=i, dtype=dtype, access="write" if written else "read")
                for i, (_, dtype, written) in enumerate(launch["arguments"])
            ),
            shared_bytes=launch["shared_bytes"],
            rounds=launch["rounds"],
            capabilities=tuple(launch["capabilities"]),
        )

    def subgraph_meta(self, device: DeviceRef, options: CompileOptions, plan: Mapping[str, Any]) -> SpirvSubgraph:
        """See ``GpuBackend``."""
        return SpirvSubgraph(format_version=FORMAT_VERSION, flavour="shader", **plan)


def backend() -> Backend:
    """The thunk that the registry calls."""
    return SpirvBackend()
