"""The compile half of the CPU route: passes, fused groups, one job per distinct kernel, the memory plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from devices import DeviceEnum, DeviceRef, Family
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.kernel_route import Lowered, answer_of, constants_of, dumper, try_own
from optima.backends.llvm.meta import CallMeta, ConstantMeta, KernelMeta, LlvmSubgraph
from optima.backends.llvm.storage import assign
from optima.graph import Graph, Op
from optima.kernels.build import program_code
from optima.kernels.cpu_kinds import is_native, target_of
from optima.kernels.cross.linker import linker_version
from optima.kernels.naming import canonical, kernel_key, kernel_name, toolchain_versions
from optima.kernels.program import Program, own_program
from optima.kernels.target import CpuTarget
from optima.ops.entry import Answer
from optima.passes import OnPass, PassContext, groups_of, run_passes
from optima.version import __version__


class LlvmBackend:
    """Kernels by TVM's LLVM code generator, linked into one shared object each."""

    name = "llvm"
    kinds = tuple(kind for kind in DeviceEnum if kind.family is Family.CPU)

    def __init__(self) -> None:
        self._lowered: WeakKeyDictionary[Graph, tuple[CpuTarget, Lowered]] = WeakKeyDictionary()

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Each op's kernel route answers for its own attributes, ranks and dtypes.

        Raises DeviceOptionError or UnknownCpu for a target that cannot be resolved.
        """
        _target(device, options)
        answers = {name: answer_of(graph, graph.op_by_name[name]) for name in op_names}
        try_own(graph, [graph.op_by_name[name] for name, answer in answers.items() if answer])
        return answers

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """Triple, cpu, the resolved feature list, vector width and threads."""
        return _target(device, options).to_dict()

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """One job per distinct kernel, in order of first call."""
        return tuple({job.key: job for job in self._lower(subgraph, device, options).jobs}.values())

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """Kernel files, the constants they read, and the meta that says how to call them."""
        lowered = self._lower(subgraph, device, options)
        graph = lowered.graph
        constants = constants_of(graph, lowered.calls)
        keys = {c.name: c.key for c in constants}
        storage = assign(graph, lowered.calls, lowered.aliases, keys)
        files = {f"{name}.so": results[job.key] for name, job in zip(lowered.names, lowered.jobs, strict=True)}
        meta = LlvmSubgraph(
            format_version=1,
            kernel_abi=1,
            name=subgraph.name,
            inputs=graph.inputs,
            outputs=graph.outputs,
            copies=storage.copies,
            buffers=storage.buffers,
            constants=tuple(ConstantMeta(name=c.name, key=keys[c.name], recipe=c.recipe) for c in constants),
            kernels=tuple(
                KernelMeta(name=n, file=f"{n}.so", symbol=f"__tvm_ffi_{n}") for n in dict.fromkeys(lowered.names)
            ),
            calls=tuple(
                _call(subgraph, graph, name, ops, storage.reads)
                for name, ops in zip(lowered.names, lowered.calls, strict=True)
            ),
            arena_bytes=storage.arena_bytes,
        )
        return SubgraphArtifact(
            files=files,
            meta=meta.model_dump(mode="json"),
            constants=constants,
            produced_by={
                "optima": __version__,
                "apache-tvm": toolchain_versions()["apache-tvm"],
                **_cross_linker(_target(device, options)),
            },
        )

    def _lower(self, subgraph: Graph, device: DeviceRef, options: CompileOptions) -> Lowered:
        """Run the passes once per subgraph and target: ``plan`` and ``link`` see the same result."""
        target = _target(device, options)
        known = self._lowered.get(subgraph)
        if known is not None and known[0] == target:
            return known[1]
        lowered = _lower(subgraph, target, dumper(subgraph, options.dump_dir))
        self._lowered[subgraph] = (target, lowered)
        return lowered


def _lower(subgraph: Graph, target: CpuTarget, on_pass: OnPass | None) -> Lowered:
    graph = run_passes(subgraph, PassContext(lanes=target.lanes), on_pass)
    calls: list[tuple[Op, ...]] = []
    names: list[str] = []
    aliases: list[Op] = []
    jobs: list[Job] = []
    versions = {**toolchain_versions(), **_cross_linker(target)}
    for group, ops in groups_of(graph):
        if not group:
            aliases.extend(ops)
            continue
        part = canonical(graph.extract(group, ops))
        own = own_program(part)
        key = kernel_key(part, target, {**versions, **({"program": own.digest} if own else {})})
        name = kernel_name(part, key)
        payload = {"name": name, "target": target.to_dict(), **_content(part, own, target, name)}
        jobs.append(_job(key, name, payload, ops, _preflight(target)))
        calls.append(ops)
        names.append(name)
    return Lowered(graph, tuple(calls), tuple(names), tuple(aliases), tuple(jobs))


def _content(part: Graph, own: Program | None, target: CpuTarget, name: str) -> dict[str, Any]:
    """What a job compiles: the group, or the program that a user's own compute made of it here."""
    if own is None:
        return {"group": part.dump()}
    if own.text:
        return {"program": own.text}
    return {"object": program_code(own.module, target, name)}


def _job(key: str, name: str, payload: Mapping[str, Any], ops: Sequence[Op], preflight: str) -> Job:
    origin = next((o for op in ops for o in op.origins), None)
    return Job(
        key,
        "optima.kernels.build:compile_kernel",
        payload,
        label=name,
        ops=tuple(op.name for op in ops),
        where=str(origin) if origin else "",
        code=origin.code if origin else "",
        preflight=preflight,
    )


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


def _target(device: DeviceRef, options: CompileOptions) -> CpuTarget:
    return target_of(device.kind, options.target_cpu, options.device_options.get(device.kind.value, {}))


def backend() -> Backend:
    """The thunk that the registry calls."""
    return LlvmBackend()
