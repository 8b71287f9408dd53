"""Graph files: the same bytes each time, nothing executed on reading, every fault a typed error."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from torch2nx import gpickle, schema
from torch2nx.errors import GraphError, UnsafePickle

ORIGIN = {"file": "m.py", "line": 1, "function": "M.forward", "module": "", "code": "return x + w"}


def small_graph(value: Any = None) -> nx.DiGraph:
    """``x + w`` by hand."""
    graph = nx.DiGraph()
    tensor = {"kind": "TensorNode", "shape": [2], "dtype": "float32", "argument": "", "layout": ""}
    graph.add_node("tensor_0", data=tensor | {"argument": "x"})
    op = {
        "kind": "OpNode", "op": "add", "attrs": {"alpha": 1}, "inputs": ["tensor_0", "paramtensor_2"],
        "roles": ["self", "other"], "outputs": ["tensor_3"], "origin": dict(ORIGIN),
    }  # fmt: skip
    graph.add_node("add_1", data=op)
    value = np.ones(2, np.float32) if value is None else value
    graph.add_node("paramtensor_2", data={**tensor, "kind": "ParamTensorNode", "value": value, "source": "w"})
    graph.add_node("tensor_3", data=dict(tensor))
    graph.add_edges_from([("tensor_0", "add_1"), ("paramtensor_2", "add_1"), ("add_1", "tensor_3")])
    graph.graph.update(
        format_version=1, inputs=["tensor_0"], outputs=["tensor_3"], symbols={}, state=[],
        in_tree='{"args":[["x",{"leaf":0}]],"kwargs":[]}', out_tree='{"leaf":0}', producer={"torch2nx": "0"},
    )  # fmt: skip
    return graph


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "g.gpickle"
    gpickle.write(path, small_graph())
    read = gpickle.read(str(path))
    assert list(read.nodes) == list(small_graph().nodes) and set(read.edges) == set(small_graph().edges)
    assert read.graph == small_graph().graph
    assert (read.nodes["paramtensor_2"]["data"]["value"] == 1).all()
    assert os.listdir(path.parent) == ["g.gpickle"]
    with path.open("rb") as f:
        assert set(pickle.load(f).nodes) == set(read.nodes)  # noqa: S301


def test_home_expands_and_an_unwritable_place_is_a_typed_error(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    gpickle.write("~/g.gpickle", small_graph())
    assert (tmp_path / "g.gpickle").exists()
    with pytest.raises(GraphError, match="cannot write"):
        gpickle.write(tmp_path / "g.gpickle" / "g", small_graph())
    with pytest.raises(GraphError, match="cannot write"):
        gpickle.write(tmp_path, small_graph())
    with pytest.raises(GraphError, match="cannot read"):
        gpickle.read(tmp_path / "none.gpickle")


def test_bytes_do_not_depend_on_how_the_graph_was_used() -> None:
    used = small_graph()
    _ = used.nodes, used.edges, used.adj, used.in_degree, list(nx.topological_sort(used))
    used.nodes["tensor_0"]["data"]["dtype"] = "".join(["float", "32"])
    used.nodes["paramtensor_2"]["data"]["value"] = np.asfortranarray(np.ones((2, 2), np.float32))[0]
    assert gpickle.dumps(used) == gpickle.dumps(small_graph())


PROGRAM = """
import hashlib, sys, torch
from torch import nn
from torch2nx import gpickle
from torch2nx.converter import Torch2GraphConverter
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    def forward(self, x, extra):
        y = self.norm(self.conv(x)).relu_() + torch.arange(6.0)
        y[:, 0] = extra["b"]
        return {"y": y, "a": extra["a"], "parts": y.chunk(2, 1)}
