"""A kernel's program as text: how a user's own compute reaches a compile process that cannot import it.

Built-in operators are lowered in the worker, from the group's text. A group with an operator of the user's own is
turned into TensorIR where the entry lives, be it a module, a script or a notebook, and sent as TVMScript; its
digest is part of the kernel's key, so that an edited compute is another kernel.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optima.graph import Graph
from optima.kernels.lower import program_of
from optima.ops.registry import is_registered

if TYPE_CHECKING:
    import tvm


@dataclass(frozen=True)
class Program:
    """The unscheduled function of a group. ``text`` is "" where TVMScript cannot hold it."""

    module: tvm.IRModule
    text: str
    digest: str


def own_program(group: Graph) -> Program | None:
    """The program of a group that has an operator of the user's own; None for any other.

    Raises ComputeError for a compute that fails.
    """
    if not any(is_registered(op.op) for op in group.ops):
        return None
    from tvm_ffi import structural_hash

    module = program_of(group)
    text = module.script()
    # The hash covers what the text may round.
    digest = hashlib.sha256(f"{text}\0{structural_hash(module)}".encode()).hexdigest()
    return Program(module, text if _reads_back(module, text) else "", digest)


def _reads_back(module: tvm.IRModule, text: str) -> bool:
    from tvm_ffi import structural_equal

    try:
        return bool(structural_equal(read_program(text), module))
    # The parser of TVMScript has many ways to fail; each means the same here.
    except Exception:  # noqa: BLE001
        return False


def read_program(text: str) -> Any:
    """The program that a text holds."""
    import tvm

    return tvm.script.from_source(text)


def renamed(module: tvm.IRModule, name: str) -> tvm.IRModule:
    """The module of one function, with the function called ``name``."""
    import tvm

    (function,) = module.functions.values()
    return tvm.IRModule({name: function.with_attr("global_symbol", name)})
