"""Reads the graph's text form back; ``optima.graph_text`` says what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from devices import DeviceRef
from optima.graph import Graph, Op, Symbol, Tensor
from optima.graph_tokens import LineReader, write_literal
from optima.ops.entry import REQUIRED, OpEntry
from optima.ops.registry import entry_of
from torch2nx.errors import GraphError


def parse(text: str, values: Mapping[str, np.ndarray[Any, Any]] | None = None) -> Graph:
    """Read ``dump()``'s text. ``values`` maps parameter names to data; without it they stay abstract.

    Raises GraphError with the line number of the first line that is not in the form.
    """
    head: Graph | None = None
    ops: list[Op] = []
    tensors: dict[str, Tensor] = {}
    trees = {"in_tree": "", "out_tree": ""}
    symbols: list[Symbol] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        reader = LineReader(line, number)
        if head is None:
            head = _read_head(reader, tensors)
        elif reader.kind == "word" and reader.token in trees:
            key = reader.name("in_tree or out_tree")
            trees[key] = reader.string("the tree as a string")
        elif reader.try_mark("symbol"):
            symbols.append(_read_symbol(reader))
        else:
            _read_definition(reader, ops, tensors, values or {})
        reader.end()
    if head is None:
        raise GraphError("line 1: expected 'graph name(...) -> (...)', but the text is empty")
    table = _in_canonical_order(head, ops, tensors)
    made = replace(head, ops=tuple(ops), tensors=table, symbols=tuple(symbols))
    return replace(made, in_tree=trees["in_tree"], out_tree=trees["out_tree"])


def _in_canonical_order(head: Graph, ops: Sequence[Op], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The order of Graph.rebuild: inputs, then op by op its operands and results, then the rest."""
    order = dict.fromkeys(head.inputs)
    for op in ops:
        order.update(dict.fromkeys((*op.inputs, *op.outputs)))
    order.update(dict.fromkeys(tensors))
    return {name: tensors[name] for name in order if name in tensors}


def _read_head(reader: LineReader, tensors: dict[str, Tensor]) -> Graph:
    if not reader.try_mark("graph"):
        raise reader.fail("'graph name(%input: type, ...) -> (%output, ...)'")
    name = reader.name("the graph's name")
    inputs: list[str] = []
    reader.mark("(")
    while not reader.try_mark(")"):
        if inputs:
            reader.mark(",")
        inputs.append(reader.tensor())
        reader.mark(":")
        _define(reader, tensors, inputs[-1], is_param=False)
    reader.mark("->")
    reader.mark("(")
    outputs: list[str] = []
    while not reader.try_mark(")"):
        if outputs:
            reader.mark(",")
        outputs.append(reader.tensor())
    return Graph(name, (), {}, tuple(inputs), tuple(outputs))


def _read_symbol(reader: LineReader) -> Symbol:
    """What follows ``symbol``: ``n0 min 1 max 100 count %t axes [["t_2",0]]``."""
    name = reader.name("the symbol's name")
    limits = []
    for key in ("min", "max"):
        if not reader.try_mark(key):
            raise reader.fail(f"{key!r}")
        limits.append(reader.integer("a size"))
    if not reader.try_mark("count"):
        raise reader.fail("'count'")
    count = reader.tensor()
    if not reader.try_mark("axes"):
        raise reader.fail("'axes'")
    axes = reader.literal()
    if not isinstance(axes, tuple) or any(
        not isinstance(pair, tuple) or [type(p) for p in pair] != [str, int] for pair in axes
    ):
        raise GraphError(f"line {reader.number}: axes are a list of [tensor, axis], not {write_literal(axes)}")
    return Symbol(name, limits[0], limits[1], count, axes)


def _define(
    reader: LineReader,
    tensors: dict[str, Tensor],
    name: str,
    *,
    is_param: bool,
    source: str = "",
    value: np.ndarray[Any, Any] | None = None,
) -> None:
    """Read a type and the tensor's fields after it, and enter the tensor."""
    if reader.try_mark("?"):
        return  # dump writes this for a name that the table lacks
    type_ = reader.tensor_type()
    if name in tensors and tensors[name].type != type_:
        raise GraphError(f"line {reader.number}: %{name} is defined a second time, with another type")
    fields = {"argument": "", "layout": "", "source": source}
    for key, field_name in (("arg", "argument"), ("layout", "layout"), ("source", "source")):
        if reader.try_mark(key):
            fields[field_name] = reader.string(f"the {key} as a string")
    recipe = reader.literal(list) if reader.try_mark("recipe") else None
    tensors[name] = Tensor(name, type_, is_param=is_param, value=value, recipe=recipe, **fields)