model, one = Net().eval(), torch.ones(1)
data = [torch.ones(1, 3, 8, 8), {"b": one, "a": one + 1}]
graph = Torch2GraphConverter().convert(model=model, fake_torch_data=data)
print(hashlib.sha256(gpickle.dumps(graph)).hexdigest())
"""


def test_the_same_model_in_two_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "elsewhere").mkdir()
    digests = set()
    for seed, folder in (("1", tmp_path), ("77", tmp_path / "elsewhere")):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, str(tmp_path / "program.py")],
            check=True, capture_output=True, text=True, env=environment, cwd=folder,
        )  # fmt: skip
        digests.add(done.stdout)
    assert len(digests) == 1


class Calls:
    """Pickles as a call of a global."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (Calls(os.system, "echo hacked > hacked"), "posix.system"),
        (Calls(eval, "1"), "builtins.eval"),
        (Calls(copyreg._reconstructor, object, object, None), "copyreg._reconstructor"),
        (Calls(np.load, "x"), "numpy.load"),
        (np.float32(1), "multiarray.scalar"),
    ],
)
def test_a_foreign_global_is_named_and_not_called(
    payload: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = small_graph()
    graph.nodes["add_1"]["data"]["attrs"]["alpha"] = payload
    for data in (pickle.dumps(payload), pickle.dumps(graph)):
        with pytest.raises(UnsafePickle) as caught:
            gpickle.loads(data)
        assert name in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_pickle_cannot_change_the_classes_that_it_names() -> None:
    # GLOBAL DiGraph; BUILD (None, {"add_node": 1}) sets an attribute on the class itself.
    data = b"\x80\x02cnetworkx.classes.digraph\nDiGraph\nN}U\x08add_nodeK\x01s\x86b."
    assert "BUILD" in {op.name for op, _, _ in pickletools.genops(data)}
    with pytest.raises(GraphError):
        gpickle.loads(data)
    assert callable(nx.DiGraph.add_node)


def test_an_object_array_is_refused(tmp_path: Path) -> None:
    array = np.empty(2, dtype=object)
    array[:] = ["a", "b"]
    with pytest.raises(GraphError, match="object array"):
        gpickle.loads(pickle.dumps(small_graph(array)))


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_both_spellings_of_numpy_are_read(module: str) -> None:
    data = pickle.dumps(small_graph(), protocol=4).replace(pickled_name("numpy._core.multiarray"), pickled_name(module))
    if module != "numpy._core.multiarray":
        # The frame's length changed with the name.
        data = pickletools.optimize(_unframed(data))
    assert (gpickle.loads(data).nodes["paramtensor_2"]["data"]["value"] == 1).all()


def pickled_name(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def _unframed(data: bytes) -> bytes:
    assert data[2:3] == b"\x95"
    return data[:2] + data[11:]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_graphs_that_others_pickled_are_read(protocol: int) -> None:
    graph = small_graph(np.arange(2, dtype=">f4"))
    _ = graph.nodes, graph.edges, graph.adj
    read = gpickle.loads(pickle.dumps(graph, protocol=protocol))
    value = read.nodes["paramtensor_2"]["data"]["value"]
    assert value.dtype == np.float32 and value.tolist() == [0.0, 1.0]


def test_every_truncation_is_a_typed_error() -> None:
    data = gpickle.dumps(small_graph())
    for length in range(0, len(data), 7):
        with pytest.raises(GraphError):
            gpickle.loads(data[:length])


def test_flipped_bytes_never_escape_as_another_error() -> None:
    data = gpickle.dumps(small_graph())
    rng = np.random.default_rng(0)
    for _ in range(400):
        broken = bytearray(data)
        broken[rng.integers(len(data))] = rng.integers(256)
        try:
            schema.validate(gpickle.loads(bytes(broken)))
        except GraphError:
            continue


def test_a_file_that_unfolds_without_end_is_refused() -> None:
    nest: list[Any] = [1, 2]
    for _ in range(6):
        nest = [nest] * 100
    graph = small_graph()
    graph.nodes["add_1"]["data"]["attrs"]["alpha"] = nest
    with pytest.raises(GraphError, match="nested"):
        gpickle.loads(pickle.dumps(graph))


@pytest.mark.parametrize("name", [None, 3, ("a", "b")])
def test_a_node_that_is_not_text_is_refused(name: Any) -> None:
    graph = small_graph()
    graph._node[name] = {}
    with pytest.raises(GraphError, match="not text"):
        gpickle.loads(pickle.dumps(graph))


@pytest.mark.parametrize("other", [{"a": 1}, [1, 2], "text", nx.Graph(), nx.MultiDiGraph(), None])
def test_another_pickle(other: Any) -> None:
    buffer = io.BytesIO()
    pickle.dump(other, buffer)
    with pytest.raises(GraphError):
        gpickle.loads(buffer.getvalue())
