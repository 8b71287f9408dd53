"""One op case as data: reused by the reference, the type rule, and every backend that claims the op."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from optima.graph import Graph, Op, Tensor, TensorType
from optima.ops.reference import infer_types


@dataclass(frozen=True)
class Arg:
    """An operand: role, shape, dtype and how to draw its values.

    ``fill``: "normal" (floats around 0), "positive" (0.1 .. 2), "unit" (-0.9 .. 0.9), "fraction" (0 .. 1),
    "index" (0 .. high-1), "bool", "special" (normal with inf, -inf, nan and 0 mixed in), "nonzero" (integers for
    divisors).
    """

    role: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    fill: str = "normal"
    high: int = 4


@dataclass(frozen=True)
class OpCase:
    """``op`` over ``args`` with ``attrs``; ``tolerance`` is relative to the output's largest magnitude."""

    op: str
    args: tuple[Arg, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    tolerance: float = 1e-5

    @property
    def id(self) -> str:
        shapes = "_".join(map(_spelt, self.args))
        dtypes = "-".join(dict.fromkeys(a.dtype for a in self.args))
        attrs = ",".join(f"{k}={v}" for k, v in self.attrs.items())
        return f"{self.op}[{shapes}|{dtypes}|{attrs}]".replace(" ", "")

    def graph(self) -> Graph:
        """A graph of this one op; every operand is a graph input named after its role."""
        roles = tuple(a.role for a in self.args)
        outs = tuple(f"out_{i}" for i in range(self.outputs))
        op = Op(f"{self.op}_0", self.op, roles, roles, outs, dict(self.attrs))
        types = [TensorType(a.shape, a.dtype) for a in self.args]
        out_types = infer_types(op, types)
        tensors = {r: Tensor(r, t) for r, t in zip(roles, types, strict=True)}
        tensors |= {n: Tensor(n, t) for n, t in zip(outs, out_types, strict=True)}
        return Graph(self.op, (op,), tensors, roles, outs)

    def finite(self) -> OpCase:
        """The case without NaN and infinities, which devices that are compiled by way of another format do not
        promise."""
        return replace(self, args=tuple(replace(a, fill="normal") if a.fill == "special" else a for a in self.args))

    def graph_with_parameters(self, heads: Collection[str]) -> Graph:
        """As ``graph``; the operands whose role, without a list's index, is among ``heads`` are parameters."""
        graph, values = self.graph(), self.values()
        tensors = {
            n: replace(t, is_param=True, value=values[n]) if n.split(".")[0] in heads else t
            for n, t in graph.tensors.items()
        }
        return replace(graph, tensors=tensors, inputs=tuple(n for n in graph.inputs if not tensors[n].is_param))

    def values(self, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
        """Seeded operand values by role, as dense numpy arrays (bfloat16 as uint16 bits)."""
        rng = np.random.default_rng(seed)
        return {a.role: _draw(rng, a) for a in self.args}


def _spelt(arg: Arg) -> str:
    member = f"{arg.role.partition('.')[2]}:" if "." in arg.role else ""
    fill = "" if arg.fill == "normal" else f"~{arg.fill}"
    return member + ("x".join(map(str, arg.shape)) or "scalar") + fill


def _draw(rng: np.random.Generator, arg: Arg) -> np.ndarray[Any, Any]:
    if arg.dtype == "bool" or arg.fill == "bool":
        return rng.integers(0, 2, arg.shape).astype(arg.dtype)
    if arg.fill == "index" or not arg.dtype.startswith(("float", "bfloat")):
        low = 0 if arg.fill == "index" or arg.dtype == "uint8" else -arg.high
        drawn = rng.integers(low, arg.high, arg.shape).astype(arg.dtype)
        return np.where(drawn == 0, 1, drawn).astype(arg.dtype) if arg.fill == "nonzero" else drawn
    if arg.fill == "positive":
        value = rng.uniform(0.1, 2.0, arg.shape)
    elif arg.fill == "fraction":
        value = rng.uniform(0.0, 1.0, arg.shape)
    elif arg.fill == "unit":
        value = rng.uniform(-0.9, 0.9, arg.shape)
    else:
        value = rng.standard_normal(arg.shape)
    if arg.fill == "special" and value.size:
        flat = value.reshape(-1)
        for i, special in enumerate((np.inf, -np.inf, np.nan, 0.0)):
            flat[i::7] = special
    if arg.dtype == "bfloat16":
        bits = np.ascontiguousarray(value, dtype="float32").view("uint32")
        return (bits >> 16).astype("uint16").reshape(arg.shape)
    return np.asarray(value, dtype=arg.dtype)
