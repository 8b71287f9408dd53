"""What ``device_options={"TPU": {...}}`` may hold."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from devices import Problem, UserError


class TpuOptionError(UserError):
    """``device_options["TPU"]`` holds what the Edge TPU's backend does not understand. All faults are listed.

    Example: ``optimize(..., device_options={"TPU": {"timeout": 60}})``. Fix: ``{"TPU": {"timeout_s": 60}}``.
    """


@dataclass(frozen=True)
class TpuOptions:
    """``min_runtime_version``: the oldest Edge TPU runtime to compile for, 0 for the compiler's default.

    ``search_delegate``: let the compiler look for the longest part that it can map when it cannot map all.
    ``timeout_s``: seconds that the compiler may take, 0 for its own default (180). ``min_sqnr_db``: refuse a
    quantised model of which an output lies below this ratio to the float model's; -99 for none. By default the error
    must not be larger than the signal.
    """

    min_runtime_version: int = 0
    search_delegate: bool = False
    timeout_s: int = 0
    min_sqnr_db: float = 0.0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> TpuOptions:
        """Check what the caller gave. Raises TpuOptionError with every unknown name and wrong value."""
        problems = []
        for name, value in given.items():
            if name not in _RULES:
                near = difflib.get_close_matches(str(name), _RULES, 1, 0.4)
                problems.append(Problem(str(name), f"is no option{f'; did you mean {near[0]!r}?' if near else ''}"))
            elif not _RULES[name][0](value):
                problems.append(Problem(name, f"is {value!r}; it must be {_RULES[name][1]}"))
        if problems:
            raise TpuOptionError(
                'device_options["TPU"] cannot be used', problems=problems, hint=f"the options are {', '.join(_RULES)}"
            )
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -99 <= value < 200


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "min_runtime_version": (_is_count, "a runtime's number, such as 14"),
    "search_delegate": (lambda value: isinstance(value, bool), "True or False"),
    "timeout_s": (_is_count, "a whole number of seconds"),
    "min_sqnr_db": (_is_number, "a ratio in dB, such as 20"),
}
