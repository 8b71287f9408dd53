"""The run half of the CUDA route: opens a subgraph's kernels on a GPU, or on what simulates one, and launches them."""

from __future__ import annotations

import logging

from devices import DeviceRef
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.cuda.device import Device
from optima.backends.cuda.driver import CudaMissing, driver
from optima.backends.cuda.gpu import open_gpu
from optima.backends.cuda.meta import FORMAT_VERSION, CudaSubgraph
from optima.backends.cuda.running import opened
from optima.backends.cuda.simulator import Simulator
from optima.backends.gpu_route.errors import DeviceFailed
from optima.backends.gpu_route.executable import GpuExecutable
from optima.backends.gpu_route.meta import own_problems
from optima.backends.kernel_route.checking import read_plan

_LOG = logging.getLogger(__name__)


def present(device: DeviceRef) -> bool:
    """Whether NVIDIA's driver is here and has a GPU of that index."""
    try:
        return device.index < driver().count()
    except CudaMissing:
        return False
    except DeviceFailed as error:
        _LOG.warning("%s is taken for absent: %s", device, error)
        return False


def load(view: SubgraphView, device: DeviceRef, env: LoadEnv) -> GpuExecutable:
    """Open a subgraph's kernels on its GPU, or on the simulator where that is absent.

    Raises BadSubgraph when ``<subgraph>.meta`` contradicts itself or the files, DeviceLacks when the GPU is older than
    the architecture that was compiled for, ToolMissing and ToolFailed where the simulator cannot be built.
    """
    meta = read_plan(CudaSubgraph, view, FORMAT_VERSION, own_problems)
    found: Device = open_gpu(device.index) if env.present else Simulator()
    env.log.info("%s: %d kernels on %s (%s)", view.name, len(meta.kernels), found.name, device)
    return opened(found, meta, view)
