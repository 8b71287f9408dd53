"""``python -m conformance.devices MYRIAD``: every operator case on a kind of device, beside torch.

    python -m conformance.devices                        every kind that can execute here
    python -m conformance.devices MYRIAD TPU --op conv2d
    python -m conformance.devices X64 --backend openvino
    python -m conformance.devices INTELGPU --options '{"flavour": "kernel"}'
    python -m conformance.devices --write                and docs/device_support.md, the columns that were swept

The exit status is 1 when a case is wrong or crashes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import pkgutil
import sys
from collections import Counter
from collections.abc import Sequence

import tests.ops
from conformance.device_case import CRASHED, WRONG, Outcome, judge
from conformance.device_column import COLUMNS, Column
from conformance.device_page import PAGE, page
from devices import DeviceEnum
from tests.ops.case import OpCase


def cases() -> list[OpCase]:
    """Every operator case of the test suite, without NaN and infinities."""
    modules = [m.name for m in pkgutil.iter_modules(tests.ops.__path__) if m.name.startswith("cases_")]
    return [c.finite() for name in modules for c in importlib.import_module(f"tests.ops.{name}").CASES]


def sweep(column: Column, chosen: Sequence[OpCase]) -> list[Outcome]:
    """The outcomes, in the order of the cases; a line for each that is wrong or crashed."""
    outcomes = []
    for case in chosen:
        outcome = judge(column, case)
        outcomes.append(outcome)
        if outcome.status in (WRONG, CRASHED):
            print(f"{outcome.status:8} {column.title} {outcome.case}: {outcome.reason}", flush=True)
    return outcomes


def main() -> int:
    """Parse the command line and sweep; the exit status."""
    parser = argparse.ArgumentParser(prog="conformance.devices", description=__doc__)
    parser.add_argument("kinds", nargs="*", help="kinds of device; default: one for each backend")
    parser.add_argument("--backend", default="", help="another backend than the kind's own")
    parser.add_argument("--options", type=json.loads, default={}, help="device options of the kinds, as JSON")
    parser.add_argument("--op", action="append", help="only this operator; may be repeated")
    parser.add_argument("--write", action="store_true", help="write docs/device_support.md")
    options = parser.parse_args()
    logging.getLogger("optima").setLevel(logging.ERROR)  # that an artifact is a stand-in need not be said 2,000 times
    named = [Column(DeviceEnum(word), options.options, options.backend) for word in options.kinds]
    columns = named or [column for column in COLUMNS if not column.why_not()]
    chosen = [case for case in cases() if not options.op or case.op in options.op]
    found = {}
    for column in columns:
        found[column.title] = sweep(column, chosen)
        print(f"{column.title}: {dict(Counter(o.status for o in found[column.title]))}")
    if options.write:
        PAGE.write_text(page(found, PAGE.read_text(), [column.title for column in COLUMNS]))
    return int(any(o.status in (WRONG, CRASHED) for outcomes in found.values() for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
