"""What a forward changes beside its results, seen while torch traces it, and put back afterwards.

Watched are the attributes of modules and of the user's objects that these hold, the modules' classes, the globals of
the files that define these, the defaults of forwards, and random numbers of Python and numpy. What a closure holds
is not.
"""

from __future__ import annotations

import copy
import random
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from torch import nn

#: what ``nn.Module`` itself keeps in ``__dict__``, and hooks change
_OF_TORCH: Final = frozenset(
    {
        "_parameters", "_buffers", "_modules", "_backward_hooks", "_backward_pre_hooks", "_forward_hooks",
        "_state_dict_hooks", "_forward_hooks_always_called", "_forward_hooks_with_kwargs", "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs", "_is_full_backward_hook", "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks", "_non_persistent_buffers_set", "_state_dict_pre_hooks", "training",
        "_initialize_hook", "_load_hook",
    }
)  # fmt: skip

#: packages whose classes and files are not the user's
_FOREIGN: Final = frozenset({"torch", "builtins", "numpy", *sys.stdlib_module_names})

#: containers are looked into so far; a file may hold a whole data set
_DEEPEST: Final = 4
_LONGEST: Final = 10_000


class Parameter(str):
    """A parameter by its name, whichever tensor stands for it while the model is traced."""


_Names = dict[Any, Parameter]
_Kept = dict[str, Any]


@dataclass
class Changes:
    """What a forward has changed beside its results: path -> the tensors that were there before."""

    places: Places
    assigned: dict[str, list[Any]] = field(default_factory=dict)
    #: "random" and "numpy.random" where the forward drew from them
    drawn: list[str] = field(default_factory=list)
    made_buffer: bool = False


@contextmanager
def watched(model: nn.Module) -> Iterator[Changes]:
    """While the model is traced: what its forward has changed, complete at the end.

    Afterwards every place that is watched holds what it held before.
    """
    before: _Kept = {}
    drawn: dict[str, Any] = {}
    buffers: set[Any] = set()
    places = Places(model)
    parameters = _names_of_parameters(model)
    found = Changes(places)

    # Torch puts its own tensors in the place of parameters and buffers before it calls the forward, and a module
    # that keeps its parameters in a second place (a recurrent layer) then assigns that one again.
    def note(*_: Any) -> None:
        parameters.update(_names_of_parameters(model))
        before.update(places.kept(parameters))
        drawn.update(_random_states())
        buffers.update(places.buffers())

    def compare(*_: Any) -> None:
        found.drawn += [name for name, state in _random_states().items() if drawn[name] != state]
        after = places.kept(parameters)
        for path, value in after.items():
            if path not in before or not _same(before[path], value):
                found.assigned[path] = _tensors_in(before.get(path))
        found.made_buffer = bool(places.buffers() - buffers)

    hooks = model.register_forward_pre_hook(note), model.register_forward_hook(compare)
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
        places.restore()


class Places:
    """Where a model can keep something: modules, the user's objects in them, their classes, and the classes' files."""

    def __init__(self, model: nn.Module) -> None:
        self._name = type(model).__name__
        self._modules = [(name, module, _recomputed(module)) for name, module in model.named_modules()]
        classes = dict.fromkeys(c for _, module, _ in self._modules for c in type(module).__mro__ if _is_users(c))
        files = {c.__module__: sys.modules[c.__module__] for c in classes if c.__module__ in sys.modules}
        named = [(f"{c.__module__}.{c.__qualname__}", c) for c in classes]
        self._shared: list[tuple[str, Any]] = [*named, *files.items()]
        self._values = [(owner, key, value) for _, owner in self._shared for key, value in _plain(owner).items()]
        self._owners: dict[int, tuple[Any, Any]] = {}
        held = [v for _, module, _ in self._modules for v in vars(module).values()] + [v for *_, v in self._values]
        for value in held:
            self._remember(value)
        for _, module, _ in self._modules:
            self._owners[id(vars(module))] = (vars(module), dict(vars(module)))
        caches = [v for _, owner in self._shared for v in vars(owner).values() if hasattr(v, "cache_clear")]
        self._caches = [(cache, cache.cache_info().currsize) for cache in caches if hasattr(cache, "cache_info")]

    def buffers(self) -> set[Any]:
        """Which buffers there are."""
        return {(id(m), key) for _, m, _ in self._modules for key, held in m._buffers.items() if held is not None}

    def _remember(self, value: Any, depth: int = 0) -> None:
        """Note what lists, dicts and objects hold, so that it can be put back."""
        if _is_object(value):
            value = vars(value)
        if depth == _DEEPEST or id(value) in self._owners:
            return
        if type(value) in (list, dict) and len(value) <= _LONGEST:
            self._owners[id(value)] = (value, copy.copy(value))
            for member in value.values() if isinstance(value, dict) else value:
                self._remember(member, depth + 1)

    def kept(self, parameters: _Names) -> _Kept:
        """path -> what is kept there; containers by their members, parameters by their names."""
        found: _Kept = {}
        for name, module, recomputed in self._modules:
            path = f"{self._name}.{name}." if name else f"{self._name}."
            for key, value in (*vars(module).items(), *module._buffers.items()):
                if key not in _OF_TORCH and key not in recomputed:
                    found[path + key] = _members(value, parameters)
            found[path + "forward"] = _members(_defaults(module), parameters)
            found |= {path + key: child for key, child in module._modules.items()}
        for prefix, owner in self._shared:
            for key, value in _plain(owner).items():
                found[f"{prefix}.{key}"] = _members(value, parameters)
        return found

    def restore(self) -> None:
        """Put back what was there when this was made, and forget what was memorised since."""
        known = {(id(owner), key) for owner, key, _ in self._values}
        for _, owner in self._shared:
            for key, value in _plain(owner).items():
                # A new one without tensors may be another library's, made while it was first used.
                if (id(owner), key) not in known and _tensors_in(value):
                    delattr(owner, key)
        for owner, key, value in self._values:
            if vars(owner).get(key) is not value:
                setattr(owner, key, value)
        for container, members in self._owners.values():
            if isinstance(container, list):
                container[:] = members
            else:
                for key in [k for k in container if k not in members]:
                    del container[key]
                container.update(members)
        for cache, size in self._caches:
            if cache.cache_info().currsize != size:
                cache.cache_clear()


