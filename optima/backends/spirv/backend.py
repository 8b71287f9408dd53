"""The compile half of the GPU route: passes, fused groups, one job per distinct kernel, the memory plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from devices import DeviceRef
from optima.backends.base import Backend, CompileOptions, Job, SubgraphArtifact
from optima.backends.bundle import unpack
from optima.backends.kernel_route import Lowered, answer_of, constants_of, dumper, try_own
from optima.backends.llvm.meta import ConstantMeta
from optima.backends.spirv.compile import INTERFACE, printed
from optima.backends.spirv.compiler import find_validator
from optima.backends.spirv.flavour import ROUTES, find_compiler
from optima.backends.spirv.linking import Group, link_group, placed
from optima.backends.spirv.meta import FORMAT_VERSION, Flavour, SpirvSubgraph
from optima.backends.spirv.options import SpirvOptions, options_of
from optima.graph import Graph, Op
from optima.kernels.gpu.lower import own_gpu_program
from optima.kernels.gpu.printable import refusal
from optima.kernels.gpu.source import source
from optima.kernels.gpu.target import GpuTarget
from optima.kernels.naming import canonical, kernel_key, kernel_name, sources_digest, toolchain_versions
from optima.ops.entry import Answer, No
from optima.passes import DENSE_PASSES, OnPass, PassContext, groups_of, run_passes
from optima.version import __version__

_TARGET = GpuTarget()
#: float32 elements in a vector, which only blocked layouts ask for: there are none here
_LANES = 4


class SpirvBackend:
    """Kernels printed from TensorIR as shader text, compiled to one ``.spv`` per launch."""

    name = "spirv"

    def __init__(self) -> None:
        self._lowered: WeakKeyDictionary[Graph, tuple[Flavour, Lowered]] = WeakKeyDictionary()

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Each op's kernel route answers for itself; then whether all that it computes has a SPIR-V form.

        Raises DeviceOptionError for wrong device options, ComputeError for an own operator whose compute fails.
        """
        chosen = options_of(device, options)
        answers = {name: answer_of(graph, graph.op_by_name[name]) for name in op_names}
        try_own(graph, [graph.op_by_name[name] for name, answer in answers.items() if answer])
        return {
            name: answer and _printable(graph, graph.op_by_name[name], answer, chosen)
            for name, answer in answers.items()
        }

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The flavour, and the limits that kernels keep to."""
        flavour = options_of(device, options).flavour
        environment = ROUTES[flavour].environment
        return {"triple": "spirv", "flavour": flavour, "environment": environment, **_TARGET.to_dict()}

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """One job per distinct kernel, in order of first call. Raises ToolMissing where nothing can compile."""
        flavour = options_of(device, options).flavour
        return tuple({job.key: job for job in self._lower(subgraph, flavour, options).jobs}.values())

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """Module files, the constants that they read, and the meta that says how to launch them."""
        flavour = options_of(device, options).flavour
        lowered = self._lower(subgraph, flavour, options)
        graph = lowered.graph
        constants = constants_of(graph, lowered.calls)
        keys = {c.name: c.key for c in constants}
        groups = [
            _group(name, ops, results[job.key])
            for name, ops, job in zip(lowered.names, lowered.calls, lowered.jobs, strict=True)
        ]
        storage, buffers = placed(graph, groups, lowered.aliases, keys, flavour)
        linked = [link_group(graph, step, group, storage.reads) for step, group in enumerate(groups)]
        meta = SpirvSubgraph(
            format_version=FORMAT_VERSION,
            flavour=flavour,
            name=subgraph.name,
            inputs=graph.inputs,
            outputs=graph.outputs,
            copies=storage.copies,
            buffers=buffers,
            constants=tuple(ConstantMeta(name=c.name, key=keys[c.name], recipe=c.recipe) for c in constants),
            kernels=tuple({k.name: k for kernels, _ in linked for k in kernels}.values()),
            calls=tuple(call for _, calls in linked for call in calls),
            arena_bytes=storage.arena_bytes,
        )
        files = {f"{g.name}_{i}.spv": module for g in groups for i, module in enumerate(g.modules)}
        return SubgraphArtifact(
            files=files, meta=meta.model_dump(mode="json"), constants=constants, produced_by=_versions(flavour)
        )

    def _lower(self, subgraph: Graph, flavour: Flavour, options: CompileOptions) -> Lowered:
        """Run the passes once per subgraph: ``plan`` and ``link`` see the same result."""
        known = self._lowered.get(subgraph)
        if known is not None and known[0] == flavour:
            return known[1]
        lowered = _lower(subgraph, flavour, dumper(subgraph, options.dump_dir))
        self._lowered[subgraph] = (flavour, lowered)
        return lowered


def _printable(graph: Graph, op: Op, answer: Answer, options: SpirvOptions) -> Answer:
    if all(graph.type_of(n).numel == 0 for n in op.outputs):
        return answer  # nothing to compute: no kernel is made
    if not options.half and "float16" in {graph.type_of(n).dtype for n in (*op.inputs, *op.outputs)}:
        return No('float16 is switched off by the device option "half"')
    reason = refusal(graph.extract("op", (op,)), _TARGET)
    return No(reason) if reason else answer


def _lower(subgraph: Graph, flavour: Flavour, on_pass: OnPass | None) -> Lowered:
    graph = run_passes(subgraph, PassContext(lanes=_LANES), on_pass, DENSE_PASSES)
    calls: list[tuple[Op, ...]] = []
    names: list[str] = []
    aliases: list[Op] = []
    jobs: list[Job] = []
    for group, ops in groups_of(graph):
        if not group:
            aliases.extend(ops)
            continue
        part = canonical(graph.extract(group, ops))
        job, name = _job(part, flavour, ops)
        jobs.append(job)
        calls.append(ops)
        names.append(name)
    return Lowered(graph, tuple(calls), tuple(names), tuple(aliases), tuple(jobs))


def _job(part: Graph, flavour: Flavour, ops: Sequence[Op]) -> tuple[Job, str]:
    own = own_gpu_program(part, _TARGET)
    versions = {
        **_versions(flavour),
        "spirv": sources_digest("backends/spirv"),
        **toolchain_versions(),
        **({"program": own.digest} if own else {}),
    }
    key = kernel_key(part, _TARGET, {**versions, "flavour": flavour})
    name = kernel_name(part, key)
    # A user's own compute is printed here: the compile process cannot import it.
    content: dict[str, Any] = {"group": part.dump()}
    if own is not None:
        content = {"source": printed(source(own.module, _TARGET, ROUTES[flavour].dialect))}
    origin = next((o for op in ops for o in op.origins), None)
    job = Job(
        key,
        "optima.backends.spirv.compile:compile_kernel",
        {**content, "target": _TARGET.to_dict(), "flavour": flavour, "compiler": find_compiler(flavour).name},
        label=name,
        ops=tuple(op.name for op in ops),
        where=str(origin) if origin else "",
        code=origin.code if origin else "",
        preflight=f"optima.backends.spirv.compile:preflight_{flavour}",
    )
    return job, name


def _versions(flavour: Flavour) -> dict[str, str]:
    """Every tool that a module went through, as the manifest states it."""
    validator = find_validator()
    versions = {
        "optima": __version__,
        "apache-tvm": toolchain_versions()["apache-tvm"],
        **dict(find_compiler(flavour).versions),
    }
    return versions | ({"spirv-val": validator.version} if validator else {})


def _group(name: str, ops: tuple[Op, ...], archive: bytes) -> Group:
    files = unpack(archive)
    interface = json.loads(files.pop(INTERFACE))
    return Group(name, ops, interface, tuple(files[f"{i}.spv"] for i in range(len(files))))


def backend() -> Backend:
    """The thunk that the registry calls."""
    return SpirvBackend()
