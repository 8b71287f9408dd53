"""All refusals of one conversion in one error: a model with three faults of different kinds is mended in one go."""

from __future__ import annotations

from types import TracebackType

from devices.errors import UserError
from torch2nx.errors import ConvertError


class Refusals:
    """A context that goes on after a refusal that was added, and raises all of them at its end.

    Within it an error raised is one more; what fails only because the model was refused already is not shown.
    """

    def __init__(self) -> None:
        self._found: list[UserError] = []

    def add(self, error: UserError | None) -> None:
        """Note a refusal after which the conversion can go on; None is none."""
        if error is not None:
            self._found.append(error)

    def __enter__(self) -> Refusals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._found or (error is not None and not isinstance(error, Exception)):
            return
        if isinstance(error, UserError):
            self._found.append(error)
        raise self._together() from error

    def _together(self) -> UserError:
        if len(self._found) == 1:
            return self._found[0]
        return ConvertError(
            "; ".join(e.message for e in self._found),
            problems=[p for e in self._found for p in e.problems],
            hint="; ".join(dict.fromkeys(e.hint for e in self._found if e.hint)),
        )
