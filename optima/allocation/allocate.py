"""``allocate``: the map, checked whole against the graph, ``device_info`` and the backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devices import DeviceEnum, DeviceRef, spec_of
from optima.allocation.error import AllocationError, Group, UnsupportedPlacement, count
from optima.allocation.findings import BackendName, Check, Findings
from optima.allocation.mend import Mending
from optima.allocation.read import RawMap
from optima.graph import Graph


def default_backend_name(device: DeviceRef) -> str:
    """The backend that the catalog names for the device's kind."""
    return spec_of(device.kind).backend


def allocate(
    graph: Graph,
    raw: RawMap | Mapping[str, object],
    device_info: Sequence[DeviceEnum],
    check: Check,
    backend_name: BackendName = default_backend_name,
) -> dict[str, tuple[DeviceRef, ...]]:
    """Op name -> its devices in order of preference, for every op of ``graph``, in graph order.

    A value of the map is a device (``"X64:0"``) or a non-empty list of distinct devices; a list of one
    means the same as its device. ``check`` is asked once per device that the map uses. Raises
    AllocationError with every fault: items of ``device_info`` that are no ``DeviceEnum``, duplicate keys,
    malformed devices, unknown and missing ops, kinds outside ``device_info``, kinds without a backend; it
    is an UnsupportedPlacement if some op cannot run where the map puts it. The error's ``patch`` mends the
    map.
    """
    if not isinstance(raw, RawMap):
        raw = RawMap(tuple(raw.items()))
    found = Findings(graph, raw, device_info, check, backend_name)
    groups = [*found.wrong_device_info(), *found.wrong_entries(), *found.wrong_kinds()]
    unsupported = found.unsupported_pairs()
    if groups or unsupported:
        raise _refusal(raw, groups, unsupported, Mending.of(found))
    return {op.name: found.entry[op.name].devices for op in graph.ops}


def _refusal(raw: RawMap, groups: list[Group], unsupported: list[Group], mending: Mending) -> AllocationError:
    everything = [*groups, *unsupported]
    total = sum(len(group.problems) for group in everything)
    message = (
        everything[0].title
        if len(everything) == 1
        else f"{raw.source} cannot be used: {count(total, 'problem')} of {len(everything)} kinds"
    )
    error = UnsupportedPlacement if unsupported else AllocationError
    return error(message, hint=mending.hint, groups=everything, patch=mending.patch)
