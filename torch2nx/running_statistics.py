"""The running statistics that normalization changes without its schema saying so.

``batch_norm`` and ``instance_norm`` that normalize by the batch's own statistics also mix these into the running
ones, if they have any. Here that becomes writes of its own, which ``torch2nx.functionalize`` follows like others.
Statistics that are state stay where they are: ``torch2nx.aten`` refuses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torch2nx.decompose import traced
from torch2nx.memory import Memory
from torch2nx.trace import RESULT, Step, Trace, Value, values_in

if TYPE_CHECKING:
    from torch import Tensor

_STATISTICS: Final = ("running_mean", "running_var")


def write_out(trace: Trace) -> None:
    """Put the changes of running statistics that the model itself computes into ``trace`` as steps."""
    if not any(map(_updates, trace.steps)):
        return
    memory = Memory(trace)
    steps: list[Step] = []
    for step in trace.steps:
        steps.append(step)
        if not _updates(step):
            continue
        if not any(_is_state(memory, step.arguments[name]) for name in _STATISTICS):
            steps += _changes(step)
        elif not any(_shows(trace, memory, step, step.arguments[name]) for name in _STATISTICS):
            step.arguments = step.arguments | dict.fromkeys(_STATISTICS)
    trace.steps = steps


def _updates(step: Step) -> bool:
    by_batch = {"aten.batch_norm.default": "training", "aten.instance_norm.default": "use_input_stats"}
    flag = by_batch.get(step.target)
    given = (isinstance(step.arguments.get(name), Value) for name in _STATISTICS)
    return flag is not None and bool(step.arguments[flag]) and all(given)


def _is_state(memory: Memory, statistic: Value) -> bool:
    return any(v.kind != RESULT for v in memory.members[memory.key(statistic)])


def _shows(trace: Trace, memory: Memory, step: Step, statistic: Value) -> bool:
    """Whether the change makes a difference, to this call or to a later one."""
    if 0 in statistic.shape:
        return False
    read = (v for other in trace.steps if other is not step for v in other.operands)
    # Without momentum only a mean that is not finite leaves a mark.
    same = memory.key(statistic)
    return bool(step.arguments["momentum"]) or any(memory.key(v) == same for v in (*read, *values_in(trace.results)))


def _changes(step: Step) -> list[Step]:
    """What computes the new statistics and writes them; the step itself has none from then on."""
    import torch

    definition = _instance_statistics if step.target == "aten.instance_norm.default" else _batch_statistics
    computed = traced(step, definition)
    if computed is None:
        return []
    copy_ = torch.ops.aten.copy_.default
    writes = []
    for name, new in zip(_STATISTICS, computed.results, strict=True):
        old = step.arguments[name]
        arguments = {"self": old, "src": new, "non_blocking": False}
        writes.append(Step(str(copy_), copy_, arguments, [Value(RESULT, old.meta)], dict(step.origin)))
        step.arguments = step.arguments | {name: None}
    return [*computed.steps, *writes]


def _batch_statistics(
    tensor: Tensor, weight: Any, bias: Any, mean: Tensor, var: Tensor, training: bool, momentum: float, *_: Any
) -> tuple[Tensor, Tensor]:
    """The running mean and (unbiased) variance after a batch ``[N, C, ...]``: docs of ``torch.nn.BatchNorm2d``."""
    return _mixed(tensor, [0, *range(2, tensor.dim())], mean, var, momentum)


def _instance_statistics(
    tensor: Tensor, weight: Any, bias: Any, mean: Tensor, var: Tensor, training: bool, momentum: float, *_: Any
) -> tuple[Tensor, Tensor]:
    """As for a batch of one, then the mean over the instances."""
    new_mean, new_var = _mixed(tensor, list(range(2, tensor.dim())), mean, var, momentum)
    return new_mean.mean(0), new_var.mean(0)


def _mixed(tensor: Tensor, dims: list[int], mean: Tensor, var: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    import torch

    batch_var, batch_mean = torch.var_mean(tensor.to(mean.dtype), dims, correction=1)
    return mean * (1 - momentum) + batch_mean * momentum, var * (1 - momentum) + batch_var * momentum
