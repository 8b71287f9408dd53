"""``AllocationError``: every fault of a map in one error, grouped by kind, with the edit that mends it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from devices import Problem, UserError, rows_of
from torch2nx.errors import UnsupportedOp

#: rows of one group, and entries of the patch, that the text shows; ``problems`` and ``patch`` hold them all
SHOWN = 20

#: op name -> its new device or preference list; None removes the entry (RFC 7396, JSON merge patch)
Patch = Mapping[str, "str | list[str] | None"]


@dataclass(frozen=True)
class Group:
    """Faults of one kind under one title, such as ``2 operators cannot run on HEXAGON:0``."""

    title: str
    problems: tuple[Problem, ...]


class AllocationError(UserError):
    """A map that cannot be read, or that does not fit the graph, the ``device_info`` or the backends.

    Example: the map ``{"conv2d_2": "X64:0", "ad_5": "X64:0"}`` for ops ``conv2d_2`` and ``add_5``.
    Fix: apply ``patch``, which the hint prints: ``{"ad_5": null, "add_5": "X64:0"}``.

    ``groups`` are the faults by kind, ``problems`` all of them in the same order, and ``patch`` the edit of
    the map as a JSON merge patch (empty where the map is not what must change).
    """

    def __init__(
        self,
        message: str,
        *,
        problems: Iterable[Problem] = (),
        hint: str = "",
        groups: Iterable[Group] = (),
        patch: Patch | None = None,
    ) -> None:
        self.groups = tuple(groups)
        self.patch: Patch = dict(patch or {})
        super().__init__(
            message, problems=problems or [p for group in self.groups for p in group.problems], hint=hint
        )

    def __str__(self) -> str:
        lines = [self.message]
        for group in self.groups or [Group(self.message, self.problems)]:
            if group.title != self.message:
                lines.append(f"{group.title}:")
            lines += rows_of(group.problems[:SHOWN])
            if len(group.problems) > SHOWN:
                lines.append(f"  ... and {len(group.problems) - SHOWN} more")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.problems, self.hint, self.groups, self.patch)


class UnsupportedPlacement(AllocationError, UnsupportedOp):
    """A map that gives an op to a device whose backend cannot run it; other faults may stand beside it.

    Example: ``{"grid_sample_41": "HEXAGON:0"}`` where HEXAGON's backend has no such operator.
    Fix: the hint moves the op to a device that takes it: ``{"grid_sample_41": "X64:0"}``.
    """


def _rebuild(
    cls: type[AllocationError],
    message: str,
    problems: tuple[Problem, ...],
    hint: str,
    groups: tuple[Group, ...],
    patch: Patch,
) -> AllocationError:
    return cls(message, problems=problems, hint=hint, groups=groups, patch=patch)


def printed(patch: Patch) -> str:
    """The patch as JSON in one line, cut after ``SHOWN`` entries."""
    head = dict(list(patch.items())[:SHOWN])
    text = json.dumps(head)
    return text if len(head) == len(patch) else f"{text[:-1]}, ... and {len(patch) - len(head)} more}}"


def count(number: int, noun: str) -> str:
    """``1 op``, ``2 ops``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
