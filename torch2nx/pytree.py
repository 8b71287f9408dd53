"""The structure of a model's arguments and result as JSON text, and how to take them apart and together.

A node is one of

    {"leaf": 2}                              the graph's input or output number 2
    {"value": None | bool | int | float | str}   no tensor: kept by value
    {"list": [node, ...]}, {"tuple": [node, ...]}
    {"dict": [[key, node], ...]}             keys are text, ints or bools; order is kept
    {"namedtuple": "Name", "fields": [[field, node], ...]}

``out_tree`` is a node. ``in_tree`` is ``{"args": [[name, node], ...], "kwargs": [[name, node], ...]}``: the
positional arguments (also to be given by name, but for the members of ``*args``, named ``args.0``) and the
keyword-only ones; ``"optional": [name, ...]`` may be added: arguments that hold no tensor and were traced with
the default of their signature, so that a call may leave them out. A graph numbers its leaves in this order, depth
first. Nothing here imports torch.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devices.errors import Problem
from torch2nx.errors import ArgumentsError

Node = dict[str, Any]

_SCALARS = (bool, int, float, str)


def leaf(index: int) -> Node:
    """The node of the graph's ``index``-th input or output."""
    return {"leaf": index}


def value(constant: Any) -> Node:
    """The node of a non-tensor leaf: None, bool, int, float or text. Raises ArgumentsError for others."""
    if constant is not None and type(constant) not in _SCALARS:
        raise ArgumentsError(f"a {type(constant).__name__} cannot be kept by value")
    return {"value": constant}


def dumps(node: Node) -> str:
    """A node or an ``in_tree`` as canonical JSON text."""
    return json.dumps(node, separators=(",", ":"), ensure_ascii=True)


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArgumentsError(f"the structure is not JSON: {error}") from error


def _children(node: Node) -> list[tuple[str, Node]]:
    """The labelled children of a node; none for a leaf or a value. Raises ArgumentsError for no node."""
    if isinstance(node, dict):
        if set(node) in ({"leaf"}, {"value"}):
            return []
        for kind in ("list", "tuple"):
            if set(node) == {kind} and isinstance(node[kind], list):
                return [(str(i), child) for i, child in enumerate(node[kind])]
        pairs: Any = node.get("dict", node.get("fields"))
        is_mapping = set(node) in ({"dict"}, {"namedtuple", "fields"}) and isinstance(pairs, list)
        if is_mapping and all(isinstance(p, list) and len(p) == 2 for p in pairs):
            return [(str(key), child) for key, child in pairs]
    raise ArgumentsError(f"{str(node)[:60]} is not a structure")


def _leaves(node: Node) -> Iterable[int]:
    if isinstance(node, dict) and set(node) == {"leaf"}:
        if type(node["leaf"]) is not int or node["leaf"] < 0:
            raise ArgumentsError(f"{node} is not a leaf")
        yield node["leaf"]
    for _, child in _children(node):
        yield from _leaves(child)


def _arguments(in_tree: str) -> tuple[list[tuple[str, Node]], list[tuple[str, Node]]]:
    tree = _loads(in_tree)
    if not isinstance(tree, dict) or set(tree) - {"optional"} != {"args", "kwargs"}:
        raise ArgumentsError("in_tree needs 'args' and 'kwargs', and may have 'optional'")
    if not isinstance(tree.get("optional", []), list):
        raise ArgumentsError("in_tree's 'optional' is not a list of names")
    for part in (tree["args"], tree["kwargs"]):
        if not isinstance(part, list) or not all(isinstance(p, list) and len(p) == 2 for p in part):
            raise ArgumentsError("in_tree holds something that is not a list of [name, structure]")
    return [(n, t) for n, t in tree["args"]], [(n, t) for n, t in tree["kwargs"]]


def _count(leaves: Iterable[int]) -> int:
    numbers = sorted(leaves)
    if numbers != list(range(len(numbers))):
        raise ArgumentsError(f"the leaves {numbers[:8]} are not numbered from 0 without gaps")
    return len(numbers)


def count_inputs(in_tree: str) -> int:
    """How many tensors the arguments hold. Raises ArgumentsError when the text is not an ``in_tree``."""
    args, kwargs = _arguments(in_tree)
    return _count(i for _, node in [*args, *kwargs] for i in _leaves(node))


def count_outputs(out_tree: str) -> int:
    """How many tensors the result holds. Raises ArgumentsError when the text is not an ``out_tree``."""
    return _count(_leaves(_loads(out_tree)))


