"""Whether a user's entry holds together, and fits the torch operator that it is traced from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from devices import Problem
from optima.ops.entry import REQUIRED, No, Onnx, OpEntry, Te, Tflite, Trait
from torch2nx.errors import RegisterError
from torch2nx.extensions import arguments_of, overloads_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_ROLE = re.compile(r"[A-Za-z_]\w*[?*]?\Z")
#: words that stand where an op's name stands in a graph's text form
_TAKEN = ("param", "tensor", "inf", "nan")


def check_entry(entry: OpEntry) -> None:
    """Raise RegisterError, naming the operator and every fault, unless the entry can be registered."""
    if not isinstance(entry, OpEntry):
        raise RegisterError(f"register takes an OpEntry, not a {type(entry).__name__}")
    faults = [*_faults(entry)]
    if not faults and entry.source:
        faults += _source_faults(entry)
    if faults:
        raise RegisterError(
            f"the operator {entry.name!r} cannot be registered",
            problems=[Problem(str(entry.name), fault) for fault in faults],
            hint="docs/adding_an_op.md walks through an entry",
        )


def _faults(entry: OpEntry) -> Iterator[str]:
    if not isinstance(entry.name, str) or not _NAME.match(entry.name) or entry.name in _TAKEN:
        yield "its name must be a word of letters, digits, _ and ."
    if not isinstance(entry.operands, tuple) or not all(isinstance(r, str) and _ROLE.match(r) for r in entry.operands):
        yield f'operands must be a tuple of names like ("x", "bias?", "tensors*"), not {entry.operands!r:.60}'
        return
    if not entry.operands:
        yield "it needs an operand"
    heads = [role.rstrip("?*") for role in entry.operands]
    if len(set(heads)) != len(heads):
        yield f"an operand occurs twice in {entry.operands}"
    if not isinstance(entry.attrs, Mapping) or not all(isinstance(key, str) for key in entry.attrs):
        yield "attrs must map names to defaults (REQUIRED for none)"
        return
    if not isinstance(entry.traits, frozenset) or not all(isinstance(t, Trait) for t in entry.traits):
        yield f"traits must be a frozenset of Trait, not {entry.traits!r:.60}"
    elif Trait.RESHAPE in entry.traits:
        yield "Trait.RESHAPE says that nothing is computed: it is for Optima's own views"
    if entry.internal:
        yield "internal operators are Optima's own"
    if not isinstance(entry.te, Te | No):
        yield f"te must be Te(compute) or No(reason), not a {type(entry.te).__name__}"
    elif isinstance(entry.te, Te):
        yield from _refused_call(entry.te.compute, "te.compute", (None, {}), {})
        yield from _refused_call(entry.te.refuse, "te.refuse", (None,), {})
    if not isinstance(entry.onnx, Onnx | No):
        yield f"onnx must be Onnx(emit) or No(reason), not a {type(entry.onnx).__name__}"
    elif isinstance(entry.onnx, Onnx):
        yield from _refused_call(entry.onnx.emit, "onnx.emit", (None,), {})
        yield from _refused_call(entry.onnx.refuse, "onnx.refuse", (None,), {})
    if not isinstance(entry.tflite, Tflite | No):
        yield f"tflite must be Tflite(emit) or No(reason), not a {type(entry.tflite).__name__}"
    elif isinstance(entry.tflite, Tflite):
        yield from _refused_call(entry.tflite.emit, "tflite.emit", (None,), {})
        yield from _refused_call(entry.tflite.refuse, "tflite.refuse", (None,), {})
    yield from _refused_call(entry.cost, "cost", (None,), {})
    needed = {h: None for h, role in zip(heads, entry.operands, strict=True) if not role.endswith("?")}
    for names in (needed, dict.fromkeys(heads)):
        yield from _refused_call(entry.reference, "reference", (), {**names, **dict.fromkeys(entry.attrs)})
        if names == dict.fromkeys(heads):
            break


def _refused_call(
    function: Callable[..., Any], what: str, args: tuple[Any, ...], named: dict[str, Any]
) -> Iterator[str]:
    """A fault if ``function`` cannot be called like this."""
    if not callable(function):
        yield f"{what} is a {type(function).__name__}, not a function"
        return
    try:
        inspect.signature(function).bind(*args, **named)
    except TypeError as error:
        given = ", ".join(named) if named else {1: "the view", 2: "the view and the tensors"}[len(args)]
        yield f"{what} does not take {given}: {error}"
    except ValueError:
        return  # a function of C has no signature to look at


def _source_faults(entry: OpEntry) -> Iterator[str]:
    for overload in overloads_of(entry.source):
        roles, plain = arguments_of(overload)
        if tuple(roles) != tuple(r for r in entry.operands if r in roles) or set(entry.operands) - set(roles):
            yield f"its operands are {', '.join(entry.operands)}; those of {overload} are {', '.join(roles)}"
        for name, default in plain.items():
            if name not in entry.attrs:
                yield f"attrs lacks {name!r}, an argument of {overload}"
            elif entry.attrs[name] is not REQUIRED and _plain(entry.attrs[name]) != _plain(default):
                shown = "no default" if default is ... else f"the default {default!r}"
                yield f"attrs has {name}={entry.attrs[name]!r}, but {overload} has {shown}"
        for name in entry.attrs:
            if name not in plain:
                yield f"attrs has {name!r}, which is no argument of {overload}"


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
