"""The compile half for MALI, ADRENO, INTELGPU and AMDGPU: GLSL or OpenCL C, and one ``.spv`` per launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices import DeviceRef
from optima.backends.base import Backend, CompileOptions
from optima.backends.gpu_route.backend import TARGET, Compilation, GpuBackend
from optima.backends.spirv.compiler import find_validator
from optima.backends.spirv.flavour import ROUTES, find_compiler
from optima.backends.spirv.found import VENDORS
from optima.backends.spirv.meta import ALIGNMENT, FORMAT_VERSION, BoundArgument, KernelMeta, SpirvSubgraph
from optima.backends.spirv.options import SpirvOptions, options_of
from optima.graph import Graph, Op
from optima.kernels.gpu.printer.dialect import Dialect


class SpirvBackend(GpuBackend):
    """Kernels printed in the language of a flavour, compiled to one ``.spv`` per launch."""

    name = "spirv"
    kinds = tuple(VENDORS.values())

    def read_options(self, device: DeviceRef, options: CompileOptions) -> SpirvOptions:
        """Raises DeviceOptionError."""
        return options_of(device, options)

    def dialect(self, device: DeviceRef, options: CompileOptions) -> Dialect:
        """The flavour's."""
        return ROUTES[options_of(device, options).flavour].dialect

    def refusal(self, graph: Graph, op: Op, device: DeviceRef, options: CompileOptions) -> str:
        """See ``GpuBackend``; and the device option "half"."""
        dtypes = {graph.type_of(n).dtype for n in (*op.inputs, *op.outputs)}
        if "float16" in dtypes and not options_of(device, options).half:
            return 'float16 is switched off by the device option "half"'
        return super().refusal(graph, op, device, options)

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The flavour, and the limits that kernels keep to."""
        flavour = options_of(device, options).flavour
        environment = ROUTES[flavour].environment
        return {"triple": "spirv", "flavour": flavour, "environment": environment, **TARGET.to_dict()}

    def target(self, device: DeviceRef, options: CompileOptions) -> Compilation:
        """Raises ToolMissing where nothing compiles the flavour, and DeviceOptionError."""
        flavour = options_of(device, options).flavour
        compiler, validator = find_compiler(flavour), find_validator()
        return Compilation(
            "optima.backends.spirv.compile:compile_kernel",
            f"optima.backends.spirv.compile:preflight_{flavour}",
            "backends/spirv",
            {**dict(compiler.versions), **({"spirv-val": validator.version} if validator else {})},
            {"flavour": flavour, "compiler": compiler.name},
            alignment=ALIGNMENT[flavour],
        )

    def kernel_meta(self, name: str, launch: Mapping[str, Any]) -> KernelMeta:
        """See ``GpuBackend``."""
        return KernelMeta(
            name=name,
            file=f"{name}.spv",
            entry_point=launch["entry_point"],
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
        return SpirvSubgraph(format_version=FORMAT_VERSION, flavour=options_of(device, options).flavour, **plan)


def backend() -> Backend:
    """The thunk that the registry calls."""
    return SpirvBackend()
