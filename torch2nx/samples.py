"""The samples that a model is traced with: checked, bound to the signature, put on device and into layout."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devices.errors import Problem
from torch2nx.errors import ConvertError

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)
_HINT = (
    "pass fake_torch_data as a list with one tensor per positional argument of forward, in order, "
    "and keyword arguments as fake_torch_kwargs={name: value}"
)


@dataclass(frozen=True)
class Call:
    """What the model is called with: ``names`` are those of ``args``; keywords are in signature order.

    ``optional`` names the arguments that were given the value of their own default.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    names: list[str]
    optional: list[str]


def bind(model: torch.nn.Module, data: Any, kwargs: Mapping[str, Any] | None, *, torch_flip: bool) -> Call:
    """The call that ``model(*data, **kwargs)`` is. With ``torch_flip`` the 4-D tensors in ``data`` are NHWC.

    Raises ConvertError when the number or the names do not fit ``forward``, or a sample is no dense tensor.
    """
    if not isinstance(data, list | tuple):
        raise ConvertError(f"fake_torch_data is a {type(data).__name__}, not a list of tensors", hint=_HINT)
    given = dict(kwargs or {})
    signature = inspect.signature(model.forward)
    try:
        bound = signature.bind(*data, **given)
    except TypeError as error:
        takes = str(signature.replace(return_annotation=inspect.Signature.empty))
        raise ConvertError(
            f"{type(model).__name__}.forward{takes} does not take these {len(data)} samples: {error}",
            hint=_HINT,
        ) from error
    names = _positional_names(signature, bound)
    problems: list[Problem] = []
    for name, sample in [*zip(names, bound.args, strict=True), *bound.kwargs.items()]:
        _check(name, sample, problems)
    if problems:
        raise ConvertError("the samples cannot be traced", problems=problems, hint=_HINT)
    flipped = {id(d) for d in data} if torch_flip else set()
    args = tuple(_map(_to_nchw, a) if id(a) in flipped else a for a in bound.args)
    keywords = {k: _map(_to_nchw, v) if id(v) in flipped else v for k, v in bound.kwargs.items()}
    apart: set[int] = set()
    args, keywords = _map(lambda t: _own(t, apart), (args, keywords))
    defaults = {n: p.default for n, p in signature.parameters.items()}
    given_values = [*zip(names, args, strict=True), *keywords.items()]
    optional = [name for name, value in given_values if name in defaults and _same_plain(value, defaults[name])]
    return Call(args, keywords, names, optional)


def _same_plain(value: Any, default: Any) -> bool:
    plain = value is None or isinstance(value, bool | int | float | str)
    return plain and type(value) is type(default) and value == default


def _positional_names(signature: inspect.Signature, bound: inspect.BoundArguments) -> list[str]:
    names: list[str] = []
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}.{i}" for i in range(len(bound.arguments.get(name, ())))]
        else:
            names.append(name)
    return names[: len(bound.args)]


def _check(path: str, sample: Any, problems: list[Problem]) -> None:
    import torch

    if isinstance(sample, torch.Tensor):
        if sample.layout is not torch.strided or sample.is_quantized:
            problems.append(Problem(path, "the tensor is not dense"))
        elif sample.dtype.is_complex:
            problems.append(Problem(path, f"dtype {sample.dtype}: complex numbers are not supported"))
    elif isinstance(sample, list | tuple):
        for i, member in enumerate(sample):
            _check(f"{path}.{i}", member, problems)
    elif isinstance(sample, Mapping):
        for key, member in sample.items():
            _check(f"{path}.{key}", member, problems)
    elif sample is not None and type(sample) not in (bool, int, float, str):
        what = f"{type(sample).__module__}.{type(sample).__qualname__}"
        problems.append(Problem(path, f"{what} is not a torch.Tensor"))


def _map(function: Callable[[torch.Tensor], torch.Tensor], sample: Any) -> Any:
    import torch
    from torch.utils._pytree import tree_map_only

    return tree_map_only(torch.Tensor, function, sample)


def _own(tensor: torch.Tensor, seen: set[int]) -> torch.Tensor:
    """The tensor, or a copy where it was seen before: two arguments that are one tensor would be traced as one."""
    if id(tensor) in seen:
        return tensor.clone()
    seen.add(id(tensor))
    return tensor


def _to_nchw(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.permute(0, 3, 1, 2).contiguous() if tensor.dim() == 4 else tensor


def on_gpu(model: torch.nn.Module, call: Call) -> tuple[torch.nn.Module, Call]:
    """A copy of the model and of its samples on the first CUDA device; without one, what was given, and a warning.

    Tracing computes nothing, so it needs no device: the graph is the same.
    """
    import copy

    import torch

    if not torch.cuda.is_available():
        _LOG.warning("gpu=True, and torch finds no CUDA device here: the model is traced where it is")
        return model, call

    def to_gpu(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.cuda()

    kwargs = {k: _map(to_gpu, v) for k, v in call.kwargs.items()}
    moved = Call(tuple(_map(to_gpu, a) for a in call.args), kwargs, call.names, call.optional)
    # The user's own module stays where it is.
    return copy.deepcopy(model).cuda(), moved
