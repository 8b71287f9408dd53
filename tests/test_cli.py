"""The ``optima`` command: every config parses, each command does what it says, a refusal is text and status 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optima
from examples.models import MODELS
from optima.cli import CompileJob
from optima.graph import Graph
from optima.samples import SampleError, read_samples
from torch2nx.converter import Torch2GraphConverter

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_every_config_parses(path: Path) -> None:
    job = CompileJob.read(path)
    assert job.name and job.devices


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    module, samples = MODELS["sample"]()
    tracer = Torch2GraphConverter()
    graph = tracer.convert(model=module, fake_torch_data=list(samples), gpu=False)
    tracer.export_to_gpickle(folder / "sample.gpickle", graph)
    (folder / "job.toml").write_text(
        'name = "Sample"\ndevices = ["X64"]\ngraph = "sample.gpickle"\nmap = "map.json"\noutput = "out"\n'
    )
    return folder


def optima_command(*arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "optima.cli", *arguments],
        capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_from_template_to_folder(folder: Path) -> None:
    optima_command("template", str(folder / "sample.gpickle"), "X64:0", str(folder / "map.json"))
    assert json.loads((folder / "map.json").read_text()) == {"conv2d_2": "X64:0", "add_5": "X64:0"}
    assert "subgraph_0  X64:0  2 ops" in optima_command("check", str(folder / "job.toml"))
    assert "subgraph_0" in optima_command("compile", str(folder / "job.toml"))
    shown = optima_command("inspect", str(folder / "out" / "Sample"))
    assert "input  x  float32[1, 3, 32, 32]" in shown and "llvm" in shown
    graph = Graph.parse(optima_command("dump", str(folder / "sample.gpickle")))
    assert [op.name for op in graph.ops] == ["conv2d_2", "add_5"]
    assert "| `conv2d` |" in optima_command("support")


def test_a_refusal_is_text_and_status_1(folder: Path) -> None:
    (folder / "bad.toml").write_text('name = "Sample"\ndevices = "X64"\ngraph = "g"\nsurprise = 1\n')
    said = optima_command("compile", str(folder / "bad.toml"), status=1)
    assert said.startswith("JobError") and "Traceback" not in said
    for fault in ("devices", "map", "surprise"):
        assert fault in said
    assert "nowhere" in optima_command("inspect", str(folder / "nowhere"), status=1)
    with pytest.raises(optima.JobError):
        CompileJob.read(folder / "absent.toml")


def test_samples_and_options_of_a_job_reach_the_compiler(folder: Path) -> None:
    x, y = np.zeros((2, 1, 3, 32, 32), np.float32), np.ones((2, 1, 1, 32, 32), np.float32)
    np.savez(folder / "samples.npz", x=x, y=y)
    text = (folder / "job.toml").read_text() + 'samples = "samples.npz"\ndevice_options.X64 = { speed = 9 }\n'
    (folder / "options.toml").write_text(text)
    (folder / "map.json").write_text(json.dumps({"conv2d_2": "X64:0", "add_5": "X64:0"}))
    job = CompileJob.read(folder / "options.toml")
    assert job.samples is not None
    samples = read_samples(job.samples)
    assert [list(sample) for sample in samples] == [["x", "y"]] * 2
    assert all(sample["y"].shape == (1, 1, 32, 32) and sample["y"].min() == 1 for sample in samples)
    for command in ("check", "compile"):
        assert "speed" in optima_command(command, str(folder / "options.toml"), status=1)


def test_check_and_compile_refuse_the_same_names(folder: Path) -> None:
    (folder / "map.json").write_text(json.dumps({"conv2d_2": "X64:0", "add_5": "X64:0"}))
    text = (folder / "job.toml").read_text().replace('"Sample"', '"../Sample"')
    (folder / "outside.toml").write_text(text)
    refusals = {optima_command(command, str(folder / "outside.toml"), status=1) for command in ("check", "compile")}
    assert len(refusals) == 1 and "../Sample" in refusals.pop()


@pytest.mark.parametrize("array", [np.array(["a"]), np.zeros(2, "datetime64[s]"), np.zeros(2, [("a", "f4")])])
def test_samples_that_are_no_numbers_are_refused(folder: Path, array: np.ndarray[Any, Any]) -> None:
    np.savez(folder / "words.npz", x=array)
    with pytest.raises(SampleError, match="no number") as error:
        read_samples(folder / "words.npz")
    assert [p.subject for p in error.value.problems] == ["x"]


def test_samples_of_the_other_byte_order_are_read(folder: Path) -> None:
    np.savez(folder / "big.npz", x=np.array([1.5, 2.5], ">f4"))
    assert [float(sample["x"]) for sample in read_samples(folder / "big.npz")] == [1.5, 2.5]


@pytest.mark.parametrize("arrays", [{}, {"x": np.zeros(2), "y": np.zeros(3)}, {"x": np.float32(1)}])
def test_samples_that_do_not_count_alike_are_refused(folder: Path, arrays: dict[str, Any]) -> None:
    np.savez(folder / "odd.npz", **arrays)
    with pytest.raises(SampleError, match="one row per sample"):
        read_samples(folder / "odd.npz")
    np.save((folder / "odd.npz").open("wb"), np.zeros(3))
    with pytest.raises(SampleError, match="no .npz but one array"):
        read_samples(folder / "odd.npz")
    (folder / "odd.npz").write_bytes(b"PK no archive")
    with pytest.raises(SampleError, match="cannot be read"):
        read_samples(folder / "odd.npz")


def test_a_map_that_cannot_be_written_is_a_refusal(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "optima.cli", "template", folder / "sample.gpickle", "X64:0", folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("GraphError: cannot write ")
    assert "Traceback" not in done.stderr
