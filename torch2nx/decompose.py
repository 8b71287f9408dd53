"""Calls that no operator stands for become calls that one does, where torch itself says how.

Only what has no row in ``torch2nx.aten`` is touched, so a composite with a row stays whole. The definitions are
torch's own: the C++ one of a composite operator, else the Python one of ``torch._decomp``; where that is missing or
wrong, ours (``torch2nx.definitions``). A call is replaced only
if every call it ends in has a row; otherwise it stays, and is refused under its own name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any, Final

from torch2nx import simplify
from torch2nx.definitions import own_definition
from torch2nx.functionalize import functionalize
from torch2nx.memory import ViewWrite
from torch2nx.trace import Step, Trace, Value, read_definition, replaced

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule

#: definitions within definitions; a loop in torch's table would never end
_DEEPEST: Final = 8

Expansion = tuple[list[Step], list[Value]]


def decompose(trace: Trace, accepted: Container[str]) -> bool:
    """Replace, in ``trace``, calls outside ``accepted`` (aten overloads) by calls inside it, where torch can.

    Returns whether anything was replaced.
    """
    table: dict[Value, Value] = {}
    steps: list[Step] = []
    for step in trace.steps:
        step.arguments = {k: replaced(v, table) for k, v in step.arguments.items()}
        expanded = None if step.target in accepted or step.refusal else _expanded(step, accepted, 0)
        if expanded is None:
            steps.append(step)
            continue
        steps += expanded[0]
        table.update(zip(step.outputs, expanded[1], strict=True))
    trace.steps = steps
    trace.results = [replaced(v, table) for v in trace.results]
    return bool(table)


def _expanded(step: Step, accepted: Container[str], depth: int) -> Expansion | None:
    """The accepted calls that a call is made of, and its results; None where torch gives none."""
    definition = _definition(step) if depth < _DEEPEST else None
    inner = None if definition is None else traced(step, definition)
    if inner is None or len(inner.results) != len(step.outputs):
        return None
    # What is folded or dropped need not be accepted.
    simplify.simplify(inner)
    if not all(isinstance(v, Value) for v in inner.results):
        return None
    table: dict[Value, Value] = {}
    steps: list[Step] = []
    for part in inner.steps:
        part.arguments = {k: replaced(v, table) for k, v in part.arguments.items()}
        if part.target in accepted:
            steps.append(part)
            continue
        deeper = _expanded(part, accepted, depth + 1)
        if deeper is None:
            return None
        steps += deeper[0]
        table.update(zip(part.outputs, deeper[1], strict=True))
    return steps, [replaced(v, table) for v in inner.results]


def _differs(step: Step) -> bool:
    """Whether torch 2.13's definition gives something else than the operator."""
    if step.target == "aten.multilabel_margin_loss.default":
        # [1] for one row, and so do its fake tensors, where the operator gives a scalar.
        return len(step.arguments["self"].shape) < 2
    if step.target.startswith(("aten.linspace.", "aten.logspace.")):
        # Integers: computed in float32 and rounded down, where the operator steps in another way.
        return not step.outputs[0].dtype.is_floating_point
    return False


def _definition(step: Step) -> Callable[..., Any] | None:
    """Torch's definition of a call that is a pure function of its arguments, or None."""
    import torch
    from torch._decomp import global_decomposition_table

    overload = step.overload
    own = own_definition(step)
    if own is not None or _differs(step):
        return own
    if not isinstance(overload, torch._ops.OpOverload) or torch.Tag.nondeterministic_seeded in overload.tags:
        return None
    if any(a.alias_info is not None and a.alias_info.is_write for a in overload._schema.arguments):
        return None
    values = (*step.operands, *step.outputs)
    if not all(v.is_tensor and all(isinstance(d, int) for d in v.shape) for v in values):
        return None
    if overload._can_decompose():
        composite: Callable[..., Any] = overload.decompose
        return composite
    return global_decomposition_table["post_autograd"].get(overload)


def traced(step: Step, definition: Callable[..., Any]) -> Trace | None:
    """The calls of a definition of ``step``; None where it looks at values or cannot be traced.

    ``definition`` takes the step's arguments as its overload does, and gives tensors.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils import _pytree

    leaves, spec = _pytree.tree_flatten(step.arguments, is_leaf=lambda leaf: isinstance(leaf, Value))
    operands = [leaf for leaf in leaves if isinstance(leaf, Value)]
    schema = step.overload._schema
    keyword_only = {a.name for a in schema.arguments if a.kwarg_only}

    def call(*tensors: torch.Tensor) -> tuple[Any, ...]:
        given = iter(tensors)
        filled = [next(given) if isinstance(leaf, Value) else leaf for leaf in leaves]
        arguments = _pytree.tree_unflatten(filled, spec)
        positional = [v for k, v in arguments.items() if k not in keyword_only]
        result = definition(*positional, **{k: v for k, v in arguments.items() if k in keyword_only})
        return tuple(_pytree.tree_leaves(result))

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        fakes = [_like(value) for value in operands]
    module = _graph_of(call, fakes)
    if module is None:
        return None
    trace = read_definition(module, operands, step.origin)
    try:
        functionalize(trace)
    except ViewWrite:
        module = _graph_of(_functional(call), fakes)
        if module is None:
            return None
        trace = read_definition(module, operands, step.origin)
    return trace


def _like(value: Value) -> torch.Tensor:
    """A tensor laid out as the value is, made in the current fake mode."""
    import torch

    source: torch.Tensor = value.data if value.data is not None else value.meta
    return torch.empty_strided(tuple(source.shape), source.stride(), dtype=source.dtype)


def _graph_of(call: Callable[..., Any], fakes: list[torch.Tensor]) -> GraphModule | None:
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module: GraphModule = make_fx(call, tracing_mode="real")(*fakes)
        # A definition that reads values, or a kernel without a fake form: the call keeps its own name.
        except Exception:  # noqa: BLE001
            return None
    return module


def _functional(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call without writes through views."""
    import torch

    functional: Callable[..., Any] = torch.func.functionalize(call, remove="mutations")
    return functional