def _read_definition(
    reader: LineReader,
    ops: list[Op],
    tensors: dict[str, Tensor],
    values: Mapping[str, np.ndarray[Any, Any]],
) -> None:
    outputs: list[str] = []
    while reader.kind == "tensor" or (outputs and reader.try_mark(",")):
        outputs.append(reader.tensor())
    reader.mark("=")
    plain = reader.kind == "word"
    name = reader.name("an op's name, 'param' or 'tensor'")
    if plain and name in ("param", "tensor"):
        source = reader.string("the PyTorch name") if reader.kind == "string" else ""
        reader.mark(":")
        if len(outputs) != 1:
            raise GraphError(f"line {reader.number}: expected one tensor before '= {name}'")
        is_param = name == "param"
        _define(reader, tensors, outputs[0], is_param=is_param, source=source, value=values.get(outputs[0]))
        return
    reader.mark(":")
    ops.append(_read_op(reader, name, outputs, tensors))


def _read_op(reader: LineReader, name: str, outputs: Sequence[str], tensors: dict[str, Tensor]) -> Op:
    kind = reader.name("an operator")
    entry = entry_of(kind)
    inputs, roles = _read_operands(reader, kind, entry)
    attrs: dict[str, Any] = {}
    if reader.try_mark("{"):
        while not reader.try_mark("}"):
            if attrs:
                reader.mark(",")
            key = reader.name("an attribute's name")
            reader.mark("=")
            attrs[key] = reader.literal()
    if entry is not None:
        defaults = {k: _as_tuple(v) for k, v in entry.attrs.items() if v is not REQUIRED}
        attrs = defaults | attrs
    reader.mark(":")
    for i, output in enumerate(outputs):
        if i:
            reader.mark(",")
        _define(reader, tensors, output, is_param=False)
    devices = _read_devices(reader) if reader.try_mark("@") else ()
    kernel = reader.name("a kernel's name") if reader.try_mark("!") else ""
    return Op(name, kind, inputs, roles, tuple(outputs), attrs, reader.origins(), devices, kernel)


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(v) for v in value) if isinstance(value, list | tuple) else value


def _read_operands(
    reader: LineReader, kind: str, entry: OpEntry | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    inputs: list[str] = []
    roles: list[str | None] = []
    reader.mark("(")
    while not reader.try_mark(")"):
        if inputs:
            reader.mark(",")
        role = None
        if reader.kind != "tensor":
            role = reader.name("an operand such as %t or role=%t")
            reader.mark("=")
        roles.append(role)
        inputs.append(reader.tensor())
    places = positional_roles(entry, len(inputs))
    full = [role or place for role, place in zip(roles, places, strict=True)]
    missing = [inputs[i] for i, role in enumerate(full) if role is None]
    if missing:
        what = f"{kind} has no operand at that place" if entry else f"there is no operator named {kind!r}"
        raise GraphError(f"line {reader.number}: expected role=%{missing[0]}, because {what}")
    return tuple(inputs), tuple(str(role) for role in full)


def _read_devices(reader: LineReader) -> tuple[DeviceRef, ...]:
    if not reader.try_mark("["):
        return (reader.device(),)
    devices = [reader.device()]
    while reader.try_mark(","):
        devices.append(reader.device())
    reader.mark("]")
    return tuple(devices)


def positional_roles(entry: OpEntry | None, count: int) -> list[str | None]:
    """The role that an operand without one has, by position; None where it must be written."""
    roles: list[str | None] = [r.rstrip("?") for r in entry.operands if not r.endswith("*")] if entry else []
    if entry and entry.operands and entry.operands[-1].endswith("*"):
        roles += [f"{entry.operands[-1][:-1]}.{i}" for i in range(max(0, count - len(roles)))]
    if entry and any(r.endswith("*") for r in entry.operands[:-1]):
        first = next(i for i, r in enumerate(entry.operands) if r.endswith("*"))
        roles = roles[:first]
    return roles[:count] + [None] * (count - len(roles))
