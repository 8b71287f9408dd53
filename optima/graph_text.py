"""The text form of a graph: the test language, the debug dump between passes and the bug report.

    graph block(%x: f32[1,64,56,56] arg "x" layout "NHWC") -> (%t)
      %w = param "conv1.weight" : f32[64,64,3,3]
      %t = conv2d_1: conv2d(%x, %w) {padding=[1,1]} : f32[1,64,56,56] @X64:0 !k0 # model.py:12 in stem (layer1.0)

Rules:
- One line per op, in graph order; a parameter stands before the first op that reads it. Blank lines and lines
  that begin with ``#`` are skipped.
- An operand is written alone when its role is the entry's operand at that position (members of a list operand
  that comes last follow on), otherwise ``role=%t``. Operands of an unknown operator are all written with roles.
- An attribute is left out when it equals the entry's default in value and type; ``parse`` puts every default
  of the entry back. So an absent attribute and its default are the same text, and mean the same.
- ``arg``, ``layout``, ``source`` and ``recipe`` after a type are the tensor's fields, where they are set.
- Parameter values and the text of origins' lines are not written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from devices import DeviceRef
from optima.graph import Graph, Op, Tensor, TensorType
from optima.graph_tokens import (
    LineReader,
    write_literal,
    write_name,
    write_origins,
    write_tensor,
    write_type,
)
from optima.ops.entry import REQUIRED, OpEntry
from optima.ops.registry import entry_of
from torch2nx.errors import GraphError


def dump(graph: Graph) -> str:
    """The text form of ``graph``. Equal graphs give equal text; a graph that breaks its rules is written too."""
    inputs = ", ".join(f"{write_tensor(n)}: {_described(graph, n)}" for n in graph.inputs)
    outputs = ", ".join(write_tensor(n) for n in graph.outputs)
    lines = [f"graph {write_name(graph.name)}({inputs}) -> ({outputs})"]
    lines += [f"  {k} {write_literal(v)}" for k in ("in_tree", "out_tree") if (v := getattr(graph, k))]
    written = set(graph.inputs)

    def param_lines(names: Sequence[str]) -> Iterator[str]:
        for name in names:
            tensor = graph.tensors.get(name)
            if tensor is not None and tensor.is_param and name not in written:
                written.add(name)
                source = f" {write_literal(tensor.source)}" if tensor.source else ""
                yield f"  {write_tensor(name)} = param{source} : {_described(graph, name)}"

    for op in graph.ops:
        lines += param_lines(op.inputs)
        lines.append("  " + _op_line(graph, op))
        written.update(op.outputs)
    lines += param_lines(tuple(graph.tensors))
    lines += [
        f"  {write_tensor(n)} = tensor : {_described(graph, n)}" for n in graph.tensors if n not in written
    ]
    return "\n".join(lines) + "\n"


def _described(graph: Graph, name: str) -> str:
    tensor = graph.tensors.get(name)
    if tensor is None:
        return "?"
    text = write_type(tensor.type)
    source = "" if tensor.is_param and name not in graph.inputs else tensor.source
    for key, value in (("arg", tensor.argument), ("layout", tensor.layout), ("source", source)):
        if value:
            text += f" {key} {write_literal(value)}"
    return text if tensor.recipe is None else f"{text} recipe {write_literal(tensor.recipe)}"


def _op_line(graph: Graph, op: Op) -> str:
    entry = entry_of(op.op)
    places = _positional_roles(entry, len(op.inputs))
    operands, in_order = [], True
    for i, (role, name) in enumerate(zip(op.roles, op.inputs, strict=False)):
        in_order = in_order and role == places[i]
        operands.append(write_tensor(name) if in_order else f"{write_name(role)}={write_tensor(name)}")
    defaults = entry.attrs if entry else {}
    attrs = [
        f"{write_name(k)}={write_literal(op.attrs[k])}"
        for k in sorted(op.attrs)
        if k not in defaults or not _same_literal(defaults[k], op.attrs[k])
    ]
    text = ", ".join(write_tensor(n) for n in op.outputs)
    name = json.dumps(op.name) if op.name in ("param", "tensor") else write_name(op.name)
    text += f" = {name}: {write_name(op.op)}({', '.join(operands)})"
    text += f" {{{', '.join(attrs)}}}" if attrs else ""
    text += " : " + ", ".join(_described(graph, n) for n in op.outputs)
    if op.devices:
        devices = ",".join(map(str, op.devices))
        text += f" @{devices}" if len(op.devices) == 1 else f" @[{devices}]"
    text += f" !{write_name(op.kernel)}" if op.kernel else ""
    return text + (f" # {write_origins(op.origins)}" if op.origins else "")


def _positional_roles(entry: OpEntry | None, count: int) -> list[str | None]:
    """The role that an operand without one has, by position; None where it must be written."""
    roles: list[str | None] = [r.rstrip("?") for r in entry.operands if not r.endswith("*")] if entry else []
    if entry and entry.operands and entry.operands[-1].endswith("*"):
        roles += [f"{entry.operands[-1][:-1]}.{i}" for i in range(max(0, count - len(roles)))]
    if entry and any(r.endswith("*") for r in entry.operands[:-1]):
        first = next(i for i, r in enumerate(entry.operands) if r.endswith("*"))
        roles = roles[:first]
    return roles[:count] + [None] * (count - len(roles))


def _same_literal(a: Any, b: Any) -> bool:
    # By text: 1, 1.0 and True differ, nan equals itself, a list equals a tuple.
    return a is not REQUIRED and b is not REQUIRED and write_literal(a) == write_literal(b)


def parse(text: str, values: Mapping[str, np.ndarray[Any, Any]] | None = None) -> Graph:
    """Read ``dump()``'s text. ``values`` maps parameter names to data; without it they stay abstract.

    Raises GraphError with the line number of the first line that is not in the form.
    """
    head: Graph | None = None
    ops: list[Op] = []
    tensors: dict[str, Tensor] = {}
    trees = {"in_tree": "", "out_tree": ""}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        reader = LineReader(line, number)
        if head is None:
            head = _read_head(reader, tensors)
        elif reader.kind == "word" and reader.token in trees:
            key = reader.name("in_tree or out_tree")
            trees[key] = reader.string("the tree as a string")
        else:
            _read_definition(reader, ops, tensors, values or {})
        reader.end()
    if head is None:
        raise GraphError("line 1: expected 'graph name(...) -> (...)', but the text is empty")
    return replace(head, ops=tuple(ops), tensors=_in_canonical_order(head, ops, tensors), **trees)


def _in_canonical_order(head: Graph, ops: Sequence[Op], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The order of Graph.rebuild: inputs, then op by op its operands and results, then the rest as written."""
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
    type_ = reader.type()
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
    places = _positional_roles(entry, len(inputs))
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


