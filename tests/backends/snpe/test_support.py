"""What HEXAGON takes: the table, Qualcomm's own answers, and a compiler that crashes or says nothing."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from devices import DeviceRef
from optima.backends.base import CompileOptions
from optima.backends.snpe import qnn
from optima.backends.snpe.backend import backend
from optima.backends.snpe.not_taken import NOT_TAKEN
from optima.graph import Graph
from optima.ops import entry_of
from optima.ops.entry import No, Onnx
from tests.backends.snpe.models import Block, Cnn, graph_of

HEXAGON = DeviceRef.parse("HEXAGON:0")
TABLE = CompileOptions(device_options={"HEXAGON": {"toolchain": "none"}})
needs_qnn = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime_qnn") is None, reason="the extra optima[hexagon] is not installed"
)

ERF = Graph.parse(
    "graph g(%a: f32[4]) -> (%d)\n  %b = erf_0: erf(%a) : f32[4]\n  %c = relu_1: relu(%b) : f32[4]\n"
    "  %d = sinh_2: sinh(%c) : f32[4]\n"
)


def reasons(graph: Graph, options: CompileOptions) -> dict[str, str]:
    answers = backend().check(graph, [op.name for op in graph.ops], HEXAGON, options)
    return {name: answer.reason for name, answer in answers.items() if isinstance(answer, No)}


@pytest.mark.parametrize("op", NOT_TAKEN)
def test_the_table_names_operators_with_an_onnx_form(op: str) -> None:
    entry = entry_of(op)
    assert entry is not None
    assert isinstance(entry.onnx, Onnx)


def test_the_table_answers_where_the_libraries_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reasons(ERF, TABLE)
    assert found == {
        "erf_0": "HEXAGON takes no Erf, which erf becomes",
        "sinh_2": "HEXAGON takes no Sinh, which sinh becomes",
    }


@needs_qnn
def test_the_libraries_answer_for_each_op() -> None:
    found = reasons(ERF, CompileOptions())
    assert list(found) == ["erf_0", "sinh_2"]
    assert found["erf_0"].startswith("HEXAGON does not take erf of these shapes: Erf (onnxruntime-qnn")


@pytest.mark.parametrize("cls", [Cnn, Block])
@pytest.mark.parametrize("options", [TABLE, pytest.param(CompileOptions(), marks=needs_qnn)], ids=["table", "asked"])
def test_common_models_are_taken_whole(cls: type, options: CompileOptions) -> None:
    assert reasons(graph_of(cls), options) == {}


FAKE = """
import json, os, sys
from pathlib import Path
folder, first = Path(sys.argv[2]), int(sys.argv[3])
with (folder / "answers.jsonl").open("a") as answers:
    for number in range(first, 4):
        if number == 2:
            os.kill(os.getpid(), 11)
        answers.write(json.dumps([number, "Erf" if number == 0 else ""]) + "\\n")
        answers.flush()
"""


def fake(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "fake.py").write_text(text)
    monkeypatch.setattr(qnn, "command", lambda *words: [sys.executable, str(folder / "fake.py"), *map(str, words)])


def test_an_op_on_which_the_compiler_crashes_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(FAKE, tmp_path, monkeypatch)
    found = qnn.left_out([b"m"] * 4, {}, tmp_path, 30.0)
    assert found == ["Erf", "", "an operator on which the compiler crashes", ""]
    assert json.loads((tmp_path / "options.json").read_text()) == {}


def test_a_compiler_that_never_answers_leaves_it_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("import sys; sys.exit('no such library')", tmp_path, monkeypatch)
    assert qnn.left_out([b"m"] * 2, {}, tmp_path, 30.0) == [None, None]
