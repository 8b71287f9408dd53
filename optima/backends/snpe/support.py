"""Which operators the device takes: asked of Qualcomm's libraries where they are, else read from a table."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from devices import OptimaError
from optima.backends.quantised import float_model, step
from optima.backends.snpe.not_taken import NOT_TAKEN
from optima.backends.snpe.options import OPSET, SnpeOptions
from optima.backends.snpe.qnn import left_out, provider_options
from optima.graph import Graph, Op
from optima.ops.entry import Answer, No, Yes
from optima.quantise import prepare, quantise
from optima.tools import Tool

_LOG = logging.getLogger("optima")
_PROBE_S = 120.0

#: operators of which no form, or next to none, comes out right
_COMPUTED_OTHERWISE = {
    "conv_transpose3d": "transposed convolutions over three axes",
    "cumsum": "running sums",
    "upsample_trilinear3d": "interpolation over three axes",
}
#: of products and mirrored borders
_MOST_AXES = 4

#: answers by what decides them: an op's signature, the options and the version that answered
_KNOWN: dict[tuple[Any, ...], Answer] = {}


def tabled(op: Op) -> Answer:
    """The answer without Qualcomm's libraries: those ops are refused of which no known form is taken."""
    if op.op in NOT_TAKEN:
        return No(f"HEXAGON takes no {NOT_TAKEN[op.op]}, which {op.op} becomes")
    return Yes()


def computed_otherwise(graph: Graph, op: Op) -> str:
    """Why an op that is taken is refused after all, "" for none: what ``python -m conformance.devices`` found by
    onnxruntime-qnn 2.7.0 on its emulation of the tensor processor."""
    if op.op == "pow" and ("exponent" in op.roles or "self" not in op.roles):
        return "HEXAGON's emulation computes powers with a tensor as exponent wrongly"
    if op.op == "fill":
        return "HEXAGON's compiler takes no output that depends on no input"
    if op.op in _COMPUTED_OTHERWISE:
        return f"HEXAGON's emulation computes {_COMPUTED_OTHERWISE[op.op]} wrongly"
    if op.op == "instance_norm" and not op.attrs.get("use_input_stats", True):
        return "HEXAGON's emulation rounds the parameters of a norm by running statistics too coarsely"
    if op.op == "upsample_bilinear2d" and not op.attrs.get("align_corners") and _uneven(graph, op):
        return "HEXAGON's emulation takes the scale from the sizes, which are no multiples here"
    if _rank(graph, op) > _MOST_AXES and (op.op == "matmul" or op.attrs.get("mode") in ("reflect", "replicate")):
        return f"HEXAGON's emulation crashes on {op.op} of more than {_MOST_AXES} axes"
    return ""


def _uneven(graph: Graph, op: Op) -> bool:
    """Whether scale factors were given of which the output's size is no exact result."""
    factors = op.attrs.get("scale_factors")
    if not factors:
        return False
    before, after = graph.type_of(op.inputs[0]).shape[-2:], graph.type_of(op.outputs[0]).shape[-2:]
    return any(size * factor != made for size, factor, made in zip(before, factors, after, strict=True))


def _rank(graph: Graph, op: Op) -> int:
    return max(len(graph.type_of(name).shape) for name in (*op.inputs, *op.outputs))


def probed(graph: Graph, names: Sequence[str], options: SnpeOptions, qnn: Tool) -> dict[str, Answer]:
    """The answer of onnxruntime-qnn for each op by itself. Equal ops are asked once in a process's life."""
    keys = {name: (_signature(graph, graph.op_by_name[name]), options, qnn.version) for name in names}
    unknown = {key: graph.op_by_name[name] for name, key in keys.items() if key not in _KNOWN}
    _KNOWN.update(zip(unknown, _ask(graph, list(unknown.values()), options, qnn), strict=True))
    return {name: _KNOWN[key] for name, key in keys.items()}


def _signature(graph: Graph, op: Op) -> tuple[Any, ...]:
    operands = tuple((r, graph.type_of(n), graph.tensors[n].is_param) for r, n in zip(op.roles, op.inputs, strict=True))
    same = tuple(op.inputs.index(n) for n in op.inputs)  # x + x is another model than x + y
    return op.op, repr(sorted(op.attrs.items())), operands, same, tuple(map(graph.type_of, op.outputs))


def _ask(graph: Graph, ops: Sequence[Op], options: SnpeOptions, qnn: Tool) -> list[Answer]:
    models = [quantised_alone(graph, op, options) for op in ops]
    asked = [(k, m) for k, m in enumerate(models) if m is not None]
    answers: list[Answer] = [Yes()] * len(ops)
    if not asked:
        return answers
    with tempfile.TemporaryDirectory(prefix="optima-hexagon-") as folder:
        chip = provider_options(options.soc_model, options.htp_arch)
        found = left_out([m for _, m in asked], chip, Path(folder), _PROBE_S)
    if any(reason is None for reason in found):
        _LOG.warning("onnxruntime-qnn %s gives no answers here: the table of operators answers", qnn.version)
    for (k, _), reason in zip(asked, found, strict=True):
        answers[k] = tabled(ops[k]) if reason is None else _answer(ops[k], reason, qnn)
    return answers


def _answer(op: Op, reason: str, qnn: Tool) -> Answer:
    if not reason:
        return Yes()
    return No(f"HEXAGON does not take {op.op} of these shapes: {reason} (onnxruntime-qnn {qnn.version})")


def quantised_alone(graph: Graph, op: Op, options: SnpeOptions) -> bytes | None:
    """The op by itself as a QDQ model over numbers from 0.1 to 0.9; None where those are no data for it: then
    the compiler answers on real data."""
    outputs = tuple(op.outputs)
    part = replace(graph.extract("probe", [op]), outputs=outputs)
    rng = np.random.default_rng(0)
    samples = {n: rng.uniform(0.1, 0.9, (1, *part.type_of(n).shape)).astype(np.float32) for n in part.inputs}
    try:
        with step("probe", "quantise"):
            return quantise(prepare(float_model(part, OPSET), samples), samples, options.scheme)
    except OptimaError as error:
        _LOG.debug("%s is not probed: %s", op.name, error.message)
        return None
