"""The allocation map: read it, and check it whole against a graph before anything is compiled."""

from optima.allocation.allocate import allocate
from optima.allocation.error import AllocationError, Group, UnsupportedPlacement
from optima.allocation.findings import BackendName, Check
from optima.allocation.read import RawMap, read_map

__all__ = [
    "AllocationError",
    "BackendName",
    "Check",
    "Group",
    "RawMap",
    "UnsupportedPlacement",
    "allocate",
    "read_map",
]
