"""Bad input gets a typed error that says what to edit, all problems at once, and the old folder stays whole."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

import optima
import optima.runtime as rt
from devices import DeviceEnum
from examples.models import MODELS
from optima.manager import Manager
from torch2nx.converter import Torch2GraphConverter

X64 = DeviceEnum.DEVICE_KIND_X64
#: what a pickle that is executed would leave behind
MARKER = Path(tempfile.gettempdir()) / f"optima_was_here_{os.getpid()}"


class Job:
    """A compiled model in a folder, and what made it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module, self.samples = MODELS["sample"]()
        tracer = Torch2GraphConverter()
        self.graph = tracer.convert(model=self.module, fake_torch_data=list(self.samples), gpu=False)
        self.gpickle = folder / "sample.gpickle"
        tracer.export_to_gpickle(self.gpickle, self.graph)
        self.map = folder / "map.json"
        self.write_map({"conv2d_2": "X64:0", "add_5": "X64:1"})
        self.out = folder / "out"
        self.compile()
        self.before = self.snapshot()

    def write_map(self, value: object) -> None:
        self.map.write_text(value if isinstance(value, str) else json.dumps(value))

    def compile(self, **changes: Any) -> Any:
        arguments = {
            "module_name": "Sample", "device_info": [X64], "model_graph_or_gpickle": self.gpickle,
            "output_folder_dir": self.out, "device_alloc_per_kernel_json_dir": self.map,
        }  # fmt: skip
        return Manager().optimize(**{**arguments, **changes})

    def snapshot(self) -> dict[str, bytes]:
        root = self.out / "Sample"
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    def refused(self, match: str, **changes: Any) -> optima.OptimaError:
        with pytest.raises(optima.OptimaError, match=match) as caught:
            self.compile(**changes)
        assert self.snapshot() == self.before, "the previous folder changed"
        assert not [p for p in self.out.iterdir() if ".tmp" in p.name], "a temporary folder was left"
        return caught.value


@pytest.fixture(scope="module")
def shared_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(tmp_path_factory.mktemp("job"))


@pytest.fixture
def job(shared_job: Job) -> Iterator[Job]:
    yield shared_job
    shared_job.write_map({"conv2d_2": "X64:0", "add_5": "X64:1"})


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"conv2d_2": "X64:0"}, "add_5"),
        ({"conv2d_2": "X64:0", "add_5": "X64:0", "relu_9": "X64:0"}, "relu_9"),
        ({"conv2d_2": "X64:0", "ad_5": "X64:0"}, "ad_5"),
        ({"conv2d_2": "X64", "add_5": "X64:0"}, "X64"),
        ({"conv2d_2": 3, "add_5": "X64:0"}, "conv2d_2"),
        ({"conv2d_2": [], "add_5": "X64:0"}, "conv2d_2"),
        ({"conv2d_2": "ARM:0", "add_5": "X64:0"}, "ARM"),
        ('{"conv2d_2": "X64:0", "conv2d_2": "X64:1", "add_5": "X64:0"}', "conv2d_2"),
        ('{"conv2d_2": ', "JSON"),
        ("[1]", "object"),
        ({}, "conv2d_2"),
        ("", "JSON"),
    ],
)
def test_maps(job: Job, content: object, match: str) -> None:
    job.write_map(content)
    error = job.refused(match)
    assert error.hint


def test_all_faults_of_a_map_come_at_once(job: Job) -> None:
    job.write_map('{"conv2d_2": "X64", "relu_9": "X64:0", "relu_9": "X64:0"}')
    text = str(job.refused("."))
    for fault in ("conv2d_2", "relu_9", "add_5"):
        assert fault in text


class Evil:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARKER}",)


