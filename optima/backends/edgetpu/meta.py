"""``<subgraph>.meta`` of the Edge TPU: what the files are, what made them, what they lost, what is left to do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optima.backends.edgetpu.compiler import command, counts
from optima.backends.edgetpu.options import TpuOptions
from optima.backends.edgetpu.quantise import SCHEME
from optima.backends.model_ports import QuantisedMeta
from optima.graph import Graph

FORMAT, FORMAT_VERSION = "tflite-int8", 1


class TpuMeta(QuantisedMeta):
    """What loading needs. ``artifact`` is the device's own file where ``compiled_for_device``, else the int8 model."""

    format: Literal["tflite-int8"]
    artifact: str
    int8_model: str
    compiled_for_device: bool
    next_command: str


@dataclass(frozen=True)
class Facts:
    """What was known when the job was planned: versions by tool, options, the number of samples, and the
    operators that are not on the Edge TPU's list, with their counts."""

    versions: Mapping[str, str]
    options: TpuOptions
    samples: int
    host_ops: Mapping[str, int]

    @property
    def simulator(self) -> str:
        """What ran the int8 model on the compiling machine."""
        return f"ai-edge-litert {self.versions['ai-edge-litert']} on CPU"


def meta_of(subgraph: Graph, facts: Facts, report: Mapping[str, Any], *, is_compiled: bool) -> dict[str, Any]:
    """As JSON. ``status`` is ``compiled`` or ``needs_edgetpu_compiler``; ``next_command`` then is what to run in the
    subgraph's folder, or compile again with the tool installed, which also records the result."""
    int8 = f"{subgraph.name}.tflite"
    next_command = "" if is_compiled else shlex.join(command("edgetpu_compiler", int8, ".", facts.options))
    rows = report["operators"]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": subgraph.name,
        "artifact": f"{subgraph.name}_edgetpu.tflite" if is_compiled else int8,
        "int8_model": int8,
        "compiled_for_device": is_compiled,
        "status": "compiled" if is_compiled else "needs_edgetpu_compiler",
        "next_command": next_command,
        "simulated_by": facts.simulator,
        "producer": dict(facts.versions),
        "quantisation": {
            "scheme": SCHEME,
            "ranges": "minimum and maximum over the samples",
            "n_samples": facts.samples,
            "sqnr_db": report["sqnr_db"],
        },
        "host_operators": dict(facts.host_ops),
        "compiler_operators": rows,
        "compiler_counts": counts(rows) if rows else {},
        "inputs": _borders(subgraph, subgraph.inputs),
        "outputs": _borders(subgraph, subgraph.outputs),
    }


def _borders(graph: Graph, names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"name": n, "shape": list(graph.type_of(n).shape), "dtype": graph.type_of(n).dtype, "layout": "PyTorch's"}
        for n in names
    ]
