"""State that a model keeps in Python between calls, which a trace cannot see: it is refused.

A tensor that the forward reads and puts another in the place of is a memory of earlier calls. Anything else that it
assigns may also be a memo (a table made at the first call) or a note for others (attention weights). All look alike,
so copies of the model are then called by eager: those two change nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from devices.errors import Problem
from torch2nx.errors import ConvertError
from torch2nx.samples import Call
from torch2nx.watch import Changes, Parameter

if TYPE_CHECKING:
    from torch import nn


def memory_of(model: nn.Module, call: Call, changes: Changes, read: Iterable[Any]) -> ConvertError | None:
    """The refusal that names what was changed, unless it has no consequence; None where there is nothing to refuse.

    ``read`` are the tensors, neither parameters nor inputs, that the trace found the forward to read.
    """
    assigned, reason = changes.assigned, "the forward reads it and puts another in its place"
    if assigned and not _is_read([old for olds in assigned.values() for old in olds], read):
        reason = _difference(model, call)
        assigned = assigned if reason else {}
        changes.places.restore()
    name = type(model).__name__
    problems = [Problem(path, reason) for path in assigned]
    problems += [Problem(drawn, "the forward draws from it, and a trace keeps one number") for drawn in changes.drawn]
    if not problems:
        return None
    hints = ["take the state as an argument of forward, and return the new one"] if assigned else []
    return ConvertError(
        f"{name} does not do the same at each call, and a compiled model does",
        problems=problems,
        hint="; ".join(hints + ["take random numbers as an argument of forward"] * bool(changes.drawn)),
    )


def called_copy(model: nn.Module, call: Call) -> nn.Module:
    """A copy of the model that has been called once, so that its memos are made."""
    import torch

    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin(*call.args, **call.kwargs)
    return twin


def _is_read(olds: list[Any], read: Iterable[Any]) -> bool:
    """Whether the forward reads one of the tensors that it puts others in the place of."""
    from torch._subclasses.fake_tensor import FakeTensor

    # Torch's stand-ins are those of parameters and buffers, which are there to be read.
    if any(isinstance(old, Parameter | FakeTensor) for old in olds):
        return True
    return not _places(olds).isdisjoint(_places(read))


def _places(tensors: Iterable[Any]) -> set[int]:
    """Where they are in memory. One without elements holds nothing that could be remembered."""
    import torch

    return {t.untyped_storage().data_ptr() for t in tensors if t.layout == torch.strided and t.numel() > 0}


def _difference(model: nn.Module, call: Call) -> str:
    """Why what the forward changes matters; "" where a copy that was called before gives what a fresh one does."""
    import torch
    from torch.utils import _pytree

    same = (call.args, call.kwargs)
    others = _pytree.tree_map_only(torch.Tensor, _other, same)
    alone = _results(model, [others])
    # The model may refuse other inputs.
    results = _results(model, [same, same] if isinstance(alone, Exception) else [same, others, same])
    if isinstance(results, Exception):
        text = " ".join(str(results).split())[:120]
        return f"the forward changes it, and whether that matters cannot be tried on a copy of the model: {text}"
    repeated = _all_equal(results[0], results[-1])
    if repeated and (isinstance(alone, Exception) or _all_equal(results[1], alone[0])):
        return ""
    return "the forward changes it, and a later call gives something else"


def _other(tensor: Any) -> Any:
    """A tensor of the same kind with other values; of integers and booleans the same ones in another order."""
    turned = tensor.flatten().flip(0).reshape(tensor.shape)
    return turned * 0.7 if tensor.dtype.is_floating_point else turned


def _results(model: nn.Module, calls: list[Any]) -> list[list[Any]] | Exception:
    """What a copy of the model returns, call after call, or why it cannot be copied or called."""
    import torch
    from torch.utils import _pytree

    with torch.no_grad():
        try:
            twin = copy.deepcopy(model)
            return [
                [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in _pytree.tree_leaves(result)]
                for result in (twin(*args, **kwargs) for args, kwargs in calls)
            ]
        # The user's code may raise anything; what cannot be tried is not taken for harmless.
        except Exception as error:  # noqa: BLE001
            return error


def _all_equal(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(map(_equal, first, second))


def _equal(first: Any, second: Any) -> bool:
    import torch

    if not isinstance(first, torch.Tensor) or not isinstance(second, torch.Tensor):
        return type(first) is type(second) and bool(first == second)
    return first.shape == second.shape and torch.allclose(first, second, equal_nan=True)
