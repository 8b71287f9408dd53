"""Which OpenCL devices this machine has that take SPIR-V."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from devices import DeviceEnum
from optima.backends.spirv.errors import OpenClMissing
from optima.backends.spirv.found import VENDORS, FoundDevice

INSTALL = (
    "in Optima's clone: pip install '.[spirv]', and the device's OpenCL driver "
    "('.[opencl-cpu]' is a CPU's: docs/spirv.md)"
)

#: beginnings of CL_DEVICE_VENDOR, for those whose CL_DEVICE_VENDOR_ID is a number of the chip
_NAMED = {"arm": DeviceEnum.DEVICE_KIND_MALI, "qualcomm": DeviceEnum.DEVICE_KIND_ADRENO}


def api() -> Any:
    """The ``pyopencl`` package. Raises OpenClMissing where it is absent."""
    try:
        import pyopencl
    except (ImportError, OSError) as error:
        raise OpenClMissing(f"OpenCL is not here: {error}", hint=INSTALL) from None
    return pyopencl


@cache
def found_devices() -> tuple[FoundDevice, ...]:
    """Every device that takes SPIR-V, by platform, in the loader's order. Raises OpenClMissing where there is none."""
    cl = api()
    try:
        devices = [device for platform in cl.get_platforms() for device in _devices_of(cl, platform)]
    except cl.Error as error:
        raise OpenClMissing(f"OpenCL has no driver here: {error}", hint=INSTALL) from None
    found = tuple(_found(cl, device) for device in devices if il_version(device))
    if not found:
        names = ", ".join(str(device.name) for device in devices) or "none"
        raise OpenClMissing(f"no OpenCL device here takes SPIR-V; the devices are: {names}", hint=INSTALL)
    return found


os.register_at_fork(after_in_child=found_devices.cache_clear)


def il_version(device: Any) -> str:
    """``"SPIR-V_1.0 SPIR-V_1.2"``: what the device takes, "" for source text only."""
    cl = api()
    try:
        return str(device.il_version).strip("\0 ")
    except (cl.Error, AttributeError):
        return ""  # a driver older than OpenCL 2.1 does not know the question


def _devices_of(cl: Any, platform: Any) -> list[Any]:
    try:
        return list(platform.get_devices())
    except cl.Error as error:
        if error.code == cl.status_code.DEVICE_NOT_FOUND:
            return []  # a driver without its hardware
        raise


def _found(cl: Any, device: Any) -> FoundDevice:
    name = str(device.name).strip("\0 ")
    software = not device.type & (cl.device_type.GPU | cl.device_type.ACCELERATOR)
    vendor = str(device.vendor).lower()
    named = next((kind for word, kind in _NAMED.items() if vendor.startswith(word)), None)
    return FoundDevice(name, VENDORS.get(int(device.vendor_id), named), software, device)
