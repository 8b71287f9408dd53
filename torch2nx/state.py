"""State that a module keeps in Python between calls, which a trace cannot see: it is refused.

A tensor that the forward puts in the place of another is a memory of earlier calls. Any other attribute that it
assigns may also be a memo of no consequence (a size, a table made at the first call). Both look alike, so the model
is then run twice by eager: a memo changes nothing.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from devices.errors import Problem
from torch2nx.errors import ConvertError
from torch2nx.samples import Call

if TYPE_CHECKING:
    from torch import nn

#: what ``nn.Module`` itself keeps in ``__dict__``, and hooks change
_OF_TORCH: Final = frozenset(
    {
        "_parameters", "_modules", "_backward_hooks", "_backward_pre_hooks", "_forward_hooks", "_state_dict_hooks",
        "_forward_hooks_always_called", "_forward_hooks_with_kwargs", "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs", "_is_full_backward_hook", "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks", "_non_persistent_buffers_set", "_state_dict_pre_hooks", "training",
        "_initialize_hook", "_load_hook",
    }
)  # fmt: skip

_Kept = dict[str, Any]


class _Parameter(str):
    """A parameter by its name, whichever tensor stands for it while the model is traced."""


_Names = dict[Any, _Parameter]


@contextmanager
def watched(model: nn.Module) -> Iterator[dict[str, bool]]:
    """While the model is traced: the attributes that its forward has assigned, complete at the end.

    An attribute is True if it held a tensor before.

    Buffers that were assigned have their old tensors again afterwards; torch does so for everything else.
    """
    before: _Kept = {}
    buffers = [(module, dict(module._buffers)) for module in model.modules()]
    parameters = _names_of_parameters(model)
    assigned: dict[str, bool] = {}

    # Torch puts its own tensors in the place of parameters and buffers before it calls the forward, and a module
    # that keeps its parameters in a second place (a recurrent layer) then assigns that one again.
    def note(*_: Any) -> None:
        parameters.update(_names_of_parameters(model))
        before.update(_kept(model, parameters))

    def compare(*_: Any) -> None:
        after = _kept(model, parameters)
        for path, value in after.items():
            if path not in before or not _same(before[path], value):
                assigned[path] = _holds_tensor(before.get(path))

    hooks = model.register_forward_pre_hook(note), model.register_forward_hook(compare)
    try:
        yield assigned
    finally:
        for hook in hooks:
            hook.remove()
        for module, held in buffers:
            module._buffers.update(held)


def refuse_memory(model: nn.Module, call: Call, assigned: dict[str, bool]) -> None:
    """Raises ConvertError naming what was assigned, unless all of it is memos."""
    if any(assigned.values()) or (assigned and not _repeats_itself(model, call)):
        name = type(model).__name__
        raise ConvertError(
            f"{name} remembers earlier calls, and a compiled model keeps no state",
            problems=[Problem(f"{name}.{path}", "it is assigned in the forward") for path in assigned],
            hint="make the state an argument of forward, and return the new one",
        )


def _names_of_parameters(model: nn.Module) -> _Names:
    return {parameter: _Parameter(name) for name, parameter in model.named_parameters()}


def _kept(model: nn.Module, parameters: _Names) -> _Kept:
    """path -> what every module keeps under that attribute; containers by their members, parameters by their names."""
    found: _Kept = {}
    for prefix, module in model.named_modules():
        attributes = {k: v for k, v in vars(module).items() if k not in _OF_TORCH and k != "_buffers"}
        for key, value in (*attributes.items(), *module._buffers.items()):
            found[f"{prefix}.{key}" if prefix else key] = _members(value, parameters)
    return found


def _members(value: Any, parameters: _Names) -> Any:
    import torch

    if isinstance(value, dict):
        return {key: _members(member, parameters) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_members(member, parameters) for member in value]
    held = value() if isinstance(value, weakref.ref) else value
    # Tensors are hashed by identity.
    return parameters.get(held, value) if isinstance(held, torch.Tensor) else value


def _holds_tensor(value: Any) -> bool:
    import torch
    from torch.utils import _pytree

    return any(isinstance(leaf, torch.Tensor | _Parameter) for leaf in _pytree.tree_leaves(value))


def _same(old: Any, new: Any) -> bool:
    """Whether nothing was assigned: the same tensor or object, equal numbers and texts."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[k], new[k]) for k in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, bool | int | float | complex | str) and type(old) is type(new):
        return bool(old == new)
    return old is new


def _repeats_itself(model: nn.Module, call: Call) -> bool:
    """Whether two calls of a copy with the same arguments give the same."""
    import torch
    from torch.utils import _pytree

    with torch.no_grad():
        try:
            twin = copy.deepcopy(model)
            first, second = (
                [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in _pytree.tree_leaves(result)]
                for result in (twin(*call.args, **call.kwargs) for _ in range(2))
            )
        # The user's code may raise anything; what cannot be tried is not taken for harmless.
        except Exception:  # noqa: BLE001
            return False
    return len(first) == len(second) and all(map(_equal, first, second))


def _equal(first: Any, second: Any) -> bool:
    import torch

    if not isinstance(first, torch.Tensor) or not isinstance(second, torch.Tensor):
        return type(first) is type(second) and bool(first == second)
    return first.shape == second.shape and torch.allclose(first, second, equal_nan=True)
