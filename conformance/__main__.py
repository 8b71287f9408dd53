"""``python -m conformance``: judge entries of PyTorch's own tests."""

from __future__ import annotations

import argparse
import fnmatch
import time
from collections import Counter

from conformance.entry import Verdict
from conformance.samples import DTYPES, names, takes
from conformance.sweep import sweep


def main() -> None:
    """Parse the command line, sweep, print a line per entry and a summary."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("patterns", nargs="*", help="entries by name or pattern, such as 'nn.functional.*'")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="default: float32")
    parser.add_argument("--limit", type=int, default=100, help="samples per entry at most, spread evenly")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    dtypes = options.dtype or ["float32"]
    chosen = [n for n in names() if not options.patterns or any(fnmatch.fnmatch(n, p) for p in options.patterns)]
    requests = [(n, d) for n in chosen for d in dtypes if takes(n, d)]
    began = time.monotonic()
    verdicts = sweep(requests, limit=options.limit, workers=options.workers, report=_print)
    counts = Counter(v.status for v in verdicts)
    print(f"{len(verdicts)} in {time.monotonic() - began:.0f} s:", dict(counts))


def _print(verdict: Verdict) -> None:
    share = f"{verdict.equal}/{verdict.tried}"
    print(f"{verdict.status:9} {verdict.name} {verdict.dtype} {share} {verdict.reason}", flush=True)


if __name__ == "__main__":
    main()
