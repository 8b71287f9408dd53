"""Every fault of a map, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from devices import DeviceEnum, DeviceRef, Problem
from optima.allocation.entries import Entry, read_device_info, read_entry
from optima.allocation.error import Group, count
from optima.allocation.near import match_misspelt, nearest
from optima.allocation.read import RawMap
from optima.graph import Graph
from optima.ops.entry import Answer, No

#: ``check(op names, device)``: an answer for each op; an op without one is folded, its entry has no effect
Check = Callable[[Sequence[str], DeviceRef], Mapping[str, Answer]]
#: the backend's name for a device, "" where there is none
BackendName = Callable[[DeviceRef], str]


class Findings:
    """The map read against the graph; each method names one kind of fault and marks the ops to be mended."""

    def __init__(
        self, graph: Graph, raw: RawMap, device_info: object, check: Check, backend_name: BackendName
    ) -> None:
        self.graph, self.raw = graph, raw
        self.kinds, self.info_problems = read_device_info(device_info)
        self.check, self.backend_name = check, backend_name
        self.values = [(key, read_entry(value)) for key, value in raw.entries]
        given = dict(self.values)  # the last of duplicates, as a JSON reader has it
        self.entry: dict[str, Entry] = {op.name: given[op.name] for op in graph.ops if op.name in given}
        self.unknown = [key for key in given if key not in graph.op_by_name]
        self.missing = [op.name for op in graph.ops if op.name not in given]
        self.meant = match_misspelt([k for k in self.unknown if isinstance(k, str)], self.missing)
        by_op = {op: given[key] for key, op in self.meant.items()}
        #: what each op is to run on as far as can be told, which is what the patch starts from
        self.wanted = {
            op.name: (self.entry.get(op.name) or by_op.get(op.name) or Entry((), (), ())).meant
            for op in graph.ops
        }
        self.answers = self._ask()
        self.faulty: dict[str, None] = {}  # ops whose entry must change

    def _ask(self) -> dict[DeviceRef, Mapping[str, Answer]]:
        by_device: dict[DeviceRef, list[str]] = {}
        for name, refs in self.wanted.items():
            for ref in refs:
                by_device.setdefault(ref, []).append(name)
        return {ref: self.check(names, ref) for ref, names in by_device.items() if self.usable(ref)}

    def usable(self, ref: DeviceRef) -> bool:
        """Whether the device's kind is allowed and has a backend."""
        return ref.kind in self.kinds and bool(self.backend_name(ref))

    def wrong_device_info(self) -> list[Group]:
        """Items of ``device_info`` that are no ``DeviceEnum``."""
        return group("device_info must be a list of DeviceEnum", self.info_problems)

    def wrong_entries(self) -> list[Group]:
        """Duplicate keys, malformed devices, keys that name no op, ops without an entry."""
        return [
            *self._duplicate_keys(),
            *self._malformed_devices(),
            *self._unknown_ops(),
            *self._missing_ops(),
        ]

    def wrong_kinds(self) -> list[Group]:
        """Kinds outside ``device_info`` and kinds without a backend."""
        return [*self._kinds_not_allowed(), *self._kinds_without_backend()]

    def _duplicate_keys(self) -> list[Group]:
        times: dict[str, int] = {}
        for key, _ in self.values:
            times[key] = times.get(key, 0) + 1
        problems = []
        for key, number in times.items():
            if number > 1:
                lines = self.raw.lines.get(key, ())
                where = f" (lines {', '.join(map(str, lines))})" if lines else ""
                problems.append(Problem(shown(key), f"occurs {number} times{where}: keep one"))
                self.faulty[key] = None
        return group(f"keys that occur more than once ({len(problems)})", problems)

    def _malformed_devices(self) -> list[Group]:
        problems = []
        for key, entry in self.values:
            problems += [Problem(shown(key), fault) for fault in entry.faults]
            if entry.faults:
                self.faulty[key] = None
        return group(f"malformed devices ({len(problems)})", problems)

    def _unknown_ops(self) -> list[Group]:
        problems = [Problem(shown(key), self._unknown_because(key)) for key in self.unknown]
        return group(f"keys that name no op of the graph ({len(problems)})", problems)

    def _unknown_because(self, key: str) -> str:
        if not isinstance(key, str):
            return "is not text: a key is the name of an op"
        if key in self.meant:
            return f"is not an op: did you mean {self.meant[key]!r}, which has no entry?"
        if key in self.graph.tensors:
            maker = self.graph.producer.get(key)
            return f"is a tensor, made by {maker.name!r}: only ops have devices" if maker else "is a tensor"
        near = nearest(key, list(self.graph.op_by_name), len(self.unknown))
        return f"is not an op: did you mean {near!r}?" if near else "is not an op"

    def _missing_ops(self) -> list[Group]:
        key_for = {op: key for key, op in self.meant.items()}
        problems = []
        for name in self.missing:
            key = key_for.get(name)
            reason = f"has no entry, but {shown(key)!r} has one" if key else "has no entry"
            problems.append(self.graph.op_by_name[name].problem(reason))
            self.faulty[name] = None
        return group(f"ops without a device ({len(problems)})", problems)

    def _kinds_not_allowed(self) -> list[Group]:
        allowed = ", ".join(k.value for k in self.kinds) or "nothing"
        return self._by_kind(
            lambda ref: ref.kind not in self.kinds,
            lambda kind: f"{kind.value} is not in device_info, which allows {allowed}",
        )

    def _kinds_without_backend(self) -> list[Group]:
        return self._by_kind(
            lambda ref: not self.backend_name(ref),
            lambda kind: f"{kind.value} has no backend yet",
        )

    def _by_kind(self, bad: Callable[[DeviceRef], bool], title: Callable[[DeviceEnum], str]) -> list[Group]:
        rows: dict[DeviceEnum, list[Problem]] = {}
        for name, entry in self.entry.items():
            for ref in entry.devices:
                if bad(ref):
                    rows.setdefault(ref.kind, []).append(self.graph.op_by_name[name].problem(f"is on {ref}"))
                    self.faulty[name] = None
        return [Group(title(kind), tuple(problems)) for kind, problems in rows.items()]

    def unsupported_pairs(self) -> list[Group]:
        """Ops that the backend of their device cannot run, a group per device."""
        rows: dict[DeviceRef, list[Problem]] = {}
        for name, entry in self.entry.items():
            for ref in entry.devices:
                answer = self.answers.get(ref, {}).get(name)
                if isinstance(answer, No):
                    rows.setdefault(ref, []).append(self.graph.op_by_name[name].problem(answer.reason))
                    self.faulty[name] = None
        return [
            Group(f"{count(len(problems), 'operator')} cannot run on {ref}", tuple(problems))
            for ref, problems in rows.items()
        ]


def group(title: str, problems: Iterable[Problem]) -> list[Group]:
    rows = tuple(problems)
    """The group, unless it is empty."""
    return [Group(title, rows)] if rows else []


def shown(key: object) -> str:
    """A key as it can be printed: control characters, broken surrogates and endless names are not."""
    text = key if isinstance(key, str) and key.isprintable() else repr(key)
    return text if len(text) <= 80 else f"{text[:77]}..."
