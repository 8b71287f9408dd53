"""``python -m conformance.devices MYRIAD``: every operator case on a kind of device, beside torch.

    python -m conformance.devices                        every kind that can execute here
    python -m conformance.devices MYRIAD TPU --op conv2d
    python -m conformance.devices X64 --backend openvino
    python -m conformance.devices --write                and docs/device_support.md

The exit status is 1 when a case is wrong or crashes.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import pkgutil
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import tests.ops
from conformance.device_case import CRASHED, NOISY, NOT_RUN, PROVEN, REFUSED, WRONG, Outcome, judge
from devices import DeviceEnum, spec_of
from optima.installed import toolchains
from tests.ops.case import OpCase

PAGE = Path(__file__).resolve().parent.parent / "docs" / "device_support.md"
#: one kind for each backend that can execute here: the others of a backend answer alike
SWEPT = tuple(
    DeviceEnum(word) for word in ("X64", "ADRENO", "MYRIAD", "HEXAGON", "TPU") if spec_of(DeviceEnum(word)).backend
)


def why_not(kind: DeviceEnum) -> str:
    """What this machine lacks to compile for a kind and to run that, here or simulated; "" for nothing."""
    chain = toolchains()[kind]
    if not chain.complete:
        return ", ".join(f"{t.name} is missing" for t in chain.tools if not t.found and not t.optional) or chain.needs
    if chain.backend == "spirv":
        from optima.backends.spirv.devices_here import VulkanMissing, found_devices, simulator

        try:
            simulator(found_devices())
        except VulkanMissing as error:
            return error.message
    return ""


def cases() -> list[OpCase]:
    """Every operator case of the test suite, without NaN and infinities."""
    modules = [m.name for m in pkgutil.iter_modules(tests.ops.__path__) if m.name.startswith("cases_")]
    return [c.finite() for name in modules for c in importlib.import_module(f"tests.ops.{name}").CASES]


def sweep(kind: DeviceEnum, chosen: Sequence[OpCase], backend: str = "", *, show: bool = True) -> list[Outcome]:
    """The outcomes, in the order of the cases; a line for each that is wrong or crashed."""
    outcomes = []
    for case in chosen:
        outcome = judge(kind, case, backend)
        outcomes.append(outcome)
        if show and outcome.status in (WRONG, CRASHED):
            print(f"{outcome.status:8} {kind.value} {outcome.case}: {outcome.reason}", flush=True)
    return outcomes


def main() -> int:
    """Parse the command line and sweep; the exit status."""
    parser = argparse.ArgumentParser(prog="conformance.devices", description=__doc__)
    parser.add_argument("kinds", nargs="*", help="kinds of device; default: one for each backend")
    parser.add_argument("--backend", default="", help="another backend than the kind's own")
    parser.add_argument("--op", action="append", help="only this operator; may be repeated")
    parser.add_argument("--write", action="store_true", help="write docs/device_support.md")
    options = parser.parse_args()
    logging.getLogger("optima").setLevel(logging.ERROR)  # that an artifact is a stand-in need not be said 2,000 times
    kinds = [DeviceEnum(word) for word in options.kinds] or [k for k in SWEPT if not why_not(k)]
    chosen = [case for case in cases() if not options.op or case.op in options.op]
    found = {}
    for kind in kinds:
        found[kind] = sweep(kind, chosen, options.backend)
        print(f"{kind.value}: {dict(Counter(o.status for o in found[kind]))}")
    if options.write:
        PAGE.write_text(page(found))
    return int(any(o.status in (WRONG, CRASHED) for outcomes in found.values() for o in outcomes))


def page(found: Mapping[DeviceEnum, Sequence[Outcome]]) -> str:
    """The support matrix as Markdown: operators by kind."""
    kinds = list(found)
    table: dict[str, dict[DeviceEnum, Counter[str]]] = defaultdict(lambda: {k: Counter() for k in kinds})
    reasons: dict[tuple[str, DeviceEnum], str] = {}
    for kind, outcomes in found.items():
        for o in outcomes:
            table[o.op][kind][o.status] += 1
            if o.status == REFUSED:
                reasons.setdefault((o.op, kind), o.reason)
    head = "".join(f" {kind.value} |" for kind in kinds)
    rows = [
        f"| `{op}` |" + "".join(f" {_cell(counts[k], reasons.get((op, k), ''))} |" for k in kinds)
        for op, counts in sorted(table.items())
    ]
    total = "".join(f" {sum(bool(c[k][PROVEN]) for c in table.values())} |" for k in kinds)
    return _HEAD + f"| operator |{head}\n|---|{'---|' * len(kinds)}\n" + "\n".join(rows) + f"\n| operators |{total}\n"


def _cell(counts: Counter[str], reason: str) -> str:
    """How many cases are proven of how many; a reason where there are none."""
    tried = sum(counts.values())
    noisy = "".join(f", {counts[status]} {status}" for status in (NOISY, NOT_RUN) if counts[status])
    if counts[WRONG] or counts[CRASHED]:
        return f"**{counts[PROVEN]}/{tried}, {counts[WRONG]} wrong, {counts[CRASHED]} crashed**"
    if counts[PROVEN] or noisy:
        return f"{counts[PROVEN]}/{tried}{noisy}"
    return f"– {reason}".replace("|", "\\|")


_HEAD = """# Operators by kind of device

Generated by `python -m conformance.devices --write`. A cell says how many of an operator's cases (`tests/ops/`: dtypes,
ranks, attributes, odd shapes; weights are parameters) were compiled for the kind, run and equal to torch; the others
are refused before anything is compiled. A dash gives the first reason where none is taken. Kinds that quantise must
reach 20 dB of signal to noise over eight samples (noisy: 8 to 20, what eight bits leave of such data); the others the
case's own tolerance. NaN and infinities are left out: only X64 promises them.

"Not run" is what was compiled and is beyond the simulator here: lavapipe ends a thread's loops at 65,535 rounds. Its
comparison of int64 is at fault in the two wrong cases of `index_put`.

One kind stands for each backend: ADRENO for MALI, INTELGPU and AMDGPU as well. What executed them is in
`docs/devices.md`.

"""


if __name__ == "__main__":
    sys.exit(main())