def truncated(good: bytes) -> bytes:
    return good[: len(good) // 2]


def cyclic(good: bytes) -> bytes:
    graph = pickle.loads(good)  # noqa: S301 (this test's own file)
    graph.nodes["conv2d_2"]["data"]["inputs"][0] = "tensor_6"
    graph.remove_edge("tensor_0", "conv2d_2")
    graph.add_edge("tensor_6", "conv2d_2")
    return pickle.dumps(graph)


def dangling(good: bytes) -> bytes:
    graph = pickle.loads(good)  # noqa: S301
    graph.remove_node("paramtensor_3")
    return pickle.dumps(graph)


def wrong_shape(good: bytes) -> bytes:
    graph = pickle.loads(good)  # noqa: S301
    graph.nodes["tensor_6"]["data"]["shape"] = [1, 1, 31, 32]
    return pickle.dumps(graph)


@pytest.mark.parametrize(
    "spoil",
    [
        truncated, cyclic, dangling, wrong_shape,
        lambda good: pickle.dumps(Evil()),
        lambda good: pickle.dumps([1, 2, 3]),
        lambda good: pickle.dumps(nx.path_graph(3)),
        lambda good: pickle.dumps(np.array([object()], dtype=object)),
        lambda good: b"",
        lambda good: b"\x80\x04",
    ],
)  # fmt: skip
def test_gpickles(job: Job, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "bad.gpickle"
    path.write_bytes(spoil(job.gpickle.read_bytes()))
    job.refused(".", model_graph_or_gpickle=path)
    assert not MARKER.exists()


def test_paths_that_are_not_there(job: Job, tmp_path: Path) -> None:
    job.refused("nowhere", model_graph_or_gpickle=tmp_path / "nowhere.gpickle")
    job.refused("nowhere", device_alloc_per_kernel_json_dir=tmp_path / "nowhere.json")
    job.refused(".", model_graph_or_gpickle=tmp_path)
    job.refused("JSON", model_graph_or_gpickle=job.map)
    job.refused(".", device_alloc_per_kernel_json_dir=tmp_path)


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", ".hidden", "a\0b", "x" * 300, "a\nb"])
def test_model_names(job: Job, name: str) -> None:
    job.refused(".", module_name=name)


def test_targets_that_hold_something_else(job: Job, tmp_path: Path) -> None:
    (tmp_path / "Sample").mkdir()
    (tmp_path / "Sample" / "thesis.txt").write_text("years of work")
    job.refused("thesis|Sample", output_folder_dir=tmp_path)
    assert (tmp_path / "Sample" / "thesis.txt").read_text() == "years of work"
    file = tmp_path / "file"
    file.write_text("x")
    job.refused("file", output_folder_dir=file)
    assert file.read_text() == "x"


@pytest.mark.parametrize("bad", [[], ["X64"], None, [X64, "ARM"]])
def test_device_info(job: Job, bad: Any) -> None:
    job.refused(".", device_info=bad)


@pytest.mark.parametrize(
    "samples",
    [
        [(torch.rand(1, 3, 32, 32),)],
        [(torch.rand(1, 3, 32, 31), torch.rand(1, 1, 32, 32))],
        [(torch.rand(1, 3, 32, 32).double(), torch.rand(1, 1, 32, 32))],
        [torch.rand(1, 3, 32, 32)],
        torch.rand(1),
        [("x", "y")],
        [(torch.rand(1, 3, 32, 32).numpy(), torch.rand(1, 1, 32, 32))],
        [(torch.rand(1, 3, 32, 32).to_sparse(), torch.rand(1, 1, 32, 32))],
        [(torch.rand(1, 3, 32, 32, device="meta"), torch.rand(1, 1, 32, 32))],
    ],
)
def test_samples(job: Job, samples: Any) -> None:
    job.refused("sample", sample_inputs=samples)


def test_samples_that_fit(job: Job) -> None:
    x, y = job.samples
    job.compile(sample_inputs=[(x, y), {"x": x, "y": y}])
    assert job.snapshot().keys() == job.before.keys()
    job.before = job.snapshot()  # report.json holds times


def test_unknown_backends_and_targets(job: Job) -> None:
    job.refused("dump_dir", dump_dir=job.gpickle / "dumps")
    faults = str(job.refused("4 arguments", workers=-1, target_cpu=3, backends={"Q": "llvm"}, dump_dir=7))
    for name in ("workers", "target_cpu", "'Q'", "dump_dir"):
        assert name in faults
    job.refused("workers", workers="2")
    for name in ("strict_targets", "cpu_fallback", "need_gpu"):
        job.refused(f"{name}.*give True or False", **{name: "no"})
    job.refused("the spirv backend compiles for .*, and not for X64", backends={"X64": "spirv"})
    job.refused("DiGraph|gpickle|graph", model_graph_or_gpickle=None)
    with pytest.raises(optima.OptimaError, match="tf_flip"):
        Torch2GraphConverter(tf_flip=5)  # type: ignore[arg-type]
    assert "llvm" in job.refused("lvm", backends={"X64": "lvm"}).hint
    job.refused("pentium9000", target_cpu="pentium9000")


def test_inputs_to_run(job: Job) -> None:
    model = rt.Context().load_model(job.out / "Sample")
    x, y = (s.numpy() for s in job.samples)
    expected = model(x, y)
    with pytest.raises(ValueError, match="x") as wrong_shape:
        model(x[:, :2], y)
    assert isinstance(wrong_shape.value, optima.OptimaError)
    with pytest.raises(TypeError, match="float64") as wrong_dtype:
        model(x.astype("float64"), y)
    assert isinstance(wrong_dtype.value, optima.OptimaError)
    with pytest.raises(optima.OptimaError, match="z"):
        model.run({"x": x, "z": y})
    with pytest.raises(optima.OptimaError, match="y"):
        model.run({"x": x})
    strided = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert np.array_equal(model(strided, y), expected)
    raw = np.empty(x.nbytes + 1, dtype="uint8")[1:]
    misaligned = raw.view("float32").reshape(x.shape)
    misaligned[...] = x
    assert np.array_equal(model(misaligned, y), expected)


def test_a_missing_compiler_is_told_before_any_kernel(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIMA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", "no-such-compiler")
    error = job.refused("no-such-compiler")
    assert isinstance(error, optima.LinkError) and "CC" in error.hint


@pytest.mark.parametrize("name", ["progress", "use_cache", "wait_for_lock"])
def test_a_flag_is_true_or_false(job: Job, name: str) -> None:
    error = job.refused(f"{name} +is 'no'", **{name: "no"})
    assert isinstance(error, optima.OptionError)


@pytest.mark.parametrize("name", ["model_graph_or_gpickle", "dump_dir", "output_folder_dir"])
def test_a_path_with_a_nul_in_it(job: Job, name: str) -> None:
    job.refused("(?i)nul", **{name: "a\0b"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tolerance": float("nan")}, "tolerance +is nan"),
        ({"tolerance": float("inf")}, "tolerance +is inf"),
        ({"tolerance": -1}, "tolerance +is -1"),
        ({"tolerance": "0.1"}, "tolerance +is '0.1'"),
        ({"fallback": "yes"}, "fallback +is 'yes'"),
        ({"samples": None}, "samples +is a NoneType"),
        ({"model_folder": None}, "model_folder +is None"),
    ],
)
def test_verify_never_takes_what_makes_everything_equal(job: Job, change: dict[str, Any], said: str) -> None:
    given = {"model_folder": job.out / "Sample", "samples": [job.samples], **change}
    with pytest.raises(optima.OptionError, match=said):
        optima.verify(job.module, **given)


def test_the_home_of_a_user_that_is_not_there(job: Job) -> None:
    """pathlib raises a bare RuntimeError for it."""
    nowhere = "~no-such-user-here/x"
    with pytest.raises(optima.OptimaError, match="no-such-user-here"):
        job.compile(model_graph_or_gpickle=nowhere)
    with pytest.raises(optima.OptimaError, match="no-such-user-here"):
        optima.verify(job.module, nowhere, [job.samples])
    tracer = Torch2GraphConverter()
    with pytest.raises(optima.GraphError, match="no-such-user-here"):
        tracer.get_onedevice_allocator(job.map, "X64", nowhere)


def test_a_file_with_a_nul_in_its_name_cannot_be_written(job: Job) -> None:
    tracer = Torch2GraphConverter()
    with pytest.raises(optima.GraphError, match="cannot write"):
        tracer.export_to_gpickle("a\0b", job.graph)
    with pytest.raises(optima.GraphError, match="cannot write"):
        tracer.get_onedevice_allocator("a\0b", "X64", job.gpickle)
