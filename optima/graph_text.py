"""The text form of a graph: the test language, the debug dump between passes and the bug report.

    graph block(%x: f32[1,64,56,56] arg "x" layout "NHWC") -> (%t)
      %w = param "conv1.weight" : f32[64,64,3,3]
      %t = conv2d_1: conv2d(%x, %w) {padding=[1,1]} : f32[1,64,56,56] @X64:0 !k0 # model.py:12 in stem (conv1)

Rules:
- One line per op, in graph order; a parameter stands before the first op that reads it. Blank lines and lines
  that begin with ``#`` are skipped.
- An operand is written alone when its role is the entry's operand at that position (members of a list operand
  that comes last follow on), otherwise ``role=%t``. Operands of an unknown operator are all written with
  roles.
- An attribute is left out when it equals the entry's default in value and type; ``parse`` puts every default
  of the entry back. So an absent attribute and its default are the same text, and mean the same.
- ``symbol n0 min 1 max 100 count %t axes [["t_2",0]]``, a line after the head, is a size known only at run time.
- ``arg``, ``layout``, ``source`` and ``recipe`` after a type are the tensor's fields, where they are set.
- Parameter values and the text of origins' lines are not written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from optima.graph import Graph, Op, Tensor, TensorType
from optima.graph_parse import parse, positional_roles
from optima.graph_tokens import (
    write_literal,
    write_name,
    write_origins,
    write_tensor,
    write_type,
)
from optima.ops.entry import REQUIRED
from optima.ops.registry import entry_of

__all__ = ["dump", "parse", "structurally_equal"]


def dump(graph: Graph) -> str:
    """The text form of ``graph``. Equal graphs give equal text; one that breaks its rules is written too."""
    inputs = ", ".join(f"{write_tensor(n)}: {_described(graph, n)}" for n in graph.inputs)
    outputs = ", ".join(write_tensor(n) for n in graph.outputs)
    lines = [f"graph {write_name(graph.name)}({inputs}) -> ({outputs})"]
    lines += [f"  {k} {write_literal(v)}" for k in ("in_tree", "out_tree") if (v := getattr(graph, k))]
    lines += [
        f"  symbol {write_name(s.name)} min {s.min} max {s.max} count {write_tensor(s.count)} "
        f"axes {write_literal(s.axes)}"
        for s in graph.symbols
    ]
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
    places = positional_roles(entry, len(op.inputs))
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


def _same_literal(a: Any, b: Any) -> bool:
    # By text: 1, 1.0 and True differ, nan equals itself, a list equals a tuple.
    return a is not REQUIRED and b is not REQUIRED and write_literal(a) == write_literal(b)


def structurally_equal(a: Graph, b: Graph) -> bool:
    """Whether two graphs are the same but for parameter values, the text of origins' lines and table order.

    An attribute that is absent equals its entry's default.
    """
    trees = ("name", "inputs", "outputs", "in_tree", "out_tree", "symbols")
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
