"""Operators of the user's own, from torch.library to a compiled model, and what is said when one is not right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from devices import DeviceEnum, OptimaError
from optima.allocation import UnsupportedPlacement
from optima.graph_io import load_graph
from optima.kernels.compute import ComputeError
from optima.manager import Manager, check
from optima.ops import OpEntry, Te, Trait, entry_of, register, registry, torch_op
from optima.ops.registry import DuplicateOp
from torch2nx import extensions
from torch2nx.converter import Torch2GraphConverter
from torch2nx.errors import RegisterError, UnsupportedOp

ROOT = Path(__file__).resolve().parent.parent
X64 = [DeviceEnum.DEVICE_KIND_X64]

LIBRARY = torch.library.Library("optima_tests", "DEF")
LIBRARY.define("triple(Tensor x, float by=3.0) -> Tensor")
LIBRARY.impl("triple", lambda x, by=3.0: x * by, "CPU")
LIBRARY.define("into(Tensor(a!) x) -> ()")
LIBRARY.define("half_of(Tensor(a) x) -> Tensor(a)")
torch.library.register_fake("optima_tests::triple", lambda x, by=3.0: torch.empty_like(x), lib=LIBRARY)


@pytest.fixture(autouse=True)
def _own_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.setattr(extensions, "_TABLE", {})
    yield


def _te(view: Any, tensors: Any) -> list[Any]:
    from tvm import te

    x = tensors["x"]
    return [te.compute(x.shape, lambda *i: x(*i) * view.attrs["by"], name="triple")]


ENTRY = OpEntry(
    name="triple",
    source="optima_tests::triple",
    operands=("x",),
    attrs={"by": 3.0},
    reference=torch_op("optima_tests::triple"),
    traits=frozenset({Trait.ELEMENTWISE}),
    te=Te(_te),
)


class Net(nn.Module):
    """The operator twice, once with another factor."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.ops.optima_tests.triple(x)
        return torch.ops.optima_tests.triple(y.relu(), 0.5)


def _graph() -> Any:
    return Torch2GraphConverter().convert(model=Net().eval(), fake_torch_data=[torch.linspace(-1, 1, 6)])


