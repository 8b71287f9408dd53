"""The refusals of devices that run SPIR-V, whichever interface they have."""

from __future__ import annotations

from optima.tools import NotUsableHere


class DeviceLacks(NotUsableHere):
    """A device that cannot run a subgraph's kernels: a capability or a limit is missing.

    Example: a model with int64 indices on a GPU without ``shaderInt64``. Fix: map those operators to X64.
    """


class DeviceFailed(NotUsableHere):
    """A device that failed: out of memory, lost, or used after a fork.

    Example: a model whose tensors do not fit into the device's memory. Fix: fewer requests, or a smaller model.
    """


class VulkanMissing(NotUsableHere):
    """There is no Vulkan on this machine: the ``vulkan`` package, its loader, or any driver is absent.

    Example: ``load_model(path, fallback=True)`` of a model for ``"MALI:0"`` where Mesa's lavapipe is not installed.
    Fix: the command in the hint.
    """


class OpenClMissing(NotUsableHere):
    """No OpenCL device that takes SPIR-V is on this machine, or the ``pyopencl`` package is absent.

    Example: ``load_model(path, fallback=True)`` of a model compiled with ``{"flavour": "kernel"}`` where only drivers
    are that want source text. Fix: the command in the hint.
    """
