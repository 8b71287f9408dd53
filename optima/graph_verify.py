"""The rules that every graph keeps, checked all at once. Nothing here raises, whatever the graph holds.

Structure: each tensor has one definition, which stands before its uses; names are unique; every op names a
known operator, with the operands and attributes that its entry declares. Types: each op's outputs are what
its entry's reference derives from its operands.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

import numpy as np

from devices import OptimaError, Problem
from optima.graph import Graph, Op, Tensor, TensorType, numpy_dtype
from optima.graph_tokens import SHORT_DTYPES, write_literal, write_type
from optima.ops.entry import REQUIRED, OpEntry
from optima.ops.registry import all_entries, entry_of


def problems_of(graph: Graph, types: bool = True) -> list[Problem]:
    """Every violation, in graph order; [] for a sound graph.

    ``types=False`` leaves out the type rules (they load torch).
    """
    broken = {name: why for name, tensor in graph.tensors.items() if (why := _tensor_fault(name, tensor))}
    problems = [Problem(str(name), why) for name, why in broken.items()]
    problems += _definition_problems(graph)
    problems += _symbol_problems(graph)
    problems += _cycle_problems(graph)
    seen: set[str] = set()
    for op in graph.ops:
        faults = list(_op_faults(op))
        if op.name in seen:
            faults.append("another op has the same name")
        seen.add(op.name)
        known = all(n in graph.tensors and n not in broken for n in (*op.inputs, *op.outputs))
        if types and known and not faults:
            faults += _type_faults(graph, op)
        problems += [op.problem(fault) for fault in faults]
    return problems


def _tensor_fault(name: str, tensor: Tensor) -> str | None:
    if tensor.name != name:
        return f"the table's entry {name!r} holds a tensor named {tensor.name!r}"
    shape, dtype = tensor.type.shape, tensor.type.dtype
    if not isinstance(shape, tuple) or any(type(d) is not int or d < 0 for d in shape):
        return f"{shape!r} is not a shape: a tuple of ints from 0"
    if dtype not in SHORT_DTYPES:
        return f"{dtype!r} is not a dtype that Optima knows"
    value = tensor.value
    if value is None:
        return None
    if not isinstance(value, np.ndarray):
        return f"its value is a {type(value).__name__}, not a numpy array"
    if value.shape != shape or value.dtype != numpy_dtype(dtype):
        return f"its value is {value.dtype}{list(value.shape)}, but its type says {write_type(tensor.type)}"
    return None


def _definition_problems(graph: Graph) -> Iterator[Problem]:
    """Inputs, outputs and operands: known, defined once, and before use."""
    for name in dict.fromkeys(graph.inputs):
        if name not in graph.tensors:
            yield Problem(str(name), "an input that is not in the tensor table")
        elif graph.tensors[name].is_param:
            yield Problem(str(name), "an input that is a parameter too")
        if graph.inputs.count(name) > 1:
            yield Problem(str(name), "an input that is listed twice")
    defined = {*graph.inputs, *(name for name, t in graph.tensors.items() if t.is_param)}
    producer: dict[str, Op] = {}
    for op in graph.ops:
        for out in op.outputs:
            producer.setdefault(out, op)
    for op in graph.ops:
        for name in dict.fromkeys(op.inputs):
            if name not in defined:
                yield op.problem(_undefined(graph, name, producer))
        for out in op.outputs:
            if out not in graph.tensors:
                yield op.problem(f"its output {out!r} is not in the tensor table")
            if out in defined:
                first = producer[out] if producer[out] is not op else None
                other = f"by {first.name}" if first else "as an input, a parameter or another output"
                yield op.problem(f"its output {out!r} is already defined {other}")
        defined.update(op.outputs)
    for name in dict.fromkeys(graph.outputs):
        if name not in graph.tensors or name not in defined:
            yield Problem(str(name), "an output of the graph that nothing computes")


def _symbol_problems(graph: Graph) -> Iterator[Problem]:
    """Counts that are int64 scalars, and axes of outputs with room for as many rows as the symbol may count."""
    taken: set[tuple[str, int]] = set()
    for symbol in graph.symbols:
        count = graph.tensors.get(symbol.count)
        if count is None or count.type != TensorType((), "int64"):
            yield Problem(symbol.name, f"its count {symbol.count!r} is no int64 scalar of the graph")
        elif not count.is_param and count.name not in graph.producer and count.name not in graph.inputs:
            yield Problem(symbol.name, f"nothing computes its count {symbol.count!r}")
        if not 0 <= symbol.min <= symbol.max:
            yield Problem(symbol.name, f"it goes from {symbol.min} to {symbol.max}")
        for name, axis in symbol.axes:
            shape = graph.tensors[name].shape if name in graph.tensors else ()
            if name not in graph.outputs or not 0 <= axis < len(shape) or shape[axis] != symbol.max:
                yield Problem(symbol.name, f"axis {axis} of {name!r} is no axis of an output of size {symbol.max}")
            if (name, axis) in taken:
                yield Problem(symbol.name, f"axis {axis} of {name!r} has two symbols")
            taken.add((name, axis))


def _undefined(graph: Graph, name: str, producer: Mapping[str, Op]) -> str:
    if name in producer:
        return f"its operand {name!r} is computed later, by {producer[name].name}"
    if name not in graph.tensors:
        return f"its operand {name!r} is not in the tensor table"
    return f"its operand {name!r} is neither an input, a parameter, nor the output of an op"


def _cycle_problems(graph: Graph) -> Iterator[Problem]:
    """One problem for a cycle, with its ops in order; found by taking away what depends on nothing left."""
    maker = {out: i for i, op in enumerate(graph.ops) for out in op.outputs}
    needs = [{maker[n] for n in op.inputs if n in maker} for op in graph.ops]
    users: list[list[int]] = [[] for _ in graph.ops]
    for i, sources in enumerate(needs):
        for j in sources:
            users[j].append(i)
    waiting = [len(sources) for sources in needs]
    ready = [i for i, count in enumerate(waiting) if not count]
    left = set(range(len(graph.ops)))
    while ready:
        i = ready.pop()
        left.discard(i)
        for j in users[i]:
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    if not left:
        return
    path = [min(left)]
    while path[-1] not in path[:-1]:
        path.append(min(needs[path[-1]] & left))
    loop = [graph.ops[i] for i in reversed(path[path.index(path[-1]) :])]
    yield loop[0].problem(f"a cycle: {' -> '.join(op.name for op in loop)}")


def _op_faults(op: Op) -> Iterator[str]:
    """What is wrong with an op by itself, against its entry's declaration."""
    if len(op.roles) != len(op.inputs):
        yield f"it has {len(op.inputs)} operands but {len(op.roles)} roles"
    for role in dict.fromkeys(op.roles):
        if op.roles.count(role) > 1:
            yield f"the operand {role!r} is given twice"
    if not op.outputs:
        yield "it has no output"
    for key, value in op.attrs.items():
        try:
            write_literal(value)
        except OptimaError as error:
            yield f"attribute {key!r}: {error.message}"
    entry = entry_of(op.op)
    if entry is None:
        near = difflib.get_close_matches(op.op, [e.name for e in all_entries()], n=1)
        yield f"there is no operator {op.op!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    else:
        yield from _declaration_faults(op, entry)


