"""The edit that mends a map: a JSON merge patch, and what to change in ``device_info``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devices import DeviceEnum, DeviceRef, UserError
from optima.allocation.error import Patch, printed
from optima.allocation.findings import Findings
from optima.ops.entry import No

#: where an op may go that none of the map's own kinds takes: what needs no other compiler than Optima's own
_LAST_HOMES = (DeviceEnum.DEVICE_KIND_X64,)


@dataclass(frozen=True)
class Mending:
    """``patch``: new values for the faulty ops that an allowed kind can take, None for keys that name no op.

    ``hint`` prints it, and says what else must change.
    """

    patch: Patch
    hint: str

    @classmethod
    def of(cls, found: Findings) -> Mending:
        """Keep of each faulty entry what can stay (or was meant); move the op elsewhere where nothing can."""
        kept = {name: [r for r in found.wanted[name] if _takes(found, r, name)] for name in _faulty(found)}
        homeless = [name for name, refs in kept.items() if not refs]
        kept |= _homes(found, homeless, found.kinds)
        patch: dict[str, str | list[str] | None] = dict.fromkeys(
            k for k in found.unknown if isinstance(k, str)
        )
        for name, refs in kept.items():
            if refs:
                patch[name] = str(refs[0]) if len(refs) == 1 else [str(ref) for ref in refs]
        stranded = [name for name in homeless if name not in patch]
        return cls(patch, "; ".join(_hints(found, patch, stranded)))


def _hints(found: Findings, patch: Patch, stranded: list[str]) -> Iterable[str]:
    if patch:
        verb = "edit the map" if found.wrong_entries() else "move them"
        verb += " (delete the entries that it shows as null)" if None in patch.values() else ""
        yield f"{verb}:  {printed(patch)}"
    others = _homes(found, stranded, [kind for kind in _LAST_HOMES if kind not in found.kinds])
    needed = tuple(dict.fromkeys(refs[0].kind for refs in others.values()))
    if needed or found.info_problems:
        yield f"pass {_device_info(found, needed)}"
    used = dict.fromkeys(
        ref.kind for refs in found.wanted.values() for ref in refs if found.backend_name(ref)
    )
    if patch and not needed and not set(used) <= set(found.kinds):
        yield f"or pass {_device_info(found, used)}"
    nowhere = [name for name in stranded if name not in others]
    if nowhere:
        names = f"{', '.join(nowhere[:5])}{', ...' if len(nowhere) > 5 else ''}"
        yield f"neither the map's devices nor X64 can run {names}: the model must change there"


def _device_info(found: Findings, added: Iterable[DeviceEnum]) -> str:
    kinds = dict.fromkeys((*found.kinds, *added)) or [DeviceEnum.DEVICE_KIND_X64]
    return f"device_info=[{', '.join(f'DeviceEnum.{kind.name}' for kind in kinds)}]"


def _faulty(found: Findings) -> list[str]:
    return [op.name for op in found.graph.ops if op.name in found.faulty]


def _takes(found: Findings, ref: DeviceRef, name: str) -> bool:
    return found.usable(ref) and not isinstance(found.answers.get(ref, {}).get(name), No)


def _homes(found: Findings, names: list[str], kinds: Iterable[DeviceEnum]) -> dict[str, list[DeviceRef]]:
    """For each op the first device of ``kinds`` whose backend takes it, the map's most used first."""
    times = {DeviceRef(kind, 0): 0 for kind in kinds}
    for refs in found.wanted.values():
        for ref in refs:
            if DeviceRef(ref.kind, 0) in times:
                times[ref] = times.get(ref, 0) + 1
    one_per_kind: dict[DeviceEnum, DeviceRef] = {}
    for ref in sorted(times, key=lambda ref: -times[ref]):
        if found.backend_name(ref):
            one_per_kind.setdefault(ref.kind, ref)
    homes: dict[str, list[DeviceRef]] = {}
    for ref in one_per_kind.values():
        homeless = [name for name in names if name not in homes]
        homes |= {name: [ref] for name in _taken(found, homeless, ref)}
    return homes


def _taken(found: Findings, names: list[str], ref: DeviceRef) -> list[str]:
    """The ops that a device takes; none where its backend lacks a tool to answer with."""
    try:
        answers = found.check(names, ref) if names else {}
    except UserError:
        return []
    return [name for name in names if not isinstance(answers.get(name), No)]
