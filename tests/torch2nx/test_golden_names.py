"""The node names of every example model, against ``golden/<model>.txt``.

People's maps name nodes, so a name that changes breaks a map that worked. One line per op, in number order:

    conv2d_2(tensor_0, paramtensor_3) -> tensor_4

``pytest tests/torch2nx/test_golden_names.py --update-golden`` rewrites the files; a changed line is a broken promise
unless the model did not convert before.
"""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from examples.models import MODELS
from torch2nx.converter import Torch2GraphConverter

FOLDER = Path(__file__).parent / "golden"


def names_text(graph: nx.DiGraph) -> str:
    """Inputs, one line per op, outputs."""
    ops = [(name, data) for name, data in graph.nodes(data="data") if data["kind"] == "OpNode"]
    lines = [f"{name}({', '.join(data['inputs'])}) -> {', '.join(data['outputs'])}" for name, data in ops]
    ends = graph.graph
    return "\n".join([f"inputs {', '.join(ends['inputs'])}", *lines, f"outputs {', '.join(ends['outputs'])}", ""])


@pytest.mark.parametrize("name", MODELS)
def test_node_names_are_as_they_were(name: str, update_golden: bool) -> None:
    module, samples = MODELS[name]()
    text = names_text(Torch2GraphConverter().convert(model=module, fake_torch_data=list(samples)))
    path = FOLDER / f"{name}.txt"
    if update_golden:
        path.write_text(text)
    assert text == path.read_text()


def test_every_golden_file_has_its_model() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MODELS)
