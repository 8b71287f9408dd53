"""``python -m tests.backends.snpe.write_table``: rewrites ``optima/backends/snpe/not_taken.py``.

Every operator case that has an ONNX form and computes float32 is quantised and given to onnxruntime-qnn by itself,
once as it stands and once with all operands but the first as parameters. An operator of which no case is taken is
listed, with the ONNX operators that are not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from devices import DeviceEnum
from optima.backends.quantised import answers
from optima.backends.snpe import not_taken
from optima.backends.snpe.options import OPSET, SnpeOptions
from optima.backends.snpe.qnn import left_out, provider_options
from optima.backends.snpe.support import quantised_alone
from optima.backends.snpe.tools import qnn_tool
from optima.graph import Graph
from tests.ops.case import OpCase
from tests.ops.test_cases import CASES

_HEAD = '"""Made by ``python -m tests.backends.snpe.write_table`` with onnxruntime-qnn {version}; do not edit."""\n'


def variants(case: OpCase) -> Iterator[Graph]:
    """The case with its operands computed, and with all but the first as parameters."""
    graph, values = case.graph(), case.values()
    for inputs in dict.fromkeys((graph.inputs, graph.inputs[:1])):
        tensors = {
            n: replace(t, is_param=True, value=np.abs(values[n]) if t.dtype == "float32" else values[n])
            if n in values and n not in inputs
            else t
            for n, t in graph.tensors.items()
        }
        yield replace(graph, tensors=tensors, inputs=inputs)


def table() -> dict[str, str]:
    """Operator -> what of it is not taken, for those of which nothing is."""
    options, hexagon = SnpeOptions(), DeviceEnum.DEVICE_KIND_HEXAGON
    graphs = [graph for case in CASES for graph in variants(case)]
    graphs = [g for g in graphs if answers(g, [g.ops[0].name], hexagon, OPSET)[g.ops[0].name]]
    models = [(g.ops[0].op, quantised_alone(g, g.ops[0], options)) for g in graphs]
    asked = [(op, model) for op, model in models if model is not None]
    with tempfile.TemporaryDirectory() as folder:
        chip = provider_options(options.soc_model, options.htp_arch)
        found = left_out([model for _, model in asked], chip, Path(folder), 3600.0)
    refused: dict[str, set[str]] = {}
    for (op, _), words in zip(asked, found, strict=True):
        refused.setdefault(op, set()).add(words or "")
    return {op: "; ".join(sorted(words)) for op, words in sorted(refused.items()) if "" not in words}


def main() -> None:
    """Write the table."""
    rows = "".join(f'    "{op}": "{words}",\n' for op, words in table().items())
    text = _HEAD.format(version=qnn_tool().version) + f"\nNOT_TAKEN: dict[str, str] = {{\n{rows}}}\n"
    Path(not_taken.__file__).write_text(text)


if __name__ == "__main__":
    main()
