"""What became of one model: the row of the table, as it travels between processes."""

from __future__ import annotations

from dataclasses import dataclass

from optima.verification import HALF_TOLERANCES

#: equal to eager; not equal, but as near the float64 result as eager is (an ill-conditioned chain); refused with a
#: typed error; wrong; crashed, hung or leaked an exception that is not ours; not run, because eager PyTorch fails on
#: it or its library is not installed
EQUAL, ACCURATE, REFUSED, WRONG, CRASHED, NOT_RUN = "equal", "accurate", "refused", "wrong", "crashed", "not run"

#: kernel calls from which on a model counts as a deep chain
DEEP = 50
#: of an output's scale: a shallow model, a deep chain, and what half types keep
TOLERANCES = {"shallow": 1e-4, "deep": 1e-3, **HALF_TOLERANCES}
#: how far eager may be from the float64 result, in tolerances, for that to be rounding's doing
ILL_CONDITIONED = 10.0


@dataclass(frozen=True)
class Result:
    """One model. Numbers are 0 where it did not come so far; times are seconds, memory is MiB.

    ``error`` is the largest difference over the output's largest magnitude, over all outputs. ``kernels`` are
    distinct, ``calls`` in one run. ``memory`` is the peak of the model's process, ``worker_memory`` of its largest
    compile worker. ``stage`` is how far it came.
    """

    name: str
    family: str
    status: str
    reason: str = ""
    stage: str = ""
    nodes: int = 0
    ops: int = 0
    kernels: int = 0
    calls: int = 0
    error: float = 0.0
    tolerance: float = 0.0
    ours: float = 0.0
    eager: float = 0.0
    export_s: float = 0.0
    convert_s: float = 0.0
    compile_s: float = 0.0
    memory: float = 0.0
    worker_memory: float = 0.0
    seconds: float = 0.0

    @property
    def ratio(self) -> float:
        """Latency over eager's, 0 where it was not measured."""
        return self.ours / self.eager if self.eager else 0.0

    def __str__(self) -> str:
        told = [f"{self.status:8} {self.name}"]
        if self.ops:
            told.append(f"{self.ops} ops")
        if self.calls:
            told.append(f"{self.kernels}/{self.calls} kernels, {self.compile_s:.1f} s to compile")
        if self.eager:
            told.append(f"error {self.error:.1e}, {self.ours * 1e3:.2f} ms, eager {self.eager * 1e3:.2f} ms")
        if self.reason:
            told.append(f"({self.stage}) {self.reason}" if self.stage else self.reason)
        return ", ".join(told)


def tolerance_of(dtypes: frozenset[str], calls: int) -> float:
    """The tolerance of a model whose weights and outputs have these dtypes and that makes so many kernel calls."""
    for half in ("bfloat16", "float16"):
        if half in dtypes:
            return TOLERANCES[half]
    return TOLERANCES["deep" if calls >= DEEP else "shallow"]
