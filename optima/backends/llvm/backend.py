"""The compile half of the CPU route: passes, fused groups, one job per distinct kernel, the memory plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devices import DeviceEnum, DeviceRef, Family
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.kernel_route.backend import KernelBackend
from optima.backends.kernel_route.lowering import Lowered, answer_of, dumper, kernel_job, try_own
from optima.backends.kernel_route.storage import assign
from optima.backends.llvm.meta import FORMAT_VERSION, CallMeta, KernelMeta, LlvmSubgraph
from optima.graph import Graph, Op
from optima.kernels.build import program_code
from optima.kernels.cpu_kinds import is_native, target_of
from optima.kernels.cross.linker import linker_version
from optima.kernels.naming import kernel_key, kernel_name, toolchain_versions
from optima.kernels.program import Program, own_program
from optima.kernels.target import CpuTarget
from optima.native import KERNEL_ABI
from optima.ops.entry import Answer
from optima.passes import PassContext, run_passes
from optima.version import __version__


class LlvmBackend(KernelBackend[CpuTarget]):
    """Kernels by TVM's LLVM code generator, linked into one shared object each."""

    name = "llvm"
    kinds = tuple(kind for kind in DeviceEnum if kind.family is Family.CPU)

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Each op's kernel route answers for its own attributes, ranks and dtypes.

        Raises DeviceOptionError or UnknownCpu for a target that cannot be resolved.
        """
        self.target(device, options)
        answers = {name: answer_of(graph, graph.op_by_name[name]) for name in op_names}
        try_own(graph, [graph.op_by_name[name] for name, answer in answers.items() if answer])
        return answers

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """Triple, cpu, the resolved feature list, vector width and threads."""
        return self.target(device, options).to_dict()

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """Kernel files, the constants they read, and the meta that says how to call them."""
        lowered = self.lowered(subgraph, device, options)
        graph = lowered.graph
        storage = assign(graph, lowered.calls, lowered.aliases, lowered.weight_keys)
        meta = LlvmSubgraph(
            format_version=FORMAT_VERSION,
            kernel_abi=KERNEL_ABI,
            **lowered.plan_fields(subgraph.name, storage),
            kernels=tuple(
                KernelMeta(name=n, file=f"{n}.so", symbol=f"__tvm_ffi_{n}") for n in dict.fromkeys(lowered.names)
            ),
            calls=tuple(
                _call(subgraph, graph, name, ops, storage.reads)
                for name, ops in zip(lowered.names, lowered.calls, strict=True)
            ),
        )
        return SubgraphArtifact(
            files={f"{job.label}.so": results[job.key] for job in lowered.jobs},
            meta=meta.model_dump(mode="json"),
            constants=lowered.constants,
            produced_by={
                "optima": __version__,
                "apache-tvm": toolchain_versions()["apache-tvm"],
                **_cross_linker(self.target(device, options)),
            },
        )

    def target(self, device: DeviceRef, options: CompileOptions) -> CpuTarget:
        """The CPU. Raises DeviceOptionError, UnknownCpu."""
        return target_of(device.kind, options.target_cpu, options.device_options.get(device.kind.value, {}))

    def lower(self, subgraph: Graph, target: CpuTarget, device: DeviceRef, options: CompileOptions) -> Lowered:
        """See ``KernelBackend``."""
        graph = run_passes(subgraph, PassContext(lanes=target.lanes), dumper(subgraph, options.dump_dir))
        versions = {**toolchain_versions(), **_cross_linker(target)}
        return Lowered.of(graph, lambda part, ops: _job(part, ops, target, versions))


def _job(part: Graph, ops: Sequence[Op], target: CpuTarget, versions: Mapping[str, str]) -> Job:
    own = own_program(part)
    key = kernel_key(part, target, {**versions, **({"program": own.digest} if own else {})})
    name = kernel_name(part, key)
    payload = {"name": name, "target": target.to_dict(), **_content(part, own, target, name)}
    return kernel_job(
        key, "optima.kernels.build:compile_kernel", payload, label=name, ops=ops, preflight=_preflight(target)
    )


def _content(part: Graph, own: Program | None, target: CpuTarget, name: str) -> dict[str, Any]:
    """What a job compiles: the group, or the program that a user's own compute made of it here."""
    if own is None:
        return {"group": part.dump()}
    if own.text:
        return {"program": own.text}
    return {"object": program_code(own.module, target, name)}


def _preflight(target: CpuTarget) -> str:
    """What finds the linker for a target, by name."""
    architecture = target.triple.split("-")[0]
    if is_native(architecture):
        return "optima.kernels.build:find_compiler"
    return f"optima.kernels.cross.linker:find_{architecture}_linker"


def _cross_linker(target: CpuTarget) -> Mapping[str, str]:
    """The linker's name and version where it is not this machine's own."""
    architecture = target.triple.split("-")[0]
    return {} if is_native(architecture) else linker_version(architecture)


def _call(traced: Graph, graph: Graph, name: str, ops: tuple[Op, ...], reads: Mapping[str, str]) -> CallMeta:
    """One call of ``graph``; ``traced`` is the subgraph before its passes, with every tensor in logical form."""
    part = graph.extract(name, ops)
    args = (*(reads.get(n, n) for n in part.inputs), *(t.name for t in part.params), *part.outputs)
    results = {}
    for out in part.outputs:
        logical, blocked, _ = out.partition(".nchw")
        if not blocked:
            results[out] = (out, 0)
        elif logical in traced.tensors:
            results[logical] = (out, traced.type_of(logical).shape[1])
    return CallMeta(kernel=name, args=args, ops=tuple(op.name for op in ops), results=results)


def backend() -> Backend:
    """The thunk that the registry calls."""
    return LlvmBackend()
