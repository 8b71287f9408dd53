"""The executor on a stand-in for NVIDIA's driver: what is allocated, copied, launched and freed, and every refusal.

The stand-in keeps "device" memory on the host and its launches run the simulator's functions, so that addresses,
sizes and order decide whether the results are right. No GPU takes part.
"""

from __future__ import annotations

import gc
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import optima
from devices import DeviceRef
from optima.backends.base import Copying, LoadEnv
from optima.backends.cuda import load as cuda_load
from optima.backends.cuda.driver import Driver, driver
from optima.backends.cuda.gpu import Gpu
from optima.backends.cuda.running import LoadedSubgraph
from optima.backends.gpu_route.executable import FROM_DEVICE, TO_DEVICE
from tests.backends.cuda.harness import (
    DEVICE,
    SUM,
    StandIn,
    compiled,
    executable_on,
    expected,
    needs_compiler,
    needs_simulator,
    values,
)
from tests.backends.one_subgraph import borders_of, view_of


@needs_simulator
def test_inputs_go_in_kernels_run_outputs_come_back(stand_in: StandIn, opened: Driver) -> None:
    graph, _ = compiled(SUM)
    executable = executable_on(stand_in, opened)
    borders = borders_of(graph, values(0))
    invocation = executable.bind(borders)
    before = len(stand_in.log())
    invocation.run()
    np.testing.assert_allclose(borders["y"], expected(values(0)), atol=1e-6)
    kernel = executable.meta.kernels[-1]
    sizes = " ".join(",".join(map(str, s)) for s in (kernel.groups, kernel.threads))
    log = stand_in.log()[before:]
    done = [line for line in log if line != "cuEventRecord"]
    assert done[:2] == ["cuMemcpyHtoDAsync 480"] * 2
    assert done[-3:] == [f"cuLaunchKernel {kernel.name} {sizes} 0", "cuMemcpyDtoHAsync 480", "cuStreamSynchronize"]
    assert executable.runs_on == ""


@needs_simulator
def test_each_step_has_a_time_by_the_gpus_own_clock(stand_in: StandIn, opened: Driver) -> None:
    graph, _ = compiled(SUM)
    executable = executable_on(stand_in, opened)
    invocation = executable.bind(borders_of(graph, values(0)))
    before = len(stand_in.log())
    invocation.run()
    steps = [line.partition(" ")[0] for line in stand_in.log()[before:]]
    launches = ["cuLaunchKernel", "cuEventRecord"] * len(executable.meta.calls)
    copies_in = ["cuMemcpyHtoDAsync", "cuEventRecord"] * 2
    copies_out = ["cuMemcpyDtoHAsync", "cuEventRecord"]
    assert steps == ["cuEventRecord", *copies_in, *launches, *copies_out, "cuStreamSynchronize"]
    # The stand-in's clock goes on by a quarter of a millisecond with each call that it records.
    kernels = [(call.kernel, 500.0) for call in executable.meta.calls]
    assert invocation.timings() == ((TO_DEVICE, 1000.0), *kernels, (FROM_DEVICE, 500.0))
    assert isinstance(invocation, Copying) and invocation.copies_us() == {"x": 500.0, "z": 500.0, "y": 500.0}


@needs_simulator
def test_without_launches_there_is_no_answer(stand_in: StandIn, opened: Driver) -> None:
    graph, _ = compiled(SUM)
    executable = executable_on(stand_in, opened)
    stand_in.library.stand_in_on_launch(None)
    borders = borders_of(graph, values(0))
    executable.bind(borders).run()
    assert np.isnan(borders["y"]).all()  # what the stand-in's fresh memory holds


@needs_simulator
def test_memory_modules_and_streams_are_released(stand_in: StandIn, opened: Driver) -> None:
    graph, _ = compiled(SUM)
    before = stand_in.library.stand_in_live()
    executable = executable_on(stand_in, opened)
    invocation = executable.bind(borders_of(graph, values(0)))
    invocation.run()
    assert stand_in.library.stand_in_live() > before
    del invocation, executable
    gc.collect()
    assert stand_in.library.stand_in_live() == before


@needs_simulator
def test_requests_keep_to_their_own_memory(stand_in: StandIn, opened: Driver) -> None:
    graph, _ = compiled(SUM)
    executable = executable_on(stand_in, opened)

    def run(seed: int) -> float:
        borders = borders_of(graph, values(seed))
        executable.bind(borders).run()
        return float(np.abs(borders["y"] - expected(values(seed))).max())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(run, range(8))) < 1e-6


