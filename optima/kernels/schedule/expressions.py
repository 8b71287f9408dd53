"""Looking into the scalar expressions of a block. TVM 0.27 has no visitor for them in Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_CHILDREN = ("a", "b", "value", "condition", "true_value", "false_value", "source")
_CHILD_LISTS = ("args", "indices")
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Select")


def walk(expression: Any, *, indices: bool = True) -> Iterator[Any]:
    """Every node of an expression, outermost first; ``indices`` says whether to look into a load's indices."""
    yield expression
    for name in _CHILDREN:
        child = getattr(expression, name, None)
        if hasattr(child, "ty") and hasattr(child, "same_as"):
            yield from walk(child, indices=indices)
    for name in _CHILD_LISTS if indices else _CHILD_LISTS[:1]:
        for child in getattr(expression, name, ()):
            if hasattr(child, "ty"):
                yield from walk(child, indices=indices)


def body_cost(body: Any) -> tuple[int, int]:
    """(calls of mathematical functions, float operations) of a block's value; indices do not count."""
    if type(body).__name__ != "BufferStore":
        return 1, 1
    calls = operations = 0
    for node in walk(body.value, indices=False):
        kind = type(node).__name__
        if kind == "Call":
            name = str(getattr(node.op, "name", "")).rpartition(".")[2]
            calls += name not in ("if_then_else", "likely", "reinterpret")
        elif kind in _ARITHMETIC and str(node.ty).startswith(("float", "bfloat")):
            operations += 1
    return calls, operations


def mentions(expression: Any, variables: list[Any]) -> bool:
    """Whether an index expression depends on one of ``variables``."""
    return any(node.same_as(v) for node in walk(expression) for v in variables)
