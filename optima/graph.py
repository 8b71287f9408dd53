"""The frozen, typed view of a model graph that every room of Optima works on.

A ``Graph`` is a list of ops in topological order over named tensors. Operand lists are the truth; nothing
is mutated: a pass builds another graph. ``verify()`` says whether it keeps its own rules, ``dump()`` and
``Graph.parse()`` are the text form (design: the test language, the debug dump and the bug report).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from devices import DeviceRef, Problem
from torch2nx.errors import GraphError

#: attribute values: builtin scalars, or (nested) tuples of them
Attr = Any


@dataclass(frozen=True)
class TensorType:
    """Shape (PyTorch's order, ints) and dtype (``"float32"``, ``"int64"``, ``"bool"``, ...)."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def numel(self) -> int:
        """Number of elements; 1 for a scalar, 0 for an empty tensor."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    @property
    def nbytes(self) -> int:
        """Size in bytes of the dense, row-major form."""
        return self.numel * itemsize(self.dtype)


_ITEMSIZE = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint8": 1, "bool": 1, "complex64": 8,
}  # fmt: skip


def itemsize(dtype: str) -> int:
    """Bytes of one element. Raises GraphError for a dtype that Optima does not know."""
    if dtype not in _ITEMSIZE:
        known = ", ".join(_ITEMSIZE)
        raise GraphError(f"{dtype!r} is not a dtype that Optima knows", hint=f"use one of {known}")
    return _ITEMSIZE[dtype]


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The numpy dtype that stores ``dtype``: bfloat16 travels as its uint16 bits."""
    itemsize(dtype)
    return np.dtype("uint16" if dtype == "bfloat16" else dtype)


@dataclass(frozen=True)
class Origin:
    """The user's own Python line: file relative to its import root, function, module path, the text."""

    file: str
    line: int
    function: str
    module: str = ""
    code: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line} in {self.function}"
        return f"{where} ({self.module})" if self.module else where


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in the graph. ``value`` is set for parameters whose data is at hand.

    ``source`` is a parameter's PyTorch name (``layer1.0.conv1.weight``), ``argument`` an input's argument
    name, ``layout`` the order in which a border tensor is given to the user (``""`` or ``"NHWC"``), and
    ``recipe`` how a pass made a parameter from PyTorch's (see ``optima.recipe``); None means "as it is".
    """

    name: str
    type: TensorType
    is_param: bool = False
    value: np.ndarray[Any, Any] | None = None
    source: str = ""
    argument: str = ""
    layout: str = ""
    recipe: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype


@dataclass(frozen=True)
class Op:
    """One operation. ``roles[i]`` is the name of the operand that ``inputs[i]`` plays (``"weight"``).

    A list operand's members are ``tensors.0``, ``tensors.1``, ...; an absent optional operand has no entry.
    ``devices`` is the map's preference list, ``kernel`` the fused group (both empty until their step ran).
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    roles: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    devices: tuple[DeviceRef, ...] = ()
    kernel: str = ""

    def operand(self, role: str) -> str | None:
        """The name of the tensor in ``role``, or None where that operand is absent."""
        for r, name in zip(self.roles, self.inputs, strict=True):
            if r == role:
                return name
        return None

    def operands(self, role: str) -> tuple[str, ...]:
        """The tensors of a list operand, in order."""
        return tuple(n for r, n in zip(self.roles, self.inputs, strict=True) if r.split(".")[0] == role)

    @property
    def where(self) -> str:
        """The first origin as text, "" when the op has none."""
        return str(self.origins[0]) if self.origins else ""

    def problem(self, reason: str) -> Problem:
        """This op as a row of an error."""
        return Problem(self.name, reason, self.where, self.origins[0].code if self.origins else "")


