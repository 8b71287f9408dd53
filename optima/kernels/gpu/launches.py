"""Split a lowered function into launches: what one dispatch runs, the buffers it takes, and its sizes.

At the function's top level stand allocations of global memory (temporaries that launches share), views of its
parameters, launches (``thread_extent``), and plain statements of kernels that no schedule could part: each run of
those is a launch of one thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from devices import UserError

_AXES = {f"{what}Idx.{axis}": (what, k) for what in ("block", "thread") for k, axis in enumerate("xyz")}


#: what ``rounds`` says at most
_MOST_ROUNDS = 2**62
#: what the printers know; a language may have fewer
DTYPES = frozenset(
    (
        "bool", "float64", "float32", "float16", "bfloat16",
        "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    )
)  # fmt: skip


class Unprintable(UserError):
    """A kernel has something that the device's language has no text for: a dtype, a function, or a form of loop.

    Example: an operator that computes in float64, for Vulkan. Fix: map it to another device, as the hint says.
    """


def unprintable(what: str, form: str = "GPU") -> Unprintable:
    """The refusal, with what to do. ``form``: what it would be printed for."""
    return Unprintable(f"{what} has no {form} form", hint="map the operator to another device, such as X64:0")


def printable(dtype: str) -> str:
    """``dtype``, if any printer knows it. Raises Unprintable."""
    if dtype not in DTYPES:
        raise unprintable(dtype)
    return dtype


def width_of(dtype: str) -> int:
    """Bytes of an element in global memory, where a bool is a byte."""
    return 1 if dtype == "bool" else int("".join(c for c in dtype if c.isdigit())) // 8


@dataclass(frozen=True)
class Temporary:
    """Global memory that launches of one function share: ``length`` elements of ``dtype``."""

    buffer: Any
    dtype: str
    length: int


@dataclass
class Launch:
    """One dispatch: ``body`` runs in ``grid`` workgroups of ``threads`` invocations each.

    ``variables``: (variable, "block" or "thread", axis, extent) of the indices that ``body`` reads.
    """

    body: Sequence[Any]
    grid: list[int] = field(default_factory=lambda: [1, 1, 1])
    threads: list[int] = field(default_factory=lambda: [1, 1, 1])
    variables: list[tuple[Any, str, int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Launches:
    """A function, split. ``parameters``: its buffers in order; ``views``: (buffer, the buffer whose memory it is).

    ``zeros``: variables that are 0 wherever they occur.
    """

    parameters: tuple[Any, ...]
    temporaries: tuple[Temporary, ...]
    launches: tuple[Launch, ...]
    views: tuple[tuple[Any, Any], ...]
    zeros: tuple[Any, ...]


def split(function: Any) -> Launches:
    """The launches of a lowered function, in order. Raises Unprintable for a loop around launches."""
    buffers = list(function.params)
    found = _Split()
    found.statement(function.body)
    found.flush()
    # A written-out loop's buffers may start anywhere; here they start where they are bound.
    zeros = tuple(b.elem_offset for b in buffers if type(b.elem_offset).__name__ == "Var")
    return Launches(tuple(buffers), tuple(found.temporaries), tuple(found.launches), tuple(found.views), zeros)


class _Split:
    def __init__(self) -> None:
        self.temporaries: list[Temporary] = []
        self.launches: list[Launch] = []
        self.views: list[tuple[Any, Any]] = []
        self._serial: list[Any] = []

    def statement(self, node: Any) -> None:
        kind = type(node).__name__
        if kind == "SeqStmt":
            for part in node.seq:
                self.statement(part)
        elif kind == "DeclBuffer":
            self.views.append((node.buffer, viewed(node)))
        elif kind == "AllocBuffer" and node.buffer.scope() == "global":
            self.temporaries.append(_temporary(node.buffer))
        elif kind == "AttrStmt" and node.attr_key == "thread_extent":
            self.flush()
            self.launches.append(_launch(node))
        elif any(type(n).__name__ == "AttrStmt" and n.attr_key == "thread_extent" for n in nested(node)):
            raise unprintable("a loop around launches")
        else:
            self._serial_statement(node)

    def _serial_statement(self, node: Any) -> None:
        """A statement without threads. What it allocates in global memory becomes a temporary: one thread uses it."""
        for part in nested(node):
            if type(part).__name__ == "AllocBuffer" and part.buffer.scope() == "global":
                self.temporaries.append(_temporary(part.buffer))
        self._serial.append(node)

    def flush(self) -> None:
        """End the launch of one thread that is being collected, if any."""
        if any(type(part).__name__ != "AllocBuffer" for part in self._serial):
            self.launches.append(Launch(tuple(self._serial)))
            self._serial = []


def _temporary(buffer: Any) -> Temporary:
    return Temporary(buffer, printable(str(buffer.dtype)), math.prod(_constant(d) for d in buffer.shape))


def _launch(node: Any) -> Launch:
    launch = Launch(())
    while type(node).__name__ == "AttrStmt" and node.attr_key == "thread_extent":
        tag = str(node.node.thread_tag)
        if tag not in _AXES:
            raise unprintable(f"the thread axis {tag!r}")
        what, axis = _AXES[tag]
        extent = _constant(node.value)
        (launch.grid if what == "block" else launch.threads)[axis] = extent
        launch.variables.append((node.node.var, what, axis, extent))
        node = node.body
    launch.body = (node,)
    return launch


def viewed(declaration: Any) -> Any:
    """The buffer whose memory a ``DeclBuffer`` names."""
    data = declaration.data
    if str(getattr(getattr(data, "op", None), "name", "")) != "tirx.buffer_data":
        raise unprintable(f"memory given by {data}")
    return data.args[0]


def _constant(extent: Any) -> int:
    if type(extent).__name__ != "IntImm":
        raise unprintable(f"the extent {extent}, which is not constant,")
    return int(extent.value)


def nested(node: Any) -> Iterator[Any]:
    """A statement and all statements in it."""
    yield node
    if type(node).__name__ == "SeqStmt":
        for part in node.seq:
            yield from nested(part)
    for name in ("body", "then_case", "else_case"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from nested(inner)


def rounds(whole: Launches, launch: Launch) -> int:
    """How often the loops of a launch go round in one thread, all together, at most.

    lavapipe ends every loop for good after 65,535 rounds, without a word: its results are then wrong. A loop whose
    end only data decide goes through no more than the longest axis of a parameter, and a ``while`` is taken for a
    search that halves it: for such loops this is an estimate.
    """
    from tvm import sym

    longest = max((int(d) for p in whole.parameters for d in p.shape), default=1)
    analyzer = sym.Analyzer()
    return sum(_rounds(statement, analyzer, longest) for statement in launch.body)


def _rounds(node: Any, analyzer: Any, longest: int) -> int:
    from tvm.ir import Range

    kind = type(node).__name__
    if kind == "SeqStmt":
        return sum(_rounds(part, analyzer, longest) for part in node.seq)
    if kind == "For":
        known = type(node.extent).__name__ == "IntImm"
        most = int(node.extent.value) if known else int(analyzer.const_int_bound(node.extent).max_value)
        analyzer.bind(node.loop_var, Range.from_min_extent(node.min, node.extent))
        most = max(0, most if known else min(most, longest))
        return min(most * (1 + _rounds(node.body, analyzer, longest)), _MOST_ROUNDS)
    if kind == "While":
        return min(longest.bit_length() * (1 + _rounds(node.body, analyzer, longest)), _MOST_ROUNDS)
    inner = [getattr(node, name, None) for name in ("body", "then_case", "else_case")]
    return sum(_rounds(part, analyzer, longest) for part in inner if part is not None)
