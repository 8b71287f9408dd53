"""One group's job: what it is given, and the archive that it makes: a description of its launches, and their files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optima.backends.bundle import pack, unpack
from optima.graph import Graph
from optima.kernels.gpu.lower import gpu_program
from optima.kernels.gpu.printer.dialect import Dialect
from optima.kernels.gpu.printer.statements import Printed
from optima.kernels.gpu.source import Source, source
from optima.kernels.gpu.target import GpuTarget

#: the archive's description of its launches
_INTERFACE = "interface.json"


def printed(made: Source) -> dict[str, Any]:
    """A source as JSON: its launches' texts and interfaces."""
    return {
        "parameters": made.parameters,
        "temporaries": list(made.temporaries),
        "launches": [_launch(kernel) for kernel in made.kernels],
    }


def _launch(kernel: Printed) -> dict[str, Any]:
    return {
        "text": kernel.text,
        "entry_point": kernel.entry_point,
        "arguments": [[place, a.dtype, a.written] for place, a in kernel.arguments],
        "groups": list(kernel.grid),
        "threads": list(kernel.threads),
        "shared_bytes": kernel.shared_bytes,
        "rounds": kernel.rounds,
    }


def source_of(payload: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    """The ``printed`` source of a job: its payload's ``source``, or made from its ``group``, ``target`` and ``name``.

    Raises Unprintable.
    """
    if "source" in payload:
        found: Mapping[str, Any] = payload["source"]
        return found
    target = GpuTarget.from_dict(payload["target"])
    program = gpu_program(Graph.parse(payload["group"]), target)
    return printed(source(program, target, dialect, payload["name"]))


def archive(made: Mapping[str, Any], files: Mapping[str, bytes], facts: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """A job's result: ``files`` are called ``<number of the launch>.<suffix>``, ``facts`` are more on each launch."""
    launches = [{k: v for k, v in launch.items() if k != "text"} for launch in made["launches"]]
    launches = [launch | dict(fact) for launch, fact in zip(launches, facts or [{}] * len(launches), strict=True)]
    interface = json.dumps({**made, "launches": launches}, sort_keys=True).encode()
    return pack({_INTERFACE: interface, **files})


def opened(result: bytes) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """(the interface, the files) of an archive."""
    files = unpack(result)
    return json.loads(files.pop(_INTERFACE)), files