def leaf_paths(out_tree: str) -> list[str]:
    """Where each output stands in the result: ``logits``, ``0.boxes``; ``output`` when it is all of it.

    One path per graph output, in their order. Raises ArgumentsError when the text is no ``out_tree``.
    """
    paths: dict[int, str] = {}
    todo: list[tuple[str, Node]] = [("", _loads(out_tree))]
    while todo:
        path, node = todo.pop()
        for index in _leaves(node) if "leaf" in node else ():
            paths[index] = path or "output"
        todo += [(f"{path}.{label}" if path else label, child) for label, child in _children(node)]
    return [paths[index] for index in sorted(paths)]


def flatten_inputs(in_tree: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> list[Any]:
    """The tensors of a call, in the order of the graph's inputs.

    ``args`` and ``kwargs`` are what ``model(*args, **kwargs)`` takes. An argument that was traced with its
    default value may be left out. Raises ArgumentsError naming every argument that is missing, unknown, nested
    otherwise than in the trace, or a value other than the traced one.
    """
    positional, keyword = _arguments(in_tree)
    optional = _loads(in_tree).get("optional", [])
    given = dict(kwargs or {})
    problems: list[Problem] = []
    found: dict[int, Any] = {}
    if len(args) > len(positional):
        problems.append(Problem("arguments", f"{len(args)} positional arguments, at most {len(positional)} expected"))
    for i, (name, node) in enumerate([*positional, *keyword]):
        if i < min(len(args), len(positional)):
            if name in given:
                problems.append(Problem(name, "given by position and by name"))
                given.pop(name)
            _match(name, node, args[i], found, problems)
        elif name in given:
            _match(name, node, given.pop(name), found, problems)
        elif any(True for _ in _leaves(node)):
            problems.append(Problem(name, "missing"))
        elif name not in optional:
            fixed = node.get("value", "values of its own")
            problems.append(Problem(name, f"missing: the model was traced with {fixed!r}, not with its default"))
    problems += [Problem(name, "no argument of this name") for name in given]
    if problems:
        names = ", ".join(name for name, _ in [*positional, *keyword])
        raise ArgumentsError("the arguments do not fit the model", problems=problems, hint=f"it takes ({names})")
    return [found[i] for i in sorted(found)]


def _match(path: str, node: Node, given: Any, found: dict[int, Any], problems: list[Problem]) -> None:
    if "leaf" in node:
        found[node["leaf"]] = given
        if given is None or isinstance(given, str | dict):
            problems.append(Problem(path, f"a tensor is expected, not {given!r:.40}"))
        return
    if "value" in node:
        traced = node["value"]
        if type(given) is not type(traced) or (given != traced and traced == traced):
            problems.append(Problem(path, f"the model was traced with {traced!r}, not with {given!r:.40}"))
        return
    reason = _mismatch(node, given)
    if reason:
        problems.append(Problem(path, reason))
        return
    members = [given[key] for key, _ in node["dict"]] if "dict" in node else list(given)
    for (label, child), member in zip(_children(node), members, strict=True):
        _match(f"{path}.{label}", child, member, found, problems)


def _mismatch(node: Node, given: Any) -> str:
    if "dict" in node:
        keys = [key for key, _ in node["dict"]]
        if not isinstance(given, Mapping):
            return f"a dict is expected, not a {type(given).__name__}"
        if set(keys) != set(given):
            return f"a dict with the keys {keys} is expected, not {list(given)}"
        return ""
    if not isinstance(given, list | tuple):
        return f"a list or tuple is expected, not a {type(given).__name__}"
    expected = len(_children(node))
    return "" if len(given) == expected else f"{expected} members are expected, not {len(given)}"


def unflatten_outputs(out_tree: str, leaves: Sequence[Any]) -> Any:
    """The model's result, with ``leaves[i]`` where output ``i`` stood. Namedtuples are rebuilt by name."""
    return _build(_loads(out_tree), leaves)


def _build(node: Node, leaves: Sequence[Any]) -> Any:
    if "leaf" in node:
        return leaves[node["leaf"]]
    if "value" in node:
        return node["value"]
    members = [_build(child, leaves) for _, child in _children(node)]
    if "namedtuple" in node:
        # rename= because the names come from a file.
        name = node["namedtuple"] if str(node["namedtuple"]).isidentifier() else "Outputs"
        fields = [str(field) for field, _ in node["fields"]]
        make: Any = namedtuple  # mypy wants the names as literals
        return make(name, fields, rename=True)(*members)
    if "dict" in node:
        return dict(zip((key for key, _ in node["dict"]), members, strict=True))
    return tuple(members) if "tuple" in node else members