@dataclass(frozen=True)
class Symbol:
    """A size known only at run time, from ``min`` to ``max``; the int64 scalar ``count`` holds it.

    ``axes`` are the (output tensor, axis) pairs that it is the size of: there the tensor has ``max`` rows, of which
    the first ``count`` are the result.
    """

    name: str
    min: int
    max: int
    count: str
    axes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """``ops`` in topological order; ``tensors`` holds every tensor named by an op, an input or an output.

    ``symbols`` belong to the graph of a whole model; their counts are kept as outputs are.
    """

    name: str
    ops: tuple[Op, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    in_tree: str = ""
    out_tree: str = ""
    symbols: tuple[Symbol, ...] = ()

    @cached_property
    def producer(self) -> Mapping[str, Op]:
        """Tensor name -> the op that computes it; inputs and parameters are not in it."""
        return MappingProxyType({out: op for op in self.ops for out in op.outputs})

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Op, ...]]:
        """Tensor name -> the ops that read it, in graph order, each once."""
        table: dict[str, list[Op]] = {name: [] for name in self.tensors}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                table.setdefault(name, []).append(op)
        return MappingProxyType({name: tuple(ops) for name, ops in table.items()})

    @cached_property
    def op_by_name(self) -> Mapping[str, Op]:
        """Op name -> op."""
        return MappingProxyType({op.name: op for op in self.ops})

    @property
    def params(self) -> tuple[Tensor, ...]:
        """Every parameter, buffer and lifted constant, in table order."""
        return tuple(t for t in self.tensors.values() if t.is_param)

    @property
    def results(self) -> tuple[str, ...]:
        """The outputs, and the counts that are no outputs: all that must be there in the end."""
        counts = dict.fromkeys(s.count for s in self.symbols)
        return (*self.outputs, *(n for n in counts if n not in self.outputs))

    def type_of(self, tensor: str) -> TensorType:
        """The type of a tensor by name."""
        return self.tensors[tensor].type

    def rebuild(
        self,
        ops: Iterable[Op],
        new_tensors: Iterable[Tensor] = (),
        *,
        outputs: Iterable[str] | None = None,
        inputs: Iterable[str] | None = None,
    ) -> Graph:
        """The graph after a pass: these ops in this order, unused tensors dropped, new ones added."""
        ops = tuple(ops)
        known = {**self.tensors, **{t.name: t for t in new_tensors}}
        in_names = self.inputs if inputs is None else tuple(inputs)
        out_names = self.outputs if outputs is None else tuple(outputs)
        used = dict.fromkeys(in_names)
        for op in ops:
            used.update(dict.fromkeys(op.inputs))
            used.update(dict.fromkeys(op.outputs))
        used.update(dict.fromkeys((*out_names, *(s.count for s in self.symbols))))
        return replace(
            self, ops=ops, tensors={n: known[n] for n in used}, inputs=in_names, outputs=out_names
        )

    def extract(self, name: str, ops: Iterable[Op]) -> Graph:
        """The part made of ``ops`` (given in graph order) as a graph of its own.

        Inputs are the non-parameter tensors it reads and does not make, in order of first use; outputs those
        it makes that anything outside, or the graph's own output list, reads, in order of production.
        """
        part = tuple(ops)
        inside = {op.name for op in part}
        made = {out for op in part for out in op.outputs}
        ins: dict[str, None] = {}
        used: dict[str, None] = {}
        for op in part:
            for n in op.inputs:
                used[n] = None
                if n not in made and not self.tensors[n].is_param:
                    ins[n] = None
            used.update(dict.fromkeys(op.outputs))
        final = set(self.results)
        outs = [
            out
            for op in part
            for out in op.outputs
            if out in final or any(c.name not in inside for c in self.consumers[out])
        ]
        return Graph(name, part, {n: self.tensors[n] for n in used}, tuple(ins), tuple(outs))

    def verify(self, *, types: bool = True) -> Graph:
        """Check this graph against the rules of section 11 of the design and return it.

        Raises GraphError listing every violation: an operand that nothing defines or that is defined later,
        a tensor with two producers, an unknown operator or attribute, and (with ``types``) an output whose
        type is not the one that its op's rule derives.
        """
        from optima.graph_verify import problems_of

        problems = problems_of(self, types=types)
        if problems:
            raise GraphError(f"graph {self.name!r} breaks {len(problems)} of its rules", problems=problems)
        return self

    def dump(self) -> str:
        """The text form; ``Graph.parse`` reads it back. Parameter values are elided."""
        from optima.graph_text import dump

        return dump(self)

    @staticmethod
    def parse(text: str, values: Mapping[str, np.ndarray[Any, Any]] | None = None) -> Graph:
        """Read ``dump()``'s text. ``values`` maps parameter names to data; without it they stay abstract.

        Raises GraphError with the line number of the first line that is not in the form.
        """
        from optima.graph_text import parse

        return parse(text, values or {})