@needs_simulator
@pytest.mark.parametrize(
    ("capability", "options", "image"),
    [
        ((8, 6), {"architecture": "sm_80"}, "cubin"),
        ((8, 0), {"architecture": "sm_80"}, "cubin"),
        ((9, 0), {"architecture": "sm_80"}, "ptx"),
        ((8, 7), {"architecture": "sm_87"}, "cubin"),
        ((8, 7), {"architecture": "sm_80"}, "ptx"),  # NVIDIA keeps binaries of cards and of Tegra apart
        ((8, 9), {"architecture": "sm_87"}, "ptx"),
        ((12, 1), {"architecture": "sm_120"}, "cubin"),
        ((8, 6), {"architecture": "sm_80", "form": "ptx"}, "ptx"),
    ],
)
def test_machine_code_is_for_its_own_generation(
    stand_in: StandIn, opened: Driver, capability: tuple[int, int], options: dict[str, str], image: str
) -> None:
    stand_in.library.stand_in_capability(*capability)
    executable_on(stand_in, opened, **options)
    loads = [line for line in stand_in.log() if line.startswith("cuModuleLoadData")]
    assert loads and set(loads) == {f"cuModuleLoadData {image}"}


@needs_simulator
def test_an_older_gpu_is_refused_with_its_architecture(stand_in: StandIn, opened: Driver) -> None:
    stand_in.library.stand_in_capability(7, 5)
    with pytest.raises(optima.DeviceLacks, match="sm_75") as caught:
        executable_on(stand_in, opened, architecture="sm_80")
    assert '"architecture": "sm_75"' in str(caught.value)


@needs_simulator
@pytest.mark.parametrize(
    ("function", "status", "error", "words"),
    [
        ("cuMemAlloc", 2, optima.DeviceFailed, "allocate 480 bytes: CUDA_ERROR_OUT_OF_MEMORY"),
        ("cuModuleLoadData", 222, optima.DeviceLacks, "UNSUPPORTED_PTX_VERSION"),
        ("cuModuleLoadData", 221, optima.DeviceLacks, "libnvidia-ptxjitcompiler"),
        ("cuModuleLoadData", 200, optima.DeviceLacks, "update the driver"),
        ("cuModuleGetFunction", 500, optima.DeviceFailed, "take the kernel"),
        ("cuStreamCreate", 1, optima.DeviceFailed, "make a stream"),
        ("cuMemcpyHtoDAsync", 700, optima.DeviceFailed, "copy an input"),
        ("cuLaunchKernel", 701, optima.DeviceFailed, "launch "),
        ("cuMemcpyDtoHAsync", 719, optima.DeviceFailed, "copy an output"),
        ("cuEventCreate", 2, optima.DeviceFailed, "make a clock"),
        ("cuEventRecord", 719, optima.DeviceFailed, "set a mark"),
        ("cuStreamSynchronize", 719, optima.DeviceFailed, "finish"),
    ],
)
def test_each_failure_is_a_typed_error_that_says_what_failed(
    stand_in: StandIn, opened: Driver, function: str, status: int, error: type[Exception], words: str
) -> None:
    graph, _ = compiled(SUM)
    stand_in.fail(function, status)
    with pytest.raises(error, match=words):
        executable_on(stand_in, opened).bind(borders_of(graph, values(0))).run()


def test_a_driver_without_a_gpu_is_told_apart(stand_in: StandIn) -> None:
    stand_in.library.stand_in_reset()
    stand_in.fail("cuInit", 100)
    with pytest.raises(optima.CudaMissing, match="cannot be used"):
        Driver(stand_in.library)
    stand_in.library.stand_in_reset()


def test_no_driver_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(optima.CudaMissing, match="not here"):
        driver(str(tmp_path / "libcuda.so.1"))


def test_a_device_is_present_if_the_driver_has_it(
    stand_in: StandIn, opened: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_load, "driver", lambda: opened)
    assert cuda_load.present(DEVICE) and not cuda_load.present(DeviceRef.parse("NVIDIA:1"))

    def absent() -> Driver:
        raise optima.CudaMissing("no driver")

    monkeypatch.setattr(cuda_load, "driver", absent)
    assert not cuda_load.present(DEVICE)


def test_a_fork_ends_the_driver(opened: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(optima.DeviceFailed, match="fork"):
        opened.count()


@needs_compiler
def test_a_present_gpu_is_opened_and_an_absent_one_simulated(
    stand_in: StandIn, opened: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, artifact = compiled(SUM)
    monkeypatch.setattr(cuda_load, "open_gpu", lambda index: Gpu(opened, index))
    env = LoadEnv(threads=1, fallback=False, log=logging.getLogger("tests"))
    executable = cuda_load.load(view_of(graph, artifact), DEVICE, env)
    assert isinstance(executable.opened, LoadedSubgraph) and executable.opened.device.name == "Stand-in"
