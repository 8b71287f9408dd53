"""The runtime in a process of its own: where torch and tvm are blocked, after a fork, at exit, cold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.runtime import folders

BLOCKED = """
import sys
for name in ("torch", "tvm", "tvm_ffi", "networkx", "rich", "typer", "pygraphviz"):
    sys.modules[name] = None
"""


def python(code: str, *arguments: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, timeout=timeout, capture_output=True, text=True)


def test_a_model_runs_where_torch_and_tvm_are_not(tmp_path: Path) -> None:
    shape = (16, 32)
    path = folders.rich(tmp_path, shape)
    x, y = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    np.savez(tmp_path / "given.npz", x=x, y=y)
    code = (
        BLOCKED
        + """
import numpy as np
import optima.runtime as rt
given = np.load(sys.argv[2])
model = rt.Context().load_model(sys.argv[1])
request = model.create_request()
request.set_inputs([given["x"], given["y"]])
request.infer()
assert request.wait(60_000) is False
np.savez(sys.argv[3], **model.run([given["x"], given["y"]]), requested=request.get_outputs()[0])
model.trace(model.flatten_inputs((given["x"], given["y"])))
"""
    )
    python(code, path, tmp_path / "given.npz", tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    want = ((x + y) * np.float32(2)) * np.float32(3) + found["const"]
    np.testing.assert_array_equal(found["sum"], want)
    np.testing.assert_array_equal(found["requested"], want)
    np.testing.assert_array_equal(found["border"], x + y)


def test_importing_the_runtime_imports_none_of_the_compile_half() -> None:
    code = """
import sys, optima.runtime
heavy = {"torch", "tvm", "tvm_ffi", "networkx", "rich", "typer"} & set(sys.modules)
assert not heavy, heavy
assert "optima.manager" not in sys.modules
"""
    python(code)


def test_without_torch_the_reference_backend_says_so(tmp_path: Path) -> None:
    part = folders.Part(("x",), ("z",), backend="reference", meta={}, files={"graph.txt": b""})
    tensors = [folders.tensor(n, (2,)) for n in "xz"]
    path = folders.write(tmp_path, [part], tensors[:1], tensors[1:])
    code = (
        BLOCKED
        + """
import optima.runtime as rt
try:
    rt.Context().load_model(sys.argv[1])
except rt.UserError as error:
    assert "torch is not installed" in str(error), error
else:
    raise AssertionError("loaded")
"""
    )
    python(code, path)


def test_a_forked_child_can_run_the_model(tmp_path: Path) -> None:
    code = (
        BLOCKED
        + """
import os, warnings
import numpy as np
import optima.runtime as rt
warnings.simplefilter("ignore")
model = rt.Context(threads=3).load_model(sys.argv[1])
x = np.ones((64, 256), np.float32)
def work():
    request = model.create_request()
    request.set_inputs([x, x])
    for _ in range(10):
        request.infer()
        assert request.wait(60_000) is False
    assert (request.get_outputs()[0] == 2).all() and (model(x, x) == 2).all()
work()
for _ in range(5):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
work()
"""
    )
    python(code, folders.simple(tmp_path, (64, 256)))


def test_the_process_may_end_while_an_inference_runs(tmp_path: Path) -> None:
    code = (
        BLOCKED
        + """
import numpy as np
import optima.runtime as rt
model = rt.Context(threads=4).load_model(sys.argv[1])
requests = [model.create_request() for _ in range(8)]
x = np.ones((512, 4096), np.float32)
for request in requests:
    request.set_inputs([x, x])
    request.infer()
"""
    )
    python(code, folders.simple(tmp_path, (512, 4096)))


def test_threads_stay_bounded_whatever_the_number_of_requests(tmp_path: Path) -> None:
    code = (
        BLOCKED
        + """
import os
import numpy as np
import optima.runtime as rt
from optima.native import Pool, available_cores
model = rt.Context(threads=4).load_model(sys.argv[1])
before = len(os.listdir("/proc/self/task"))
requests = [model.create_request() for _ in range(200)]
x = np.ones((64, 256), np.float32)
for request in requests:
    request.set_inputs([x, x])
for _ in range(3):
    for request in requests:
        request.infer()
    most = len(os.listdir("/proc/self/task"))
    for request in requests:
        assert request.wait(60_000) is False
    assert most <= before + 3 + max(2, available_cores()), most
assert Pool().workers == 3
"""
    )
    python(code, folders.simple(tmp_path, (64, 256)))


def test_a_thousand_kernels_load_in_a_second(tmp_path: Path) -> None:
    shape = (4, 8)
    kernel = folders.kernels.add(shape)
    names = [f"add_{i}" for i in range(1000)]
    part = folders.Part(
        ("x", "y"), ("z",),
        buffers=[folders.buffer(n, shape, "border") for n in "xyz"],
        calls=[folders.call(n, "x", "y", "z") for n in names],
        kernels=dict.fromkeys(names, kernel),
    )  # fmt: skip
    meta = part.meta_of("subgraph_0")
    part.meta = {**meta, "kernels": [{**k, "symbol": "__tvm_ffi_add"} for k in meta["kernels"]]}
    tensors = [folders.tensor(n, shape) for n in "xyz"]
    path = folders.write(tmp_path, [part], tensors[:2], tensors[2:])
    code = """
import sys, time
import numpy as np
import optima.runtime as rt
start = time.perf_counter()
model = rt.Context().load_model(sys.argv[1])
print(time.perf_counter() - start)
assert (model(*[np.ones((4, 8), np.float32)] * 2) == 2).all()
"""
    # The loaded CI machine gets three tries.
    assert any(float(python(code, path).stdout) < 1 for _ in range(3))
