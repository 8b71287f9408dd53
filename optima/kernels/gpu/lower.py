"""A fused group as device-side TensorIR: launches of loops over buffers, no blocks, no vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optima.graph import Graph
from optima.kernels.bind_lets import bind_lets
from optima.kernels.gpu.target import GpuTarget
from optima.kernels.lower import program_of
from optima.kernels.program import Program, own_program
from optima.ops.registry import is_registered

if TYPE_CHECKING:
    import tvm


def gpu_program(group: Graph, target: GpuTarget, name: str = "kernel") -> tvm.IRModule:
    """The unscheduled function of a group. Under a target, integers wrap in their own width (``exact_math``)."""
    with target.tvm_target():
        return program_of(group, name)


def own_gpu_program(group: Graph, target: GpuTarget) -> Program | None:
    """The unscheduled program of a group that has an operator of the user's own; None for any other."""
    if not any(is_registered(op.op) for op in group.ops):
        return None
    with target.tvm_target():
        return own_program(group)


def lowered(program: tvm.IRModule, target: GpuTarget, effort: int = 0) -> Any:
    """The one function of ``program`` scheduled and lowered, ready to be split into launches.

    ``effort`` is the schedule's. TVM's passes raise many types for a function that they cannot lower.
    """
    import tvm
    from tvm import tirx

    from optima.kernels.gpu.schedule import schedule

    bound = tirx.transform.BindTarget(target.tvm_target())(program)
    module = bind_lets(schedule(bound, target, effort))
    module = tvm.ir.transform.Sequential(_passes())(module)
    (function,) = module.functions.values()
    return function


def _passes() -> list[Any]:
    """TVM's lowering up to where host and device part, without the steps that only its own code generators need."""
    from tvm import s_tir, tirx

    return [
        s_tir.transform.CanonicalizeLoop(),
        s_tir.transform.LowerCrossThreadReduction(),
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.LiftThreadBinding(),
        s_tir.transform.CompactBufferAllocation(),
        s_tir.transform.UnifyThreadBinding(),
        s_tir.transform.LowerMatchBuffer(),
        s_tir.transform.StmtSimplify(),
        s_tir.transform.LowerOpaqueBlock(),
        # No FlattenBuffer: it takes ``t // 12 * 3 + (t // 4 + 2) % 3`` for ``t // 4 - 1``. The printer flattens.
        tirx.transform.NarrowDataType(32),
        s_tir.transform.LoopPartition(),
        # Off: loops over lanes become serial loops. A thread is a lane already.
        tirx.transform.VectorizeLoop(False),
        tirx.transform.UnrollLoop(),
        tirx.transform.StmtSimplify(),
        tirx.transform.RemoveNoOp(),
        s_tir.transform.RewriteUnsafeSelect(),
        s_tir.transform.ThreadSync("shared"),
        s_tir.transform.LowerThreadAllreduce(),
    ]
