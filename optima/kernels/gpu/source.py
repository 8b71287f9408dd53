"""A group's kernels as text with their interface: what a compile job makes before the language's compiler runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optima.kernels.gpu.launches import split, unprintable, width_of
from optima.kernels.gpu.lower import lowered
from optima.kernels.gpu.printer.dialect import Dialect
from optima.kernels.gpu.printer.statements import Printed, print_launch
from optima.kernels.gpu.schedule import ALL_RULES, GENERIC, SERIAL
from optima.kernels.gpu.target import GpuTarget

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The kernels of one function, in the order in which they run.

    Their arguments are places: below ``parameters`` one of the function's buffers (inputs, constants, outputs), from
    there on a temporary, whose size in bytes ``temporaries`` gives.
    """

    kernels: Sequence[Printed]
    parameters: int
    temporaries: Sequence[int]


def source(program: Any, target: GpuTarget, dialect: Dialect, name: str = "kernel") -> Source:
    """An unscheduled program (``gpu_program``) in a language; its kernels are ``<name>_0``, ... Raises Unprintable.

    A schedule that TVM cannot lower, or that leaves what has no text, is replaced by a plainer one.
    """
    for effort in (ALL_RULES, GENERIC):
        try:
            return _source(program, target, dialect, name, effort)
        # TVM's passes raise many types; what remains unprintable is so without a schedule, too.
        except Exception as error:  # noqa: BLE001
            _LOG.warning("a schedule of effort %d is given up: %s", effort, str(error).rstrip()[-200:])
    return _source(program, target, dialect, name, SERIAL)


def _source(program: Any, target: GpuTarget, dialect: Dialect, name: str, effort: int) -> Source:
    whole = split(lowered(program, target, effort))
    kernels = [
        print_launch(whole, launch, dialect, target.groups, f"{name}_{number}")
        for number, launch in enumerate(whole.launches)
    ]
    needed = max((kernel.shared_bytes for kernel in kernels), default=0)
    if needed > target.shared_bytes:
        raise unprintable(f"a workgroup with {needed} bytes of shared memory")
    temporaries = [t.length * width_of(t.dtype) for t in whole.temporaries]
    return Source(kernels, len(whole.parameters), temporaries)