def _map(folder: Path, graph: Any) -> Path:
    names = [n for n, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    path = folder / "map.json"
    path.write_text(json.dumps(dict.fromkeys(names, "X64:0")))
    return path


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPTIMA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": f"{ROOT}:{folder}"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=environment)


def test_the_example_compiles_and_equals_pytorch() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.custom_layer"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal over 1 samples" in done.stdout


MODULE = """
import torch
from optima.ops import OpEntry, Te, Trait, register

@torch.library.custom_op("own::shift", mutates_args=())
def shift(x: torch.Tensor) -> torch.Tensor:
    return x + AMOUNT

@shift.register_fake
def _(x):
    return torch.empty_like(x)

def shift_te(view, tensors):
    from tvm import te
    x = tensors["x"]
    return [te.compute(x.shape, lambda *i: x(*i) + te.const(AMOUNT, "float32"), name="shift")]

register(OpEntry("shift", ("x",), lambda x: x + AMOUNT, source="own::shift",
                 traits=frozenset({Trait.ELEMENTWISE}), te=Te(shift_te)))
"""

SCRIPT = """
import json, torch, optima
from optima.kernels import naming
from devices import DeviceEnum
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

naming.sources_digest = lambda *rooms: "held still"  # only the compute differs between runs

class Net(torch.nn.Module):
    def forward(self, x):
        return shift(x).exp()

c = Torch2GraphConverter()
g = c.convert(model=Net().eval(), fake_torch_data=[torch.ones(5)])
c.export_to_gpickle("net.gpickle", g)
json.dump({"shift_1": "X64:0", "exp_3": "X64:0"}, open("map.json", "w"))
made = Manager().optimize("Net", [DeviceEnum.DEVICE_KIND_X64], "net.gpickle", "out", "map.json")
print("COMPILED", made.report.kernels_compiled, optima.verify(Net(), made.path, [(torch.ones(5),)]).ok)
"""


def test_a_script_can_register_and_an_edited_compute_is_compiled_again(tmp_path: Path) -> None:
    for amount, compiled in (("0.1", 1), ("0.1", 0), ("0.10000001", 1)):
        done = _run(f"AMOUNT = {amount}\n{MODULE}\n{SCRIPT}", tmp_path)
        assert f"COMPILED {compiled} True" in done.stdout, done.stdout + done.stderr
    reading = "from optima.graph_io import load_graph\nload_graph('net.gpickle')"
    refused = _run(reading, tmp_path)
    assert "UnknownOp: the graph has 1 operator(s)" in refused.stderr
    assert "run the code that registers them" in refused.stderr


def test_a_graph_read_without_its_operators_names_what_to_import(tmp_path: Path) -> None:
    (tmp_path / "my_ops.py").write_text(f"AMOUNT = 2.0\n{MODULE}")
    done = _run(f"from my_ops import shift\n{SCRIPT}", tmp_path)
    assert "COMPILED 1 True" in done.stdout, done.stdout + done.stderr
    reading = "from optima.graph_io import load_graph\nload_graph('net.gpickle')"
    refused = _run(reading, tmp_path)
    assert "UnknownOp" in refused.stderr and "shift_1" in refused.stderr
    assert "hint: import my_ops before reading the graph" in refused.stderr
    assert _run(f"import my_ops\n{reading}", tmp_path).returncode == 0


def test_it_converts_to_one_node_with_its_attributes() -> None:
    register(ENTRY)
    graph = _graph()
    ops = [d for _, d in graph.nodes(data="data") if d["kind"] == "OpNode"]
    assert [(op["op"], op["attrs"]) for op in ops] == [
        ("triple", {"by": 3.0}), ("relu", {}), ("triple", {"by": 0.5}),
    ]  # fmt: skip
    assert graph.graph["extensions"] == {"triple": __name__}
    assert "test_custom_ops.py:" in load_graph(graph).ops[0].where


def test_a_taken_name_is_refused_and_replace_takes_it() -> None:
    register(ENTRY)
    with pytest.raises(DuplicateOp, match="'triple' is registered already"):
        register(ENTRY)
    with pytest.raises(DuplicateOp, match="Optima has an operator named 'relu'"):
        register(replace(ENTRY, name="relu"), replace=True)
    with pytest.raises(RegisterError, match="become 'triple' already"):
        register(replace(ENTRY, name="thrice"))
    register(replace(ENTRY, traits=frozenset()), replace=True)
    found = entry_of("triple")
    assert found is not None and not found.traits


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "my op"}, "its name must be a word"),
        ({"operands": ("input",)}, "reference|its operands are input; those of optima_tests.triple.default are x"),
        ({"operands": ("x", "y?")}, "its operands are x, y"),
        ({"attrs": {}}, "attrs lacks 'by'"),
        ({"attrs": {"by": 3.0, "bye": 1}}, "attrs has 'bye', which is no argument"),
        ({"attrs": {"by": 2.0}}, "attrs has by=2.0, but optima_tests.triple.default has the default 3.0"),
        ({"reference": lambda x: x}, "reference does not take x, by"),
        ({"reference": "x"}, "reference is a str"),
        ({"traits": {Trait.ELEMENTWISE}}, "traits must be a frozenset"),
        ({"traits": frozenset({Trait.RESHAPE})}, "Trait.RESHAPE"),
        ({"te": lambda view, tensors: []}, "te must be Te"),
        ({"te": Te(lambda view: [])}, "te.compute does not take"),
        ({"source": "optima_tests.triple"}, "is not the name of a torch operator"),
        ({"source": "optima_tests::quadruple"}, "torch has no operator"),
        ({"source": "optima_tests::into"}, "writes into its operands"),
        ({"source": "optima_tests::half_of"}, "returns a view"),
    ],
)
def test_a_bad_entry_is_refused_with_its_name(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(RegisterError, match=reason) as caught:
        register(replace(ENTRY, **change))
    assert str(change.get("name", "triple")) in str(caught.value) or "source" in change
    assert entry_of("triple") is None and not extensions.registered()


def _wrong_count(view: Any, tensors: Any) -> list[Any]:
    return []


def _wrong_shape(view: Any, tensors: Any) -> list[Any]:
    from tvm import te

    return [te.compute((2,), lambda i: tensors["x"](i), name="short")]


def _wrong_dtype(view: Any, tensors: Any) -> list[Any]:
    from tvm import te

    return [te.compute(tensors["x"].shape, lambda i: tensors["x"](i).astype("float64"), name="wide")]


def _not_tensors(view: Any, tensors: Any) -> Any:
    return 7


def _raises(view: Any, tensors: Any) -> list[Any]:
    return [tensors["input"]]


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (_wrong_count, "returns 0 tensors for 1 outputs"),
        (_wrong_shape, r"float32\[2\], but its reference gives float32\[6\]"),
        (_wrong_dtype, r"float64\[6\], but its reference gives float32\[6\]"),
        (_not_tensors, "returns 7, not a list of te.Tensor"),
        (_raises, "the compute of triple raises KeyError: 'input'"),
    ],
)
def test_a_compute_that_does_not_do_what_it_says_is_refused_for_every_op(
    compute: Any, reason: str, tmp_path: Path
) -> None:
    register(replace(ENTRY, te=Te(compute)))
    graph = _graph()
    with pytest.raises(ComputeError, match=reason) as caught:
        check(X64, graph, _map(tmp_path, graph))
    assert [p.subject for p in caught.value.problems] == ["triple_1", "triple_5"]
    assert "test_custom_ops.py" in str(caught.value) and "y = torch.ops" in str(caught.value)


