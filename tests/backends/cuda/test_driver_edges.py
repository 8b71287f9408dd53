"""The executor and NVIDIA's driver where something else takes part: other libraries' contexts, other drivers, forks."""

from __future__ import annotations

import ctypes
import gc
import os

import numpy as np
import pytest

import optima
from optima.backends.cuda import load as cuda_load
from optima.backends.cuda.driver import Driver, driver
from optima.backends.cuda.gpu import Gpu
from optima.backends.cuda.meta import CudaSubgraph
from optima.backends.cuda.running import opened as on_device
from tests.backends.cuda.harness import DEVICE, SUM, StandIn, compiled, executable_on, needs_simulator, values
from tests.backends.one_subgraph import borders_of, view_of


@needs_simulator
def test_the_threads_own_context_stays(stand_in: StandIn, opened: Driver) -> None:
    """It may be another library's, or another GPU's, whose work the garbage collector interrupts."""
    graph, _ = compiled(SUM)
    own = ctypes.c_void_p(4711)
    assert stand_in.library.cuCtxPushCurrent_v2(own) == 0
    executable = executable_on(stand_in, opened)
    assert stand_in.library.stand_in_current() == own.value
    invocation = executable.bind(borders_of(graph, values(0)))
    invocation.run()
    assert stand_in.library.stand_in_current() == own.value
    stand_in.fail("cuLaunchKernel", 700)
    with pytest.raises(optima.DeviceFailed):
        invocation.run()
    del invocation, executable
    gc.collect()
    assert stand_in.library.stand_in_current() == own.value
    assert stand_in.library.cuCtxPopCurrent_v2(ctypes.byref(own)) == 0


@needs_simulator
def test_a_lost_gpu_is_released_without_a_word(
    stand_in: StandIn, opened: Driver, capfd: pytest.CaptureFixture[str]
) -> None:
    executable = executable_on(stand_in, opened)
    for name in ("cuModuleUnload", "cuMemFree", "cuStreamDestroy"):
        invocation = executable.bind(borders_of(compiled(SUM)[0], values(0)))
        stand_in.fail(name, 719)
        del invocation
        gc.collect()
    del executable
    gc.collect()
    assert capfd.readouterr().err == ""


@needs_simulator
def test_empty_borders_are_not_copied(stand_in: StandIn, opened: Driver) -> None:
    """The documentation does not say what a copy of 0 bytes is."""
    graph, artifact = compiled("graph g(%x: f32[0,4]) -> (%y)\n  %y = relu_0: relu(%x) : f32[0,4]\n")
    view = view_of(graph, artifact)
    executable = on_device(Gpu(opened, 0), CudaSubgraph.model_validate(view.meta), view)
    executable.bind(borders_of(graph, {"x": np.empty((0, 4), np.float32)})).run()
    assert not [line for line in stand_in.log() if line.startswith("cuMemcpy")]


@needs_simulator
def test_what_is_on_its_way_ends_before_a_failure_is_told(stand_in: StandIn, opened: Driver) -> None:
    graph, _ = compiled(SUM)
    invocation = executable_on(stand_in, opened).bind(borders_of(graph, values(0)))
    stand_in.fail("cuLaunchKernel", 701)
    with pytest.raises(optima.DeviceFailed, match="launch"):
        invocation.run()
    assert stand_in.log()[-1] == "cuStreamSynchronize"


@needs_simulator
def test_code_that_the_driver_does_not_take_is_compiled_by_it(stand_in: StandIn, opened: Driver) -> None:
    stand_in.library.stand_in_refuse_cubins(209)
    executable_on(stand_in, opened, architecture="sm_80")
    loads = [line for line in stand_in.log() if line.startswith("cuModuleLoadData")]
    assert loads[0].endswith("cubin") and loads[-1].endswith("ptx")


def test_a_driver_that_lacks_a_function_is_too_old() -> None:
    with pytest.raises(optima.CudaMissing, match="too old"):
        driver("libc.so.6")


def test_a_driver_that_cannot_count_has_no_device(
    stand_in: StandIn, opened: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cuda_load, "driver", lambda: opened)
    stand_in.fail("cuDeviceGetCount", 3)
    assert not cuda_load.present(DEVICE) and "taken for absent" in caplog.text


def test_a_forked_process_is_told_that_it_has_no_cuda(stand_in: StandIn) -> None:
    """There cuInit itself answers CUDA_ERROR_NOT_INITIALIZED, which is no want of a driver."""
    driver(stand_in.path)
    child = os.fork()
    if child == 0:
        try:
            driver(stand_in.path)
        except optima.DeviceFailed as error:
            os._exit(0 if "spawn" in error.hint else 2)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
