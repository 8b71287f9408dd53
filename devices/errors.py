"""The root of every refusal. It lives in the lowest package so that all three can raise it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One row of an error: what is wrong, where the user wrote it, and why it is refused.

    ``subject`` is an op, tensor, file or map entry; ``where`` a Python line such as
    ``model.py:41 in Warp.forward   (encoder.warp)``; ``code`` that line's text.
    """

    subject: str
    reason: str
    where: str = ""
    code: str = ""


def rows_of(problems: Iterable[Problem]) -> list[str]:
    """The problems as aligned lines: subject, place, reason; below each the user's own line of code.

    >>> rows = [Problem("add_5", "no entry"), Problem("abs_2", "two", "net.py:3 in forward", "y = abs(x)")]
    >>> print("\\n".join(rows_of(rows)))
      add_5                         no entry
      abs_2   net.py:3 in forward   two
          y = abs(x)
    """
    problems = tuple(problems)
    subject_width = max((len(p.subject) for p in problems), default=0)
    where_width = max((len(p.where) for p in problems), default=0)
    lines: list[str] = []
    for p in problems:
        where = f"   {p.where:<{where_width}}" if where_width else ""
        lines.append(f"  {p.subject:<{subject_width}}{where}   {p.reason}".rstrip())
        if p.code:
            lines.append(f"      {p.code}")
    return lines


class OptimaError(Exception):
    """Base of all errors that Optima raises on purpose.

    ``message`` is one sentence, ``problems`` every fault found, ``hint`` the edit that fixes them.
    """

    def __init__(self, message: str, *, problems: Iterable[Problem] = (), hint: str = "") -> None:
        self.message = message
        self.problems = tuple(problems)
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message, *rows_of(self.problems)]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between compile processes; keyword arguments are lost by the default.
        return _rebuild, (type(self), self.message, self.problems, self.hint)


def _rebuild(cls: type[OptimaError], message: str, problems: tuple[Problem, ...], hint: str) -> OptimaError:
    return cls(message, problems=problems, hint=hint)


class UserError(OptimaError):
    """Something the caller can mend; ``hint`` says what to edit."""


class InternalError(OptimaError):
    """A fault of Optima itself. Please report it with what ``hint`` asks for."""

    def __init__(self, message: str, *, problems: Iterable[Problem] = (), hint: str = "") -> None:
        super().__init__(
            message,
            problems=problems,
            hint=hint
            or "this is a fault of Optima: please report it with this text, the map and the .gpickle",
        )
