"""One entry of PyTorch's tests with one dtype: all its samples checked, and what that proves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.check import CRASHED, EQUAL, NOT_RUN, RANDOM, REFUSED, WRONG, Outcome, check
from conformance.samples import UNDEFINED, Sample, is_unspecified, samples, takes

PROVEN, PARTLY, UNTESTED = "proven", "partly", "untested"


@dataclass(frozen=True)
class Verdict:
    """What the samples of (name, dtype) showed.

    ``status``: ``proven`` (every sample equal), ``partly`` (some equal, the others refused), ``refused`` (every
    one), ``untested`` (PyTorch has no sample that runs), ``wrong`` or ``crashed`` (a fault of ours, always).
    ``equal`` of ``tried`` samples were equal; ``reason`` is the commonest refusal, or the first fault.
    """

    name: str
    dtype: str
    status: str
    equal: int = 0
    tried: int = 0
    reason: str = ""


def judge(name: str, dtype: str, limit: int) -> Verdict:
    """Check an entry's samples: all of them, or ``limit`` spread evenly where there are more."""
    if not takes(name, dtype):
        return Verdict(name, dtype, UNTESTED, reason="PyTorch has no such samples")
    if name in UNDEFINED:
        return Verdict(name, dtype, UNTESTED, reason="the content of its result is undefined")
    outcomes: list[tuple[Sample, Outcome]] = []
    for sample in _spread(name, dtype, limit):
        outcome = Outcome(NOT_RUN) if is_unspecified(name, sample) else check(sample)
        if outcome.status != NOT_RUN:
            outcomes.append((sample, outcome))
    return _verdict(name, dtype, outcomes)


def _spread(name: str, dtype: str, limit: int) -> Iterator[Sample]:
    """Every sample, or every n-th: kinds of samples come in runs, so that the first n would be one kind."""
    count = sum(1 for _ in samples(name, dtype))
    step = max(1, -(-count // limit))
    for sample in samples(name, dtype):
        if sample.index % step == 0:
            yield sample


def _verdict(name: str, dtype: str, outcomes: list[tuple[Sample, Outcome]]) -> Verdict:
    # Beside samples that can be compared, those that draw random numbers prove and disprove nothing.
    outcomes = [(s, o) for s, o in outcomes if o.status != RANDOM] or outcomes
    tried = len(outcomes)
    equal = sum(1 for _, o in outcomes if o.status == EQUAL)
    for fault in (WRONG, CRASHED):
        for sample, outcome in outcomes:
            if outcome.status == fault:
                return Verdict(name, dtype, fault, equal, tried, f"sample {sample.index}: {outcome.reason}")
    if not tried:
        return Verdict(name, dtype, UNTESTED, reason="no sample that PyTorch runs and whose result it specifies")
    refusals = Counter(o.reason for _, o in outcomes if o.status in (REFUSED, RANDOM))
    if not refusals:
        return Verdict(name, dtype, PROVEN, equal, tried)
    reason = refusals.most_common(1)[0][0]
    return Verdict(name, dtype, PARTLY if equal else REFUSED, equal, tried, reason)
