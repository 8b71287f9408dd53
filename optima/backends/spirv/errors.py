"""Interfaces to devices that are not here."""

from __future__ import annotations

from optima.tools import NotUsableHere


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