def test_a_refuse_that_refuses_or_raises_names_the_op(tmp_path: Path) -> None:
    def broken(view: Any) -> str | None:
        raise ValueError("no such thing")

    for refuse, reason in ((lambda view: "not today", "not today"), (broken, "the refuse of triple raises ValueError")):
        register(replace(ENTRY, te=Te(_te, refuse)), replace=True)
        graph = _graph()
        with pytest.raises(UnsupportedPlacement, match=reason):
            check(X64, graph, _map(tmp_path, graph))


def test_a_wrong_reference_is_told_from_the_traced_type(tmp_path: Path) -> None:
    register(replace(ENTRY, reference=lambda x, by: x.double() * by))
    graph = _graph()
    with pytest.raises(OptimaError, match="triple gives f64"):
        Manager().optimize("Net", X64, graph, tmp_path / "out", _map(tmp_path, graph))


class Many(nn.Module):
    """Operators that Optima lacks, on several lines, beside some that it has."""

    def forward(self, x: Tensor) -> Any:
        x = x.relu()
        y = torch.ops.optima_tests.triple(x)
        z = torch.linalg.svdvals(x.reshape(2, 3))
        return y + 1, z, torch.bernoulli(x)


def test_all_unsupported_operators_come_in_one_message_with_their_lines() -> None:
    with pytest.raises(UnsupportedOp) as caught:
        Torch2GraphConverter().convert(model=Many().eval(), fake_torch_data=[torch.linspace(-1, 1, 6)])
    text = str(caught.value)
    assert "3 operator(s) of the model cannot be converted" in text and "docs/adding_an_op.md" in text
    rows = {p.subject: (p.reason, p.code) for p in caught.value.problems}
    assert rows["optima_tests.triple.default"] == (
        "it is an operator of your own: register an entry for it",
        "y = torch.ops.optima_tests.triple(x)",
    )
    assert rows["aten.linalg_svdvals.default"][1] == "z = torch.linalg.svdvals(x.reshape(2, 3))"
    assert rows["aten.bernoulli.default"][0].startswith("it draws random numbers")
    assert all("test_custom_ops.py:" in p.where for p in caught.value.problems)
