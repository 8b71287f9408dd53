"""Operators of the user's own: a ``torch.library`` operator -> the op that it becomes in a graph.

``optima.ops.register`` fills the table for an entry with a ``source``. Every tensor argument becomes an operand
and everything else an attribute, under the names in the operator's schema, as for aten's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torch2nx.errors import RegisterError

if TYPE_CHECKING:
    from torch._ops import OpOverload

_SOURCE: Final = re.compile(r"(?P<namespace>\w+)::(?P<packet>\w+)(?:\.(?P<overload>\w+))?\Z")


@dataclass(frozen=True)
class Extension:
    """``op``: its name in graphs. ``module``: what to import so that it is registered; ``__main__`` for a script."""

    op: str
    module: str


_TABLE: dict[str, Extension] = {}


def register_op(source: str, op: str, module: str) -> None:
    """Let calls of the torch operator ``source`` ("mylib::cube", or one overload: "mylib::cube.out") become ``op``.

    Raises RegisterError when torch has no such operator, or when a graph cannot hold its calls.
    """
    found = overloads_of(source)
    for overload in found:
        other = _TABLE.get(str(overload))
        if other is not None and other.op != op:
            raise RegisterError(f"calls of {overload} become {other.op!r} already", hint="register it once")
    for name in [name for name, known in _TABLE.items() if known.op == op]:
        del _TABLE[name]
    _TABLE.update({str(overload): Extension(op, module) for overload in found})


def extension_of(target: str) -> Extension | None:
    """What calls of an overload ("mylib.cube.default") become, if it was registered."""
    return _TABLE.get(target)


def registered() -> dict[str, str]:
    """Every registered overload -> the op that it becomes."""
    return {target: extension.op for target, extension in _TABLE.items()}


def overloads_of(source: str) -> list[OpOverload]:
    """The overloads that a ``source`` names: one, or all of its packet.

    Raises RegisterError when there is none, and for one that writes into an operand or returns no plain tensors.
    """
    import torch

    match = _SOURCE.match(source)
    if match is None:
        raise RegisterError(f"{source!r} is not the name of a torch operator", hint='write it like "mylib::cube"')
    namespace, name, wanted = match.group("namespace", "packet", "overload")
    packet = getattr(getattr(torch.ops, namespace), name, None)
    names = [n for n in packet.overloads() if wanted in (None, n)] if packet is not None else []
    if not names:
        raise RegisterError(
            f"torch has no operator {source!r}",
            hint="define it first (torch.library.custom_op, or Library.define), then register its entry",
        )
    found = [getattr(packet, n) for n in names]
    for overload in found:
        _check(overload)
    return found


def _check(overload: OpOverload) -> None:
    schema = overload._schema
    if any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments):
        raise RegisterError(
            f"{overload} writes into its operands", hint="a graph has no writes: return the result as a new tensor"
        )
    if any(r.alias_info is not None for r in schema.returns):
        raise RegisterError(f"{overload} returns a view of an operand", hint="return a tensor of its own")
    if not schema.returns or any(str(r.type) != "Tensor" for r in schema.returns):
        raise RegisterError(f"{overload} must return one or more tensors: {schema}")


def arguments_of(overload: OpOverload) -> tuple[list[str], dict[str, object]]:
    """(roles in order, ``"bias?"`` optional and ``"tensors*"`` a list; name -> default of every other argument).

    An argument without a default has none in the table's sense: ``...``.
    """
    roles: list[str] = []
    plain: dict[str, object] = {}
    for argument in overload._schema.arguments:
        kind = str(argument.type)
        if "Tensor" in kind:
            mark = "*" if kind.startswith("List") else "?" if kind.startswith("Optional") else ""
            roles.append(argument.name + mark)
        else:
            plain[argument.name] = argument.default_value if argument.has_default_value() else ...
    return roles, plain
