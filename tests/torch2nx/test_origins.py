"""Every op names the user's own line: in methods, free functions, lambdas, and torch's own modules."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.fx.proxy import TracerBase

from tests.torch2nx import models_for_lines
from tests.torch2nx.compare import convert, only_op
from torch2nx import origins

FILE = Path(models_for_lines.__file__)


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(FILE.read_text().splitlines(), 1) if text in line)


@pytest.fixture(scope="module")
def graph():  # type: ignore[no-untyped-def]
    return convert(models_for_lines.Lines(), torch.randn(1, 3, 4, 4))


def test_lines_functions_and_modules(graph) -> None:  # type: ignore[no-untyped-def]
    conv = [d["origin"] for _, d in graph.nodes(data="data") if d.get("op") == "conv2d"]
    assert [o["module"] for o in conv] == ["stages.0.conv", "stages.1.conv"]
    assert {o["function"] for o in conv} == {"Block.body"}
    assert {o["line"] for o in conv} == {line_of("# in a method")}
    mul = only_op(graph, "mul")["origin"]
    assert (mul["function"], mul["line"]) == ("scale", line_of("# free function"))
    assert mul["code"] == "return x * by  # free function"
    sub = only_op(graph, "sub")["origin"]
    assert sub["line"] == line_of("# inside a lambda") and "lambda" in sub["function"]


def test_files_are_relative_to_their_import_root(graph) -> None:  # type: ignore[no-untyped-def]
    files = {d["origin"]["file"] for _, d in graph.nodes(data="data") if d["kind"] == "OpNode"}
    assert len(files) == 1
    (file,) = files
    assert not Path(file).is_absolute() and file.endswith("models_for_lines.py")


def test_a_file_under_no_import_root_is_a_name(tmp_path: Path) -> None:
    assert origins.relative_file(str(tmp_path / "deep" / "net.py")) == "net.py"


def test_the_longest_import_root_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    assert origins.relative_file(str(tmp_path / "src" / "pkg" / "net.py")) == "pkg/net.py"


def test_a_model_of_torch_modules_only_names_torch() -> None:
    graph = convert(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), torch.randn(1, 3, 4, 4))
    origin = only_op(graph, "conv2d")["origin"]
    assert origin["file"].endswith("torch/nn/modules/conv.py") and origin["module"] == "0"
    assert only_op(graph, "relu")["origin"]["module"] == "1"


def test_lines_survive_torchs_functionalisation() -> None:
    class Writes(nn.Module):
        def helper(self, x: torch.Tensor) -> torch.Tensor:
            return x.sigmoid()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.helper(x)
            x[0] = 1
            return x

    origin = only_op(convert(Writes(), torch.randn(2, 2)), "sigmoid")["origin"]
    assert origin["function"].endswith("Writes.helper") and origin["code"] == "return x.sigmoid()"


def test_without_torchs_private_filter_the_forward_line_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "_FILTER", "a_name_that_torch_does_not_have")
    origin = only_op(convert(models_for_lines.Lines(), torch.randn(1, 3, 4, 4)), "mul")["origin"]
    assert origin["function"] == "forward"


def test_the_filter_is_put_back_and_other_threads_keep_it() -> None:
    original = TracerBase.__dict__["_filter_traceback_frames"]
    seen: list[bool] = []
    with origins.exact_frames():
        assert TracerBase.__dict__["_filter_traceback_frames"] is not original
        thread = threading.Thread(target=lambda: seen.append(getattr(origins._TRACING, "active", False)))
        thread.start()
        thread.join()
    assert seen == [False]
    assert TracerBase.__dict__["_filter_traceback_frames"] is original
