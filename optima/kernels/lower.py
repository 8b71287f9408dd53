"""A fused group -> one TensorIR function: each op's TE compute, chained, then a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devices import InternalError
from optima.graph import Graph, TensorType
from optima.kernels.compute import compute
from optima.kernels.target import CpuTarget
from optima.ops.entry import No
from optima.ops.registry import entry_of

if TYPE_CHECKING:
    import tvm
    from tvm import te


def lower(group: Graph, target: CpuTarget, name: str = "kernel") -> tvm.IRModule:
    """The scheduled function of a group, named ``name`` in a module of its own.

    Its arguments are ``group.inputs``, the parameters in ``group.tensors`` order, then ``group.outputs``; each a
    dense row-major buffer. Raises InternalError for an op without a kernel route: the backend's check comes first.
    """
    return scheduled(program_of(group, name), target)


def scheduled(program: tvm.IRModule, target: CpuTarget) -> tvm.IRModule:
    """What ``program_of`` gave, ready for the code generator."""
    from optima.kernels.bind_lets import bind_lets
    from optima.kernels.schedule import schedule

    return bind_lets(schedule(program, target))


def program_of(group: Graph, name: str = "kernel") -> tvm.IRModule:
    """The unscheduled function of a group: what ``lower`` schedules for a CPU, and other targets for themselves."""
    import tvm
    from tvm import te

    values = {n: _placeholder(n, group.type_of(n)) for n in (*group.inputs, *(p.name for p in group.params))}
    arguments = list(values.values())
    for op in group.ops:
        entry = entry_of(op.op)
        if entry is None or isinstance(entry.te, No):
            raise InternalError(f"{op.name} ({op.op}) reached the kernel compiler without a kernel route")
        tensors = {role: values[n] for role, n in zip(op.roles, op.inputs, strict=True)}
        values.update(zip(op.outputs, compute(entry, group, op, tensors), strict=True))
    outputs = _distinct([values[n] for n in group.outputs], arguments)
    function = te.create_prim_func([*arguments, *outputs]).with_attr("global_symbol", name)
    return tvm.IRModule({name: function})


def _placeholder(name: str, kind: TensorType) -> te.Tensor:
    from tvm import te

    return te.placeholder(kind.shape, dtype=kind.dtype, name=name.replace(".", "_"))


def _distinct(outputs: list[te.Tensor], arguments: list[te.Tensor]) -> list[te.Tensor]:
    """Outputs as buffers of their own: one that is an argument, or occurs twice, becomes a copy."""
    seen: list[Any] = list(arguments)
    result: list[te.Tensor] = []
    for tensor in outputs:
        if any(tensor.same_as(other) for other in seen):
            tensor = _copy(tensor)
        seen.append(tensor)
        result.append(tensor)
    return result


def _copy(tensor: te.Tensor) -> te.Tensor:
    from tvm import te

    return te.compute(tensor.shape, lambda *i: tensor(*i), name="copy")