def _declaration_faults(op: Op, entry: OpEntry) -> Iterator[str]:
    declared = {role.rstrip("?*"): role for role in entry.operands}
    for role in op.roles:
        head, dot, index = role.partition(".")
        is_list = "*" in declared.get(head, "")
        if head not in declared or is_list != bool(dot) or (dot and not index.isdecimal()):
            yield f"{op.op} has no operand {role!r} (it has {', '.join(entry.operands) or 'none'})"
    for head, role in declared.items():
        # A number in a tensor's place is an attribute of the operand's name.
        if role == head and head not in op.roles and head not in op.attrs:
            yield f"the operand {head!r} of {op.op} is missing"
    for key in op.attrs:
        if key not in entry.attrs and key not in declared:
            yield f"{op.op} has no attribute {key!r} (it has {', '.join(entry.attrs) or 'none'})"
    for key, default in entry.attrs.items():
        if default is REQUIRED and key not in op.attrs and key not in op.roles:
            yield f"the attribute {key!r} of {op.op} is missing"


def _type_faults(graph: Graph, op: Op) -> list[str]:
    from optima.ops.reference import infer_types

    stated = tuple(graph.type_of(n) for n in op.outputs)
    try:
        derived: tuple[TensorType, ...] = infer_types(op, [graph.type_of(n) for n in op.inputs])
    except OptimaError as error:
        return [error.message]
    # A user's reference may fail in any way of its own; whichever it is, it is this op's problem.
    except Exception as error:  # noqa: BLE001
        return [f"its reference fails: {type(error).__name__}: {error}"]
    if len(stated) != len(derived):
        return [f"it has {len(stated)} outputs, but {op.op} gives {len(derived)}"]
    return [
        f"its output {name!r} is {write_type(is_)}, but {op.op} gives {write_type(should)}"
        for name, is_, should in zip(op.outputs, stated, derived, strict=True)
        if is_ != should
    ]
