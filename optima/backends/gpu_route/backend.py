"""The compile half that backends of kernels for GPUs share: passes, fused groups, a job for each distinct kernel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devices import DeviceRef
from optima.backends.base import CompileOptions, Job, SubgraphArtifact
from optima.backends.gpu_route.job import opened, printed
from optima.backends.gpu_route.linking import Group, link_group, placed
from optima.backends.gpu_route.meta import ALIGNMENT, GpuKernel, GpuSubgraph
from optima.backends.kernel_route.backend import KernelBackend
from optima.backends.kernel_route.lowering import Lowered, answer_of, dumper, kernel_job, try_own
from optima.graph import Graph, Op
from optima.kernels.gpu.lower import own_gpu_program
from optima.kernels.gpu.printable import refusal
from optima.kernels.gpu.printer.dialect import Dialect
from optima.kernels.gpu.source import source
from optima.kernels.gpu.target import GpuTarget
from optima.kernels.naming import kernel_key, kernel_name, sources_digest, toolchain_versions
from optima.ops.entry import Answer, No
from optima.passes import DENSE_PASSES, PassContext, run_passes
from optima.version import __version__

TARGET = GpuTarget()
#: float32 elements in a vector, which only blocked layouts ask for: there are none here
_LANES = 4
#: that workgroups of ``TARGET.threads`` share out without rounding up to 2**31, which TVM takes for a negative number
_MOST_ELEMENTS = 2**31 - TARGET.threads


@dataclass(frozen=True)
class Compilation:
    """How a subgraph's kernels are compiled: the job's ``function`` and ``preflight``, see ``Job``.

    ``sources``: the backend's folder, on which the bytes depend. ``tools``: name -> version of what a kernel goes
    through after TVM. ``options``: what else its bytes depend on; ``settings``: what they do not depend on. The job's
    payload has both. ``alignment``: what the offset of every buffer is a multiple of, in bytes.
    """

    function: str
    preflight: str
    sources: str
    tools: Mapping[str, str]
    options: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    alignment: int = ALIGNMENT


class GpuBackend(KernelBackend[Compilation]):
    """Kernels printed from TensorIR in a ``dialect``, and compiled: one file, or a few, for each launch."""

    name: str

    @abstractmethod
    def read_options(self, device: DeviceRef, options: CompileOptions) -> Any:
        """The device's options. Raises UserError, with all that is wrong with them."""

    @abstractmethod
    def dialect(self, device: DeviceRef, options: CompileOptions) -> Dialect:
        """The language of its kernels."""

    @abstractmethod
    def target(self, device: DeviceRef, options: CompileOptions) -> Compilation:
        """What compiles. Raises ToolMissing where nothing can."""

    @abstractmethod
    def kernel_meta(self, name: str, launch: Mapping[str, Any]) -> GpuKernel:
        """A kernel of the meta from its part of the interface, see ``job.printed``."""

    @abstractmethod
    def subgraph_meta(self, device: DeviceRef, options: CompileOptions, plan: Mapping[str, Any]) -> GpuSubgraph:
        """The meta: ``plan`` has every field of ``GpuSubgraph`` but the version."""

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """Each op's kernel route answers for itself; then whether all that it computes has a form in the dialect.

        Raises what ``read_options`` does, ComputeError for an own operator whose compute fails.
        """
        self.read_options(device, options)
        answers = {name: answer_of(graph, graph.op_by_name[name]) for name in op_names}
        try_own(graph, [graph.op_by_name[name] for name, answer in answers.items() if answer])
        reasons = {
            name: self.refusal(graph, graph.op_by_name[name], device, options)
            for name, answer in answers.items()
            if answer and _computes(graph, graph.op_by_name[name])
        }
        return {name: No(reasons[name]) if reasons.get(name) else answer for name, answer in answers.items()}

    def refusal(self, graph: Graph, op: Op, device: DeviceRef, options: CompileOptions) -> str:
        """Why an op that computes something has no kernel, "" if it has one."""
        largest = max(graph.type_of(n).numel for n in (*op.inputs, *op.outputs))
        if largest > _MOST_ELEMENTS:
            return f"{largest} elements, rounded up to whole workgroups, are more than an int32 counts"
        return refusal(graph.extract("op", (op,)), TARGET, self.dialect(device, options))

    def link(
        self, subgraph: Graph, device: DeviceRef, options: CompileOptions, results: Mapping[str, bytes]
    ) -> SubgraphArtifact:
        """The kernels' files, the constants that they read, and the meta that says how to launch them."""
        lowered = self.lowered(subgraph, device, options)
        graph, compilation = lowered.graph, self.target(device, options)
        groups = [
            Group(job.label, ops, *opened(results[job.key]))
            for ops, job in zip(lowered.calls, lowered.jobs, strict=True)
        ]
        storage, buffers = placed(graph, groups, lowered.aliases, lowered.weight_keys, compilation.alignment)
        linked = [link_group(graph, k, group, storage.reads, self.kernel_meta) for k, group in enumerate(groups)]
        plan = {
            **lowered.plan_fields(subgraph.name, storage),
            "buffers": buffers,
            "kernels": tuple({k.name: k for kernels, _ in linked for k in kernels}.values()),
            "calls": tuple(call for _, calls in linked for call in calls),
        }
        return SubgraphArtifact(
            files={f"{group.name}_{file}": data for group in groups for file, data in group.files.items()},
            meta=self.subgraph_meta(device, options, plan).model_dump(mode="json"),
            constants=lowered.constants,
            produced_by=_produced_by(compilation),
        )

    def lower(self, subgraph: Graph, target: Compilation, device: DeviceRef, options: CompileOptions) -> Lowered:
        """See ``KernelBackend``."""
        graph = run_passes(subgraph, PassContext(lanes=_LANES), dumper(subgraph, options.dump_dir), DENSE_PASSES)
        dialect = self.dialect(device, options)
        return Lowered.of(graph, lambda part, ops: _job(part, target, dialect, ops))


def _computes(graph: Graph, op: Op) -> bool:
    """Whether there is anything to compute: no kernel is made otherwise."""
    return any(graph.type_of(n).numel for n in op.outputs)


def _job(part: Graph, compilation: Compilation, dialect: Dialect, ops: Sequence[Op]) -> Job:
    own = own_gpu_program(part, TARGET)
    depends = {
        **_produced_by(compilation),
        **toolchain_versions(),
        "sources": sources_digest("backends/gpu_route", compilation.sources),
        **compilation.options,
    }
    key = kernel_key(part, TARGET, {**depends, **({"program": own.digest} if own else {})})
    name = kernel_name(part, key)
    # A user's own compute is printed here: the compile process cannot import it.
    content: dict[str, Any] = {"group": part.dump()}
    if own is not None:
        content = {"source": printed(source(own.module, TARGET, dialect, name))}
    payload = {**content, "name": name, "target": TARGET.to_dict(), **compilation.options, **compilation.settings}
    return kernel_job(key, compilation.function, payload, label=name, ops=ops, preflight=compilation.preflight)


def _produced_by(compilation: Compilation) -> dict[str, str]:
    """Every tool that a kernel went through, as the manifest states it."""
    return {"optima": __version__, "apache-tvm": toolchain_versions()["apache-tvm"], **compilation.tools}
