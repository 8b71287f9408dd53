"""``dump_dir`` holds the text form before the first pass and after each, and each file parses back."""

from __future__ import annotations

import json
from pathlib import Path

from devices import DeviceEnum
from examples.models import MODELS
from optima.graph import Graph
from optima.manager import Manager
from optima.passes import PASSES
from torch2nx.converter import Torch2GraphConverter


def test_each_pass_leaves_a_readable_file(tmp_path: Path) -> None:
    module, samples = MODELS["two_in_two_out"]()
    graph = Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples), gpu=False)
    ops = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    (tmp_path / "m.json").write_text(json.dumps(dict.fromkeys(ops, "X64:0")))
    Manager().optimize(
        "M", [DeviceEnum.DEVICE_KIND_X64], graph, tmp_path / "out", tmp_path / "m.json", dump_dir=tmp_path / "dumps"
    )
    files = sorted((tmp_path / "dumps" / "subgraph_0").iterdir())
    assert [f.stem[3:] for f in files] == ["traced", *(step.name for step in PASSES)]
    graphs = [Graph.parse(f.read_text()) for f in files]
    assert len(graphs[0].ops) == len(ops) and any(op.kernel for op in graphs[-1].ops)
