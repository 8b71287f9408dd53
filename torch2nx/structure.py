"""Torch's description of the nesting of arguments and results -> the JSON form of torch2nx.pytree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch2nx import pytree
from torch2nx.errors import ArgumentsError, ConvertError
from torch2nx.trace import Trace, Value

Node = pytree.Node


def encode_inputs(trace: Trace, positional: list[str], optional: list[str]) -> tuple[str, list[str]]:
    """``in_tree``, and the argument name of each tensor input in order (nested ones ``arg.key.0``)."""
    leaves = iter(trace.leaves)
    names: list[str] = []

    def leaf(path: str, value: Any) -> Node:
        if isinstance(value, Value):
            names.append(path)
            return pytree.leaf(len(names) - 1)
        return _constant(path, value)

    args, kwargs = _children(trace.in_spec, "the arguments")
    tree: dict[str, Any] = {
        "args": [
            [name, _encode(spec, leaves, name, leaf)]
            for name, (_, spec) in zip(positional, _children(args[1], "args"), strict=True)
        ],
        "kwargs": [[key, _encode(spec, leaves, key, leaf)] for key, spec in _children(kwargs[1], "kwargs")],
    }
    if optional:
        tree["optional"] = optional
    return pytree.dumps(tree), names


def encode_outputs(trace: Trace) -> str:
    """``out_tree``; leaf ``i`` is the ``i``-th tensor among the results."""
    count = 0

    def leaf(path: str, value: Any) -> Node:
        nonlocal count
        if isinstance(value, Value):
            count += 1
            return pytree.leaf(count - 1)
        return _constant(path, value)

    return pytree.dumps(_encode(trace.out_spec, iter(trace.results), "the result", leaf))


def _constant(path: str, value: Any) -> Node:
    try:
        return pytree.value(value)
    except ArgumentsError as error:
        raise ConvertError(
            f"{path} is a {type(value).__name__}, which cannot be kept in a graph",
            hint="take and return tensors, None, numbers and text, in tuples, lists and dicts",
        ) from error


def _encode(spec: Any, leaves: Iterator[Any], path: str, leaf: Callable[[str, Any], Node]) -> Node:
    if spec.type is None:
        return leaf(path, next(leaves))
    members = [(key, _encode(child, leaves, f"{path}.{key}", leaf)) for key, child in _children(spec, path)]
    if spec.type in (list, tuple):
        return {spec.type.__name__: [node for _, node in members]}
    named = _named_fields(spec)
    if named is not None:
        return {"namedtuple": named[0], "fields": [[key, node] for key, node in members]}
    return {"dict": [[key, node] for key, node in members]}


def _children(spec: Any, path: str) -> list[tuple[Any, Any]]:
    """The labelled children of a container of the JSON form; a dataclass or model output is a dict."""
    children = list(spec.children())
    if spec.type in (list, tuple):
        return list(enumerate(children))
    named = _named_fields(spec)
    if named is not None:
        return list(zip(named[1], children, strict=True))
    keys = _keys(spec.context)
    if keys is None or len(keys) != len(children):
        raise ConvertError(
            f"{path} is a {getattr(spec.type, '__name__', spec.type)}, whose parts have no names",
            hint="take and return tuples, lists and dicts of tensors",
        )
    return list(zip(keys, children, strict=True))


def _named_fields(spec: Any) -> tuple[str, list[str]] | None:
    """Name and fields of a namedtuple, or of what ``torch.max(x, dim)`` returns; None for anything else."""
    if getattr(spec.type, "__name__", "") == "namedtuple":
        return spec.context.__name__, list(spec.context._fields)
    if getattr(spec.type, "__module__", "") == "torch.return_types":
        return spec.type.__name__, list(spec.type.__match_args__)
    return None


def _keys(context: Any) -> list[Any] | None:
    """The first list of plain keys in a container's context: dicts keep the list itself, others wrap it."""
    if isinstance(context, list) and all(type(k) in (str, int, bool) for k in context):
        return context
    if isinstance(context, list | tuple):
        found = [_keys(member) for member in context]
        return next((keys for keys in found if keys is not None), None)
    return None
