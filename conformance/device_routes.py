"""The ways from an operator case to a result: a kind of device, its backend, and what executes the artifact here."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from conformance.qemu import MACHINES, Machine
from devices import DeviceEnum, DeviceRef, spec_of
from optima.backends import module_of
from optima.backends.base import CompileOptions
from optima.runtime.presence import host_kind

_SIMULATOR = "OPTIMA_HEXAGON_SIMULATOR"
#: the modules are valid, and right once an index is int32
LAVAPIPE_FAULTS = {
    f"index_put[6x5_0:3_scalar|float32-int32|accumulate={accumulate}]": "lavapipe compares int64 wrongly in some loops"
    for accumulate in (False, True)
}
#: backends that promise PyTorch's answer for NaN and infinities, too
_SPECIAL_VALUES = ("llvm", "reference", "null")
#: backends that compute in integers
_QUANTISING = ("snpe", "edgetpu", "vendor_bundle")


@dataclass(frozen=True)
class Route:
    """``kind`` by ``backend``, executed by what ``executed_by`` says in words. ``like``: kinds that get the same bytes.

    ``simulator`` chooses one of HEXAGON's. ``options`` are the kind's own (``device_options``); ``cpu`` is another
    model of qemu's than the baseline. ``excuses``: case -> what is at fault in the simulator where its answer is wrong.
    """

    kind: DeviceEnum
    backend: str
    executed_by: str
    like: tuple[DeviceEnum, ...] = ()
    simulator: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    cpu: str = ""
    excuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the page calls it."""
        kinds = ", ".join(kind.value for kind in (self.kind, *self.like))
        by_choice = f" by {self.backend}" if self.backend != spec_of(self.kind).backend else ""
        chosen = [f"{key}={value}" for key, value in self.options.items()]
        return ", ".join([kinds + by_choice, *chosen, *([self.simulator] if self.simulator else [])])

    @property
    def device(self) -> DeviceRef:
        """The device that a map would name."""
        return DeviceRef(self.kind, 0)

    @property
    def compile_options(self) -> CompileOptions:
        """What ``optimize`` would pass on."""
        return CompileOptions(device_options={self.kind.value: self.options} if self.options else {})

    @property
    def quantises(self) -> bool:
        """Whether results are judged by their signal to noise."""
        return self.backend in _QUANTISING

    @property
    def finite(self) -> bool:
        """Whether NaN and infinities are left out."""
        return self.backend not in _SPECIAL_VALUES

    @property
    def machine(self) -> Machine | None:
        """The emulated computer that it runs on; None where a backend's own ``load`` runs it in this process."""
        return MACHINES.get(self.kind) if self.backend == "llvm" and self.kind is not host_kind() else None

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """While it lasts, HEXAGON's simulator is this route's."""
        before = os.environ.get(_SIMULATOR)
        if self.simulator:
            os.environ[_SIMULATOR] = self.simulator
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(_SIMULATOR, None)
            else:
                os.environ[_SIMULATOR] = before


def _routes() -> tuple[Route, ...]:
    x64, hexagon = DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_HEXAGON
    gpus = (DeviceEnum.DEVICE_KIND_AMDGPU, DeviceEnum.DEVICE_KIND_INTELGPU, DeviceEnum.DEVICE_KIND_MALI)
    return (
        Route(x64, "llvm", "this CPU"),
        *(Route(kind, "llvm", f"{machine.qemu}, a host of kernels in C") for kind, machine in MACHINES.items()),
        Route(x64, "openvino", "OpenVINO's CPU plugin"),
        Route(DeviceEnum.DEVICE_KIND_MYRIAD, "openvino", "OpenVINO's CPU plugin, in its place"),
        Route(DeviceEnum.DEVICE_KIND_ADRENO, "spirv", "lavapipe, in its place", gpus, excuses=LAVAPIPE_FAULTS),
        Route(
            DeviceEnum.DEVICE_KIND_INTELGPU, "spirv", "Intel's OpenCL driver for CPUs, in its place",
            options={"flavour": "kernel"},
        ),
        Route(DeviceEnum.DEVICE_KIND_NVIDIA, "cuda", "its CUDA C++, which NVRTC takes too, on this CPU, in its place"),
        Route(hexagon, "snpe", "ONNX Runtime on the QDQ model, in its place", simulator="onnxruntime"),
        Route(hexagon, "snpe", "Qualcomm's HTP emulation", simulator="htp"),
        Route(DeviceEnum.DEVICE_KIND_TPU, "edgetpu", "LiteRT on the CPU, in its place"),
        Route(
            DeviceEnum.DEVICE_KIND_CV22, "vendor_bundle", "ONNX Runtime on the QDQ model, in its place",
            (DeviceEnum.DEVICE_KIND_ARA1,),
        ),
        Route(x64, "reference", "torch: what is shown is that graphs and parameters come back from a folder whole"),
        Route(x64, "null", "nothing, as it promises: compiled, linked, loaded, and refused at its first run"),
    )  # fmt: skip


#: every way that can execute here
ROUTES = _routes()


def routes_of(
    kind: DeviceEnum, backend: str = "", simulator: str = "", options: Mapping[str, Any] | None = None
) -> tuple[Route, ...]:
    """Those of a kind, or of one that gets the same bytes, by its default backend or another, these options or any.

    Where there is none: one of its own.
    """
    name = backend or spec_of(kind).backend
    known = [
        r for r in ROUTES if kind in (r.kind, *r.like) and r.backend == name and simulator in ("", r.simulator)
    ]
    found = [r for r in known if not options or r.options == options]
    return tuple(found) or (Route(kind, name, "what its backend loads here", options=options or {}),)


def why_not(route: Route) -> str:
    """What this machine lacks to compile for a route and to run that, here or simulated; "" for nothing."""
    if not route.backend:
        return f"{route.kind.value} has no backend"
    lacking = _missing_tools(route) or (route.machine.missing() if route.machine else "")
    if not lacking and route.simulator == "htp" and importlib.util.find_spec("onnxruntime_qnn") is None:
        return "the extra optima[hexagon] is not installed"
    return lacking or _missing_executor(route)


def why_no_route(kind: DeviceEnum) -> str:
    """What is missing for every route of a kind; "" where one of them can be taken."""
    reasons = [why_not(route) for route in routes_of(kind)]
    return "" if "" in reasons else f"{kind.value}: {reasons[0]}"


def _missing_tools(route: Route) -> str:
    name = module_of(route.backend) + ".tools"
    if importlib.util.find_spec(name) is None:
        return ""
    tools = importlib.import_module(name).tools(route.kind)
    return ", ".join(f"{tool.name} is missing" for tool in tools if not tool.found and not tool.optional)


def _missing_executor(route: Route) -> str:
    if route.backend == "spirv":
        return _missing_driver(route.options.get("flavour", "shader"))
    if route.backend == "cuda":
        from optima.backends.cuda.tools import host_compiler

        return "" if host_compiler().found else "there is no C++ compiler to simulate CUDA with"
    return ""


def _missing_driver(flavour: str) -> str:
    from optima.backends.spirv.errors import OpenClMissing, VulkanMissing
    from optima.backends.spirv.flavour import find_compiler
    from optima.backends.spirv.load import interface_of
    from optima.tools import ToolMissing

    try:
        find_compiler(flavour)
        interface_of(flavour).found_devices()
    except (ToolMissing, VulkanMissing, OpenClMissing) as error:
        return error.message
    return ""
