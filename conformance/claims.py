"""The claims table: what each (entry, dtype) of PyTorch's tests showed, one line each, checked in.

A line is ``status  name  dtype  equal/tried  reason``, columns separated by tabs. A claim is broken when an entry
that was proven or partly proven has fewer equal samples than it had, or any wrong or crashed one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from conformance.check import CRASHED, WRONG
from conformance.entry import PARTLY, PROVEN, UNTESTED, Verdict

PATH = Path(__file__).with_name("claims.txt")

_HEAD = "# status\tname\tdtype\tequal/tried\treason   (generated: python -m conformance --update)"
_SWEEP = "# sweep of "

Claims = dict[tuple[str, str], Verdict]


def read(path: Path = PATH) -> Claims:
    """The claims by (name, dtype), in the file's order; empty without a file."""
    if not path.exists():
        return {}
    claims: Claims = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        status, name, dtype, share, reason = line.split("\t")
        equal, _, tried = share.partition("/")
        claims[name, dtype] = Verdict(name, dtype, status, int(equal), int(tried), reason)
    return claims


def read_sweeps(path: Path = PATH) -> dict[str, str]:
    """What is recorded of the last whole sweep of each dtype: its size, time and memory."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    marked = (line.removeprefix(_SWEEP).partition("\t") for line in lines if line.startswith(_SWEEP))
    return {dtype: text for dtype, _, text in marked}


def write(claims: Iterable[Verdict], sweeps: dict[str, str], path: Path = PATH) -> None:
    """Write the table, sorted by dtype in its order of mention and then by name, below the record of its sweeps."""
    lines = [_HEAD, *(f"{_SWEEP}{dtype}\t{text}" for dtype, text in sweeps.items())]
    for claim in claims:
        share = f"{claim.equal}/{claim.tried}"
        lines.append("\t".join((claim.status, claim.name, claim.dtype, share, claim.reason)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def broken(claims: Claims, verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each claim that ``verdicts`` no longer bear out, and for each wrong or crashed entry."""
    found = []
    for verdict in verdicts:
        claim = claims.get((verdict.name, verdict.dtype))
        if verdict.status in (WRONG, CRASHED):
            found.append(f"{verdict.name} {verdict.dtype}: {verdict.status}: {verdict.reason}")
        elif claim is not None and claim.status in (PROVEN, PARTLY) and _worse(claim, verdict):
            found.append(f"{verdict.name} {verdict.dtype}: was {_shown(claim)}, is {_shown(verdict)}: {verdict.reason}")
    return found


def unclaimed(claims: Claims, verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each entry that shows more than the table claims."""
    found = []
    for verdict in verdicts:
        claim = claims.get((verdict.name, verdict.dtype)) or Verdict(verdict.name, verdict.dtype, UNTESTED)
        if verdict.status in (PROVEN, PARTLY) and _worse(verdict, claim):
            found.append(f"{verdict.name} {verdict.dtype}: {_shown(verdict)}, claimed {_shown(claim)}")
    return found


def merged(claims: Claims, verdicts: Iterable[Verdict]) -> Claims:
    """The claims with what was found now, except where that shows as much as the claim on fewer samples."""
    found = dict(claims)
    for verdict in verdicts:
        claim = claims.get((verdict.name, verdict.dtype))
        weaker = claim is not None and verdict.tried < claim.tried and claim.status == verdict.status
        if claim is None or not weaker or _worse(claim, verdict):
            found[verdict.name, verdict.dtype] = verdict
    return found


def _shown(verdict: Verdict) -> str:
    return f"{verdict.status} {verdict.equal}/{verdict.tried}"


def _worse(before: Verdict, after: Verdict) -> bool:
    """Whether ``after`` shows less: a smaller share of equal samples (their number depends on the limit)."""
    return after.equal * max(before.tried, 1) < before.equal * max(after.tried, 1)


def counts(verdicts: Iterable[Verdict]) -> dict[str, Counter[str]]:
    """For each dtype, how many entries have each status."""
    table: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        table.setdefault(verdict.dtype, Counter())[verdict.status] += 1
    return table
