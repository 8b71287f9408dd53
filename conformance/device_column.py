"""A column of the table of operators by device: a kind, with the device options that it is compiled with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devices import DeviceEnum, spec_of
from optima.backends.base import CompileOptions
from optima.installed import toolchains

_OPENCL = {"flavour": "kernel"}


@dataclass(frozen=True)
class Column:
    """``device_options`` are those of the kind. ``backend`` "": the kind's own."""

    kind: DeviceEnum
    device_options: Mapping[str, Any] = field(default_factory=dict)
    backend: str = ""

    @property
    def title(self) -> str:
        """``ADRENO``, ``INTELGPU (OpenCL)``."""
        if not self.device_options:
            return self.kind.value
        words = ", ".join(f"{key}={value}" for key, value in self.device_options.items())
        return f"{self.kind.value} ({'OpenCL' if self.device_options == _OPENCL else words})"

    @property
    def options(self) -> CompileOptions:
        """What a backend is given."""
        return CompileOptions(device_options={self.kind.value: self.device_options})

    def why_not(self) -> str:
        """What this machine lacks to compile for it and to run that, here or simulated; "" for nothing."""
        chain = toolchains()[self.kind]
        if not chain.complete:
            missing = ", ".join(f"{t.name} is missing" for t in chain.tools if not t.found and not t.optional)
            return missing or chain.needs
        if (self.backend or chain.backend) == "spirv":
            return _spirv_lacks(self.device_options.get("flavour", "shader"))
        return ""


def _spirv_lacks(flavour: Any) -> str:
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


#: one for each backend that can execute here: the other kinds of a backend answer alike
COLUMNS = tuple(
    Column(DeviceEnum(word), options)
    for word, options in (
        ("X64", {}), ("ADRENO", {}), ("INTELGPU", _OPENCL), ("MYRIAD", {}), ("HEXAGON", {}), ("TPU", {}),
    )
    if spec_of(DeviceEnum(word)).backend
)  # fmt: skip
