"""``python -m conformance.devices MYRIAD``: every operator case on a kind of device, beside torch.

    python -m conformance.devices                        every way that can execute here: hours
    python -m conformance.devices MYRIAD TPU --op conv2d
    python -m conformance.devices X64 --backend openvino
    python -m conformance.devices HEXAGON --simulator htp
    python -m conformance.devices INTELGPU --options '{"flavour": "kernel"}'
    python -m conformance.devices ADRENO --write         and its columns of docs/device_support.md

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
from collections.abc import Iterable, Sequence

import tests.ops
from conformance.device_case import CRASHED, WRONG, Outcome, judge
from conformance.device_page import update
from conformance.device_routes import ROUTES, Route, routes_of, why_not
from conformance.emulated import judge_emulated
from devices import DeviceEnum
from tests.ops.case import OpCase


def cases() -> list[OpCase]:
    """Every operator case of the test suite."""
    modules = [m.name for m in pkgutil.iter_modules(tests.ops.__path__) if m.name.startswith("cases_")]
    return [case for name in modules for case in importlib.import_module(f"tests.ops.{name}").CASES]


def sweep(route: Route, chosen: Sequence[OpCase]) -> Iterable[Outcome]:
    """The outcomes, in the order of the cases."""
    return judge_emulated(route, chosen) if route.machine else (judge(route, case) for case in chosen)


def main() -> int:
    """Parse the command line and sweep; the exit status."""
    options = _options()
    logging.getLogger("optima").setLevel(logging.ERROR)  # that an artifact is a stand-in need not be said 2,000 times
    chosen = [case for case in cases() if not options.op or case.op in options.op]
    kinds = [DeviceEnum(word) for word in options.kinds]
    routes = [
        r for kind in kinds for r in routes_of(kind, options.backend, options.simulator, options.options)
    ] or ROUTES
    failed = False
    for route in routes:
        if lacking := why_not(route):
            print(f"{route.title}: not swept: {lacking}")
            failed |= bool(kinds)
            continue
        found = [_shown(route, outcome) for outcome in sweep(route, chosen)]
        print(f"{route.title}: {dict(Counter(o.status for o in found))}", flush=True)
        failed |= any(o.status in (WRONG, CRASHED) for o in found)
        if options.write:
            update(route, found)
    return int(failed)


def _options() -> argparse.Namespace:
    words = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="conformance.devices", description=__doc__, formatter_class=words)
    parser.add_argument("kinds", nargs="*", help="kinds of device; default: everything that can execute here")
    parser.add_argument("--backend", default="", help="another backend than the kind's own")
    parser.add_argument("--simulator", default="", help="one of HEXAGON's: htp or onnxruntime")
    parser.add_argument("--options", type=json.loads, default={}, help="device options of the kinds, as JSON")
    parser.add_argument("--op", action="append", help="only this operator; may be repeated")
    parser.add_argument("--write", action="store_true", help="write what was swept into docs/device_support.md")
    options = parser.parse_args()
    if options.write and options.op:
        parser.error("--write takes whole sweeps: leave out --op")
    return options


def _shown(route: Route, outcome: Outcome) -> Outcome:
    if outcome.status in (WRONG, CRASHED):
        print(f"{outcome.status:8} {route.title} {outcome.case}: {outcome.reason}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
