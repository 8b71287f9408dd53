"""Giving a family's entries their ONNX routes, and the refusals that rules share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optima.ops.entry import Onnx, OpEntry, OpView
from optima.ops.routes import Refuse, with_route

FLOATING = ("float32", "float16")
#: what arithmetic takes
NUMBERS = (*FLOATING, "int64", "int32")
#: what only moves
ANY = (*NUMBERS, "float64", "int16", "int8", "uint8", "bool")


def with_onnx(entries: Sequence[OpEntry], routes: Mapping[str, Onnx]) -> tuple[OpEntry, ...]:
    """The entries, each with its route. Raises KeyError for a route that belongs to none of them."""
    return with_route(entries, "onnx", routes)


def only(*dtypes: str) -> Refuse:
    """Refuses results of another dtype."""

    def reason(view: OpView) -> str | None:
        dtype = view.outputs[0].dtype
        return None if dtype in dtypes else f"{view.op} that gives {dtype} has no ONNX form here"

    return reason
