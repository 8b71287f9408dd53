"""``docs/conformance.md``: the claims as a page, generated from the table alone."""

from __future__ import annotations

from pathlib import Path

from conformance.claims import Claims, counts
from conformance.entry import PARTLY, PROVEN, UNTESTED, Verdict
from conformance.samples import DTYPES, is_module

PATH = Path(__file__).parents[1] / "docs" / "conformance.md"

_HEAD = """# What is proven against PyTorch's own tests

Every entry of PyTorch's `op_db` (OpInfo) and `module_db` (ModuleInfo), each sample wrapped as a module, exported,
converted, compiled for X64, run, and compared with eager under PyTorch's own tolerances; where a result is ill
conditioned, it must lie as near the float64 result as eager's own does (within twice its distance).

- **proven**: every sample that PyTorch runs is equal. **partly**: some are, the others are refused with a reason.
  **refused**: every sample is refused, before anything is compiled. **untested**: PyTorch has no sample that runs.
- Samples that draw random numbers (dropout in training) are refused, and counted only where an entry has no others.
- A sample that compiles and is wrong, or ends in anything but a typed error, has no place in this table: the sweep
  fails.
- Entries with more samples than a sweep's limit (below) are taken at an even stride.

`python -m conformance --check` repeats the sweep and fails for each claim that no longer holds; passes that nobody
claimed are listed. `--update` writes the table (`conformance/claims.txt`) and this page. `make test` takes one fixed
sample of each proven float32 entry. Names are OpInfo's; modules begin with `nn.` and a capital.

The last sweep of each dtype:
"""


def write(claims: Claims, sweeps: dict[str, str]) -> None:
    """Write the page; ``sweeps`` says of each dtype what its last sweep was like (time, memory, versions)."""
    PATH.write_text(render(claims, sweeps), encoding="utf-8")


def render(claims: Claims, sweeps: dict[str, str]) -> str:
    """The page's text."""
    facts = [f"- {dtype}: {sweeps[dtype]}" for dtype in DTYPES if dtype in sweeps]
    lines = [_HEAD, *facts, "", *_totals(claims), ""]
    rows = [c for c in claims.values() if c.dtype == DTYPES[0]]
    for title, statuses in (("Proven", (PROVEN,)), ("Partly proven", (PARTLY,))):
        lines += [f"## {title} in {DTYPES[0]}", ""]
        lines += ["| entry | equal samples | also proven in | the others |", "|---|---|---|---|"]
        lines += [_row(claims, c) for c in rows if c.status in statuses]
        lines.append("")
    lines += [f"## Refused or untested in {DTYPES[0]}", "", "| entry | | why |", "|---|---|---|"]
    lines += [f"| {c.name} | {c.status} | {_cell(c.reason)} |" for c in rows if c.status not in (PROVEN, PARTLY)]
    return "\n".join(lines) + "\n"


def _totals(claims: Claims) -> list[str]:
    statuses = (PROVEN, PARTLY, "refused", UNTESTED)
    lines = ["| dtype | of | " + " | ".join(statuses) + " |", "|---|---|" + "---|" * len(statuses)]
    for kind, chosen in (
        ("operators", [c for c in claims.values() if not is_module(c.name)]),
        ("modules", [c for c in claims.values() if is_module(c.name)]),
    ):
        table = counts(chosen)
        lines += [
            f"| {dtype} | {kind} | " + " | ".join(str(table[dtype][s]) for s in statuses) + " |"
            for dtype in DTYPES
            if dtype in table
        ]
    return lines


def _row(claims: Claims, claim: Verdict) -> str:
    others = [d for d in DTYPES[1:] if (o := claims.get((claim.name, d))) is not None and o.status == PROVEN]
    return f"| {claim.name} | {claim.equal}/{claim.tried} | {', '.join(others)} | {_cell(claim.reason)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
