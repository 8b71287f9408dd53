"""What went wrong with a job, and the one error that lists all of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from devices import Problem
from optima.backends.base import Job
from optima.jobs.errors import KernelCompileError

_OPS_SHOWN = 4
_DETAILS_SHOWN = 3
_REASON_SHOWN = 300
_MEMORY = "free memory, or compile with fewer processes at once: workers=1"
_REPORT = "please report it with this text and the .gpickle; until then map these ops to another device"


@dataclass(frozen=True)
class Failure:
    """One job that failed: a line for the user, the edit that may help, and what a report needs."""

    job: Job
    reason: str
    hint: str
    details: str = ""

    @classmethod
    def of_exception(cls, job: Job, content: bytes, last_words: str) -> Failure:
        """From a worker's FAILURE frame."""
        told = json.loads(content)
        kind, lines = told["kind"], told["reason"].strip().splitlines() or [""]
        first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]  # a tool's first words come behind a colon
        reason = f"{kind}: {first[:_REASON_SHOWN]}".rstrip(": ")
        hint = told["hint"] or (_MEMORY if kind == "MemoryError" else _REPORT)
        if kind == "AttributeError" and "__main__" in told["reason"]:
            hint = "move what the job names from the script into a module: a worker cannot import a script"
        return cls(job, reason, hint, "\n".join(t for t in (told["details"].strip(), last_words) if t))

    @classmethod
    def of_death(cls, job: Job, end: str, last_words: str) -> Failure:
        """From how the worker ended while it ran the job."""
        if end == "SIGKILL":
            return cls(job, "its process was killed (SIGKILL): memory ran out, or someone ended it", _MEMORY)
        said = last_words.splitlines()[-1][:_REASON_SHOWN] if last_words else ""
        return cls(job, f"its process crashed ({end}){': ' if said else ''}{said}", _REPORT, last_words)

    @classmethod
    def of_payload(cls, job: Job, error: Exception) -> Failure:
        """From a payload that cannot be sent to a worker."""
        return cls(job, f"its payload cannot be pickled: {error}", _REPORT)

    @property
    def problem(self) -> Problem:
        """The row of the error."""
        ops = ", ".join(self.job.ops[:_OPS_SHOWN])
        more = len(self.job.ops) - _OPS_SHOWN
        ops = f"{ops} and {more} more" if more > 0 else ops
        if not self.job.where:
            return Problem(self.job.label, self.reason, ops)
        return Problem(self.job.label, f"{self.reason} ({ops})", self.job.where, self.job.code)


def compile_error(failures: Sequence[Failure]) -> KernelCompileError:
    """One error for all, in order of their labels: workers finish in any order."""
    ordered = sorted(failures, key=lambda f: (f.job.label, f.job.key))
    count = len(ordered)
    error = KernelCompileError(
        f"{count} kernel{'s' if count > 1 else ''} could not be compiled",
        problems=[failure.problem for failure in ordered],
        hint="; ".join(dict.fromkeys(failure.hint for failure in ordered)),
    )
    for failure in [f for f in ordered if f.details][:_DETAILS_SHOWN]:
        error.add_note(f"{failure.job.label}:\n{failure.details}")
    return error
