"""What is removed from a trace before it becomes a graph: no-ops, what needs no input, what nobody reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from torch2nx.memory import is_eval_alias
from torch2nx.trace import CONSTANT, Step, Trace, Value, values_in

if TYPE_CHECKING:
    import torch

#: always the first operand as it is (memory formats are no part of a graph)
_SAME: Final = {
    "alias", "detach", "detach_", "lift", "lift_fresh", "lift_fresh_copy", "contiguous", "clone", "positive",
    "resolve_conj", "resolve_neg", "requires_grad_", "dropout_", "feature_dropout_", "alpha_dropout_",
    "feature_alpha_dropout_",
}  # fmt: skip
#: row-major order is kept: the first operand as it is, if the shape is
_SAME_IF_SHAPE: Final = {
    "view", "reshape", "_unsafe_view", "_reshape_alias", "flatten", "unflatten", "expand", "expand_as",
    "view_as", "reshape_as", "broadcast_to", "copy", "squeeze", "unsqueeze", "ravel", "slice", "narrow",
}  # fmt: skip
_CAST: Final = {"to", "_to_copy", "type_as"}
_ASSERTIONS: Final = {
    "_assert_tensor_metadata", "_assert_async", "_functional_assert_async", "_assert_scalar",
    "_functional_assert_scalar", "sym_constrain_range", "sym_constrain_range_for_size",
}  # fmt: skip

#: operands that lend only their shape and dtype
_ONLY_SHAPE: Final = {
    "zeros_like": "self", "ones_like": "self", "full_like": "self", "empty_like": "self", "new_zeros": "self",
    "new_ones": "self", "new_full": "self", "new_empty": "self", "fill": "self", "zero": "self",
}  # fmt: skip
#: their contents are undefined: zeros make them the same on each run
_UNDEFINED: Final = {
    "empty",
    "empty_like",
    "new_empty",
    "empty_permuted",
    "new_empty_strided",
    "empty_strided",
}


def _base(step: Step) -> str:
    """``aten.add.Tensor`` -> ``add``; "" for what is no aten call."""
    parts = step.target.split(".")
    return parts[1] if len(parts) == 3 and parts[0] == "aten" else ""


def simplify(trace: Trace) -> None:
    """Drop assertions and no-ops, evaluate what depends on no input and no parameter, drop unread steps."""
    trace.steps = [s for s in trace.steps if _base(s) not in _ASSERTIONS]
    _drop_unread(trace)
    table: dict[Value, Value] = {}
    kept: list[Step] = []
    for step in trace.steps:
        step.arguments = {k: _followed(v, table) for k, v in step.arguments.items()}
        same = None if step.refusal else unchanged_operand(step)
        if same is not None:
            table[step.outputs[0]] = same
        elif step.refusal or not _fold(step):
            kept.append(step)
    trace.steps = kept
    trace.substitute(table)
    _drop_unread(trace)


def _followed(argument: Any, table: dict[Value, Value]) -> Any:
    if isinstance(argument, Value):
        return table.get(argument, argument)
    return [_followed(a, table) for a in argument] if isinstance(argument, list) else argument


def _drop_unread(trace: Trace) -> None:
    read = set(values_in(trace.results))
    kept: list[Step] = []
    for step in reversed(trace.steps):
        if any(v in read for v in step.outputs):
            kept.append(step)
            read.update(step.operands)
    trace.steps = kept[::-1]


def unchanged_operand(step: Step) -> Value | None:
    """The operand that the step returns as it is, or None if it computes something."""
    base = _base(step)
    # copy(self, src) is src where it has self's shape and dtype.
    operand = step.arguments["src"] if base == "copy" else next(step.operands, None)
    if not isinstance(operand, Value) or len(step.outputs) != 1:
        return None
    result = step.outputs[0]
    if not operand.is_tensor or not result.is_tensor or operand.dtype != result.dtype:
        return None
    if base in _SAME or base in _CAST or (base in _SAME_IF_SHAPE and operand.shape == result.shape):
        return operand
    if is_eval_alias(step.target, step.arguments):
        return operand
    rule = _RULES.get(base)
    return operand if rule is not None and rule(step, operand) else None


def _nothing_padded(step: Step, operand: Value) -> bool:
    return not any(step.arguments["pad"])


def _identity_permutation(step: Step, operand: Value) -> bool:
    rank = max(len(operand.shape), 1)
    return [d % rank for d in step.arguments["dims"]] == list(range(len(operand.shape)))


def _same_dims(step: Step, operand: Value) -> bool:
    rank = max(len(operand.shape), 1)
    first, second = [d for name, d in step.arguments.items() if name != "self"]
    return bool(first % rank == second % rank)


def _repeated_once(step: Step, operand: Value) -> bool:
    return operand.shape == step.outputs[0].shape and set(step.arguments.get("repeats") or [1]) == {1}


def _below_a_matrix(step: Step, operand: Value) -> bool:
    return len(operand.shape) < 2


_RULES: Final[dict[str, Callable[[Step, Value], bool]]] = {
    "pad": _nothing_padded,
    "constant_pad_nd": _nothing_padded,
    "permute": _identity_permutation,
    "transpose": _same_dims,
    "swapaxes": _same_dims,
    "swapdims": _same_dims,
    "repeat": _repeated_once,
    "t": _below_a_matrix,
    "numpy_T": _below_a_matrix,
}


def _fold(step: Step) -> bool:
    """Give the step's outputs their values if they depend on no input and no parameter; whether it could."""
    import torch

    if not _base(step):
        return False
    if torch.Tag.nondeterministic_seeded in step.overload.tags:
        return False
    base = _base(step)
    only_shape = _ONLY_SHAPE.get(base)
    for name, argument in step.arguments.items():
        if name != only_shape and any(v.kind != CONSTANT or v.data is None for v in values_in(argument)):
            return False
    if only_shape and not _is_static(step.arguments[only_shape]):
        return False
    try:
        results = _evaluate(step, only_shape)
    except RuntimeError:
        # The CPU has no such kernel (some half precision ones): the op stays in the graph.
        return False
    for value, result in zip(step.outputs, results, strict=True):
        value.kind, value.name = CONSTANT, ""
        value.data = torch.zeros_like(result) if base in _UNDEFINED else result
    return True


def _is_static(value: Value) -> bool:
    return value.is_tensor and all(isinstance(d, int) for d in value.shape)


def _evaluate(step: Step, only_shape: str | None) -> list[torch.Tensor]:
    import torch

    def real(name: str, argument: Any) -> Any:
        if isinstance(argument, Value):
            if name == only_shape:
                return torch.empty(argument.shape, dtype=argument.dtype)
            return argument.data
        if isinstance(argument, list):
            return [real(name, a) for a in argument]
        return torch.device("cpu") if isinstance(argument, torch.device) else argument

    arguments = {k: real(k, v) for k, v in step.arguments.items()}
    leading = [arguments.pop("self")] if "self" in arguments else []
    with torch.no_grad():
        result = step.overload(*leading, **arguments)
    return [result] if isinstance(result, torch.Tensor) else list(result)
