"""Statements as text, and a launch as a whole kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optima.kernels.gpu.launches import Launch, Launches, rounds, unprintable, viewed, width_of
from optima.kernels.gpu.printer import functions
from optima.kernels.gpu.printer.dialect import Argument, Dialect, Kernel
from optima.kernels.gpu.printer.expressions import Expressions, dtype_of
from optima.kernels.gpu.printer.names import Names
from optima.kernels.schedule.expressions import walk

#: an int32 counts workgroups
_MOST_GROUPS = 2**31 - 1
#: bytes that one thread may keep to itself
_PRIVATE_BYTES = 4096
_SERIAL = 0, 3  # ForKind: serial, unrolled
_PARALLEL = 1
#: "reduce_scope" stands around a fold by threads that is already written out, barriers and all
_IGNORED_ATTRIBUTES = ("reduce_scope", "volatile_scope", "pragma_auto_unroll_max_step", "pragma_unroll_explicit")


@dataclass(frozen=True)
class Printed:
    """A kernel's text and interface. ``entry_point``: what the text calls it.

    ``arguments`` are (place among parameters and temporaries, argument). ``rounds``: how often its loops go round in
    one thread, see ``launches.rounds``.
    """

    text: str
    entry_point: str
    arguments: tuple[tuple[int, Argument], ...]
    grid: tuple[int, int, int]
    threads: tuple[int, int, int]
    shared_bytes: int
    rounds: int


def print_launch(whole: Launches, launch: Launch, dialect: Dialect, groups: int, name: str) -> Printed:
    """One launch as a kernel called ``name``. ``groups``: workgroups that a dispatch may have along an axis.

    Raises Unprintable for what the dialect has no text for.
    """
    memory = [*whole.parameters, *(t.buffer for t in whole.temporaries)]
    names = Names({buffer: k for k, buffer in enumerate(memory)}, dict(whole.views), whole.zeros)
    body = _Body(dialect, names, math.prod(launch.threads) * math.prod(launch.grid))
    grid = body.indices(launch, groups)
    for statement in launch.body:
        body.statement(statement)
    arguments = tuple(sorted(names.arguments.items()))
    dtypes = frozenset(body.expressions.dtypes | {a.dtype for _, a in arguments})
    unknown = sorted(dtypes - dialect.dtypes)
    if unknown:
        raise unprintable(" and ".join(unknown), dialect.form)
    kernel = Kernel(
        entry_point=dialect.entry_point(name),
        arguments=tuple(a for _, a in arguments),
        shared=tuple(names.shared),
        threads=(launch.threads[0], launch.threads[1], launch.threads[2]),
        functions=functions.texts_for(body.expressions.used),
        body="".join(f"  {line}\n" for line in body.lines),
        dtypes=dtypes,
    )
    shared_bytes = sum(s.length * _bytes(s.dtype) for s in names.shared)
    sizes = (grid[0], grid[1], grid[2])
    return Printed(
        dialect.text(kernel), kernel.entry_point, arguments, sizes, kernel.threads, shared_bytes, rounds(whole, launch)
    )


def _guard(node: Any) -> Any:
    """The condition of an ``if`` without ``else`` that only asks for indices: what it guards cannot change it."""
    if type(node).__name__ != "IfThenElse" or node.else_case is not None:
        return None
    loads = any(type(n).__name__ in ("TensorLoad", "Call") for n in walk(node.condition))
    return None if loads else node.condition


def _bytes(dtype: str) -> int:
    return 4 if dtype == "bool" else width_of(dtype)  # a bool that is no byte takes a word


class _Body:
    def __init__(self, dialect: Dialect, names: Names, threads: int) -> None:
        self.dialect, self.names, self._threads = dialect, names, threads
        self.lines: list[str] = []
        self._depth = 0
        self.expressions = Expressions(dialect, names, self.emit)

    def emit(self, line: str) -> None:
        if line.startswith("}"):
            self._depth -= 1
        self.lines.append("  " * self._depth + line)
        if line.endswith("{"):
            self._depth += 1

    def indices(self, launch: Launch, groups: int) -> list[int]:
        """Declare the indices of workgroup and thread; returns the dispatch's sizes.

        More workgroups along x than a dispatch may have are folded into rows along an axis that is free.
        """
        grid = list(launch.grid)
        if min(grid) < 1:  # TVM rounds nearly 2**31 elements up to whole workgroups in an int32
            raise unprintable(f"a launch of {grid} workgroups")
        for variable, what, axis, extent in launch.variables:
            index = self.dialect.index(what, axis)
            name = self.names.declare(variable)
            self.names.bound(variable, 0, extent)
            if what == "thread" or extent <= groups:
                self.emit(f"int {name} = {index};")
                continue
            spare = next((k for k in (1, 2) if grid[k] == 1), None)
            rows = -(-extent // groups)
            if axis != 0 or spare is None or rows > groups or rows * groups > _MOST_GROUPS:
                raise unprintable(f"a launch of {grid} workgroups")
            grid[0], grid[spare] = groups, rows
            self.emit(f"int {name} = {index} + {self.dialect.index('block', spare)} * {groups};")
            self.emit(f"if ({name} >= {extent}) {{")
            self.emit("return;")
            self.emit("}")
        return grid

    def statement(self, node: Any) -> None:
        """Print one statement."""
        method: Callable[[Any], None] | None = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            raise unprintable(f"TensorIR's {type(node).__name__}")
        method(node)

    def _SeqStmt(self, node: Any) -> None:
        from tvm_ffi import structural_equal

        open_condition: Any = None
        for part in node.seq:
            condition = _guard(part)
            joins = open_condition is not None and condition is not None and structural_equal(open_condition, condition)
            if open_condition is not None and not joins:
                self.emit("}")
            if condition is not None and not joins:
                self.emit(f"if ({self.expressions.text(condition)}) {{")
            self.statement(part if condition is None else part.then_case)
            open_condition = condition
        if open_condition is not None:
            self.emit("}")

    def _For(self, node: Any) -> None:
        step = getattr(node, "step", None)
        if int(node.kind) not in (*_SERIAL, _PARALLEL) or (step is not None and int(step) != 1):
            raise unprintable(f"a loop of kind {int(node.kind)}")
        low, extent = self.expressions.text(node.min), node.extent
        end = self.expressions.text(node.min + extent)
        name = self.names.declare(node.loop_var)
        self.names.bound(node.loop_var, node.min, extent)
        kind = self.dialect.type_name(dtype_of(node.loop_var))
        self.emit(f"for ({kind} {name} = {low}; {name} < {end}; ++{name}) {{")
        self.statement(node.body)
        self.emit("}")

    def _While(self, node: Any) -> None:
        self.emit("while (true) {")
        self.emit(f"if (!{self.expressions.text(node.condition)}) {{")
        self.emit("break;")
        self.emit("}")
        self.statement(node.body)
        self.emit("}")

    def _IfThenElse(self, node: Any) -> None:
        self.emit(f"if ({self.expressions.text(node.condition)}) {{")
        self.statement(node.then_case)
        if node.else_case is not None:
            self.emit("} else {")
            self.statement(node.else_case)
        self.emit("}")

    def _BufferStore(self, node: Any) -> None:
        index = self.expressions.index(node.buffer, node.indices)
        value = self._accumulated(node, index) or self.expressions.text(node.value)
        if self.names.is_stored_bool(node.buffer):
            one, zero = self.expressions.literal(1, "uint8"), self.expressions.literal(0, "uint8")
            value = f"({value} ? {one} : {zero})"
        self.emit(f"{self.names.buffer(node.buffer, written=True)}[{index}] = {value};")

    def _accumulated(self, node: Any, index: str) -> str:
        """``c[i] += a * b`` as one operation, where the language has it for the dtype; "" for any other store."""
        total = node.value
        fused = self.dialect.multiply_add.get(dtype_of(total))
        if type(total).__name__ != "Add" or type(total.b).__name__ != "Mul" or fused is None:
            return ""
        load = total.a
        if type(load).__name__ != "TensorLoad" or not load.source.same_as(node.buffer):
            return ""
        if self.expressions.index(load.source, load.indices) != index:
            return ""
        a, b = self.expressions.text(total.b.a), self.expressions.text(total.b.b)
        return f"{fused}({a}, {b}, {self.expressions.text(load)})"

    def _Bind(self, node: Any) -> None:
        value = self.expressions.text(node.value)
        kind = self.dialect.type_name(dtype_of(node.value))
        self.emit(f"{kind} {self.names.declare(node.var)} = {value};")

    def _DeclBuffer(self, node: Any) -> None:
        self.names.view(node.buffer, viewed(node))

    def _AllocBuffer(self, node: Any) -> None:
        buffer = node.buffer
        if self.names.is_global(buffer):
            return
        if buffer.scope() == "global" and self._threads > 1:
            raise unprintable("global memory inside a launch of many threads")
        if any(type(d).__name__ != "IntImm" for d in buffer.shape):
            raise unprintable("an array whose length is not constant")
        length = math.prod(int(d) for d in buffer.shape)
        dtype = str(buffer.dtype)
        name = self.names.allocate(buffer, length)
        self.expressions.dtypes.add(dtype)
        if buffer.scope().startswith("shared"):
            return
        if length * _bytes(dtype) > _PRIVATE_BYTES:
            raise unprintable(f"an array of {length} {dtype} in each thread")
        self.emit(f"{self.dialect.type_name(dtype)} {name}[{length}];")

    def _AttrStmt(self, node: Any) -> None:
        if node.attr_key == "thread_extent":
            raise unprintable("a launch inside a launch")
        if str(node.attr_key) not in _IGNORED_ATTRIBUTES:
            raise unprintable(f"the attribute {node.attr_key}")
        self.statement(node.body)

    def _Evaluate(self, node: Any) -> None:
        value = node.value
        if type(value).__name__ == "IntImm":
            return
        if str(getattr(getattr(value, "op", None), "name", "")) == "tirx.tvm_storage_sync":
            self.emit(self.dialect.barrier)
            return
        raise unprintable(f"the statement {value}")
