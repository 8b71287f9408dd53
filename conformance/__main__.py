"""``python -m conformance``: judge entries of PyTorch's own tests; check or update the claims table."""

from __future__ import annotations

import argparse
import fnmatch
import platform
import resource
import sys
import time

from conformance import claims, page
from conformance.entry import Verdict
from conformance.samples import DTYPES, names
from conformance.sweep import sweep


def main() -> None:
    """Parse the command line, sweep, print a line per entry and a summary. Exits with 1 for a broken claim."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("patterns", nargs="*", help="entries by name or pattern, such as 'nn.functional.*'")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="default: float32; --dtype may be repeated")
    parser.add_argument("--limit", type=int, default=100, help="samples per entry at most, spread evenly")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="fail for claims that no longer hold")
    parser.add_argument("--update", action="store_true", help="write the claims table and docs/conformance.md")
    options = parser.parse_args()
    dtypes = options.dtype or [DTYPES[0]]
    chosen = [n for n in names() if not options.patterns or any(fnmatch.fnmatch(n, p) for p in options.patterns)]
    if not chosen:
        print(f"no entry of {len(names())} fits {' '.join(options.patterns)}", file=sys.stderr)
        sys.exit(2)
    verdicts: list[Verdict] = []
    sweeps = claims.read_sweeps()
    for dtype in dtypes:
        began = time.monotonic()
        of_dtype = sweep([(n, dtype) for n in chosen], limit=options.limit, workers=options.workers, report=_print)
        fact = _fact(len(of_dtype), options.limit, time.monotonic() - began, options.workers)
        print(f"{dtype}: {dict(claims.counts(of_dtype).get(dtype, {}))}, {fact}")
        verdicts += of_dtype
        if not options.patterns:
            sweeps[dtype] = fact
    known = claims.read()
    if options.update:
        merged = claims.merged(known, verdicts)
        ordered = {(n, d): merged[n, d] for d in DTYPES for n in names() if (n, d) in merged}
        claims.write(ordered.values(), sweeps)
        page.write(ordered, sweeps)
    faults = claims.broken(known if options.check else {}, verdicts)
    if options.check:
        for line in claims.unclaimed(known, verdicts):
            print("unclaimed:", line)
    for line in faults:
        print("BROKEN:", line)
    sys.exit(1 if faults else 0)


def _print(verdict: Verdict) -> None:
    share = f"{verdict.equal}/{verdict.tried}"
    print(f"{verdict.status:9} {verdict.name} {verdict.dtype} {share} {verdict.reason}", flush=True)


def _peak_mib() -> float:
    """The largest resident size that any worker process had, in MiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _fact(entries: int, limit: int, seconds: float, workers: int) -> str:
    import torch
    import tvm

    return (
        f"{entries} entries, at most {limit} samples of each, in {seconds / 60:.0f} minutes with {workers} workers, "
        f"{_peak_mib():.0f} MiB at most in one process; torch {torch.__version__}, TVM {tvm.__version__}, "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
