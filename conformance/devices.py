"""``python -m conformance.devices MYRIAD``: every operator case on a kind of device, beside torch.

    python -m conformance.devices                        every kind that can execute here
    python -m conformance.devices MYRIAD TPU --op conv2d
    python -m conformance.devices X64 --backend openvino
    python -m conformance.devices NVIDIA --write         and its column of docs/device_support.md

The exit status is 1 when a case is wrong or crashes.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import pkgutil
import re
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
    DeviceEnum(word)
    for word in ("X64", "ADRENO", "NVIDIA", "MYRIAD", "HEXAGON", "TPU")
    if spec_of(DeviceEnum(word)).backend
)


def why_not(kind: DeviceEnum) -> str:
    """What this machine lacks to compile for a kind and to run that, here or simulated; "" for nothing."""
    chain = toolchains()[kind]
    if not chain.complete:
        return ", ".join(f"{t.name} is missing" for t in chain.tools if not t.found and not t.optional)
    if chain.backend == "spirv":
        from optima.backends.spirv.devices_here import VulkanMissing, found_devices, simulator

        try:
            simulator(found_devices())
        except VulkanMissing as error:
            return error.message
    if chain.backend == "cuda":
        from optima.backends.cuda.tools import host_compiler

        return "" if host_compiler().found else "there is no C++ compiler to simulate with"
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
        PAGE.write_text(page(found, PAGE.read_text()))
    return int(any(o.status in (WRONG, CRASHED) for outcomes in found.values() for o in outcomes))


def page(found: Mapping[DeviceEnum, Sequence[Outcome]], before: str = "") -> str:
    """The support matrix as Markdown: operators by kind. What was not swept stays as the page ``before`` has it."""
    columns = _columns(before)
    for kind, outcomes in found.items():
        columns.setdefault(kind.value, {}).update(_cells(outcomes))
    words = [kind.value for kind in (*SWEPT, *found) if kind.value in columns]
    words = list(dict.fromkeys(words))
    ops = sorted({op for cells in columns.values() for op in cells})
    head = "".join(f" {word} |" for word in words)
    rows = "".join(f"| `{op}` |" + "".join(f" {columns[w].get(op, '')} |" for w in words) + "\n" for op in ops)
    total = "".join(f" {sum(bool(_SOME_PROVEN.match(c)) for c in columns[w].values())} |" for w in words)
    return _HEAD + f"| operator |{head}\n|---|{'---|' * len(words)}\n{rows}| operators |{total}\n"


def _columns(text: str) -> dict[str, dict[str, str]]:
    """kind -> operator -> cell, of a page."""
    rows = [[cell.strip() for cell in _BORDER.split(line)[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    if not rows:
        return {}
    (_, *words), *body = rows
    operators = [row for row in body if row[0].startswith("`")]
    return {word: {row[0].strip("`"): row[k] for row in operators} for k, word in enumerate(words, 1)}


def _cells(outcomes: Sequence[Outcome]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, str] = {}
    for o in outcomes:
        counts[o.op][o.status] += 1
        if o.status == REFUSED:
            reasons.setdefault(o.op, o.reason)
    return {op: _cell(found, reasons.get(op, "")) for op, found in counts.items()}


#: what stands between cells, and a cell of an operator of which some case is proven
_BORDER, _SOME_PROVEN = re.compile(r"(?<!\\)\|"), re.compile(r"\**[1-9]")


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
comparison of int64 is at fault in the two wrong cases of `index_put`. NVIDIA's kernels ran as CUDA C++ compiled for the
CPU; each was also compiled by NVRTC, and none ran on a GPU.

One kind stands for each backend: ADRENO for MALI, INTELGPU and AMDGPU as well. What executed them is in
`docs/devices.md`.

"""


if __name__ == "__main__":
    sys.exit(main())
