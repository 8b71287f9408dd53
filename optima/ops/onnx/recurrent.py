"""ONNX routes of recurrent layers: one node per layer, both directions in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from optima.ops.entry import Onnx, OpView
from optima.ops.onnx.site import OpSite
from optima.ops.onnx.writer import Array

#: ONNX's order of gates, as indices into torch's: iofc of (i, f, g, o), zrh of (r, z, n)
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn_tanh": (0,), "rnn_relu": (0,)}
_NODES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}


def _layers(s: OpSite) -> list[str]:
    kind, ways = s.view.op, 2 if s.attr("bidirectional") else 1
    states = [r for r in s.names if r.partition(".")[0] == "hx"]
    hidden = s.view.operands[states[-1]].shape[2]
    value = s.names["input"]
    if s.attr("batch_first"):
        value = s.writer.transpose(value, [1, 0, 2])
    length, batch = (s.shape[d] for d in ((1, 0) if s.attr("batch_first") else (0, 1)))
    finals: list[list[str]] = [[] for _ in states]
    for layer in range(s.attr("num_layers")):
        first = layer * ways
        initial = [s.writer.slice(s.names[r], 0, first, first + ways) for r in states]
        outputs = _layer(s, kind, value, initial, first, ways, hidden)
        for k, made in enumerate(outputs[1:]):
            finals[k].append(made)
        turned = s.writer.transpose(outputs[0], [0, 2, 1, 3])  # [length, ways, batch, hidden] before
        value = s.writer.reshape(turned, [length, batch, ways * hidden])
    if s.attr("batch_first"):
        value = s.writer.transpose(value, [1, 0, 2])
    return [value, *(s.writer.concat(parts, 0) for parts in finals)][: len(s.view.outputs)]


def _layer(s: OpSite, kind: str, value: str, initial: list[str], first: int, ways: int, hidden: int) -> list[str]:
    weights = [_stacked(s, kind, role, first, ways) for role in range(2)]
    bias = _biases(s, kind, first, ways) if s.attr("has_biases") else ""
    attrs: dict[str, Any] = {"hidden_size": hidden, "direction": "bidirectional" if ways == 2 else "forward"}
    if kind == "gru":
        attrs["linear_before_reset"] = 1
    if kind == "rnn_relu":
        attrs["activations"] = ["Relu"] * ways
    return s.writer.nodes_outputs(
        _NODES[kind], [value, *weights, bias, "", *initial], 1 + len(initial), **attrs
    )  # fmt: skip


def _parameter(s: OpSite, state: int, which: int) -> Array:
    per_pass = 4 if s.attr("has_biases") else 2
    return s.arrays[f"params.{state * per_pass + which}"]


def _ordered(kind: str, array: Array) -> Array:
    """The gates' rows in ONNX's order."""
    blocks = np.split(array, len(_GATES[kind]), axis=0)
    return np.concatenate([blocks[g] for g in _GATES[kind]], axis=0)


def _stacked(s: OpSite, kind: str, which: int, first: int, ways: int) -> str:
    return s.number(np.stack([_ordered(kind, _parameter(s, first + w, which)) for w in range(ways)]))


def _biases(s: OpSite, kind: str, first: int, ways: int) -> str:
    """Those of the input, then those of the hidden state, in one row."""
    rows = [np.concatenate([_ordered(kind, _parameter(s, first + w, which)) for which in (2, 3)]) for w in range(ways)]
    return s.number(np.stack(rows))


def _reason(view: OpView) -> str | None:
    if view.attrs["train"]:
        return f"{view.op} with train=True"
    if len(view.first.shape) != 3:
        return f"{view.op} takes an input of three dimensions"
    widths = {t.shape[2] for r, t in view.operands.items() if r.partition(".")[0] == "hx"}
    return "a projected hidden state (proj_size) has no ONNX form" if len(widths) > 1 else None


ROUTES: dict[str, Onnx] = {name: Onnx(_layers, _reason, ("float32",), constants=("params",)) for name in _GATES}