def _defaults(module: nn.Module) -> Any:
    """The default arguments of the module's forward, where the user wrote it."""
    forward = type(module).forward
    return getattr(forward, "__defaults__", None) if _is_users(type(module)) else None


def _is_object(value: Any) -> bool:
    """Whether it is an object of a class of the user's that may hold something."""
    from torch import nn

    plain = not isinstance(value, type) and not callable(value) and not isinstance(value, nn.Module)
    return plain and hasattr(value, "__dict__") and (_is_users(type(value)) or isinstance(value, SimpleNamespace))


def _is_users(kind: type) -> bool:
    return kind.__module__.partition(".")[0] not in _FOREIGN


def _plain(owner: Any) -> dict[str, Any]:
    """The attributes of a class or file that a forward might use as memory: numbers, texts, tensors, containers."""
    import torch

    plain = (bool, int, float, complex, str, list, dict, tuple, torch.Tensor, type(None))
    return {k: v for k, v in vars(owner).items() if isinstance(v, plain) and not k.startswith("__")}


def _recomputed(module: nn.Module) -> set[str]:
    """The attributes that torch's own hooks compute from parameters before each call (weight_norm, pruning)."""
    hooks = [h for h in module._forward_pre_hooks.values() if type(h).__module__.startswith("torch.nn.utils.")]
    return {
        str(getattr(h, attribute)) for h in hooks for attribute in ("name", "_tensor_name") if hasattr(h, attribute)
    }


def _random_states() -> dict[str, Any]:
    numpy: dict[str, Any] = np.random.get_state(legacy=False)
    words = numpy["state"]
    return {"random": random.getstate(), "numpy.random": (words["key"].tobytes(), words["pos"], numpy["gauss"])}


def _names_of_parameters(model: nn.Module) -> _Names:
    return {parameter: Parameter(name) for name, parameter in model.named_parameters()}


def _members(value: Any, parameters: _Names, depth: int = 0) -> Any:
    import torch

    if _is_object(value):
        value = vars(value)
    many = isinstance(value, dict | list | tuple | set | deque)
    if many and (depth == _DEEPEST or len(value) > _LONGEST):
        return value
    if isinstance(value, dict):
        return {key: _members(member, parameters, depth + 1) for key, member in value.items()}
    if many:
        return [_members(member, parameters, depth + 1) for member in value]
    if isinstance(value, random.Random):
        return str(value.getstate())
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, np.ndarray) and value.size <= _LONGEST:
        return value.tobytes().hex()
    held = value() if isinstance(value, weakref.ref) else value
    # Tensors are hashed by identity.
    return parameters.get(held, value) if isinstance(held, torch.Tensor) else value


def _tensors_in(value: Any) -> list[Any]:
    import torch
    from torch.utils import _pytree

    return [leaf for leaf in _pytree.tree_leaves(value) if isinstance(leaf, (torch.Tensor, Parameter))]


def _same(old: Any, new: Any) -> bool:
    """Whether nothing was assigned: the same tensor or object, equal numbers and texts."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[k], new[k]) for k in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, bool | int | float | complex | str) and type(old) is type(new):
        return old is new or bool(old == new)
    return old is new
