"""What hardware exists: kinds, references such as ``X64:0``, and their specifications. No torch, no SDK."""

from devices.catalog import spec_of
from devices.errors import InternalError, OptimaError, Problem, UserError, rows_of
from devices.kind import DeviceEnum, Family
from devices.ref import DeviceRef, MalformedDevice
from devices.spec import DeviceSpec, Link

__all__ = [
    "DeviceEnum",
    "DeviceRef",
    "DeviceSpec",
    "Family",
    "InternalError",
    "Link",
    "MalformedDevice",
    "OptimaError",
    "Problem",
    "UserError",
    "rows_of",
    "spec_of",
]
