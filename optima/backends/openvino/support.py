"""Which ops a plugin takes: OpenVINO is asked about the ONNX form, whole, and op by op where it says no.

So is the old interpreter that compiles for MYRIAD, where there is one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from optima.backends.openvino.core import core_of_process
from optima.backends.tool_folder import tool_folder
from optima.graph import Graph
from optima.onnx_export import to_onnx
from optima.ops.entry import Answer, No, Yes
from optima.tools import run_tool, tool_failed

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


def myriad_answers(graph: Graph, names: Sequence[str], python: str, opset: int, timeout_s: float) -> dict[str, Answer]:
    """What the MYRIAD compiler of the old interpreter ``python`` answers for each op. Raises ToolFailed."""
    if not names:
        return {}
    with tool_folder("optima-myriad-", "asking which operators MYRIAD takes") as place:
        paths = [place / "whole.onnx", *(place / f"op_{k}.onnx" for k in range(len(names)))]
        for path, chosen in zip(paths, (names, *([name] for name in names)), strict=True):
            path.write_bytes(to_onnx(_part(graph, chosen), opset))
        answers, script = place / "answers.json", Path(__file__).with_name("myriad_support.py")
        command: list[str | Path] = [python, script, answers, *paths]
        said = run_tool(command, timeout_s=timeout_s, folder=place, wrote=answers)
        text = answers.read_text(errors="replace")
        reasons = _read_answers(text, len(names))
        if reasons is None:
            raise tool_failed(command, f"wrote something that is no list of answers: {text[:200]!r}", said)
    return {
        name: No(f"the MYRIAD compiler does not take it: {reason}") if reason else Yes()
        for name, reason in zip(names, reasons or [""] * len(names), strict=True)
    }


def _read_answers(text: str, count: int) -> list[str] | None:
    """The reasons; None for what is no such list."""
    try:
        reasons = json.loads(text)
    except ValueError:
        reasons = None
    if not isinstance(reasons, list) or len(reasons) not in (0, count) or not all(isinstance(r, str) for r in reasons):
        return None
    return reasons


def _asked(graph: Graph, names: Sequence[str], plugin: str, opset: int) -> dict[str, Answer]:
    if not names:
        return {}
    if _reason(graph, names, plugin, opset) == "":
        return dict.fromkeys(names, Yes())
    reasons = {name: _reason(graph, [name], plugin, opset) for name in names}
    return {name: No(reason) if reason else Yes() for name, reason in reasons.items()}


def _reason(graph: Graph, names: Sequence[str], plugin: str, opset: int) -> str:
    """Why the plugin cannot take a model of these ops, or ""."""
    core = core_of_process()
    try:
        model = core.read_model(to_onnx(_part(graph, names), opset))
        taken = core.query_model(model, plugin)
    except RuntimeError as error:
        return f"OpenVINO refuses it: {_last_line(error)}"
    lacking = [node for node in model.get_ops() if node.get_friendly_name() not in taken]
    kinds = sorted({node.get_type_name() for node in lacking} - {"Parameter", "Result", "Constant"})
    return f"OpenVINO's {plugin} plugin does not take {', '.join(kinds)}" if kinds else ""


def _part(graph: Graph, names: Sequence[str]) -> Graph:
    wanted = set(names)
    return graph.extract("probe", [op for op in graph.ops if op.name in wanted])


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
