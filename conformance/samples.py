"""Samples of PyTorch's own tests as modules: ``op_db`` (OpInfo) and ``module_db`` (ModuleInfo).

Source: ``torch.testing._internal.common_methods_invocations`` and ``common_modules`` of the pinned torch.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree

#: the dtypes that the claims table speaks of, in its order
DTYPES = ("float32", "int64", "int32", "bool", "float16", "bfloat16")

#: entries whose results PyTorch leaves undefined: there is nothing to compare
UNDEFINED = frozenset({"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"})

#: entries that give the places of elements: equal ones may be in any order, unless the call asks for a stable one
_ORDERING = frozenset({"sort", "argsort"})

_SEED = 20_210


class Call(torch.nn.Module):
    """``function(*args, **kwargs)`` as a module that takes the tensors among the arguments, wherever they stand.

    Arguments that the function writes to are copied first, and returned beside its result.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self._function = function
        self.keywords = kwargs
        leaves, self._spec = _pytree.tree_flatten((args, kwargs))
        self._leaves = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self._slots = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        self.tensors = [leaves[i].detach() for i in self._slots]
        self._written: list[int] = []

    def return_written(self) -> None:
        """Find out, by a call, which tensors the function writes to. Sparse ones, which are refused, are not tried."""
        if any(t.layout != torch.strided for t in self.tensors):
            return
        tensors = [t.clone() for t in self.tensors]
        versions = [t._version for t in tensors]
        try:
            # The samples that follow stay what they are.
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                self(*tensors)
        # PyTorch refuses some of its own samples; who compares them is told so again.
        except Exception:  # noqa: BLE001
            return
        # Some operators do not own up to what they write.
        self._written = [
            i for i, (now, was) in enumerate(zip(tensors, self.tensors, strict=True))
            if now._version != versions[i] or not _identical(now, was)
        ]  # fmt: skip

    def forward(self, *tensors: torch.Tensor) -> Any:
        """What the function returns on these tensors, and those that it wrote to."""
        tensors = tuple(t.clone() if i in self._written else t for i, t in enumerate(tensors))
        result = self._call(tensors)
        return (result, *(tensors[i] for i in self._written)) if self._written else result

    def _call(self, tensors: tuple[torch.Tensor, ...]) -> Any:
        leaves = list(self._leaves)
        for slot, tensor in zip(self._slots, tensors, strict=True):
            leaves[slot] = tensor
        args, kwargs = _pytree.tree_unflatten(leaves, self._spec)
        return self._function(*args, **kwargs)


def is_unspecified(name: str, sample: Sample) -> bool:
    """Whether PyTorch itself leaves the sample's result open."""
    call = sample.module
    if name not in _ORDERING or not isinstance(call, Call) or call.keywords.get("stable"):
        return False
    ordered = call.tensors[0]
    return bool(ordered.unique().numel() < ordered.numel())


def _identical(first: torch.Tensor, second: torch.Tensor) -> bool:
    same_type = first.shape == second.shape and first.dtype == second.dtype
    return same_type and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)


@dataclass(frozen=True)
class Sample:
    """One call: a module in eval mode and its positional tensors, and the tolerances torch's tests use for it."""

    index: int
    module: torch.nn.Module
    args: tuple[Any, ...]
    tolerances: tuple[float, float] | None  # (rtol, atol)


@cache
def _table() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
        from torch.testing._internal.common_modules import module_db
    table: dict[str, Any] = {}
    for op in op_db:
        table.setdefault(op.full_name, op)
    for info in module_db:
        table.setdefault(_module_name(info), info)
    return table


def _module_name(info: Any) -> str:
    path = f"{info.module_cls.__module__}.{info.module_cls.__name__}"
    return "nn." + path.rpartition("modules.")[2].rpartition(".")[2]


def names() -> list[str]:
    """Every entry: operators as OpInfo names them (``nn.functional.conv2d``), modules as ``nn.Conv2d``."""
    return list(_table())


def is_module(name: str) -> bool:
    """Whether the entry is a module of ``module_db``."""
    return not hasattr(_table()[name], "sample_inputs")


def takes(name: str, dtype: str) -> bool:
    """Whether PyTorch itself tests this entry with the dtype on the CPU."""
    info = _table()[name]
    kind = getattr(torch, dtype)
    if is_module(name):
        return bool(kind in info.dtypes)
    return bool(kind in info.supported_dtypes("cpu"))


def samples(name: str, dtype: str) -> Iterator[Sample]:
    """The samples of an entry, always the same ones in the same order."""
    torch.manual_seed(_SEED)
    random.seed(_SEED)
    np.random.seed(_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _module_samples(name, dtype) if is_module(name) else _op_samples(name, dtype)
        yield from found


def _op_samples(name: str, dtype: str) -> Iterator[Sample]:
    info = _table()[name]
    kind = getattr(torch, dtype)
    tolerances = _tolerances(info.decorators, kind)
    for index, sample in enumerate(info.sample_inputs("cpu", kind, requires_grad=False)):
        call = Call(info.op, (sample.input, *sample.args), dict(sample.kwargs))
        call.return_written()
        yield Sample(index, call.eval(), tuple(call.tensors), tolerances)


def _module_samples(name: str, dtype: str) -> Iterator[Sample]:
    info = _table()[name]
    kind = getattr(torch, dtype)
    tolerances = _tolerances(info.decorators, kind)
    inputs = info.module_inputs_func(info, device="cpu", dtype=kind, requires_grad=False, training=False)
    for index, made in enumerate(inputs):
        constructor, forward = made.constructor_input, made.forward_input
        if forward is None:
            continue
        module = info.module_cls(*constructor.args, **constructor.kwargs).to(kind).eval()
        call = Call(module, tuple(forward.args), dict(forward.kwargs))
        call.module = module
        yield Sample(index, call.eval(), tuple(call.tensors), tolerances)


def _tolerances(decorators: Any, dtype: torch.dtype) -> tuple[float, float] | None:
    """The widest (rtol, atol) that torch's own tests state for this dtype on a CPU."""
    from torch.testing._internal.common_device_type import toleranceOverride

    on_cpu = (d for d in decorators or () if getattr(d, "device_type", None) in (None, "cpu"))
    inner = (i for d in on_cpu for i in getattr(d, "decorators", (d,)))
    stated = [(i.d[dtype].rtol, i.d[dtype].atol) for i in inner if isinstance(i, toleranceOverride) and dtype in i.d]
    return (max(r for r, _ in stated), max(a for _, a in stated)) if stated else None