def structurally_equal(a: Graph, b: Graph) -> bool:
    """Whether two graphs are the same but for parameter values, the text of origins' lines and table order.

    An attribute that is absent equals its entry's default.
    """
    trees = ("name", "inputs", "outputs", "in_tree", "out_tree")
    if any(getattr(a, key) != getattr(b, key) for key in trees) or a.tensors.keys() != b.tensors.keys():
        return False
    if len(a.ops) != len(b.ops) or not all(map(_equal_ops, a.ops, b.ops)):
        return False
    return all(_tensor_key(a.tensors[name]) == _tensor_key(b.tensors[name]) for name in a.tensors)


def _tensor_key(t: Tensor) -> tuple[str, TensorType, bool, str, str, str, str]:
    return t.name, t.type, t.is_param, t.source, t.argument, t.layout, write_literal(t.recipe)


def _equal_ops(a: Op, b: Op) -> bool:
    return (
        (a.name, a.op, a.inputs, a.roles, a.outputs, a.devices, a.kernel)
        == (b.name, b.op, b.inputs, b.roles, b.outputs, b.devices, b.kernel)
        and [replace(o, code="") for o in a.origins] == [replace(o, code="") for o in b.origins]
        and _complete_attrs(a) == _complete_attrs(b)
    )


def _complete_attrs(op: Op) -> dict[str, str]:
    entry = entry_of(op.op)
    defaults = {k: v for k, v in entry.attrs.items() if v is not REQUIRED} if entry else {}
    return {k: write_literal(v) for k, v in {**defaults, **op.attrs}.items()}
