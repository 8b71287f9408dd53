"""Which ops a plugin takes: OpenVINO is asked about the ONNX form, whole, and op by op where it says no."""

from __future__ import annotations

from collections.abc import Sequence

from optima.backends.openvino.core import core_of_process
from optima.graph import Graph
from optima.onnx_export import to_onnx
from optima.ops.entry import Answer, No, Yes

#: what OpenVINO 2026.4 takes and computes otherwise than ONNX says; found by ``python -m conformance.devices``
_OTHERWISE = {
    "sort": "OpenVINO does not keep the order of equal elements",
    "argsort": "OpenVINO does not keep the order of equal elements",
    "msort": "OpenVINO does not keep the order of equal elements",
    "remainder": "OpenVINO rounds the quotient of a remainder",
    "fmod": "OpenVINO rounds the quotient of a remainder",
}


def plugin_answers(graph: Graph, names: Sequence[str], plugin: str, opset: int) -> dict[str, Answer]:
    """An answer for each op of ``names``, all of which have an ONNX form."""
    kinds = {name: graph.op_by_name[name].op for name in names}
    answers: dict[str, Answer] = {name: No(_OTHERWISE[k]) for name, k in kinds.items() if k in _OTHERWISE}
    return answers | _asked(graph, [name for name in names if name not in answers], plugin, opset)


def _asked(graph: Graph, names: Sequence[str], plugin: str, opset: int) -> dict[str, Answer]:
    if not names:
        return {}
    if _reason(graph, names, plugin, opset) == "":
        return dict.fromkeys(names, Yes())
    reasons = {name: _reason(graph, [name], plugin, opset) for name in names}
    return {name: No(reason) if reason else Yes() for name, reason in reasons.items()}


def _reason(graph: Graph, names: Sequence[str], plugin: str, opset: int) -> str:
    """Why the plugin cannot take a model of these ops, or ""."""
    wanted = set(names)
    part = graph.extract("probe", [op for op in graph.ops if op.name in wanted])
    core = core_of_process()
    try:
        model = core.read_model(to_onnx(part, opset))
        taken = core.query_model(model, plugin)
    except RuntimeError as error:
        return f"OpenVINO refuses it: {_last_line(error)}"
    lacking = [node for node in model.get_ops() if node.get_friendly_name() not in taken]
    kinds = sorted({node.get_type_name() for node in lacking} - {"Parameter", "Result", "Constant"})
    return f"OpenVINO's {plugin} plugin does not take {', '.join(kinds)}" if kinds else ""


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
